"""The contestants: crnn and its peers, each written as an expert user would write it.

A peer's library is imported by name, inside its functions, in its own worker process. An
ImportError there means that the peer is absent. Every runner starts from `workloads.weights` and
uses `workloads.data`. Parameters have crnn's names.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Protocol

from bench.peers import (
    blas,
    c,
    crnn,
    interpreter,
    jax,
    notebook,
    numpy,
    numpy_network,
    onnxruntime,
    torch,
)
from bench.workloads import Array, Kind, Workload


class Runner(Protocol):
    """One peer on one workload."""

    def reset(self) -> None:
        """Restore the initial weights and state; not timed."""

    def run(self, units: int) -> None:
        """Run `units` epochs, calls or steps; timed."""

    def result(self) -> dict[str, Array]:
        """The result of `run`, in the form of `reference.expected`."""


def _numpy_train(workload: Workload, threads: int) -> Runner:
    chosen = numpy.NumpyTrain if workload.basic else numpy_network.NumpyNetwork
    return chosen(workload, threads)


RUNNERS: dict[tuple[str, Kind], Callable[[Workload, int], Runner]] = {
    ("crnn", "train"): crnn.CrnnTrain,
    ("crnn", "predict"): crnn.CrnnPredict,
    ("crnn", "step"): crnn.CrnnStep,
    ("notebook", "train"): notebook.NotebookTrain,
    ("numpy", "train"): _numpy_train,
    ("numpy", "predict"): numpy.NumpyPredict,
    ("numpy", "step"): numpy.NumpyStep,
    ("torch", "train"): torch.TorchTrain,
    ("torch", "predict"): torch.TorchPredict,
    ("torch", "step"): torch.TorchStep,
    ("jax", "train"): jax.JaxTrain,
    ("jax-unrolled", "train"): jax.JaxUnrolledTrain,
    ("onnxruntime", "predict"): onnxruntime.OnnxPredict,
    ("onnxruntime", "step"): onnxruntime.OnnxStep,
    ("c-fixed", "train"): c.fixed,
    ("c-fixed", "predict"): c.fixed,
}
for _name, _variant in c.VARIANTS.items():
    RUNNERS[_name, "train"] = RUNNERS[_name, "predict"] = functools.partial(c.on_blas, _variant)

# The peers that train networks other than basic ones.
BROAD = ("crnn", "numpy", "torch", "jax", "c-fixed", *c.VARIANTS)

FRAMEWORKS = ("notebook", "numpy", "torch", "jax", "jax-unrolled", "onnxruntime")
C_PEERS = ("c-blas", "c-fixed")
PEERS = (*FRAMEWORKS, *C_PEERS)


def contestants(peer: str) -> list[str]:
    """The contestants of one name of `PEERS`: c-blas has one for each library and variant."""
    return list(c.VARIANTS) if peer == "c-blas" else [peer]


def column(peer: str) -> str:
    """The name of `PEERS` that a contestant belongs to."""
    return "c-blas" if peer in c.VARIANTS else peer


def enters(peer: str, workload: Workload) -> bool:
    """Whether `peer` has an entry for the row.

    The notebook enters only the row of its own size and type; unrolling is for short sequences.
    """
    if workload.kind == "import":
        return peer in ("crnn", "python", "numpy", "torch", "jax", "onnxruntime")
    if peer == "notebook":
        return workload.name == "seed64"
    if not workload.basic and peer not in BROAD:
        return False
    if peer == "jax-unrolled" and workload.T > jax.JaxUnrolledTrain.UNROLL:
        return False
    # No peer in C skips the steps past a sequence's length.
    if workload.shortest and column(peer) in C_PEERS:
        return False
    if peer in c.VARIANTS and not c.enters(c.VARIANTS[peer], workload):
        return False
    return (peer, workload.kind) in RUNNERS


def runner(peer: str, workload: Workload, threads: int) -> Runner:
    """The runner of `peer`; raises ImportError if its library is absent."""
    if workload.kind == "import":
        return interpreter.Import(peer)
    return RUNNERS[peer, workload.kind](workload, threads)


def software(peer: str) -> tuple[str, str]:
    """The name and version of the peer's library (no version for one that has none)."""
    if peer == "python":
        return peer, sys.version.split()[0]
    if peer == "notebook":
        return peer, ""
    if peer == "c-fixed":
        return c.compiler()
    if peer in c.VARIANTS:
        found: blas.Blas = c.VARIANTS[peer].find()
        return found.name, found.version
    name = peer.removesuffix("-unrolled")
    return name, str(getattr(importlib.import_module(name), "__version__", ""))
