"""The peers in C: `c/blas*.c` on each BLAS, `c/fixed*.c` with its sizes compiled in.

They are compiled when a row starts, into the folder $CRNN_BENCH_BUILD. An ImportError says why one
cannot run.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.instruction_sets import INSTRUCTION_SETS
from bench.peers import blas
from bench.workloads import Array, Workload, data, time_major, weights

SOURCES = Path(__file__).resolve().parent.parent / "c"


@dataclass(frozen=True)
class Variant:
    """One way to run `c/blas.c`.

    Attributes
    ----------
    find : callable
        Returns the library.
    packed : bool
        Whether the library packs the weights once per batch (predict: once) for all products.
    chunks : bool
        Whether the gradients' product is taken every few steps, while their states are cached.
    """

    find: Callable[[], blas.Blas]
    packed: bool = False
    chunks: bool = False


VARIANTS = {
    "c-mkl": Variant(blas.mkl),
    "c-mkl-chunks": Variant(blas.mkl, chunks=True),
    "c-mkl-packed": Variant(blas.mkl, packed=True),
    "c-mkl-packed-chunks": Variant(blas.mkl, packed=True, chunks=True),
    "c-openblas": Variant(blas.openblas),
    "c-openblas-chunks": Variant(blas.openblas, chunks=True),
    "c-aocl": Variant(blas.aocl),
    "c-aocl-chunks": Variant(blas.aocl, chunks=True),
    "c-aocl-packed": Variant(blas.aocl, packed=True),
    "c-aocl-packed-chunks": Variant(blas.aocl, packed=True, chunks=True),
}


def enters(variant: Variant, workload: Workload) -> bool:
    """Whether a variant enters a row: a batch of one has no product to pack or to cut up."""
    if workload.kind == "train" and workload.B == 1:
        return not (variant.packed or variant.chunks)
    return workload.kind == "train" or not variant.chunks


class Trained:
    """Epochs of a compiled program: `load`, `train`, `store`."""

    def __init__(self, program: ctypes.CDLL, workload: Workload, *, ones: bool) -> None:
        """`ones`: x gets a last column of ones, for the bias."""
        self.program = program
        x, self.y = data(workload)
        batches, T, B = workload.N // workload.B, workload.T, workload.B
        # Time-major batches, copied once, as for JAX.
        features = workload.input_size
        self.x = np.ones((batches, T, B, features + ones), workload.dtype)
        self.x[..., :features] = x.reshape(batches, B, T, features).transpose(0, 2, 1, 3)
        self.start = weights(workload)

    def reset(self) -> None:
        self.program.load(*_addresses(self.start.values()))

    def run(self, units: int) -> None:
        x, y = _addresses((self.x, self.y))
        for _ in range(units):
            self.program.train(x, y, len(self.y))

    def result(self) -> dict[str, Array]:
        found = {name: np.empty_like(array) for name, array in self.start.items()}
        self.program.store(*_addresses(found.values()))
        return found


class TrainedNetwork:
    """Epochs of a network that is not basic: tokens and classes are int32."""

    def __init__(self, program: ctypes.CDLL, workload: Workload) -> None:
        self.program, self.N = program, workload.N
        self.batches = [
            np.ascontiguousarray(array, np.int32 if array.dtype.kind == "i" else workload.dtype)
            for array in time_major(workload)
        ]
        self.start = weights(workload)

    def reset(self) -> None:
        self.program.load(_pointers(self.start))

    def run(self, units: int) -> None:
        for _ in range(units):
            self.program.train(*_addresses(self.batches), self.N)

    def result(self) -> dict[str, Array]:
        found = {name: np.empty_like(array) for name, array in self.start.items()}
        self.program.store(_pointers(found))
        return found


class Predicted:
    """Calls of a compiled program: `load`, `predict`."""

    def __init__(self, program: ctypes.CDLL, workload: Workload) -> None:
        self.program = program
        self.x, _ = data(workload)
        self.y = np.empty((workload.N, workload.output_size), workload.dtype)
        program.load(*_addresses(weights(workload).values()))

    def reset(self) -> None:
        pass

    def run(self, units: int) -> None:
        x, y = _addresses((self.x, self.y))
        for _ in range(units):
            self.program.predict(y, x, len(self.x))

    def result(self) -> dict[str, Array]:
        return {"y": self.y}


def on_blas(
    variant: Variant, workload: Workload, threads: int
) -> Trained | TrainedNetwork | Predicted:
    """`c/blas.c` or `c/blas_network.c` on a library. The environment sets its threads."""
    found = variant.find()
    letter = "s" if workload.dtype == "float32" else "d"
    names = ["gemm", "gemv"]
    packing = ["gemm_pack_get_size", "gemm_pack", "gemm_compute"]
    functions = [
        found.address(f"cblas_{letter}{name}")
        for name in names + (packing if variant.packed else [])
    ]
    train = workload.kind == "train"
    rows = workload.B if train else PREDICT_ROWS_BLAS
    chunk = max(4, 256 // rows) if variant.chunks else workload.T
    source = "blas.c" if workload.basic else "blas_network.c"
    program = _compiled(source, workload, {"BLAS_INT": found.integer})
    sizes = (workload.T, workload.input_size, workload.H, workload.output_size, rows, chunk)
    addresses = (ctypes.c_void_p * 5)(*functions)
    if not workload.basic:
        every = workload.output == "all"
        more = (workload.L, workload.D, every, workload.tokens, workload.classes)
        program.start(addresses, (ctypes.c_int * 11)(*sizes, *more))
        return TrainedNetwork(program, workload)
    program.start(
        addresses,
        (ctypes.c_int * 7)(*sizes, workload.T if train else 0),
    )
    return Trained(program, workload, ones=False) if train else Predicted(program, workload)


# Rows of a block of predict. Times from 64 to 512 differ by less than 10 % on the libraries, and
# from 48 to 96 by less than 2 % with sizes compiled in.
PREDICT_ROWS_BLAS = 128
PREDICT_ROWS_FIXED = 48

# By bytes of a vector: rows and vectors of a tile, and vectors of a row of a batch of one. The sums
# of a tile and their operands fit the registers (16 of 32 bytes, 32 of the other sizes).
_TILES = {16: (6, 4, 24), 32: (6, 2, 13), 64: (12, 2, 28)}


def fixed(workload: Workload, threads: int) -> Trained | TrainedNetwork | Predicted:
    """`c/fixed.c` or `c/fixed_network.c`, which have one thread."""
    if threads > 1:
        raise ImportError("has one thread only")
    train = workload.kind == "train"
    rows = workload.B if train else PREDICT_ROWS_FIXED
    vector = _vector_bytes()
    tile_rows, tile_vectors, row_vectors = _TILES[vector]
    defines: dict[str, Any] = {
        "TIMESTEPS": workload.T,
        "INPUTS": workload.input_size,
        "HIDDEN": workload.H,
        "OUTPUTS": workload.output_size,
        "BATCH": rows,
        "ROWS": tile_rows,
        "TILE_VECTORS": tile_vectors,
        "ROW_VECTORS": row_vectors,
        # Panels of at least 16 numbers: with shorter ones, mid64 takes 10 % longer on AVX2.
        "PANEL_VECTORS": max(tile_vectors, 16 * workload.itemsize // vector),
        # 256 rows of states and slopes fit L2 up to about H = 256. 2 to 16 steps differ by 3 %.
        "CHUNK": max(1, 256 // rows),
    }
    if not workload.basic:
        defines |= {
            "LAYERS": workload.L,
            "DIRECTIONS": workload.D,
            "EVERY": int(workload.output == "all"),
            "TOKENS": int(workload.tokens),
            "CLASSES": int(workload.classes),
        }
        return TrainedNetwork(_compiled("fixed_network.c", workload, defines), workload)
    if not train:
        defines["PREDICT"] = 1
    program = _compiled("fixed.c", workload, defines)
    return Trained(program, workload, ones=True) if train else Predicted(program, workload)


def compiler() -> tuple[str, str]:
    """The compiler's name and version."""
    answer = subprocess.run([_cc(), "--version"], check=True, capture_output=True, text=True)
    return "cc", answer.stdout.partition("\n")[0].removeprefix("cc ")


def _compiled(source: str, workload: Workload, defines: dict[str, Any]) -> ctypes.CDLL:
    """A program of `SOURCES`, compiled for this workload's type; ImportError if that fails."""
    defines = {**defines, "VECTOR_BYTES": _vector_bytes()}
    if workload.dtype == "float64":
        defines["DOUBLE"] = 1
    options = [
        *("-O3", "-ffast-math", "-Wno-psabi", "-fPIC", "-shared", *_target()),
        *(f"-D{name}={value}" for name, value in defines.items()),
    ]
    key = hashlib.sha256(" ".join([source, *options]).encode()).hexdigest()[:16]
    program = Path(os.environ["CRNN_BENCH_BUILD"], f"{key}.so")
    if not program.exists():
        command = [_cc(), *options, str(SOURCES / source), "-o", str(program), "-lm"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise ImportError(f"does not compile: {answer.stderr.strip()[:200]}")
    return ctypes.CDLL(str(program))


def _cc() -> str:
    found = shutil.which("cc")
    if found is None:
        raise ImportError("no C compiler (cc)")
    return found


def _vector_bytes() -> int:
    chosen = INSTRUCTION_SETS.get(os.environ.get("CRNN_ISA", ""))
    return chosen.vector_bytes if chosen else 16


def _target() -> list[str]:
    """Compiler options: all instructions of this processor, or only AVX2."""
    if os.environ.get("CRNN_ISA") == "avx2":
        return ["-march=x86-64-v3", "-mtune=native"]
    if platform.machine() in ("x86_64", "AMD64"):
        return ["-march=native", f"-mprefer-vector-width={8 * _vector_bytes()}"]
    return ["-mcpu=native"]


def _addresses(arrays: Any) -> list[ctypes.c_void_p]:
    return [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]


def _pointers(arrays: dict[str, Array]) -> Any:
    """The addresses as one C array, in the order of the names."""
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays.values()))
