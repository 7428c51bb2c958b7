"""What holds for all tests: repeatable examples, and which instruction sets this machine tests."""

from __future__ import annotations

import os

from hypothesis import settings

from crnn import cpu_info

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
