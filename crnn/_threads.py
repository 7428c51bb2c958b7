"""The number of threads: limited by the caller, the amount of work and the machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from crnn import _arguments, _cell

if TYPE_CHECKING:
    from pathlib import Path

# Least multiply-adds of a thread between two synchronisations: about 0.2 ms of work, ten times the
# cost of a synchronisation. Less work runs on fewer threads.
WORK_PER_THREAD = 10_000_000


def choose(threads: int | None, work: float, pieces: int) -> int:
    """Threads for `pieces` independent pieces with `work` multiply-adds in total.

    `threads` is the caller's limit. None stands for the processors of this process, or for
    OMP_NUM_THREADS if that is lower. Threads beyond 16 and beyond four for each processor are not
    started, because they only slow each other down.
    """
    asked = None if threads is None else _arguments.integer("threads", threads)
    useful = max(1, min(pieces, int(work / WORK_PER_THREAD)))
    if useful == 1:
        return 1  # asking the machine takes longer than a small predict
    if asked is None:
        return min(useful, processors(), _omp_num_threads() or useful)
    most = min(useful, asked)
    return most if most <= 16 else min(most, max(16, 4 * processors()))


def cpu_info() -> dict[str, Any]:
    """Return the instruction sets and the processors that crnn can use.

    Returns
    -------
    dict
        "isa": the instruction set in use. "available": all instruction sets that this machine can
        run, best first; the environment variable CRNN_ISA selects one. "processors": the number of
        processors that this process may use, by its affinity and its cgroup's quota.

    Examples
    --------
    >>> import crnn
    >>> sorted(crnn.cpu_info())
    ['available', 'isa', 'processors']
    """
    return {"isa": _cell.active(), "available": _cell.available(), "processors": processors()}


def processors() -> int:
    """The number of processors that this process may use, by affinity and cgroup quota."""
    from pathlib import Path  # here, because it takes as long as a third of `import crnn`

    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = _cgroup_quota(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
    return count if quota is None else max(1, min(count, int(quota)))


def _omp_num_threads() -> int | None:
    """The present limit by OMP_NUM_THREADS, or None. In a list, the first number counts."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) or None if first.isascii() and first.isdecimal() else None


def _cgroup_quota(root: Path, own: Path) -> float | None:
    """The quota of the control groups (versions 2 and 1) in processors, or None."""
    from pathlib import Path

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
    """The text of the file; empty if the system cannot read it."""
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        if error.errno is None:  # raised by a signal handler, not by the system
            raise
        return ""
