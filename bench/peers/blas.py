"""Find the BLAS libraries for c-blas: MKL, OpenBLAS, AOCL."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Blas:
    """A loaded library.

    Attributes
    ----------
    name, version : str
        For the report.
    library : ctypes.CDLL
    prefix, suffix : str
        Of the names of its functions.
    integer : str
        The C type of its sizes.
    """

    name: str
    version: str
    library: ctypes.CDLL
    prefix: str = ""
    suffix: str = ""
    integer: str = "int"

    def address(self, function: str) -> int:
        """The address of `function`; ImportError if the library lacks it."""
        name = self.prefix + function + self.suffix
        try:
            found = getattr(self.library, name)
        except AttributeError:
            raise ImportError(f"{self.name} has no {name}") from None
        return ctypes.cast(found, ctypes.c_void_p).value or 0


def mkl() -> Blas:
    """MKL from the wheel `mkl`, or from the system."""
    library = _first([*sorted(Path(sys.prefix, "lib").glob("libmkl_rt.so*")), "mkl_rt"], "mkl")
    text = ctypes.create_string_buffer(200)
    library.mkl_get_version_string(text, len(text))
    return Blas("MKL", _number(text.value), library)


def openblas() -> Blas:
    """OpenBLAS from the wheel `scipy-openblas32`, from NumPy, or from the system, in this order."""
    wheel = _folder("scipy_openblas32", "lib").glob("libscipy_openblas.*")
    bundled = Path(np.__file__).parent.parent.glob("numpy.libs/libscipy_openblas64_*")
    places = [(wheel, "scipy_", "", "int"), (bundled, "scipy_", "64_", "int64_t")]
    for paths, prefix, suffix, integer in places:
        for path in paths:
            return _openblas(ctypes.CDLL(str(path)), prefix, suffix, integer)
    return _openblas(_first(["openblas"], "scipy-openblas32"), "", "", "int")


def aocl() -> Blas:
    """AMD's BLIS from the wheel `aoclda`, or from the system."""
    wheel = _folder("aoclda").parent / "aoclda.libs"
    for runtime in wheel.glob("libomp-*"):  # libblis finds it only under this name
        ctypes.CDLL(str(runtime), mode=ctypes.RTLD_GLOBAL)
    library = _first([*wheel.glob("libblis*.so*"), "blis-mt", "blis"], "aoclda")
    library.bli_info_get_version_str.restype = ctypes.c_char_p
    return Blas("AOCL", _number(library.bli_info_get_version_str()), library)


def _openblas(library: ctypes.CDLL, prefix: str, suffix: str, integer: str) -> Blas:
    configuration = getattr(library, f"{prefix}openblas_get_config{suffix}")
    configuration.restype = ctypes.c_char_p
    return Blas("OpenBLAS", _number(configuration()), library, prefix, suffix, integer)


def _number(text: bytes) -> str:
    """The first version number in a library's description."""
    found = re.search(r"\d+(\.\d+)+", text.decode())
    return found.group() if found else ""


def _first(candidates: list[Path | str], wheel: str) -> ctypes.CDLL:
    """The first library that loads. The system is searched for a plain name."""
    for path in _existing(candidates):
        return ctypes.CDLL(path)
    raise ImportError(f"no library (pip install {wheel})")


def _existing(candidates: list[Path | str]) -> Iterator[str]:
    for candidate in candidates:
        path = str(candidate) if isinstance(candidate, Path) else None
        found = path or ctypes.util.find_library(str(candidate))
        if found:
            yield found


def _folder(package: str, *parts: str) -> Path:
    """A folder of an installed package, without importing it; a missing path if absent."""
    spec = importlib.util.find_spec(package)
    home = Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent", package)
    return home.joinpath(*parts)
