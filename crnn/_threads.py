"""How many threads, and the compiled loop run on them."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Protocol

from crnn import _arguments

# Multiply-adds that a thread should have between two meetings: about 0.2 ms of them, some ten times
# what a meeting costs. Below that, work stays on fewer threads.
WORK_PER_THREAD = 10_000_000


def choose(threads: int | None, work: float, pieces: int) -> int:
    """Threads for `pieces` independent pieces with `work` multiply-adds in all.

    `threads` is what the caller asked for at most; None stands for the processors there are.
    """
    most = processors() if threads is None else _arguments.integer("threads", threads)
    return max(1, min(most, pieces, int(work / WORK_PER_THREAD)))


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
    """

    def __init__(self, threads: int) -> None:
        self._tasks: list[SimpleQueue[Team | None]] = [SimpleQueue() for _ in range(threads - 1)]
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, args=(i + 1, tasks), name="crnn", daemon=True)
            for i, tasks in enumerate(self._tasks)
        ]

    def __enter__(self) -> Crew:
        started = 0
        try:
            for thread in self._threads:
                thread.start()
                started += 1
        except BaseException:
            for tasks in self._tasks[:started]:
                tasks.put(None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for tasks in self._tasks:
            tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, number: int, tasks: SimpleQueue[Team | None]) -> None:
        while (team := tasks.get()) is not None:
            try:
                team.run(number)
                self._done.put(None)
            except BaseException as error:
                team.stop()
                self._done.put(error)

    def run(self, team: Team) -> None:
        """Run the team's work; what one thread raises stops the others and is raised here."""
        for tasks in self._tasks:
            tasks.put(team)
        failure: BaseException | None = None
        try:
            team.run(0)
        except BaseException as error:
            team.stop()
            failure = error
        waiting = len(self._tasks)
        while waiting:
            try:
                failure = self._done.get() or failure
                waiting -= 1
            except BaseException as error:  # Ctrl-C while the others finish
                team.stop()
                failure = error
        if failure is not None:
            raise failure
