"""Checks of what callers pass. Every error names its argument.

Each function takes the name and the value of an argument, and returns the value in the form that
the package works with. A wrong type is a TypeError, an impossible value a ValueError. Both say what
came and what is allowed.
"""

from __future__ import annotations

import math
import numbers
import operator
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def integer(name: str, value: object, *, minimum: int = 1) -> int:
    """An integer of at least `minimum` (a bool is not one)."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    return number


def real(
    name: str,
    value: object,
    *,
    above: float | None = None,
    minimum: float | None = None,
    below: float | None = None,
) -> float:
    """A finite real number, within the bounds that are given."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    if above is not None and not number > above:
        raise ValueError(f"{name} must be greater than {above}, got {number}")
    if minimum is not None and not number >= minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    if below is not None and not number < below:
        raise ValueError(f"{name} must be less than {below}, got {number}")
    return number


def boolean(name: str, value: object) -> bool:
    """True or False. Other values are refused, even if they count as true or false."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def choice(name: str, value: object, choices: Iterable[str], *, besides: str = "") -> str:
    """One of the names in `choices`. `besides` says what else the argument takes."""
    known = list(choices)
    taken = f"{besides} or {', '.join(map(repr, known))}" if besides else f"one of {known}"
    if not isinstance(value, str):
        raise TypeError(f"{name} must be {taken}, got {value!r}")
    if value not in known:
        raise ValueError(f"{name} must be {taken}, got {value!r}")
    return value


def _array(name: str, value: object) -> Array:
    """An array of any dtype, not copied."""
    if isinstance(value, np.ndarray) and hasattr(value, "mask"):  # so that numpy.ma is not imported
        raise TypeError(f"{name} must be an array without a mask, got a masked array")
    pandas: Any = sys.modules.get("pandas")  # a caller with a DataFrame has imported it
    if pandas is not None and isinstance(value, pandas.DataFrame):
        value = _of_frame(name, value)
    elif pandas is not None and isinstance(value, pandas.Series) and _extends(value.dtype):
        value = _of_column(value)
    try:
        return np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    except TypeError as error:  # the value's own __array__ refuses
        raise TypeError(f"{name} must be an array of numbers: {error}") from None


def _of_frame(name: str, frame: Any) -> Any:
    """The numbers of a DataFrame. Its columns may differ in type; booleans become 0 and 1."""
    for label, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if dtype.kind not in "iufb":
            raise TypeError(
                f"{name} must hold real integers or floats, got dtype {dtype} in column {label!r}"
            )
    if all(dtype.kind != "b" and isinstance(dtype, np.dtype) for dtype in frame.dtypes):
        return frame  # NumPy converts this by itself, if possible without a copy
    columns = [_of_column(frame.iloc[:, place]) for place in range(frame.shape[1])]
    return np.column_stack([c.view(np.uint8) if c.dtype.kind == "b" else c for c in columns])


def _extends(dtype: Any) -> bool:
    """Whether it is one of pandas' own number types."""
    return not isinstance(dtype, np.dtype) and dtype.kind in "iuf"


def _of_column(column: Any) -> Array:
    """A Series as an array. Missing values of pandas' own types become NaN."""
    dtype = column.dtype
    array: Array
    if isinstance(dtype, np.dtype):
        array = column.to_numpy()
        return array
    plain = np.dtype(f"{dtype.kind}{getattr(dtype, 'itemsize', 8)}")
    if column.hasnans:
        plain = plain if plain.kind == "f" else np.dtype(np.float64)
        array = column.to_numpy(dtype=plain, na_value=np.nan)
    else:
        array = column.to_numpy(dtype=plain)
    return array


def numeric(name: str, value: object) -> Array:
    """An array of real integers or floats, not copied, of any strides and byte order."""
    array = _array(name, value)
    # Some packages define types of kind "f" that are not NumPy's.
    if array.dtype.kind not in "iuf" or not issubclass(array.dtype.type, (np.integer, np.floating)):
        raise TypeError(
            f"{name} must hold real integers or floats, got an array of dtype {array.dtype}"
            + _odd_column(value)
        )
    return array


def _odd_column(frame: Any) -> str:
    """Name the column of a frame of another library that does not hold numbers."""
    if not (hasattr(frame, "columns") and hasattr(frame, "dtypes")):
        return ""
    odd = [label for label in frame.columns if np.asarray(frame[label]).dtype.kind not in "iufb"]
    return f" in column {odd[0]!r}" if odd else ""


def integers(name: str, value: object) -> Array:
    """At least one integer in one dimension, as a read-only copy in int64."""
    array = _array(name, value)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"{name} must have the shape (N,) with at least one element, got {array.shape}"
        )
    if not issubclass(array.dtype.type, np.integer) or array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, got an array of dtype {array.dtype}")
    largest = np.iinfo(np.int64).max
    if array.max() > largest:
        raise ValueError(f"{name} must be at most {largest}, got {array.max()}")
    copy = array.astype(np.int64)
    copy.setflags(write=False)
    return copy


def seed(name: str, value: object) -> int | None:
    """A non-negative integer, or None for a seed from the operating system."""
    return None if value is None else integer(name, value, minimum=0)


def not_finite(name: str, sample: int, dtype: np.dtype[Any]) -> ValueError:
    """The error for a NaN, an infinity, or a number that overflows dtype."""
    return ValueError(
        f"{name} must be finite in {dtype}, got NaN, infinity or overflow in sample {sample}"
    )


def drawn_seed(value: int | None) -> int:
    """The seed, or a new one from the operating system if it is None."""
    if value is not None:
        return value
    entropy: Any = np.random.SeedSequence().entropy
    return int(entropy)


def folder(name: str, path: object) -> None:
    """A path in a folder that exists."""
    try:
        where = os.path.dirname(os.path.abspath(os.fspath(path)))  # type: ignore[call-overload]
    except TypeError:
        raise TypeError(f"{name} must be a path, got {path!r}") from None
    if not os.path.isdir(where):
        raise ValueError(f"{name} must be in a folder that exists, got {path!r}")


def arrays_like(
    name: str, value: object, arrays: Mapping[str, Array], dtype: np.dtype[Any]
) -> dict[str, Array]:
    """Finite arrays of these names and shapes, in dtype."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping, got {type(value).__name__}")
    missing = sorted(set(arrays) - set(value))
    unknown = sorted(str(key) for key in set(value) - set(arrays))
    if missing or unknown:
        raise ValueError(
            f"{name} must have exactly {sorted(arrays)}; missing {missing}, unknown {unknown}"
        )
    checked = {}
    for key, array in arrays.items():
        given = numeric(f"{name}[{key!r}]", value[key])
        if given.shape != array.shape:
            raise ValueError(f"{name}[{key!r}] must have shape {array.shape}, got {given.shape}")
        with np.errstate(over="ignore", under="ignore"):
            converted = given.astype(dtype)
        if not np.isfinite(converted).all():
            raise ValueError(f"{name}[{key!r}] must be finite in {dtype}")
        checked[key] = converted
    return checked
