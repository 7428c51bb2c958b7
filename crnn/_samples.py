"""Inputs and targets in the form that the compiled loop reads, and checks of their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn import _arguments, _cell
from crnn._arguments import Array
from crnn.dataset import Sequences

MISSING = ("error", "ignore")


@dataclass(frozen=True)
class Samples:
    """N sequences with F numbers per step, read in place.

    Attributes
    ----------
    array : ndarray, shape (N, T, F), or (1, M, F) with `starts`
    starts : ndarray of int64, shape (N,), optional
        Sample n starts at step ``starts[n]`` of the M. None: sample n is row n.
    lengths : ndarray of int64, shape (N,), optional
        Steps of each sample; None: all have T.
    """

    array: Array
    starts: Array | None = None
    lengths: Array | None = None

    def __len__(self) -> int:
        return len(self.array) if self.starts is None else len(self.starts)

    @property
    def steps(self) -> int:
        """Steps of the longest sample."""
        return int(self.array.shape[1] if self.lengths is None else self.lengths.max())

    @property
    def overlapping(self) -> bool:
        """Whether they are windows of one series, one step apart."""
        strides = self.array.strides
        return self.lengths is None and len(self.array) > 1 and strides[0] == strides[1]

    def take(self, index: slice | Array) -> Samples:
        """Some of the samples. Numbers at equal distances in memory are not copied."""
        if self.starts is not None and self.lengths is not None:
            return Samples(self.array, self.starts[index], self.lengths[index])
        lengths = None if self.lengths is None else self.lengths[index]
        if isinstance(index, slice):
            return Samples(self.array[index], lengths=lengths)
        steps = np.full(len(self), self.steps) if self.lengths is None else self.lengths
        chosen = Sequences.from_padded(self.array, steps)[index]
        return Samples(chosen.values[None], chosen.starts, chosen.lengths)

    @property
    def features(self) -> int:
        """F."""
        return int(self.array.shape[2])

    @property
    def elements(self) -> int:
        """Steps of all samples together."""
        return len(self) * self.steps if self.lengths is None else int(self.lengths.sum())


def inputs(
    name: str, value: object, features: int, *, tokens: bool = False, lengths: object = None
) -> Samples:
    """Samples with `features` numbers per step; with `tokens`, an integer in [0, features)."""
    columns = 1 if tokens else features
    if isinstance(value, Sequences):
        if lengths is not None:
            raise ValueError("lengths must be None for Sequences, which have their own lengths")
        samples = _sequences(name, value, columns)
    else:
        array = _arguments.numeric(name, value)
        came = array.shape
        if array.ndim == 2 and columns == 1:
            if came[1] == 1 and not tokens:
                raise ValueError(
                    f"{name} must have shape (N, T, 1) or (N, T) with T > 1, got {came}: for one "
                    f"window of {came[0]} steps pass {name}[None], for {came[0]} windows of one "
                    f"step {name}[:, None, :]"
                )
            array = array[:, :, None]
        if array.ndim != 3 or array.shape[2] != columns or (tokens and len(came) != 2):
            shape = f"(N, T, {columns})" + (" or (N, T)" if columns == 1 else "")
            raise ValueError(f"{name} must have shape {'(N, T)' if tokens else shape}, got {came}")
        if 0 in array.shape:
            raise ValueError(
                f"{name} must have at least one sample and one timestep, got shape {array.shape}"
            )
        samples = Samples(array, lengths=_lengths(lengths, len(array), array.shape[1]))
    if tokens and samples.array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, got an array of dtype {samples.array.dtype}")
    return samples


def targets(
    name: str, value: object, like: Samples, outputs: int, *, every: bool, classes: bool
) -> Samples:
    """Targets of the samples `like`: for their last steps, or for `every` step."""
    columns = 1 if classes else outputs
    if isinstance(value, Sequences):
        if not every:
            raise ValueError(f'{name} must be an array for output="last", got Sequences')
        samples = _sequences(name, value, columns)
        own = np.full(len(like), like.steps) if like.lengths is None else like.lengths
        if not np.array_equal(value.lengths, own):
            raise ValueError(f"{name} must have as many steps in each sample as the inputs")
    else:
        array = _arguments.numeric(name, value)
        came, letters = array.shape, "N, T" if every else "N"
        if array.ndim == 1 + every and columns == 1:
            array = array[..., None]
        if (
            array.ndim != 2 + every
            or array.shape[-1] != columns
            or (classes and array.shape == came)
        ):
            also = f" or ({letters}{'' if every else ','})" if columns == 1 else ""
            shape = also[4:] if classes else f"({letters}, {columns}){also}"
            raise ValueError(f"{name} must have shape {shape}, got {came}")
        if len(array) != len(like):
            raise ValueError(
                f"{name} must have as many samples as the inputs, {len(like)}, got {len(array)}"
            )
        if every and (steps := like.array.shape[1] if like.starts is None else like.steps) != len(
            array[0]
        ):
            raise ValueError(
                f"{name} must have as many timesteps as the inputs, {steps}, got {len(array[0])}"
            )
        samples = Samples(
            array if every else array[:, None], lengths=like.lengths if every else None
        )
    if classes and samples.array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must hold classes as integers, got an array of dtype {samples.array.dtype}"
        )
    return samples


def check(
    name: str,
    samples: Samples,
    dtype: np.dtype[Any],
    *,
    low: float = -np.inf,
    high: float = np.inf,
    missing: bool = False,
) -> None:
    """Check that every number is finite in dtype and in [low, high]. `missing` allows NaN."""
    bad = _first_unfit(samples, dtype, low, high, missing)
    if bad is None:
        return
    sample, step = bad
    if np.isinf([low, high]).all():
        raise _arguments.not_finite(name, sample, dtype)
    place = f"sample {sample}" + (f", step {step}" if samples.steps > 1 else "")
    if samples.array.dtype.kind in "iu":
        bounds = f"[{low:.0f}, {high:.0f}]" if np.isfinite(low) else f"at most {high:.0f}"
        took = (
            samples.array[0, samples.starts[sample] + step]
            if samples.starts is not None
            else (samples.array[sample, step])
        )
        raise ValueError(f"{name} must hold integers in {bounds}, got {took[0]} in {place}")
    raise ValueError(
        f"{name} must hold numbers in [{low:g}, {high:g}], got a number outside in {place}"
    )


def sample_weight(name: str, value: object, samples: int) -> Array | None:
    """Weights of the samples in float64, scaled to mean 1; None for equal weights."""
    if value is None:
        return None
    array = _arguments.numeric(name, value)
    if array.shape != (samples,):
        raise ValueError(f"{name} must have shape ({samples},), got {array.shape}")
    weights = array.astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        raise ValueError(
            f"{name} must hold finite numbers of at least 0, got {weights[bad[0]]} for "
            f"sample {bad[0]}"
        )
    if not weights.any():
        raise ValueError(f"{name} must have a number above 0, got only zeros")
    with np.errstate(under="ignore"):
        weights /= weights.max()
        weights /= weights.mean()
    return weights


def initial_state(
    name: str, value: object, cells: int, samples: int, hidden: int, dtype: np.dtype[Any]
) -> Array | None:
    """States before the first steps, (L D, N, H), aligned and in C order; None for zeros."""
    if value is None:
        return None
    array = _arguments.numeric(name, value)
    came = array.shape
    if array.ndim == 2 and cells == 1:
        array = array[None]
    if array.shape != (cells, samples, hidden):
        also = f" or {(samples, hidden)}" if cells == 1 else ""
        raise ValueError(f"{name} must have shape {(cells, samples, hidden)}{also}, got {came}")
    with np.errstate(over="ignore", under="ignore"):
        states: Array = np.require(array, dtype, ["C", "ALIGNED"])
    if not np.isfinite(states).all():
        raise ValueError(f"{name} must be finite in {dtype}, got NaN, infinity or overflow")
    return states


def _sequences(name: str, value: Sequences, columns: int) -> Samples:
    values = _arguments.numeric(name, value.values)
    if values.ndim == 1 and columns == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] != columns:
        shape = f"(M, {columns})" + (" or (M,)" if columns == 1 else "")
        raise ValueError(f"{name}.values must have shape {shape}, got {value.values.shape}")
    return Samples(values[None], value.starts, value.lengths)


def _lengths(value: object, samples: int, steps: int) -> Array | None:
    if value is None:
        return None
    array = _arguments.integers("lengths", value)
    if array.shape != (samples,):
        raise ValueError(f"lengths must have shape ({samples},), got {array.shape}")
    bad = np.flatnonzero((array < 1) | (array > steps))
    if bad.size:
        raise ValueError(
            f"lengths must be between 1 and {steps}, got {array[bad[0]]} for sample {bad[0]}"
        )
    return array


def _first_unfit(
    samples: Samples, dtype: np.dtype[Any], low: float, high: float, missing: bool
) -> tuple[int, int] | None:
    array, steps = samples.array, samples.steps
    if samples.overlapping:
        # the series is the first step of every window, and then the last window; a point of it
        # first appears in the window that ends with it
        for part, before in (array[:, :1], 0), (array[-1][:, None], len(array) - 1):
            point = _cell.first_unfit(Samples(part), dtype, low, high, missing)
            if point is not None:
                sample = max(0, before + point[0] - steps + 1)
                return sample, before + point[0] - sample
        return None
    if array.flags.c_contiguous and samples.starts is None and samples.lengths is None:
        # one sample of all steps, because a call for each of many short samples takes longer
        whole = Samples(array.reshape(1, -1, samples.features))
        point = _cell.first_unfit(whole, dtype, low, high, missing)
        return None if point is None else divmod(point[1], steps)
    return _cell.first_unfit(samples, dtype, low, high, missing)


def rows(samples: Samples, dtype: np.dtype[Any]) -> Array:
    """All steps of all samples in one aligned C array (steps, F) of dtype, sample by sample."""
    array = samples.array
    if samples.lengths is None:
        chosen: Array = array.reshape(-1, samples.features)
    else:
        ends = np.cumsum(samples.lengths)
        step = np.arange(ends[-1]) - np.repeat(ends - samples.lengths, samples.lengths)
        if samples.starts is None:
            chosen = array[np.repeat(np.arange(len(samples)), samples.lengths), step]
        else:
            chosen = array[0, np.repeat(samples.starts, samples.lengths) + step]
    with np.errstate(under="ignore"):
        aligned: Array = np.require(chosen, dtype, ["C", "ALIGNED"])
        return aligned
