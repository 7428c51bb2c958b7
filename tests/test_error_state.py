"""NumPy's error state changes no result: "raise" and "warn" give the bits of "ignore"."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import UNSCALED, bits

import crnn
from crnn import RNN, EarlyStopping, Trainer, TrainingDiverged, diagnostics, losses, scoring
from crnn.dataset import Sequences

pytestmark = UNSCALED

# Near the limits of float32 and float64, near the roots of these limits, and between.
SCALES = [1e-310, 1e-200, 1e-160, 1e-45, 1e-40, 1e-20, 1.0, 1e20, 1e37, 1e160, 1e300]
RANDOM = np.random.default_rng(0)
X, Y, SERIES = (RANDOM.standard_normal(shape) for shape in ((40, 6, 2), (40, 1), 60))


def times(array: Any, scale: float) -> Any:
    """A product that does not depend on the error state."""
    with np.errstate(all="ignore"):
        return array * scale


def network(dtype: str, outputs: int = 1) -> RNN:
    return RNN(2, 4, outputs, dtype=dtype, seed=0)


def trained(dtype: str, scale: float, **settings: Any) -> Any:
    model = network(dtype)
    arguments = {"x": X, "y": Y, **settings.pop("data", {})}
    history = Trainer(3, seed=0, **settings).fit(model, **arguments)
    return bits(model), history.loss, history.gradient_norm, history.validation_loss


def loaded(dtype: str, scale: float) -> Any:
    model = network(dtype)
    model.load_state_dict({name: np.full(a.shape, scale) for name, a in model.parameters().items()})
    return model.predict(X).tolist()


def updated(dtype: str, scale: float) -> Any:
    model = network(dtype)
    run = Trainer(seed=0, clip_norm=1.0).start(model, X, Y)
    run.update({name: np.full(a.shape, scale) for name, a in model.parameters().items()})
    return bits(model)


def streamed(dtype: str, scale: float) -> Any:
    stream = network(dtype).stream()
    stream.state = np.full((1, 4), min(scale, 1.0))
    return [stream.step(times(x_t, scale)).tolist() for x_t in X[0]]


def resumed(dtype: str, scale: float, folder: Path) -> Any:
    return [
        trained(dtype, scale, data={"y": times(Y, scale), "checkpoint": folder / "file"})
        for _ in range(2)
    ]


def loss_and_gradients(dtype: str, scale: float, loss: str) -> Any:
    model, x, y = network(dtype), times(X, scale), times(Y, scale)
    value, gradients = model.gradients(x, y, loss)
    return value, model.loss(x, y, loss), {k: g.tolist() for k, g in gradients.items()}


def classified(dtype: str, scale: float) -> Any:
    model, y = network(dtype, 3), np.arange(40) % 3
    model.parameters()["Wy"][...] *= 1e30 if dtype == "float32" else 1e200
    likely = np.full((40, 3), min(scale, 1.0))
    found = model.loss(X, y, "cross_entropy"), model.loss(X, likely, "binary_cross_entropy")
    Trainer(2, loss="cross_entropy", seed=0).fit(model, X, y)
    return found, bits(model)


def taught(scale: float) -> Any:
    np.random.seed(0)
    rnn = crnn.notebook.RNN(times(X[:, :, :1], scale), times(Y, scale), 4)
    rnn.train(2, 0.01, verbose=0)
    return rnn.test(times(X[:, :, :1], scale), times(Y, scale)), rnn.Wh.tolist()


def scored(scale: float) -> Any:
    one, other = times(SERIES, scale), times(SERIES[::-1], scale)
    x, y = crnn.dataset.windows(one, 5)
    return (
        *(scoring.rmse(one, other), scoring.mae(one, other), scoring.mase(one, other, one)),
        scoring.least_squares_ar(x, y, x).tolist(),
        scoring.LeastSquaresAR().fit(x, y).predict(x).tolist(),
    )


OF_NETWORKS: dict[str, Callable[[str, float], Any]] = {
    "predict": lambda d, s: network(d).predict(times(X, s)).tolist(),
    "states": lambda d, s: network(d).states(times(X, s)).tolist(),
    "h0": lambda d, s: network(d).predict(X, h0=np.full((40, 4), s)).tolist(),
    **{
        name: lambda d, s, name=name: loss_and_gradients(d, s, name)
        for name in ("mse", "mae", "huber", "quantile")
    },
    "cross entropies": classified,
    "fit": lambda d, s: trained(d, s, data={"x": times(X, s), "y": times(Y, s)}),
    "adam": lambda d, s: trained(d, s, optimizer="adam", data={"x": times(X, s), "y": times(Y, s)}),
    "clip_norm": lambda d, s: trained(d, s, clip_norm=s),
    "clip_value": lambda d, s: trained(d, s, clip_value=s),
    "learning_rate": lambda d, s: trained(d, s, learning_rate=s),
    "schedule": lambda d, s: trained(
        d, s, learning_rate=crnn.schedules.Exponential(0.1, min(s, 0.9))
    ),
    "sample_weight": lambda d, s: trained(d, s, data={"sample_weight": np.r_[s, np.full(39, 1e3)]}),
    "validation": lambda d, s: trained(
        d,
        s,
        data={"y": times(Y, s), "validation": 0.2, "early_stopping": EarlyStopping(1)},
    ),
    "load_state_dict": loaded,
    "update": updated,
    "stream": streamed,
    "gradient_by_lag": lambda d, s: diagnostics.gradient_by_lag(
        network(d), times(X, s), times(Y, s)
    ).tolist(),
    "saturation": lambda d, s: diagnostics.saturation(network(d), times(X, s)).tolist(),
}

OF_NUMBERS: dict[str, Callable[[float], Any]] = {
    "notebook": taught,
    "scoring": scored,
    "softmax": lambda scale: losses.softmax(times(SERIES.reshape(12, 5), scale)).tolist(),
    "sigmoid": lambda scale: losses.sigmoid(times(SERIES, scale)).tolist(),
    "padded": lambda scale: Sequences.from_list([[1.0, 2.0], [3.0]]).padded(scale).tolist(),
}


def outcome(work: Callable[[], Any]) -> str:
    """The result of a call, or its error, to the last digit."""
    with contextlib.suppress(FloatingPointError):
        try:
            return repr(work())
        except (ValueError, TrainingDiverged) as error:
            return repr(error)
    return "a FloatingPointError"


def same_under_any_state(work: Callable[[], Any]) -> None:
    with np.errstate(all="ignore"):
        expected = outcome(work)
    for state in ("raise", "warn"):  # a warning is an error here
        with np.errstate(all=state):
            assert outcome(work) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("work", OF_NETWORKS)
@pytest.mark.parametrize("scale", SCALES)
def test_networks(scale: float, work: str, dtype: str) -> None:
    same_under_any_state(lambda: OF_NETWORKS[work](dtype, scale))


@pytest.mark.parametrize("work", OF_NUMBERS)
@pytest.mark.parametrize("scale", SCALES)
def test_numbers(scale: float, work: str) -> None:
    same_under_any_state(lambda: OF_NUMBERS[work](scale))


def test_checkpoints(tmp_path: Path) -> None:
    for scale in SCALES:
        places = iter(range(9))

        def work(scale: float = scale, places: Any = places) -> Any:
            folder = tmp_path / f"{scale}-{next(places)}"
            folder.mkdir()
            return resumed("float64", scale, folder)

        same_under_any_state(work)
