"""The roofline: measured peak and bandwidths, and the least time of a row under them."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.workloads import Workload

_MATMUL = 768  # rows and columns: 9 ms in float32 at 100 GFLOP/s, and 88 to 95 % of the FMA peak


@dataclass(frozen=True)
class Probe:
    """The measured peak and bandwidths of one processor.

    Attributes
    ----------
    fma : float
        GFLOP/s of independent fused multiply-adds, by crnn's probe; 0 without crnn.
    matmul : float
        GFLOP/s of a large NumPy product: a lower bound of the peak.
    bandwidth : dict
        GB/s of streaming reads from "L1", "L2", "L3"; empty if not asked for or without crnn.
    """

    fma: float
    matmul: float
    bandwidth: dict[str, float] = field(default_factory=dict)

    @property
    def peak(self) -> float:
        """The FMA peak, GFLOP/s. If a matmul is faster than crnn's probe, it is the peak."""
        return max(self.fma, self.matmul)

    def best(self, other: Probe) -> Probe:
        """The larger of both, for each figure."""
        levels = {**self.bandwidth, **other.bandwidth}
        bandwidth = {
            level: max(self.bandwidth.get(level, 0.0), other.bandwidth.get(level, 0.0))
            for level in levels
        }
        return Probe(max(self.fma, other.fma), max(self.matmul, other.matmul), bandwidth)


@dataclass(frozen=True)
class Bound:
    """The least time for one unit, in seconds, and what takes most of it."""

    seconds: float
    by: str


def caches() -> dict[str, int]:
    """Bytes of each data cache that a core sees, by level ("L1", ...), as Linux names them."""
    found = {}
    for cache in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        level, kind, size = (
            (cache / name).read_text().strip() for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            found["L" + level] = int(size.removesuffix("K")) * 1024
    return found


def probe(itemsize: int, *, bandwidth: bool) -> Probe:
    """Measure this processor; `itemsize` 4 is float32, 8 float64."""
    matmul = _matmul(itemsize)
    try:
        cell: Any = importlib.import_module("crnn._cell")
    except ImportError:
        return Probe(0.0, matmul)
    levels: dict[str, float] = {}
    if bandwidth:
        sizes = caches()
        # Half a level's size fits it. L3 is shared by other cores: four times L2.
        working = {level: size // 2 for level, size in sizes.items() if level in ("L1", "L2")}
        if "L2" in sizes and "L3" in sizes:
            working["L3"] = min(4 * sizes["L2"], sizes["L3"] // 2)
        levels = {level: float(cell.read_bandwidth(size)) for level, size in working.items()}
    return Probe(float(cell.peak_gflops(itemsize)), matmul, levels)


def bound(workload: Workload, measured: Probe, sizes: dict[str, int], threads: int) -> Bound | None:
    """The least time for one unit of `workload`; None without measurements.

    A batch of many rows uses each weight for a tile of rows in registers: FLOPs / peak.

    A batch of one (the row-vector path) has two phases. The first reads the H^2 numbers of Wh once
    per step forward and once backward, each from the nearest cache that holds it. (Successive steps
    read in opposite directions, so they read the cached part first.) The second does dWh += h' da
    for all steps in registers, and reads and writes Wh once per sample. Within a phase, reading and
    arithmetic overlap. A streaming step is the forward half of the first phase.
    """
    if workload.kind == "import" or measured.peak == 0.0:
        return None
    peak = measured.peak * 1e9 * threads
    row_vector = workload.kind == "step" or (workload.kind == "train" and workload.B == 1)
    if not row_vector:
        return Bound(workload.flops / peak, "FMA")
    if not measured.bandwidth:
        return None
    # Threads do not share a batch of one.
    peak = measured.peak * 1e9
    products = 2 * workload.H**2
    walks = workload.N * workload.T * (2 if workload.kind == "train" else 1)
    reads = _read(workload.H**2 * workload.itemsize, measured.bandwidth, sizes)
    spent = {level: walks * seconds for level, seconds in reads.items()}
    walking = max(sum(spent.values()), walks * products / peak)
    accumulating = max(0.0, workload.flops - walks * products) / peak
    spent["FMA"] = accumulating
    return Bound(walking + accumulating, max(spent, key=lambda name: spent[name]))


def _read(size: int, bandwidth: dict[str, float], sizes: dict[str, int]) -> dict[str, float]:
    """Seconds to read `size` bytes if each cache level holds as many as it can."""
    seconds: dict[str, float] = {}
    left = size
    levels = [level for level in ("L1", "L2", "L3") if level in bandwidth]
    for level in levels:
        part = left if level == levels[-1] else min(left, sizes[level])
        seconds[level] = part / (bandwidth[level] * 1e9)
        left -= part
    return seconds


def _matmul(itemsize: int) -> float:
    """GFLOP/s of a product of two large matrices, best of three."""
    matrix = np.ones((_MATMUL, _MATMUL), np.dtype(f"f{itemsize}"))
    product = np.empty_like(matrix)
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        np.matmul(matrix, matrix, out=product)
        best = min(best, time.perf_counter() - begun)
    return 2 * _MATMUL**3 / best / 1e9
