"""Each fault script, shortened. RELIABILITY.md has the results of full runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
HANG = 900  # seconds; far more than any script needs, even emulated or sanitized

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="needs signals, fork, /proc and RLIMIT_AS of Linux"
)


def fault(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"faults.{name}", *arguments],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_an_interrupt_leaves_whole_batches() -> None:
    assert "each model valid" in fault(
        "interrupts", "--count", "4", "--threads", "2", "--within", "0"
    )


def test_a_killed_save_leaves_the_old_file_or_the_new_one() -> None:
    assert "never anything else" in fault("killed_saves", "--count", "20")


def test_a_full_disk_leaves_the_old_file() -> None:
    assert "refused" in fault("full_disk", "--sizes", "10")


def test_children_train_to_the_parents_bits() -> None:
    assert "fork" in fault("processes", "--children", "3")


@pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer keeps freed memory"
)
def test_a_stream_keeps_state_and_memory() -> None:
    assert "same bits" in fault("long_stream", "--steps", "300000")


@pytest.mark.slow
def test_a_longer_stream_keeps_state_and_memory() -> None:
    assert "same bits" in fault("long_stream", "--steps", "10000000")


@pytest.mark.slow
def test_memory_does_not_grow() -> None:
    assert "grew by" in fault("growth", "--fits", "3000", "--predicts", "30000")


@pytest.mark.slow
def test_instruction_sets_read_each_others_files() -> None:
    assert "each read under each" in fault("isas")


@pytest.mark.slow
def test_too_little_memory_is_a_memory_error() -> None:
    assert "MemoryError" in fault("address_space", "--limits", "30")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_valgrind_has_nothing_to_report() -> None:
    assert "no report" in fault("memcheck")
