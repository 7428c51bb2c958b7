"""The benchmark of "Hands-On Machine Learning", 2nd edition, chapter 15: two noisy sine waves.

For each series, a, b, c and d are drawn from U[0, 1). Noise is drawn from U[-0.5, 0.5) for each
point. t runs from 0 to 1 over the steps:

    s(t) = 0.5 sin((t - c) (10 a + 10)) + 0.2 sin((t - d) (20 b + 20)) + 0.1 noise

There are 10 000 series of 51 steps, drawn with seed 42. 50 steps are the input, the last is the
target. 7000 series are for training, 2000 for validation and 1000 for the test. On the validation
part, the naive forecast has a mean squared error of 0.0202, and the least-squares fit 0.00293.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class TwoSines:
    """x (·, 50, 1) and y (·, 1) in float32, as in the book."""

    x_train: Array
    y_train: Array
    x_validation: Array
    y_validation: Array
    x_test: Array
    y_test: Array


def two_sines() -> TwoSines:
    """The benchmark's training, validation and test part."""
    # The book's legacy generator, as an object: the same numbers without global state.
    random = np.random.RandomState(42)
    count, steps = 10_000, 51
    a, b, c, d = random.rand(4, count, 1)
    t = np.linspace(0, 1, steps)
    series = 0.5 * np.sin((t - c) * (a * 10 + 10)) + 0.2 * np.sin((t - d) * (b * 20 + 20))
    series += 0.1 * (random.rand(count, steps) - 0.5)
    series = series.astype(np.float32)[:, :, np.newaxis]
    x, y = series[:, :-1], series[:, -1]
    return TwoSines(x[:7000], y[:7000], x[7000:9000], y[7000:9000], x[9000:], y[9000:])
