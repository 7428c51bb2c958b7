"""The forecaster of version 0.1, for its files: one network on the standardised series.

z = (s - mean) / scale. The network maps T values of z to the next one. The forecasts have the bits
that version 0.1 gave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn._arguments import Array, integer, real
from crnn.model import RNN

# What a file of version 0.1 keeps of the arguments.
SETTINGS = (
    "timesteps",
    "hidden_size",
    "epochs",
    "batch_size",
    "learning_rate",
    "optimizer",
    "seed",
)
TAIL = "tail"


@dataclass
class Standardised:
    """A network, the scaling, and the scaled end of the series."""

    model: RNN
    mean: float
    scale: float
    tail: Array
    settings: dict[str, Any]
    horizon: int = 1

    @property
    def timesteps(self) -> int:
        return len(self.tail)

    @property
    def past(self) -> Array:
        """The end of the series in its own units."""
        return self._unscale(self.tail)

    def predict(self, x: Array, threads: int | None = None) -> Array:
        """Forecast one step from each window, (N, 1)."""
        outputs = self.model.predict(self._scale(x)[:, :, np.newaxis], threads=threads)
        return self._unscale(outputs)

    def forecast(self, steps: int, window: Array | None) -> Array:
        """Forecast from a window, or from the end of the fitted series, (steps,)."""
        timesteps = len(self.tail)
        values = np.empty(timesteps + steps, dtype=np.float32)
        values[:timesteps] = self.tail if window is None else self._scale(window)
        for step in range(steps):
            x = values[step : step + timesteps].reshape(1, timesteps, 1)
            values[timesteps + step] = self.model.predict(x, threads=1)[0, 0]
        return self._unscale(values[timesteps:])

    def _scale(self, values: Array) -> Array:
        with np.errstate(over="ignore"):
            scaled = ((values - self.mean) / self.scale).astype(np.float32)
        if not np.isfinite(scaled).all():
            raise ValueError(
                "series holds values too far from those that were fitted "
                f"(mean {self.mean:g}, scale {self.scale:g})"
            )
        return scaled

    def _unscale(self, scaled: Array) -> Array:
        return scaled.astype(np.float64) * self.scale + self.mean

    def arrays(self) -> dict[str, Array]:
        return self.model.state_dict() | {TAIL: self.tail}


def restore(arrays: dict[str, Any], settings: dict[str, Any]) -> Standardised:
    """What a file of version 0.1 holds, checked."""
    mean = real("mean", settings["mean"])
    scale = real("scale", settings["scale"], above=0.0)
    tail = arrays.pop(TAIL)
    timesteps = integer("timesteps", settings["timesteps"])
    hidden_size = integer("hidden_size", settings["hidden_size"])
    # Before the network is built: what a file claims must not decide how much is allocated.
    for name, array, shape in (
        (TAIL, tail, (timesteps,)),
        ("Wh_l0", arrays["Wh_l0"], (hidden_size,) * 2),
    ):
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(
                f"{name} must be float32 of shape {shape}, got {array.dtype} {array.shape}"
            )
    if not np.isfinite(tail).all():
        raise ValueError(f"{TAIL} must be finite")
    network = {
        "input_size": 1,
        "hidden_size": hidden_size,
        "output_size": 1,
        "bias": True,
        "dtype": "float32",
        "init": "orthogonal",
        "seed": settings["seed"],
    }
    model = RNN._restored(arrays, network)  # initialising first would take H^3
    kept = {name: settings[name] for name in SETTINGS} | {"mean": mean, "scale": scale}
    return Standardised(model, mean, scale, tail, kept)
