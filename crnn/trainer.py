"""Trainer: how a network is trained; EarlyStopping."""

from __future__ import annotations

import copy
import math
import numbers
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from crnn import _arguments
from crnn._arguments import Array
from crnn.dataset import Sequences
from crnn.model import RNN
from crnn.run import History, TrainingDiverged, TrainingRun

if TYPE_CHECKING:
    from crnn import losses, optimizers, schedules

__all__ = ["EarlyStopping", "History", "Trainer", "TrainingDiverged", "TrainingRun"]


class _NotGiven:
    """The default of `clip_value`: 1.0, or None with `clip_norm`."""

    def __repr__(self) -> str:
        return "1.0 without clip_norm, else None"


_NOT_GIVEN = _NotGiven()


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the validation loss no longer improves, and restore the best parameters.

    Parameters
    ----------
    patience : int, default 10
        Stop after so many epochs without an improvement, as Keras does.
    min_delta : float, default 0.0
        An epoch improves when its loss is lower than the best by more than this.
    refit : bool, default False
        Then begin again from the parameters before the fit, and train on all data, the validation
        part included, for the best number of epochs with the same learning rates.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what it got and what it takes.

    References
    ----------
    L. Prechelt, "Early stopping - but when?",
    Neural Networks: Tricks of the Trade, 1998.

    Examples
    --------
    >>> import crnn
    >>> crnn.EarlyStopping(patience=5)
    EarlyStopping(patience=5, min_delta=0.0, refit=False)
    """

    patience: int = 10
    min_delta: float = 0.0
    refit: bool = False

    def __post_init__(self) -> None:
        _arguments.integer("patience", self.patience)
        _arguments.real("min_delta", self.min_delta, minimum=0)
        _arguments.boolean("refit", self.refit)

    def best(self, losses: Sequence[float]) -> tuple[int, bool]:
        """The best epoch so far, counted from 1 (0: none), and whether it is time to stop."""
        best, lowest = 0, np.inf
        for epoch, loss in enumerate(losses, 1):
            if loss < lowest - (self.min_delta if best else 0):
                best, lowest = epoch, loss
        return best, len(losses) - best >= self.patience


@dataclass
class Trainer:
    """Trains an RNN in batches, with clipped gradients.

    One epoch is one compiled call without the GIL. The loss of a batch is the sum over its valid
    elements (rows, outputs, and steps where the network's output is "all") divided by their number.
    For every batch, with g the gradient of its loss and norm the root of the sum of the squares of
    all its elements, of all parameters together::

        g = g min(1, clip_norm / (norm + 1e-6))       with clip_norm
        g = min(max(g, -clip_value), clip_value)      with clip_value

    and then one step of the optimiser along g (equations: `crnn.optimizers`).

    Scale x and y to mean 0 and standard deviation 1 before you train, with the mean and deviation
    of the training part.

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
    _: KW_ONLY
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
        from crnn import losses, optimizers, schedules  # import crnn need not wait for them

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

    def start(
        self,
        model: RNN,
        x: ArrayLike | Sequences,
        y: ArrayLike | Sequences,
        *,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        missing: str = "error",
    ) -> TrainingRun:
        """Begin a training whose epochs the caller asks for, one by one.

        Parameters
        ----------
        model, x, y, lengths, sample_weight, missing
            As in ``fit``.

        Returns
        -------
        TrainingRun

        Examples
        --------
        >>> import crnn
        >>> x, y = crnn.dataset.windows(crnn.dataset.sine_wave(200), timesteps=25)
        >>> run = crnn.Trainer(seed=0).start(crnn.RNN(1, 16, 1, seed=0), x, y)
        >>> run.epoch()
        >>> len(run.history.loss)
        1
        """
        run = self._start(model, x, y, lengths, sample_weight, missing)
        _warn_unscaled(run._unscaled())
        return run

    def _start(
        self,
        model: RNN,
        x: ArrayLike | Sequences,
        y: ArrayLike | Sequences,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        missing: str = "error",
    ) -> TrainingRun:
        """`start` without the warning: for callers that scale the data themselves."""
        from crnn._fit import Data  # storage and hashlib: import crnn does not wait for them

        trainer, loss = self._for(model)
        data = Data.checked(model, loss, "", x, y, lengths, sample_weight, missing)
        return TrainingRun(trainer, model, data, loss, _arguments.drawn_seed(self.seed))

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
        validation: float | tuple[ArrayLike, ArrayLike] | None = None,
        gap: int = 0,
        early_stopping: EarlyStopping | None = None,
        metrics: Mapping[str, Callable[[Array, Array], float]] | None = None,
        callbacks: Sequence[Callable[[int, RNN, History], Any]] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 1,
    ) -> History:
        """Train the model, going on from the parameters it has, with a fresh optimiser state.

        A loop over ``fit`` starts the optimiser and the orders anew in each call; ``start`` gives a
        run whose epochs go on.

        Parameters
        ----------
        model : RNN
            Its parameters are changed in place.
        x : array_like, shape (N, T, I), or (N, T) when I is 1; or Sequences
            Read where it lies in memory, any strides and real type: windows are not copied. With
            ``tokens`` integers, (N, T).
        y : array_like, shape (N, O), or (N,) when O is 1
            Targets. With ``output="all"``: (N, T, O), or Sequences of the same lengths. For
            the cross entropy integers, (N,) or (N, T).
        lengths : array_like of int, shape (N,), optional
            Steps of each sample, from 1 to T. What lies past them is not looked at.
        sample_weight : array_like, shape (N,), optional
            Weights of the samples, at least 0; scaled to mean 1 over those that are trained on.
            Each multiplies the loss of its sample.
        missing : {"error", "ignore"}, default "error"
            "ignore": targets that are NaN (classes below 0) are left out.
        validation_data : (x, y), optional
            Its loss is taken after every epoch.
        validation : float, or (train, held out) arrays of indices, optional
            In place of `validation_data`: hold out the last samples, this part of them; or the
            samples of the second array. Nothing is drawn at random: overlapping windows would leak.
        gap : int, default 0
            Samples left out before the held-out part, of a `validation` that is a number.
        early_stopping : EarlyStopping, optional
            Stop when the validation loss no longer improves.
        metrics : dict of str to callable, optional
            ``f(y, predicted)`` -> float, taken after every epoch on the held-out data, or without
            it on the training data. f gets the valid elements only: two arrays of one dimension, or
            of the cross entropy classes (K,) and logits (K, O).
        callbacks : sequence of callables, default ()
            Each is called after an epoch with (epoch, model, history); epochs count from 1. One
            that returns True ends the training.
        checkpoint : path, optional
            A file that keeps the state of the training. If it is there, the training goes on from
            it, and ends with the bits of one that was never interrupted. Model, settings and data
            must be the same, except for `epochs`, `threads`, `progress`, `callbacks`, `metrics` and
            `checkpoint_every`.
        checkpoint_every : int, default 1
            Epochs between two writings of the checkpoint. Ctrl-C writes one too.

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
            ``truncated_bptt_steps`` the last whole chunk. Its attribute ``history`` is the History.

        Warns
        -----
        UserWarning
            If a column of x or y is far from mean 0 and standard deviation 1: the deviation is
            below 0.01 or above 100, or the mean is more than ten deviations from 0. Tokens, classes
            and columns of zeros and ones are never warned of.

        Examples
        --------
        >>> import crnn
        >>> x, y = crnn.dataset.windows(crnn.dataset.mackey_glass(400, seed=0), timesteps=20)
        >>> model = crnn.RNN(1, 16, 1, seed=0)
        >>> history = crnn.Trainer(epochs=200, optimizer="adam", seed=0).fit(
        ...     model, x, y, validation=0.2, gap=20, early_stopping=crnn.EarlyStopping(patience=3)
        ... )
        >>> history.best_epoch == 1 + history.validation_loss.index(min(history.validation_loss))
        True
        """
        from crnn._fit import Data, Fit

        trainer, loss = self._for(model)
        data = Data.checked(model, loss, "", x, y, lengths, sample_weight, missing)
        train, held = data, None
        if validation_data is not None:
            if validation is not None:
                raise ValueError("validation must be None where validation_data is given")
            if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
                raise TypeError("validation_data must be a pair (x, y)")
            held = Data.checked(model, loss, "validation_data", *validation_data, missing=missing)
        elif validation is not None:
            train, held = data.split(validation, gap)
        if early_stopping is not None:
            if not isinstance(early_stopping, EarlyStopping):
                raise TypeError(
                    f"early_stopping must be a crnn.EarlyStopping, got {early_stopping!r}"
                )
            if held is None:
                raise ValueError("early_stopping needs validation or validation_data")
            if early_stopping.refit and validation_data is not None:
                raise ValueError("early_stopping with refit needs validation, not validation_data")
        if checkpoint is not None:
            _arguments.folder("checkpoint", checkpoint)
        fit = Fit(
            trainer=trainer,
            model=model,
            loss=loss,
            data=data,
            train=train,
            held=held,
            early_stopping=early_stopping,
            metrics=_functions("metrics", dict(metrics or {})),
            callbacks=list(_functions("callbacks", dict(enumerate(callbacks))).values()),
            checkpoint=checkpoint,
            checkpoint_every=_arguments.integer("checkpoint_every", checkpoint_every),
        )
        _warn_unscaled(train.unscaled(model, loss))
        return fit.run()

    def _for(self, model: RNN) -> tuple[Trainer, losses.Loss]:
        """A checked copy of this Trainer for the model, and its loss."""
        from crnn import losses, optimizers

        if not isinstance(model, RNN):
            raise TypeError(f"model must be a crnn.RNN, got {type(model).__name__}")
        trainer = copy.copy(self)
        trainer.__post_init__()  # an attribute may have been set since
        optimizer = optimizers.named("optimizer", trainer.optimizer)
        for name, value in (
            ("learning_rate", trainer.learning_rate),
            ("clip_value", trainer.clip_value),
            ("optimizer's eps", getattr(optimizer, "eps", None)),
        ):
            if not isinstance(value, float):
                continue
            if np.float64(value) < np.finfo(model.dtype).smallest_subnormal:
                raise ValueError(f"{name} must not vanish in {model.dtype}, got {value}")
        if trainer.truncated_bptt_steps is not None and model.bidirectional:
            raise ValueError(
                "truncated_bptt_steps must be None for a bidirectional network, whose backward "
                f"direction begins with the last step, got {trainer.truncated_bptt_steps}"
            )
        return trainer, losses.named("loss", trainer.loss, model.output_size)


def _warn_unscaled(unscaled: str | None) -> None:
    if unscaled is not None:
        from crnn import _scaling

        warnings.warn(
            f"{unscaled}; a network learns little from such numbers: {_scaling.ADVICE}",
            UserWarning,
            stacklevel=3,
        )


def _functions(name: str, given: dict[Any, Any]) -> dict[Any, Callable[..., Any]]:
    for key, value in given.items():
        if not callable(value):
            raise TypeError(f"{name}[{key!r}] must be callable, got {value!r}")
    return given
