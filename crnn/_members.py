"""What a `Combination` is made of: each member forecasts from windows alone, x (N, T) -> (N, H).

    linear                least squares on the window, `scoring.LeastSquaresAR`
    mean                  level + spread * networks((x - level) / scale), level the mean of x
    last                  the same with the last value of x as the level
    readout               a ridge regression on the window and on the last states of all networks
    persistence           the last value
    seasonal persistence  the value of one season before

Sources: taking the last value off, A. Zeng et al., "Are transformers effective for time series
forecasting?", AAAI 2023; the mean, T. Kim et al., "Reversible instance normalization", ICLR 2022. A
linear readout of recurrent states, H. Jaeger, "The 'echo state' approach to analysing and training
recurrent neural networks", GMD report 148, 2001; its penalty, G. H. Golub, M. Heath and G. Wahba,
"Generalized cross-validation as a method for choosing a good ridge parameter", Technometrics 21
(1979), 215-223.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crnn import _qr
from crnn._arguments import Array
from crnn.model import RNN
from crnn.scoring import seasonal_persistence

LEVELS = ("mean", "last")
LINEAR, READOUT = "linear", "readout"
PERSISTENCE, SEASONAL = "persistence", "seasonal persistence"
MEMBERS = (LINEAR, *LEVELS, READOUT, PERSISTENCE, SEASONAL)
_PENALTIES = 10.0 ** np.arange(2, -16.5, -0.5)  # for each window
_COST = 2.0  # of a parameter, in the choice of the penalty
_LEAST_DEVIATION = 1e-3  # of a feature of the readout; features have values of about 1
_BLOCK = 4096  # windows whose features the readout holds at a time


class Member(Protocol):
    """Forecasts from windows: x (N, T) -> (N, H)."""

    def predict(self, x: Array) -> Array: ...


@dataclass(frozen=True)
class Repeated:
    """The value of `lag` steps before, again and again."""

    lag: int
    horizon: int

    def predict(self, x: Array) -> Array:
        repeated: Array = seasonal_persistence(x, self.lag, self.horizon)
        return repeated


class Networks:
    """The mean of networks that see the end of a window less its level, divided by `scale`."""

    def __init__(
        self, level: str, reach: int, scale: float, spread: float, models: list[RNN]
    ) -> None:
        self.level, self.reach, self.models = level, reach, models
        self.scale, self.spread = scale, spread

    def predict(self, x: Array) -> Array:
        inputs = self.inputs(x)
        return self.together(x, [model.predict(inputs, threads=1) for model in self.models])

    def together(self, x: Array, outputs: list[Array]) -> Array:
        """The mean of the networks' outputs, in the units of the series."""
        mean = np.mean(np.stack(outputs), axis=0, dtype=np.float64)
        together: Array = self.levels(x) + self.spread * mean
        return together

    def states(self, x: Array) -> Array:
        """The networks' last states side by side, (N, networks hidden_size)."""
        inputs = self.inputs(x)
        last = [model.predict(inputs, return_state=True, threads=1)[1] for model in self.models]
        return np.hstack([state[0] for state in last])

    def inputs(self, x: Array) -> Array:
        with np.errstate(over="ignore"):
            away = x[:, -self.reach :] - self.levels(x)
            scaled = (away / self.scale).astype(np.float32)
        if not np.isfinite(scaled).all():
            raise ValueError(
                "series holds values that vary too much beside those that were fitted "
                f"(scale {self.scale:g})"
            )
        return scaled[:, :, np.newaxis]

    def levels(self, x: Array) -> Array:
        """The level of what the networks see of each window, (N, 1)."""
        return level_of(self.level, x[:, -self.reach :])


def level_of(level: str, x: Array) -> Array:
    """The level of each window, (N, 1)."""
    return x[:, -1:] if level == "last" else x.mean(axis=1, keepdims=True)


class Readout:
    """A ridge regression on windows and on the states of networks that read them.

    With x_T the last value of a window, s the scale of the networks of level "last", and h the last
    states of all networks::

        z = (x_1 - x_T) / s, ..., (x_(T-1) - x_T) / s, h
        forecast = x_T + c + z W

    c and W minimise the sum of squared errors plus n p sum((d W)^2): n windows, d the deviations of
    z, at least 1e-3. The penalty p, 1e-16 to 100, has the least n rss / (n - 2 f)^2, where rss is
    the sum of squared errors over all H and f the effective number of parameters. If n is not above
    2 f for any p, the largest is taken. Generalised cross-validation counts a parameter once. Here
    it counts twice, because short series would be fitted exactly otherwise.
    """

    def __init__(self, networks: Sequence[Networks], weights: Array) -> None:
        self.networks, self.weights = networks, weights  # c above W, (1 + features, H)

    @classmethod
    def fit(cls, networks: Sequence[Networks], x: Array, y: Array) -> Readout:
        """From windows x (N, T) and what follows, y (N, H). Rows with NaN in y are left out."""
        there = ~np.isnan(y).any(axis=1)
        x, y = x[there], y[there]
        count, horizon = y.shape
        found = cls(networks, np.empty((0, horizon)))
        # the windows are folded, block by block, into the triangle of a QR factorisation
        triangle = _qr.triangle(
            np.hstack((found.features(x_block), y_block - x_block[:, -1:]))
            for x_block, y_block in zip(_blocks(x), _blocks(y), strict=True)
        )
        # its first row has the means, the others are the triangle of z and y less their means
        z, target = triangle[1:, 1:-horizon], triangle[1:, -horizon:]
        with np.errstate(over="ignore"):  # an infinite deviation gives a weight of 0
            deviation = np.linalg.norm(z, axis=0) / math.sqrt(count)
        deviation = np.maximum(deviation, _LEAST_DEVIATION)
        left, d, right = np.linalg.svd(z / deviation, full_matrices=False)
        along = left.T @ target
        kept = d**2 / (d**2 + count * _PENALTIES[:, np.newaxis])  # (penalties, features)
        squares = np.square(along).sum(axis=1)
        rss = np.square(target - left @ along).sum() + (1 - kept) ** 2 @ squares
        free = count - _COST * (1 + kept.sum(axis=1))
        scores = np.divide(rss, free**2, out=np.full_like(rss, np.inf), where=free > 0)
        best = int(np.argmin(scores))
        shrunk = d / (d**2 + count * _PENALTIES[best])
        weights = right.T @ (shrunk[:, np.newaxis] * along) / deviation[:, np.newaxis]
        constant = (triangle[0, -horizon:] - triangle[0, 1:-horizon] @ weights) / triangle[0, 0]
        found.weights = np.vstack((constant, weights))
        return found

    def predict(self, x: Array) -> Array:
        change = [self.features(block) @ self.weights for block in _blocks(x)]
        forecast: Array = x[:, -1:] + np.vstack(change)
        return forecast

    def features(self, x: Array) -> Array:
        """1 and z, (N, 1 + features)."""
        past = (x[:, :-1] - x[:, -1:]) / self.networks[-1].scale
        states = [networks.states(x) for networks in self.networks]
        return np.hstack((np.ones((len(x), 1)), past, *states))


def _blocks(rows: Array) -> list[Array]:
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
