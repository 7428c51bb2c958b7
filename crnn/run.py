"""TrainingRun: what a training needs while it goes on; History and TrainingDiverged."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from crnn import _arguments, _batches, _cell, _scaling, _threads
from crnn._arguments import Array
from crnn.model import RNN

if TYPE_CHECKING:
    from crnn import losses
    from crnn._fit import Data
    from crnn.trainer import Trainer


@dataclass(repr=False)
class History:
    """What a fit measured, one entry an epoch.

    Attributes
    ----------
    loss : list of float
        Mean over the epoch of the losses of its batches as they were trained, weighted by their
        valid elements.
    validation_loss : list of float
        Loss on the validation data after the epoch; empty without validation data.
    metrics : dict of str to list of float
        What the metrics gave after the epoch.
    best_epoch : int or None
        With early stopping the epoch, counted from 1, whose parameters were restored.
    refit_loss : list of float
        As `loss`, of the epochs of a refit.
    seconds : list of float
        Time of the epoch's training, without validation.
    clipped_fraction : list of float
        Share of the epoch's gradient elements that `clip_value` clipped.
    gradient_norm : list of (float, float)
        Mean and largest norm of the gradients of the epoch's batches, all parameters together,
        before clipping; empty without `clip_norm`.
    learning_rate : list of float
        The learning rate of the epoch's last update.
    workspace_bytes : int
        Memory that the fit allocated once for its activations, gradients and packed weights.
    seed : int or None
        The seed of the orders and dropout masks, also where the Trainer's is None. None before the
        training starts.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int | None = None
    refit_loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    clipped_fraction: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    gradient_norm: list[tuple[float, float]] = field(default_factory=list)
    workspace_bytes: int = 0
    seed: int | None = None

    def __repr__(self) -> str:
        last = f", {self.last()}" if self.loss else ""
        return f"<History of {len(self.loss)} epochs{last}>"

    def last(self) -> str:
        """The last epoch's losses in words."""
        text = f"loss {self.loss[-1]:.3e}"
        if self.validation_loss:
            text += f"  validation {self.validation_loss[-1]:.3e}"
        return text


class TrainingDiverged(RuntimeError):
    """Something was no longer finite in training; the parameters are those of the last good epoch.

    Attributes
    ----------
    epoch, batch : int
        Epoch and batch, counted from 1, where training first produced NaN or infinity. If only the
        weights overflowed, the last batch of that epoch.
    history : History
        The epochs before.
    """

    def __init__(
        self, epoch: int, batch: int, history: History, unscaled: str | None = None
    ) -> None:
        restored = (
            f"those of the end of epoch {epoch - 1}" if epoch > 1 else "those before this fit"
        )
        advice = "A smaller learning_rate or clip_value may help"
        if unscaled is not None:
            advice = f"{unscaled}: {_scaling.ADVICE}"
        super().__init__(
            f"a loss, gradient or parameter was not finite in epoch {epoch}, batch {batch}; the "
            f"parameters are {restored}. {advice}"
        )
        self.epoch = epoch
        self.batch = batch
        self.history = history
        self._unscaled = unscaled

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.epoch, self.batch, self.history, self._unscaled)


class TrainingRun:
    """A training that goes on: optimiser state, epochs so far, seed and History.

    Made by ``Trainer.start``. A loop over ``epoch`` trains as ``Trainer.fit`` does: every epoch has
    an order of its own, and the optimiser keeps its state.

    Attributes
    ----------
    model : RNN
        Its parameters change.
    history : History
    seed : int
        Of the order of samples and the dropout masks; drawn from the system where the Trainer's is
        None.
    stopped : bool
        Whether ``stop`` was called.

    Examples
    --------
    >>> import crnn
    >>> x, y = crnn.dataset.windows(crnn.dataset.sine_wave(200), timesteps=25)
    >>> model = crnn.RNN(1, 16, 1, seed=0)
    >>> run = crnn.Trainer(optimizer="adam", seed=0).start(model, x, y)
    >>> for _ in range(3):
    ...     run.epoch()
    >>> len(run.history.loss)
    3
    """

    def __init__(
        self,
        trainer: Trainer,
        model: RNN,
        data: Data,
        loss: losses.Loss,
        seed: int,
        history: History | None = None,
        rates: list[float] | None = None,
    ) -> None:
        from crnn import optimizers, schedules

        samples, weight = data.samples, data.weight
        self.model, self.seed = model, seed
        self.history = History() if history is None else history
        self.history.seed = seed
        self.stopped = False
        self._trainer, self._data, self._loss = trainer, data, loss
        self._rates = rates  # of the epochs, where they were recorded: this is a refit
        steps = min(samples.steps, trainer.truncated_bptt_steps or samples.steps)
        rows = min(trainer.batch_size, len(samples))
        self._batches: _batches.Batches = model._batches(
            samples, data.wanted, loss, rows, steps, data.missing, weight
        )
        self._threads = _threads.choose(
            trainer.threads,
            3 * rows * steps * model._weights.work,
            _cell.shards(rows, model.hidden_size),
        )
        self._training = _cell.Training(
            model._weights,
            samples,
            data.wanted,
            rows,
            self._threads,
            optimizer=optimizers.named("optimizer", trainer.optimizer),
            clip_value=trainer.clip_value,
            clip_norm=trainer.clip_norm,
            loss=loss,
            every=model.output == "all",
            steps=steps,
            sample_weight=weight,
            dropout=model.dropout,
            recurrent_dropout=model.recurrent_dropout,
        )
        self.history.workspace_bytes = self._training.workspace_bytes
        self._schedule = schedules.named("learning_rate", trainer.learning_rate)
        self._schedule_state = self._schedule.start()
        self._crew: _cell.Crew | None = None
        self._epochs = 0
        self._good = model._weights.flat.copy()

    @contextmanager
    def _keeping_threads(self) -> Iterator[None]:
        """Threads that stay from epoch to epoch."""
        with _cell.Crew(self._threads) as self._crew:
            try:
                yield
            finally:
                self._crew = None

    def epoch(self) -> None:
        """Train for one epoch, and note it in ``history``. After ``stop`` it does nothing.

        Raises
        ------
        TrainingDiverged
            If a loss or gradient is no longer finite; the parameters are those before the epoch.
        KeyboardInterrupt
            On Ctrl-C, within 0.1 s; the parameters are those after the last whole batch. Its
            attribute ``history`` is the History.
        """
        if self._crew is not None:
            self._epoch(self._crew)
        else:
            with _cell.Crew(self._threads) as crew:
                self._epoch(crew)

    def _epoch(self, crew: _cell.Crew) -> None:
        if self.stopped:
            return
        weights, model, training = self.model._weights, self.model, self._training
        self._good[:] = weights.flat
        try:
            start = time.perf_counter()
            order = self._batches.order(self.seed, self._epochs if self._trainer.shuffle else None)
            drops = model.dropout > 0 or model.recurrent_dropout > 0
            key = _cell.dropout_key(self.seed, self._epochs) if drops else 0
            plan = self._batches.plan(order)
            rates = self._epoch_rates(len(plan))
            done = self._updates(crew, plan, order, key, rates)
            if done is None:
                return
            mean_loss, clipped, updates, bad_batch = done
            if not bad_batch and not np.isfinite(weights.flat).all():
                bad_batch = updates  # a finite gradient, and an update that overflows
            if bad_batch:
                weights.flat[:] = self._good
                raise TrainingDiverged(
                    self._epochs + 1,
                    bad_batch,
                    self.history,
                    self._unscaled(),
                )
        except BaseException as error:
            if not np.isfinite(weights.flat).all():  # a signal in the very epoch that diverges
                weights.flat[:] = self._good
            if isinstance(error, KeyboardInterrupt):
                error.history = self.history  # type: ignore[attr-defined]
            raise
        self._epochs += 1
        if self._rates is not None:
            self.history.refit_loss.append(mean_loss)
            return
        self.history.seconds.append(time.perf_counter() - start)
        self.history.loss.append(mean_loss)
        self.history.learning_rate.append(float(np.ravel(rates)[-1]))
        if training.gradient_norm is not None:
            self.history.gradient_norm.append(training.gradient_norm)
        self.history.clipped_fraction.append(clipped / (max(updates, 1) * weights.elements))

    def _unscaled(self) -> str | None:
        """Whether inputs or targets have a scale that does not suit a network, in words."""
        return self._data.unscaled(self.model, self._loss)

    def _updates(
        self, crew: _cell.Crew, plan: Array, order: Array | None, key: int, rates: float | Array
    ) -> tuple[float, float, int, int] | None:
        """Make the updates of one epoch; a subclass may make them in another way.

        Returns the mean loss, clipped elements, updates and first bad update (0: none); None where
        the run was stopped before.
        """
        self._training.begin_epoch(plan, order, key, rates)
        if self.stopped:
            return None
        crew.run(self._training)
        mean_loss, _, clipped, updates, bad_batch = self._training.end_epoch()
        return mean_loss, clipped, updates, bad_batch

    def _epoch_rates(self, updates: int) -> float | Array:
        """Learning rates of the coming epoch's updates, after a look at how the last one went."""
        if self._rates is not None and self._schedule_state:
            return self._rates[self._epochs]  # it depends on losses that a refit does not have
        if self._epochs:
            watched = (self.history.validation_loss or self.history.loss)[-1]
            self._schedule_state = self._schedule.after(
                self._epochs - 1, watched, self._schedule_state
            )
        return self._schedule.rates(self._epochs, updates, self._schedule_state)

    # ---- for checkpoints ----

    def _state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Parameters and the optimiser's state after an epoch, copied, and the schedule's state."""
        arrays = {"updates": np.array([self._training.updates_done])}
        for moment, views in self._training.moments.items():
            arrays |= {f"{moment}.{name}": array.copy() for name, array in views.items()}
        return arrays | kept(self.model, "parameters"), self._schedule_state

    def _restore(self, arrays: Mapping[str, Array], schedule: dict[str, Any], epochs: int) -> None:
        """What `_state` gave after so many epochs."""
        put_back(self.model, arrays, "parameters")
        for moment, views in self._training.moments.items():
            for name, array in views.items():
                array[...] = arrays[f"{moment}.{name}"]
        self._training.updates_done = int(arrays["updates"][0])
        self._schedule_state, self._epochs = schedule, epochs

    def update(self, gradients: Mapping[str, ArrayLike]) -> None:
        """Clip given gradients, and take one step of the optimiser along them.

        For gradients that come from elsewhere, such as the mean over several processes.

        Parameters
        ----------
        gradients : mapping of str to array_like
            An array for every parameter, as ``RNN.gradients`` returns them.

        Raises
        ------
        TypeError, ValueError
            If a name is missing or unknown, a shape differs or a number is not finite; no parameter
            has changed then.

        Examples
        --------
        >>> import crnn, numpy as np
        >>> x, y = np.ones((4, 3)), np.zeros(4)
        >>> model = crnn.RNN(1, 4, 1, seed=0)
        >>> run = crnn.Trainer(optimizer="adam", clip_norm=1.0).start(model, x, y)
        >>> loss, gradients = model.gradients(x, y)
        >>> run.update(gradients)
        >>> model.loss(x, y) < loss
        True
        """
        checked = _arguments.arrays_like(
            "gradients", gradients, self.model._weights.arrays, self.model.dtype
        )
        state = self._schedule_state
        rate = self._schedule.rates(self._epochs, 1, state)
        self._training.apply(checked, float(np.ravel(rate)[0]))

    def stop(self) -> None:
        """End the epoch after its current batch; from any thread. No epoch follows.

        The parameters keep what was learned, and the History notes the epoch as far as it came.
        """
        self.stopped = True
        self._training.halt()


# By name: how far rows are padded in the flat array depends on the instruction set.


def kept(model: RNN, state: str) -> dict[str, Array]:
    """Copies of the parameters, under the name of a state."""
    return {f"{state}.{name}": array for name, array in model.state_dict().items()}


def put_back(model: RNN, arrays: Mapping[str, Array], state: str) -> None:
    """Take the parameters that `kept` gave."""
    model._weights.load({name: arrays[f"{state}.{name}"] for name in model._weights.arrays})
