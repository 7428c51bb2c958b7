"""`crnn.Forecaster`: forecasts, intervals, files, errors and backtest.

Written from the documentation. Expected numbers are computed with NumPy, with `LeastSquaresAR` or
by hand.
"""

from __future__ import annotations

import base64
import copy
import math
import pickle
import re
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import children
import numpy as np
import pytest
from tolerances import FEEDBACK, LEAST_SQUARES, LONG_MEAN, NOISE_COVERAGE, OTHER_UNIT, near

from crnn import (
    RNN,
    TrainingDiverged,
    _cell,
    _combination,
    _members,
    _series,
    dataset,
    scoring,
    storage,
)
from crnn._members import Networks, Readout
from crnn.backtest import Backtest
from crnn.forecast import Forecaster
from crnn.run import TrainingRun
from crnn.scoring import LeastSquaresAR

Array = np.ndarray[Any, np.dtype[Any]]

NOISE = np.random.default_rng(0).normal(size=90)


def logistic_map(size: int) -> Array:
    """A series that no linear fit forecasts well, so that networks help soon."""
    values = [0.3]
    while len(values) < size:
        values.append(3.8 * values[-1] * (1 - values[-1]))
    return np.array(values)


SERIES = 50 + 20 * logistic_map(90)
T = 6
QUICK: dict[str, Any] = {
    "timesteps": T,
    "hidden_size": 5,
    "networks": 2,
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 3e-2,
    "seed": 3,
    "threads": 1,
}
LINEAR = QUICK | {"networks": 0}


def quick(**more: Any) -> Forecaster:
    return Forecaster(**(QUICK | more))


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return quick().fit(SERIES)


def answers(forecaster: Forecaster, series: Any = SERIES) -> list[bytes]:
    """All results of a fitted forecaster, as bytes."""
    found = [forecaster.forecast(30), forecaster.forecast(5, series), forecaster.predict(series)]
    found += [*forecaster.forecast_interval(30), *forecaster.forecast_interval(5, series)]
    return [np.asarray(array).tobytes() for array in found] + [forecaster.summary().encode()]


# ---- arguments ----

BAD: list[tuple[str, object, type[Exception], str]] = [
    ("timesteps", 0, ValueError, "at least 1, got 0"),
    ("timesteps", 2.0, TypeError, "an integer, got 2.0"),
    ("timesteps", True, TypeError, "an integer, got True"),
    ("horizon", 0, ValueError, "at least 1, got 0"),
    ("horizon", None, TypeError, "an integer, got None"),
    ("season", 1, ValueError, "at least 2, got 1"),
    ("season", "12", TypeError, "an integer, got '12'"),
    ("hidden_size", 0, ValueError, "at least 1, got 0"),
    ("hidden_size", "32", TypeError, "an integer, got '32'"),
    ("networks", -1, ValueError, "at least 0, got -1"),
    ("networks", 1.5, TypeError, "an integer, got 1.5"),
    ("epochs", 0, ValueError, "at least 1, got 0"),
    ("epochs", "many", ValueError, "an integer or 'auto', got 'many'"),
    ("epochs", None, TypeError, "an integer, got None"),
    ("linear", 1, TypeError, "True or False, got 1"),
    ("lower", "0", TypeError, "a real number, got '0'"),
    ("lower", math.nan, ValueError, "finite, got nan"),
    ("lower", math.inf, ValueError, "finite, got inf"),
    ("missing", "drop", ValueError, r"one of \['error', 'ignore'\], got 'drop'"),
    ("missing", None, TypeError, r"one of \['error', 'ignore'\], got None"),
    ("learning_rate", 0.0, ValueError, "greater than 0, got 0.0"),
    ("learning_rate", math.nan, ValueError, "finite, got nan"),
    ("learning_rate", lambda epoch: 0.1, TypeError, "a real number, got"),
    ("batch_size", -1, ValueError, "at least 1, got -1"),
    ("seed", -1, ValueError, "at least 0, got -1"),
    ("seed", 1.0, TypeError, "an integer, got 1.0"),
    ("threads", 0, ValueError, "at least 1, got 0"),
    ("threads", "2", TypeError, "an integer, got '2'"),
    ("progress", 1, TypeError, "True or False, got 1"),
]


@pytest.mark.parametrize(("name", "value", "error", "message"), BAD)
def test_bad_argument_says_its_name_what_came_and_what_it_takes(
    name: str, value: object, error: type[Exception], message: str
) -> None:
    expected = f"^{name} must be {message}"
    with pytest.raises(error, match=expected):
        quick(**{name: value})
    forecaster = quick()
    with pytest.raises(error, match=expected):
        forecaster.set_params(**({"hidden_size": 9} | {name: value}))
    assert forecaster.get_params() == quick().get_params()
    setattr(forecaster, name, value)
    with pytest.raises(error, match=expected):
        forecaster.fit(SERIES)


def test_no_member_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="networks must be at least 1 where linear is False"):
        quick(networks=0, linear=False)


BAD_SERIES: list[tuple[Any, type[Exception], str]] = [
    ([], ValueError, r"series must hold at least \d values?, got 0"),
    (3.0, ValueError, r"series must have shape \(M,\) or \(M, 1\), got \(\)"),
    (np.ones((20, 2)), ValueError, r"series must have shape \(M,\) or \(M, 1\), got \(20, 2\)"),
    (np.ones((1, 20)), ValueError, r"series must have shape \(M,\) or \(M, 1\), got \(1, 20\)"),
    ([*SERIES[:9], np.nan, 1.0], ValueError, "series must be finite, got nan at position 9"),
    ([*SERIES[:9], -np.inf], ValueError, "series must be finite, got -inf at position 9"),
    (["1", "2"] * 9, TypeError, "series must hold real integers or floats"),
    ([True, False] * 9, TypeError, "series must hold real integers or floats"),
    (SERIES * 1j, TypeError, "series must hold real integers or floats"),
    (SERIES.astype(object), TypeError, "series must hold real integers or floats"),
    (np.arange(9).astype("M8[D]"), TypeError, "series must hold real integers or floats"),
    (None, TypeError, "series must hold real integers or floats"),
    (np.ma.masked_array(SERIES, SERIES > 60), TypeError, "series must be an array without a mask"),
]


@pytest.mark.parametrize(("series", "error", "message"), BAD_SERIES)
def test_bad_series_is_named_and_changes_nothing(
    series: Any, error: type[Exception], message: str
) -> None:
    forecaster = Forecaster(**LINEAR).fit(SERIES)
    before = answers(forecaster)
    calls: list[Callable[[], object]] = [
        lambda: forecaster.fit(series),
        lambda: forecaster.predict(series),
        lambda: forecaster.backtest(series),
        lambda: Forecaster(**LINEAR).fit(series),
    ]
    if series is not None:
        calls.append(lambda: forecaster.forecast(1, series))
        calls.append(lambda: forecaster.forecast_interval(1, series))
    for call in calls:
        with pytest.raises(error, match=message):
            call()
    assert answers(forecaster) == before


@pytest.mark.parametrize("series", [[np.inf, *SERIES], [*SERIES, np.inf]])
def test_infinity_is_never_a_missing_value(series: list[float]) -> None:
    with pytest.raises(ValueError, match="series must be finite, got inf"):
        Forecaster(**LINEAR, missing="ignore").fit(series)


def test_nothing_but_missing_values_is_an_error() -> None:
    with pytest.raises(ValueError, match="series must hold a value that is not missing, got 20"):
        Forecaster(**LINEAR, missing="ignore").fit([np.nan] * 20)


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        (0, ValueError, "steps must be at least 1, got 0"),
        (-1, ValueError, "steps must be at least 1, got -1"),
        (1.5, TypeError, "steps must be an integer, got 1.5"),
        (True, TypeError, "steps must be an integer, got True"),
        ("3", TypeError, "steps must be an integer, got '3'"),
    ],
)
def test_bad_steps(fitted: Forecaster, steps: Any, error: type[Exception], message: str) -> None:
    for call in (fitted.forecast, fitted.forecast_interval, fitted.plot):
        with pytest.raises(error, match=message):
            call(steps)
    with pytest.raises(error, match=message):
        fitted.backtest(SERIES, steps=steps)


@pytest.mark.parametrize(
    ("coverage", "error", "message"),
    [
        (0, ValueError, "coverage must be greater than 0, got 0.0"),
        (1.0, ValueError, "coverage must be less than 1, got 1.0"),
        (90, ValueError, "coverage must be less than 1, got 90.0"),
        (math.nan, ValueError, "coverage must be finite"),
        ("0.9", TypeError, "coverage must be a real number"),
        (None, TypeError, "coverage must be a real number"),
    ],
)
def test_bad_coverage(
    fitted: Forecaster, coverage: Any, error: type[Exception], message: str
) -> None:
    for call in (fitted.forecast_interval, fitted.plot):
        with pytest.raises(error, match=message):
            call(3, coverage=coverage)


@pytest.mark.parametrize("timesteps", [None, 1, 6])
@pytest.mark.parametrize("horizon", [1, 4])
def test_shortest_series_is_what_the_error_says(timesteps: int | None, horizon: int) -> None:
    forecaster = quick(timesteps=timesteps, horizon=horizon)
    with pytest.raises(ValueError, match="series must h") as caught:
        forecaster.fit(SERIES[:3])
    found = re.search(r"at least (\d+) values", str(caught.value))
    assert found, str(caught.value)
    with pytest.raises(ValueError, match="got 3"):
        forecaster.fit(SERIES[:3])
    least = next(size for size in range(3, 90) if fits(forecaster, SERIES[:size]))
    assert least <= 3 * horizon + 8 + (timesteps or 1)
    with pytest.raises(ValueError, match=rf"at least {least} values .*, got {least - 1}$"):
        forecaster.fit(SERIES[: least - 1])


def fits(forecaster: Forecaster, series: Array) -> bool:
    try:
        forecaster.fit(series)
    except ValueError:
        return False
    return bool(np.isfinite(forecaster.forecast(5)).all())


def test_series_to_forecast_from_is_at_least_one_window(fitted: Forecaster) -> None:
    assert fitted.forecast(2, SERIES[:6]).shape == (2,)
    assert fitted.predict(SERIES[:7]).shape == (1,)
    with pytest.raises(ValueError, match="series must hold at least 6 values, got 5"):
        fitted.forecast(1, SERIES[:5])
    with pytest.raises(ValueError, match="series must hold at least 7 values, got 6"):
        fitted.predict(SERIES[:6])


@pytest.mark.parametrize(
    "call",
    [
        lambda f, _: f.predict(SERIES),
        lambda f, _: f.forecast(1),
        lambda f, _: f.forecast(1, SERIES),
        lambda f, _: f.forecast_interval(1),
        lambda f, _: f.summary(),
        lambda f, _: f.plot(),
        lambda f, path: f.save(path),
    ],
)
def test_an_unfitted_forecaster_is_an_error(
    call: Callable[[Forecaster, Path], object], tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="not fitted"):
        call(quick(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
    assert not hasattr(quick(), "weights_")
    with pytest.raises(AttributeError, match="no attribute 'weight'"):
        quick().fit(SERIES).weight  # noqa: B018


# ---- the conventions of scikit-learn ----


def test_parameters_are_kept_as_they_were_given() -> None:
    epochs = np.int64(4)
    forecaster = Forecaster(5, horizon=2, lower=0, epochs=epochs)  # type: ignore[arg-type]
    params = forecaster.get_params()
    assert params["epochs"] is epochs
    assert (params["timesteps"], params["horizon"], params["lower"]) == (5, 2, 0)
    assert params == forecaster.get_params(deep=False)
    assert Forecaster(**params).get_params() == params


@pytest.mark.filterwarnings("ignore:lower is above:UserWarning")
def test_set_params_is_for_the_next_fit(fitted: Forecaster) -> None:
    forecaster = quick().fit(SERIES)
    assert forecaster.set_params(timesteps=4, horizon=2, lower=60.0) is forecaster
    assert answers(forecaster) == answers(fitted)
    assert forecaster.fit(SERIES).timesteps_ == 4
    assert forecaster.predict(SERIES).shape == (90 - 4 - 1, 2)
    assert forecaster.forecast(9).min() >= 60
    with pytest.raises(ValueError, match="got 'time_steps'"):
        forecaster.set_params(time_steps=4)


def test_repr_names_what_differs_from_the_defaults() -> None:
    assert repr(Forecaster()) == "Forecaster()"
    assert repr(Forecaster(9, season=12, lower=0.0)) == (
        "Forecaster(timesteps=9, season=12, lower=0.0)"
    )
    assert repr(eval(repr(quick()))) == repr(quick())


def test_scikit_learn_clones_it(fitted: Forecaster) -> None:
    base = pytest.importorskip("sklearn.base")
    cloned = base.clone(fitted)
    assert cloned.get_params() == fitted.get_params()
    with pytest.raises(RuntimeError, match="not fitted"):
        cloned.forecast(1)
    validation = pytest.importorskip("sklearn.utils.validation")
    validation.check_is_fitted(fitted)
    with pytest.raises(ValueError, match="not fitted yet"):
        validation.check_is_fitted(cloned)


def test_copies_and_pickles_answer_the_same(fitted: Forecaster) -> None:
    for other in (copy.copy(fitted), copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert answers(other) == answers(fitted)
        assert other.get_params() == fitted.get_params()


# ---- members and weights ----


def test_attributes_are_copies(fitted: Forecaster) -> None:
    before = answers(fitted)
    for weights in fitted.weights_.values():
        weights[:] = 0
    fitted.epochs_.clear()
    fitted.validation_rmse_.clear()
    assert answers(fitted) == before


def test_without_the_linear_fit_the_order_of_the_members_does_not_matter() -> None:
    plan = _combination.Plan(T, 1, None, T, 5, 2, None, False, 1e-2, 16, 0, 1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, T)), rng.normal(size=(60, 1))
    members = {"mean": y + rng.normal(size=(60, 1)), "last": y + rng.normal(size=(60, 1))}
    one = _combination._weigh(plan, x, members, y).weights
    other = _combination._weigh(plan, x, dict(reversed(members.items())), y).weights
    np.testing.assert_array_equal(one, other[::-1])


@pytest.mark.parametrize("horizon", [1, 3])
def test_without_networks_it_is_the_least_squares_fit(horizon: int) -> None:
    forecaster = Forecaster(**LINEAR, horizon=horizon).fit(SERIES)
    x, y = dataset.windows(SERIES, T, horizon=horizon)
    linear = LeastSquaresAR().fit(x, y)
    expected = linear.predict(x)
    np.testing.assert_allclose(
        forecaster.predict(SERIES), expected[:, 0] if horizon == 1 else expected, LEAST_SQUARES
    )
    values = list(SERIES)
    while len(values) < 90 + 11:  # beyond the horizon, forecasts are inputs
        values += linear.predict(np.reshape(values[-T:], (1, T, 1)))[0].tolist()
    np.testing.assert_allclose(forecaster.forecast(11), values[90 : 90 + 11], LEAST_SQUARES)
    assert forecaster.history_ is None
    assert forecaster.epochs_ == {}
    np.testing.assert_array_equal(forecaster.weights_["linear"], 1)


@pytest.mark.parametrize("horizon", [1, 3])
def test_validation_is_the_last_fifth_with_a_gap(horizon: int) -> None:
    """The linear fit's validation error by hand: H - 1 windows before it are left out."""
    forecaster = quick(horizon=horizon).fit(SERIES)
    x, y = dataset.windows(SERIES, T, horizon=horizon)
    held_out = round(len(x) / 5)
    rows = len(x) - held_out - (horizon - 1)
    errors = LeastSquaresAR().fit(x[:rows], y[:rows]).predict(x[-held_out:]) - y[-held_out:]
    expected = math.sqrt(np.mean(errors**2))
    assert forecaster.validation_rmse_["linear"] == near(expected, LEAST_SQUARES)


@pytest.fixture
def weighed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Array], Array]]:
    """The members' validation forecasts and the true values, of each fit."""
    calls: list[tuple[dict[str, Array], Array]] = []
    weigh = _combination._weigh

    def noted(plan: Any, x: Array, forecasts: dict[str, Array], truth: Array) -> Any:
        calls.append((dict(forecasts), truth))
        return weigh(plan, x, forecasts, truth)

    monkeypatch.setattr(_combination, "_weigh", noted)
    return calls


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("season", [None, 5])
def test_weights_are_those_of_the_documentation(
    weighed: list[tuple[dict[str, Array], Array]], horizon: int, season: int | None
) -> None:
    """1 / u^3, u the squared error e plus 2 standard errors of its excess, at most 9 e."""
    forecaster = quick(horizon=horizon, season=season).fit(SERIES)
    forecasts, truth = weighed[0]
    names = ["linear", "mean", "last", "readout", "persistence"]
    names += ["seasonal persistence"] if season else []
    assert list(forecasts) == list(forecaster.weights_) == names
    steps = len(forecaster.weights_["linear"])
    assert 5 < steps <= 24
    for s in range(steps):
        known = ~np.isnan(truth[:, s])
        squares = {
            name: (ahead[known, s] - truth[known, s]) ** 2 for name, ahead in forecasts.items()
        }
        cubes = {}
        for name, square in squares.items():
            alike = len(square) / (s + 1)
            error = np.std(square - squares["linear"]) / math.sqrt(alike)
            cubes[name] = min(square.mean() + 2 * error, 9 * square.mean()) ** -3
        for name, weights in forecaster.weights_.items():
            assert weights[s] == near(cubes[name] / sum(cubes.values()), LEAST_SQUARES)
    together = sum(
        forecaster.weights_[name][:horizon] * ahead[:, :horizon]
        for name, ahead in forecasts.items()
    )
    expected = math.sqrt(np.mean((together - truth[:, :horizon]) ** 2))
    assert forecaster.validation_rmse_["combination"] == near(expected, LONG_MEAN)


def test_repeated_values_are_members(weighed: list[tuple[dict[str, Array], Array]]) -> None:
    """Persistence, and the value one season before if a window holds a season."""
    quick(season=5).fit(SERIES)
    quick(season=T + 1).fit(SERIES)
    forecasts, truth = weighed[0]
    first = len(SERIES) - len(truth)
    for origin in (0, 3):
        last = SERIES[: first + origin]
        np.testing.assert_array_equal(forecasts["persistence"][origin], last[-1])
        expected = np.resize(last[-5:], forecasts["persistence"].shape[1])
        np.testing.assert_array_equal(forecasts["seasonal persistence"][origin], expected)
    assert "seasonal persistence" not in weighed[1][0]


def test_scattered_errors_count_for_less() -> None:
    """Of two members with equal squared error, one with a single large error weighs less."""
    plan = _combination.Plan(T, 1, None, T, 5, 2, None, True, 1e-2, 16, 0, 1)
    x = np.random.default_rng(0).normal(size=(20, T))
    truth = np.zeros((20, 1))
    one_place = np.zeros((20, 1))
    one_place[7] = math.sqrt(20)
    forecasts = {"linear": np.ones((20, 1)), "mean": -np.ones((20, 1)), "last": one_place}
    weights = _combination._weigh(plan, x, forecasts, truth).weights[:, 0]
    assert weights[0] == weights[1]
    assert weights[2] < weights[0] / 5


def test_scatter_of_the_linear_fit_does_not_hide_a_much_better_member() -> None:
    """The difference scatters as the linear fit does, but a member's u is at most 9 e."""
    plan = _combination.Plan(T, 1, None, T, 5, 2, None, True, 1e-2, 16, 0, 1)
    x = np.random.default_rng(0).normal(size=(20, T))
    truth = np.zeros((20, 1))
    scattered = np.zeros((20, 1))
    scattered[3] = 10.0
    better = np.full((20, 1), 0.1)
    weights = _combination._weigh(plan, x, {"linear": scattered, "mean": better}, truth).weights
    # the linear fit's e is 5; its difference to itself has no scatter
    assert weights[0, 0] / weights[1, 0] == near((9 * 0.1**2 / 5) ** 3, LEAST_SQUARES)


def test_a_member_without_error_does_not_take_everything() -> None:
    """Its difference to the linear fit scatters, and few errors of zero prove little."""
    plan = _combination.Plan(T, 1, None, T, 5, 2, None, True, 1e-2, 16, 0, 1)
    x = np.random.default_rng(0).normal(size=(20, T))
    truth = np.zeros((20, 1))
    linear = np.linspace(0, 2, 20)[:, None]
    weights = _combination._weigh(plan, x, {"linear": linear, "last": truth}, truth).weights
    squares = linear**2
    u = 2 * np.std(squares) / math.sqrt(20)
    assert weights[0, 0] / weights[1, 0] == near((u / squares.mean()) ** 3, LEAST_SQUARES)


# ---- the readout ----


def network_pair(factor: float = 1.0) -> list[Networks]:
    """Untrained networks of both levels, and other scales and spreads than 1.

    With a small factor the states hardly depend on the windows.
    """
    pair = []
    for level, scale, seeds in (("mean", 1.5, (1, 2)), ("last", 2.5, (3, 4))):
        models = [RNN(1, 4, 1, seed=seed) for seed in seeds]
        for model in models:
            model.load_state_dict(
                {
                    name: np.float32(factor) * value if name.startswith("Wx") else value
                    for name, value in model.state_dict().items()
                }
            )
        pair.append(Networks(level, T - 1, scale, 3.0, models))
    return pair


def features(networks: list[Networks], x: Array) -> Array:
    """What the readout sees of windows, beside the constant."""
    states = [
        model.predict(part.inputs(x), return_state=True)[1][0]
        for part in networks
        for model in part.models
    ]
    return np.hstack([(x[:, :-1] - x[:, -1:]) / 2.5, *states])


def ridge(z: Array, target: Array) -> tuple[Array, Array]:
    """c and W for the best penalty, each by least squares with a row more for each weight."""
    count = len(z)
    centred, deviation = z - z.mean(axis=0), np.maximum(z.std(axis=0), 1e-3)
    away = target - target.mean(axis=0)
    found = []
    for penalty in 10.0 ** np.arange(-16, 2.5, 0.5):
        rows = np.vstack((centred, math.sqrt(count * penalty) * np.diag(deviation)))
        q, r = np.linalg.qr(rows)
        weights = np.linalg.solve(r, q[:count].T @ away)
        used = 1 + np.sum(q[:count] ** 2)
        rss = np.sum((away - centred @ weights) ** 2)
        if count > 2 * used:
            found.append((rss / (count - 2 * used) ** 2, weights))
    weights = min(found, key=lambda pair: pair[0])[1]
    return target.mean(axis=0) - z.mean(axis=0) @ weights, weights


@pytest.mark.parametrize(
    ("horizon", "factor"), [(1, 1.0), (3, 1.0), (1, 1e-2), (1, 1e-4), (1, 0.0)]
)
def test_readout_is_the_ridge_regression_of_the_documentation(horizon: int, factor: float) -> None:
    x, y = _combination.windows(SERIES, np.ones(90, bool), T, horizon)
    networks = network_pair(factor)
    readout = Readout.fit(networks, x, y)
    z = features(networks, x)
    constant, weights = ridge(z, y - x[:, -1:])
    expected = x[:, -1:] + constant + z @ weights
    rounded = LEAST_SQUARES / (factor or 1)  # states that hardly differ have fewer digits
    np.testing.assert_allclose(readout.predict(x), expected, rtol=rounded)


def test_readout_leaves_missing_targets_out_and_folds_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y = _combination.windows(SERIES, np.ones(90, bool), T, 1)
    networks = network_pair()
    there = np.arange(len(y)) % 7 != 2
    expected = Readout.fit(networks, x[there], y[there]).predict(x)
    monkeypatch.setattr(_members, "_BLOCK", 9)
    found = Readout.fit(networks, x, np.where(there[:, None], y, np.nan)).predict(x)
    np.testing.assert_allclose(found, expected, rtol=LEAST_SQUARES)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_readout_of_few_windows_is_close_to_their_mean_change(size: int) -> None:
    """With more features than windows an exact fit would be possible."""
    x, y = _combination.windows(SERIES, np.ones(90, bool), T, 1)
    x, y = x[:size], y[:size]
    change = Readout.fit(network_pair(), x, y).predict(x) - x[:, -1:]
    mean = np.mean(y - x[:, -1:])
    spread = np.abs(y - x[:, -1:] - mean).max()
    assert np.abs(change - mean).max() <= 0.5 * spread + LEAST_SQUARES * abs(mean)


class Growing:
    """Ten times the last value, with the other sign: no forecast that is any good."""

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon

    def predict(self, x: Array) -> Array:
        return np.repeat(-10 * x[:, -1:], self.horizon, axis=1)


def test_limits_are_four_times_the_largest_changes() -> None:
    series = np.array([0.0, 1.0, -1.0, 5.0, 4.0, 4.5])
    np.testing.assert_array_equal(_combination.limits(series, 24), [24.0, 20.0, 22.0])
    np.testing.assert_array_equal(_combination.limits(series, 2), [24.0, 20.0])


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_forecast_stays_near_the_range_of_its_window(horizon: int) -> None:
    window = np.array([[3.0, 1.0, 2.0]])
    limit = np.array([2.0, 3.0, 5.0])
    found = _combination.continued(Growing(horizon), window, 7, limit)[0]
    reach = np.r_[limit, 5.0 * np.arange(4, 8) / 3]
    below = (np.arange(7) // horizon) % 2 == 0  # the sign changes from block to block
    np.testing.assert_allclose(found, np.where(below, 1 - reach, 3 + reach), rtol=LONG_MEAN)
    assert np.abs(_combination.continued(Growing(horizon), window, 7)).max() > 1000


def test_an_odd_last_value_does_not_let_the_forecast_explode() -> None:
    months = np.arange(96)
    series = 100 + 20 * np.sin(2 * np.pi * months / 12) + 3 * np.sin(1.7 * months**2)
    spike = np.r_[series[:-1], 874.0]
    for more in ({}, {"season": 12}, {"networks": 0}, {"horizon": 6}):
        forecaster = quick(**({"timesteps": None} | more)).fit(spike)
        change = 874 - series.min()
        assert np.abs(forecaster.forecast(24)).max() <= 874 + 4 * change
        assert np.isfinite(forecaster.forecast(1000)).all()


@pytest.mark.parametrize("horizon", [1, 3])
def test_readout_is_validated_on_windows_that_it_was_not_fitted_on(
    horizon: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then fitted on all of them."""
    fitted_on = []
    fit = Readout.fit

    def noted(networks: Any, x: Array, y: Array) -> Readout:
        fitted_on.append((x.copy(), y.copy()))
        return fit(networks, x, y)

    monkeypatch.setattr(Readout, "fit", noted)
    quick(horizon=horizon).fit(SERIES)
    x, y = _combination.windows(SERIES, np.ones(90, bool), T, horizon)
    rows = len(x) - round(len(x) / 5) - horizon + 1
    for (seen, targets), count in zip(fitted_on, (rows, len(x)), strict=True):
        np.testing.assert_array_equal(seen, x[:count])
        np.testing.assert_array_equal(targets, y[:count])


def test_readout_reads_many_windows_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = _combination.windows(SERIES, np.ones(90, bool), T, 1)
    readout = Readout.fit(network_pair(), x, y)
    whole = readout.predict(x)
    monkeypatch.setattr(_members, "_BLOCK", 9)
    np.testing.assert_allclose(readout.predict(x), whole, rtol=LONG_MEAN)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("huge", [0.0, 1e160])
def test_odd_series_are_fitted_without_a_warning(huge: float) -> None:
    """Windows of exact rank 1, fewer of them than parameters; a first value that nothing reads."""
    alternating = Forecaster(epochs=1, networks=1, seed=0).fit(np.tile([1.0, -1.0], 5))
    assert alternating.forecast(2) == pytest.approx([1.0, -1.0])
    series = np.random.default_rng(0).normal(size=100)
    series[0] += huge
    forecaster = Forecaster(season=12, epochs=1, networks=1, seed=0).fit(series)
    assert np.isfinite(forecaster.forecast(9)).all()


def test_readout_beats_its_networks_and_the_linear_fit() -> None:
    """On a chaotic series without noise, after few epochs."""
    series = dataset.mackey_glass(600, seed=0)
    more = {"timesteps": 20, "hidden_size": 32, "epochs": 10, "batch_size": 32}
    rmse = quick(**more, learning_rate=5e-3).fit(series).validation_rmse_
    assert rmse["readout"] < 0.8 * rmse["linear"]
    assert rmse["readout"] < 0.1 * min(rmse["mean"], rmse["last"])
    assert rmse["combination"] < 0.8 * rmse["linear"]


def test_networks_read_one_season_of_two_where_timesteps_are_chosen() -> None:
    series = np.r_[SERIES, SERIES[::-1]]
    for timesteps, season, reach in ((None, 20, 20), (None, 4, 8), (None, 8, 12), (30, 15, 30)):
        fit = quick(timesteps=timesteps, season=season).fit(series)._fitted.method
        assert fit.members["mean"].reach == reach
        assert fit.members["linear"].shape_[0] == (timesteps or 2 * season)
        window = np.random.default_rng(0).normal(size=(1, fit.timesteps)) + 50
        for level in ("mean", "last"):
            whole = fit.members[level].predict(window)
            changed = window.copy()
            changed[0, : fit.timesteps - reach] += 9
            np.testing.assert_array_equal(fit.members[level].predict(changed), whole)
            changed[0, fit.timesteps - reach] += 9
            assert fit.members[level].predict(changed)[0, 0] != whole[0, 0]


def test_truth_of_the_validation_is_the_series(
    weighed: list[tuple[dict[str, Array], Array]],
) -> None:
    quick().fit(SERIES)
    truth = weighed[0][1]
    np.testing.assert_array_equal(truth[:, 0], SERIES[-len(truth) :])
    np.testing.assert_array_equal(truth[:-1, 1], SERIES[-len(truth) + 1 :])
    assert np.isnan(truth[-1, 1:]).all()


def test_networks_that_do_not_help_leave_the_linear_fit_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Networks with 1.3 times the error of the linear fit can only harm."""
    weigh = _combination._weigh

    def worse(plan: Any, x: Array, forecasts: dict[str, Array], truth: Array) -> Any:
        if len(forecasts) == 1:
            return weigh(plan, x, forecasts, truth)
        harmful = {
            name: truth + (1 if name == "linear" else 1.3) * (forecasts["linear"] - truth)
            for name in forecasts
        }
        return weigh(plan, x, harmful, truth)

    monkeypatch.setattr(_combination, "_weigh", worse)
    forecaster = quick().fit(SERIES)
    alone = Forecaster(**LINEAR).fit(SERIES)
    np.testing.assert_array_equal(forecaster.forecast(30), alone.forecast(30))
    np.testing.assert_array_equal(forecaster.forecast_interval(9), alone.forecast_interval(9))
    assert list(forecaster.weights_) == ["linear"]
    assert forecaster.epochs_ == {}
    assert forecaster.validation_rmse_["mean"] == near(
        1.3 * forecaster.validation_rmse_["linear"], LONG_MEAN
    )
    assert "the networks do not help: the linear fit alone is the forecast" in forecaster.summary()
    forecaster.save(tmp_path / "m")
    assert answers(Forecaster.load(tmp_path / "m")) == answers(forecaster)


def test_linear_false_is_the_networks_alone() -> None:
    forecaster = quick(linear=False).fit(SERIES)
    assert list(forecaster.weights_) == ["mean", "last"]
    np.testing.assert_allclose(sum(forecaster.weights_.values()), 1, LONG_MEAN)
    shifted = forecaster.forecast(8, SERIES + 1000) - 1000  # networks see windows minus their level
    np.testing.assert_allclose(shifted, forecaster.forecast(8), atol=OTHER_UNIT * SERIES.std())


def test_every_value_moves_the_forecast_that_is_saved() -> None:
    """All kept members are trained on the end: another last value changes each of them."""
    window = SERIES[:T]
    changed = SERIES.copy()
    changed[-1] += 30
    for more in ({"networks": 0}, {"linear": False}):
        before = quick(**more).fit(SERIES)._fitted.method.members
        after = quick(**more).fit(changed)._fitted.method.members
        for name in before:
            assert not np.array_equal(
                before[name].predict(window[None]), after[name].predict(window[None])
            )


def test_chosen_epochs_have_the_least_validation_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The number of trained epochs is the first minimum of the errors by epoch."""
    errors: dict[str, list[float]] = {}
    after_epoch = _combination._Search.after_epoch
    held_out = round((90 - T) / 5)
    x = np.lib.stride_tricks.sliding_window_view(SERIES[:-1], T)[-held_out:]

    def noted(self: Any) -> None:
        found = self.networks.predict(x)
        error = float(np.mean((found[:, 0] - SERIES[-held_out:]) ** 2))
        errors.setdefault(self.networks.level, []).append(error)
        after_epoch(self)

    monkeypatch.setattr(_combination._Search, "after_epoch", noted)
    forecaster = quick(epochs="auto").fit(SERIES)
    assert set(forecaster.epochs_) == {"mean", "last"}
    for level, by_epoch in errors.items():
        assert forecaster.epochs_[level] == int(np.argmin(by_epoch)) + 1
        assert len(by_epoch) > forecaster.epochs_[level]
        assert forecaster.validation_rmse_[level] == near(math.sqrt(min(by_epoch)), LONG_MEAN)


def test_parameters_are_moving_averages_over_the_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the training on the whole series: averages of initial parameters and each epoch's."""
    left: dict[int, list[dict[str, Array]]] = {}
    epoch = TrainingRun.epoch

    def noted(self: TrainingRun) -> None:
        if not self.history.loss:
            left[id(self)] = [{k: v.copy() for k, v in self.model.state_dict().items()}]
        epoch(self)
        left[id(self)].append({k: v.copy() for k, v in self.model.state_dict().items()})
        runs.append(self)  # keep the run alive: ids of dead objects are used again

    runs: list[TrainingRun] = []
    monkeypatch.setattr(TrainingRun, "epoch", noted)
    forecaster = quick(networks=1, epochs=5).fit(SERIES)
    for level, states in zip(("mean", "last"), list(left.values())[2:], strict=True):
        (model,) = forecaster._fitted.method.members[level].models
        for name, average in states[0].items():
            for t, state in enumerate(states[1:], start=1):
                kept = t / (t + 9)
                average = kept * average + (1 - kept) * state[name]
            np.testing.assert_allclose(model.state_dict()[name], average, rtol=0, atol=FEEDBACK)
            assert not np.array_equal(average, states[-1][name])


def test_given_epochs_are_the_epochs() -> None:
    forecaster = quick(epochs=7).fit(SERIES)
    assert forecaster.epochs_ == {"mean": 7, "last": 7}
    assert len(forecaster.history_.loss) == 7


@pytest.mark.parametrize(
    ("season", "expected"), [(12, 24), (40, 30), (2, 4)], ids=["two seasons", "a third", "two of 2"]
)
def test_timesteps_of_a_season(season: int, expected: int) -> None:
    assert Forecaster(season=season, networks=0).fit(SERIES).timesteps_ == expected
    assert Forecaster(5, season=season, networks=0).fit(SERIES).timesteps_ == 5


def test_two_seasons_are_at_most_104_timesteps() -> None:
    series = np.sin(np.arange(800.0)) + np.random.default_rng(1).normal(size=800)
    assert Forecaster(season=52, networks=0).fit(series).timesteps_ == 104
    assert Forecaster(season=53, networks=0).fit(series).timesteps_ == 104


def test_chosen_timesteps_reach_as_far_back_as_the_series_depends() -> None:
    rng = np.random.default_rng(2)
    series = list(rng.normal(size=10))
    for _ in range(600):
        series.append(0.9 * series[-10] + rng.normal() / 3)
    assert Forecaster(networks=0).fit(series).timesteps_ >= 10
    assert Forecaster(networks=0).fit(np.cumsum(rng.normal(size=150))).timesteps_ <= 4


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-285, 2.0**265, 2.0**1000])
def test_the_unit_does_not_change_the_weights(unit: float) -> None:
    plain, other = (quick().fit(series) for series in (SERIES, SERIES * unit))
    for name, weights in plain.weights_.items():
        np.testing.assert_allclose(other.weights_[name], weights, rtol=LEAST_SQUARES)


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-600, 2.0**600, 2.0**1000])
def test_the_unit_does_not_change_the_chosen_timesteps(unit: float) -> None:
    series = np.tile([0.0, 1.0, 2.0, 1.0, 3.0], 20) + np.sin(np.arange(100.0))
    plain, other = (Forecaster(networks=0).fit(s) for s in (series, series * unit))
    assert other.timesteps_ == plain.timesteps_ > 2
    np.testing.assert_allclose(other.forecast(3) / unit, plain.forecast(3), rtol=LEAST_SQUARES)


@pytest.mark.parametrize(("size", "least"), [(400, 10), (640, 16), (2000, 16)])
def test_long_series_have_no_short_windows(size: int, least: int) -> None:
    walk = np.cumsum(np.random.default_rng(5).normal(size=size))
    assert least <= Forecaster(networks=0).fit(walk).timesteps_ <= 24


def test_summary_says_what_was_chosen(fitted: Forecaster) -> None:
    summary = fitted.summary()
    assert summary.splitlines()[0] == "6 timesteps, horizon 1, season not given, seed 3"
    for name, rmse in fitted.validation_rmse_.items():
        line = next(line for line in summary.splitlines() if line.startswith(name))
        assert f"{rmse:.5g}" in line
        if name in fitted.weights_:
            assert f"{fitted.weights_[name][0]:.2f}" in line
    assert summary.count("2 networks, 3 epochs") == 2
    assert "calling fit again starts a new training" in summary
    assert "do not help" not in summary


# ---- one fit at a time ----


def diverged(forecaster: Forecaster) -> None:
    forecaster.learning_rate = 1e38
    with pytest.raises(TrainingDiverged):
        forecaster.fit(SERIES * 3 + 7)


def refused(forecaster: Forecaster) -> None:
    with pytest.raises(ValueError, match="finite"):
        forecaster.fit([*SERIES, np.nan])


def interrupted(forecaster: Forecaster, epoch: int = 7) -> None:
    """Ctrl-C in an epoch, counted from 1. The first 6 choose: 2 networks, 3 epochs each."""
    count = 0
    run = TrainingRun.epoch

    def stopping(self: TrainingRun) -> None:
        nonlocal count
        count += 1
        if count == epoch:
            raise KeyboardInterrupt
        run(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRun, "epoch", stopping)
        with pytest.raises(KeyboardInterrupt):
            forecaster.fit(SERIES * 3 + 7)
    assert count >= epoch


def interrupted_at_the_end(forecaster: Forecaster) -> None:
    interrupted(forecaster, 24)


@pytest.mark.parametrize("fail", [diverged, refused, interrupted, interrupted_at_the_end])
@pytest.mark.parametrize("threads", [1, 2])
def test_refit_that_fails_keeps_the_earlier_fit(
    fail: Callable[[Forecaster], None], threads: int, tmp_path: Path
) -> None:
    forecaster = quick(threads=threads).fit(SERIES)
    before = answers(forecaster), forecaster.seed_, forecaster.range_, forecaster.history_
    fail(forecaster)
    assert (answers(forecaster), forecaster.seed_, forecaster.range_) == before[:3]
    assert forecaster.history_ is before[3]
    forecaster.save(tmp_path / "m")
    assert answers(Forecaster.load(tmp_path / "m")) == before[0]

    never = quick(threads=threads)
    fail(never)
    with pytest.raises(RuntimeError, match="not fitted"):
        never.forecast(1)


def test_second_fit_starts_anew(fitted: Forecaster) -> None:
    assert answers(quick().fit(SERIES[::-1] * 3).fit(SERIES)) == answers(fitted)


def test_forecasts_during_a_refit_come_from_the_earlier_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forecaster = quick().fit(SERIES)
    before = answers(forecaster)
    halfway, go_on = threading.Event(), threading.Event()
    run = TrainingRun.epoch

    def waiting(self: TrainingRun) -> None:
        run(self)
        halfway.set()
        assert go_on.wait(children.HANG)

    monkeypatch.setattr(TrainingRun, "epoch", waiting)
    other = SERIES[::-1] * 2
    thread = threading.Thread(target=forecaster.fit, args=(other,))
    thread.start()
    try:
        assert halfway.wait(children.HANG)
        assert answers(forecaster) == before
    finally:
        go_on.set()
        thread.join()
    monkeypatch.undo()
    assert answers(forecaster) == answers(quick().fit(other))
    assert answers(forecaster) != before


@pytest.mark.filterwarnings("ignore:lower is above:UserWarning")
@pytest.mark.parametrize("what", ["forecast", "forecast_interval", "predict"])
def test_an_answer_comes_from_one_fit(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if a refit ends during the call."""
    forecaster = quick(lower=45.0).fit(SERIES)
    second = quick(lower=1e6, horizon=2).fit(SERIES * 1e3)
    argument: Any = SERIES if what == "predict" else 9
    expected = np.asarray(getattr(forecaster, what)(argument))
    weighted = _combination.Combination.weighted

    def refitting(self: Any, forecasts: Any) -> Array:
        forecaster._fitted = second._fitted
        return weighted(self, forecasts)

    monkeypatch.setattr(_combination.Combination, "weighted", refitting)
    np.testing.assert_array_equal(getattr(forecaster, what)(argument), expected)


# ---- seeds and threads ----


def test_threads_do_not_change_a_bit() -> None:
    first = answers(quick(networks=3).fit(SERIES))
    for threads in (2, 3, 5, None):
        assert answers(quick(networks=3, threads=threads).fit(SERIES)) == first


def test_seed_decides_the_bits(fitted: Forecaster) -> None:
    assert answers(quick().fit(SERIES)) == answers(fitted)
    other = quick(seed=4).fit(SERIES)
    assert not np.array_equal(other.forecast(3), fitted.forecast(3))
    models = fitted._fitted.method.members["mean"].models
    assert not np.array_equal(models[0].state_dict()["Wh_l0"], models[1].state_dict()["Wh_l0"])


def test_seed_of_an_unseeded_fit_repeats_it() -> None:
    forecaster = quick(seed=None).fit(SERIES)
    other = quick(seed=None).fit(SERIES)
    assert forecaster.seed is None
    assert forecaster.seed_ != other.seed_
    assert answers(quick(seed=forecaster.seed_).fit(SERIES)) == answers(forecaster)


def test_numpy_error_state_changes_nothing() -> None:
    series = np.r_[SERIES, np.zeros(9), 1e-310, SERIES * 1e-30]
    expected = answers(quick().fit(series), series)
    with np.errstate(all="raise"):
        assert answers(quick().fit(series), series) == expected


# ---- series of all kinds ----


@pytest.mark.parametrize(
    "same",
    [
        list(SERIES),
        tuple(SERIES),
        SERIES.reshape(-1, 1),
        SERIES.astype(">f8"),
        SERIES[::-1].copy()[::-1],
        np.asfortranarray(np.column_stack([SERIES, SERIES]))[:, :1],
        np.repeat(SERIES, 3)[::3],
    ],
    ids=["list", "tuple", "column", "big-endian", "reversed", "fortran", "strided"],
)
def test_any_memory_gives_the_same_bits(same: Any, fitted: Forecaster) -> None:
    assert answers(quick().fit(same), same) == answers(fitted)


def test_integers_are_taken_and_the_input_is_left_alone() -> None:
    series = np.arange(60) % 7
    before = series.copy()
    series.flags.writeable = False
    whole = quick().fit(series)
    assert answers(whole, series) == answers(quick().fit(before * 1.0), before * 1.0)
    np.testing.assert_array_equal(series, before)


def test_later_changes_of_the_input_do_not_reach_the_fit() -> None:
    series = SERIES.copy()
    forecaster = quick().fit(series)
    before = answers(forecaster)
    series[:] = 0
    assert answers(forecaster) == before


def test_trend_goes_on_beyond_what_was_seen() -> None:
    time = np.arange(130)
    series = 3.0 * time + NOISE[time % 90]
    for more in ({}, {"linear": False, "epochs": 30}, {"horizon": 4}):
        forecaster = quick(**more).fit(series[:100])
        forecast = forecaster.forecast(30)
        assert forecast[-1] > series[:100].max() + 40, more
    linear = Forecaster(**LINEAR).fit(series[:100]).forecast(30)
    assert scoring.rmse(3.0 * time[100:], linear) < 6


def test_level_shift_is_followed() -> None:
    """After a jump of 100 deviations, the forecast is at the new level."""
    series = np.r_[NOISE, 100 + NOISE[::-1]]
    for more in ({}, {"linear": False}):
        forecast = quick(**more).fit(series).forecast(6)
        assert np.abs(forecast - 100).max() < 20
    forecaster = quick(linear=False).fit(NOISE)
    assert np.abs(forecaster.forecast(6, NOISE + 100) - 100).max() < 4


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e300, 5e-324, 5])
@pytest.mark.parametrize("horizon", [1, 3])
def test_constant_series_is_forecast_by_itself(value: float, horizon: int) -> None:
    forecaster = quick(horizon=horizon).fit([value] * 30)
    np.testing.assert_array_equal(forecaster.forecast(40), [value] * 40)
    predicted = forecaster.predict([value] * 10)
    np.testing.assert_array_equal(predicted, np.full(predicted.shape, value))
    for bound in forecaster.forecast_interval(4):
        np.testing.assert_array_equal(bound, [value] * 4)
    if abs(value) < 1e200:
        np.testing.assert_array_equal(forecaster.forecast(4, [0.7] * 30), [0.7] * 4)
    assert "the series is constant" in forecaster.summary()


def test_forecast_depends_on_the_last_timesteps_only(fitted: Forecaster) -> None:
    a, b = fitted.forecast(5, SERIES[:40]), fitted.forecast(5, SERIES[34:40])
    np.testing.assert_array_equal(a, b)
    assert a[0] != fitted.forecast(5, SERIES[33:39])[0]
    np.testing.assert_array_equal(fitted.forecast(9), fitted.forecast(9, SERIES))
    np.testing.assert_array_equal(fitted.forecast(9)[:4], fitted.forecast(4))


@pytest.mark.parametrize("horizon", [1, 3])
def test_predict_is_the_forecast_from_each_window(horizon: int) -> None:
    forecaster = quick(horizon=horizon).fit(SERIES)
    predicted = forecaster.predict(SERIES)
    shape = (90 - T,) if horizon == 1 else (90 - T - horizon + 1, horizon)
    assert (predicted.shape, predicted.dtype) == (shape, np.float64)
    for i in (0, 1, 40, len(predicted) - 1):
        expected = forecaster.forecast(horizon, SERIES[i : i + T])
        np.testing.assert_allclose(predicted[i], expected.squeeze(), rtol=FEEDBACK)


@pytest.mark.parametrize(("factor", "offset"), [(1e-3, 0.0), (1e6, -1e9), (2.0**-40, 0.0)])
def test_units_do_not_matter(factor: float, offset: float, fitted: Forecaster) -> None:
    other = quick().fit(factor * SERIES + offset)
    for a, b in zip(
        (other.forecast(5), *other.forecast_interval(5)),
        (fitted.forecast(5), *fitted.forecast_interval(5)),
        strict=True,
    ):
        np.testing.assert_allclose((a - offset) / factor, b, atol=OTHER_UNIT * SERIES.std())


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-200, 1e200, 1e305, 5e307])
def test_extreme_units(scale: float, tmp_path: Path) -> None:
    wave = np.tile([0.0, 1.0, 2.0, 1.0], 20) * scale
    forecaster = quick().fit(wave)
    forecast = forecaster.forecast(5)
    assert np.isfinite(forecast).all()
    assert np.abs(forecast - wave[:5]).max() <= 0.1 * scale
    assert np.isfinite(forecaster.predict(wave)).all()
    forecaster.save(tmp_path / "m")
    assert answers(Forecaster.load(tmp_path / "m"), wave) == answers(forecaster, wave)


def test_numbers_far_beyond_the_fitted_series_are_an_error(fitted: Forecaster) -> None:
    for call in (fitted.predict, lambda series: fitted.forecast(1, series)):
        with pytest.raises(ValueError, match="series holds values that vary too much"):
            call(SERIES * 1e50)


def test_forecast_that_overflows_is_an_error_with_the_possible_steps() -> None:
    series = 1.9 ** np.arange(60)
    linear = LeastSquaresAR().fit(series, timesteps=T)
    window = series[np.newaxis, -T:]
    with pytest.raises(ValueError, match=r"steps must be at most \d+, got 3000") as caught:
        _combination.continued(linear, window, 3000)
    most = int(re.findall(r"\d+", str(caught.value))[0])
    assert np.isfinite(_combination.continued(linear, window, most)).all()
    assert np.isfinite(quick().fit(series).forecast(3000)).all()


@pytest.mark.filterwarnings("ignore:lower is above:UserWarning")
def test_lower_bounds_forecasts_and_intervals(tmp_path: Path) -> None:
    free = quick().fit(SERIES)
    bounded = quick(lower=62.0).fit(SERIES)
    np.testing.assert_array_equal(bounded.forecast(20), np.maximum(free.forecast(20), 62))
    np.testing.assert_array_equal(bounded.predict(SERIES), np.maximum(free.predict(SERIES), 62))
    np.testing.assert_array_equal(
        bounded.forecast_interval(20), np.maximum(free.forecast_interval(20), 62)
    )
    assert free.forecast(20).min() < 62
    bounded.save(tmp_path / "m")
    np.testing.assert_array_equal(Forecaster.load(tmp_path / "m").forecast(9), bounded.forecast(9))


def test_range_and_name(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    forecaster = Forecaster(**LINEAR).fit(pandas.Series(SERIES, name="sales"))
    assert forecaster.range_ == (SERIES.min(), SERIES.max())
    forecaster.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    assert (loaded.name_, loaded.range_) == ("sales", forecaster.range_)


# ---- missing values ----


def test_missing_values_are_interpolated_as_inputs() -> None:
    series = SERIES.copy()
    series[[20, 21, 50, 87]] = np.nan
    at = np.arange(90)
    known = ~np.isnan(series)
    filled = np.interp(at, at[known], series[known])
    forecaster = quick(missing="ignore").fit(series)
    expected = forecaster.forecast(5, filled)
    np.testing.assert_array_equal(forecaster.forecast(5), expected)
    np.testing.assert_array_equal(forecaster.forecast(5, series), expected)
    ends = np.flatnonzero(known[T - 1 : -1])  # windows that do not end in a gap
    predicted, expected = forecaster.predict(series), forecaster.predict(filled)
    np.testing.assert_array_equal(predicted[ends], expected[ends])
    with pytest.raises(ValueError, match="got nan at position 20; missing='ignore' interpolates"):
        quick().fit(series)


@pytest.mark.parametrize("horizon", [1, 3])
def test_missing_values_are_no_targets_of_the_linear_fit(horizon: int) -> None:
    series = SERIES.copy()
    series[[20, 21, 50, 87]] = np.nan
    at = np.arange(90)
    known = ~np.isnan(series)
    x, _ = dataset.windows(np.interp(at, at[known], series[known]), T, horizon=horizon)
    y = np.lib.stride_tricks.sliding_window_view(series[T:], horizon)
    there = ~np.isnan(y).any(axis=1) & known[T - 1 : 90 - horizon]  # nor does it end in a gap
    linear = LeastSquaresAR().fit(x[there], y[there])
    forecaster = Forecaster(**LINEAR, missing="ignore", horizon=horizon).fit(series)
    np.testing.assert_allclose(
        forecaster.forecast(horizon), linear.predict(x[-1:] * 0 + _window(series))[0], LEAST_SQUARES
    )


def _window(series: Array) -> Array:
    at = np.arange(len(series))
    known = ~np.isnan(series)
    filled: Array = np.interp(at, at[known], series[known])
    return filled[-T:].reshape(1, T, 1)


@pytest.mark.parametrize("horizon", [1, 3])
def test_what_is_put_in_for_a_missing_target_does_not_matter(horizon: int) -> None:
    """The last H values are only targets, so any number may be inserted there."""
    plan = _combination.Plan(T, horizon, None, T, 5, 2, None, True, 1e-2, 16, 0, 1)
    known = np.ones(90, bool)
    known[-1] = False
    found = []
    for value in (0.0, 1e4):
        values = SERIES.copy()
        values[-1] = value
        fit = _combination.fit(values, known, plan)
        found.append(
            [fit.forecast(9, SERIES[None, :T]), fit.weights, *fit.errors, list(fit.rmse.values())]
        )
        assert len(fit.members) == 5
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("horizon", [1, 2])
def test_windows_that_end_in_a_gap_have_no_target(horizon: int) -> None:
    values = np.arange(12.0)
    known = np.ones(12, bool)
    known[[4, 5, 8]] = False
    x, y = _combination.windows(values, known, 3, horizon)
    assert len(x) == len(y) == 12 - 3 - horizon + 1
    for row, target in zip(x, y, strict=True):
        end = int(row[-1])
        expected = [
            step if known[end] and known[step] else np.nan
            for step in range(end + 1, end + 1 + horizon)
        ]
        np.testing.assert_array_equal(target, expected)


def test_a_window_repeats_the_last_value_before_the_gap_that_it_ends_in() -> None:
    values = np.array([0.0, 1.0, 2.0, 5.0, 8.0, 11.0, 6.0, 7.0])  # 3 and 4 are interpolated
    known = np.array([True, True, True, False, False, True, True, True])
    x = _combination.causal_windows(values, known, 3, 1)
    expected = [[0, 1, 2], [1, 2, 2], [2, 2, 2], [5, 8, 11], [8, 11, 6]]
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("horizon", [1, 2])
def test_what_follows_a_gap_is_not_used_inside_of_it(horizon: int) -> None:
    series = SERIES.copy()
    series[40:44] = np.nan
    forecaster = quick(missing="ignore", horizon=horizon).fit(series)
    later = series.copy()
    later[44:] += 1000
    before, after = forecaster.predict(series), forecaster.predict(later)
    last = 44 - forecaster.timesteps_  # the window that ends with the gap
    np.testing.assert_array_equal(before[: last + 1], after[: last + 1])
    assert (np.asarray(before[last + 1]) != np.asarray(after[last + 1])).all()


def test_validation_errors_of_gaps_are_not_those_of_interpolation() -> None:
    """A random walk cannot be forecast better than by its steps, however much of it is missing."""
    series = np.cumsum(np.random.default_rng(5).normal(size=6000))
    series[np.random.default_rng(6).random(6000) < 0.5] = np.nan
    found = Forecaster(4, networks=0, missing="ignore", seed=0).fit(series)
    assert found.validation_rmse_["linear"] > 0.93
    lower, upper = found.forecast_interval(1)
    assert upper[0] - lower[0] > 2 * 1.3  # 2 * 1.645 deviations


def test_a_series_without_neighbouring_values_is_an_error() -> None:
    series = SERIES.copy()
    series[1::2] = np.nan
    with pytest.raises(ValueError, match="neighbouring values of which none is missing"):
        quick(missing="ignore").fit(series)
    with pytest.raises(ValueError, match="neighbouring values of which none is missing"):
        quick(missing="ignore", networks=0, timesteps=None).fit(series)


def test_timesteps_are_chosen_where_values_have_neighbours() -> None:
    """More than the last fifth of what is known has none."""
    series = np.r_[SERIES, SERIES[:20]]
    series[51::2] = np.nan
    known = ~np.isnan(series)
    filled = _series.filled(series)
    chosen = _combination.choose_timesteps(filled, known, 1)
    assert chosen == _combination.choose_timesteps(filled[:51], np.ones(51, bool), 1)
    assert quick(missing="ignore", timesteps=None).fit(series).timesteps_ == chosen


def test_missing_values_at_both_ends_are_cut_off(fitted: Forecaster) -> None:
    series = np.r_[[np.nan] * 3, SERIES, [np.nan] * 2]
    forecaster = quick(missing="ignore").fit(series)
    assert answers(forecaster) == answers(fitted)
    np.testing.assert_array_equal(forecaster.forecast(3, series), fitted.forecast(3))
    assert forecaster.predict(series).shape == (95 - T,)


@pytest.mark.parametrize("missing", [slice(60, 88), slice(1, 60), slice(0, 90, 2), slice(40, 89)])
@pytest.mark.parametrize("horizon", [1, 2])
def test_long_gaps_are_fitted_or_an_error(missing: slice, horizon: int) -> None:
    series = SERIES.copy()
    series[missing] = np.nan
    for timesteps in (None, T):
        forecaster = quick(missing="ignore", horizon=horizon, timesteps=timesteps)
        try:
            forecaster.fit(series)
        except ValueError as error:
            assert "series must" in str(error)  # noqa: PT017
        else:
            assert np.isfinite(forecaster.forecast(9)).all()
            assert np.isfinite(forecaster.forecast_interval(9, coverage=0.75)).all()


# ---- intervals ----


def test_interval_is_the_quantile_of_the_validation_errors(
    weighed: list[tuple[dict[str, Array], Array]],
) -> None:
    """The (n + 1) * coverage-th smallest error, relative to the movement of the windows."""
    forecaster = Forecaster(**LINEAR).fit(SERIES)
    forecasts, truth = weighed[0]
    error = np.abs(forecasts["linear"] - truth)
    n = len(error)
    x = np.lib.stride_tricks.sliding_window_view(SERIES[:-1], T)[-n:]
    spread = np.sqrt((np.diff(x) ** 2).mean())

    def scale(window: Array) -> Any:
        return np.sqrt(((np.diff(window) ** 2).mean(axis=-1) + spread**2) / 2)

    for coverage in (0.5, 0.9):
        lower, upper = forecaster.forecast_interval(3, coverage=coverage)
        for s in range(3):
            relative = np.sort((error[:, s] / scale(x))[: n - s])
            place = min(n - s, math.ceil((n - s + 1) * coverage))
            width = relative[place - 1] * scale(SERIES[-T:])
            assert (upper - lower)[s] == near(2 * width, LEAST_SQUARES)
        middle = (lower + upper) / 2
        np.testing.assert_allclose(middle, forecaster.forecast(3), LONG_MEAN)


def test_interval_is_wider_with_coverage(fitted: Forecaster) -> None:
    widths = []
    for coverage in (0.1, 0.5, 0.8, 0.9, 0.94):
        lower, upper = fitted.forecast_interval(40, coverage=coverage)
        widths.append(upper - lower)
    assert (np.diff(widths, axis=0) >= 0).all()
    assert (widths[3] > widths[1]).all()


def test_few_errors_support_no_high_coverage() -> None:
    """n errors support n / (n + 1); this is no reason to say that an interval has more."""
    short = quick().fit(SERIES[:30])
    n = len(short.__dict__["_fitted"].method.errors[0])
    assert n < 10
    with pytest.warns(UserWarning, match=rf"at most {n / (n + 1):.2g} .*, got 0.99") as caught:
        widest = short.forecast_interval(2, coverage=0.99)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(short.forecast_interval(2, coverage=n / (n + 1) - 1e-9), widest)
    # steps ahead with too few errors for the coverage are not measured
    whole = quick(networks=0).fit(np.tile(SERIES, 2))
    errors = whole.__dict__["_fitted"].method.errors
    last = max(s for s, e in enumerate(errors) if len(e) >= 19)
    lower, upper = whole.forecast_interval(24, coverage=0.95)
    width = (upper - lower)[last:]
    growth = np.sqrt(np.arange(last + 1, 25) / (last + 1))
    np.testing.assert_allclose(width / width[0], growth, rtol=LEAST_SQUARES)


@pytest.mark.parametrize(("season", "used"), [(6, True), (7, False)])
def test_summary_says_that_a_long_season_is_not_used(season: int, used: bool) -> None:
    text = quick(season=season).fit(SERIES).summary()
    assert ("seasonal persistence" in text) == used
    assert f"season {season}{'' if used else ' (not used: longer than the timesteps)'}," in text


def test_lower_above_values_of_the_series_is_a_warning() -> None:
    with pytest.warns(
        UserWarning, match="lower is above 90 of the 90 values .*, got 500"
    ) as caught:
        quick(networks=0, lower=500).fit(SERIES)
    assert caught[0].filename == __file__
    quick(networks=0, lower=SERIES.min()).fit(SERIES)


def test_interval_grows_beyond_the_measured_steps(fitted: Forecaster) -> None:
    lower, upper = fitted.forecast_interval(200)
    width = upper - lower
    held_out = round((90 - T) / 5)
    measured = held_out - 10 + 1  # steps with at least ten errors
    ahead = np.arange(measured, 200)
    np.testing.assert_allclose(
        width[measured:], width[measured - 1] * np.sqrt((ahead + 1) / measured), LONG_MEAN
    )
    np.testing.assert_array_equal(fitted.forecast_interval(5), [lower[:5], upper[:5]])


def test_coverage_on_noise() -> None:
    """With 40 timesteps of noise, the residuals of the fit are a fifth smaller than new errors."""
    inside = []
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=700)
        forecaster = Forecaster(40, networks=0).fit(noise[:300])
        for end in range(300, 700, 10):
            lower, upper = forecaster.forecast_interval(1, noise[:end])
            inside.append(lower[0] <= noise[end] <= upper[0])
    assert np.mean(inside) == pytest.approx(0.9, abs=NOISE_COVERAGE)


def test_coverage_of_the_combination() -> None:
    inside = []
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(size=900)
        forecaster = quick(learning_rate=1e-2).fit(noise[:400])
        for end in range(400, 895, 5):
            lower, upper = forecaster.forecast_interval(5, noise[:end])
            inside += [*((lower <= noise[end : end + 5]) & (noise[end : end + 5] <= upper))]
    assert np.mean(inside) == pytest.approx(0.9, abs=2 * NOISE_COVERAGE)


# ---- backtest ----


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("horizon", [1, 2])
def test_backtest_is_a_rolling_loop(refit: bool, horizon: int) -> None:
    folds, steps, season = 3, 5, 4
    forecaster = quick(horizon=horizon, season=season).fit(SERIES[::-1])
    before = answers(forecaster)
    backtest = forecaster.backtest(SERIES, folds, steps, refit=refit)
    assert answers(forecaster) == before
    first = 90 - folds * steps
    names = ["persistence", "seasonal persistence", "least-squares AR", "forecaster"]
    assert list(backtest.forecasts) == names
    np.testing.assert_array_equal(backtest.actual, SERIES[first:].reshape(folds, steps))
    errors: dict[str, list[Array]] = {name: [] for name in names}
    for fold in range(folds):
        end = first + fold * steps
        seen = SERIES[: end if refit else first]
        model = quick(horizon=horizon, season=season).fit(seen)
        linear = Forecaster(**LINEAR, horizon=horizon).fit(seen)
        past, after = SERIES[:end], SERIES[end : end + steps]
        expected = {
            "persistence": np.full(steps, past[-1]),
            "seasonal persistence": np.r_[past[-4:], past[-4:]][:steps],
            "least-squares AR": linear.forecast(steps, past),
            "forecaster": model.forecast(steps, past),
        }
        for name, forecast in expected.items():
            np.testing.assert_allclose(backtest.forecasts[name][fold], forecast, LEAST_SQUARES)
            errors[name].append(forecast - after)
    scale = np.abs(SERIES[season:first] - SERIES[: first - season]).mean()
    assert backtest.season == season
    assert backtest.scale == near(scale, LONG_MEAN)
    for name, found in errors.items():
        rmse, mae = np.sqrt(np.mean(np.square(found), 0)), np.mean(np.abs(found), 0)
        np.testing.assert_allclose(backtest.rmse(name), rmse, LEAST_SQUARES)
        np.testing.assert_allclose(backtest.mae(name), mae, LEAST_SQUARES)
        np.testing.assert_allclose(backtest.mase(name), mae / scale, LEAST_SQUARES)


def test_backtest_prints_and_tabulates() -> None:
    backtest = Forecaster(**LINEAR).backtest(SERIES, 3, 4)
    text = str(backtest)
    assert "3 origins, 4 steps ahead; MASE with a season of 1" in text
    assert text.endswith("verdict: better than persistence, as good as least-squares AR")
    pandas = pytest.importorskip("pandas")
    table = backtest.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.index) == ["persistence", "least-squares AR", "forecaster"]
    measures = {"RMSE": "rmse", "MAE": "mae", "MASE (season 1)": "mase"}
    assert list(table.columns.get_level_values(0).unique()) == list(measures)
    for label, method in measures.items():
        for name in table.index:
            np.testing.assert_array_equal(table.loc[name, label], getattr(backtest, method)(name))
    with pytest.raises(ValueError, match="model must be one of"):
        backtest.rmse("arima")


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ([2.0, 3.0, 1.0], "better than persistence and least-squares AR"),
        ([2.0, 0.999, 1.0], "better than persistence, as good as least-squares AR"),
        ([1.0, 2.0, 3.0], "worse than persistence and least-squares AR"),
        ([1.0, 3.0, 2.0], "better than least-squares AR, worse than persistence"),
        ([0.0, 1e-13, 1e-14], "as good as persistence and least-squares AR"),
    ],
)
def test_backtest_gives_a_verdict_in_words(errors: list[float], verdict: str) -> None:
    models = ["persistence", "least-squares AR", "forecaster"]
    forecasts = {m: np.full((2, 1), e) for m, e in zip(models, errors, strict=True)}
    forecasts = {model: 1 + forecast for model, forecast in forecasts.items()}
    lines = str(Backtest(np.ones((2, 1)), forecasts, 1, 1.0)).splitlines()
    assert lines[0] == "2 origins, 1 step ahead; MASE with a season of 1"
    assert lines[1].split() == ["RMSE", "MAE", "MASE"]  # and no errors of the first and last step
    assert lines[2].split() == ["persistence", *[f"{errors[0]:.4g}"] * 3]
    assert lines[-1] == f"verdict: {verdict}"


@pytest.mark.parametrize("unit", [1e200, 1e-200, 1e-300])
def test_backtest_in_other_units(unit: float) -> None:
    plain, other = (Forecaster(**LINEAR).backtest(s, 3, 4) for s in (SERIES, SERIES * unit))
    for name in plain.forecasts:
        np.testing.assert_allclose(other.rmse(name) / unit, plain.rmse(name), rtol=OTHER_UNIT)
        np.testing.assert_allclose(other.mase(name), plain.mase(name), rtol=OTHER_UNIT)
    assert str(other).splitlines()[-1] == str(plain).splitlines()[-1]


def test_backtest_without_the_forecaster_has_no_verdict() -> None:
    actual = np.array([[1.0, 2.0], [3.0, 4.0]])
    for models in (["persistence"], ["forecaster"]):
        text = str(Backtest(actual, dict.fromkeys(models, actual + 1), 1, 2.0))
        assert models[0] in text
        assert "verdict" not in text


def test_backtest_does_not_look_ahead() -> None:
    """Values after an origin do not change earlier forecasts, not even next to a missing value."""
    series = SERIES.copy()
    series[79] = np.nan  # the last value before the second origin
    changed = series.copy()
    changed[80:] += 1000
    a, b = (quick(missing="ignore").backtest(s, 2, 10) for s in (series, changed))
    for name in a.forecasts:
        np.testing.assert_array_equal(a.forecasts[name], b.forecasts[name])
    assert a.forecasts["persistence"][1, 0] == series[78]
    assert np.isnan(a.actual[0, 9])
    seasonal = quick(networks=0, missing="ignore", season=4).backtest(series, 2, 10)
    expected = np.r_[
        series[76:79], series[78]
    ]  # the missing value is replaced by the last known one
    np.testing.assert_array_equal(seasonal.forecasts["seasonal persistence"][1, :4], expected)
    assert np.isfinite(a.rmse("forecaster")).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"folds": 0}, ValueError, "folds must be at least 1, got 0"),
        ({"folds": 2.0}, TypeError, "folds must be an integer, got 2.0"),
        ({"refit": 1}, TypeError, "refit must be True or False, got 1"),
        ({"folds": 9, "steps": 10}, ValueError, "folds must be fewer"),
        ({"folds": 200}, ValueError, "folds must be fewer"),
        (
            {"folds": 8, "steps": 10},
            ValueError,
            "8 folds of 10 steps leave 10 of 90 values to fit: series must hold at least 14 values",
        ),
    ],
)
def test_bad_backtest(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        quick().backtest(SERIES, **arguments)


def test_backtest_steps_by_default() -> None:
    assert Forecaster(**LINEAR).backtest(SERIES, 2).actual.shape == (2, 12)
    assert Forecaster(**LINEAR, season=7).backtest(SERIES, 2).actual.shape == (2, 7)
    assert Forecaster(**LINEAR, horizon=9, season=7).backtest(SERIES, 2).actual.shape == (2, 9)
    assert Forecaster(**LINEAR).backtest(SERIES).actual.shape == (5, 9)


# ---- pandas and polars (indexes: test_series.py) ----


def test_pandas_in_pandas_out(fitted: Forecaster) -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2020-01-31", periods=90, freq="ME", name="month")
    series = pandas.Series(SERIES, index=index, name="sales")
    forecaster = quick().fit(series)
    after = pandas.date_range("2027-07-31", periods=4, freq="ME", name="month")
    assert answers(forecaster, SERIES) == answers(fitted)
    for found in (forecaster.forecast(4), *forecaster.forecast_interval(4)):
        assert found.name == "sales"
        pandas.testing.assert_index_equal(found.index, after)
    predicted = forecaster.predict(series)
    pandas.testing.assert_index_equal(predicted.index, index[T:])
    assert predicted.to_numpy().tobytes() == fitted.predict(SERIES).tobytes()
    # from the middle, and from an array
    assert forecaster.forecast(2, series[:40]).index[0] == index[40]
    assert isinstance(forecaster.forecast(2, SERIES[:40]), np.ndarray)
    table = quick(horizon=3).fit(series).predict(series)
    assert table.shape == (90 - T - 2, 3)
    pandas.testing.assert_index_equal(table.index, index[T:-2])


def test_pandas_after_load(fitted: Forecaster, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.RangeIndex(10, 100)
    quick().fit(pandas.Series(SERIES, index=index)).save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    assert isinstance(loaded.forecast(3), np.ndarray)  # a file keeps no index
    assert loaded.forecast(3, pandas.Series(SERIES, index=index)).index.tolist() == [100, 101, 102]


def test_columns_and_types_of_pandas(fitted: Forecaster) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"sales": SERIES})
    for same in (frame, frame["sales"], frame["sales"].astype("Float64"), frame.convert_dtypes()):
        assert answers(quick().fit(same), SERIES) == answers(fitted)
    with pytest.raises(ValueError, match=r"shape \(M,\) or \(M, 1\), got \(90, 2\)"):
        quick().fit(frame.assign(other=1.0))
    counts = pandas.Series(np.arange(60) % 7, dtype="Int64")
    plain = quick().fit(np.arange(60) % 7.0)
    np.testing.assert_array_equal(quick().fit(counts).forecast(3), plain.forecast(3))
    counts[30] = pandas.NA
    values = (np.arange(60) % 7).astype(float)
    values[30] = np.nan
    np.testing.assert_array_equal(
        quick(missing="ignore").fit(counts).forecast(3),
        quick(missing="ignore").fit(values).forecast(3),
    )
    with pytest.raises(ValueError, match="got nan at position 30"):
        quick().fit(counts)
    with pytest.raises(TypeError, match="series must hold real integers or floats"):
        quick().fit(pandas.Series(["a", "b"] * 20))


def test_polars(fitted: Forecaster) -> None:
    polars = pytest.importorskip("polars")
    for same in (polars.Series("sales", SERIES), polars.DataFrame({"sales": SERIES})):
        assert answers(quick().fit(same), SERIES) == answers(fitted)
    with_null = polars.Series([*SERIES[:30], None, *SERIES[31:]])
    values = SERIES.copy()
    values[30] = np.nan
    np.testing.assert_array_equal(
        quick(missing="ignore").fit(with_null).forecast(3),
        quick(missing="ignore").fit(values).forecast(3),
    )
    with pytest.raises(ValueError, match="got nan at position 30"):
        quick().fit(with_null)


def test_nothing_is_imported_for_arrays() -> None:
    done = children.run(
        """
        series = np.sin(np.arange(60.0))
        model = crnn.Forecaster(5, hidden_size=3, networks=1, epochs=1).fit(series)
        model.forecast(3), model.forecast_interval(3), model.predict(series), model.summary()
        str(model.backtest(series, 2, 3))
        print([name for name in ("pandas", "polars", "matplotlib", "tqdm", "sklearn")
               if name in sys.modules])
        """
    )
    assert done.strip() == "[]"


def test_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    quick(progress=True).fit(SERIES)
    # two levels of three epochs, for validation and at the end
    assert "12epoch" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="tqdm"):
        quick(progress=True).fit(SERIES)


def test_plot(fitted: Forecaster, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pandas = pytest.importorskip("pandas")
    fitted.save(tmp_path / "m")
    index = pandas.date_range("2020-01-01", periods=90)
    dated = quick().fit(pandas.Series(SERIES, index=index))
    for forecaster in (fitted, Forecaster.load(tmp_path / "m"), dated):
        ax = forecaster.plot()
        assert len(ax.lines[1].get_ydata()) >= 12
        np.testing.assert_array_equal(ax.lines[1].get_ydata()[-12:], fitted.forecast(12))
        assert ax.collections, "the interval"
        assert forecaster.plot(5, SERIES[:50], ax=ax) is ax


def test_plot_of_other_times_and_of_gaps() -> None:
    pytest.importorskip("matplotlib")
    pandas = pytest.importorskip("pandas")
    durations = pandas.timedelta_range(0, periods=90, freq="12h")
    ax = quick().fit(pandas.Series(SERIES, index=durations)).plot(2)
    assert ax.lines[0].get_xdata()[-1] == 44.5  # days
    berlin = pandas.date_range("2020-03-20", periods=90, freq="D", tz="Europe/Berlin")
    ax = quick().fit(pandas.Series(SERIES, index=berlin)).plot(2)
    assert ax.lines[0].get_xdata()[0] == np.datetime64("2020-03-20T00:00")
    series = SERIES.copy()
    series[40:44] = np.nan
    ax = quick(missing="ignore").fit(series).plot(2)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), series)


# ---- files ----

KINDS: dict[str, tuple[dict[str, Any], Any]] = {
    "all": ({}, SERIES),
    "linear": ({"networks": 0}, SERIES),
    "networks": ({"linear": False}, SERIES),
    "horizon": ({"horizon": 3, "season": 5, "lower": 45.0}, SERIES),
    "season": ({"timesteps": None, "season": 13}, SERIES),
    "timesteps chosen": ({"timesteps": None, "epochs": "auto"}, SERIES),
    "no seed": ({"seed": None}, SERIES),
    "constant": ({}, np.full(40, 0.1)),
    "missing": ({"missing": "ignore"}, np.where(np.arange(90) == 40, np.nan, SERIES)),
    "short": ({}, SERIES[:14]),
}


@pytest.mark.filterwarnings("ignore:coverage must be at most:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_file_gives_the_same_bits_back(kind: str, tmp_path: Path) -> None:
    more, series = KINDS[kind]
    forecaster = quick(**more).fit(series)
    forecaster.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    assert answers(loaded, series) == answers(forecaster, series)
    here = {"threads": None, "progress": False}  # depends on the machine
    assert loaded.get_params() | here == forecaster.get_params() | here
    for name in ("timesteps_", "epochs_", "validation_rmse_", "seed_", "range_", "name_"):
        assert getattr(loaded, name) == getattr(forecaster, name), name
    assert loaded.history_ is None
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()
    if loaded.seed is not None:
        assert answers(loaded.fit(series), series) == answers(forecaster, series)


def test_file_that_cannot_be_written_leaves_the_old_one(fitted: Forecaster, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no"):
        fitted.save(tmp_path / "no" / "m")
    with pytest.raises(FileNotFoundError):
        Forecaster.load(tmp_path / "m")


def test_file_of_another_kind_names_its_loader(fitted: Forecaster, tmp_path: Path) -> None:
    RNN(1, 3, 1, seed=0).save(tmp_path / "network")
    with pytest.raises(ValueError, match=r"RNN\.load"):
        Forecaster.load(tmp_path / "network")
    fitted.save(tmp_path / "forecaster")
    with pytest.raises(ValueError, match=r"Forecaster\.load"):
        RNN.load(tmp_path / "forecaster")


Change = Callable[[dict[str, Any], dict[str, Any]], object]


def member(key: str, value: object, which: int = 1) -> Change:
    return lambda a, s: s["members"][which].update({key: value})


CHANGES: dict[str, Change] = {
    "no tail": lambda a, s: a.pop("tail"),
    "no weights": lambda a, s: a.pop("weights"),
    "no linear": lambda a, s: a.pop("linear.weights"),
    "no network": lambda a, s: a.pop("mean1.Wh_l0"),
    "another array": lambda a, s: a.update(extra=np.ones(2, np.float32)),
    "another network": lambda a, s: a.update({"mean2.Wh_l0": a["mean1.Wh_l0"]}),
    "shorter tail": lambda a, s: a.update(tail=a["tail"][1:]),
    "tail in a column": lambda a, s: a.update(tail=a["tail"].reshape(-1, 1)),
    "tail of float32": lambda a, s: a.update(tail=a["tail"].astype(np.float32)),
    "tail of nothing": lambda a, s: a.update(tail=a["tail"][:0]),
    "weights of two members": lambda a, s: a.update(weights=a["weights"][:2]),
    "weights of no step": lambda a, s: a.update(weights=a["weights"][:, :0]),
    "weights that do not sum to 1": lambda a, s: a.update(weights=2 * a["weights"]),
    "weights below 0": lambda a, s: a.update(
        weights=np.tile([[3.0], [-1.0], [-1.0], [0.0], [0.0]], (1, 17))
    ),
    "fewer errors": lambda a, s: a.update(errors=a["errors"][1:]),
    "errors below 0": lambda a, s: a.update(errors=-a["errors"]),
    "errors in no order": lambda a, s: a.update(errors=a["errors"][::-1].copy()),
    "counts as floats": lambda a, s: a.update(error_counts=a["error_counts"] * 1.0),
    "counts below 0": lambda a, s: a.update(error_counts=-a["error_counts"]),
    "counts in a column": lambda a, s: a.update(error_counts=a["error_counts"][:, None]),
    "counts that overflow": lambda a, s: a["error_counts"].fill(2**62),
    "network of float64": lambda a, s: a.update(
        {"mean0.Wh_l0": a["mean0.Wh_l0"].astype(np.float64)}
    ),
    "another half": lambda a, s: a.update({"linear.half": np.zeros(1)}),
    "another centre": lambda a, s: a.update({"linear.centre": np.zeros(2)}),
    "another method": lambda a, s: s.update(method="magic"),
    "no arguments": lambda a, s: s.pop("arguments"),
    "arguments in a list": lambda a, s: s.update(arguments=[]),
    "no argument": lambda a, s: s["arguments"].pop("lower"),
    "huge timesteps": lambda a, s: s["arguments"].update(timesteps=10**15),
    "other timesteps": lambda a, s: s["arguments"].update(timesteps=T + 1),
    "huge horizon": lambda a, s: s["arguments"].update(horizon=10**9),
    "bad missing": lambda a, s: s["arguments"].update(missing="drop"),
    "bad seed": lambda a, s: s.update(seed=-1),
    "no seed": lambda a, s: s.pop("seed"),
    "range of one": lambda a, s: s.update(range=[1.0]),
    "range of three": lambda a, s: s.update(range=[1.0, 2.0, 3.0]),
    "unit of 0": lambda a, s: s.update(unit=0.0),
    "huge unit": lambda a, s: s.update(unit=10**400),
    "spread below 0": lambda a, s: s.update(spread=-1.0),
    "rmse as a list": lambda a, s: s.update(rmse=[1.0]),
    "rmse as text": lambda a, s: s["rmse"].update(linear="1"),
    "epochs as text": lambda a, s: s["epochs"].update(mean="3"),
    "no members": lambda a, s: s.update(members=[]),
    "members as a number": lambda a, s: s.update(members=3),
    "member twice": lambda a, s: s["members"].append(s["members"][1]),
    "unknown member": member("name", "median"),
    "member named by a list": member("name", ["mean"]),
    "huge reach": member("reach", 10**9),
    "reach of 0": member("reach", 0),
    "seasonal without a season": member("name", "seasonal persistence", 4),
    "huge networks": member("networks", 10**9),
    "no networks": member("networks", 0),
    "huge hidden size": member("hidden_size", 10**9),
    "other hidden size": member("hidden_size", 4),
    "scale of 0": member("scale", 0.0),
    "scale as text": member("scale", "1"),
    "no spread": lambda a, s: s["members"][1].pop("spread"),
    "no readout": lambda a, s: a.pop("readout.weights"),
    "readout of another size": lambda a, s: a.update({"readout.weights": np.zeros((3, 1))}),
    "no limit": lambda a, s: a.pop("limit"),
    "limit below 0": lambda a, s: a.update(limit=-a["limit"]),
    "empty limit": lambda a, s: a.update(limit=np.empty(0)),
    "limit in two dimensions": lambda a, s: a.update(limit=np.ones((2, 1))),
    "readout before its networks": lambda a, s: s["members"].insert(0, s["members"].pop(3)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_parts_that_do_not_fit_are_refused_in_bounded_memory(
    change: Change, fitted: Forecaster, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    fitted.save(path)
    arrays, settings = storage.read(path, "forecaster")
    change(arrays, settings)
    storage.write(path, "forecaster", arrays, settings)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="not a usable forecaster") as caught:
            Forecaster.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 500


def test_damaged_files_are_refused(fitted: Forecaster, tmp_path: Path) -> None:
    path = tmp_path / "model"
    fitted.save(path)
    content = path.read_bytes()
    for place in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="model"):
            Forecaster.load(path)
        path.write_bytes(content[:place])
        with pytest.raises(ValueError, match="model"):
            Forecaster.load(path)


# ---- a file of version 0.1 ----

# Forecaster(timesteps=6, hidden_size=4, epochs=5, seed=0).fit(5 * dataset.sine_wave(60) + 20)
OLD_FILE = base64.b64decode(
    "uAIAAAAAAAB7IldoX2wwIjp7ImRhdGFfb2Zmc2V0cyI6WzAsNjRdLCJkdHlwZSI6IkYzMiIsInNoYXBlIjpbNCw0XX0sIl"
    "d4X2wwIjp7ImRhdGFfb2Zmc2V0cyI6WzY0LDgwXSwiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzEsNF19LCJXeSI6eyJkYXRh"
    "X29mZnNldHMiOls4MCw5Nl0sImR0eXBlIjoiRjMyIiwic2hhcGUiOls0LDFdfSwiX19tZXRhZGF0YV9fIjp7ImNybm5fZm"
    "9ybWF0IjoiMSIsImtpbmQiOiJmb3JlY2FzdGVyIiwic2V0dGluZ3MiOiJ7XCJiYXRjaF9zaXplXCI6MzIsXCJlcG9jaHNc"
    "Ijo1LFwiaGlkZGVuX3NpemVcIjo0LFwibGVhcm5pbmdfcmF0ZVwiOjAuMDAyLFwibWVhblwiOjIwLjE2MTYxMTYwODcyNz"
    "Y3NSxcIm9wdGltaXplclwiOlwiYWRhbVwiLFwic2NhbGVcIjozLjUyMzU5MDcyMDM2Mzg2NSxcInNlZWRcIjowLFwidGlt"
    "ZXN0ZXBzXCI6Nn0iLCJzaGEyNTYiOiIwYWEzNGM5NzVmNzdiZDQxNTBlNDFlNGVlNzgxM2UwMDU2NjBjOTNiNzA3NmQ4YW"
    "QzZmEzNzUzZjE3ZDBjNzQ5In0sImJfbDAiOnsiZGF0YV9vZmZzZXRzIjpbOTYsMTEyXSwiZHR5cGUiOiJGMzIiLCJzaGFw"
    "ZSI6WzRdfSwiYnkiOnsiZGF0YV9vZmZzZXRzIjpbMTEyLDExNl0sImR0eXBlIjoiRjMyIiwic2hhcGUiOlsxXX0sInRhaW"
    "wiOnsiZGF0YV9vZmZzZXRzIjpbMTE2LDE0MF0sImR0eXBlIjoiRjMyIiwic2hhcGUiOls2XX19ICAgICAgICAgICAgICBY"
    "CQo/vR0yPx+ZUT4x99U+uUXeva3b3z6Sas8+AlVVvx2eOT9a0A+/oby0PsYDXr6ZDbc+oociPlzSWr8Gt8q+65ujPjs9Br"
    "/uV3y/qAWFv0O3gb9k4Ve/iUi1Ph3imj4CEjm6KMECu0dhhTvTQHy8na5WOwW7Vr+Qdbu/BzRJv8CzEj+xd64/RZBbPw=="
)
OLD_SERIES = dataset.sine_wave(60) * 5 + 20
OLD_FORECAST = """
    0x1.3d35dfc6eb7ffp+4 0x1.473d35f2f6181p+4 0x1.4cd9421db8985p+4 0x1.6bafb6758906bp+4
    0x1.54c0015fe9b28p+4
"""
OLD_PREDICTED = "0x1.58f4ad69f04c6p+4 0x1.3a79a31bd2783p+4 0x1.24b9ead66f261p+4"


@pytest.fixture
def old(tmp_path: Path) -> Forecaster:
    (tmp_path / "old").write_bytes(OLD_FILE)
    return Forecaster.load(tmp_path / "old")


@pytest.mark.kernel
def test_file_of_version_0_1_gives_its_bits(old: Forecaster) -> None:
    tolerance = 0 if _cell.active() != "portable" else FEEDBACK  # fused multiply and add, or not
    for text, found in (
        (OLD_FORECAST, old.forecast(5)),
        (OLD_FORECAST, old.forecast(5, OLD_SERIES)),
        (OLD_PREDICTED, old.predict(OLD_SERIES)[:3]),
    ):
        expected = [float.fromhex(number) for number in text.split()]
        np.testing.assert_allclose(found, expected, rtol=tolerance)


def test_file_of_version_0_1_keeps_its_method_until_fit(old: Forecaster, tmp_path: Path) -> None:
    assert "version 0.1" in old.summary()
    assert "5 epochs" in old.summary()
    assert (old.timesteps_, old.timesteps, old.hidden_size, old.seed) == (6, 6, 4, 0)
    with pytest.raises(ValueError, match=r"version 0\.1 has no validation errors: fit it again"):
        old.forecast_interval(3)
    old.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == OLD_FILE
    forecast = old.forecast(9).tobytes()
    with pytest.raises(ValueError, match="finite"):
        old.fit([np.nan] * 90)
    assert old.forecast(9).tobytes() == forecast
    old.fit(OLD_SERIES)
    assert old.forecast_interval(3)[0].shape == (3,)
    assert set(old.weights_) <= {"linear", "mean", "last", "readout", "persistence"}


def test_plot_of_version_0_1(old: Forecaster) -> None:
    pytest.importorskip("matplotlib")
    ax = old.plot(5)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), OLD_SERIES[-6:], rtol=FEEDBACK)
    assert not ax.collections  # no interval


@pytest.mark.parametrize(
    "change",
    [
        lambda a, s: a.pop("tail"),
        lambda a, s: a.pop("Wh_l0"),
        lambda a, s: a.update(extra=np.ones(2, np.float32)),
        lambda a, s: a.update(tail=a["tail"][1:]),
        lambda a, s: a.update(tail=a["tail"].astype(np.float64)),
        lambda a, s: a.update(Wy=a["Wy"][:-1]),
        lambda a, s: s.pop("mean"),
        lambda a, s: s.update(mean="0"),
        lambda a, s: s.update(mean=10**400),
        lambda a, s: s.update(scale=0.0),
        lambda a, s: s.update(timesteps=10**15),
        lambda a, s: s.update(hidden_size=10**9),
        lambda a, s: s.update(epochs=0),
        lambda a, s: s.pop("optimizer"),
    ],
)
def test_parts_of_version_0_1_that_do_not_fit_are_refused(
    change: Change, old: Forecaster, tmp_path: Path
) -> None:
    arrays, settings = storage.read(tmp_path / "old", "forecaster")
    change(arrays, settings)
    storage.write(tmp_path / "old", "forecaster", arrays, settings)
    with pytest.raises(ValueError, match="not a usable forecaster"):
        Forecaster.load(tmp_path / "old")


def test_read_knows_what_is_known() -> None:
    read = _series.read("series", [np.nan, 1, np.nan, 3, np.nan], missing="ignore", ends="keep")
    np.testing.assert_array_equal(read.values, [1, 1, 2, 3, 3])
    np.testing.assert_array_equal(read.known, [False, True, False, True, False])
    cut = _series.read("series", [np.nan, 1, np.nan, 3, np.nan], missing="ignore")
    np.testing.assert_array_equal(cut.values, [1, 2, 3])
