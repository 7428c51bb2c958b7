"""The C compiler of Python extensions on this machine, for tests that compile C."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import children
import pytest


def command() -> list[str]:
    """The compiler's name and fixed arguments, as setuptools finds them. Skips without one."""
    names = os.environ.get("CC") or sysconfig.get_config_var("CC") or ""
    words = shlex.split(str(names))
    if not words or shutil.which(words[0]) is None:
        pytest.skip(f"no C compiler: CC is {names!r}")
    return words


def build(output: Path, *arguments: str | Path) -> None:
    """Compile with CFLAGS first and LDFLAGS last, as setuptools does (for sanitizers)."""
    line = [
        *command(),
        *shlex.split(os.environ.get("CFLAGS", "")),
        *map(str, arguments),
        *shlex.split(os.environ.get("LDFLAGS", "")),
    ]
    done = subprocess.run(
        [*line, "-o", str(output)],
        capture_output=True,
        text=True,
        timeout=children.HANG,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(line)}\n{done.stdout}\n{done.stderr}"
