"""The compiled module and its flags; the instruction sets are target pragmas in their C files."""

import os
import sys
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

if sys.platform == "win32":
    flags = ["/O2", "/std:c11", "/W3", "/fp:precise"]
else:
    # What is fused is the text's choice, so that the result does not depend on the compiler.
    flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
    flags += ["-D_GNU_SOURCE", "-fvisibility=hidden", "-Wall", "-Wextra"]

# CRNN_ABI3=1: one module for every Python from 3.11 on, at 0.2 microseconds more for each call.
abi3 = os.environ.get("CRNN_ABI3") == "1"

cell = Extension(
    "crnn._cell",
    ["crnn/_cell.pyx", *sorted(glob("crnn/_kernels/*.c"))],
    depends=[
        "crnn/_primitives.pxd",
        *sorted(glob("crnn/*.pxi")),
        *sorted(glob("crnn/_kernels/*.h")),
    ],
    extra_compile_args=flags,
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if abi3 else [],
    py_limited_api=abi3,
)

setup(
    ext_modules=cythonize([cell], build_dir="build/cython"),
    # A folder of its own, or the wheel would take in what was built before it.
    options={"bdist_wheel": {"py_limited_api": "cp311"}, "build": {"build_base": "build/abi3"}}
    if abi3
    else {},
)
