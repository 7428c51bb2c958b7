"""Every primitive on every instruction set: compiles and runs selftest.c, without Python."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import children
import compiler
import pytest

from crnn._cell import available

ROOT = Path(__file__).resolve().parent.parent
KERNELS = ROOT / "crnn" / "_kernels"

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(
        bool(os.environ.get("CRNN_ISA")),
        reason="one run without CRNN_ISA tests all instruction sets",
    ),
    pytest.mark.skipif(
        not (KERNELS / "kernels.h").exists() or not (ROOT / "setup.py").exists(),
        reason="the kernels' sources are not here",
    ),
]

LINE = re.compile(r"^(ok|FAILED) +(\w+) +(\w+) (.*?) +\d+ checks")


@pytest.fixture(scope="module")
def selftest(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The output of selftest.c, compiled with the flags of the module."""
    flags = re.findall(r'"(-[^"]+)"', (ROOT / "setup.py").read_text())
    assert "-ffp-contract=off" in flags
    program = tmp_path_factory.mktemp("kernels") / "selftest"
    sources = sorted(KERNELS.glob("*.c"))
    compiler.build(program, *flags, f"-I{KERNELS}", *sources, ROOT / "tests" / "selftest.c", "-lm")
    return subprocess.run(
        [program], capture_output=True, text=True, timeout=children.HANG, check=False
    )


def lines(selftest: subprocess.CompletedProcess[str]) -> set[tuple[str, str, str]]:
    """Instruction set, type and primitive of every line."""
    found = (LINE.match(line) for line in selftest.stdout.splitlines())
    return {(match[2], match[3], match[4]) for match in found if match}


def test_every_line_passes(selftest: subprocess.CompletedProcess[str]) -> None:
    assert selftest.returncode == 0, selftest.stdout + selftest.stderr
    last = selftest.stdout.splitlines()[-1]
    assert last == f"{len(lines(selftest))} passed, 0 failed"


def test_every_primitive_has_a_line(selftest: subprocess.CompletedProcess[str]) -> None:
    contract = (KERNELS / "kernels.h").read_text()
    primitives = set(re.findall(r"\(\*(\w+)\)\(", contract))
    assert "product" in primitives
    probes = {name for name in primitives if name.startswith("probe_")}
    expected = {
        (isa, kind, name)
        for isa in available()
        for kind in ("f32", "f64")
        for name in (primitives - probes) | {"probes"}
    }
    assert expected <= lines(selftest)


def test_instruction_sets_that_fuse_have_one_checksum(
    selftest: subprocess.CompletedProcess[str],
) -> None:
    sums = dict(re.findall(r"^checksum (\w+) ([0-9a-f]{16})$", selftest.stdout, re.MULTILINE))
    assert set(available()) <= set(sums)
    assert len({value for isa, value in sums.items() if isa != "portable"}) <= 1
