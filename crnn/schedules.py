"""Learning-rate schedules: the learning rate of every epoch.

A schedule is a small object: ``Cosine(0.01, epochs=50)``. The ``learning_rate`` of `crnn.Trainer`
is a schedule, a number, or a function that takes the epoch and returns the rate. Epochs count from
0. All updates of an epoch have the same rate, except in `Warmup`. The rate may reach zero.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from crnn import _arguments
from crnn._arguments import Array
from crnn._settings import Setting

__all__ = ["Cosine", "Exponential", "ReduceOnPlateau", "Schedule", "Step", "Warmup", "named"]

State: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Schedule(Setting):
    """Base class of all schedules.

    A schedule object never changes. `ReduceOnPlateau` keeps what it knows about past losses in a
    *state*: a dict of numbers, which can be written to a file. The state of other schedules is
    empty. A training uses them as follows::

        state = schedule.start()
        for epoch in range(epochs):
            rates = schedule.rates(epoch, updates, state)
            ...                                             # the updates, and the loss
            state = schedule.after(epoch, loss, state)

    Attributes
    ----------
    name : str
        Name of the schedule in `settings`.
    """

    def start(self) -> dict[str, Any]:
        """Return the state before the first epoch."""
        return {}

    def at(self, epoch: float, state: State | None = None) -> float:
        """Return the learning rate at a time.

        Parameters
        ----------
        epoch : float
            Epochs since the training began, at least 0: 2.5 is the middle of the third epoch.
        state : dict, optional
            The default is that of `start`.

        Returns
        -------
        float

        Examples
        --------
        >>> from crnn import schedules
        >>> [schedules.Step(0.5, every=2).at(epoch) for epoch in (0, 1, 2)]
        [0.5, 0.5, 0.05]
        """
        raise NotImplementedError

    def rates(self, epoch: int, updates: int, state: State | None = None) -> float | Array:
        """Return the learning rates of an epoch's updates.

        Parameters
        ----------
        epoch : int
            The epoch, counted from 0.
        updates : int
            Number of updates in the epoch.
        state : dict, optional
            The default is that of `start`.

        Returns
        -------
        float or ndarray of float64, shape (updates,)
            One number if all updates have the same rate.

        Raises
        ------
        TypeError, ValueError
            If a rate is not a number, is negative or is not finite. The message names the epoch.
        """
        return _checked(epoch, self.at(epoch, state))

    def after(self, epoch: int, loss: float, state: State) -> dict[str, Any]:
        """Return the state after an epoch.

        Parameters
        ----------
        epoch : int
            The epoch that has ended, from 0.
        loss : float
            The validation loss after the epoch, or the training loss if there is no validation
            data.
        state : dict
            The state before the epoch.

        Returns
        -------
        dict
            The new state.
        """
        return dict(state)

    def settings(self) -> dict[str, Any]:
        """Return the name and the numbers of the schedule, in types that JSON has.

        Returns
        -------
        dict
            ``{"name": ...}`` and the schedule's parameters by name. A function is described by its
            module and name.

        Examples
        --------
        >>> from crnn import schedules
        >>> schedules.Warmup(2, then=schedules.Exponential(0.1, 0.9)).settings()["then"]
        {'name': 'exponential', 'rate': 0.1, 'factor': 0.9}
        """
        given = super().settings()
        return {
            key: value if isinstance(value, (str, numbers.Real)) else _schedule(value).settings()
            for key, value in given.items()
        }


@dataclass(frozen=True)
class Step(Schedule):
    """Multiply the rate by a factor after every `every` epochs.

    ::

        rate factor^(epoch // every)

    Parameters
    ----------
    rate : float
        The first learning rate, greater than 0.
    every : int
        Epochs between two steps.
    factor : float, default 0.1
        Greater than 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

    Notes
    -----
    As ``torch.optim.lr_scheduler.StepLR``, where `every` is step_size and `factor` is gamma.

    Examples
    --------
    >>> from crnn import schedules
    >>> [schedules.Step(0.4, every=2, factor=0.5).at(epoch) for epoch in range(5)]
    [0.4, 0.4, 0.2, 0.2, 0.1]
    """

    name: ClassVar[str] = "step"
    rate: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        self._set("rate", _arguments.real("rate", self.rate, above=0))
        self._set("every", _arguments.integer("every", self.every))
        self._set("factor", _arguments.real("factor", self.factor, above=0))

    def at(self, epoch: float, state: State | None = None) -> float:
        """As `Schedule.at`."""
        return self.rate * _power(self.factor, math.floor(epoch) // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiply the rate by a factor after every epoch.

    ::

        rate factor^epoch

    Parameters
    ----------
    rate : float
        The first learning rate, greater than 0.
    factor : float
        Greater than 0. A factor above 1 makes the rate grow, for instance to find the largest rate
        that works.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

    Notes
    -----
    As ``torch.optim.lr_scheduler.ExponentialLR``, where `factor` is gamma.

    Examples
    --------
    >>> from crnn import schedules
    >>> [schedules.Exponential(1.0, 0.5).at(epoch) for epoch in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    name: ClassVar[str] = "exponential"
    rate: float
    factor: float

    def __post_init__(self) -> None:
        self._set("rate", _arguments.real("rate", self.rate, above=0))
        self._set("factor", _arguments.real("factor", self.factor, above=0))

    def at(self, epoch: float, state: State | None = None) -> float:
        """As `Schedule.at`."""
        return self.rate * _power(self.factor, math.floor(epoch))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Lower the rate along half a cosine, slowly at both ends, and then keep it.

    ::

        final + (rate - final) (1 + cos(pi min(epoch, epochs) / epochs)) / 2

    Parameters
    ----------
    rate : float
        The first learning rate, greater than 0.
    epochs : int
        Number of epochs until the rate is `final`.
    final : float, default 0.0
        At least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

    Notes
    -----
    As ``torch.optim.lr_scheduler.CosineAnnealingLR``, where `epochs` is T_max and `final` is
    eta_min. They differ after `epochs`: PyTorch's rate rises again, and this one stays at `final`.

    References
    ----------
    I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    https://arxiv.org/abs/1608.03983 (without the restarts).

    Examples
    --------
    >>> from crnn import schedules
    >>> [round(schedules.Cosine(0.1, epochs=4).at(epoch), 4) for epoch in range(6)]
    [0.1, 0.0854, 0.05, 0.0146, 0.0, 0.0]
    """

    name: ClassVar[str] = "cosine"
    rate: float
    epochs: int
    final: float = 0.0

    def __post_init__(self) -> None:
        self._set("rate", _arguments.real("rate", self.rate, above=0))
        self._set("epochs", _arguments.integer("epochs", self.epochs))
        self._set("final", _arguments.real("final", self.final, minimum=0))

    def at(self, epoch: float, state: State | None = None) -> float:
        """As `Schedule.at`."""
        part = math.floor(epoch) / self.epochs
        if part >= 1:
            return self.final
        return self.final + (self.rate - self.final) * (1 + math.cos(math.pi * part)) / 2


@dataclass(frozen=True)
class Warmup(Schedule):
    """Raise the rate linearly, update by update, and then follow another schedule.

    With r the first rate of `then`::

        r (start_factor + (1 - start_factor) epoch / epochs)        while epoch < epochs
        then                                                        afterwards

    The k-th of the K updates of an epoch, counted from 0, is at the time epoch + k / K. `then`
    counts its epochs from the one in which the warm-up ends.

    Parameters
    ----------
    epochs : float
        Length of the warm-up in epochs, greater than 0. Fractions are allowed: 0.5 is half an
        epoch.
    then : float, schedule or callable
        The learning rate afterwards: a number, a schedule, or a function of the epoch.
    start_factor : float, default 1/3
        The first rate divided by the first rate of `then`. Greater than 0 and at most 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

    Notes
    -----
    As a ``torch.optim.lr_scheduler.SequentialLR`` of LinearLR and another schedule, stepped after
    every update. If `then` is `ReduceOnPlateau`, it watches the losses after the warm-up only.

    References
    ----------
    P. Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017,
    https://arxiv.org/abs/1706.02677.

    Examples
    --------
    >>> from crnn import schedules
    >>> warmup = schedules.Warmup(1, then=0.8, start_factor=0.25)
    >>> warmup.rates(0, 3).round(6).tolist()
    [0.2, 0.4, 0.6]
    >>> warmup.rates(1, 3)
    0.8
    """

    name: ClassVar[str] = "warmup"
    epochs: float
    then: float | Schedule | Callable[[int], float]
    start_factor: float = 1 / 3

    def __post_init__(self) -> None:
        self._set("epochs", _arguments.real("epochs", self.epochs, above=0))
        self._set("start_factor", _arguments.real("start_factor", self.start_factor, above=0))
        if self.start_factor > 1:
            raise ValueError(f"start_factor must be at most 1, got {self.start_factor}")
        named("then", self.then)
        if isinstance(self.then, numbers.Real):
            self._set("then", float(self.then))

    def start(self) -> dict[str, Any]:
        """As `Schedule.start`."""
        return _schedule(self.then).start()

    def at(self, epoch: float, state: State | None = None) -> float:
        """As `Schedule.at`."""
        then = _schedule(self.then)
        if epoch < self.epochs:
            first = then.at(0)
            return first * (self.start_factor + (1 - self.start_factor) * (epoch / self.epochs))
        return then.at(epoch - math.floor(self.epochs), state)

    def rates(self, epoch: int, updates: int, state: State | None = None) -> float | Array:
        """As `Schedule.rates`."""
        then = _schedule(self.then)
        own = max(0, epoch - math.floor(self.epochs))
        if epoch >= self.epochs:
            return then.rates(own, updates, state)
        place = epoch + np.arange(updates) / max(updates, 1)
        first = _checked(0, then.at(0))
        rising = first * (self.start_factor + (1 - self.start_factor) * (place / self.epochs))
        if epoch + 1 <= self.epochs:
            return rising
        return np.where(place < self.epochs, rising, then.rates(own, updates, state))

    def after(self, epoch: int, loss: float, state: State) -> dict[str, Any]:
        """As `Schedule.after`."""
        own = epoch - math.floor(self.epochs)
        return _schedule(self.then).after(own, loss, state) if own >= 0 else dict(state)


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiply the rate by a factor when the loss stops falling.

    It watches the validation loss, or the training loss if there is no validation data. An epoch is
    bad if its loss is not below ``best * (1 - threshold)``, where best is the lowest loss so far.
    After patience + 1 bad epochs in a row, the rate becomes ``max(rate * factor, min_rate)``, and
    the count of bad epochs starts at zero again.

    Parameters
    ----------
    rate : float
        The first learning rate, greater than 0.
    factor : float, default 0.1
        Between 0 and 1, both excluded.
    patience : int, default 10
        Number of bad epochs in a row that leave the rate unchanged, at least 0.
    threshold : float, default 1e-4
        Smallest relative improvement of the loss, at least 0 and below 1.
    min_rate : float, default 0.0
        The lowest rate, from 0 to `rate`.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

    Notes
    -----
    As ``torch.optim.lr_scheduler.ReduceLROnPlateau`` with mode "min" and a relative threshold,
    where `min_rate` is min_lr. There is no cooldown and no eps.

    Examples
    --------
    >>> from crnn import schedules
    >>> plateau = schedules.ReduceOnPlateau(0.5, patience=1)
    >>> state = plateau.start()
    >>> for epoch, loss in enumerate([3.0, 2.0, 2.0, 2.0]):
    ...     state = plateau.after(epoch, loss, state)
    >>> plateau.at(4, state)
    0.05
    """

    name: ClassVar[str] = "reduce_on_plateau"
    rate: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    min_rate: float = 0.0

    def __post_init__(self) -> None:
        self._set("rate", _arguments.real("rate", self.rate, above=0))
        self._set("factor", _arguments.real("factor", self.factor, above=0, below=1))
        self._set("patience", _arguments.integer("patience", self.patience, minimum=0))
        self._set("threshold", _arguments.real("threshold", self.threshold, minimum=0, below=1))
        self._set("min_rate", _arguments.real("min_rate", self.min_rate, minimum=0))
        if self.min_rate > self.rate:
            raise ValueError(f"min_rate must be at most rate, {self.rate}, got {self.min_rate}")

    def start(self) -> dict[str, Any]:
        """As `Schedule.start`."""
        return {"rate": self.rate, "best": None, "bad_epochs": 0}

    def at(self, epoch: float, state: State | None = None) -> float:
        """As `Schedule.at`."""
        return float((state or self.start())["rate"])

    def after(self, epoch: int, loss: float, state: State) -> dict[str, Any]:
        """As `Schedule.after`."""
        rate, best, bad_epochs = state["rate"], state["best"], state["bad_epochs"] + 1
        if loss < (math.inf if best is None else best * (1 - self.threshold)):
            best, bad_epochs = loss, 0
        if bad_epochs > self.patience:
            rate, bad_epochs = max(rate * self.factor, self.min_rate), 0
        return {"rate": rate, "best": best, "bad_epochs": bad_epochs}


@dataclass(frozen=True)
class _Constant(Schedule):
    """The same rate in all epochs."""

    name: ClassVar[str] = "constant"
    rate: float

    def at(self, epoch: float, state: State | None = None) -> float:
        return self.rate


@dataclass(frozen=True)
class _Function(Schedule):
    """The rate that a function of the epoch returns."""

    name: ClassVar[str] = "function"
    function: Callable[[int], float]

    def at(self, epoch: float, state: State | None = None) -> float:
        return self.function(math.floor(epoch))

    def settings(self) -> dict[str, Any]:
        of = self.function if hasattr(self.function, "__qualname__") else type(self.function)
        return {"name": self.name, "function": f"{of.__module__}.{of.__qualname__}"}


_SCHEDULES = (Step, Exponential, Cosine, Warmup, ReduceOnPlateau)


def named(name: str, value: object) -> Schedule:
    """Return the schedule that an argument stands for.

    Parameters
    ----------
    name : str
        The argument's name, for error messages.
    value : float, Schedule or callable
        A number greater than 0, a schedule, or a function that takes the epoch (from 0) and returns
        its learning rate.

    Returns
    -------
    Schedule
        `value` itself, or a schedule that gives the number or calls the function.

    Raises
    ------
    TypeError
        If `value` is none of these.
    ValueError
        If the number is not finite or not greater than 0.

    Examples
    --------
    >>> from crnn import schedules
    >>> schedules.named("learning_rate", 0.01).at(3)
    0.01
    >>> schedules.named("learning_rate", lambda epoch: 1 / (epoch + 1)).at(3)
    0.25
    """
    if type(value) in _SCHEDULES:
        schedule: Schedule = value  # type: ignore[assignment]
        return schedule
    if callable(value) and not isinstance(value, type):
        return _Function(value)
    if isinstance(value, numbers.Real):
        return _Constant(_arguments.real(name, value, above=0))
    raise TypeError(
        f"{name} must be a real number, a schedule of crnn.schedules or a function of the epoch, "
        f"got {value!r}"
    )


def _schedule(value: object) -> Schedule:
    return named("then", value)


def _checked(epoch: int, rate: object) -> float:
    return _arguments.real(f"the learning rate of epoch {epoch} (counted from 0)", rate, minimum=0)


def _power(factor: float, exponent: int) -> float:
    try:
        return factor**exponent
    except OverflowError:
        return math.inf
