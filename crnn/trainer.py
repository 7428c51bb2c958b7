"""Trainer and EarlyStopping: the settings of a training."""

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
        Stop after this number of epochs without an improvement, as Keras does.
    min_delta : float, default 0.0
        A loss is an improvement if it is lower than the best one by more than this.
    refit : bool, default False
        Whether to train a second time when the best number of epochs is known: from the parameters
        before the fit, on all data including the validation part, with the same learning rates.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

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
        """The best epoch so far, counted from 1 (0: none), and whether to stop."""
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
    For every batch, g is the gradient of its loss, and norm is the root of the sum of the squares
    of all elements of g, over all parameters. First g is clipped::

        g = g min(1, clip_norm / (norm + 1e-6))       with clip_norm
        g = min(max(g, -clip_value), clip_value)      with clip_value

    Then the optimiser takes one step with g. `crnn.optimizers` has the equations.

    Before you train, scale x and y to mean 0 and standard deviation 1. Use the mean and the
    deviation of the training part.

    Parameters
    ----------
    epochs : int, default 50
    batch_size : int, default 32
        Samples in a batch. The last batch of an epoch may be smaller.
    learning_rate : float, schedule or callable, default 1e-2
        A number, a schedule of `crnn.schedules`, or a function that takes the epoch (from 0) and
        returns its learning rate.
    optimizer : str or an optimiser of ``crnn.optimizers``, default "sgd"
        "sgd", "rmsprop", "adam" and "adamw" stand for the optimisers with their defaults.
    clip_value : float or None, optional
        Bound of every element of the gradient. None turns this clipping off. The default is 1.0, or
        None if `clip_norm` is given.
    clip_norm : float, optional
        Bound of the norm of the whole gradient, as in ``torch.nn.utils.clip_grad_norm_``. With it,
        ``History.gradient_norm`` is recorded. ``inf`` records the norm and clips nothing.
    loss : str or a loss of ``crnn.losses``, default "mse"
        "mse", "mae", "huber", "quantile", "cross_entropy" or "binary_cross_entropy" stand for the
        losses with their defaults.
    truncated_bptt_steps : int, optional
        Steps of a chunk, for truncated back-propagation through time [1]_. Each sequence is cut
        into chunks, starting at its first step. Each chunk that has a target gives one update. The
        state continues from chunk to chunk, and the gradient does not. Only one chunk is in memory.
        None: whole sequences.
    shuffle : bool, default True
        Whether every epoch uses a new order of the samples.
    seed : int, optional
        Seed of the shuffling and of the dropout masks. Epoch e, counted from 0, uses the order
        ``numpy.random.default_rng([seed, e]).permutation(N)``. Sequences of different lengths are
        then sorted within each batch, longest first. The same seed gives the same bits at any
        number of threads. None draws a seed from the system; ``History.seed`` keeps it.
    progress : bool, default False
        Show a tqdm bar (extra ``progress``), or plain lines where tqdm is not installed.
    threads : int, optional
        Largest number of threads. None takes the processors that this process may use, or
        ``OMP_NUM_THREADS`` if that is lower. Small networks run on one thread. The number of
        threads does not change the result.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

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
        from crnn import losses, optimizers, schedules  # so that import crnn is fast

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
        """Start a training whose epochs the caller runs one by one.

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
        """`start` without the warning, for callers that scale the data themselves."""
        from crnn._fit import Data  # storage and hashlib would slow import crnn down

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
        """Train the model from its current parameters, with a new optimiser state.

        Each call resets the optimiser and repeats the same orders of samples, so a loop over
        ``fit`` with one epoch is not one training of many epochs. For such a loop use ``start``.

        Parameters
        ----------
        model : RNN
            The network. Its parameters change in place.
        x : array_like, shape (N, T, I), or (N, T) when I is 1; or Sequences
            Inputs of any strides and real type. They are read in place: windows are not copied. One
            window (T, 1) must be given as (1, T, 1). With ``tokens``: integers, (N, T).
        y : array_like, shape (N, O), or (N,) when O is 1
            Targets. With ``output="all"``: (N, T, O), or Sequences of the same lengths. For the
            cross entropy: integers, (N,) or (N, T).
        lengths : array_like of int, shape (N,), optional
            Steps of each sample, from 1 to T. Later steps are ignored.
        sample_weight : array_like, shape (N,), optional
            Weights of the samples, at least 0. They are scaled to mean 1 over the training samples.
            Each weight multiplies the loss of its sample.
        missing : {"error", "ignore"}, default "error"
            With "ignore", missing targets are left out: NaN, or classes below 0.
        validation_data : (x, y), optional
            Validation data. Its loss is computed after every epoch.
        validation : float, or (train, held out) arrays of indices, optional
            Validation part of x and y, instead of `validation_data`. A fraction takes that part of
            the samples from the end. A pair of index arrays selects training and validation
            samples. Nothing is drawn at random, because overlapping windows would leak.
        gap : int, default 0
            Samples to leave out before the validation part, if `validation` is a number.
        early_stopping : EarlyStopping, optional
            Stop when the validation loss stops improving.
        metrics : dict of str to callable, optional
            Functions ``f(y, predicted)`` -> float. They are called after every epoch on the
            validation data, or on the training data if there is none. They get the valid elements
            only, as two 1-D arrays. With the cross entropy they get classes (K,) and logits (K, O).
        callbacks : sequence of callables, default ()
            Functions ``f(epoch, model, history)`` that are called after every epoch. Epochs count
            from 1. If one returns True, the training ends.
        checkpoint : path, optional
            File for the state of the training. If it exists, the training resumes from it and ends
            with the bits of a training that was never interrupted. Model, settings and data must be
            the same, except for `epochs`, `threads`, `progress`, `callbacks`, `metrics` and
            `checkpoint_every`.
        checkpoint_every : int, default 1
            Epochs between two writes of the checkpoint. Ctrl-C writes it too.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            If an argument is invalid. The message names it. No parameter changes.
        TrainingDiverged
            If a loss, gradient or parameter is not finite.
        KeyboardInterrupt
            On Ctrl-C, within 0.1 s. The parameters are those after the last complete batch, or
            chunk with ``truncated_bptt_steps``. The attribute ``history`` of the exception is the
            History.

        Warns
        -----
        UserWarning
            If a column of x or y is far from mean 0 and standard deviation 1: the deviation is
            below 0.01 or above 100, or the mean is more than ten deviations from 0. There is no
            warning for tokens, classes and columns of zeros and ones.

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
        trainer.__post_init__()  # attributes may have changed since
        optimizer = optimizers.named("optimizer", trainer.optimizer)
        for name, value in (
            ("learning_rate", trainer.learning_rate),
            ("clip_value", trainer.clip_value),
            ("optimizer's eps", getattr(optimizer, "eps", None)),
        ):
            if not isinstance(value, float):
                continue
            if np.float64(value) < np.finfo(model.dtype).smallest_subnormal:
                raise ValueError(f"{name} must not round to 0 in {model.dtype}, got {value}")
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
            f"{unscaled}; a network learns poorly from such numbers: {_scaling.ADVICE}",
            UserWarning,
            stacklevel=3,
        )


def _functions(name: str, given: dict[Any, Any]) -> dict[Any, Callable[..., Any]]:
    for key, value in given.items():
        if not callable(value):
            raise TypeError(f"{name}[{key!r}] must be callable, got {value!r}")
    return given
