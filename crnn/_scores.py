"""Scores of a forecaster and of simple forecasts on the end of a series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from crnn import _combination, scoring
from crnn._arguments import Array
from crnn._members import PERSISTENCE, SEASONAL
from crnn._series import filled
from crnn.backtest import FORECASTER, LINEAR, _compared

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 200  # values in a picture at most


class Model(Protocol):
    """The interface of a scored model: that of `crnn.Forecaster`."""

    horizon: int
    timesteps_: int

    def fit(self, series: Array, /) -> Any:
        """Train on a series."""

    def predict(self, series: Array, /) -> Array:
        """Forecast from each of its windows."""


@dataclass(frozen=True)
class Scores:
    """Forecasts of the held-out part, from every origin in it, and their errors.

    Attributes
    ----------
    rows : numpy.ndarray, shape (N,)
        The row of the first target, for each of N origins. A forecast knows all rows before it.
    actual : numpy.ndarray, shape (N, H)
        The targets; NaN where missing.
    predicted : dict of str to numpy.ndarray, shape (N, H)
        The forecasts of each model, the forecaster's last.
    naive : float
        Mean absolute change from one value to the next in the training part: MASE divides by it.
    """

    rows: Array
    actual: Array
    predicted: dict[str, Array]
    naive: float

    @property
    def horizon(self) -> int:
        return int(self.actual.shape[1])

    def rmse(self, model: str, step: int) -> float:
        """RMSE of a model `step` steps ahead, counted from 1."""
        return scoring.rmse(*self._pair(model, step))

    def mase(self, model: str, step: int) -> float:
        """MASE of a model `step` steps ahead; NaN where the training part never changes."""
        return scoring.mae(*self._pair(model, step)) / self.naive if self.naive else np.nan

    def _pair(self, model: str, step: int) -> tuple[Array, Array]:
        actual = self.actual[:, step - 1]
        there = ~np.isnan(actual)
        return actual[there], self.predicted[model][there, step - 1]

    def lines(self) -> Iterator[str]:
        """The table, one line per model, and the verdict."""
        steps = [1, self.horizon] if self.horizon > 1 else [1]
        heading = "".join(f"{ahead(step):>24}" for step in steps)
        count = f"{len(self.rows)} forecast{'s' * (len(self.rows) > 1)}"
        yield f"{count:<22}{heading}"
        yield f"{'':<22}" + f"{'RMSE':>12}{'MASE':>12}" * len(steps)
        for model in self.predicted:
            line = f"{model:<22}"
            for step in steps:
                mase = self.mase(model, step)
                shown = "undefined" if np.isnan(mase) else f"{mase:.4g}"
                line += f"{self.rmse(model, step):>12.4g}{shown:>12}"
            yield line
        yield "verdict: " + "; ".join(self._verdict(step) for step in steps)

    def _verdict(self, step: int) -> str:
        errors = {model: self.rmse(model, step) for model in self.predicted}
        ours = errors.pop(FORECASTER)
        best = min(errors, key=lambda model: errors[model])
        theirs = errors[best]
        words = _compared(ours, theirs, self.actual)
        if words == "as good as":
            return f"{ahead(step)} the forecaster is as good as {best}"
        if words == "better than":
            ratio = f"RMSE {ours / theirs:.2f} of that of {best}, the next best"
            return f"{ahead(step)} the forecaster is best: {ratio}"
        ratio = f"RMSE {theirs / ours:.2f} of the forecaster's"
        return f"{ahead(step)} {best} is better: {ratio}"


def ahead(step: int) -> str:
    return "one step ahead" if step == 1 else f"{step} steps ahead"


def score_end(model: Model, series: Array, held_out: int, season: int | None) -> Scores:
    """Fit a forecaster on all but the last `held_out` values of a series and score it on these.

    At an origin, every model knows all values before it. Missing values are interpolated where they
    are inputs and left out where they are targets. No forecast begins after a missing value: its
    interpolation would use the target.

    Parameters
    ----------
    model : Forecaster
        It is fitted. The scores have its `horizon`.
    series : numpy.ndarray, shape (M,), float64
        NaN where a value is missing, but not at the ends.
    held_out : int
        At least the horizon, below M.
    season : int, optional
        The season of the seasonal naive forecast; without it the table has none.
    """
    horizon = model.horizon
    begin = len(series) - held_out
    past = until_known(series[:begin])
    try:
        model.fit(past)
    except ValueError as error:
        raise ValueError(
            f"{error}, because --test-fraction holds out the last {held_out}"
        ) from error
    timesteps = model.timesteps_
    there = ~np.isnan(series)
    values = filled(series)
    rows = np.arange(begin, len(series) - horizon + 1)
    targets = rows[:, np.newaxis] + np.arange(horizon)
    known = there[rows - 1]
    x, y = _combination.windows(values[:begin], there[:begin], timesteps, horizon)
    recent = values[begin - timesteps :]
    x_recent, _ = _combination.windows(recent, there[begin - timesteps :], timesteps, horizon)
    predicted = {PERSISTENCE: scoring.persistence(x_recent, horizon)}
    if season is not None and season <= begin:
        back = season * (1 + np.arange(horizon) // season)
        predicted[SEASONAL] = values[targets - back]
    predicted[LINEAR] = _combination.least_squares(x, y).predict(x_recent)
    predicted[FORECASTER] = model.predict(recent).reshape(len(rows), horizon)
    actual = series[targets]
    if np.isnan(actual[known][:, [0, -1]]).all(axis=0).any():
        raise ValueError(
            f"the last {held_out} values hold no forecast that can be scored (--test-fraction)"
        )
    return Scores(
        rows[known],
        actual[known],
        {name: forecasts[known] for name, forecasts in predicted.items()},
        float(np.abs(np.diff(filled(past))).mean()),
    )


def until_known(series: Array) -> Array:
    """Cut missing values off the end of a series."""
    return series[: 1 + int(np.flatnonzero(~np.isnan(series))[-1])]


def draw(scores: Scores, step: int, axis: Array, names: tuple[str, str], title: str) -> Figure:
    """Draw the held-out values, the forecaster and the linear fit `step` steps ahead.

    `axis` holds the time of every row of the series; `names` label the two axes.
    """
    from crnn import plots

    # Every row from the first target to the last. Rows without a score are gaps in the lines.
    rows = scores.rows - scores.rows[0]
    shown = slice(-_SHOWN, None)  # thousands of values are too many to see

    def line(values: Array) -> Array:
        whole = np.full(rows[-1] + 1, np.nan)
        whole[rows] = values[:, step - 1]
        return whole[shown]

    figure = plots.new_figure()
    begin = scores.rows[0] + step - 1
    ax = plots.plot_prediction(
        line(scores.actual),
        [line(scores.predicted[model]) for model in (FORECASTER, LINEAR)],
        x=axis[begin : begin + rows[-1] + 1][shown],
        label=[f"{model} (RMSE {scores.rmse(model, step):.3g})" for model in (FORECASTER, LINEAR)],
        ax=figure.add_subplot(),
    )
    more = f", the last {_SHOWN}" if rows[-1] >= _SHOWN else ""
    ax.set_title(f"{title}, {ahead(step)}{more}")
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    return figure
