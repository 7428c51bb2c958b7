"""The forecaster's method: simple forecasts and networks, weighted by their validation errors.

M values, T timesteps, H steps that a member forecasts at once, N = M - T - H + 1 windows, S steps
ahead with validation errors. x (N, T) holds windows, y (N, H) what follows; NaN in y is missing.

The members are those of `_members`. The weight of one of them s steps ahead is proportional to
1 / u^3, where

    u = e + 2 standard errors of (e - e of `linear`), at most 9 e if e > 0

and e is its mean squared validation error. Without `linear` the standard error is that of e. So few
or scattered validation errors lead back to the linear fit. The parameters of a network are a moving
average over its epochs.

Sources: combining by errors, J. M. Bates and C. W. J. Granger, "The combination of forecasts",
Operational Research Quarterly 20 (1969), 451-468. Averages, B. T. Polyak and A. B. Juditsky,
"Acceleration of stochastic approximation by averaging", SIAM Journal on Control and Optimization 30
(1992), 838-855.

What was tried and left out is in bench/NOTES.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crnn._arguments import Array
from crnn._members import (
    LEVELS,
    LINEAR,
    PERSISTENCE,
    READOUT,
    SEASONAL,
    Member,
    Networks,
    Readout,
    Repeated,
    level_of,
)
from crnn.model import RNN
from crnn.run import History
from crnn.scoring import LeastSquaresAR
from crnn.trainer import Trainer

VALIDATION = 0.2  # the share of the windows that choose epochs and weights
_LEAST = 4  # windows to train on and to validate with
_KEPT = 0.9  # of an average over epochs, when the next epoch is added
_PATIENCE = 40  # epochs without a better validation error
_MOST_EPOCHS, _MOST_UPDATES = 400, 8000
_MOST_VALUES = 1_500_000  # that a network reads while its epochs are chosen
_WORSE = 1.05  # the linear fit is alone if the combination's validation error is so much larger
_MOST_CHANGE = 4.0  # of a forecast, in largest changes of the series
_STEPS = 24  # steps ahead whose errors are measured, unless season or horizon ask for more
_CAUTION, _MOST_CAUTION, _POWER = 2.0, 9.0, 3  # of the weights
_SHORTEST = 12  # values that networks read if a season is shorter
_ENOUGH = 16  # timesteps that a long series has at least: 1 for each 40 values
_TIMESTEPS = (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48)
_FEW = 10  # errors of a step that an interval needs
_NOT_SIDE_BY_SIDE = "series must hold neighbouring values of which none is missing"


@dataclass(frozen=True)
class Plan:
    """What decides a fit, beside the series."""

    timesteps: int
    horizon: int
    season: int | None
    reach: int  # the last values of a window that networks read
    hidden_size: int
    networks: int
    epochs: int | None  # None: chosen on the validation part
    linear: bool
    learning_rate: float
    batch_size: int
    seed: int
    threads: int


@dataclass
class Combination:
    """Fitted members and their weights.

    Attributes
    ----------
    members : dict of str to Member
    weights : numpy.ndarray, shape (members, S)
        Of each member, s + 1 steps ahead. They sum to 1 over the members.
    errors : list of S arrays
        Sorted absolute validation errors of the combination, s + 1 steps ahead, divided by the
        `local_scale` of their windows.
    spread : float
        Root of the mean squared step from value to value inside of the validation windows.
    limit : numpy.ndarray, shape (L,)
        How far a forecast 1, 2, ... L steps ahead may leave the range of its window, see `limits`.
    rmse : dict of str to float
        Validation error one step ahead of each member, and of the combination ("combination").
    epochs : dict of str to int
        What the networks were trained for, by level.
    history : History or None
        Of the first network's last training.
    """

    timesteps: int
    horizon: int
    members: dict[str, Member]
    weights: Array
    errors: list[Array]
    spread: float
    limit: Array
    rmse: dict[str, float] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    history: History | None = None

    def predict(self, x: Array) -> Array:
        """Forecast H steps from each window, (N, H)."""
        return self.forecast(self.horizon, x)

    def forecast(self, steps: int, x: Array) -> Array:
        """Forecast any number of steps from each window, (N, steps)."""
        members = [continued(member, x, steps, self.limit) for member in self.members.values()]
        return self.weighted(members)

    def weighted(self, forecasts: Sequence[Array]) -> Array:
        """The combination of the members' forecasts, each (N, steps)."""
        steps = forecasts[0].shape[1]
        last = self.weights.shape[1] - 1
        weights = self.weights[:, np.minimum(np.arange(steps), last)]
        together: Array = np.einsum("ms,mns->ns", weights, np.stack(forecasts))
        return together

    def local_scale(self, x: Array) -> Array:
        """How far a window moves, (N,): the RMS of its own steps and of those of all windows."""
        scale: Array = np.sqrt((_squared_step(x) + self.spread**2) / 2)
        return np.where(scale > 0, scale, 1.0)

    def half_width(self, steps: int, coverage: float, x: Array) -> Array:
        """Half of an interval's width after one window x (1, T), 1 to `steps` steps ahead.

        The (n + 1) coverage-th smallest of n absolute validation errors relative to `local_scale`:
        J. Lei et al., "Distribution-free predictive inference for regression", Journal of the
        American Statistical Association 113 (2018), 1094-1111. Beyond the last step with enough
        errors the width grows with the square root of the steps.
        """
        known = [
            errors[min(len(errors), math.ceil((len(errors) + 1) * coverage)) - 1]
            for errors in self._measured(coverage)
        ]
        ahead = np.arange(steps)
        beyond = np.sqrt(np.maximum(1, (ahead + 1) / len(known)))
        relative = np.asarray(known)[np.minimum(ahead, len(known) - 1)] * beyond
        width: Array = self.local_scale(x) * relative
        return width

    def most_coverage(self, coverage: float) -> float:
        """The largest coverage that the errors support: n / (n + 1) for n of them."""
        few = min(map(len, self._measured(coverage)))
        return few / (few + 1)

    def _measured(self, coverage: float) -> list[Array]:
        """The errors that an interval takes, 1, 2, ... steps ahead."""
        counts = list(map(len, self.errors))
        for enough in (max(_FEW, math.ceil(coverage / (1 - coverage))), _FEW, 1):
            measured = [s for s, count in enumerate(counts) if count >= enough]
            if measured:
                break
        else:
            raise ValueError(
                "the fitted series is too short for intervals: there are no validation errors"
            )
        last = measured[-1] if enough > 1 else measured[0]
        return [self.errors[s if s in measured else last] for s in range(last + 1)]


def _squared_step(x: Array) -> Array:
    """The mean squared difference of neighbouring values in each window, (N,)."""
    squares: Array = np.square(np.diff(x, axis=1)).sum(axis=1) / max(1, x.shape[1] - 1)
    return squares


def limits(values: Array, steps: int) -> Array:
    """Four times the largest change of a series over 1, 2, ... steps, (at most `steps`,).

    So a series may grow fourfold in so many steps.
    """
    most = max(1, min(steps, len(values) // 2))
    changes = [np.abs(values[s:] - values[:-s]).max() for s in range(1, most + 1)]
    return _MOST_CHANGE * np.array(changes)


def continued(member: Member, x: Array, steps: int, limit: Array | None = None) -> Array:
    """A member's forecasts beyond its H: it reads its own forecasts. (N, steps).

    With its own forecasts as inputs, a fit may grow without end. So a forecast stays within the
    range of its window and `limit` on either side. Beyond its L steps the limit grows with them.
    """
    timesteps = x.shape[1]
    values = x
    if limit is not None:
        ahead_of, most = np.arange(1, steps + 1), len(limit)
        limit = limit[np.minimum(ahead_of, most) - 1] * np.maximum(1, ahead_of / most)
        low, high = x.min(axis=1, keepdims=True) - limit, x.max(axis=1, keepdims=True) + limit
    while (done := values.shape[1] - timesteps) < steps:
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                ahead = member.predict(values[:, -timesteps:])[:, : steps - done]
                finite = bool(np.isfinite(ahead).all())
            except ValueError:  # beyond float32
                if not done:
                    raise
                finite = False
        if not finite:
            raise ValueError(
                f"steps must be at most {done}, got {steps}: the forecast then grows out of range"
            )
        if limit is not None:
            part = slice(done, done + ahead.shape[1])
            ahead = np.clip(ahead, low[:, part], high[:, part])
        values = np.hstack((values, ahead))
    return values[:, timesteps:]


def windows(values: Array, known: Array, timesteps: int, horizon: int) -> tuple[Array, Array]:
    """X (N, T) and y (N, H); what is not known is NaN in y.

    A window that ends in a gap has no y, because the gap is interpolated with what follows it.
    """
    view = np.lib.stride_tricks.sliding_window_view
    y = view(np.where(known, values, np.nan)[timesteps:], horizon)
    x = view(values[: len(values) - horizon], timesteps)
    complete = known[timesteps - 1 : len(values) - horizon]
    return x, y if complete.all() else np.where(complete[:, np.newaxis], y, np.nan)


def causal_windows(values: Array, known: Array, timesteps: int, horizon: int) -> Array:
    """The windows (N, T) that `horizon` values follow, from the past alone.

    Where a window ends in a gap, the last value before the gap is repeated.
    """
    x, _ = windows(values, known, timesteps, horizon)
    ends = np.arange(timesteps - 1, len(values) - horizon)
    last_known = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))[ends]
    cut = np.flatnonzero(last_known < ends)
    if not len(cut):
        return x
    unknown = np.arange(timesteps) >= timesteps - (ends - last_known)[cut, np.newaxis]
    found = x.copy()
    found[cut] = np.where(unknown, values[last_known[cut], np.newaxis], x[cut])
    return found


def choose_timesteps(values: Array, known: Array, horizon: int) -> int:
    """The shortest window whose linear fit is about as good as the best on the last fifth.

    Networks use more of the past than a linear fit, so a long series has no very short one.
    """
    first = _validation(
        known & np.r_[True, known[:-1]]
    )  # no window that ends in a gap has a target
    errors: dict[int, float] = {}
    for timesteps in _TIMESTEPS:
        rows = first - timesteps - 2 * horizon + 2
        if rows < max(_LEAST, 2 * timesteps):
            break
        if timesteps < min(_ENOUGH, len(values) // 40):
            continue
        x, y = windows(values, known, timesteps, horizon)
        begin = first - timesteps - horizon + 1
        error = y[begin:] - least_squares(x[:rows], y[:rows]).predict(x[begin:])
        errors[timesteps] = float(np.nanmean(error**2))
    if not errors:
        return 1
    enough = 1.01 * min(errors.values())
    return next(timesteps for timesteps, error in errors.items() if error <= enough)


def reach(timesteps: int, season: int) -> int:
    """The values that networks read of two seasons: one season."""
    return min(timesteps, max(season, _SHORTEST))


def _validation(known: Array) -> int:
    """The first place of the validation part, which has the last fifth of all that is known."""
    places = np.flatnonzero(known)
    held_out = max(_LEAST, round(VALIDATION * len(places)))
    return int(places[-held_out]) if held_out <= len(places) else 0


def fit(
    values: Array, known: Array, plan: Plan, advance: Callable[[], None] = lambda: None
) -> Combination:
    """Choose epochs and weights on the last fifth, then train on everything.

    values (M,) without gaps, of which those with `known` False are interpolated. `advance` is
    called after each epoch.
    """
    if len(values) < plan.timesteps + plan.horizon:
        raise _too_short(plan, known)
    x, y = windows(values, known, plan.timesteps, plan.horizon)
    if not np.ptp(values):
        return _constant(plan)
    if np.isnan(y).all():
        raise ValueError(_NOT_SIDE_BY_SIDE)
    held_out = len(x) - _validation(np.logical_not(np.isnan(y).all(axis=1)))
    rows = len(x) - held_out - (plan.horizon - 1)  # no target of the training is validated
    steps = max(plan.horizon, plan.season or 0, _STEPS)
    if min(rows, held_out) < _LEAST:
        raise _too_short(plan, known)
    if np.isnan(y[:rows]).all() or np.isnan(y[-held_out:]).all(axis=0).any():
        raise ValueError(f"{_NOT_SIDE_BY_SIDE}, in its last fifth and before it")
    with _mapping(plan) as each:
        candidates: dict[str, Member] = {}
        if plan.linear or not plan.networks:
            candidates[LINEAR] = least_squares(x[:rows], y[:rows])
        searches = {
            level: _Search(plan, level, x[:rows], y[:rows], x[-held_out:], y[-held_out:])
            for level in (LEVELS if plan.networks else ())
        }
        _train(list(searches.values()), each, advance)
        candidates |= {level: search.networks for level, search in searches.items()}
        if plan.linear and plan.networks:
            candidates[READOUT] = _readout(searches, x[:rows], y[:rows])
            candidates[PERSISTENCE] = Repeated(1, plan.horizon)
            if plan.season is not None and plan.season <= plan.timesteps:
                candidates[SEASONAL] = Repeated(plan.season, plan.horizon)
        truth = _ahead(np.where(known, values, np.nan), held_out, plan.horizon, steps)
        truth[~known[plan.timesteps - 1 : len(values) - plan.horizon][-held_out:]] = np.nan
        limit = limits(values[: rows + plan.timesteps + plan.horizon - 1], steps)
        ahead = each(
            lambda member: continued(member, x[-held_out:], steps, limit), candidates.values()
        )
        forecasts = dict(zip(candidates, ahead, strict=True))
        chosen = _weigh(plan, x[-held_out:], forecasts, truth)
        chosen.limit = limits(values, steps)
        chosen.epochs = {
            level: search.chosen for level, search in searches.items() if level in chosen.members
        }
        finals = {
            level: _Training(plan, level, x, y, epochs) for level, epochs in chosen.epochs.items()
        }
        _train(list(finals.values()), each, advance)
        for name in chosen.members:
            if name == LINEAR:
                chosen.members[name] = least_squares(x, y)
            elif name in finals:
                chosen.members[name] = finals[name].networks
                chosen.history = chosen.history or finals[name].runs[0].history
            elif name == READOUT:
                chosen.members[name] = _readout(finals, x, y)
            else:
                chosen.members[name] = candidates[name]
    return chosen


def _constant(plan: Plan) -> Combination:
    """Of a constant series: every forecast is the last value of the window."""
    members: dict[str, Member] = {PERSISTENCE: Repeated(1, plan.horizon)}
    none = [np.zeros(_FEW)]
    ones, zeros = np.ones((1, 1)), np.zeros(1)
    return Combination(plan.timesteps, plan.horizon, members, ones, none, 0.0, zeros)


def _too_short(plan: Plan, known: Array) -> ValueError:
    """An error that names the shortest series that can be fitted."""
    count = plan.timesteps + plan.horizon
    while True:
        windows_ = count - plan.timesteps - plan.horizon + 1
        held_out = max(_LEAST, round(VALIDATION * windows_))
        if min(windows_ - held_out - plan.horizon + 1, held_out) >= _LEAST:
            break
        count += 1
    return ValueError(
        f"series must hold at least {count} values for {plan.timesteps} timesteps and a horizon of "
        f"{plan.horizon}, got {known.sum()}"
    )


def least_squares(x: Array, y: Array) -> LeastSquaresAR:
    there = ~np.isnan(y).any(axis=1)
    if not there.any():
        raise ValueError(_NOT_SIDE_BY_SIDE)
    return LeastSquaresAR().fit(x[there], y[there])


def _readout(trained: Mapping[str, _Training], x: Array, y: Array) -> Readout:
    return Readout.fit([training.networks for training in trained.values()], x, y)


def _ahead(values: Array, origins: int, horizon: int, steps: int) -> Array:
    """What follows the last windows, (origins, steps); NaN beyond the end."""
    padded = np.concatenate([values, np.full(steps, np.nan)])
    first = len(values) - origins - horizon + 1
    ahead: Array = np.lib.stride_tricks.sliding_window_view(padded, steps)
    return ahead[first : first + origins].copy()


def _weigh(plan: Plan, x: Array, forecasts: dict[str, Array], truth: Array) -> Combination:
    """A combination whose members are still to be trained on everything; x: validation windows."""
    known = ~np.isnan(truth)
    steps = max(1, int((known.sum(axis=0) >= _LEAST).sum()))  # steps with errors enough
    truth, known = truth[:, :steps], known[:, :steps]
    stacked = np.stack(list(forecasts.values()))[:, :, :steps]
    squares = np.where(known, (stacked - truth) ** 2, 0.0)  # (members, N, S)
    counts = np.maximum(known.sum(axis=0), 1)
    means = squares.sum(axis=1) / counts
    beside = squares[0] if LINEAR in forecasts else 0.0
    upper = means + _CAUTION * _standard_errors(squares - beside, known)
    upper = np.where(means > 0, np.minimum(upper, _MOST_CAUTION * means), upper)
    # relative to the smallest, so that nothing overflows; members without error share everything
    weights = np.where(upper > 0, upper.min(axis=0) / np.where(upper > 0, upper, 1), 1.0) ** _POWER
    weights /= weights.sum(axis=0)
    members: dict[str, Any] = dict.fromkeys(forecasts)
    spread = math.sqrt(float(_squared_step(x).mean()))
    found = Combination(plan.timesteps, plan.horizon, members, weights, [], spread, np.empty(0))
    error = found.weighted(list(stacked)) - truth
    names = list(forecasts)
    # over the steps that are forecast at once
    direct = np.sqrt(means[:, : plan.horizon].mean(axis=1))
    together = math.sqrt(float(np.nanmean(error[:, : plan.horizon] ** 2)))
    found.rmse = dict(zip(names, map(float, direct), strict=True)) | {"combination": together}
    if LINEAR in names and len(names) > 1 and together > _WORSE * found.rmse[LINEAR]:
        alone = _weigh(plan, x, {LINEAR: forecasts[LINEAR]}, truth)
        alone.rmse = found.rmse
        return alone
    relative = np.abs(error) / found.local_scale(x)[:, np.newaxis]
    found.errors = [np.sort(relative[known[:, s], s]) for s in range(steps)]
    return found


def _standard_errors(differences: Array, known: Array) -> Array:
    """Of the mean over the origins of (members, N, S), (members, S).

    Errors s steps ahead from s neighbouring origins overlap, so they count as one.
    """
    counts = np.maximum(known.sum(axis=0), 1)
    means = differences.sum(axis=1) / counts
    squares = np.where(known, (differences - means[:, np.newaxis]) ** 2, 0.0).sum(axis=1) / counts
    found: Array = np.sqrt(squares * np.arange(1, known.shape[1] + 1) / counts)
    return found


# ---- networks that train side by side ----


class _Training:
    """Networks of one level that train for a number of epochs."""

    def __init__(self, plan: Plan, level: str, x: Array, y: Array, epochs: int) -> None:
        seen = x[:, -plan.reach :]
        away = y - level_of(level, seen)
        scale = float(np.std(seen - level_of(level, seen)))
        spread = float(np.nanstd(away))
        seeds = np.random.SeedSequence([plan.seed, LEVELS.index(level)]).generate_state(
            plan.networks
        )
        self.epochs, self.done = epochs, 0
        trained, models = (
            [RNN(1, plan.hidden_size, plan.horizon, seed=int(seed)) for seed in seeds]
            for _ in range(2)
        )
        self.networks = Networks(level, plan.reach, scale or 1.0, spread or 1.0, models)
        inputs = self.networks.inputs(x)
        targets = (away / self.networks.spread).astype(np.float32)
        self.runs = [
            Trainer(
                epochs=1,
                batch_size=plan.batch_size,
                learning_rate=plan.learning_rate,
                optimizer="adam",
                clip_norm=1.0,
                seed=int(seed),
                threads=1,
            )._start(model, inputs, targets, missing="ignore")
            for model, seed in zip(trained, seeds, strict=True)
        ]

    def epoch(self, k: int) -> None:
        """Train network k, and average its parameters over the epochs, the recent ones most."""
        run, average = self.runs[k], self.networks.models[k]
        run.epoch()
        kept = min(_KEPT, (self.done + 1) / (self.done + 10))
        trained = run.model.state_dict()
        average.load_state_dict(
            {
                name: np.float32(kept) * value + np.float32(1 - kept) * trained[name]
                for name, value in average.state_dict().items()
            }
        )

    def after_epoch(self) -> None:
        """All networks have done one more epoch."""
        self.done += 1

    @property
    def finished(self) -> bool:
        return self.done >= self.epochs


class _Search(_Training):
    """The same until the validation error rises; then the networks are those of its minimum."""

    def __init__(
        self, plan: Plan, level: str, x: Array, y: Array, x_held_out: Array, y_held_out: Array
    ) -> None:
        affordable = min(
            _MOST_UPDATES // math.ceil(len(x) / plan.batch_size),
            _MOST_VALUES // x[:, -plan.reach :].size,
        )
        most = plan.epochs or max(10, min(_MOST_EPOCHS, affordable))
        super().__init__(plan, level, x, y, most)
        self.fixed = plan.epochs is not None
        self.x, self.y, self.inputs = x_held_out, y_held_out, self.networks.inputs(x_held_out)
        self.outputs: list[Array] = [self.inputs] * plan.networks
        self.best, self.chosen = math.inf, 0
        self.kept: list[dict[str, Array]] = []

    def epoch(self, k: int) -> None:
        super().epoch(k)
        self.outputs[k] = self.networks.models[k].predict(self.inputs, threads=1)

    def after_epoch(self) -> None:
        super().after_epoch()
        error = float(np.nanmean((self.networks.together(self.x, self.outputs) - self.y) ** 2))
        if error < self.best or self.fixed or not self.kept:
            self.best, self.chosen = error, self.done
            self.kept = [
                {name: np.array(value) for name, value in model.state_dict().items()}
                for model in self.networks.models
            ]
        if self.finished:
            for model, state in zip(self.networks.models, self.kept, strict=True):
                model.load_state_dict(state)

    @property
    def finished(self) -> bool:
        return super().finished or self.done - self.chosen >= _PATIENCE


@contextmanager
def _mapping(plan: Plan) -> Iterator[Callable[..., Any]]:
    """`map`, on threads."""
    threads = min(plan.threads, plan.networks * len(LEVELS))
    if threads < 2:
        yield map
        return
    with ThreadPoolExecutor(threads) as pool:
        yield pool.map


def _train(
    trainings: Sequence[_Training], each: Callable[..., Any], advance: Callable[[], None]
) -> None:
    """An epoch of every network of all trainings at a time, so that no thread waits for long."""
    while running := [training for training in trainings if not training.finished]:
        jobs = [(training, k) for training in running for k in range(len(training.runs))]
        list(each(lambda job: job[0].epoch(job[1]), jobs))
        for training in running:
            training.after_epoch()
            advance()
