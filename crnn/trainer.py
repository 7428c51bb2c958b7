"""Trainer, History, TrainingDiverged: epochs, batches, learning rate, clipping, validation."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike

from crnn import _arguments, _cell, _samples, _threads, losses, optimizers, schedules
from crnn.dataset import Sequences
from crnn.model import RNN


class _NotGiven:
    """The default of `clip_value`: 1.0, or None with `clip_norm`."""

    def __repr__(self) -> str:
        return "1.0 without clip_norm, else None"


_NOT_GIVEN = _NotGiven()


@dataclass(repr=False)
class History:
    """What a fit measured, one entry an epoch.

    Attributes
    ----------
    loss : list of float
        Mean over the epoch of the losses of its batches as they were trained, weighted by rows.
    validation_loss : list of float
        Loss on the validation data after the epoch; empty without validation data.
    seconds : list of float
        Time of the epoch's training, without validation.
    clipped_fraction : list of float
        Gradient elements that `clip_value` clipped over all gradient elements of the epoch.
    learning_rate : list of float
        The learning rate of the epoch's last update.
    gradient_norm : list of (float, float)
        Mean and largest norm of the gradients of the epoch's batches, all parameters together,
        before clipping; empty without `clip_norm`.
    workspace_bytes : int
        Memory that the fit allocated once for its activations, gradients and packed weights.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    clipped_fraction: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    gradient_norm: list[tuple[float, float]] = field(default_factory=list)
    workspace_bytes: int = 0

    def __repr__(self) -> str:
        last = f", {_losses(self)}" if self.loss else ""
        return f"<History of {len(self.loss)} epochs{last}>"


class TrainingDiverged(RuntimeError):
    """Something was no longer finite in training; the parameters are those of the last good epoch.

    Attributes
    ----------
    epoch, batch : int
        Where a loss or gradient was first not finite, both counted from 1; the epoch's last batch
        where only a parameter was.
    history : History
        The epochs before.
    """

    def __init__(self, epoch: int, batch: int, history: History) -> None:
        restored = (
            f"those of the end of epoch {epoch - 1}" if epoch > 1 else "those before this fit"
        )
        super().__init__(
            f"a loss, gradient or parameter was not finite in epoch {epoch}, batch {batch}; the "
            f"parameters are {restored}. A smaller learning_rate or clip_value may help"
        )
        self.epoch = epoch
        self.batch = batch
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.epoch, self.batch, self.history)


@dataclass(kw_only=True)
class Trainer:
    """Trains an RNN in batches, with clipped gradients.

    One epoch is one compiled call without the GIL. The loss of a batch is the sum over its valid
    elements (rows, outputs, and steps where the network's output is "all") divided by their number.
    For every batch, with g the gradient of its loss and norm the root of the sum of the squares of
    all its elements, of all parameters together::

        g = g min(1, clip_norm / (norm + 1e-6))       with clip_norm
        g = min(max(g, -clip_value), clip_value)      with clip_value

    and then one step of the optimiser along g (equations: `crnn.optimizers`).

    Parameters
    ----------
    epochs : int, default 50
    batch_size : int, default 32
        Rows of a batch; the last batch of an epoch may be smaller.
    learning_rate : float, schedule or callable, default 1e-2
        A number, a schedule of `crnn.schedules`, or a function that takes the epoch (from 0) and
        returns its learning rate.
    optimizer : str or an optimiser of ``crnn.optimizers``, default "sgd"
        "sgd", "rmsprop", "adam" and "adamw" stand for the optimisers with their defaults.
    clip_value : float or None, optional
        Bound of every element of the gradient. None turns this clipping off. If not given it is 1.0
        without `clip_norm`, and None with it.
    clip_norm : float, optional
        Bound of the norm of the whole gradient, as ``torch.nn.utils.clip_grad_norm_``. With it
        ``History.gradient_norm`` is recorded; ``inf`` records and clips nothing.
    loss : str or a loss of ``crnn.losses``, default "mse"
        "mse", "mae", "huber", "quantile", "cross_entropy" or "binary_cross_entropy" stand for the
        losses with their defaults.
    truncated_bptt_steps : int, optional
        Cut each sequence into chunks of so many steps, counted from its own first step, with one
        update for each chunk that has a target. The state goes on from chunk to chunk, the gradient
        does not [1]_. Memory is that of one chunk. None: whole sequences.
    shuffle : bool, default True
        Whether every epoch takes the samples in a new order.
    seed : int, optional
        Of the shuffling: epoch e, counted from 0, takes the samples in the order
        ``numpy.random.default_rng([seed, e]).permutation(N)``; sequences of different lengths are
        then sorted inside each batch, longest first. Dropout masks follow from the seed too. The
        same seed gives the same bits, whatever ``threads`` is.
    progress : bool, default False
        Show a tqdm bar (extra ``progress``), or plain lines where tqdm is not installed.
    threads : int, optional
        At most so many threads; None takes the processors that this process may use. Small work
        stays on one. It changes the time and nothing else.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what it got and what it takes.

    References
    ----------
    .. [1] R. J. Williams, J. Peng, "An efficient gradient-based algorithm for on-line training of
       recurrent network trajectories", Neural Computation 2(4), 1990.

    Examples
    --------
    >>> import crnn
    >>> x, y = crnn.dataset.windows(crnn.dataset.sine_wave(200), timesteps=25)
    >>> model = crnn.RNN(1, 16, 1, seed=0)
    >>> history = crnn.Trainer(epochs=5, seed=0).fit(model, x, y)
    >>> len(history.loss)
    5
    >>> history.loss[-1] < history.loss[0]
    True
    """

    epochs: int = 50
    batch_size: int = 32
    learning_rate: float | schedules.Schedule | Callable[[int], float] = 1e-2
    optimizer: str | optimizers.Optimizer = "sgd"
    clip_value: float | None = cast(Any, _NOT_GIVEN)
    clip_norm: float | None = None
    loss: str | losses.Loss = "mse"
    truncated_bptt_steps: int | None = None
    shuffle: bool = True
    seed: int | None = None
    progress: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        self.epochs = _arguments.integer("epochs", self.epochs)
        self.batch_size = _arguments.integer("batch_size", self.batch_size)
        schedules.named("learning_rate", self.learning_rate)
        if isinstance(self.learning_rate, numbers.Real):
            self.learning_rate = float(self.learning_rate)
        optimizers.named("optimizer", self.optimizer)
        watching = isinstance(self.clip_norm, numbers.Real) and self.clip_norm == math.inf
        if self.clip_norm is not None and not watching:
            self.clip_norm = _arguments.real("clip_norm", self.clip_norm, above=0)
        if isinstance(self.clip_value, _NotGiven):
            self.clip_value = 1.0 if self.clip_norm is None else None
        if self.clip_value is not None:
            self.clip_value = _arguments.real("clip_value", self.clip_value, above=0)
        losses.named("loss", self.loss)
        if self.truncated_bptt_steps is not None:
            self.truncated_bptt_steps = _arguments.integer(
                "truncated_bptt_steps", self.truncated_bptt_steps
            )
        self.shuffle = _arguments.boolean("shuffle", self.shuffle)
        self.seed = _arguments.seed("seed", self.seed)
        self.progress = _arguments.boolean("progress", self.progress)
        if self.threads is not None:
            self.threads = _arguments.integer("threads", self.threads)

    def fit(
        self,
        model: RNN,
        x: ArrayLike | Sequences,
        y: ArrayLike | Sequences,
        *,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        missing: str = "error",
        validation_data: tuple[Any, Any] | None = None,
    ) -> History:
        """Train the model, going on from the parameters it has, with a fresh optimiser state.

        Parameters
        ----------
        model : RNN
            Its parameters are changed in place.
        x : array_like, shape (N, T, I), or (N, T) when I is 1; or Sequences
            Read where it lies in memory, any strides and real type: windows are not copied. With
            ``tokens`` integers, (N, T).
        y : array_like, shape (N, O), or (N,) when O is 1
            Targets. With ``output="all"``: (N, T, O), or Sequences of the same lengths. For the cross entropy integers, (N,) or (N, T).
        lengths : array_like of int, shape (N,), optional
            Steps of each sample, from 1 to T. What lies past them is not looked at.
        sample_weight : array_like, shape (N,), optional
            Weights of the samples, at least 0; scaled to mean 1. Each multiplies the loss of its
            sample.
        missing : {"error", "ignore"}, default "error"
            "ignore": targets that are NaN (classes below 0) are left out.
        validation_data : (x, y), optional
            Its loss is taken after every epoch.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            Naming the argument, before any parameter changes.
        TrainingDiverged
            If a loss or gradient is no longer finite.
        KeyboardInterrupt
            On Ctrl-C, within 0.1 s; the parameters are those after the last whole batch, or with
            ``truncated_bptt_steps`` the last whole chunk.
        """
        if not isinstance(model, RNN):
            raise TypeError(f"model must be a crnn.RNN, got {type(model).__name__}")
        self.__post_init__()  # an attribute may have been set since
        optimizer = optimizers.named("optimizer", self.optimizer)
        schedule = schedules.named("learning_rate", self.learning_rate)
        for name, value in (
            ("learning_rate", self.learning_rate),
            ("clip_value", self.clip_value),
            ("optimizer's eps", getattr(optimizer, "eps", None)),
        ):
            if not isinstance(value, float):
                continue
            if np.float64(value) < np.finfo(model.dtype).smallest_subnormal:
                raise ValueError(f"{name} must not vanish in {model.dtype}, got {value}")
        loss = losses.named("loss", self.loss, model.output_size)
        if self.truncated_bptt_steps is not None and model.bidirectional:
            raise ValueError(
                "truncated_bptt_steps must be None for a bidirectional network, whose backward "
                f"direction begins with the last step, got {self.truncated_bptt_steps}"
            )
        samples = model._inputs("x", x, lengths)
        _samples.check("x", samples, model.dtype)
        wanted = model._targets("y", y, samples, loss, missing)
        weight = _samples.sample_weight("sample_weight", sample_weight, len(samples))
        if validation_data is not None:
            _check_validation(model, validation_data, loss, missing)

        steps = min(samples.steps, self.truncated_bptt_steps or samples.steps)
        rows = min(self.batch_size, len(samples))
        batches = model._batches(samples, wanted, loss, rows, steps, missing, weight)
        if not batches.valid.any():
            raise ValueError("y must have at least one target that is there, got none")
        threads = _threads.choose(
            self.threads,
            3 * rows * steps * model._weights.work,
            _cell.shards(rows, model.hidden_size),
        )
        weights = model._weights
        training = _cell.Training(
            weights,
            samples,
            wanted,
            rows,
            threads,
            optimizer=optimizer,
            clip_value=self.clip_value,
            clip_norm=self.clip_norm,
            loss=loss,
            every=model.output == "all",
            steps=steps,
            sample_weight=weight,
            dropout=model.dropout if model.num_layers > 1 else 0.0,
            recurrent_dropout=model.recurrent_dropout,
        )
        history = History(workspace_bytes=training.workspace_bytes)
        seed = np.random.SeedSequence().entropy if self.seed is None else self.seed
        drops = model.dropout > 0 or model.recurrent_dropout > 0
        state = schedule.start()
        good = weights.flat.copy()
        with _cell.Crew(threads) as crew, _reporting(self.progress, self.epochs) as report:
            try:
                for epoch in range(1, self.epochs + 1):
                    start = time.perf_counter()
                    order = batches.order(seed, epoch - 1 if self.shuffle else None)
                    key = _cell.dropout_key(seed, epoch - 1) if drops else 0
                    plan = batches.plan(order)
                    rates = schedule.rates(epoch - 1, len(plan), state)
                    training.begin_epoch(plan, order, key, rates)
                    crew.run(training)
                    mean_loss, _, clipped, updates, bad_batch = training.end_epoch()
                    if not bad_batch and not np.isfinite(weights.flat).all():
                        bad_batch = updates  # a finite gradient, and an update that overflows
                    if bad_batch:
                        weights.flat[:] = good
                        raise TrainingDiverged(epoch, bad_batch, history)
                    good[:] = weights.flat
                    history.seconds.append(time.perf_counter() - start)
                    history.loss.append(mean_loss)
                    history.clipped_fraction.append(clipped / (max(updates, 1) * weights.elements))
                    history.learning_rate.append(float(np.ravel(rates)[-1]))
                    if training.gradient_norm is not None:
                        history.gradient_norm.append(training.gradient_norm)
                    if validation_data is not None:
                        history.validation_loss.append(
                            model.loss(
                                *validation_data, loss=loss, missing=missing, threads=self.threads
                            )
                        )
                    watched = history.validation_loss or history.loss
                    state = schedule.after(epoch - 1, watched[-1], state)
                    report(history)
            except BaseException:  # a signal in the very epoch that diverges
                if not np.isfinite(weights.flat).all():
                    weights.flat[:] = good
                raise
        return history


def _check_validation(model: RNN, data: Any, loss: losses.Loss, missing: str) -> None:
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise TypeError("validation_data must be a pair (x, y)")
    samples = model._inputs("validation_data[0]", data[0], None)
    _samples.check("validation_data[0]", samples, model.dtype)
    model._targets("validation_data[1]", data[1], samples, loss, missing)


class _Report(Protocol):
    def __call__(self, history: History) -> None: ...


@contextmanager
def _reporting(progress: bool, epochs: int) -> Iterator[_Report]:
    """What is to be shown after each epoch: nothing, a tqdm bar, or lines."""
    if not progress:
        yield lambda history: None
        return
    try:
        from tqdm import tqdm
    except ImportError:

        def line(history: History) -> None:
            done = len(history.loss)
            print(f"epoch {done}/{epochs}  {_losses(history)}", flush=True)

        yield line
        return
    with tqdm(total=epochs, unit="epoch") as bar:

        def advance(history: History) -> None:
            bar.set_postfix_str(_losses(history), refresh=False)
            bar.update()

        yield advance


def _losses(history: History) -> str:
    text = f"loss {history.loss[-1]:.3e}"
    if history.validation_loss:
        text += f"  validation {history.validation_loss[-1]:.3e}"
    return text
