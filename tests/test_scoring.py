"""Errors of forecasts and simple forecasts: by hand, against NumPy, on a known benchmark."""

from __future__ import annotations

import functools
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import Array
from tolerances import (
    DEPENDENT_WINDOWS,
    ILL_CONDITIONED,
    LEAST_SQUARES,
    SCORE,
    near,
    relative_error,
)
from two_sines import two_sines

from crnn import dataset, scoring


def plain_fit(x_train: Array, y_train: Array, x_test: Array) -> Array:
    """The least-squares forecast from the whole design matrix at once."""
    ones, twos = np.ones((len(x_train), 1)), np.ones((len(x_test), 1))
    design = np.hstack([ones, x_train.reshape(len(x_train), -1)], dtype=np.float64)
    weights = np.linalg.lstsq(design, y_train.astype(np.float64), rcond=None)[0]
    return np.asarray(np.hstack([twos, x_test.reshape(len(x_test), -1)]) @ weights)


@functools.cache
def noisy_series(size: int, features: int = 1) -> Array:
    """A damped oscillation, driven by noise: (size, features)."""
    series = np.random.default_rng(0).standard_normal((size, features))
    for t in range(2, size):
        series[t] += 1.6 * series[t - 1] - 0.9 * series[t - 2]
    series.flags.writeable = False
    return series


def test_rmse_and_mae_by_hand() -> None:
    actual, predicted = [[1.0, 2.0], [3.0, 4.0]], [[2.0, 2.0], [0.0, 4.0]]
    assert scoring.rmse(actual, predicted) == np.sqrt((1 + 0 + 9 + 0) / 4)
    assert scoring.mae(actual, predicted) == (1 + 0 + 3 + 0) / 4


def test_no_error_is_zero() -> None:
    assert scoring.rmse([1, 2, 3], [1, 2, 3]) == 0
    assert scoring.mae([1, 2, 3], [1, 2, 3]) == 0


def test_one_column_and_one_dimension_are_the_same() -> None:
    actual, predicted = np.array([1.0, 5.0, 2.0]), np.array([2.0, 5.0, 4.0])
    for score in (scoring.rmse, scoring.mae):
        assert score(actual[:, np.newaxis], predicted) == score(actual, predicted)


def test_unsigned_integers_do_not_wrap() -> None:
    actual, predicted = np.array([1, 2], "u1"), np.array([2, 4], "u1")
    assert scoring.mae(actual, predicted) == 1.5
    assert scoring.rmse(actual, predicted) == np.sqrt(2.5)
    assert scoring.mase(actual, predicted, np.array([2, 1, 2], "u1")) == 1.5


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e170, 1e300])
def test_rmse_of_errors_whose_squares_have_no_float(unit: float) -> None:
    error = scoring.rmse(np.array([3.0, 4.0]) * unit, np.zeros(2))
    assert error / unit == near(np.sqrt(12.5), SCORE)


@given(st.integers(1, 30), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_rmse_is_the_root_of_the_mean_square(rows: int, columns: int, seed: int) -> None:
    actual, predicted = np.random.default_rng(seed).standard_normal((2, rows, columns))
    wanted = np.sqrt(np.square(actual - predicted).mean())
    assert scoring.rmse(actual, predicted) == near(wanted, SCORE)
    assert scoring.mae(actual, predicted) <= scoring.rmse(actual, predicted) * (1 + SCORE)


def test_mase_by_hand() -> None:
    training = [3.0, 1.0, 4.0, 1.0, 5.0]
    # Errors of persistence in the training series: 2, 3, 3, 4, on average 3.
    assert scoring.mase([9.0, 2.0], [6.0, 5.0], training) == 1.0
    # Errors with a season of 2: 1, 0, 1.
    assert scoring.mase([9.0, 2.0], [6.0, 5.0], training, season=2) == near(4.5, SCORE)


def test_mase_scales_each_feature_by_its_own_naive_error() -> None:
    training = np.array([[0.0, 0.0], [1.0, 10.0], [0.0, 30.0]])  # naive errors 1 and 15
    actual = np.array([[0.0, 0.0, 0.0, 0.0]])  # two steps of two features
    predicted = np.array([[2.0, 15.0, 3.0, 45.0]])
    assert scoring.mase(actual, predicted, training) == (2 + 1 + 3 + 3) / 4


def test_mase_of_persistence_on_its_own_training_series_is_one() -> None:
    series = noisy_series(500)
    x, y = dataset.windows(series, 1)
    assert scoring.mase(y, scoring.persistence(x), series) == near(1.0, SCORE)
    x, y = dataset.windows(series, 7)
    naive = scoring.seasonal_persistence(x, 7)
    assert scoring.mase(y, naive, series, season=7) == near(1.0, SCORE)


def test_mase_does_not_depend_on_the_unit() -> None:
    series = noisy_series(50)[:, 0]
    predicted = series[30:] + 0.5
    one = scoring.mase(series[30:], predicted, series[:30])
    other = scoring.mase(1e6 * series[30:], 1e6 * predicted, 1e6 * series[:30])
    assert other == near(one, SCORE)


def test_persistence_by_hand() -> None:
    x = np.array([[[1, 10], [2, 20]], [[3, 30], [4, 40]]])
    assert scoring.persistence(x).tolist() == [[2, 20], [4, 40]]
    assert scoring.persistence(x, horizon=2).tolist() == [[2, 20, 2, 20], [4, 40, 4, 40]]
    assert scoring.persistence(x).dtype == x.dtype


def test_seasonal_persistence_by_hand() -> None:
    x = np.array([[1, 2, 3, 4, 5]])
    assert scoring.seasonal_persistence(x, 3).tolist() == [[3]]
    assert scoring.seasonal_persistence(x, 3, horizon=7).tolist() == [[3, 4, 5, 3, 4, 5, 3]]
    assert scoring.seasonal_persistence(x, 5, horizon=1).tolist() == [[1]]


@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 3))
def test_a_periodic_series_is_forecast_exactly(season: int, horizon: int, features: int) -> None:
    period = np.random.default_rng(season).standard_normal((season, features))
    x, y = dataset.windows(np.tile(period, (20, 1)), season + 2, horizon=horizon)
    assert (scoring.seasonal_persistence(x, season, horizon) == y).all()


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_series_is_all_its_windows_that_something_follows(horizon: int) -> None:
    series = noisy_series(40)[:, 0]
    for season in (1, 4):
        x, y = dataset.windows(series, season, horizon=horizon)
        forecast = scoring.seasonal_persistence(series, season, horizon)
        np.testing.assert_array_equal(forecast, scoring.seasonal_persistence(x, season, horizon))
        assert forecast.shape == y.shape == (40 - season - horizon + 1, horizon)
    last = scoring.persistence(series.tolist(), horizon)
    np.testing.assert_array_equal(last, np.tile(series[:-horizon, None], horizon))
    x, y = dataset.windows(series, 5, horizon=horizon)
    linear, same = scoring.LeastSquaresAR(), scoring.LeastSquaresAR()
    linear.fit(series, timesteps=5, horizon=horizon)
    np.testing.assert_array_equal(linear.weights_, same.fit(x, y).weights_)
    np.testing.assert_array_equal(linear.predict(series), same.predict(x))
    assert linear.predict(series).shape == y.shape


def test_a_fitted_linear_forecast_is_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = dataset.windows(noisy_series(60), 3)
    linear = scoring.LeastSquaresAR().fit(x, y)
    expected = scoring.least_squares_ar(x, y, x[:9])
    monkeypatch.setattr(np.linalg, "lstsq", None)
    np.testing.assert_array_equal(linear.predict(x[:9]), expected)


def test_least_squares_ar_finds_the_recurrence() -> None:
    series = np.array([1.0, 0.5])
    for _ in range(60):
        series = np.append(series, 0.3 + 0.9 * series[-1] - 0.8 * series[-2])
    x, y = dataset.windows(series, 2)
    x_new = np.array([[[10.0], [20.0]], [[-1.0], [0.0]]])
    forecast = scoring.least_squares_ar(x, y, x_new)
    assert forecast == near(np.array([[0.3 + 18 - 8], [0.3 + 0.8]]), LEAST_SQUARES)


@settings(max_examples=40)
@given(
    samples=st.sampled_from([40, 4096, 4097, 9001]),  # one block, a full one, one more, several
    timesteps=st.integers(1, 4),
    features=st.integers(1, 2),
    horizon=st.integers(1, 2),
    dtype=st.sampled_from(["<f4", ">f8", "<i4"]),
    backwards=st.booleans(),
)
def test_least_squares_ar_is_the_fit_on_the_whole_matrix(
    samples: int, timesteps: int, features: int, horizon: int, dtype: str, backwards: bool
) -> None:
    series = (10 * noisy_series(9020, features)).astype(dtype)
    series = series[: samples + timesteps + horizon + 4]
    x, y = dataset.windows(series[::-1] if backwards else series, timesteps, horizon=horizon)
    forecast = scoring.least_squares_ar(x[:samples], y[:samples], x[samples:])
    assert forecast.dtype == np.float64
    assert forecast.shape == (5, horizon * features)
    wanted = plain_fit(x[:samples], y[:samples], x[samples:])
    assert relative_error(forecast, wanted) < LEAST_SQUARES


def test_least_squares_ar_takes_flat_shapes() -> None:
    series = noisy_series(80)[:, 0]
    x, y = dataset.windows(series, 3)
    forecast = scoring.least_squares_ar(x[:60], y[:60], x[60:])
    flat = scoring.least_squares_ar(x[:60, :, 0], y[:60, 0], x[60:, :, 0])
    assert flat.shape == (17, 1)
    assert (flat == forecast).all()


@pytest.mark.parametrize(("unit", "offset"), [(1.0, 0.0), (1e-6, 0.0), (1.0, 1e6), (1e6, -1e9)])
def test_dependent_windows_are_fitted_in_any_unit(unit: float, offset: float) -> None:
    # 25 points of a sine have rank 2, so the fit is far from unique.
    x, y = dataset.windows(unit * dataset.sine_wave(3000) + offset, 25)
    forecast = scoring.least_squares_ar(x[:2500], y[:2500], x[2500:])
    assert scoring.rmse(y[2500:], forecast) < DEPENDENT_WINDOWS * (unit + abs(offset))


def test_features_of_different_units_are_all_used() -> None:
    leading = np.random.default_rng(0).standard_normal(400)
    # Only the second feature determines the first one's next value, in a unit 1e16 times smaller.
    series = np.stack([np.roll(leading, 1), 1e-16 * leading], axis=1)[1:]
    x, y = dataset.windows(series, 1)
    forecast = scoring.least_squares_ar(x[:300], y[:300, :1], x[300:])
    assert scoring.rmse(y[300:, :1], forecast) < LEAST_SQUARES


@pytest.mark.parametrize("unit", [1e-307, 1e308])
def test_windows_near_the_ends_of_float64_are_fitted(unit: float) -> None:
    # the range of the windows, twice their largest number, overflows
    x, y = dataset.windows(dataset.sine_wave(60), 2)
    forecast = scoring.least_squares_ar(unit * x[:40], y[:40], unit * x[40:])
    assert relative_error(forecast, y[40:]) < LEAST_SQUARES


def test_fewer_samples_than_coefficients() -> None:
    x, y = dataset.windows(noisy_series(30), 20)
    forecast = scoring.least_squares_ar(x[:5], y[:5], x[:5])
    assert forecast == pytest.approx(y[:5], abs=LEAST_SQUARES)


def test_a_constant_series_is_forecast_as_that_constant() -> None:
    x, y = dataset.windows(np.full(50, 3.0), 4)
    assert scoring.least_squares_ar(x[:40], y[:40], x[40:]) == near(
        np.full((6, 1), 3.0), LEAST_SQUARES
    )


def test_a_smooth_series_keeps_its_digits() -> None:
    # The design's condition number is 2e7. The normal equations have its square, which leaves one
    # or two digits of float64.
    x, y = dataset.windows(dataset.mackey_glass(3000, seed=0), 50)
    forecast = scoring.least_squares_ar(x[:2500], y[:2500], x[2500:])
    wanted = plain_fit(x[:2500], y[:2500], x[2500:])
    assert scoring.rmse(wanted, forecast) < ILL_CONDITIONED


def test_least_squares_ar_makes_no_copy_of_the_windows() -> None:
    series = np.random.default_rng(0).standard_normal(50_000, np.float32)
    x, y = dataset.windows(series, 64)
    tracemalloc.start()
    try:
        scoring.least_squares_ar(x, y, x[-10:])
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used < x.nbytes  # 12.8 MB; the windows in float64 would have 25.6 MB and the mask 3.2 MB


def test_two_sines_naive_forecast() -> None:
    data = two_sines()
    error = scoring.rmse(data.y_validation, scoring.persistence(data.x_validation)) ** 2
    assert round(error, 4) == 0.0202  # the book's 0.020211367


def test_two_sines_least_squares() -> None:
    data = two_sines()
    forecast = scoring.least_squares_ar(data.x_train, data.y_train, data.x_validation)
    assert round(scoring.rmse(data.y_validation, forecast) ** 2, 5) == 0.00293


X, Y = np.ones((6, 3, 1)), np.arange(6.0)
NAN = np.array([1.0, np.nan, 2.0, 3.0, 4.0, 5.0])
NOT_FINITE = [np.nan, np.inf, -np.inf]
unchecked: Any = scoring  # for calls that the annotations forbid


@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("actual", lambda spoiled: scoring.rmse(spoiled, Y)),
        ("actual", lambda spoiled: scoring.mae(spoiled, Y)),
        ("actual", lambda spoiled: scoring.mase(spoiled, Y, Y)),
        ("predicted", lambda spoiled: scoring.rmse(Y, spoiled)),
        ("predicted", lambda spoiled: scoring.mae(Y, spoiled)),
        ("predicted", lambda spoiled: scoring.mase(Y, spoiled, Y)),
        ("training", lambda spoiled: scoring.mase(Y, Y, spoiled)),
        (
            "x_train",
            lambda spoiled: scoring.least_squares_ar(spoiled[:, np.newaxis], Y, Y[:1, None]),
        ),
        ("y_train", lambda spoiled: scoring.least_squares_ar(X, spoiled, X)),
        ("x_test", lambda spoiled: scoring.least_squares_ar(Y[:, None], Y, spoiled[:, None])),
    ],
)
def test_one_number_that_is_not_finite_is_refused_wherever_it_stands(
    name: str, call: Callable[[Array], object], bad: float
) -> None:
    for position in range(6):
        spoiled = np.arange(6.0)
        spoiled[position] = bad
        with pytest.raises(ValueError, match=rf"^{name} must be finite"):
            call(spoiled)


@pytest.mark.parametrize(
    ("error", "name", "call"),
    [
        (ValueError, "predicted", lambda: unchecked.rmse(Y, Y[:5])),
        (ValueError, "predicted", lambda: unchecked.rmse(np.ones((6, 2)), np.ones((2, 6)))),
        (ValueError, "predicted", lambda: unchecked.mae(Y, np.ones((6, 6)))),
        (ValueError, "predicted", lambda: unchecked.mae(Y, NAN)),
        (ValueError, "actual", lambda: unchecked.mae([-np.inf] * 6, Y)),
        (ValueError, "actual", lambda: unchecked.rmse([], [])),
        (ValueError, "actual", lambda: unchecked.rmse(1.0, 1.0)),
        (ValueError, "actual", lambda: unchecked.mae(X, X)),
        (TypeError, "actual", lambda: unchecked.rmse(["1"], [1])),
        (TypeError, "predicted", lambda: unchecked.rmse([1], [1j])),
        (ValueError, "training", lambda: unchecked.mase(Y, Y, [1.0])),
        (ValueError, "training", lambda: unchecked.mase(Y, Y, [1.0, 2.0, 3.0], season=3)),
        (ValueError, "training", lambda: unchecked.mase(Y, Y, [2.0, 2.0, 2.0])),
        (ValueError, "training", lambda: unchecked.mase(Y, Y, [1, 2, 1, 2], season=2)),
        (ValueError, "training", lambda: unchecked.mase(Y, Y, np.ones((9, 2)))),
        (ValueError, "training", lambda: unchecked.mase(Y, Y, NAN)),
        (ValueError, "training", lambda: unchecked.mase(Y, Y, X)),
        (TypeError, "training", lambda: unchecked.mase(Y, Y, [True, False])),
        (ValueError, "season", lambda: unchecked.mase(Y, Y, Y, season=0)),
        (TypeError, "season", lambda: unchecked.mase(Y, Y, Y, season=1.0)),
        (ValueError, "x", lambda: unchecked.persistence(1.0)),
        (ValueError, "x", lambda: unchecked.persistence(Y, horizon=6)),
        (ValueError, "x", lambda: unchecked.persistence(Y[:0])),
        (TypeError, "x", lambda: unchecked.persistence(Y > 0)),
        (ValueError, "x", lambda: unchecked.seasonal_persistence(Y, 6)),
        (ValueError, "x", lambda: unchecked.LeastSquaresAR().fit(X, timesteps=2)),
        (ValueError, "x", lambda: unchecked.LeastSquaresAR().fit(Y, timesteps=6)),
        (ValueError, "x", lambda: unchecked.LeastSquaresAR().fit(NAN, timesteps=2)),
        (ValueError, "x", lambda: unchecked.LeastSquaresAR().fit(Y, timesteps=2).predict(Y[:2])),
        (ValueError, "y", lambda: unchecked.LeastSquaresAR().fit(X)),
        (ValueError, "y", lambda: unchecked.LeastSquaresAR().fit(Y, Y, timesteps=2)),
        (ValueError, "timesteps", lambda: unchecked.LeastSquaresAR().fit(Y, timesteps=0)),
        (TypeError, "timesteps", lambda: unchecked.LeastSquaresAR().fit(Y, timesteps=2.0)),
        (ValueError, "horizon", lambda: unchecked.LeastSquaresAR().fit(Y, timesteps=2, horizon=0)),
        (ValueError, "x", lambda: unchecked.persistence(X[:0])),
        (ValueError, "x", lambda: unchecked.persistence(X[np.newaxis])),
        (TypeError, "x", lambda: unchecked.persistence(X > 0)),
        (ValueError, "horizon", lambda: unchecked.persistence(X, horizon=0)),
        (ValueError, "season", lambda: unchecked.seasonal_persistence(X, 4)),
        (ValueError, "season", lambda: unchecked.seasonal_persistence(X, 0)),
        (TypeError, "season", lambda: unchecked.seasonal_persistence(X, 1.5)),
        (ValueError, "horizon", lambda: unchecked.seasonal_persistence(X, 1, -1)),
        (ValueError, "x_train", lambda: unchecked.least_squares_ar(Y, Y, X)),
        (ValueError, "x_train", lambda: unchecked.least_squares_ar(X[:0], Y[:0], X)),
        (ValueError, "x_train", lambda: unchecked.least_squares_ar(NAN[:, np.newaxis], Y, X)),
        (ValueError, "x_train", lambda: unchecked.least_squares_ar(X * np.inf, Y, X)),
        (TypeError, "x_train", lambda: unchecked.least_squares_ar(X.astype(object), Y, X)),
        (ValueError, "y_train", lambda: unchecked.least_squares_ar(X, Y[:5], X)),
        (ValueError, "y_train", lambda: unchecked.least_squares_ar(X, NAN, X)),
        (ValueError, "y_train", lambda: unchecked.least_squares_ar(X, np.ones((6, 0)), X)),
        (ValueError, "x_test", lambda: unchecked.least_squares_ar(X, Y, X[:, :2])),
        (ValueError, "x_test", lambda: unchecked.least_squares_ar(X, Y, np.ones((6, 3, 2)))),
        (ValueError, "x_test", lambda: unchecked.least_squares_ar(X, Y, -np.inf * X)),
        (ValueError, "x_test", lambda: unchecked.least_squares_ar(X, Y, X[:0])),
        (TypeError, "x_test", lambda: unchecked.least_squares_ar(X, Y, [["a"]])),
    ],
)
def test_bad_arguments_are_named(
    error: type[Exception], name: str, call: Callable[[], object]
) -> None:
    with pytest.raises(error, match=rf"^{name} "):
        call()
