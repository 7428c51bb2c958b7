"""The README and the page on the command show real output."""

from __future__ import annotations

import re
import shlex
import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from tolerances import LAST_DIGIT, OTHER_ROUNDINGS

import crnn
from crnn.cli import main

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
COMMAND = ROOT / "docs" / "reference" / "command.md"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?")

pytestmark = pytest.mark.skipif(not README.exists(), reason="the README is not here")


def blocks(language: str, page: Path = README) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def alike(line: str, shown: str) -> bool:
    """Equal words and whole numbers, and other numbers within rounding errors."""
    if NUMBER.sub("#", line).split() != NUMBER.sub("#", shown).split():
        return False
    for came, expected in zip(NUMBER.findall(line), NUMBER.findall(shown), strict=True):
        exponent = Decimal(expected).as_tuple().exponent
        assert isinstance(exponent, int)  # it is neither NaN nor infinity
        shown_digits = LAST_DIGIT * 10.0**exponent
        allowed = max(shown_digits, OTHER_ROUNDINGS * abs(float(expected)))
        if abs(float(came) - float(expected)) > (allowed if "." in expected else 0.0):
            return False
    return True


def test_the_readme_is_a_landing_page() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 90


def test_links_lead_to_files() -> None:
    targets = re.findall(r"\]\(([^):]+)\)", README.read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("index", range(2))
def test_the_examples_print_what_stands_behind_them(
    index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = blocks("python")[index]
    assert len(blocks("python")) == 2
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    comments = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    printed = capsys.readouterr().out.splitlines()
    assert comments
    lines = iter(printed)
    for comment in comments:
        shown = comment.split(": ")[0]
        assert any(alike(line, shown) for line in lines), (shown, printed)  # in this order


def test_the_command_prints_the_text_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas", reason="crnn fit needs pandas")
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(crnn.__file__).parent / "data" / "sunspots.csv", tmp_path)
    examples = zip(blocks("sh", COMMAND), blocks("text", COMMAND), strict=True)
    for commands, text in examples:
        for line in commands.splitlines():
            if line.startswith("crnn "):
                assert main(shlex.split(line)[1:]) == 0
        printed, shown = capsys.readouterr().out.splitlines(), text.splitlines()
        assert len(printed) == len(shown)
        for line, other in zip(printed, shown, strict=True):
            if commands == "crnn info\n":  # depends on the machine
                assert line.split()[0] == other.split()[0]
            else:
                assert alike(line, other), (line, other)
