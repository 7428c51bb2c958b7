"""Check a series that a caller passes: its values, missing values and index."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn import _arguments
from crnn._arguments import Array

MISSING = ("error", "ignore")


@dataclass(frozen=True)
class Series:
    """Values in time order.

    Attributes
    ----------
    values : numpy.ndarray, shape (M,), float64
        Missing values are interpolated.
    known : numpy.ndarray, shape (M,), bool
        False where a value was missing.
    index : pandas.Index or None
        The index of a pandas Series.
    """

    values: Array
    known: Array
    index: Any = None
    name: object = None

    def like(self, values: Array, index: Any) -> Any:
        """The values in the caller's form: a pandas Series or DataFrame if there is an index."""
        if index is None:
            return values
        import pandas

        if values.ndim == 1:
            return pandas.Series(values, index=index, name=self.name)
        columns = pandas.RangeIndex(1, values.shape[1] + 1, name="steps ahead")
        return pandas.DataFrame(values, index=index, columns=columns)

    def after(self, steps: int) -> Any:
        """The index of the next steps; None without an index or a regular step."""
        if self.index is None:
            return None
        if len(self.index) and _knows_frequency(self.index):
            return _by_frequency(self.index, steps)
        from crnn import _dates

        dates = _as_dates(self.index)
        if dates is None or _dates.find_step(dates) is None:
            return None
        return _as_index(self.index, dates.axis(steps)[-steps:])


def read(
    name: str, value: object, *, shortest: int = 1, missing: str = "error", ends: str = "cut"
) -> Series:
    """Check a series and interpolate its missing values.

    `ends` "cut": missing values at both ends are cut off; "keep": they take the nearest value.
    """
    array, index, label = _values(name, value)
    index, array = _in_order(name, index, array, missing)
    infinite = np.isinf(array)
    known = ~np.isnan(array)
    if infinite.any():
        raise _not_finite(name, array, infinite)
    if missing == "error" and not known.all():
        error = _not_finite(name, array, ~known)
        raise ValueError(f"{error}; missing='ignore' interpolates missing values")
    if array.size and not known.any():
        raise ValueError(f"{name} must hold a value that is not missing, got {array.size} values")
    if ends == "cut" and array.size:
        there = np.flatnonzero(known)
        part = slice(int(there[0]), int(there[-1]) + 1)
        array, known = array[part], known[part]
        index = None if index is None else index[part]
    if array.size < shortest:
        values = f"{shortest} value{'s' * (shortest > 1)}"
        raise ValueError(f"{name} must hold at least {values}, got {array.size}")
    return Series(filled(array), known, index, label)


def filled(array: Array) -> Array:
    """A copy of (M,) with missing values interpolated; at the ends they take the nearest value."""
    missing = np.isnan(array)
    values = array.copy()
    places = np.flatnonzero(missing), np.flatnonzero(~missing)
    values[missing] = np.interp(*places, array[~missing])
    return values


def _not_finite(name: str, array: Array, bad: Array) -> ValueError:
    position = int(np.argmax(bad))
    return ValueError(f"{name} must be finite, got {array[position]} at position {position}")


def _values(name: str, value: object) -> tuple[Array, Any, object]:
    index = label = None
    pandas: Any = sys.modules.get("pandas")  # a caller with a pandas Series has imported it
    if pandas is not None and isinstance(value, pandas.DataFrame) and value.shape[1] == 1:
        value = value.iloc[:, 0]
    if pandas is not None and isinstance(value, pandas.Series):
        index, label = value.index, value.name
    array = _arguments.numeric(name, value)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (M,) or (M, 1), got {array.shape}")
    return np.asarray(array, dtype=np.float64), index, label


def _knows_frequency(index: Any) -> bool:
    """Whether the index has a frequency that is its step; that of periods is only a unit."""
    return index.dtype.kind in "mM" and getattr(index, "freq", None) is not None


def _by_frequency(index: Any, steps: int) -> Any:
    """The next steps of an index that has a frequency."""
    import pandas

    times = isinstance(index, pandas.DatetimeIndex)
    ranged = pandas.date_range if times else pandas.timedelta_range
    return ranged(index[-1], periods=steps + 1, freq=index.freq, name=index.name)[1:]


def _times(index: Any) -> Any:
    """An index of dates in another form as a DatetimeIndex; other indexes as they are."""
    import pandas

    if isinstance(index, (pandas.DatetimeIndex, pandas.MultiIndex)):
        return index
    if index.dtype.kind == "M" or index.inferred_type in ("date", "datetime", "datetime64"):
        return pandas.DatetimeIndex(index, name=index.name)
    return index


def _has_order(index: Any) -> bool:
    """Whether the index holds times or numbers, not names."""
    import pandas

    kinds = (pandas.DatetimeIndex, pandas.PeriodIndex, pandas.TimedeltaIndex)
    return isinstance(index, kinds) or _is_numeric(index)


def _is_numeric(index: Any) -> bool:
    import pandas

    return pandas.api.types.is_numeric_dtype(index.dtype) and index.dtype.kind in "iuf"


def _utc(index: Any) -> Any:
    """Whether to step in UTC: steps below a day ignore daylight saving time."""
    if index.tz is None:
        return False
    moves = np.diff(index.tz_convert(None).to_numpy().astype("M8[us]").astype(np.int64))
    return len(moves) > 0 and float(np.median(moves)) < 20 * 3600e6


def _as_dates(index: Any) -> Any:
    """The index as `crnn._dates.Dates`; None if it holds neither times nor numbers.

    Periods become their ordinals, and a TimedeltaIndex microseconds.
    """
    import pandas

    from crnn import _dates

    if isinstance(index, pandas.PeriodIndex):
        return _dates.from_numbers("index", index.asi8.astype(np.float64), 0)
    if isinstance(index, pandas.TimedeltaIndex):
        moments = index.to_numpy().astype("m8[us]")
        if (moments != index.to_numpy()).any():
            return None
        return _dates.from_numbers("index", moments.astype(np.int64).astype(np.float64), 0)
    if isinstance(index, pandas.DatetimeIndex):
        times = index
        if index.tz is not None:
            times = index.tz_convert(None) if _utc(index) else index.tz_localize(None)
        moments = times.to_numpy().astype("M8[us]")
        if (moments != times.to_numpy()).any():
            return None  # nanoseconds
        return _dates.Dates("index", moments, "us")
    if _is_numeric(index):
        return _dates.from_numbers("index", index.to_numpy().astype(np.float64), 0)
    return None


def _as_index(index: Any, values: Array) -> Any:
    """Values of `_as_dates` as an index of the same kind."""
    import pandas

    if isinstance(index, pandas.PeriodIndex):
        periods = [pandas.Period(ordinal=int(value), freq=index.freq) for value in values]
        return pandas.PeriodIndex(periods, dtype=index.dtype, name=index.name)
    if isinstance(index, pandas.TimedeltaIndex):
        moments = values.astype(np.int64).astype("m8[us]")
        return pandas.TimedeltaIndex(moments, name=index.name).as_unit(index.unit)
    if isinstance(index, pandas.DatetimeIndex):
        found = pandas.DatetimeIndex(values, name=index.name).as_unit(index.unit)
        if index.tz is None:
            return found
        if _utc(index):
            return found.tz_localize("UTC").tz_convert(index.tz)
        # a day whose midnight the clocks skip begins an hour later
        first = np.ones(len(found), bool)
        return found.tz_localize(index.tz, ambiguous=first, nonexistent="shift_forward")
    dtype: Any = index.dtype
    if dtype.kind in "iu":
        values = np.rint(values).astype(np.int64)
        if values.max() > np.iinfo(getattr(dtype, "numpy_dtype", dtype)).max:
            dtype = np.int64
    return pandas.Index(values, dtype=dtype, name=index.name)


def _in_order(name: str, index: Any, array: Array, missing: str) -> tuple[Any, Array]:
    """Refuse an index that does not increase. Its gaps are missing values."""
    if index is None or len(index) < 2:
        return index, array
    index = _times(index)
    if not _has_order(index):
        return index, array
    if index.hasnans or not (index.is_monotonic_increasing and index.is_unique):
        blank = index.isna()
        place = int(np.argmax(blank)) if blank.any() else 1
        while not blank.any() and index[place] > index[place - 1]:
            place += 1
        after = f" after {index[place - 1]}" if place else ""
        raise ValueError(
            f"{name} must have an index that increases, got {index[place]}{after} "
            f"at position {place}: sort it, or pass the values alone"
        )
    if _knows_frequency(index):
        return index, array  # no gaps
    from crnn import _dates

    dates = _as_dates(index)
    step = None if dates is None else _dates.find_step(dates)
    if step is None or not len(step.gaps):
        return index, array
    if missing == "error":
        raise ValueError(
            f"{name} must have an index without gaps, got {len(step.gaps)}, the first after "
            f"{index[int(step.gaps[0])]}; missing='ignore' interpolates the {step.missing} "
            f"value{'s' * (step.missing > 1)}"
        )
    dates, rows = _dates.without_gaps(dates, step)
    longer = np.full(len(dates), np.nan)
    longer[rows] = array
    return _as_index(index, dates.values), longer
