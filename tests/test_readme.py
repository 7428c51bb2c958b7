"""What the README shows is what one gets."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

import crnn
from crnn.cli import main

README = Path(__file__).parent.parent / "README.md"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?")

pytestmark = pytest.mark.skipif(not README.exists(), reason="the README is not beside the tests")


def blocks(language: str) -> list[str]:
    text = README.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def alike(line: str, shown: str, rtol: float) -> bool:
    """The same words, and numbers as near as other roundings leave them."""
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (line, shown)]
    return NUMBER.sub("#", line).split() == NUMBER.sub("#", shown).split() and np.allclose(
        *numbers, rtol=rtol, atol=0
    )


@pytest.mark.parametrize("index", range(3))
def test_the_examples_print_what_stands_behind_them(
    index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = blocks("python")[index]
    assert len(blocks("python")) == 3
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    comments = re.findall(r"^(?:print|rnn\.train|rnn\.test)\(.*\)  # (.*)$", code, re.MULTILINE)
    printed = capsys.readouterr().out.splitlines()
    assert comments
    for comment in comments:
        for shown in comment.split(": the ")[0].split(" ... "):
            assert any(alike(line, shown, 0.05) for line in printed), (shown, printed)


def test_the_command_prints_the_text_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(crnn.__file__).parent / "data" / "sunspots.csv", tmp_path)
    (commands,) = (block for block in blocks("sh") if "crnn predict" in block)
    for line in commands.splitlines():
        if line.startswith("crnn "):
            assert main(shlex.split(line)[1:]) == 0
    printed = capsys.readouterr().out.splitlines()
    (shown,) = (block.splitlines() for block in blocks("text"))
    assert len(printed) == len(shown)
    for line, other in zip(printed, shown, strict=True):
        if re.match(r"\w+  +", other):  # `crnn info`: the machine's own
            assert line.split()[0] == other.split()[0]
        else:
            assert alike(line, other, 1e-4), (line, other)
