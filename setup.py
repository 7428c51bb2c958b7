"""The compiled module and its flags. The instruction sets are target pragmas in their own C files."""

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

cell = Extension(
    "crnn._cell",
    ["crnn/_cell.pyx", *sorted(glob("crnn/_kernels/*.c"))],
    depends=["crnn/_primitives.pxd", *sorted(glob("crnn/_kernels/*.h"))],
    extra_compile_args=flags,
)

setup(ext_modules=cythonize([cell], build_dir="build/cython"))
