"""fork while threads run, spawn, forkserver: every child trains to the parent's bits.

python -m tests.faults.processes [--children 8]
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import threading

from crnn import RNN, Trainer

from .measuring import bits, samples, where

HANG = 600  # seconds; far more than any child needs, even emulated


def work(threads: int) -> str:
    """Train and predict; return the digest of the results."""
    x, y = samples(200, 20, 3)
    model = RNN(3, 128, 1, seed=0)
    Trainer(epochs=2, batch_size=100, seed=0, threads=threads).fit(model, x, y)
    return hashlib.sha256(bits(model) + model.predict(x, threads=threads).tobytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--children", type=int, default=8)
    arguments = parser.parse_args()
    print(where())
    expected = work(1)
    stop = threading.Event()

    def train_on() -> None:
        while not stop.is_set():
            work(2)

    busy = threading.Thread(target=train_on)
    busy.start()
    try:
        for method in multiprocessing.get_all_start_methods():
            context = multiprocessing.get_context(method)
            with context.Pool(2) as pool:
                found = pool.map_async(work, [1 + i % 3 for i in range(arguments.children)], 1)
                digests = found.get(HANG)
            assert digests == [expected] * arguments.children, method
            print(
                f"{method}: {arguments.children} trainings on 1 to 3 threads in 2 processes, "
                "started while a thread of the parent trained, have the parent's bits"
            )
    finally:
        stop.set()
        busy.join()
    assert work(2) == expected, "the parent computes other bits afterwards"


if __name__ == "__main__":
    main()
