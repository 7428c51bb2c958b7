"""Many fits and predicts in one process: its memory must not grow.

python -m tests.faults.growth [--fits 10000] [--predicts 100000]
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable

from crnn import RNN, Trainer, TrainingDiverged

from .measuring import resident, running_threads, samples, threads_left, where

ALLOWED = 1 << 20  # bytes


def fits(count: int) -> int:
    """Small fits of each kind. Every tenth has two threads, every hundredth diverges."""
    x, y = samples(40, 10, 2)
    large_x, large_y = samples(64, 20, 2)
    threaded = 0
    for i in range(count):
        optimizer, dtype = ("sgd", "adam")[i % 2], ("float32", "float64")[i // 2 % 2]
        if i % 10 == 0:  # 64 rows, 20 steps, H = 100: enough work for a second thread
            model = RNN(2, 100, 1, seed=i, dtype=dtype)
            Trainer(epochs=1, batch_size=64, optimizer=optimizer, threads=2).fit(
                model, large_x, large_y
            )
            threaded += 1
        elif i % 100 == 1:
            try:
                Trainer(learning_rate=1e30, clip_value=None).fit(RNN(2, 8, 1, seed=i), x, y)
                raise AssertionError("steps of 1e30 do not diverge")
            except TrainingDiverged:
                pass
        else:
            model = RNN(2, 8, 1, seed=i, dtype=dtype)
            Trainer(epochs=1, batch_size=1 + i % 7 * 6, optimizer=optimizer).fit(
                model, x, y, validation_data=(x, y) if i % 3 else None
            )
    return threaded


def predicts(count: int) -> None:
    x, _ = samples(40, 10, 2)
    model = RNN(2, 8, 1, seed=0)
    for i in range(count):
        model.predict(x[: 1 + i % 40])


def lowest(work: Callable[[int], object], count: int) -> int:
    """The least memory of three samples: the allocator's pages vary, a leak stays."""
    found = []
    for _ in range(3):
        work(count)
        gc.collect()
        found.append(resident())
    return min(found)


def main() -> None:
    threads_before = running_threads()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fits", type=int, default=10_000)
    parser.add_argument("--predicts", type=int, default=100_000)
    arguments = parser.parse_args()
    print(where())
    for name, work, count in (
        ("fits", fits, arguments.fits),
        ("predicts", predicts, arguments.predicts),
    ):
        work(max(100, count // 4))  # fills what the allocator keeps
        before = lowest(work, count // 20)
        work(count)
        grown = lowest(work, count // 20) - before
        print(f"{count} {name}: the process grew by {grown / 1024:.0f} KiB, allowed 1024")
        assert grown < ALLOWED, grown
    assert threads_left(threads_before) == 0, "a thread is still running"


if __name__ == "__main__":
    main()
