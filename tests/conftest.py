"""What holds for all tests: repeatable examples, and which instruction sets this machine tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from networks import Guards

from crnn import _cell, cpu_info

# Elsewhere every run draws other examples, and finds more; in CI a run can be repeated.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("searching", deadline=None, print_blob=True)
settings.load_profile("repeatable" if os.environ.get("CI") else "searching")

# By processor; "portable" is everywhere.
INSTRUCTION_SETS = ("avx512", "avx2", "neon", "portable")


def pytest_report_header() -> str:
    """Which instruction sets run here, and which a run elsewhere has to test."""
    info = cpu_info()
    missing = [name for name in INSTRUCTION_SETS if name not in info["available"]]
    return (
        f"crnn on {info['isa']}; available: {', '.join(info['available'])}; "
        f"not tested on this machine: {', '.join(missing)}"
    )


@pytest.fixture
def guards(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guards]:
    """A test that uses this also asks that nothing is written beside an array."""
    guards = Guards()
    monkeypatch.setattr(_cell, "zeros", guards.zeros)
    yield guards
    assert guards.intact()
