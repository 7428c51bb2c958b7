"""Instruction sets by name, and the variables that restrict every library to one of them."""

from __future__ import annotations

import importlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class InstructionSet:
    """Its name in the report, and the size of its vectors."""

    title: str
    vector_bytes: int


# By crnn's names.
INSTRUCTION_SETS = {
    "avx512": InstructionSet("AVX-512", 64),
    "avx2": InstructionSet("AVX2", 32),
    "neon": InstructionSet("NEON", 16),
}

# Peers that --isa cannot restrict: they ask only the processor. On an AVX-512 processor, JAX's
# products (YNNPACK) ran at 1.7 times the AVX2 peak under --xla_cpu_max_isa=AVX2.
UNRESTRICTED = ("jax", "jax-unrolled", "onnxruntime")

# Variables by which a library chooses its kernels. Those that a user has set are named in the
# report, because they may slow a peer.
STEERING = (
    "AOCL_ENABLE_INSTRUCTIONS",
    "ATEN_CPU_CAPABILITY",
    "BLIS_ARCH_TYPE",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "XLA_FLAGS",
)


def available() -> list[str]:
    """The `INSTRUCTION_SETS` of this machine, best first."""
    try:
        offered = importlib.import_module("crnn").cpu_info()["available"]
    except (ImportError, AttributeError):
        flags = {"avx512f": "avx512", "avx2": "avx2", "asimd": "neon"}
        words = cpuinfo().split()
        offered = [name for flag, name in flags.items() if flag in words]
    return [name for name in offered if name in INSTRUCTION_SETS]


def restricted(name: str) -> dict[str, str]:
    """Variables that restrict crnn and its peers to the instruction set `name`.

    Only AVX2 is a restriction: AVX-512 and NEON are the best of their processors. JAX's own code is
    restricted, its library of matrix products is not.
    """
    if name != "avx2":
        return {"CRNN_ISA": name}
    return {
        "CRNN_ISA": name,
        "ATEN_CPU_CAPABILITY": "avx2",
        "BLIS_ARCH_TYPE": "zen3",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": " ".join(_numpy_features_above_avx2()),
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Zen" if "AuthenticAMD" in cpuinfo() else "Haswell",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    }


def inherited() -> dict[str, str]:
    """The variables of `STEERING` that are set."""
    return {name: os.environ[name] for name in STEERING if name in os.environ}


def cpuinfo() -> str:
    """The processors' properties from Linux; empty on other systems."""
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def cpu_name() -> str:
    """The processor's name."""
    for line in cpuinfo().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _numpy_features_above_avx2() -> list[str]:
    """The AVX-512 features that this NumPy can disable. Their names differ by version."""
    for module in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            numpy: Any = importlib.import_module(module)
        except ImportError:
            continue
        return [
            feature
            for feature in numpy.__cpu_dispatch__
            if feature.startswith(("AVX512", "X86_V4")) and numpy.__cpu_features__.get(feature)
        ]
    return []
