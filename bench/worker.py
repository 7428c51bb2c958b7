"""The process of one contestant: pinned, alive for a whole row, controlled through a pipe.

Started as `python -m bench.worker DESCRIPTOR CPU,CPU,...` with the libraries' thread variables
already in its environment. It answers ("ok", value), ("absent", reason) or ("failed", reason).
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

from bench import peers, reference, roofline
from bench.workloads import Array, Workload, weights


class Contestant:
    """The runner of one peer: `prepare` makes it, `turn` times it."""

    def prepare(
        self, peer: str, workload: Workload, threads: int
    ) -> tuple[dict[str, Array], tuple[str, str]]:
        """Make the runner and run it once, which also compiles and warms up.

        Returns the result (of one epoch, one call, or all steps), and the name and version of the
        peer's library.
        """
        self.workload = workload
        self.runner = peers.runner(peer, workload, threads)
        self.runner.reset()
        self.runner.run(1 if workload.kind == "train" else workload.units)
        found = self.runner.result(), peers.software(peer)
        gc.collect()
        gc.freeze()
        gc.disable()
        return found

    def turn(self, budget: float, least: int) -> list[tuple[float, float]]:
        """Run for `budget` seconds, at least `least` times. Returns the begin and end of each run.

        In seconds of time.monotonic, which all processes of a machine share.
        """
        units, end = self.workload.units, time.monotonic() + budget
        spans: list[tuple[float, float]] = []
        while len(spans) < least or spans[-1][1] < end:
            self.runner.reset()
            begun = time.monotonic()
            self.runner.run(units)
            spans.append((begun, time.monotonic()))
        return spans

    def expected(self, workload: Workload, notebook: bool) -> tuple[dict[str, Array], Any]:
        """The reference's result, and the start from which a change is measured."""
        start = weights(workload) if workload.kind == "train" else {}
        return reference.expected(workload, notebook=notebook), start

    def probe(self, itemsize: int, bandwidth: bool) -> roofline.Probe:
        """Measure the peak and the caches' bandwidths on this processor."""
        return roofline.probe(itemsize, bandwidth=bandwidth)


def main() -> None:
    """Serve until the pipe is closed."""
    descriptor, cpus = int(sys.argv[1]), {int(cpu) for cpu in sys.argv[2].split(",") if cpu}
    if cpus:
        os.sched_setaffinity(0, cpus)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness is interrupted and closes the pipe
    contestant = Contestant()
    with Connection(descriptor) as pipe:
        while True:
            try:
                command, arguments = pipe.recv()
            except EOFError:
                return
            try:
                answer = "ok", getattr(contestant, command)(*arguments)
            except ImportError as reason:
                answer = "absent", str(reason)
            except Exception as reason:  # any failure of a peer is a line of the report
                answer = "failed", f"{type(reason).__name__}: {reason}"
            pipe.send(answer)


if __name__ == "__main__":
    main()
