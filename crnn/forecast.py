"""A series in, a forecast out: a linear fit and networks, combined in one object."""

from __future__ import annotations

import inspect
import math
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from crnn import (
    _arguments,
    _combination,
    _combination_file,
    _forecaster_0_1,
    _members,
    _series,
    _threads,
    storage,
)
from crnn._arguments import Array
from crnn._combination import Combination
from crnn._extras import missing_package

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from crnn.backtest import Backtest

_KIND = "forecaster"
_METHOD = "combination"
_MOST_TIMESTEPS = 104  # of two seasons
# NumPy's own defaults: what a caller sets does not reach the fit.
_ERRORS: dict[str, Any] = {"all": "warn", "under": "ignore"}


@dataclass(frozen=True)
class _Fitted:
    """All that a fit leaves, put in place at its end by one assignment."""

    method: Combination | _forecaster_0_1.Standardised
    tail: Array  # the last T values
    settings: dict[str, Any]
    seed: int | None
    name: str | None = None
    limits: tuple[float, float] | None = None  # the least and the largest value
    unit: float = 1.0  # the method sees the series divided by this power of two
    series: _series.Series | None = field(default=None, compare=False)  # None after load


class Forecaster:
    r"""Forecast a series by a linear fit and networks, weighted by their validation errors.

    The members forecast from the last T = `timesteps` values x:

    - **linear**: least squares on x.
    - **mean**: level + spread * network((x - level) / scale), where level is the mean of x.
    - **last**: the same, where level is the last value of x.
    - **readout**: x_T + c + z W, where x_T is the last value of x, and z are x - x_T and the last
      states of all networks [5]_. A ridge regression gives c and W. Generalised cross-validation
      chooses its penalty [6]_; it counts each parameter twice.
    - **persistence**: the last value; **seasonal persistence**: the value of one season before, if
      T reaches so far.

    "mean" and "last" are each the mean of `networks` tanh networks with different seeds. They are
    trained on the first four fifths of the windows; their parameters are moving averages over the
    epochs [4]_. The number of epochs is that with the least error on the last fifth, the validation
    part. The weight of a member s steps ahead is proportional to::

        1 / u^3,   u = e + 2 standard errors of (e - e of "linear"), at most 9 e if e > 0

    e is its mean squared validation error s steps ahead. So a member gets weight where the
    validation part shows clearly that it is better than the linear fit [1]_. If the combination
    makes the validation error more than 5 % worse, the linear fit alone is the forecast. Then all
    members are trained again on the whole series. Taking the level off follows [2]_ and [3]_.

    Members that read their own forecasts may grow without end. So a member's forecast s steps ahead
    leaves the range of its window by at most four times the largest change of the series over s
    steps.

    ``fit`` trains into new objects. If it fails or is interrupted, an earlier fit stays as it was.

    Parameters
    ----------
    timesteps : int, optional
        T, the number of values that a forecast reads. None with `season`: two seasons, at most 104
        values and at most a third of the series; the networks read the last season (at least 12
        values). A season above 104 needs `timesteps` of its length. None without `season`: the
        shortest T up to 48 whose linear fit is within 0.5 % of the best. It is at least M / 40, but
        this minimum is at most 16.
    horizon : int, default 1
        H, the number of steps that the members forecast at once. Beyond it they read their own
        forecasts.
    season : int, optional
        Values in a season, for example 12 for monthly data.
    hidden_size : int, default 32
        Hidden units of each network. The time of the readout grows with the cube of all units.
    networks : int, default 5
        Networks for each of the two levels. 0: the linear fit alone.
    epochs : int or "auto", default "auto"
        Passes over the windows. "auto": chosen on the validation part.
    linear : bool, default True
        Whether the linear fit, the readout and the repeated values are members.
    lower : float, optional
        A bound that forecasts and intervals do not fall below, for example 0 for counts.
    missing : {"error", "ignore"}, default "error"
        "ignore": NaN values are interpolated as inputs and left out as targets. Windows that end
        in a gap are left out of the fit. Missing values at both ends are cut off.
    learning_rate : float, default 2e-3
        Of Adam.
    batch_size : int, default 32
        Windows per update.
    seed : int, optional
        The same seed gives the same bits at any number of `threads`. (NumPy's least squares may
        round differently with another BLAS.) None takes one from the operating system; `seed_`
        keeps it.
    threads : int, optional
        Networks that train at the same time. None: as many as there are processors.
    progress : bool, default False
        Show a bar of epochs (tqdm).

    Attributes
    ----------
    timesteps_ : int
        T as given, or as chosen.
    weights_ : dict of str to numpy.ndarray, shape (S,)
        The weight of each member, 1 to S steps ahead. Beyond S the last weight holds.
    epochs_ : dict of str to int
        Epochs of the networks, by level.
    validation_rmse_ : dict of str to float
        One step ahead (the mean over H steps), of each member and of the combination, also if the
        linear fit alone is the forecast.
    history_ : crnn.History or None
        Of the last training of the first network. None without networks and after ``load``.
    seed_ : int or None
    name_ : str or None
        The name of a pandas Series; it is written to the file.
    range_ : tuple of float or None
        The least and the largest value of the fitted series.

    Notes
    -----
    Exogenous variables, many series in one network, searches and other backtests are not here.
    `crnn.estimators.RNNRegressor` brings them through skforecast, mlforecast, sktime and darts.

    References
    ----------
    .. [1] J. M. Bates and C. W. J. Granger, "The combination of forecasts", Operational Research
       Quarterly 20 (1969), 451-468.
    .. [2] A. Zeng, M. Chen, L. Zhang and Q. Xu, "Are transformers effective for time series
       forecasting?", AAAI 2023.
    .. [3] T. Kim et al., "Reversible instance normalization for accurate time-series forecasting
       against distribution shift", ICLR 2022.
    .. [4] B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by averaging",
       SIAM Journal on Control and Optimization 30 (1992), 838-855.
    .. [5] H. Jaeger, "The 'echo state' approach to analysing and training recurrent neural
       networks", GMD report 148, 2001.
    .. [6] G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for
       choosing a good ridge parameter", Technometrics 21 (1979), 215-223.

    Examples
    --------
    >>> from crnn import Forecaster, dataset
    >>> series = 20 + 5 * dataset.sine_wave(120)
    >>> forecaster = Forecaster(timesteps=10, hidden_size=8, networks=2, seed=0).fit(series)
    >>> forecaster.forecast(3).shape
    (3,)
    >>> forecaster.predict(series).shape  # one step ahead, of series[10:]
    (110,)
    """

    _fitted: _Fitted

    def __init__(
        self,
        timesteps: int | None = None,
        *,
        horizon: int = 1,
        season: int | None = None,
        hidden_size: int = 32,
        networks: int = 5,
        epochs: int | str = "auto",
        linear: bool = True,
        lower: float | None = None,
        missing: str = "error",
        learning_rate: float = 2e-3,
        batch_size: int = 32,
        seed: int | None = None,
        threads: int | None = None,
        progress: bool = False,
    ) -> None:
        self.timesteps = timesteps
        self.horizon = horizon
        self.season = season
        self.hidden_size = hidden_size
        self.networks = networks
        self.epochs = epochs
        self.linear = linear
        self.lower = lower
        self.missing = missing
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.seed = seed
        self.threads = threads
        self.progress = progress
        self._checked()

    def _checked(self) -> dict[str, Any]:
        """The arguments that a file keeps, checked."""
        positive = _arguments.integer
        epochs: int | str
        if isinstance(self.epochs, str):
            epochs = _arguments.choice("epochs", self.epochs, ["auto"], besides="an integer")
        else:
            epochs = positive("epochs", self.epochs)
        _arguments.boolean("progress", self.progress)
        if self.threads is not None:
            positive("threads", self.threads)
        settings = {
            "timesteps": None if self.timesteps is None else positive("timesteps", self.timesteps),
            "horizon": positive("horizon", self.horizon),
            "season": None if self.season is None else positive("season", self.season, minimum=2),
            "hidden_size": positive("hidden_size", self.hidden_size),
            "networks": positive("networks", self.networks, minimum=0),
            "epochs": epochs,
            "linear": _arguments.boolean("linear", self.linear),
            "lower": None if self.lower is None else _arguments.real("lower", self.lower),
            "missing": _arguments.choice("missing", self.missing, _series.MISSING),
            "learning_rate": _arguments.real("learning_rate", self.learning_rate, above=0),
            "batch_size": positive("batch_size", self.batch_size),
            "seed": _arguments.seed("seed", self.seed),
        }
        if not settings["linear"] and not settings["networks"]:
            raise ValueError("networks must be at least 1 where linear is False, got 0")
        return settings

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Give the arguments by name, as scikit-learn's estimators do.

        Parameters
        ----------
        deep : bool, default True
            Ignored: no argument has arguments of its own.

        Returns
        -------
        dict
        """
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Set arguments by name, for the next ``fit``.

        Raises
        ------
        ValueError, TypeError
            If there is no such argument or it does not take the value. Then nothing is set.
        """
        known = self.get_params()
        for name in params:
            _arguments.choice("params", name, known)
        type(self)(**(known | params))  # checks
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self)).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not parameters[name].default and value != parameters[name].default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def __sklearn_tags__(self) -> Any:  # `check_is_fitted` asks for them
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))

    @np.errstate(**_ERRORS)
    def fit(self, series: ArrayLike) -> Self:
        """Choose epochs and weights on the last fifth of the series, then train on all of it.

        Each call starts anew, also after ``load``.

        Parameters
        ----------
        series : array_like, shape (M,) or (M, 1)
            Real numbers in time order. A pandas Series must have an index that increases; gaps in
            an index of times or integers are missing values.

        Returns
        -------
        Forecaster
            Itself.

        Raises
        ------
        ValueError, TypeError
            If the series is too short, not one series, not finite or not numeric, or its index
            does not increase.
        crnn.TrainingDiverged
            If a loss is no longer finite.
        """
        settings = self._checked()
        read = _series.read("series", series, missing=settings["missing"])
        _warn_below(settings["lower"], read.values)
        unit = _unit(read.values)
        values = read.values / unit
        timesteps = settings["timesteps"] or _chosen_timesteps(values, read.known, settings)
        seed = _arguments.drawn_seed(settings["seed"])
        reach = timesteps
        if settings["timesteps"] is None and settings["season"] is not None:
            reach = _combination.reach(timesteps, settings["season"])
        plan = _combination.Plan(
            timesteps=timesteps,
            reach=reach,
            horizon=settings["horizon"],
            season=settings["season"],
            hidden_size=settings["hidden_size"],
            networks=settings["networks"],
            epochs=None if settings["epochs"] == "auto" else settings["epochs"],
            linear=settings["linear"],
            learning_rate=settings["learning_rate"],
            batch_size=settings["batch_size"],
            seed=seed,
            threads=self.threads or _threads.processors(),
        )
        with _bar(self.progress) as advance:
            method = _combination.fit(values, read.known, plan, advance)
        self._fitted = _Fitted(
            method,
            values[-timesteps:].copy(),
            settings,
            seed,
            read.name if isinstance(read.name, str) else None,
            (float(read.values.min()), float(read.values.max())),
            unit,
            read,
        )
        return self

    @np.errstate(**_ERRORS)
    def predict(self, series: ArrayLike) -> Any:
        """Forecast each value of a series from the `timesteps` true values before it.

        Parameters
        ----------
        series : array_like, shape (M,) or (M, 1)
            In the units of the fitted series, M >= timesteps + horizon. With ``missing="ignore"``
            the last value before a gap is repeated in windows that end in the gap.

        Returns
        -------
        numpy.ndarray, shape (M - T - H + 1, H), or (M - T,) if H is 1, float64
            Entry (i, k) is the forecast of ``series[T + i + k]`` from the T values before
            ``series[T + i]``. Of a pandas Series: a Series, or a DataFrame if H is above 1, whose
            index is that of the first value forecast.

        Raises
        ------
        ValueError, TypeError
            As for ``fit``.
        RuntimeError
            Before ``fit``.
        """
        fitted = self._check_fitted()
        timesteps, horizon = fitted.method.timesteps, fitted.method.horizon
        read = self._read(series, shortest=timesteps + horizon, ends="keep")
        values = read.values / fitted.unit
        x = _combination.causal_windows(values, read.known, timesteps, horizon)
        if isinstance(fitted.method, Combination):
            forecast = fitted.method.predict(x)
        else:
            forecast = fitted.method.predict(x, threads=self.threads)
        forecast = forecast[:, 0] if horizon == 1 else forecast
        forecast = _bounded(fitted, forecast * fitted.unit)
        index = None if read.index is None else read.index[timesteps : timesteps + len(forecast)]
        return read.like(forecast, index)

    def forecast(self, steps: int, series: ArrayLike | None = None) -> Any:
        """Forecast the values that follow the last known value of a series.

        Parameters
        ----------
        steps : int
            How many values. Beyond `horizon` the members read their own forecasts.
        series : array_like, shape (M,) or (M, 1), optional
            The series to continue, M >= timesteps. By default the fitted one.

        Returns
        -------
        numpy.ndarray, shape (steps,), float64
            Of a pandas Series whose index has a regular step: a Series whose index continues.

        Raises
        ------
        ValueError, TypeError
            If `steps` is not positive, or as for ``fit``.
        RuntimeError
            Before ``fit``.
        """
        fitted = self._check_fitted()
        values, read, _ = self._forecast(fitted, steps, series)
        return _outward(_bounded(fitted, values), read)

    def forecast_interval(
        self, steps: int, series: ArrayLike | None = None, *, coverage: float = 0.9
    ) -> tuple[Any, Any]:
        """Forecast bounds between which the values that follow lie with a given probability.

        The bounds are the forecast plus and minus a quantile of the absolute validation errors
        made as many steps ahead, relative to how far the values of a window vary [1]_. Training
        residuals are not used. Beyond the last measured step the width grows with the square root
        of the steps.

        Parameters
        ----------
        steps, series
            As for ``forecast``.
        coverage : float, default 0.9
            Between 0 and 1. n validation errors support n / (n + 1) at most. For more, the interval
            reaches as far as the largest error, with a warning.

        Returns
        -------
        lower, upper : numpy.ndarray, shape (steps,), float64
            As ``forecast`` returns them.

        Raises
        ------
        ValueError, TypeError
            As for ``forecast``; if `coverage` is not between 0 and 1; if the forecaster comes from
            a file of version 0.1, which has no validation errors.
        RuntimeError
            Before ``fit``.

        References
        ----------
        .. [1] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani and L. Wasserman, "Distribution-free
           predictive inference for regression", Journal of the American Statistical Association
           113 (2018), 1094-1111.
        """
        coverage = _arguments.real("coverage", coverage, above=0, below=1)
        fitted = self._check_fitted()
        if not isinstance(fitted.method, Combination):
            raise ValueError("a forecaster of version 0.1 has no validation errors: fit it again")
        values, read, window = self._forecast(fitted, steps, series)
        lower, upper = _interval(fitted, values, window, coverage)
        return _outward(lower, read), _outward(upper, read)

    @np.errstate(**_ERRORS)
    def _forecast(
        self, fitted: _Fitted, steps: int, series: ArrayLike | None
    ) -> tuple[Array, _series.Series | None, Array]:
        """The values, not yet bounded, the series that they continue, and their window (1, T)."""
        steps = _arguments.integer("steps", steps)
        timesteps = fitted.method.timesteps
        read, window = fitted.series, fitted.tail
        if series is not None:
            read = self._read(series, shortest=timesteps, ends="cut")
            window = read.values[-timesteps:] / fitted.unit
        if isinstance(fitted.method, Combination):
            values = fitted.method.forecast(steps, window[np.newaxis])[0]
        else:
            values = fitted.method.forecast(steps, None if series is None else window)
        return values * fitted.unit, read, window[np.newaxis]

    def _read(self, series: ArrayLike, *, shortest: int, ends: str) -> _series.Series:
        missing = _arguments.choice("missing", self.missing, _series.MISSING)
        return _series.read("series", series, shortest=shortest, missing=missing, ends=ends)

    def backtest(
        self, series: ArrayLike, folds: int = 5, steps: int | None = None, *, refit: bool = False
    ) -> Backtest:
        """Forecast from rolling origins and compare with persistence and a least-squares fit.

        The last ``folds * steps`` values are forecast, `steps` at a time, each time from all values
        before. A copy of this forecaster is fitted on the values before the first origin, and with
        `refit` anew at each origin. This forecaster stays as it is.

        Parameters
        ----------
        series : array_like, shape (M,) or (M, 1)
            As for ``fit``.
        folds : int, default 5
            Origins.
        steps : int, optional
            Values forecast from each origin. None: `season`, or 12 without one, and at least
            `horizon`; fewer if the folds would take more than half of the series.
        refit : bool, default False

        Returns
        -------
        crnn.backtest.Backtest
            ``print`` shows RMSE, MAE and MASE; ``to_pandas`` gives them by step ahead.

        Raises
        ------
        ValueError, TypeError
            If the series is too short for so many folds, or as for ``fit``.

        Examples
        --------
        >>> from crnn import Forecaster, dataset
        >>> forecaster = Forecaster(timesteps=9, hidden_size=8, networks=1, epochs=5, seed=0)
        >>> backtest = forecaster.backtest(dataset.load_sunspots(), folds=2, steps=3)
        >>> list(backtest.forecasts)
        ['persistence', 'least-squares AR', 'forecaster']
        """
        from crnn.backtest import _run

        return _run(self, series, folds, steps, refit)

    def summary(self) -> str:
        """Say what the fit chose: timesteps, epochs, weights and validation errors.

        Returns
        -------
        str
            Several lines.

        Raises
        ------
        RuntimeError
            Before ``fit``.
        """
        fitted = self._check_fitted()
        method = fitted.method
        if not isinstance(method, Combination):
            return (
                "Forecaster of version 0.1: one network on the standardised series\n"
                f"{method.timesteps} timesteps, {method.settings['epochs']} epochs\n"
                "fit starts a new training with today's method"
            )
        season = fitted.settings["season"]
        unused = (
            " (not used: longer than the timesteps)" if (season or 0) > method.timesteps else ""
        )
        lines = [
            f"{method.timesteps} timesteps, horizon {method.horizon}, season "
            f"{season or 'not given'}{unused}, seed {fitted.seed}"
        ]
        if not method.rmse:
            return "\n".join([*lines, "the series is constant, and so is the forecast"])
        last = f"{method.weights.shape[1]} steps"
        lines.append(f"{'member':<22}{'validation RMSE':>16}{'weight, 1 step':>16}{last:>12}")
        weights = _weights(fitted)
        known = (*_members.MEMBERS, "combination")
        for name in [name for name in known if name in method.rmse]:
            line = f"{name:<22}{method.rmse[name]:>16.5g}"
            if name in weights:
                line += f"{weights[name][0]:>16.2f}{weights[name][-1]:>12.2f}"
            if name in method.epochs:
                count, epochs = fitted.settings["networks"], method.epochs[name]
                line += f"   {count} network{'s' * (count > 1)}, {epochs} epoch{'s' * (epochs > 1)}"
            lines.append(line)
        if len(method.rmse) > 2 and not method.epochs:
            lines.append("the networks do not help: the linear fit alone is the forecast")
        return "\n".join([*lines, "calling fit again starts a new training"])

    def plot(
        self,
        steps: int | None = None,
        series: ArrayLike | None = None,
        *,
        coverage: float = 0.9,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the end of the series, the forecast and its interval.

        Parameters
        ----------
        steps : int, optional
            Values to forecast. None: the larger of horizon and season, at least 12.
        series
            As for ``forecast``.
        coverage
            As for ``forecast_interval``.
        ax : matplotlib.axes.Axes, optional
            Where to draw. By default on a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If Matplotlib is not installed and `ax` is not given.
        """
        from crnn import plots

        fitted = self._check_fitted()
        coverage = _arguments.real("coverage", coverage, above=0, below=1)
        if steps is None:
            steps = max(fitted.method.horizon, fitted.settings.get("season") or 0, 12)
        values, read, window = self._forecast(fitted, steps, series)
        past = fitted.tail * fitted.unit
        if read is not None:
            past = np.where(read.known, read.values, np.nan)[-max(100, 3 * steps) :]
        axis = None
        after = None if read is None else read.after(steps)
        if read is not None and after is not None:
            axis = _axis(read.index[-len(past) :], after)
        interval = None  # version 0.1 has none
        if isinstance(fitted.method, Combination):
            interval = _interval(fitted, values, window, coverage)
        values = _bounded(fitted, values)
        return plots.plot_forecast(past, values, interval, x=axis, ax=ax)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted forecaster to one safetensors file.

        Parameters
        ----------
        path : path-like
            Replaced whole, or left as it was if writing fails.

        Raises
        ------
        OSError
            If the file cannot be written.
        RuntimeError
            Before ``fit``.
        """
        fitted = self._check_fitted()
        method = fitted.method
        if not isinstance(method, Combination):
            storage.write(path, _KIND, method.arrays(), method.settings)
            return
        arrays, settings = _combination_file.described(method)
        arrays["tail"] = fitted.tail
        settings |= {
            "method": _METHOD,
            "arguments": fitted.settings,
            "seed": fitted.seed,
            "name": fitted.name,
            "range": list(fitted.limits or ()),
            "unit": fitted.unit,
        }
        storage.write(path, _KIND, arrays, settings)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what ``save`` wrote: forecasts have the same bits as before.

        Files of version 0.1 are read too. Their forecasters keep the method of that version until
        ``fit`` starts a new training.

        Parameters
        ----------
        path : path-like
            A file of kind "forecaster".

        Returns
        -------
        Forecaster
            Fitted. The file does not store `threads` and `progress`.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is damaged, of another kind, or its parts do not fit each other.
        """
        arrays, settings = storage.read(path, _KIND)
        try:
            if "method" not in settings:
                return cls._restore_0_1(arrays, settings)
            return cls._restore(arrays, settings)
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
            reason = f"no {error} in it" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"{os.fspath(path)}: not a usable forecaster: {reason}") from error

    @classmethod
    def _restore_0_1(cls, arrays: dict[str, Any], settings: dict[str, Any]) -> Self:
        method = _forecaster_0_1.restore(arrays, settings)
        forecaster = cls(
            method.timesteps,
            hidden_size=method.model.hidden_size,
            batch_size=settings["batch_size"],
            learning_rate=settings["learning_rate"],
            seed=settings["seed"],
        )
        _arguments.integer("epochs", settings["epochs"])
        forecaster._fitted = _Fitted(method, method.past, {}, settings["seed"])
        return forecaster

    @classmethod
    def _restore(cls, arrays: dict[str, Any], settings: dict[str, Any]) -> Self:
        _arguments.choice("method", settings["method"], [_METHOD])
        arguments = settings["arguments"]
        forecaster = cls(**arguments)
        kept = forecaster._checked()
        if arguments.keys() != kept.keys():
            raise ValueError(f"arguments must be {sorted(kept)}, got {sorted(arguments)}")
        tail = _combination_file.floats(arrays, "tail")
        if tail.ndim != 1 or kept["timesteps"] not in (None, len(tail)):
            raise ValueError(f"tail must hold {kept['timesteps']} values, got {tail.shape}")
        del arrays["tail"]
        method = _combination_file.restored(
            arrays, settings, len(tail), kept["horizon"], kept["season"]
        )
        limits = tuple(_arguments.real("range", value) for value in settings["range"])
        if len(limits) not in (0, 2):
            raise ValueError(f"range must be two numbers, got {limits}")
        forecaster._fitted = _Fitted(
            method,
            tail,
            kept,
            _arguments.seed("seed", settings["seed"]),
            settings["name"] if isinstance(settings["name"], str) else None,
            (limits[0], limits[1]) if limits else None,
            _arguments.real("unit", settings["unit"], above=0),
        )
        return forecaster

    def _check_fitted(self) -> _Fitted:
        fitted: _Fitted | None = vars(self).get("_fitted")
        if fitted is None:
            raise RuntimeError("this Forecaster is not fitted: call fit, or use Forecaster.load")
        return fitted

    def __getattr__(self, name: str) -> Any:
        """Attributes of the last fit."""
        fitted = vars(self).get("_fitted")
        found = _ATTRIBUTES.get(name)
        if fitted is None or found is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return found(fitted)


def _chosen_timesteps(values: Array, known: Array, settings: dict[str, Any]) -> int:
    if settings["season"] is not None:
        return int(max(1, min(2 * settings["season"], _MOST_TIMESTEPS, len(values) // 3)))
    return _combination.choose_timesteps(values, known, settings["horizon"])


def _weights(fitted: _Fitted) -> dict[str, Array]:
    method = fitted.method
    if isinstance(method, Combination):
        return dict(zip(method.members, method.weights.copy(), strict=True))
    return {"network": np.ones(1)}


_ATTRIBUTES: dict[str, Callable[[_Fitted], Any]] = {
    "timesteps_": lambda fitted: fitted.method.timesteps,
    "weights_": _weights,
    "epochs_": lambda fitted: dict(getattr(fitted.method, "epochs", {})),
    "validation_rmse_": lambda fitted: dict(getattr(fitted.method, "rmse", {})),
    "history_": lambda fitted: getattr(fitted.method, "history", None),
    "seed_": lambda fitted: fitted.seed,
    "name_": lambda fitted: fitted.name,
    "range_": lambda fitted: fitted.limits,
}


def _bounded(fitted: _Fitted, values: Array) -> Array:
    lower = fitted.settings.get("lower")
    return values if lower is None else np.maximum(values, lower)


def _warn_below(lower: float | None, values: Array) -> None:
    below = 0 if lower is None else int((values < lower).sum())
    if below:
        warnings.warn(
            f"lower is above {below} of the {len(values)} values of series, got {lower:g}: no "
            "forecast will be below it",
            UserWarning,
            stacklevel=4,
        )


@np.errstate(**_ERRORS)
def _interval(
    fitted: _Fitted, values: Array, window: Array, coverage: float
) -> tuple[Array, Array]:
    assert isinstance(fitted.method, Combination)
    width = fitted.method.half_width(len(values), coverage, window) * fitted.unit
    most = fitted.method.most_coverage(coverage)
    if coverage > most and width.any():
        warnings.warn(
            f"coverage must be at most {most:.2g} for the few validation errors of this series, "
            f"got {coverage:g}: the interval reaches as far as the largest error",
            UserWarning,
            stacklevel=4,
        )
    return _bounded(fitted, values - width), _bounded(fitted, values + width)


def _outward(values: Array, read: _series.Series | None) -> Any:
    """Forecasts in the form of the series that they continue."""
    return values if read is None else read.like(values, read.after(len(values)))


def _unit(values: Array) -> float:
    """1, or a power of two that keeps the powers of very large or small values in range."""
    exponent = math.frexp(float(np.abs(values).max()))[1]
    if abs(exponent) < 200:  # standard errors have fourth powers
        return 1.0
    return math.ldexp(1.0, min(max(exponent, -1021), 1023))


def _axis(index: Any, after: Any) -> Any:
    """A time axis for a picture: datetime64 or numbers. Times are local; durations are in days."""
    joined = index.append(after)
    if hasattr(joined, "to_timestamp"):
        joined = joined.to_timestamp()
    if getattr(joined, "tz", None) is not None:
        joined = joined.tz_localize(None)
    axis = joined.to_numpy()
    return axis / np.timedelta64(1, "D") if axis.dtype.kind == "m" else axis


@contextmanager
def _bar(progress: bool) -> Iterator[Callable[[], None]]:
    if not progress:
        yield lambda: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise missing_package("progress=True", "tqdm", error) from error
    with tqdm(unit="epoch") as bar:
        yield lambda: bar.update() and None
