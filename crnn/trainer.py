"""Trainer, History, TrainingDiverged: epochs, batches, optimiser, clipping, validation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from crnn import _arguments, _cell, _threads
from crnn.model import LOSSES, RNN, check_finite

OPTIMIZERS = ("sgd", "adam")


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
        Gradient elements that were clipped over all gradient elements of the epoch.
    workspace_bytes : int
        Memory that the fit allocated once for its activations, gradients and packed weights.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    clipped_fraction: list[float] = field(default_factory=list)
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
    """Trains an RNN in batches, by SGD or Adam with clipped gradients.

    One epoch is one compiled call without the GIL. For every batch, with g the gradient of the mean
    loss over its rows and outputs, every element clipped to [-clip_value, clip_value]:

        sgd:   w -= learning_rate * g
        adam:  m = 0.9 m + 0.1 g,  v = 0.999 v + 0.001 g^2,
               w -= learning_rate * (m / (1 - 0.9^k)) / (sqrt(v / (1 - 0.999^k)) + 1e-8)

    in step k [1]_.

    Parameters
    ----------
    epochs : int, default 50
    batch_size : int, default 32
        Rows of a batch; the last batch of an epoch may be smaller.
    learning_rate : float, default 1e-2
    optimizer : {"sgd", "adam"}, default "sgd"
    clip_value : float or None, default 1.0
        None turns clipping off.
    loss : {"mse"}
        The mean over batch and outputs of the squared error.
    shuffle : bool, default True
        Whether every epoch takes the samples in a new order.
    seed : int, optional
        Of the shuffling: epoch e, counted from 0, takes the samples in the order
        ``numpy.random.default_rng([seed, e]).permutation(N)``. The same seed gives the same bits,
        whatever ``threads`` is.
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
    .. [1] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015,
       https://arxiv.org/abs/1412.6980.

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
    learning_rate: float = 1e-2
    optimizer: str = "sgd"
    clip_value: float | None = 1.0
    loss: str = "mse"
    shuffle: bool = True
    seed: int | None = None
    progress: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        self.epochs = _arguments.integer("epochs", self.epochs)
        self.batch_size = _arguments.integer("batch_size", self.batch_size)
        self.learning_rate = _arguments.real("learning_rate", self.learning_rate, above=0)
        self.optimizer = _arguments.choice("optimizer", self.optimizer, OPTIMIZERS)
        if self.clip_value is not None:
            self.clip_value = _arguments.real("clip_value", self.clip_value, above=0)
        self.loss = _arguments.choice("loss", self.loss, LOSSES)
        self.shuffle = _arguments.boolean("shuffle", self.shuffle)
        self.seed = _arguments.seed("seed", self.seed)
        self.progress = _arguments.boolean("progress", self.progress)
        if self.threads is not None:
            self.threads = _arguments.integer("threads", self.threads)

    def fit(
        self,
        model: RNN,
        x: ArrayLike,
        y: ArrayLike,
        *,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> History:
        """Train the model, going on from the parameters it has, with a fresh optimiser state.

        Parameters
        ----------
        model : RNN
            Its parameters are changed in place.
        x : array_like, shape (N, T, I), or (N, T) when I is 1
            Read as it lies in memory, any strides and real type: windows are not copied.
        y : array_like, shape (N, O), or (N,) when O is 1
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
            On Ctrl-C, within 0.1 s; the parameters are those after the last whole batch.
        """
        if not isinstance(model, RNN):
            raise TypeError(f"model must be a crnn.RNN, got {type(model).__name__}")
        self.__post_init__()  # an attribute may have been set since
        for name in ("learning_rate", "clip_value"):
            value = getattr(self, name)
            if value is not None and np.float64(value) < np.finfo(model.dtype).smallest_subnormal:
                raise ValueError(f"{name} must not vanish in {model.dtype}, got {value}")
        samples, wanted = self._checked(model, "x", x, "y", y)
        validation = None
        if validation_data is not None:
            if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
                raise TypeError("validation_data must be a pair (x, y)")
            names = "validation_data[0]", "validation_data[1]"
            validation = self._checked(
                model, names[0], validation_data[0], names[1], validation_data[1]
            )

        rows, (steps, inputs), hidden = (
            min(self.batch_size, len(samples)),
            samples.shape[1:],
            model.hidden_size,
        )
        work = 3 * rows * steps * hidden * (hidden + inputs)
        threads = _threads.choose(self.threads, work, _cell.shards(rows, hidden))
        weights = model._weights
        training = _cell.Training(
            weights,
            samples,
            wanted,
            rows,
            threads,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            clip=self.clip_value,
        )
        history = History(workspace_bytes=training.workspace_bytes)
        seed = np.random.SeedSequence().entropy if self.seed is None else self.seed
        order = None
        good = weights.flat.copy()
        with _cell.Crew(threads) as crew, _reporting(self.progress, self.epochs) as report:
            try:
                for epoch in range(1, self.epochs + 1):
                    start = time.perf_counter()
                    if self.shuffle:
                        order = _order(len(samples), seed, epoch - 1)
                    training.begin_epoch(order)
                    crew.run(training)
                    loss_sum, _, clipped, batches, bad_batch = training.end_epoch()
                    if not bad_batch and not np.isfinite(weights.flat).all():
                        bad_batch = batches  # a finite gradient, and an update that overflows
                    if bad_batch:
                        weights.flat[:] = good
                        raise TrainingDiverged(epoch, bad_batch, history)
                    good[:] = weights.flat
                    history.seconds.append(time.perf_counter() - start)
                    history.loss.append(loss_sum / len(samples))
                    history.clipped_fraction.append(clipped / (batches * weights.elements))
                    if validation is not None:
                        history.validation_loss.append(
                            model.loss(*validation, loss=self.loss, threads=self.threads)
                        )
                    report(history)
            except BaseException:  # a signal in the very epoch that diverges
                if not np.isfinite(weights.flat).all():
                    weights.flat[:] = good
                raise
        return history

    @staticmethod
    def _checked(
        model: RNN, x_name: str, x: ArrayLike, y_name: str, y: ArrayLike
    ) -> tuple[_arguments.Array, _arguments.Array]:
        samples = _arguments.inputs(x_name, x, model.input_size)
        wanted = _arguments.targets(y_name, y, len(samples), model.output_size)
        check_finite(x_name, samples, model.dtype)
        check_finite(y_name, wanted, model.dtype)
        return samples, wanted


def _order(samples: int, seed: Any, epoch: int) -> _arguments.Array:
    """The order of samples in an epoch, counted from 0: no random state is carried along."""
    order = np.random.default_rng([seed, epoch]).permutation(samples)
    return order.astype(np.int64, copy=False)  # 32 bits on Windows before NumPy 2


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
