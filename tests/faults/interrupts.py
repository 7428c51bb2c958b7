"""Ctrl-C at random moments of training: response times, and whether the model is valid.

    python -m tests.faults.interrupts [--count 200] [--threads 1 2] [--within 0.1]

Other work on the processors changes the times: measure on an idle machine.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np

from crnn import RNN, Trainer

from .measuring import bits, finite, samples, where

# Batches of about 5 ms, which can be replayed one by one; and one batch of several seconds.
CASES = {"short batches": (480, 25, 8, 96, 120), "one long batch": (4000, 100, 16, 256, 4000)}

HANG = 600  # seconds for all interrupts of a case, which take one to two minutes


def trains(case: str, threads: int, count: int) -> None:
    """The interrupted interpreter: prints a line when it starts and when it is stopped."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rows, steps, inputs, hidden, batch = CASES[case]
    x, y = samples(rows, steps, inputs)
    before = RNN(inputs, hidden, 1, seed=0)
    settings: dict[str, Any] = {"batch_size": batch, "shuffle": False, "threads": threads}
    for _ in range(count):
        model = RNN(inputs, hidden, 1, seed=0)
        try:
            print("begins", flush=True)
            Trainer(epochs=10**6, **settings).fit(model, x, y)
        except KeyboardInterrupt:
            print(time.monotonic(), flush=True)
        assert finite(model)
        if case == "one long batch":
            assert bits(model) == bits(before), "the parameters contain a part of a batch"
        else:  # equal to those after some whole number of batches; SGD has no state
            replayed, batches = RNN(inputs, hidden, 1, seed=0), 0
            while bits(replayed) != bits(model):
                part = slice(batches * batch % rows, batches * batch % rows + batch)
                Trainer(epochs=1, **settings).fit(replayed, x[part], y[part])
                batches += 1
                assert batches < 1000, "the parameters match no whole number of batches"
        few = slice(0, 16)
        Trainer(epochs=1).fit(model, x[few], y[few])
        assert np.isfinite(model.predict(x[few])).all()


def interrupt(case: str, threads: int, count: int) -> list[float]:
    """Seconds from each signal to the except clause."""
    child = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, "--trains", case, "--threads", str(threads),
         "--count", str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    latencies = []
    watchdog = threading.Timer(HANG, child.kill)
    watchdog.start()
    try:
        assert child.stdout is not None
        for _ in range(count):
            assert child.stdout.readline() == "begins\n"
            time.sleep(random.uniform(0, 0.25))
            sent = time.monotonic()
            child.send_signal(signal.SIGINT)
            answer = child.stdout.readline()
            assert answer, "it hung and was killed, or it failed"
            latencies.append(float(answer) - sent)
        assert child.wait(60) == 0
    finally:
        watchdog.cancel()
        child.kill()
        child.wait()
    return latencies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--within", type=float, default=0.1, help="seconds; 0: not checked")
    parser.add_argument("--trains", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.trains:
        trains(arguments.trains, arguments.threads[0], arguments.count)
        return
    print(where())
    random.seed(0)
    slow = 0
    for threads in arguments.threads:
        for case in CASES:
            found = np.array(interrupt(case, threads, -(-arguments.count // len(CASES)))) * 1e3
            half, most = np.percentile(found, [50, 99])
            slow += int((found > arguments.within * 1e3).sum()) if arguments.within else 0
            print(
                f"threads={threads}, {case}: {found.size} interrupts answered after "
                f"{half:.1f} ms (median), {most:.1f} (99 %), {found.max():.1f} (worst); "
                "each model valid, with whole batches only",
                flush=True,
            )
    if slow:
        sys.exit(f"{slow} answers took more than {arguments.within} s")


if __name__ == "__main__":
    main()
