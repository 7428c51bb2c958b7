"""Rolling origins: a forecaster beside the forecasts that need no network."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from crnn import _arguments, _combination, _series, scoring
from crnn._arguments import Array
from crnn._extras import missing_package
from crnn._members import PERSISTENCE, SEASONAL

if TYPE_CHECKING:
    from crnn.forecast import Forecaster

FORECASTER = "forecaster"
LINEAR = "least-squares AR"
# RMSE ratios in this range count as equal.
_EQUAL = 0.995, 1.005
# Errors below this share of the largest value are rounding errors.
_EXACT = 1e-12


@dataclass(frozen=True)
class Backtest:
    """Forecasts from rolling origins and their errors, as ``Forecaster.backtest`` gives them.

    Attributes
    ----------
    actual : numpy.ndarray, shape (folds, steps)
        The values; NaN where missing.
    forecasts : dict of str to numpy.ndarray, shape (folds, steps)
        By model: persistence, seasonal persistence (if the forecaster has a season), the
        least-squares autoregression on the same windows, and the forecaster.
    season : int
        m of MASE: 1 if the forecaster has no season.
    scale : float
        The mean of ``|s_t - s_{t-m}|`` before the first origin, which MASE divides by.

    Examples
    --------
    >>> import numpy as np
    >>> from crnn.backtest import Backtest
    >>> actual = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> backtest = Backtest(actual, {"persistence": actual - [[1.0, 2.0]]}, season=1, scale=2.0)
    >>> backtest.mase("persistence").tolist()
    [0.5, 1.0]
    """

    actual: Array
    forecasts: dict[str, Array]
    season: int
    scale: float

    def rmse(self, model: str) -> Array:
        """Root of the mean squared error of a model, (steps,), by step ahead."""
        return np.array([_over_known(scoring.rmse, step) for step in self._errors(model).T])

    def mae(self, model: str) -> Array:
        """Mean absolute error of a model, (steps,), by step ahead."""
        return np.array([_over_known(scoring.mae, step) for step in self._errors(model).T])

    def mase(self, model: str) -> Array:
        """Mean absolute scaled error of a model, (steps,); NaN if the scale is 0."""
        return self.mae(model) / (self.scale or np.nan)

    def to_pandas(self) -> Any:
        """Give the errors by model and step ahead.

        Returns
        -------
        pandas.DataFrame
            One row per model. The columns are pairs of measure (RMSE, MAE, MASE) and step ahead.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise missing_package("to_pandas", "pandas", error) from error
        measures = {"RMSE": self.rmse, "MAE": self.mae, f"MASE (season {self.season})": self.mase}
        steps = range(1, self.actual.shape[1] + 1)
        columns = pandas.MultiIndex.from_product([measures, steps], names=["measure", "step"])
        rows = [
            np.concatenate([measure(model) for measure in measures.values()])
            for model in self.forecasts
        ]
        return pandas.DataFrame(
            rows, index=pandas.Index(self.forecasts, name="model"), columns=columns
        )

    def __str__(self) -> str:
        folds, steps = self.actual.shape
        heading = f"{'':<22}{'RMSE':>12}{'MAE':>12}{'MASE':>12}"
        if steps > 1:
            heading += f"{'RMSE, 1 step':>16}{f'{steps} steps':>12}"
        lines = [
            f"{folds} origin{'s' * (folds > 1)}, {steps} step{'s' * (steps > 1)} ahead; "
            f"MASE with a season of {self.season}",
            heading,
        ]
        total = {}
        for model in self.forecasts:
            errors = self._errors(model)
            total[model] = _over_known(scoring.rmse, errors)
            mae = _over_known(scoring.mae, errors)
            by_step = self.rmse(model)
            line = f"{model:<22}{total[model]:>12.4g}{mae:>12.4g}"
            line += f"{mae / (self.scale or np.nan):>12.4g}"
            if steps > 1:
                line += f"{by_step[0]:>16.4g}{by_step[-1]:>12.4g}"
            lines.append(line)
        ours = total.pop(FORECASTER, math.nan)
        if math.isnan(ours) or not total:
            return "\n".join(lines)
        found: dict[str, list[str]] = {}
        for model, theirs in total.items():
            found.setdefault(_compared(ours, theirs, self.actual), []).append(model)
        verdict = ", ".join(
            f"{words} {_listed(found[words])}"
            for words in ("better than", "as good as", "worse than")
            if words in found
        )
        lines.append(f"verdict: {verdict}")
        return "\n".join(lines)

    def _errors(self, model: str) -> Array:
        return self.forecasts[_arguments.choice("model", model, self.forecasts)] - self.actual


def _compared(ours: float, theirs: float, actual: Array) -> str:
    """What an RMSE is beside another one of the same values."""
    exact = _EXACT * float(np.nanmax(np.abs(actual)))
    if max(ours, theirs) <= exact or _EQUAL[0] <= ours / max(theirs, exact) <= _EQUAL[1]:
        return "as good as"
    return "better than" if ours < theirs else "worse than"


def _listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _over_known(score: Callable[[Array, Array], float], errors: Array) -> float:
    """A score of the errors that are not NaN; NaN if there are none."""
    known = errors[~np.isnan(errors)]
    return score(known, np.zeros_like(known)) if known.size else math.nan


def _run(
    forecaster: Forecaster, series: ArrayLike, folds: int, steps: int | None, refit: bool
) -> Backtest:
    """As ``Forecaster.backtest``."""
    settings = forecaster._checked()
    folds = _arguments.integer("folds", folds)
    refit = _arguments.boolean("refit", refit)
    read = _series.read("series", series, missing=settings["missing"])
    values, season = read.values, settings["season"]
    if steps is None:
        most = max(1, len(values) // (2 * folds))
        steps = min(most, max(settings["horizon"], season or 12))
    steps = _arguments.integer("steps", steps)
    first = len(values) - folds * steps
    if first < max(2, (season or 0) + 1):
        raise ValueError(
            f"folds must be fewer: {folds} folds of {steps} steps leave {first} of "
            f"{len(values)} values to fit"
        )
    given = np.where(read.known, values, np.nan)
    model = copy.copy(forecaster)
    model.__dict__.pop("_fitted", None)
    model.missing = "ignore"  # inside the series; read has judged the whole
    forecasts: dict[str, list[Array]] = {}
    for origin in range(first, len(values), steps):
        # interpolated from the past alone
        past = _series.read("series", given[:origin], missing="ignore", ends="keep")
        if origin == first or refit:
            try:
                model.fit(given[:origin])
            except ValueError as error:
                left = f"{folds} folds of {steps} steps leave {origin} of {len(values)} values"
                raise ValueError(f"{left} to fit: {error}") from error
            x, y = _combination.windows(
                past.values, past.known, model.timesteps_, settings["horizon"]
            )
            linear = _combination.least_squares(x, y)
        before = past.values[np.newaxis]
        window = before[:, -model.timesteps_ :]
        found = {PERSISTENCE: scoring.persistence(before, steps)[0]}
        if season is not None:
            found[SEASONAL] = scoring.seasonal_persistence(before, season, steps)[0]
        found[LINEAR] = _combination.continued(linear, window, steps)[0]
        found[FORECASTER] = np.asarray(model.forecast(steps, past.values))
        for name, forecast in found.items():
            forecasts.setdefault(name, []).append(forecast)
    lag = season or 1
    moves = np.abs(given[lag:first] - given[: first - lag])
    scale = float(np.nanmean(moves)) if not np.isnan(moves).all() else 0.0
    return Backtest(
        given[first:].reshape(folds, steps),
        {name: np.stack(rows) for name, rows in forecasts.items()},
        lag,
        scale,
    )
