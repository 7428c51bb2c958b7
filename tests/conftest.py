"""Settings of all tests: repeatable examples, and the instruction sets of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from networks import Guards

from crnn import _cell, cpu_info

# In CI a run can be repeated. Elsewhere every run draws other examples, to find more.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("searching", deadline=None, print_blob=True)
settings.load_profile("repeatable" if os.environ.get("CI") else "searching")

# Depending on the processor; "portable" is available everywhere.
INSTRUCTION_SETS = ("avx512", "avx2", "neon", "portable")


def pytest_report_header() -> str:
    """The instruction sets that this machine tests, and those that it lacks."""
    info = cpu_info()
    missing = [name for name in INSTRUCTION_SETS if name not in info["available"]]
    return (
        f"crnn on {info['isa']}; available: {', '.join(info['available'])}; "
        f"not tested on this machine: {', '.join(missing)}"
    )


@pytest.fixture
def guards(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guards]:
    """Also check that nothing is written outside an array."""
    guards = Guards()
    monkeypatch.setattr(_cell, "zeros", guards.zeros)
    yield guards
    assert guards.intact()
