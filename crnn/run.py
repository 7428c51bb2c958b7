"""TrainingRun: the state of a training; History and TrainingDiverged."""

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
    """The record of a training, one entry per epoch.

    Attributes
    ----------
    loss : list of float
        Mean training loss of the epoch: the losses of its batches, each before its update, weighted
        by their valid elements.
    validation_loss : list of float
        Loss on the validation data after the epoch. Empty without validation data.
    metrics : dict of str to list of float
        Values of the metrics after the epoch.
    best_epoch : int or None
        With early stopping: the best epoch, counted from 1, whose parameters were restored.
    refit_loss : list of float
        Like `loss`, for the epochs of a refit.
    seconds : list of float
        Training time of the epoch in seconds, without validation.
    clipped_fraction : list of float
        Share of the epoch's gradient elements that `clip_value` clipped.
    gradient_norm : list of (float, float)
        Mean and largest norm of the gradients of the epoch's batches, before clipping. The norm is
        over all parameters together. Empty without `clip_norm`.
    learning_rate : list of float
        The learning rate of the epoch's last update.
    workspace_bytes : int
        Memory in bytes that the training allocates once, for activations, gradients and packed
        weights.
    seed : int or None
        Seed of the order of samples and the dropout masks, also if the Trainer's seed is None. None
        before the training starts.
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
        """The losses of the last epoch as text."""
        text = f"loss {self.loss[-1]:.3e}"
        if self.validation_loss:
            text += f"  validation {self.validation_loss[-1]:.3e}"
        return text


class TrainingDiverged(RuntimeError):
    """Training produced NaN or infinity. The parameters are those of the last good epoch.

    Attributes
    ----------
    epoch, batch : int
        Epoch and batch, counted from 1, where training first produced NaN or infinity. If only the
        weights overflowed, the last batch of that epoch.
    history : History
        The history of the epochs before.
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
    """A training that runs epoch by epoch: optimiser state, epoch count, seed and History.

    ``Trainer.start`` creates it. A loop over ``epoch`` trains like ``Trainer.fit``: every epoch has
    its own order of samples, and the optimiser keeps its state.

    Attributes
    ----------
    model : RNN
        The network. Training changes its parameters.
    history : History
    seed : int
        Seed of the order of samples and the dropout masks. If the Trainer's seed is None, it is
        drawn from the system.
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
        self._rates = rates  # the recorded rate of each epoch; only a refit has them
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
        """Keep the threads from epoch to epoch."""
        with _cell.Crew(self._threads) as self._crew:
            try:
                yield
            finally:
                self._crew = None

    def epoch(self) -> None:
        """Train for one epoch and record it in ``history``. After ``stop`` it does nothing.

        Raises
        ------
        TrainingDiverged
            If a loss, gradient or parameter is not finite. The parameters are those before the
            epoch.
        KeyboardInterrupt
            On Ctrl-C, within 0.1 s. The parameters are those after the last complete batch. The
            attribute ``history`` of the exception is the History.
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
                bad_batch = updates  # the gradient was finite and the update overflowed
            if bad_batch:
                weights.flat[:] = self._good
                raise TrainingDiverged(
                    self._epochs + 1,
                    bad_batch,
                    self.history,
                    self._unscaled(),
                )
        except BaseException as error:
            if not np.isfinite(weights.flat).all():  # a signal interrupted an epoch that diverged
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
        """What is wrong with the scale of inputs or targets; None if nothing is."""
        return self._data.unscaled(self.model, self._loss)

    def _updates(
        self, crew: _cell.Crew, plan: Array, order: Array | None, key: int, rates: float | Array
    ) -> tuple[float, float, int, int] | None:
        """Make the updates of one epoch. A subclass may make them in another way.

        Returns the mean loss, the number of clipped elements, the number of updates and the first
        bad update (0: none). Returns None if the run was stopped before.
        """
        self._training.begin_epoch(plan, order, key, rates)
        if self.stopped:
            return None
        crew.run(self._training)
        mean_loss, _, clipped, updates, bad_batch = self._training.end_epoch()
        return mean_loss, clipped, updates, bad_batch

    def _epoch_rates(self, updates: int) -> float | Array:
        """Learning rates of the next epoch's updates. The schedule first gets the last loss."""
        if self._rates is not None and self._schedule_state:
            return self._rates[self._epochs]  # a refit lacks the losses that the schedule needs
        if self._epochs:
            watched = (self.history.validation_loss or self.history.loss)[-1]
            self._schedule_state = self._schedule.after(
                self._epochs - 1, watched, self._schedule_state
            )
        return self._schedule.rates(self._epochs, updates, self._schedule_state)

    # ---- for checkpoints ----

    def _state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Copies of the parameters and of the optimiser's state, and the schedule's state."""
        arrays = {"updates": np.array([self._training.updates_done])}
        for moment, views in self._training.moments.items():
            arrays |= {f"{moment}.{name}": array.copy() for name, array in views.items()}
        return arrays | kept(self.model, "parameters"), self._schedule_state

    def _restore(self, arrays: Mapping[str, Array], schedule: dict[str, Any], epochs: int) -> None:
        """Restore what `_state` returned after this number of epochs."""
        put_back(self.model, arrays, "parameters")
        for moment, views in self._training.moments.items():
            for name, array in views.items():
                array[...] = arrays[f"{moment}.{name}"]
        self._training.updates_done = int(arrays["updates"][0])
        self._schedule_state, self._epochs = schedule, epochs

    def update(self, gradients: Mapping[str, ArrayLike]) -> None:
        """Clip the given gradients and take one step of the optimiser.

        Use it for gradients that are computed elsewhere, such as a mean over several processes. The
        learning rate is the schedule's for the current epoch; updates do not count as epochs.

        Parameters
        ----------
        gradients : mapping of str to array_like
            An array for every parameter, as ``RNN.gradients`` returns them.

        Raises
        ------
        TypeError, ValueError
            If a name is missing or unknown, a shape differs or a number is not finite. No parameter
            changes.

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
        """End the training after the current batch. Any thread may call it.

        The parameters keep what was learned. The History records the last epoch up to that batch.
        Later calls of ``epoch`` do nothing.
        """
        self.stopped = True
        self._training.halt()


# Parameters are kept by name, because the padding of rows depends on the instruction set.


def kept(model: RNN, state: str) -> dict[str, Array]:
    """Copies of the parameters. Each name begins with the name of a state."""
    return {f"{state}.{name}": array for name, array in model.state_dict().items()}


def put_back(model: RNN, arrays: Mapping[str, Array], state: str) -> None:
    """Restore the parameters that `kept` returned."""
    model._weights.load({name: arrays[f"{state}.{name}"] for name in model._weights.arrays})
