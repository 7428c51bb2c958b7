"""help() and dir() of the package, and the layout of the pages."""

from __future__ import annotations

import pydoc
import re
from pathlib import Path

import pytest

import crnn

ROOT = Path(__file__).parent.parent
PAGES = sorted(page for part in ("", "docs/**/", "tests/") for page in ROOT.glob(f"{part}*.md"))


def test_help_begins_with_the_public_names() -> None:
    text = pydoc.render_doc(crnn, renderer=pydoc.plaintext)
    overview = text[: text.index("PACKAGE CONTENTS")]
    missing = [name for name in crnn.__all__ if not re.search(rf"\b{name}\b", overview)]
    assert missing == []


def test_dir_shows_public_names_only() -> None:
    names = [name for name in dir(crnn) if not re.fullmatch(r"__\w+__", name)]
    assert names == sorted(crnn.__all__)


@pytest.mark.skipif(not PAGES, reason="the pages are not here")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_a_page_have_at_most_120_columns(page: Path) -> None:
    """Except for tables and preformatted text, which cannot be wrapped."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    lines = (line for line in text.splitlines() if not line.startswith(("|", "![")))
    assert [line for line in lines if len(line) > 120] == []


@pytest.mark.skipif(not PAGES, reason="the pages are not here")
def test_contributors_are_told_the_job_of_every_module() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    modules = {module.name for module in (ROOT / "crnn").glob("*.py")}
    assert {name for name in modules if f"{name}`" not in table} == set()
