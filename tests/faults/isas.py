"""Interpreters under different CRNN_ISA read each other's files.

    python -m tests.faults.isas

The parameters have the same bits everywhere. `predict` has the same bits on all instruction sets
with fused multiply-adds. The others agree within rounding errors.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import crnn
from crnn import RNN, Trainer

from .measuring import bits, samples, where

FUSED = {"avx2", "avx512", "neon"}


def interpreter(isa: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", __spec__.name, *arguments],
        env=os.environ | {"CRNN_ISA": isa},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.strip()


def write(path: str, dtype: str) -> None:
    x, y = samples(100, 25, 3, 2)
    model = RNN(3, 70, 2, dtype=dtype, seed=0)
    Trainer(epochs=3, optimizer="adam", seed=0).fit(model, x, y)
    model.save(path)
    print(hashlib.sha256(bits(model)).hexdigest())


def read(path: str) -> None:
    model = RNN.load(path)
    x, _ = samples(100, 25, 3, 2)
    print(hashlib.sha256(bits(model)).hexdigest())
    np.save(f"{path}.{crnn.cpu_info()['isa']}.npy", model.predict(x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        return write(*arguments.write)
    if arguments.read:
        return read(arguments.read)
    print(where())
    isas = crnn.cpu_info()["available"]
    for dtype, within in (("float32", 1e-5), ("float64", 1e-13)):
        digests = {}
        with tempfile.TemporaryDirectory() as folder:
            for writer in isas:
                path = str(Path(folder) / writer)
                digests[writer] = interpreter(writer, "--write", path, dtype)
                outputs = {}
                for reader in isas:
                    assert interpreter(reader, "--read", path) == digests[writer], (
                        "other parameters"
                    )
                    outputs[reader] = np.load(f"{path}.{reader}.npy")
                fused = [outputs[isa] for isa in isas if isa in FUSED]
                assert all(other.tobytes() == fused[0].tobytes() for other in fused)
                for other in outputs.values():
                    assert np.abs(other - outputs[isas[0]]).max() < within
        same = len({digest for isa, digest in digests.items() if isa in FUSED}) <= 1
        print(
            f"{dtype}: files of {isas}, each read under each: the same parameters; predict has the "
            f"same bits under {[isa for isa in isas if isa in FUSED]}, else within {within:g}; "
            f"the trained weights {'too have' if same else 'do not have'} the same bits there"
        )
    return None


if __name__ == "__main__":
    main()
