"""How many threads: what the caller asked for, what the work is worth, what the machine has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from crnn import _arguments, _cell

# Multiply-adds that a thread should have between two meetings: about 0.2 ms of them, some ten times
# what a meeting costs. Below that, work stays on fewer threads.
WORK_PER_THREAD = 10_000_000


def choose(threads: int | None, work: float, pieces: int) -> int:
    """Threads for `pieces` independent pieces with `work` multiply-adds in all.

    `threads` is what the caller asked for at most. None stands for the processors of this process,
    or for OMP_NUM_THREADS where that is lower. Many more threads than processors (and than 16) only
    take each other's time, and are not started.
    """
    asked = None if threads is None else _arguments.integer("threads", threads)
    useful = max(1, min(pieces, int(work / WORK_PER_THREAD)))
    if useful == 1:
        return 1  # without a look at the machine, which takes longer than a small predict
    if asked is None:
        return min(useful, processors(), _omp_num_threads() or useful)
    most = min(useful, asked)
    return most if most <= 16 else min(most, max(16, 4 * processors()))


def cpu_info() -> dict[str, Any]:
    """What this machine offers and what is used of it.

    Returns
    -------
    dict
        "isa": the instruction set in use; "available": those that may run here, best first, any of
        which the environment variable CRNN_ISA selects; "processors": how many this process may
        use, by its affinity and its cgroup's quota.

    Examples
    --------
    >>> import crnn
    >>> sorted(crnn.cpu_info())
    ['available', 'isa', 'processors']
    """
    return {"isa": _cell.active(), "available": _cell.available(), "processors": processors()}


def processors() -> int:
    """Processors that this process may use, by its affinity and its cgroup's quota."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = _cgroup_quota(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
    return count if quota is None else max(1, min(count, int(quota)))


def _omp_num_threads() -> int | None:
    """The limit that OMP_NUM_THREADS sets now, or None. Of a list, the outermost level's."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) or None if first.isascii() and first.isdecimal() else None


def _cgroup_quota(root: Path, own: Path) -> float | None:
    """Processors' worth of time that the control groups grant (versions 2 and 1), or None."""
    folders = {Path()}
    for line in _read(own).splitlines():
        group = Path(line.split(":", 2)[-1].lstrip("/"))
        folders |= {group, *group.parents}
    quotas = []
    for folder in folders:
        old = root / "cpu" / folder
        for quota, period in (
            (_read(root / folder / "cpu.max") + " none none").split()[:2],
            (_read(old / "cpu.cfs_quota_us"), _read(old / "cpu.cfs_period_us")),
        ):
            if quota.strip().isdecimal() and period.strip().isdecimal():  # neither "max" nor -1
                quotas.append(float(quota) / float(period))
    return min(quotas, default=None)


def _read(path: Path) -> str:
    """What the file holds, or nothing where the system says that there is none."""
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        if error.errno is None:  # not the system's: a signal's handler raised it
            raise
        return ""
