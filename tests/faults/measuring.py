"""Shared by the fault scripts: small data, bits of a model, memory, the machine's name."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

import crnn
from crnn import RNN

Array = np.ndarray[Any, np.dtype[Any]]


def samples(count: int, steps: int, inputs: int, outputs: int = 1) -> tuple[Array, Array]:
    """x (N, T, I) and y (N, O), float32, the same at every call."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (count, steps, inputs)).astype(np.float32)
    return x, rng.uniform(-1, 1, (count, outputs)).astype(np.float32)


def bits(model: RNN) -> bytes:
    """The parameters as bytes: equal only if every bit is."""
    return b"".join(value.tobytes() for value in model.parameters().values())


def finite(model: RNN) -> bool:
    return all(np.isfinite(value).all() for value in model.parameters().values())


def resident() -> int:
    """Bytes of this process in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def address_space() -> int:
    """Bytes of this process's address space (Linux), which is what RLIMIT_AS limits."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def running_threads() -> int:
    """Threads of this process, also those that Python does not know (Linux)."""
    return len(os.listdir("/proc/self/task"))


def threads_left(before: int) -> int:
    """How many threads there are more than before, after at most ten seconds."""
    deadline = time.monotonic() + 10
    while running_threads() > before and time.monotonic() < deadline:
        time.sleep(0.001)
    return running_threads() - before


def where() -> str:
    """One line: the machine of this measurement."""
    info = crnn.cpu_info()
    load = os.getloadavg()[0]
    return (
        f"{platform.system()} {platform.machine()}, {info['isa']}, "
        f"{info['processors']} processors, load {load:.1f}, Python "
        f"{platform.python_version()}, NumPy {np.__version__}, crnn {crnn.__version__}"
    )
