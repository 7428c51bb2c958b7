"""Two networks at once: in two threads of one process, and in two processes.

    python -m bench.many_networks [--rounds 15] [--epochs 100]

Needs two idle processors. The bits of both are compared first. A round times both in turn, in an
order that alternates. The factor is the best time of two processes divided by that of two threads:
below 1, threads are slower.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

import crnn

# The sizes of the row "small": N, T, H, B.
SAMPLES, TIMESTEPS, HIDDEN, BATCH = 2048, 25, 32, 32


RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((SAMPLES, TIMESTEPS, 1), dtype=np.float32)
Y = RANDOM.standard_normal((SAMPLES, 1), dtype=np.float32)


def trained(seed: int, epochs: int) -> bytes:
    """The parameters of a network after `epochs` epochs."""
    model = crnn.RNN(1, HIDDEN, 1, seed=seed)
    crnn.Trainer(epochs, batch_size=BATCH, seed=seed, threads=1).fit(model, X, Y)
    return b"".join(array.tobytes() for array in model.state_dict().values())


def serve(processor: int, pipe: Connection) -> None:
    """Train in a separate process, at each request from the pipe."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {processor})
    while (asked := pipe.recv()) is not None:
        pipe.send(trained(*asked))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()
    processors = sorted(os.sched_getaffinity(0))[:2]
    if len(processors) < 2:
        parser.error("two processors are needed")
    os.sched_setaffinity(0, processors)
    context = multiprocessing.get_context("spawn")
    pipes, children = [], []
    for processor in processors:
        here, there = context.Pipe()
        child = context.Process(target=serve, args=(processor, there), daemon=True)
        child.start()
        pipes.append(here)
        children.append(child)
    seeds = (0, 1)

    def in_processes(epochs: int) -> list[bytes]:
        for pipe, seed in zip(pipes, seeds, strict=True):
            pipe.send((seed, epochs))
        return [pipe.recv() for pipe in pipes]

    with ThreadPoolExecutor(2) as pool:

        def in_threads(epochs: int) -> list[bytes]:
            return list(pool.map(lambda seed: trained(seed, epochs), seeds))

        ways: dict[str, Any] = {"two threads": in_threads, "two processes": in_processes}
        one_by_one = [trained(seed, 3) for seed in seeds]
        for name, way in ways.items():
            if way(3) != one_by_one:
                raise SystemExit(f"{name}: the bits differ from training one by one")
        best = dict.fromkeys([*ways, "one by one"], float("inf"))
        for count in range(options.rounds):
            for name in list(ways)[:: 1 if count % 2 else -1]:
                start = time.perf_counter()
                ways[name](options.epochs)
                best[name] = min(best[name], time.perf_counter() - start)
            start = time.perf_counter()
            for seed in seeds:
                trained(seed, options.epochs)
            best["one by one"] = min(best["one by one"], time.perf_counter() - start)
    for pipe, child in zip(pipes, children, strict=True):
        pipe.send(None)
        child.join()
    print(f"crnn {crnn.__version__}, {crnn.cpu_info()['isa']}, NumPy {np.__version__}")
    print(f"load {os.getloadavg()[0]:.2f}, best of {options.rounds} rounds")
    for name, seconds in best.items():
        print(f"{name:14} {1e3 * seconds / options.epochs:7.3f} ms per epoch of both")
    print(f"factor {best['two processes'] / best['two threads']:.3f}")


if __name__ == "__main__":
    main()
