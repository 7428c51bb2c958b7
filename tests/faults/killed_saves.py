"""SIGKILL while a model is being saved: the file is the old one or the new one.

python -m tests.faults.killed_saves [--count 200]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from crnn import RNN

from .measuring import where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    arguments = parser.parse_args()
    print(where())
    random.seed(0)
    outcomes: Counter[str] = Counter()
    during = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        old, new = (RNN(4, 512, 1, seed=seed) for seed in (0, 1))
        new.save(path)
        new_bytes = path.read_bytes()
        start = time.monotonic()
        old.save(path)
        seconds = time.monotonic() - start
        old_bytes = path.read_bytes()
        for _ in range(arguments.count):
            path.write_bytes(old_bytes)
            child = os.fork()
            if child == 0:
                new.save(path)
                signal.pause()
            time.sleep(random.uniform(0, 1.5 * seconds))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            content = path.read_bytes()
            assert content in (old_bytes, new_bytes), "neither the old file nor the new one"
            RNN.load(path)
            outcomes["old" if content == old_bytes else "new"] += 1
            for left in Path(folder).glob(".crnn-*.tmp"):
                during += 1
                left.unlink()
            assert os.listdir(folder) == [path.name]
    print(
        f"{arguments.count} kills while {len(new_bytes)} bytes were saved: {dict(outcomes)}, never "
        f"anything else; {during} hit while the temporary file existed"
    )


if __name__ == "__main__":
    main()
