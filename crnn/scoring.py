"""How wrong a forecast is, and the closed-form forecasts that a network has to beat.

N samples, T timesteps, F features, O outputs, as `crnn.dataset.windows` gives them: x (N, T, F)
and y (N, O) with O = horizon * F. x of shape (N, T) has one feature, y of shape (N,) one output.
A series of shape (M,) in place of windows is cut into all windows that something follows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from crnn import _arguments, _qr
from crnn._arguments import Array


def rmse(actual: ArrayLike, predicted: ArrayLike) -> float:
    """Take the root of the mean squared error.

    ::

        sqrt(mean of (actual - predicted)^2)

    Parameters
    ----------
    actual, predicted : array_like of real numbers, shape (N,) or (N, O)
        Of the same shape, (N,) and (N, 1) being the same.

    Returns
    -------
    float
        In the unit of the series.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If the shapes differ, or an argument is empty, of another rank or not finite.

    Examples
    --------
    >>> from crnn import scoring
    >>> round(scoring.rmse([1.0, 2.0], [4.0, 6.0]), 6)
    3.535534
    """
    errors = _errors(actual, predicted)
    # A power of two is taken out, which costs no accuracy, so that no square over- or underflows.
    exponent = math.frexp(float(np.abs(errors).max()))[1]
    with np.errstate(under="ignore"):
        mean = float(np.square(np.ldexp(errors, -exponent)).mean())
    return math.ldexp(math.sqrt(mean), exponent)


def mae(actual: ArrayLike, predicted: ArrayLike) -> float:
    """Take the mean absolute error.

    ::

        mean of |actual - predicted|

    Parameters
    ----------
    actual, predicted : array_like of real numbers, shape (N,) or (N, O)
        Of the same shape, (N,) and (N, 1) being the same.

    Returns
    -------
    float
        In the unit of the series.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If the shapes differ, or an argument is empty, of another rank or not finite.

    Examples
    --------
    >>> from crnn import scoring
    >>> scoring.mae([1.0, 2.0], [4.0, 6.0])
    3.5
    """
    errors = np.abs(_errors(actual, predicted))
    with np.errstate(under="ignore"):
        return float(errors.mean())


def mase(actual: ArrayLike, predicted: ArrayLike, training: ArrayLike, *, season: int = 1) -> float:
    """Divide the mean absolute error by that of the naive forecast inside the training series.

    With the training series s of n points and m = `season`::

        mean of |actual - predicted| / q
        q = (|s_m - s_0| + |s_{m+1} - s_1| + ... + |s_{n-1} - s_{n-1-m}|) / (n - m)

    Below 1 the forecast errs less than repeating the last point (or the last season) did, one step
    ahead, on the training series. Each feature has its own q.

    Parameters
    ----------
    actual, predicted : array_like of real numbers, shape (N,) or (N, O)
        Of the same shape, (N,) and (N, 1) being the same. O is a multiple of F, with the features
        of a step side by side, as `crnn.dataset.windows` lays them out.
    training : array_like of real numbers, shape (n,) or (n, F)
        The series the forecast was fitted on, in time order and in the unit of `actual`; not its
        windows.
    season : int, default 1
        Points in a season, m, at least 1. 1 scales by persistence.

    Returns
    -------
    float
        Without a unit.

    Raises
    ------
    TypeError
        If an array does not hold real numbers or `season` is not an integer.
    ValueError
        If the shapes do not fit, an array is empty or not finite, `training` has no more points
        than a season, or its naive error is zero (q = 0), where the measure is undefined.

    References
    ----------
    R. J. Hyndman and A. B. Koehler, "Another look at measures of forecast accuracy",
    International Journal of Forecasting 22 (2006), 679-688.
    https://doi.org/10.1016/j.ijforecast.2006.03.001

    Examples
    --------
    >>> from crnn import scoring
    >>> scoring.mase([5.0, 6.0], [5.5, 5.5], training=[1.0, 2.0, 4.0, 3.0, 5.0])
    0.3333333333333333
    """
    errors = np.abs(_errors(actual, predicted))
    series = _columns("training", training).astype(np.float64)
    season = _arguments.integer("season", season)
    points, features = series.shape
    if points <= season:
        raise ValueError(f"training must have more points than a season, {season}, got {points}")
    if errors.shape[1] % features:
        raise ValueError(
            "training must have a number of features that divides the outputs of actual, "
            f"{errors.shape[1]}, got {features}"
        )
    with np.errstate(under="ignore"):
        naive = np.abs(series[season:] - series[:-season]).mean(axis=0)
    if not naive.all():
        raise ValueError(
            f"training must change over a season of {season}, got a feature that repeats exactly: "
            "its naive error is zero and MASE undefined"
        )
    with np.errstate(under="ignore"):
        return float((errors.reshape(len(errors), -1, features) / naive).mean())


def persistence(x: ArrayLike, horizon: int = 1) -> Array:
    """Forecast that nothing changes: the last point of each window, `horizon` times.

    ::

        y[:, k F + f] = x[:, T - 1, f],  k < horizon,  f < F

    Parameters
    ----------
    x : array_like of real numbers, shape (N, T, F) or (N, T), or a series, shape (M,)
        Row i of a series' forecast is that of ``x[1 + i : 1 + i + horizon]``, N = M - horizon.
    horizon : int, default 1
        Points to forecast, at least 1.

    Returns
    -------
    ndarray of x's dtype, shape (N, horizon * F)

    Raises
    ------
    TypeError
        If `x` does not hold real numbers or `horizon` is not an integer.
    ValueError
        If `x` is empty or of another rank, or `horizon` is below 1.

    Examples
    --------
    >>> from crnn import scoring
    >>> scoring.persistence([[1, 2, 3], [2, 3, 4]])
    array([[3],
           [4]])
    >>> scoring.persistence([1, 2, 3, 4])  # of 2, 3 and 4
    array([[1],
           [2],
           [3]])
    """
    return seasonal_persistence(x, 1, horizon)


def seasonal_persistence(x: ArrayLike, season: int, horizon: int = 1) -> Array:
    """Forecast that each season repeats the last: the point one season (or more) before.

    With m = `season`::

        y[:, k F + f] = x[:, T - m + k mod m, f],  k < horizon,  f < F

    Parameters
    ----------
    x : array_like of real numbers, shape (N, T, F) or (N, T), or a series, shape (M,)
        Row i of a series' forecast is that of ``x[m + i : m + i + horizon]``,
        N = M - m - horizon + 1.
    season : int
        Points in a season, m, at least 1 and at most T.
    horizon : int, default 1
        Points to forecast, at least 1.

    Returns
    -------
    ndarray of x's dtype, shape (N, horizon * F)

    Raises
    ------
    TypeError
        If `x` does not hold real numbers, or `season` or `horizon` is not an integer.
    ValueError
        If `x` is empty or of another rank, `season` or `horizon` is below 1, or `season` is longer
        than the window.

    Examples
    --------
    >>> from crnn import scoring
    >>> scoring.seasonal_persistence([[1, 2, 3, 4, 5]], 2, horizon=3)
    array([[4, 5, 4]])
    """
    season = _arguments.integer("season", season)
    horizon = _arguments.integer("horizon", horizon)
    samples = _samples("x", _cut("x", x, season, horizon))
    count, timesteps, features = samples.shape
    if season > timesteps:
        raise ValueError(f"season must be at most the timesteps of x, {timesteps}, got {season}")
    steps = timesteps - season + np.arange(horizon) % season
    return samples[:, steps].reshape(count, horizon * features)


class LeastSquaresAR:
    """The linear autoregression that fits training windows best.

    ::

        forecast[i, o] = c[o] + sum over t, f of w[t, f, o] x[i, t, f]

    c and w, in float64, have the least sum of squared errors on the training windows. If several
    fit equally well, the smallest are taken.

    Notes
    -----
    The windows are read block by block, and each block is folded into the triangle R of a QR
    factorisation. So memory is that of R and one block, O((T F)^2), not that of the windows. The
    normal equations would be faster but square the condition number, and the windows of a smooth
    series are nearly dependent: on the sum of two slow sines, T = 40, they were off by 1.5e-12
    where this is off by 4e-15, and on Mackey-Glass, T = 50, they gave 3 % more error.

    Examples
    --------
    A sine is a linear recurrence, so two points of it give the next.

    >>> from crnn import dataset, scoring
    >>> x, y = dataset.windows(dataset.sine_wave(60), 2)
    >>> linear = scoring.LeastSquaresAR().fit(x[:40], y[:40])
    >>> bool(scoring.rmse(y[40:], linear.predict(x[40:])) < 1e-12)
    True

    The same from the series itself.

    >>> series = dataset.sine_wave(60)
    >>> linear = scoring.LeastSquaresAR().fit(series[:42], timesteps=2)
    >>> bool(scoring.rmse(series[42:], linear.predict(series[40:])) < 1e-12)
    True
    """

    weights_: Array  # (1 + T F, O), of 1 and the scaled inputs
    centre_: Array  # (F,)
    half_: Array  # (F,)
    shape_: tuple[int, int]  # T, F

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        *,
        timesteps: int | None = None,
        horizon: int = 1,
    ) -> Self:
        """Fit the weights.

        Parameters
        ----------
        x : array_like of real numbers, shape (N, T, F) or (N, T), or a series, shape (M,)
        y : array_like of real numbers, shape (N, O) or (N,)
            Not with a series, which holds its own targets.
        timesteps, horizon : int
            T and O of a series. Not with windows.

        Returns
        -------
        LeastSquaresAR
            Itself.

        Raises
        ------
        TypeError
            If an argument does not hold real numbers, or `timesteps` or `horizon` is no integer.
        ValueError
            If an argument is empty, not finite or of another rank, or the shapes do not fit.
        """
        if timesteps is not None:
            if y is not None:
                raise ValueError("y must be None with timesteps: a series holds its own targets")
            series = _arguments.numeric("x", x)
            if series.ndim != 1:
                raise ValueError(f"x must be a series of shape (M,), got {series.shape}")
            timesteps = _arguments.integer("timesteps", timesteps)
            horizon = _arguments.integer("horizon", horizon)
            x = _cut("x", series, timesteps, horizon)
            y = np.lib.stride_tricks.sliding_window_view(series[timesteps:], horizon)
        elif y is None:
            raise ValueError("y must be given with windows, or timesteps with a series")
        return self._fit("x", x, "y", y)

    @np.errstate(under="ignore")
    def _fit(self, x_name: str, x: ArrayLike, y_name: str, y: ArrayLike) -> Self:
        samples = _finite(x_name, _samples(x_name, x))
        targets = _columns(y_name, y)
        if len(targets) != len(samples):
            raise ValueError(
                f"{y_name} must have as many samples as {x_name}, {len(samples)}, "
                f"got {len(targets)}"
            )
        # Centred and scaled feature by feature, so that the result does not depend on the units.
        low = samples.min(axis=(0, 1)).astype(np.float64)
        high = samples.max(axis=(0, 1)).astype(np.float64)
        centre, half = low / 2 + high / 2, high / 2 - low / 2
        half[half == 0.0] = 1.0
        outputs = targets.shape[1]
        triangle = _qr.triangle(
            np.hstack((design, targets[rows]), dtype=np.float64)
            for rows, design in _designs(samples, centre, half)
        )
        weights = np.linalg.lstsq(triangle[:, :-outputs], triangle[:, -outputs:], rcond=None)[0]
        self.weights_ = np.ascontiguousarray(weights)  # a file has no other order
        self.centre_, self.half_ = centre, half
        self.shape_ = (samples.shape[1], samples.shape[2])
        return self

    def predict(self, x: ArrayLike) -> Array:
        """Forecast from windows.

        Parameters
        ----------
        x : array_like of real numbers, shape (N, T, F) or (N, T), or a series, shape (M,)
            Row i of a series' forecast is that of ``x[T + i : T + i + O]``, N = M - T - O + 1.

        Returns
        -------
        ndarray of float64, shape (N, O)

        Raises
        ------
        TypeError
            If x does not hold real numbers.
        ValueError
            If x is empty, not finite, or not of the fitted T and F.
        RuntimeError
            Before ``fit``.
        """
        if not hasattr(self, "weights_"):
            raise RuntimeError("this LeastSquaresAR is not fitted: call fit")
        timesteps, features = self.shape_
        horizon = max(1, self.weights_.shape[1] // features)
        return self._predict("x", _cut("x", x, timesteps, horizon))

    @np.errstate(under="ignore")
    def _predict(self, name: str, x: ArrayLike) -> Array:
        samples = _finite(name, _samples(name, x))
        if samples.shape[1:] != self.shape_:
            raise ValueError(
                f"{name} must have the timesteps and features of the training, {self.shape_}, "
                f"got {samples.shape[1:]}"
            )
        forecast = np.empty((len(samples), self.weights_.shape[1]))
        for rows, design in _designs(samples, self.centre_, self.half_):
            forecast[rows] = design @ self.weights_
        return forecast


def least_squares_ar(x_train: ArrayLike, y_train: ArrayLike, x_test: ArrayLike) -> Array:
    """Fit a `LeastSquaresAR` on training windows and forecast from others.

    Parameters
    ----------
    x_train : array_like of real numbers, shape (N, T, F) or (N, T)
    y_train : array_like of real numbers, shape (N, O) or (N,)
    x_test : array_like of real numbers, shape (M, T, F) or (M, T)

    Returns
    -------
    ndarray of float64, shape (M, O)
        The forecast for `x_test`.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If an argument is empty, not finite or of another rank, or the shapes do not fit together.

    Examples
    --------
    >>> from crnn import dataset, scoring
    >>> x, y = dataset.windows(dataset.sine_wave(60), 2)
    >>> forecast = scoring.least_squares_ar(x[:40], y[:40], x[40:])
    >>> bool(scoring.rmse(y[40:], forecast) < 1e-12)
    True
    """
    linear = LeastSquaresAR()._fit("x_train", x_train, "y_train", y_train)
    return linear._predict("x_test", x_test)


def _designs(x: Array, centre: Array, half: Array) -> Iterator[tuple[slice, Array]]:
    """Blocks of the design matrix, (rows, 1 + T F) in float64, with the samples they stand for."""
    columns = 1 + x[0].size
    length = max(4096, columns)  # below, folding into the triangle would outweigh the block's work
    for start in range(0, len(x), length):
        rows = slice(start, min(start + length, len(x)))
        design = np.ones((rows.stop - start, columns))
        design[:, 1:] = ((x[rows] - centre) / half).reshape(-1, columns - 1)
        yield rows, design


def _cut(name: str, value: ArrayLike, timesteps: int, horizon: int) -> Array:
    """The windows of a series that `horizon` points follow; windows as they are."""
    array = _arguments.numeric(name, value)
    if array.ndim != 1:
        return array
    shortest = timesteps + horizon
    if len(array) < shortest:
        raise ValueError(f"{name} must hold at least {shortest} values, got {len(array)}")
    return np.lib.stride_tricks.sliding_window_view(array[:-horizon], timesteps)


def _samples(name: str, value: ArrayLike) -> Array:
    """Windows of shape (N, T, F), none of them 0; (N, T) is taken as (N, T, 1)."""
    array = _arguments.numeric(name, value)
    shape = array.shape
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.size == 0:
        raise ValueError(
            f"{name} must have the shape (samples, timesteps, features) or (samples, timesteps) "
            f"and not be empty, got {shape}"
        )
    return array


def _columns(name: str, value: ArrayLike) -> Array:
    """Finite numbers of shape (N, O), none of them 0; (N,) is taken as (N, 1)."""
    array = _arguments.numeric(name, value)
    shape = array.shape
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must have one or two dimensions and not be empty, got {shape}")
    return _finite(name, array)


def _finite(name: str, array: Array) -> Array:
    """Refuse NaN and infinity; by the extremes, which needs no temporary."""
    for extreme in (array.min(), array.max()):
        if not np.isfinite(extreme):
            raise ValueError(f"{name} must be finite, got {extreme}")
    return array


def _errors(actual: ArrayLike, predicted: ArrayLike) -> Array:
    """Subtract predicted from actual: (N, O) in float64."""
    wanted, given = _columns("actual", actual), _columns("predicted", predicted)
    if given.shape != wanted.shape:
        raise ValueError(
            f"predicted must have the shape of actual, {wanted.shape}, got {given.shape}"
        )
    with np.errstate(under="ignore"):
        return np.subtract(wanted, given, dtype=np.float64)
