"""Too little memory: under any limit, a fit trains or raises a harmless MemoryError.

    python -m tests.faults.address_space [--limits 60]

The limit is RLIMIT_AS, from too little to enough, in small steps around what is just enough. Linux
only. Not under a sanitizer or an emulator, whose address space would count too.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
from collections import Counter

from crnn import RNN, Trainer

from .measuring import Array, address_space, bits, running_threads, samples, threads_left, where

KIBIBYTE = 1024
HANG = 30  # seconds; a fit takes less than one
TRAINED, REFUSED = "trained", "MemoryError"


def fresh() -> tuple[RNN, Trainer, Array, Array]:
    """A fit of two shards. Malloc maps its workspace of about 40 MiB per thread for each fit."""
    x, y = samples(32, 4000, 2)
    return RNN(2, 128, 1, seed=0), Trainer(epochs=1, seed=0), x, y


def limited(spare: int, threads: int) -> None:
    """Fit with `spare` bytes of address space left; print the outcome and the model's digest."""
    threads_before = running_threads()
    model, trainer, x, y = fresh()
    trainer.threads = threads
    before = bits(model)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + spare, limits[1]))
    try:
        trainer.fit(model, x, y)
        outcome = TRAINED
    except MemoryError:
        outcome = REFUSED
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    resource.setrlimit(resource.RLIMIT_AS, limits)
    if outcome != TRAINED:
        assert bits(model) == before, "the parameters changed"
        trainer.fit(model, x, y)
    assert threads_left(threads_before) == 0, "a thread is still running"
    print(hashlib.sha256(bits(model)).hexdigest(), outcome)


def interpreter(spare: int, threads: int) -> list[str]:
    """Digest and outcome of a limited fit in a separate interpreter."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, "--limited", str(spare), str(threads)],
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # its threads would need stacks
            stdout=subprocess.PIPE,
            text=True,
            timeout=HANG,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ["", f"hung for {HANG} s"]
    if done.returncode:
        return ["", f"ended with {done.returncode}"]
    return done.stdout.strip().split(" ", 1)


def probed(threads: int, count: int) -> bool:
    """Three kinds of limits: a search for the smallest that is enough, near it, and below."""
    expected, outcome = interpreter(1 << 30, threads)
    assert outcome == TRAINED, outcome
    outcomes: Counter[str] = Counter()

    def one(spare: int) -> bool:
        digest, outcome = interpreter(spare, threads)
        outcomes[outcome if digest in ("", expected) else f"{outcome}, another model"] += 1
        return outcome == TRAINED

    refused, enough = 0, 1 << 30
    for _ in range(count):
        middle = (refused + enough) // 2
        if one(middle):
            enough = middle
        else:
            refused = middle
    for i in range(count):
        one(enough + (i - count // 2) * 24 * KIBIBYTE)
    for i in range(count):
        one(enough * i // count)
    print(
        f"threads={threads}, {outcomes.total()} limits: {dict(outcomes)}; enough from "
        f"{enough / KIBIBYTE / 1024:.1f} MiB; after each the model unchanged or trained to the "
        "bits that it has with enough memory",
        flush=True,
    )
    return set(outcomes) == {TRAINED, REFUSED}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limits", type=int, default=60)
    parser.add_argument("--limited", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.limited:
        return limited(*arguments.limited)
    print(where())
    found = [probed(threads, arguments.limits // 3) for threads in (1, 2)]
    if not all(found):
        sys.exit("neither a training nor a MemoryError")
    return None


if __name__ == "__main__":
    main()
