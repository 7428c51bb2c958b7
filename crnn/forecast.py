"""A series in, a forecast out: scaling, windows, network and training in one object."""

from __future__ import annotations

import math
import os
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from crnn import dataset, optimizers, storage
from crnn._arguments import Array, choice, integer, numeric, real
from crnn._arguments import seed as checked_seed
from crnn.model import RNN
from crnn.trainer import History, Trainer

_KIND = "forecaster"
# The stored array beside the network's own, whose names all begin with W or b.
_TAIL = "tail"
# What a file keeps of the arguments: those that decide what a training gives.
_SETTINGS = (
    "timesteps",
    "hidden_size",
    "epochs",
    "batch_size",
    "learning_rate",
    "optimizer",
    "seed",
)


class Forecaster:
    r"""Forecast a series with a tanh network that sees its last `timesteps` values.

    The series s is standardised, z = (s - mean) / scale, with the mean and the (population)
    standard deviation of the series that `fit` is given and of nothing else. The network maps
    z_{t-T}, …, z_{t-1}, read from a zero state, to z_t (equations: `crnn.RNN`, with I = O = 1).
    What is set after `fit` (``forecaster.epochs = 200``) is for the next `fit`, `threads` excepted.

    Parameters
    ----------
    timesteps : int
        T, how many values a prediction is made from.
    hidden_size : int, default 32
        H, hidden units.
    epochs, batch_size, threads, progress
        As for `crnn.Trainer`.
    learning_rate : float, default 2e-3
    optimizer : {"sgd", "rmsprop", "adam", "adamw"}, default "adam"
        With its defaults.
    seed : int, optional
        Of the initial parameters and of the order of the windows. The same seed gives the same
        bits at any number of threads. None takes one from the operating system.

    Attributes
    ----------
    model_ : crnn.RNN
        The network, on standardised values. It exists after `fit`.
    history_ : crnn.History or None
        What the training was like. None after `load`, and after a training that was interrupted
        or diverged (`TrainingDiverged` carries its own).
    mean_, scale_ : float
        In the units of the series. `scale_` is 1 for a constant series, whose forecast is that
        constant.

    Examples
    --------
    >>> from crnn import Forecaster, dataset
    >>> series = 20 + 5 * dataset.sine_wave(120)
    >>> forecaster = Forecaster(timesteps=10, hidden_size=8, epochs=60, seed=0).fit(series)
    >>> forecaster.forecast(3).shape
    (3,)
    >>> forecaster.predict(series).shape  # one step ahead, of series[10:]
    (110,)
    """

    model_: RNN
    history_: History | None
    mean_: float
    scale_: float
    _tail: Array
    _fitted: dict[str, Any]  # _SETTINGS as they were then

    def __init__(
        self,
        *,
        timesteps: int,
        hidden_size: int = 32,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        optimizer: str = "adam",
        seed: int | None = None,
        threads: int | None = None,
        progress: bool = False,
    ) -> None:
        self.timesteps = integer("timesteps", timesteps)
        self.hidden_size = integer("hidden_size", hidden_size)
        self.seed = checked_seed("seed", seed)
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.threads = threads
        self.progress = progress
        self._trainer()

    def _trainer(self) -> Trainer:
        return Trainer(
            epochs=self.epochs,
            batch_size=self.batch_size,
            # a name and a number: what a file keeps
            learning_rate=real("learning_rate", self.learning_rate, above=0),
            optimizer=choice("optimizer", self.optimizer, optimizers.NAMES),
            seed=self.seed,
            progress=self.progress,
            threads=self.threads,
        )

    def fit(self, series: ArrayLike) -> Self:
        """Standardise the series and train a new network on its windows.

        Parameters
        ----------
        series : array_like, shape (M,) or (M, 1)
            Real numbers in time order, M > timesteps.

        Returns
        -------
        Forecaster
            Itself.

        Raises
        ------
        ValueError, TypeError
            If the series is too short, not one series, not finite or not numeric. A fit before it
            stays as it was.
        crnn.TrainingDiverged
            If the loss is no longer finite; the network is that of the last good epoch.
        """
        trainer = self._trainer()
        values = _series("series", series, shortest=self.timesteps + 1)
        mean, scale = _standard(values)
        scaled = ((values - mean) / scale).astype(np.float32)
        x, y = dataset.windows(scaled, self.timesteps)
        self.model_ = RNN(1, self.hidden_size, 1, seed=self.seed)
        self.mean_, self.scale_ = mean, scale
        self._tail = scaled[-self.timesteps :].copy()
        self._fitted = {name: getattr(self, name) for name in _SETTINGS}
        self.history_ = None
        self.history_ = trainer.fit(self.model_, x, y)
        return self

    def predict(self, series: ArrayLike) -> Array:
        """Predict each value of a series from the `timesteps` true values before it.

        Parameters
        ----------
        series : array_like, shape (M,) or (M, 1)
            M > timesteps, in the units of the fitted series. It is scaled as that was.

        Returns
        -------
        numpy.ndarray, shape (M - timesteps,), float64
            Entry i is the prediction of ``series[timesteps + i]``.

        Raises
        ------
        ValueError, TypeError
            As for `fit`.
        RuntimeError
            Before `fit`.
        """
        self._check_fitted()
        timesteps = len(self._tail)
        values = _series("series", series, shortest=timesteps + 1)
        x, _ = dataset.windows(self._scale(values), timesteps)
        return self._unscale(self.model_.predict(x, threads=self.threads)[:, 0])

    def forecast(self, steps: int, series: ArrayLike | None = None) -> Array:
        """Predict the next values, each from its own predictions before it.

        Every step reads the last `timesteps` values again from a zero state, because that is what
        the network was trained on. Carrying one state along (`RNN.stream`) would cost a T-th, and
        would run the network through states that lie further than T steps from zero, which it
        never met in training.

        Parameters
        ----------
        steps : int
            How many values.
        series : array_like, shape (M,) or (M, 1), optional
            What to continue, M >= timesteps. By default the series that was fitted.

        Returns
        -------
        numpy.ndarray, shape (steps,), float64
            In the units of the series. tanh is bounded, so the forecast is, however far it goes.

        Raises
        ------
        ValueError, TypeError
            If `steps` is not positive, or as for `fit`.
        RuntimeError
            Before `fit`.
        """
        self._check_fitted()
        steps = integer("steps", steps)
        timesteps = len(self._tail)
        if series is None:
            tail = self._tail
        else:
            tail = self._scale(_series("series", series, shortest=timesteps)[-timesteps:])
        values = np.empty(timesteps + steps, dtype=np.float32)
        values[:timesteps] = tail
        for step in range(steps):
            window = values[step : step + timesteps].reshape(1, timesteps, 1)
            values[timesteps + step] = self.model_.predict(window, threads=1)[0, 0]
        return self._unscale(values[timesteps:])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network, the scaling and the end of the series to one safetensors file.

        Parameters
        ----------
        path : path-like
            Replaced whole, or left as it was if writing fails.

        Raises
        ------
        OSError
            If the file cannot be written.
        RuntimeError
            Before `fit`.
        """
        self._check_fitted()
        settings = self._fitted | {"mean": self.mean_, "scale": self.scale_}
        storage.write(path, _KIND, self.model_.state_dict() | {_TAIL: self._tail}, settings)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote: predictions have the same bits as before.

        Parameters
        ----------
        path : path-like
            A file of kind "forecaster".

        Returns
        -------
        Forecaster
            Fitted. How many threads to use is the machine's matter and not in the file.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is damaged, of another kind, or its parts do not fit each other.
        """
        arrays, settings = storage.read(path, _KIND)
        try:
            return cls._restore(arrays, settings)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            reason = f"no {error} in it" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"{os.fspath(path)}: not a usable forecaster: {reason}") from error

    @classmethod
    def _restore(cls, arrays: dict[str, Any], settings: dict[str, Any]) -> Self:
        mean = real("mean", settings["mean"])
        scale = real("scale", settings["scale"], above=0.0)
        tail = arrays.pop(_TAIL)
        forecaster = cls(**{name: settings[name] for name in _SETTINGS})
        # Before the network is built: what a file claims must not decide how much is allocated.
        for name, array, shape in (
            (_TAIL, tail, (forecaster.timesteps,)),
            ("Wh_l0", arrays["Wh_l0"], (forecaster.hidden_size,) * 2),
        ):
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(
                    f"{name} must be float32 of shape {shape}, got {array.dtype} {array.shape}"
                )
        if not np.isfinite(tail).all():
            raise ValueError(f"{_TAIL} must be finite")
        network = {
            "input_size": 1,
            "hidden_size": forecaster.hidden_size,
            "output_size": 1,
            "bias": True,
            "dtype": "float32",
            "init": "orthogonal",
            "seed": forecaster.seed,
        }
        forecaster.model_ = RNN._restored(arrays, network)  # initialising first would take H^3
        forecaster.mean_, forecaster.scale_ = mean, scale
        forecaster._tail = tail
        forecaster._fitted = {name: settings[name] for name in _SETTINGS}
        forecaster.history_ = None
        return forecaster

    def _check_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise RuntimeError("this Forecaster is not fitted: call fit, or use Forecaster.load")

    def _scale(self, values: Array) -> Array:
        with np.errstate(over="ignore"):
            scaled = ((values - self.mean_) / self.scale_).astype(np.float32)
        if not np.isfinite(scaled).all():
            raise ValueError(
                f"series holds values too far from those that were fitted "
                f"(mean {self.mean_:g}, scale {self.scale_:g})"
            )
        return scaled

    def _unscale(self, scaled: Array) -> Array:
        return scaled.astype(np.float64) * self.scale_ + self.mean_


def _series(name: str, series: ArrayLike, *, shortest: int) -> Array:
    """One finite series, (M,) float64, of at least `shortest` values."""
    array = numeric(name, series)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (M,) or (M, 1), got {array.shape}")
    if array.size < shortest:
        raise ValueError(f"{name} must hold at least {shortest} values, got {array.size}")
    values = np.asarray(array, dtype=np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        position = int(np.argmin(finite))
        raise ValueError(f"{name} must be finite, got {values[position]} at position {position}")
    return values


def _standard(values: Array) -> tuple[float, float]:
    """Mean and population standard deviation; scale 1 for a constant series."""
    first = float(values[0])
    if (values == first).all():
        return first, 1.0  # not by the formula: its rounding would leave a scale of 1e-17
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values.mean())
        deviation = values - mean
        # Divided by the largest first, so that no square overflows or vanishes.
        largest = float(np.abs(deviation).max())
        scale = largest * math.sqrt(float(np.mean((deviation / largest) ** 2)))
    if not (math.isfinite(mean) and math.isfinite(scale) and scale > 0):
        raise ValueError(f"series cannot be standardised: its mean is {mean}, its scale {scale}")
    return mean, scale
