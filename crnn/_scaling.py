"""Check the scale of inputs and targets: mean about 0, standard deviation about 1."""

from __future__ import annotations

import numpy as np

from crnn._arguments import Array
from crnn._samples import Samples, rows

# No warning for a deviation between these and a mean within this many deviations.
SMALLEST, LARGEST, DEVIATIONS = 1e-2, 1e2, 10.0
FEW = 10
# Numbers, and sequences, of a sample that is exact enough for these thresholds
_NUMBERS, _SEQUENCES = 1 << 12, 16

ADVICE = (
    "subtract the mean and divide by the standard deviation of the training part "
    "(crnn.Forecaster and the estimators do so by themselves)"
)


def unscaled(name: str, samples: Samples) -> str | None:
    """Describe the first column with an unsuitable scale; None if there is none.

    Missing values are left out. A column of zeros and ones is a category and always suitable. A
    constant column, or one with fewer than ten numbers, is suitable up to 100.
    """
    values = _some(samples)
    with np.errstate(all="ignore"):
        known = np.isfinite(values)
        count = known.sum(axis=0)
        few, count = count < FEW, np.maximum(count, 1)
        values = np.where(known, values, 0)
        peak = np.abs(values).max(axis=0)
        unit = values / np.where(peak > 0, peak, 1)  # so that sums and squares do not overflow
        mean = unit.sum(axis=0) / count
        deviation = np.sqrt((np.where(known, unit - mean, 0) ** 2).sum(axis=0) / count)
        mean, deviation = mean * peak, deviation * peak
        first = values[known.argmax(axis=0), np.arange(values.shape[1])]
        constant = ((values == first) | ~known).all(axis=0)
        category = ((values == 0) | (values == 1)).all(axis=0)
        far = (deviation < SMALLEST) | (deviation > LARGEST)
        far |= np.abs(mean) > DEVIATIONS * deviation
    far = np.where(constant | few, peak > LARGEST, far & ~category)
    if not far.any():
        return None
    column = int(np.argmax(far))
    found = f"{name} has mean {mean[column]:.3g} and standard deviation {deviation[column]:.3g}"
    return f"{found} in column {column}" if samples.features > 1 else found


def _some(samples: Samples) -> Array:
    """Steps of the samples, (steps, F) in float64: the series of windows, part of many samples."""
    if samples.overlapping:
        array = samples.array
        samples = Samples(np.concatenate([array[:, 0], array[-1, 1:]])[:, None])
    step = -(-samples.elements * samples.features // _NUMBERS)
    step = min(step, -(-len(samples) // _SEQUENCES))
    with np.errstate(all="ignore"):
        return rows(samples.take(slice(None, None, step)), np.dtype(np.float64))
