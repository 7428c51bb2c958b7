"""Numbers that must never change: tanh, exp, log, and what networks of version 0.1 predict.

Instruction sets with fused multiply-adds share one digest; the portable one has its own. Trained
weights are not tested here: a new order of sums may change their last bits, but not these numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from samples import Array

from crnn import RNN, _cell

pytestmark = pytest.mark.kernel

FUSED = _cell.active() != "portable"
DTYPES = ["float32", "float64"]

# (what, type, whether multiply and add are fused): measured on AVX-512, AVX2 and portable.
DIGESTS = {
    ("tanh", "float32", True): "3af45be82682f21a343a0d4eb3a1507b864c861bce2fee5e3cd6ae09dc266e96",
    ("tanh", "float32", False): "50fbad9a88544a76c35904f049ec2f6aad1dc087303609c23c0eccc7f8826058",
    ("tanh", "float64", True): "34a5c656a3fabe816d72ef16c73e594eed479c449ae7f49b0de454f9d6516cc4",
    ("tanh", "float64", False): "f7e5d7c0810b3a3bde704a1dd271bfa421cb72b044f4c7506543ad88eef6e0f8",
    ("exp", "float32", True): "647540ac2f5e522e8f2c448ad2de6bcf9c64b87d28f02bef4bdf3d473bbef1d1",
    ("exp", "float32", False): "d977d90ef578cb61d774766cc85ffe7d05874b7f053ce5521e443c23a1a2289c",
    ("exp", "float64", True): "e94d4efac8766524249c024389197556cb16c332ebfb6b6311dbd5a77cd24d65",
    ("exp", "float64", False): "bb7bd1f8c7bc1e7f0e61467c813e785a59f54bbe84a45c498488cee8bb81aa63",
    ("log", "float32", True): "349f86893a6aa41716e060cd8dadc41fda419be71b919dbc5b1a6c0777fa9cb8",
    ("log", "float32", False): "4007bc3e52488451f7201102e568417c08ca7445d578efd4d72c29294aa181d5",
    ("log", "float64", True): "8bac18250c6c89cc4472cd2766efb8c1a72cd4f8bd2591c5ca5dc8bcc1d738e5",
    ("log", "float64", False): "7fb6106cc9999de84e1b32f9e79a5967dd6997604e6640c9fc9a467a576483aa",
    ("runs", "float32", True): "89d1b01905c74b9f791c40b40cfe37bd3459928f8c37b9f439517b25678a4a9b",
    ("runs", "float32", False): "4fdcd73615cf0e8e5b9339f6a35895467a061a1e5ccdfd5776c9301a501ea5a4",
    ("runs", "float64", True): "dee69d1e69b649e4067ef93bd37f79e36563865de5fd3fd9c87c15ab8689ce5e",
    ("runs", "float64", False): "b0f53f3a81206d5f5a03670775fff413093ff253148279cd7b9ffe1ee04ac9c4",
}


def digest(arrays: Iterable[Array]) -> str:
    """SHA-256 of the arrays, little-endian."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return sha.hexdigest()


def numbers(*shape: int) -> Array:
    """Multiples of 1/2048 from -1 to below 1, by Knuth's multiplicative hashing: exact anywhere."""
    hashed = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(2654435761)
    return ((hashed >> np.uint64(13)) % np.uint64(4096)).astype(np.float64).reshape(
        shape
    ) / 2048 - 1


def inputs(dtype: str) -> Array:
    """Numbers of all exponents and both signs, and many between -20 and 20."""
    kind: Any = {"float32": np.uint32, "float64": np.uint64}[dtype]
    count = np.arange(1_000_000, dtype=np.uint64)
    # multiples of an odd number cover all bit patterns, and their high bits all exponents
    odd = {"float32": 2654435761, "float64": 11400714819323198485}[dtype]
    patterns = (count * np.uint64(odd)).astype(kind).view(dtype)
    between = (np.arange(-500_000, 500_000) / 25_000).astype(dtype)
    return np.concatenate([patterns[~np.isnan(patterns)], between])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "exp", "log"])
def test_functions(name: str, dtype: str) -> None:
    x = inputs(dtype)
    if name == "log":
        x = np.abs(x)
    y = np.empty_like(x)
    getattr(_cell, name)(x, y)
    assert digest([y]) == DIGESTS[name, dtype, FUSED]


def predictions(dtype: str) -> list[Array]:
    """Outputs of networks of many shapes for many rows, for one row, and step by step."""
    found = []
    for inputs, hidden, outputs, timesteps, rows in [
        (1, 1, 1, 5, 50),
        (1, 32, 1, 40, 67),
        (3, 37, 2, 13, 67),
        (1, 100, 1, 25, 130),
        (5, 64, 3, 9, 61),
        (2, 131, 5, 11, 29),
    ]:
        model = RNN(inputs, hidden, outputs, dtype=dtype, seed=0)
        names = model.parameters()
        drawn = numbers(sum(w.size for w in names.values()))
        for name, w in names.items():
            scale = 1 / 8 if name == "Wh_l0" and hidden > 1 else 1 / 2  # powers of two
            part, drawn = drawn[: w.size], drawn[w.size :]
            w[...] = scale * part.reshape(w.shape)
        x = numbers(rows, timesteps, inputs)
        stream = model.stream(3)
        found += [model.predict(x), model.predict(x[:1])]
        found += [stream.step(x[:3, t]) for t in range(timesteps)]
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_predictions_and_streams_of_version_0_1(dtype: str) -> None:
    assert digest(predictions(dtype)) == DIGESTS["runs", dtype, FUSED]
