"""The race: one process per contestant. Results are checked, then turns are timed."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Pipe
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from bench import reference
from bench.roofline import Bound, Probe, bound, caches
from bench.workloads import Workload

ROOT = Path(__file__).resolve().parent.parent

# The largest |result - reference| / |reference - start| of any array (see reference.error). Float64
# peers differ by at most 3e-14. Float32 peers differ by up to 6e-5, on seed32: rounding errors grow
# over its 275 updates.
TOLERANCES = {"float64": 1e-10, "float32": 1e-3}

# Long enough for any single run on a slow and busy machine, with compilation.
ANSWER_SECONDS = 600.0

_NEVER = float("inf")

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NPROC",
)


@dataclass(frozen=True)
class Contestant:
    """A peer on a workload.

    Attributes
    ----------
    label : str
        Its name in the row.
    peer : str
    workload : Workload
    threads : int
        Of each process.
    processes : int
        How many run the same work at the same time, each on its own processors.
    comparable : bool
        False for a peer with wider vectors than crnn's: it does not count as the strongest.
    """

    label: str
    peer: str
    workload: Workload
    threads: int
    processes: int = 1
    comparable: bool = True


@dataclass
class Measurement:
    """The result of a contestant.

    Attributes
    ----------
    status : str
        "timed"; "absent" (its library is not installed); "wrong" (its result differs from the
        reference, so it is not timed); "failed".
    seconds : float
        Seconds for one unit, the best of all turns; infinite unless timed. With several processes:
        the harmonic mean over them while all run, because their joint work counts.
    turns : list of float
        The best of each turn, one per round.
    error : float
        Distance from the reference (`reference.error`).
    reason : str
        Why it was not timed.
    software : tuple of str
        Name and version of the peer's library.
    """

    contestant: Contestant
    status: Literal["timed", "absent", "wrong", "failed"]
    seconds: float = float("inf")
    turns: list[float] = field(default_factory=list)
    error: float = float("nan")
    reason: str = ""
    software: tuple[str, str] = ("", "")


@dataclass
class Row:
    """A finished race: the measurements by label, and the processor's peak during it."""

    workload: Workload
    threads: int
    measurements: dict[str, Measurement]
    probe: Probe
    bound: Bound | None


class AbsentError(Exception):
    """The library of a peer is not installed."""


class Worker:
    """A process of `bench.worker`, pinned to `cpus`; not pinned if there are none."""

    def __init__(self, cpus: list[int], threads: int, variables: dict[str, str]) -> None:
        environment = {**os.environ, **variables}
        environment.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
        environment["MKL_THREADING_LAYER"] = "INTEL" if threads > 1 else "SEQUENTIAL"
        environment["JAX_PLATFORMS"] = "cpu"
        eigen = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {eigen}".strip()
        self.pipe, far = Pipe()
        with far:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "bench.worker",
                    str(far.fileno()),
                    ",".join(str(cpu) for cpu in cpus),
                ],
                pass_fds=[far.fileno()],
                env=environment,
                cwd=ROOT,
            )

    def ask(self, command: str, *arguments: Any) -> Any:
        """The answer of `bench.worker.Contestant.command`; raises AbsentError or RuntimeError."""
        self.send(command, *arguments)
        return self.receive()

    def send(self, command: str, *arguments: Any) -> None:
        """The first half of `ask`, so that several workers can run at once."""
        try:
            self.pipe.send((command, arguments))
        except (BrokenPipeError, ConnectionResetError):
            raise self._ended() from None
        self.sent = command

    def receive(self) -> Any:
        """The second half of `ask`."""
        try:
            if not self.pipe.poll(ANSWER_SECONDS):
                raise RuntimeError(f"no answer to {self.sent} in {ANSWER_SECONDS:.0f} s")
            status, value = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._ended() from None
        if status == "absent":
            raise AbsentError(value)
        if status == "failed":
            raise RuntimeError(value)
        return value

    def _ended(self) -> RuntimeError:
        return RuntimeError(f"its process ended ({self.process.wait()})")

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.pipe.close()
        try:
            self.process.wait(5.0 if kind is None else 0.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def processors(threads: int) -> list[int]:
    """The last `threads` processors of this process; none if the system cannot pin."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    available = sorted(os.sched_getaffinity(0))
    if threads > len(available):
        raise ValueError(f"threads must be at most {len(available)} here, got {threads}")
    return available[-threads:]


def race(
    contestants: list[Contestant], *, rounds: int, budget: float, variables: dict[str, str]
) -> Row:
    """Check every contestant against the reference, then time them in interleaved rounds.

    In each round every contestant has one turn of at least `budget` seconds, and the processor's
    peak is measured once. The row gets the first contestant's workload. `variables` are
    added to the environment of every process.
    """
    workload, threads = contestants[0].workload, contestants[0].threads
    with ExitStack() as stack:
        aside = stack.enter_context(Worker(processors(1), 1, variables))
        measurements: dict[str, Measurement] = {}
        runners: dict[str, list[Worker]] = {}
        for contestant in contestants:
            workers = []
            for cpus in _shares(contestant):
                workers.append(Worker(cpus, contestant.threads, variables))
                stack.enter_context(workers[-1])
            checks = [_check(contestant, worker, aside) for worker in workers]
            measurement = next((found for found in checks if found.status != "timed"), checks[0])
            measurements[contestant.label] = measurement
            if measurement.status == "timed":
                runners[contestant.label] = workers
        bandwidth = workload.B == 1 and workload.kind in ("train", "step")
        probe = Probe(0.0, 0.0)
        for _ in range(rounds):
            if workload.flops:
                probe = probe.best(aside.ask("probe", workload.itemsize, bandwidth))
            for label, workers in list(runners.items()):
                measurement = measurements[label]
                try:
                    measurement.turns.append(_turn(workers, budget, workload.units))
                except RuntimeError as failure:
                    measurement.status, measurement.reason = "failed", str(failure)
                    del runners[label]
        for label in runners:
            measurement = measurements[label]
            measurement.seconds = min(measurement.turns)
            if measurement.seconds == _NEVER:
                measurement.status, measurement.reason = (
                    "failed",
                    "its processes never ran at the same time",
                )
    return Row(workload, threads, measurements, probe, bound(workload, probe, caches(), threads))


def side_by_side(spans: list[list[tuple[float, float]]]) -> list[float]:
    """The shortest run of each process among those during which all processes ran.

    `spans` holds the begin and end of each run, by process. A process without such a run gets
    infinity.
    """
    begun = max(runs[0][0] for runs in spans)
    ended = min(runs[-1][1] for runs in spans)
    return [
        min((end - start for start, end in runs if begun <= start and end <= ended), default=_NEVER)
        for runs in spans
    ]


def _turn(workers: list[Worker], budget: float, units: int) -> float:
    """Seconds for one unit, the best of a turn; for several processes their harmonic mean."""
    # Of three runs of similar length, at least one is while all processes run.
    least = 1 if len(workers) == 1 else 3
    for worker in workers:
        worker.send("turn", budget, least)
    best = side_by_side([worker.receive() for worker in workers])
    if max(best) == _NEVER:
        return _NEVER
    return len(best) / sum(1 / seconds for seconds in best) / units


def _shares(contestant: Contestant) -> list[list[int]]:
    """The processors of each process of a contestant."""
    cpus = processors(contestant.threads * contestant.processes)
    if not cpus:
        return [[]] * contestant.processes
    threads = contestant.threads
    return [cpus[at : at + threads] for at in range(0, len(cpus), threads)]


def _check(contestant: Contestant, worker: Worker, aside: Worker) -> Measurement:
    """Prepare a contestant and compare its first result with the reference."""
    workload = contestant.workload
    try:
        result, software = worker.ask("prepare", contestant.peer, workload, contestant.threads)
    except AbsentError as absence:
        return Measurement(contestant, "absent", reason=str(absence))
    except RuntimeError as failure:
        return Measurement(contestant, "failed", reason=str(failure))
    wanted, start = aside.ask("expected", workload, contestant.peer == "notebook")
    error = reference.error(result, wanted, start)
    tolerance = TOLERANCES[workload.dtype]
    if error <= tolerance:
        return Measurement(contestant, "timed", error=error, software=software)
    reason = f"differs from the reference by {error:.1e}, at most {tolerance:.0e} is allowed"
    return Measurement(contestant, "wrong", error=error, reason=reason, software=software)
