"""How many threads, and the compiled loop run on them."""

from __future__ import annotations

import itertools
import mmap
import os
from _thread import start_new_thread
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Protocol

from crnn import _arguments, _cell

# Multiply-adds that a thread should have between two meetings: about 0.2 ms of them, some ten times
# what a meeting costs. Below that, work stays on fewer threads.
WORK_PER_THREAD = 10_000_000

# What a starting thread takes: a stack, most of it never touched, and a little for Python.
THREAD_BYTES = 9 << 20

# How long a thread may take to come; only one that will never come takes more than a moment.
START_SECONDS = 60


def choose(threads: int | None, work: float, pieces: int) -> int:
    """Threads for `pieces` independent pieces with `work` multiply-adds in all.

    `threads` is what the caller asked for at most; None stands for the processors there are.
    """
    asked = None if threads is None else _arguments.integer("threads", threads)
    useful = max(1, min(pieces, int(work / WORK_PER_THREAD)))
    if useful == 1:
        return 1  # without a look at the machine, which takes longer than a small predict
    return min(useful, processors() if asked is None else asked)


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


def _cgroup_quota(root: Path, own: Path) -> float | None:
    """Processors' worth of time that the control group grants (version 2, then 1), or None."""
    try:
        folders = [line.split(":", 2)[2].lstrip("/") for line in own.read_text().splitlines()]
    except (OSError, IndexError):
        folders = []
    quotas = []
    for folder in {"", *folders}:
        try:
            quota, period = (root / folder / "cpu.max").read_text().split()
            quotas.append(float(quota) / float(period))
        except (OSError, ValueError):  # no such file, or the quota is "max"
            pass
        try:
            cpu = root / "cpu" / folder
            quota = (cpu / "cpu.cfs_quota_us").read_text()
            if float(quota) > 0:
                quotas.append(float(quota) / float((cpu / "cpu.cfs_period_us").read_text()))
        except (OSError, ValueError):
            pass
    return min(quotas, default=None)


class Team(Protocol):
    """Compiled work that `threads` threads do together."""

    threads: int

    def run(self, thread: int) -> None:
        """Do one thread's part, without the GIL; thread 0 is the caller's."""

    def stop(self) -> None:
        """Ask every thread to return soon."""


class Crew:
    """Threads for one fit or predict: started on entry, gone on exit.

    Thread 0 is the caller's own. `run` returns when all have done their part of the team's work.

    The others are started one level below `threading`: its `start` and `join` are Python that a
    signal may leave with a lock in its hands, and its `start` waits for ever for a thread that
    found no memory for its first steps. A queue's `put` and `get` are C: done or not begun.
    """

    _tasks: Sequence[SimpleQueue[Team | None]] = ()

    def __init__(self, threads: int) -> None:
        self._tasks = [SimpleQueue() for _ in range(threads - 1)]
        self._here: SimpleQueue[None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._gone: SimpleQueue[None] = SimpleQueue()

    def __enter__(self) -> Crew:
        try:
            if self._tasks:
                # Taken and given back: what is not there is known now, not after START_SECONDS.
                mmap.mmap(-1, THREAD_BYTES * len(self._tasks)).close()
            # each is given its own queue and the next one's, to hand on that it was dismissed
            pairs = itertools.zip_longest(self._tasks, self._tasks[1:])
            for number, (tasks, following) in enumerate(pairs, 1):
                start_new_thread(
                    _work, (number, tasks, following, self._here, self._done, self._gone)
                )
            for _ in self._tasks:
                self._here.get(timeout=START_SECONDS)
        except (OSError, RuntimeError, Empty) as error:
            raise MemoryError(
                f"the system gives no {len(self._tasks)} more threads; threads=1 needs none"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dismiss()
        for _ in self._tasks:
            self._gone.get()

    def __del__(self) -> None:
        # A signal may come between any two lines, before `__exit__` is armed or within it: a crew
        # that nobody holds any more is dismissed all the same.
        self._dismiss()

    def _dismiss(self) -> None:
        for first in self._tasks[:1]:
            first.put(None)

    def run(self, team: Team) -> None:
        """Run the team's work; what one thread raises stops the others and is raised here.

        Any error here, Ctrl-C at any point included, ends the crew: `__exit__` waits for the
        others, who have been asked to stop.
        """
        try:
            for tasks in self._tasks:
                tasks.put(team)
            team.run(0)
            for _ in self._tasks:
                failure = self._done.get()
                if failure is not None:
                    raise failure
        except BaseException:
            team.stop()
            raise


def _work(
    number: int,
    tasks: SimpleQueue[Team | None],
    following: SimpleQueue[Team | None] | None,
    here: SimpleQueue[None],
    done: SimpleQueue[BaseException | None],
    gone: SimpleQueue[None],
) -> None:
    """What a thread of a crew does until it is dismissed."""
    here.put(None)
    while (team := tasks.get()) is not None:
        try:
            team.run(number)
            done.put(None)
        except BaseException as error:
            team.stop()
            done.put(error)
    if following is not None:
        following.put(None)
    gone.put(None)
