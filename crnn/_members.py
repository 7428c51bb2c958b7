"""What a `Combination` is made of: each member forecasts from windows alone, x (N, T) -> (N, H).

    linear                least squares on the window, `scoring.LeastSquaresAR`
    mean                  level + spread * networks((x - level) / scale), level the mean of x
    last                  the same with the last value of x as the level
    persistence           the last value
    seasonal persistence  the value of one season before

Sources: taking the last value off, A. Zeng et al., "Are transformers effective for time series
forecasting?", AAAI 2023; the mean, T. Kim et al., "Reversible instance normalization", ICLR 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crnn._arguments import Array
from crnn.model import RNN
from crnn.scoring import seasonal_persistence

LEVELS = ("mean", "last")
LINEAR = "linear"
PERSISTENCE, SEASONAL = "persistence", "seasonal persistence"
MEMBERS = (LINEAR, *LEVELS, PERSISTENCE, SEASONAL)


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
        together: Array = self.level_of(x) + self.spread * mean
        return together

    def inputs(self, x: Array) -> Array:
        with np.errstate(over="ignore"):
            away = x[:, -self.reach :] - self.level_of(x)
            scaled = (away / self.scale).astype(np.float32)
        if not np.isfinite(scaled).all():
            raise ValueError(
                "series holds values that vary too much beside those that were fitted "
                f"(scale {self.scale:g})"
            )
        return scaled[:, :, np.newaxis]

    def level_of(self, x: Array) -> Array:
        """The level of each window, (N, 1)."""
        return level_of(self.level, x[:, -self.reach :])


def level_of(level: str, x: Array) -> Array:
    """The level of each window, (N, 1)."""
    return x[:, -1:] if level == "last" else x.mean(axis=1, keepdims=True)
