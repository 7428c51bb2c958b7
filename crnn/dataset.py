"""Sequences, windows and splits in time order; generators of series; the sunspot numbers.

N samples, T timesteps, M rows of all sequences, F features of a series, I inputs, O outputs.
Samples of one length are an array x (N, T, I). Samples of different lengths are `Sequences`.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike

from crnn import _arguments
from crnn._arguments import Array


class Sequences:
    """Sequences of different lengths, without padding and without a copy.

    All sequences are rows of one array. Sequence n is::

        values[starts[n] : starts[n] + lengths[n]],  n = 0, ..., N - 1

    The sequences may overlap (windows of a series do), lie in any order, and leave rows out.
    ``len(sequences)`` is N. ``sequences[n]`` is sequence n, a view. ``sequences[index]`` with a
    slice, an array of integers or a boolean mask is a `Sequences` of the chosen ones over the same
    values.

    Parameters
    ----------
    values : array_like of real numbers, shape (M, I) or (M,)
        The rows of all sequences: inputs, targets, tokens or classes. The array is kept with its
        dtype, byte order and strides, not copied: later changes of its numbers show in the
        sequences. The numbers are not checked, so rows outside all sequences may hold NaN.
    starts : array_like of int, shape (N,)
        The first row of each sequence.
    lengths : array_like of int, shape (N,)
        The number of rows of each sequence, at least 1.

    Attributes
    ----------
    values : ndarray, shape (M, I) or (M,)
    starts, lengths : ndarray of int64, shape (N,)
        Read-only copies.

    Raises
    ------
    TypeError
        If `values` does not hold real integers or floats, or `starts` or `lengths` do not hold
        integers. Masked arrays are refused.
    ValueError
        If `values` has another rank or no features, if there is no sequence, if `starts` and
        `lengths` differ in number, or if a sequence is empty or not within `values`. The message
        names the sample.

    See Also
    --------
    Sequences.from_list : From separate arrays.
    Sequences.from_padded : From a padded array and lengths.
    windows : Windows of many series.

    Notes
    -----
    A part of the sequences keeps all values, and so does a pickle.

    Examples
    --------
    >>> import numpy as np
    >>> from crnn.dataset import Sequences
    >>> x = Sequences(np.arange(10.0, 16.0), starts=[0, 4, 3], lengths=[3, 1, 3])
    >>> x
    Sequences(3 sequences of 1 to 3 steps, values float64 (6,))
    >>> for sequence in x:
    ...     print(sequence)
    [10. 11. 12.]
    [14.]
    [13. 14. 15.]
    >>> x[x.lengths > 1].starts.tolist()
    [0, 3]
    """

    __slots__ = ("_lengths", "_starts", "_values")

    def __init__(self, values: ArrayLike, starts: ArrayLike, lengths: ArrayLike) -> None:
        array = _arguments.numeric("values", values)
        if array.ndim not in (1, 2) or 0 in array.shape[1:]:
            raise ValueError(
                "values must have the shape (rows,) or (rows, features) with at least one "
                f"feature, got {array.shape}"
            )
        self._values = array
        self._starts = _arguments.integers("starts", starts)
        self._lengths = _arguments.integers("lengths", lengths)
        if len(self._starts) != len(self._lengths):
            raise ValueError(
                f"lengths must have as many elements as starts, {len(self._starts)}, "
                f"got {len(self._lengths)}"
            )
        for name, given, minimum in (("lengths", self._lengths, 1), ("starts", self._starts, 0)):
            if given.min() < minimum:
                sample = int(np.argmax(given < minimum))
                raise ValueError(
                    f"{name} must be at least {minimum}, got {given[sample]} for sample {sample}"
                )
        beyond = self._lengths > len(array) - self._starts  # their sum may overflow
        if beyond.any():
            sample = int(np.argmax(beyond))
            end = int(self._starts[sample]) + int(self._lengths[sample])
            raise ValueError(
                f"starts + lengths must be at most {len(array)}, the rows of values, "
                f"got {end} for sample {sample}"
            )

    @classmethod
    def from_list(cls, arrays: Iterable[ArrayLike]) -> Sequences:
        """Make sequences of separate arrays, which are copied once into one array.

        Parameters
        ----------
        arrays : iterable of array_like of real numbers, shapes (length, I) or (length,)
            The sequences, at least one. All have the same number of features. Each has at least one
            step.

        Returns
        -------
        Sequences
            `values` holds the arrays one after the other, in C order and in their common NumPy
            dtype.

        Raises
        ------
        TypeError, ValueError
            If `arrays` is empty, or one of them has no steps, another rank or other features than
            the first, or does not hold real numbers. The message names the array.

        Examples
        --------
        >>> from crnn.dataset import Sequences
        >>> x = Sequences.from_list([[1, 2, 3], [4], [5, 6]])
        >>> x.values, x.lengths.tolist()
        (array([1, 2, 3, 4, 5, 6]), [3, 1, 2])
        """
        if not isinstance(arrays, Iterable):
            raise TypeError(f"arrays must be a list of arrays, got {arrays!r}")
        parts = [_arguments.numeric(f"arrays[{i}]", array) for i, array in enumerate(arrays)]
        return _joined("arrays", parts)

    @classmethod
    def from_padded(cls, x: ArrayLike, lengths: ArrayLike) -> Sequences:
        """Make sequences of the first ``lengths[n]`` timesteps of each sample n of a padded array.

        The values are a view of `x` if one stride leads from each row to the next. This holds for
        arrays in C order, for slices of them by samples, by features or by consecutive timesteps,
        and for the windows of `windows`. Otherwise `x` is copied once, including the padding: for
        example with time as the first axis, in Fortran order, or with every third timestep.

        Parameters
        ----------
        x : array_like of real numbers, shape (N, T, I) or (N, T)
            Padded samples. The padding may hold anything.
        lengths : array_like of int, shape (N,)
            The timesteps of each sample, from 1 to T.

        Returns
        -------
        Sequences
            Sequences over values of shape (M, I) or (M,). M is N T if `x` is in C order. The values
            include the padding and all numbers between two samples.

        Raises
        ------
        TypeError
            If `x` does not hold real numbers, or `lengths` does not hold integers.
        ValueError
            If `x` has another rank or an empty axis, or `lengths` has another number of elements
            or one out of bounds.

        See Also
        --------
        Sequences.padded : The inverse.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.dataset import Sequences
        >>> x = np.array([[1, 2, 0], [3, 0, 0]])
        >>> [sequence.tolist() for sequence in Sequences.from_padded(x, [2, 1])]
        [[1, 2], [3]]
        """
        array = _arguments.numeric("x", x)
        if array.ndim not in (2, 3) or 0 in array.shape:
            raise ValueError(
                "x must have the shape (N, T) or (N, T, features) with at least one element, "
                f"got {array.shape}"
            )
        samples, timesteps = array.shape[:2]
        counts = _arguments.integers("lengths", lengths)
        if len(counts) != samples:
            raise ValueError(
                f"lengths must have as many elements as x has samples, {samples}, got {len(counts)}"
            )
        if counts.max() > timesteps:
            sample = int(np.argmax(counts > timesteps))
            raise ValueError(
                f"lengths must be at most {timesteps}, the timesteps of x, "
                f"got {counts[sample]} for sample {sample}"
            )
        values, step = _rows(array)
        first = 0 if step >= 0 else (1 - samples) * step
        return cls(values, first + step * np.arange(samples, dtype=np.int64), counts)

    @property
    def values(self) -> Array:
        """The rows of all sequences, (M, I) or (M,)."""
        return self._values

    @property
    def starts(self) -> Array:
        """The first row of each sequence, (N,)."""
        return self._starts

    @property
    def lengths(self) -> Array:
        """The number of rows of each sequence, (N,)."""
        return self._lengths

    def padded(self, fill: float = 0) -> Array:
        """Copy the sequences into one array, with padding after their ends.

        Parameters
        ----------
        fill : number, default 0
            Value of the padding. NaN and infinity need a float dtype.

        Returns
        -------
        ndarray, shape (N, T, I) or (N, T)
            An array in the dtype of `values`. T is the length of the longest sequence.

        Raises
        ------
        TypeError, ValueError
            If `fill` is not a real number or does not fit the dtype.

        See Also
        --------
        Sequences.from_padded : The inverse.

        Examples
        --------
        >>> from crnn.dataset import Sequences
        >>> Sequences.from_list([[1, 2, 3], [4]]).padded(-1)
        array([[ 1,  2,  3],
               [ 4, -1, -1]])
        """
        values = self._values
        shape = (len(self), int(self._lengths.max()), *values.shape[1:])
        padded = np.full(shape, _fitting("fill", fill, values.dtype), dtype=values.dtype)
        for row, sequence in zip(padded, self, strict=True):
            row[: len(sequence)] = sequence
        return padded

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Array]:
        for start, length in zip(self._starts.tolist(), self._lengths.tolist(), strict=True):
            yield self._values[start : start + length]

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Array: ...
    @overload
    def __getitem__(self, index: slice | Array | Sequence[int]) -> Sequences: ...

    def __getitem__(
        self, index: SupportsIndex | slice | Array | Sequence[int]
    ) -> Array | Sequences:
        chosen = _index(index)
        if isinstance(chosen, int):
            start = self._starts[chosen]
            return self._values[start : start + self._lengths[chosen]]
        starts, lengths = self._starts[chosen], self._lengths[chosen]
        if starts.ndim != 1:
            raise IndexError(f"an index of sequences must have one axis, got {starts.ndim}")
        if starts.size == 0:
            raise ValueError(f"index must choose at least one sequence, got {index!r}")
        return Sequences(self._values, starts, lengths)

    def __array__(self, dtype: object = None, copy: object = None) -> object:
        # Without this method NumPy would convert one number after the other. The return type tells
        # type checkers that Sequences are not an ArrayLike.
        raise TypeError("Sequences are not one array: use .padded(), or .values for all rows")

    def __reduce__(self) -> tuple[type[Sequences], tuple[Array, Array, Array]]:
        return Sequences, (self._values, self._starts, self._lengths)

    def __repr__(self) -> str:
        shortest, longest = int(self._lengths.min()), int(self._lengths.max())
        steps = f"{longest}" if shortest == longest else f"{shortest} to {longest}"
        return (
            f"Sequences({len(self)} sequence{'s' * (len(self) > 1)} of {steps} "
            f"step{'s' * (longest > 1)}, values {self._values.dtype} {self._values.shape})"
        )


def _index(index: object) -> int | slice | Array:
    """A checked index of sequences: an integer, a slice, or an array of integers or booleans."""
    if isinstance(index, slice):
        return index
    if not isinstance(index, (bool, np.bool_, tuple)):
        try:
            return operator.index(index)  # type: ignore[arg-type]
        except TypeError:
            pass
        array = np.asarray(index)
        if array.size == 0 and isinstance(index, list):
            array = array.astype(np.int64)  # NumPy turns [] into floats
        if array.dtype.kind in "iub" and array.ndim > 0 and not hasattr(index, "mask"):
            return array
    raise TypeError(
        f"index must be an integer, a slice, or an array of integers or booleans, got {index!r}"
    )


def _joined(name: str, arrays: list[Array]) -> Sequences:
    """Copy the arrays into one; each is a sequence."""
    if not arrays:
        raise ValueError(f"{name} must hold at least one array, got none")
    for i, array in enumerate(arrays):
        if array.ndim not in (1, 2) or 0 in array.shape:
            raise ValueError(
                f"{name}[{i}] must have the shape (length,) or (length, features) with at least "
                f"one step and one feature, got {array.shape}"
            )
        if array.shape[1:] != arrays[0].shape[1:]:
            raise ValueError(
                f"{name}[{i}] must have the features of {name}[0], "
                f"got the shapes {array.shape} and {arrays[0].shape}"
            )
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    return Sequences(np.concatenate(arrays), np.cumsum(lengths) - lengths, lengths)


def _rows(x: Array) -> tuple[Array, int]:
    """The rows of x (N, T, ...) in one array, and the number of rows from one sample to the next.

    The array is a view if one stride leads from row to row. With a negative number, sample N - 1
    starts at row 0.
    """
    samples, timesteps = x.shape[:2]
    between, row = x.strides[:2]
    if timesteps == 1:
        return x[:, 0], 1
    if row == 0 or between % row != 0:
        return x.reshape(samples * timesteps, *x.shape[2:]), timesteps
    step = between // row
    lowest = x if step >= 0 else x[::-1]
    count = abs(step) * (samples - 1) + timesteps
    values = np.lib.stride_tricks.as_strided(lowest, (count, *x.shape[2:]), x.strides[1:])
    return values, step


def _fitting(name: str, value: object, dtype: np.dtype[Any]) -> Any:
    """A real number that dtype can hold. Floats may round it, and may be NaN or infinite."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    number: Any = value
    if dtype.kind == "f":
        try:
            with np.errstate(over="ignore"):
                fitting = dtype.type(number)
            fits = bool(np.isfinite(fitting)) or not math.isfinite(number)
        except OverflowError:  # an integer beyond every float
            fits = False
    else:
        limits = np.iinfo(dtype)
        fits = limits.min <= number <= limits.max and number == int(number)
        fitting = int(number) if fits else None
    if not fits:
        raise ValueError(f"{name} must be a number that {dtype} can hold, got {value!r}")
    return fitting


def sine_wave(size: int) -> Array:
    """Sample the sine at 0, 1, 2, ... radians, as the notebook does.

    ::

        s_t = sin(t),  t = 0, ..., size - 1

    The period is 2 pi (about 6.28) steps.

    Parameters
    ----------
    size : int
        Number of points, at least 1.

    Returns
    -------
    ndarray of float64, shape (size,)

    Raises
    ------
    TypeError, ValueError
        If `size` is not an integer of at least 1.

    Examples
    --------
    >>> from crnn import dataset
    >>> dataset.sine_wave(3).round(3)
    array([0.   , 0.841, 0.909])
    """
    return np.sin(np.arange(_arguments.integer("size", size), dtype=np.float64))


@overload
def windows(  # type: ignore[overload-overlap]  # a sequence of arrays is an ArrayLike, too
    series: Sequences | Sequence[Array], timesteps: int, *, horizon: int = 1, stride: int = 1
) -> tuple[Sequences, Array]: ...
@overload
def windows(
    series: ArrayLike, timesteps: int, *, horizon: int = 1, stride: int = 1
) -> tuple[Array, Array]: ...


def windows(
    series: Sequences | Sequence[Array] | ArrayLike,
    timesteps: int,
    *,
    horizon: int = 1,
    stride: int = 1,
) -> tuple[Array | Sequences, Array]:
    """Cut one or more series into inputs of `timesteps` points and the `horizon` points after each.

    With T = `timesteps` and a series of `size` points::

        x[i] = series[i * stride : i * stride + T]
        y[i] = series[i * stride + T : i * stride + T + horizon]
        N = (size - T - horizon) // stride + 1

    **One series.** x and y are read-only views of the series. Windows of any length need no memory,
    and later changes of the series show in them. One exception: a series with several features that
    is not C-contiguous is copied once when ``horizon > 1``, and the views are of the copy.

    **Several series.** Each window is within one series. The windows of the first series come
    first, in time order, then those of the second, and so on. x is `Sequences`: the series are
    copied once into one read-only array, unless they are `Sequences` already. A window needs 16
    bytes for its start and length. y is a new array.

    Parameters
    ----------
    series : array_like of real numbers, shape (size,) or (size, F), or several of these
        Points in time order at equal distances in time. A 1-D series has one feature (F = 1). The
        values are not checked. `Sequences`, and a list or tuple that holds an array, are several
        series. A list of numbers, or of lists of numbers, is one series. One series keeps its dtype
        and byte order. Several get their common NumPy dtype.
    timesteps : int
        Points in a window, T, at least 1.
    horizon : int, default 1
        Points to forecast from each window, at least 1.
    stride : int, default 1
        Distance in points between the starts of neighbouring windows, at least 1.

    Returns
    -------
    x : ndarray, shape (N, T, F), or Sequences
        `Sequences` for several series: N sequences of T rows, over values of shape (M, F).
    y : ndarray, shape (N, horizon * F)
        The steps in order. Within a step, the features in order.

    Raises
    ------
    TypeError
        If `series` does not hold real integers or floats, or another argument is not an integer.
    ValueError
        If a series has another rank, no features, or too few points for one window; if several
        series differ in their features; if another argument is below 1. With several series, the
        message names the invalid one, such as ``series[2]``.

    Examples
    --------
    >>> import numpy as np
    >>> from crnn import dataset
    >>> x, y = dataset.windows([0, 1, 2, 3, 4, 5], 3, horizon=2)
    >>> x[:, :, 0]
    array([[0, 1, 2],
           [1, 2, 3]])
    >>> y
    array([[3, 4],
           [4, 5]])

    Two series:

    >>> x, y = dataset.windows([np.arange(4.0), np.arange(10.0, 13.0)], 2)
    >>> x
    Sequences(3 sequences of 2 steps, values float64 (7, 1))
    >>> x.padded()[:, :, 0]
    array([[ 0.,  1.],
           [ 1.,  2.],
           [10., 11.]])
    >>> y
    array([[ 2.],
           [ 3.],
           [12.]])
    """
    several = _several(series)
    points = _arguments.numeric("series", series) if several is None else several.values
    timesteps = _arguments.integer("timesteps", timesteps)
    horizon = _arguments.integer("horizon", horizon)
    stride = _arguments.integer("stride", stride)
    shape = points.shape
    if points.ndim == 1:
        points = points[:, np.newaxis]
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(
            "series must have the shape (size,) or (size, features) with at least one feature, "
            f"got {shape}"
        )
    if several is not None:
        return _windows_of_several(points, several, timesteps, horizon, stride)
    size, features = points.shape
    if size < timesteps + horizon:
        raise _too_short("series", timesteps + horizon, size)
    row, column = points.strides
    if horizon > 1 and features > 1 and row != features * column:
        points = np.ascontiguousarray(points)
    # sliding_window_view puts the window's axis last: (N, F, T) and (N, F, horizon).
    inputs = np.lib.stride_tricks.sliding_window_view(points[:-horizon], timesteps, axis=0)
    targets = np.lib.stride_tricks.sliding_window_view(points[timesteps:], horizon, axis=0)
    x = inputs[::stride].transpose(0, 2, 1)
    y = targets[::stride].transpose(0, 2, 1).reshape(len(x), horizon * features)
    return x, y


def _several(series: object) -> Sequences | None:
    """Several series, copied into one read-only array; None for one series."""
    if isinstance(series, Sequences):
        return series
    # NumPy scalars and 0-d arrays count as numbers.
    if not isinstance(series, (list, tuple)) or not any(getattr(s, "ndim", 0) for s in series):
        return None
    parts = [_arguments.numeric(f"series[{i}]", part) for i, part in enumerate(series)]
    several = _joined("series", [p[:, np.newaxis] if p.ndim == 1 else p for p in parts])
    several.values.setflags(write=False)
    return several


def _windows_of_several(
    points: Array, series: Sequences, timesteps: int, horizon: int, stride: int
) -> tuple[Sequences, Array]:
    """Windows of several series in `points` (M, F)."""
    least = timesteps + horizon
    if series.lengths.min() < least:
        short = int(np.argmax(series.lengths < least))
        raise _too_short(f"series[{short}]", least, int(series.lengths[short]))
    counts = (series.lengths - least) // stride + 1
    total = int(counts.sum())
    # The number of each window within its own series: 0, 1, ..., counts[0] - 1, 0, 1, ...
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = np.repeat(series.starts, counts) + within * stride
    targets = np.lib.stride_tricks.sliding_window_view(points, horizon, axis=0).transpose(0, 2, 1)
    y = targets[starts + timesteps].reshape(total, -1)
    return Sequences(points, starts, np.full(total, timesteps)), y


def _too_short(name: str, least: int, size: int) -> ValueError:
    return ValueError(f"{name} must have at least timesteps + horizon = {least} points, got {size}")


@overload
def split(
    x: Sequences, y: Sequences, test_fraction: float = 0.2, *, gap: int = 0
) -> tuple[Sequences, Sequences, Sequences, Sequences]: ...
@overload
def split(
    x: Sequences, y: ArrayLike, test_fraction: float = 0.2, *, gap: int = 0
) -> tuple[Sequences, Sequences, Array, Array]: ...
@overload
def split(
    x: ArrayLike, y: Sequences, test_fraction: float = 0.2, *, gap: int = 0
) -> tuple[Array, Array, Sequences, Sequences]: ...
@overload
def split(
    x: ArrayLike, y: ArrayLike, test_fraction: float = 0.2, *, gap: int = 0
) -> tuple[Array, Array, Array, Array]: ...


def split(
    x: ArrayLike | Sequences,
    y: ArrayLike | Sequences,
    test_fraction: float = 0.2,
    *,
    gap: int = 0,
) -> tuple[Array | Sequences, Array | Sequences, Array | Sequences, Array | Sequences]:
    """Split samples in time order into a first part for training and a last part for the test.

    ::

        n_test = floor(N * test_fraction + 1/2)
        n_train = N - n_test - gap

    All four results are views. Parts of `Sequences` are `Sequences` over the same values.

    A gap separates the targets of both parts. With `windows` of ``stride=1``, ``gap=horizon - 1``
    puts every test target after every training target. With another stride, use
    ``ceil(horizon / stride) - 1``.

    The order is that of the samples. Windows of several series are ordered series by series, so the
    test part is the end of the last series, or the last few series. To test on the end of each
    series, cut each series in two before `windows`.

    Parameters
    ----------
    x, y : array_like of real numbers, shapes (N, ...), or Sequences
        Samples in time order, N of each.
    test_fraction : float, default 0.2
        Fraction of the samples in the test part, between 0 and 1 exclusive.
    gap : int, default 0
        Samples left out between the two parts, at least 0.

    Returns
    -------
    x_train, x_test, y_train, y_test : ndarray or Sequences
        Parts with n_train, n_test, n_train and n_test samples.

    Raises
    ------
    TypeError
        If `x` or `y` do not hold real numbers, or `test_fraction` or `gap` have the wrong type.
    ValueError
        If `x` and `y` differ in length, `test_fraction` or `gap` are out of bounds, or one part
        would be empty.

    Examples
    --------
    >>> from crnn import dataset
    >>> x, y = dataset.windows(range(12), 2)
    >>> x_train, x_test, y_train, y_test = dataset.split(x, y, 0.3, gap=1)
    >>> y_train.ravel(), y_test.ravel()
    (array([2, 3, 4, 5, 6, 7]), array([ 9, 10, 11]))
    """
    first = x if isinstance(x, Sequences) else _arguments.numeric("x", x)
    second = y if isinstance(y, Sequences) else _arguments.numeric("y", y)
    test_fraction = _arguments.real("test_fraction", test_fraction, above=0.0, below=1.0)
    gap = _arguments.integer("gap", gap, minimum=0)
    for name, samples in (("x", first), ("y", second)):
        if not isinstance(samples, Sequences) and samples.ndim == 0:
            raise ValueError(f"{name} must have samples along its first axis, got a single number")
    if len(first) != len(second):
        raise ValueError(f"y must have as many samples as x, got {len(second)} and {len(first)}")
    test = math.floor(len(first) * test_fraction + 0.5)
    train = len(first) - test - gap
    if test < 1:
        raise ValueError(
            f"test_fraction must leave at least one sample for the test, got {test_fraction} "
            f"of {len(first)} samples"
        )
    if train < 1:
        raise ValueError(
            "test_fraction and gap must leave at least one sample for the training, got "
            f"test_fraction {test_fraction} and gap {gap} of {len(first)} samples"
        )
    return first[:train], first[-test:], second[:train], second[-test:]


def load_sunspots() -> Array:
    """Load the yearly sunspot numbers of 1700 to 2008.

    Point i is the mean of the daily sunspot number over the year 1700 + i, so the years are
    ``np.arange(1700, 2009)``. This is Wolf's number, without a unit: k (10 g + s) for s spots in g
    groups and the observer's factor k. It is the international series before its revision of 2015.
    Its period is about 11 years.

    Returns
    -------
    ndarray of float64, shape (309,)

    Notes
    -----
    The data is from NOAA's National Geophysical Data Center, copied from the statsmodels package,
    which states that it is in the public domain. The series of 1700 to 1988 in R (``sunspot.year``)
    has the same numbers except in 1962, 1980, 1981 and 1987, which differ by at most 0.2.

    Examples
    --------
    >>> from crnn import dataset
    >>> numbers = dataset.load_sunspots()
    >>> numbers.shape, float(numbers.max()), 1700 + int(numbers.argmax())
    ((309,), 190.2, 1957)
    """
    import csv
    from importlib import resources

    path = resources.files("crnn") / "data" / "sunspots.csv"
    with path.open(encoding="ascii") as file:
        rows = csv.DictReader(file)
        return np.array([float(row["sunspots"]) for row in rows])


def mackey_glass(size: int, *, tau: int = 17, seed: int | None = None) -> Array:
    """Integrate the Mackey-Glass delay differential equation, one point per unit of time.

    ::

        ds/dt = 0.2 s(t - tau) / (1 + s(t - tau)^10) - 0.1 s(t)

    The series is chaotic if `tau` is about 17 or more. The integration uses the classical
    Runge-Kutta method of fourth order with a step of 0.1. The delayed value at half a step is found
    by cubic Hermite interpolation. Before t = 0 the series is a constant, drawn uniformly from
    [1.1, 1.3]. The first 1000 units of time are dropped.

    Parameters
    ----------
    size : int
        Number of points, at least 1.
    tau : int, default 17
        The delay in units of time, at least 1.
    seed : int or None
        Seed of ``numpy.random.default_rng``. None draws a seed from the operating system.

    Returns
    -------
    ndarray of float64, shape (size,)
        A series, ready for `windows`.

    Raises
    ------
    TypeError, ValueError
        If `size`, `tau` or `seed` is not an integer or is out of bounds.

    References
    ----------
    M. C. Mackey and L. Glass, "Oscillation and chaos in physiological control systems", Science
    197 (1977), 287-289. https://doi.org/10.1126/science.267326

    Examples
    --------
    >>> from crnn import dataset
    >>> s = dataset.mackey_glass(2000, seed=0)
    >>> s.shape, bool(s.min() > 0.2), bool(s.max() < 1.4)
    ((2000,), True, True)
    """
    size = _arguments.integer("size", size)
    tau = _arguments.integer("tau", tau)
    rng = np.random.default_rng(_arguments.seed("seed", seed))
    steps, step, dropped = 10, 0.1, 1000  # steps per unit of time; length of a step; units dropped

    def production(delayed: float) -> float:
        # Multiplications instead of pow, which rounds differently from library to library. In a
        # chaotic series another last bit changes everything after it.
        square = delayed * delayed
        fourth = square * square
        return 0.2 * delayed / (1.0 + fourth * fourth * square)

    now = float(rng.uniform(1.1, 1.3))
    # (s, ds/dt) of the last tau units of time, one pair per step, oldest first.
    past = deque([(now, 0.0)] * (tau * steps), maxlen=tau * steps)
    series = np.empty(dropped + size)
    for index in range(dropped + size):
        series[index] = now
        for _ in range(steps):
            (old, old_slope) = past[0]
            slope = production(old) - 0.1 * now
            past.append((now, slope))
            (new, new_slope) = past[0]
            middle = production((old + new) / 2 + step * (old_slope - new_slope) / 8)
            slope2 = middle - 0.1 * (now + step / 2 * slope)
            slope3 = middle - 0.1 * (now + step / 2 * slope2)
            slope4 = production(new) - 0.1 * (now + step * slope3)
            now += step / 6 * (slope + 2 * slope2 + 2 * slope3 + slope4)
    return series[dropped:]


def narma10(samples: int, timesteps: int, *, seed: int | None = None) -> tuple[Array, Array]:
    """Drive a nonlinear system of tenth order (NARMA10) with random inputs.

    ::

        y_{t+1} = 0.3 y_t + 0.05 y_t (y_t + y_{t-1} + ... + y_{t-9}) + 1.5 u_{t-9} u_t + 0.1

    u_t is uniform in [0, 0.5). Each sample is a separate system that starts at rest: y_0 and all u
    and y before it are 0. x is u_0, ..., u_{T-1}, and the target is y_T, which depends on these
    inputs only. The recurrence diverges about once in 200 000 steps. A sample in which y exceeds 1
    is therefore drawn again.

    Parameters
    ----------
    samples : int
        N, at least 1.
    timesteps : int
        T, at least 10, the order of the system. The start has no influence from about T = 30.
    seed : int or None
        Seed of ``numpy.random.default_rng``. None draws a seed from the operating system.

    Returns
    -------
    x : ndarray of float64, shape (N, T, 1)
    y : ndarray of float64, shape (N, 1)

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer or is out of bounds.

    References
    ----------
    A. F. Atiya and A. G. Parlos, "New results on recurrent network training: unifying the
    algorithms and accelerating convergence", IEEE Transactions on Neural Networks 11 (2000),
    697-709. https://doi.org/10.1109/72.846741

    Examples
    --------
    >>> from crnn import dataset
    >>> x, y = dataset.narma10(1000, 50, seed=0)
    >>> x.shape, y.shape, bool(y.min() > 0.1), bool(y.max() < 1)
    ((1000, 50, 1), (1000, 1), True, True)
    """
    samples = _arguments.integer("samples", samples)
    timesteps = _arguments.integer("timesteps", timesteps, minimum=10)
    rng = np.random.default_rng(_arguments.seed("seed", seed))
    x = rng.uniform(0.0, 0.5, (samples, timesteps))
    y, highest = _narma10_answer(x)
    while (away := highest > 1.0).any():
        x[away] = rng.uniform(0.0, 0.5, (int(away.sum()), timesteps))
        y[away], highest[away] = _narma10_answer(x[away])
    return x[:, :, np.newaxis], y[:, np.newaxis]


def _narma10_answer(u: Array) -> tuple[Array, Array]:
    """The last and the highest output for inputs u (N, T), each (N,), cut off at 2."""
    samples, timesteps = u.shape
    last_ten = np.zeros((10, samples))
    y, highest = np.zeros(samples), np.zeros(samples)
    for t in range(timesteps):
        delayed = u[:, t - 9] if t >= 9 else 0.0
        y = 0.3 * y + 0.05 * y * last_ten.sum(axis=0) + 1.5 * delayed * u[:, t] + 0.1
        y = np.minimum(y, 2.0)  # a diverging sample would overflow
        last_ten[t % 10] = y
        highest = np.maximum(highest, y)
    return y, highest


def adding_problem(samples: int, timesteps: int, *, seed: int | None = None) -> tuple[Array, Array]:
    """Make samples of the adding problem: the sum of two marked numbers of a long sequence.

    It tests memory over time. Feature 0 is uniform in [0, 1). Feature 1 marks one step in the first
    half of the sequence and one in the second: it is 1 there and 0 elsewhere. The target is the sum
    of the two marked numbers::

        y = sum over t of x_{t,0} x_{t,1}

    The constant answer 1 has a mean squared error of 1/6. A network with a lower error has learned
    to remember.

    Parameters
    ----------
    samples : int
        N, at least 1.
    timesteps : int
        T, at least 2.
    seed : int or None
        Seed of ``numpy.random.default_rng``. None draws a seed from the operating system.

    Returns
    -------
    x : ndarray of float64, shape (N, T, 2)
    y : ndarray of float64, shape (N, 1)

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer or is out of bounds.

    References
    ----------
    S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997),
    1735-1780. https://doi.org/10.1162/neco.1997.9.8.1735
    The form with one mark in each half: M. Arjovsky, A. Shah and Y. Bengio, "Unitary evolution
    recurrent neural networks", ICML 2016. https://arxiv.org/abs/1511.06464

    Examples
    --------
    >>> from crnn import dataset
    >>> x, y = dataset.adding_problem(4, 20, seed=0)
    >>> x.shape, y.shape, x[:, :, 1].sum(axis=1)
    ((4, 20, 2), (4, 1), array([2., 2., 2., 2.]))
    """
    samples = _arguments.integer("samples", samples)
    timesteps = _arguments.integer("timesteps", timesteps, minimum=2)
    rng = np.random.default_rng(_arguments.seed("seed", seed))
    rows = np.arange(samples)
    first = rng.integers(0, timesteps // 2, samples)
    second = rng.integers(timesteps // 2, timesteps, samples)
    x = np.zeros((samples, timesteps, 2))
    x[:, :, 0] = rng.random((samples, timesteps))
    x[rows, first, 1] = 1.0
    x[rows, second, 1] = 1.0
    y = x[rows, first, 0] + x[rows, second, 0]
    return x, y[:, np.newaxis]


def copy_memory(
    samples: int,
    delay: int,
    *,
    length: int = 10,
    symbols: int = 8,
    answer: str = "last",
    seed: int | None = None,
) -> tuple[Array, Array]:
    """Make samples of the copy memory problem: repeat a sequence of symbols after a delay.

    It tests how much a network remembers. With L = `length` and K = `symbols`, the symbols are 0 to
    K - 1, the blank is K, and the signal to answer is K + 1. A sample has L random symbols, then
    `delay` blanks, then the signal.

    ``answer="last"`` is for a network with an output after the last step: it asks for all symbols
    at the signal. x and y are one-hot, and y holds the symbols in order::

        y[:, t K + k] = x[:, t, k],  t < L,  k < K

    The constant answer 1/K has a mean squared error of (1 - 1/K) / K: 0.109 for eight symbols.

    ``answer="steps"`` is for a network with an output at every step, as in the papers. x and y are
    integers, and L blanks follow the signal. The answer is a blank up to the signal, then one
    symbol at each step::

        step           0 .. L-1   L .. L+delay-1   L+delay   L+delay+1 .. 2L+delay
        x              symbols    blanks           signal    blanks
        y              blanks     blanks           blank     symbols

    The papers count T = ``delay + 1`` from the last symbol to the signal, so a sample has T + 2 L
    steps: T + 20 for ten symbols. Answering blank, and then each symbol with probability 1/K, has
    a cross entropy of L ln K / (T + 2 L) per step.

    Parameters
    ----------
    samples : int
        N, at least 1.
    delay : int
        Blanks between the symbols and the signal, at least 0.
    length : int, default 10
        Symbols to remember, L, at least 1.
    symbols : int, default 8
        Different symbols, K, at least 2.
    answer : {"last", "steps"}, default "last"
        All symbols at the last step, or one symbol at each of L more steps.
    seed : int or None
        Seed of ``numpy.random.default_rng``. None draws a seed from the operating system. Both
        answers draw
        the same symbols.

    Returns
    -------
    x : ndarray
        "last": float64, shape (N, L + delay + 1, K + 2). "steps": int64, shape
        (N, 2 L + delay + 1), tokens from 0 to K + 1.
    y : ndarray
        "last": float64, shape (N, L K). "steps": int64, shape (N, 2 L + delay + 1), classes from 0
        to K.

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer or is out of bounds, or `answer` is not one of the two.

    References
    ----------
    S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997),
    1735-1780. https://doi.org/10.1162/neco.1997.9.8.1735
    The form with 10 of 8 symbols: M. Arjovsky, A. Shah and Y. Bengio, "Unitary evolution
    recurrent neural networks", ICML 2016. https://arxiv.org/abs/1511.06464

    Examples
    --------
    >>> from crnn import dataset
    >>> x, y = dataset.copy_memory(1, 1, length=2, symbols=2, seed=1)
    >>> x[0]
    array([[1., 0., 0., 0.],
           [0., 1., 0., 0.],
           [0., 0., 1., 0.],
           [0., 0., 0., 1.]])
    >>> y
    array([[1., 0., 0., 1.]])
    >>> x, y = dataset.copy_memory(1, 1, length=2, symbols=2, answer="steps", seed=1)
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2, 3, 2, 2]], [[2, 2, 2, 2, 0, 1]])
    """
    samples = _arguments.integer("samples", samples)
    delay = _arguments.integer("delay", delay, minimum=0)
    length = _arguments.integer("length", length)
    symbols = _arguments.integer("symbols", symbols, minimum=2)
    answer = _arguments.choice("answer", answer, ("last", "steps"))
    rng = np.random.default_rng(_arguments.seed("seed", seed))
    shown = rng.integers(0, symbols, (samples, length))
    if answer == "steps":
        tokens = np.full((samples, length + delay + 1 + length), symbols, dtype=np.int64)
        classes = tokens.copy()
        tokens[:, :length] = shown
        tokens[:, length + delay] = symbols + 1
        classes[:, -length:] = shown
        return tokens, classes
    x = np.zeros((samples, length + delay + 1, symbols + 2))
    x[np.arange(samples)[:, np.newaxis], np.arange(length), shown] = 1.0
    x[:, length : length + delay, symbols] = 1.0
    x[:, -1, symbols + 1] = 1.0
    y = x[:, :length, :symbols].copy().reshape(samples, length * symbols)
    return x, y
