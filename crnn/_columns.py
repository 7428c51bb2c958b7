"""Which columns of a table a network reads at which step, and in what unit.

N samples, C columns, T timesteps, F features of a step that columns hold.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crnn import _arguments
from crnn._arguments import Array

LAG_ORDERS = ("oldest_first", "newest_first", "names")
# lag_3 and a_lag_3 are skforecast's names, lag3 is mlforecast's, y_lag_3 sktime's
_LAG = re.compile(r"(?:(.+)_)?lag_?(\d+)")
# Relative to the mean: a deviation as small as this is rounding
_CONSTANT = 10 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Layout:
    """How rows of X become sequences of standardised numbers.

    Attributes
    ----------
    shape : tuple of int
        Of a row of X: (C,), or (T, F) where X is a panel.
    steps : int
        T.
    features : int
        Features that the network reads at a step: F, and the columns that are no step.
    gather : ndarray of int, shape (T * features,), or None
        Columns in the order in which the network reads them; None: as they come.
    reverse : bool
        Whether a panel is newest first.
    mean, scale : ndarray of float64, shape (C,), of a panel (F,), or None
        None: X is not standardised.
    """

    shape: tuple[int, ...]
    steps: int
    features: int
    gather: Array | None
    reverse: bool
    mean: Array | None
    scale: Array | None

    @classmethod
    def of(
        cls,
        X: Array,
        steps: object,
        lag_order: object,
        names: Sequence[str] | None,
        *,
        standardize: bool,
        weight: Array | None,
    ) -> Layout:
        """The layout of X, (N, C) or (N, T, F), with the moments of its rows."""
        order = _arguments.choice("lag_order", lag_order, LAG_ORDERS)
        mean = scale = None
        if X.ndim == 3:
            if steps is not None:
                raise ValueError(f"steps must be None where X is (N, T, F), got {steps!r}")
            if order == "names":
                raise ValueError(
                    'lag_order="names" needs a table with names of columns, got a 3-D X'
                )
            if standardize:
                rows = X.reshape(-1, X.shape[2])
                weight = None if weight is None else np.repeat(weight, X.shape[1])
                mean, scale = moments(rows, weight)
            length, features = X.shape[1:]
            newest = order == "newest_first"
            return cls(X.shape[1:], length, features, None, newest, mean, scale)
        columns = positions(steps, order, X.shape[1], names)
        others = np.setdiff1d(np.arange(X.shape[1]), columns)
        shown = np.broadcast_to(others, (len(columns), len(others)))
        gather = np.concatenate([columns, shown], axis=1)
        if standardize:
            mean, scale = np.empty((2, X.shape[1]))
            if len(others):
                mean[others], scale[others] = moments(X[:, others], weight)
            for feature in columns.T:  # the lags of a variable have one unit
                weights = None if weight is None else np.repeat(weight, len(feature))
                found = moments(X[:, feature].reshape(-1, 1), weights)
                mean[feature], scale[feature] = found[0][0], found[1][0]
        length, features = gather.shape
        order_of_columns: Array | None = gather.ravel()
        if np.array_equal(gather.ravel(), np.arange(X.shape[1])):
            order_of_columns = None
        return cls(X.shape[1:], length, features, order_of_columns, False, mean, scale)

    def sequences(self, X: Array) -> Array:
        """What the network reads of rows of X: (N, T, features)."""
        if self.mean is not None:
            with np.errstate(over="ignore"):
                X = X - self.mean
                X /= self.scale
        if len(self.shape) == 2:
            return X[:, ::-1] if self.reverse else X
        if self.gather is not None:
            X = X.take(self.gather, axis=1)
        return X.reshape(len(X), self.steps, self.features)


def moments(values: Array, weight: Array | None) -> tuple[Array, Array]:
    """Mean and deviation of each column, in float64; a constant one has the scale 1.

    Weights, where there are some, are above 0.
    """
    values = values.astype(np.float64, copy=False)
    first = values[0]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(values, axis=0, weights=weight)
        deviation = values - mean
        # Divided by the largest first, so that no square overflows or vanishes
        largest = np.maximum(deviation.max(axis=0), -deviation.min(axis=0))
        deviation /= np.where(largest > 0, largest, 1)
        np.square(deviation, out=deviation)
        scale = largest * np.sqrt(np.average(deviation, axis=0, weights=weight))
    if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
        raise ValueError("X or y cannot be standardised: a mean or a deviation overflows")
    same = (values == first).all(axis=0)
    constant = same | (scale <= _CONSTANT * np.abs(mean))
    return np.where(same, first, mean), np.where(constant, 1.0, scale)


def positions(steps: object, lag_order: str, width: int, names: Sequence[str] | None) -> Array:
    """Positions (T, F) of the columns that are read at each step, oldest first."""
    chosen = _chosen(steps, width, names)
    if lag_order == "names":
        return _by_name(chosen.ravel(), names)
    if lag_order == "newest_first":
        chosen = chosen[::-1]
    return chosen if chosen.ndim == 2 else chosen[:, None]


def _chosen(steps: object, width: int, names: Sequence[str] | None) -> Array:
    """Positions (T,) or (T, F), in the order in which `steps` gives them."""
    every = np.arange(width)
    if steps is None:
        return every
    wanted = "steps must be None, a number of columns, or positions or names (T,) or (T, F)"
    if isinstance(steps, (str, bool, np.bool_)):
        raise TypeError(f"{wanted}, got {steps!r}")
    if np.ndim(steps) == 0:  # type: ignore[arg-type]
        try:
            count = operator.index(steps)  # type: ignore[arg-type]
        except TypeError:
            raise TypeError(f"{wanted}, got {steps!r}") from None
        if not 1 <= abs(count) <= width:
            raise ValueError(f"steps must be between 1 and {width} or their negatives, got {count}")
        return every[:count] if count > 0 else every[count:]
    given = np.asarray(steps)
    if given.ndim > 2 or given.size == 0:
        raise ValueError(f"{wanted}, got an array of shape {given.shape}")
    if given.dtype.kind in "iu":
        if given.min() < -width or given.max() >= width:
            raise ValueError(f"steps must hold positions below {width}, got {given.tolist()}")
        places = given.astype(np.intp) % width
    elif all(isinstance(name, str) for name in given.ravel()):
        known = {name: place for place, name in enumerate(() if names is None else names)}
        missing = [str(name) for name in given.ravel() if name not in known]
        if missing:
            raise ValueError(f"steps must hold names of X's columns, got {missing[0]!r}")
        places = np.array([known[name] for name in given.ravel()]).reshape(given.shape)
    else:
        raise TypeError(f"{wanted}, got an array of dtype {given.dtype}")
    if len(np.unique(places)) < places.size:
        raise ValueError(f"steps must hold each column once, got {given.tolist()}")
    return places


def _by_name(chosen: Array, names: Sequence[str] | None) -> Array:
    """Columns called lag_k, lagk or x_lag_k, oldest first; groups of the same lags side by side."""
    groups: dict[str | None, dict[int, int]] = {}
    for place in chosen:
        name = str(names[place]) if names is not None else ""
        if match := _LAG.fullmatch(name):
            group, lag = groups.setdefault(match[1], {}), int(match[2])
            if lag in group and names is not None:
                raise ValueError(
                    f"X must have one column a lag, got {names[group[lag]]} and {name}"
                )
            group[lag] = int(place)
    if not groups:
        raise ValueError(
            'lag_order="names" needs columns called lag_1, lag_2, ..., lag1, ... or x_lag_1, ...; '
            f"got {'no names' if names is None else list(map(str, names))}"
        )
    lags = max((sorted(group) for group in groups.values()), key=len)
    alike = [group for group in groups.values() if sorted(group) == lags]
    return np.array([[group[lag] for group in alike] for lag in reversed(lags)])
