"""RNNRegressor and RNNClassifier: scikit-learn estimators that read columns in time order.

Extra ``sklearn``. N samples, C columns of X, T timesteps, F features of a step, O outputs and
K classes.
"""

from __future__ import annotations

import copy
import math
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from crnn._extras import missing_package

try:
    from joblib import effective_n_jobs
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.metrics import accuracy_score, d2_pinball_score, r2_score
    from sklearn.model_selection import check_cv
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets, unique_labels
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise missing_package("an estimator", "scikit-learn", error) from None

from crnn import _arguments, _cell, losses, optimizers
from crnn._arguments import Array
from crnn._columns import Layout, moments
from crnn._fit import Data, reporting
from crnn.model import RNN
from crnn.run import TrainingRun, kept, put_back
from crnn.trainer import Trainer

__all__ = ["RNNClassifier", "RNNRegressor"]

LOSSES = ("squared_error", "absolute_error", "huber", "quantile")
# Huber's loss is half of the squared error as long as no error is larger than this
_HALF_SQUARED_ERROR = losses.Huber(delta=sys.float_info.max)
_AUTO_BATCH = 200


class _PenalisedRun(TrainingRun):
    """A training whose loss has 0.5 alpha |W|^2 / n of the weights that are no biases.

    n is the sum of the weights of a batch's samples; without weights it is their number.
    """

    def __init__(
        self, trainer: Trainer, model: RNN, data: Data, loss: losses.Loss, seed: int, alpha: float
    ) -> None:
        super().__init__(trainer, model, data, loss, seed)
        self._alpha = alpha
        self._gradients = _cell.Training(
            model._weights,
            data.samples,
            data.wanted,
            min(trainer.batch_size, len(data.samples)),
            self._threads,
            loss=loss,
            sample_weight=data.weight,
            dropout=model.dropout,
        )

    def _updates(
        self, crew: _cell.Crew, plan: Array, order: Array | None, key: int, rates: float | Array
    ) -> tuple[float, float, int, int] | None:
        weights = {k: w for k, w in self.model._weights.arrays.items() if k.startswith("W")}
        total, valid, rate = 0.0, 0, float(np.ravel(rates)[0])
        for update in range(len(plan)):
            if self.stopped:
                return None
            batch = plan[update : update + 1]
            rows, elements = int(batch[0, 1]), int(batch[0, 3])
            self._gradients.begin_epoch(batch, order, key)
            crew.run(self._gradients)
            loss, gradient = self._gradients.end_epoch()[0], self._gradients.gradient
            squares = 0.0
            for name, w in weights.items():
                with np.errstate(under="ignore"):
                    gradient[name] += self._alpha / rows * w
                squares += float(np.square(w, dtype=np.float64).sum())
            loss += 0.5 * self._alpha * squares / rows
            if not math.isfinite(loss):
                return loss, 0.0, update + 1, update + 1
            self._training.apply(gradient, rate)
            total, valid = total + loss * elements, valid + elements
        return total / valid, 0.0, len(plan), 0


@dataclass(frozen=True)
class _Rows:
    """Rows of X with their targets and weights, all checked."""

    X: Array
    y: Array
    weight: Array | None

    def take(self, index: Array) -> _Rows:
        """Some of the rows."""
        weight = None if self.weight is None else self.weight[index]
        if weight is not None and not weight.any():
            raise ValueError(
                "sample_weight must have a number above 0 among the rows that are trained on, and "
                "among those that early_stopping holds out"
            )
        return _Rows(self.X[index], self.y[index], weight)

    def counted(self) -> _Rows:
        """Those with a weight above 0: the others are as good as removed."""
        if self.weight is None or self.weight.all():
            return self
        return self.take(np.flatnonzero(self.weight))


@dataclass
class _Curves:
    """What the epochs of a fit measured, and the best parameters among them."""

    loss: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best_score: float = -np.inf
    best_epoch: int = 0
    best: dict[str, Array] = field(default_factory=dict)


class _RNNEstimator(BaseEstimator):  # type: ignore[misc]
    """What the two estimators have in common: columns, training, and the outputs of the network."""

    _targets_are: ClassVar[dict[str, Any]]  # what validate_data is told of y

    model_: RNN
    loss_curve_: list[float]
    loss_: float
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    n_iter_: int
    n_outputs_: int
    _layout: Layout
    _optimizer: dict[str, Any] | None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # ---- what the subclasses add ----

    def _loss(self) -> losses.Loss:
        raise NotImplementedError

    def _encoded(self, y: Array, classes: object, going_on: bool) -> Array:
        """Targets as the training takes them: (N, O), or classes (N,); sets n_outputs_."""
        raise NotImplementedError

    def _settle(self, model: RNN, rows: _Rows) -> None:
        """Before a new network is trained on these rows."""

    def _wanted(self, y: Array) -> Array:
        """What the network's outputs are trained to be."""
        raise NotImplementedError

    def _score(self, y: Array, outputs: Array, weight: Array | None) -> float:
        """The validation score of the network's outputs."""
        raise NotImplementedError

    # ---- arguments ----

    def _check_arguments(self, incremental: bool) -> None:
        """Those that neither RNN nor Trainer checks under the same name."""
        self._loss()
        optimizers.named("solver", self.solver)
        _arguments.real("learning_rate_init", self.learning_rate_init, above=0)
        if isinstance(self.batch_size, str):
            _arguments.choice("batch_size", self.batch_size, ("auto",))
        else:
            _arguments.integer("batch_size", self.batch_size)
        _arguments.integer("max_iter", self.max_iter)
        _arguments.real("alpha", self.alpha, minimum=0)
        _arguments.boolean("standardize", self.standardize)
        _arguments.boolean("warm_start", self.warm_start)
        _arguments.real("tol", self.tol, minimum=0)
        if self.n_iter_no_change != math.inf:
            _arguments.integer("n_iter_no_change", self.n_iter_no_change)
        if isinstance(self.early_stopping, str):
            _arguments.choice("early_stopping", self.early_stopping, ("refit",))
        else:
            _arguments.boolean("early_stopping", self.early_stopping)
        if self.early_stopping and incremental:
            raise ValueError(f"partial_fit does not support early_stopping={self.early_stopping!r}")
        if isinstance(self.validation, str):
            _arguments.choice("validation", self.validation, ("last",))
        elif not hasattr(self.validation, "split") and not isinstance(self.validation, Iterable):
            raise TypeError(
                f'validation must be "last" or a splitter of scikit-learn, got {self.validation!r}'
            )
        _arguments.real("validation_fraction", self.validation_fraction, above=0, below=1)

    def _checked(self, X: Any, *y: Any, reset: bool = False) -> tuple[Array, ...]:
        """X as float64 or float32, finite, and y where it is given."""
        found = validate_data(
            self,
            X,
            *y,
            reset=reset,
            dtype=(np.float64, np.float32),
            allow_nd=True,
            ensure_all_finite=False,  # the error here names the column
            **(self._targets_are if y else {}),
        )
        checked: tuple[Array, ...] = found if y else (found,)
        array = checked[0]
        if array.ndim > 3:
            raise ValueError(f"X must have shape (N, C) or (N, T, F), got {array.shape}")
        finite = np.isfinite(array)
        if not finite.all():
            row, *place = np.argwhere(~finite)[0].tolist()
            kind = "NaN" if np.isnan(array[(row, *place)]) else "infinity"
            where = f"step {place[0]}, feature {place[-1]}" if place[1:] else f"column {place[0]}"
            if array.ndim == 2 and hasattr(self, "feature_names_in_"):
                where = f"column {self.feature_names_in_[place[0]]!r}"
            raise ValueError(
                f"Input X contains {kind} in {where}, row {row}. {type(self).__name__} takes "
                "finite numbers only: leave the rows out, or fill them in (sklearn.impute)"
            )
        if not reset and array.shape[1:] != self._layout.shape:
            raise ValueError(
                f"X must have rows of shape {self._layout.shape}, got {array.shape[1:]}"
            )
        return checked

    def _checked_weight(self, sample_weight: object, X: Array) -> Array | None:
        if sample_weight is None:
            return None
        weight: Array = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        if not weight.any():
            raise ValueError("sample_weight must have a number above 0, got zeros alone")
        return weight

    def _threads(self) -> int:
        if self.n_jobs is None:
            return 1  # as in scikit-learn: the processes of a search share the processors
        threads: int = effective_n_jobs(self.n_jobs)
        return threads

    # ---- fitting ----

    def _fit(self, X: object, y: object, sample_weight: object, classes: object = None) -> Self:
        self._check_arguments(incremental=False)
        going_on = hasattr(self, "model_") and self.warm_start
        rows, seed = self._rows(X, y, sample_weight, classes, going_on)
        before = copy.deepcopy(self.model_) if going_on else None
        curves = _Curves()
        if not self.early_stopping:
            self._train(rows, seed, before, self.max_iter, curves)
        else:
            train, held = (rows.take(part) for part in self._split(rows.X, rows.y))
            self._train(train, seed, before, self.max_iter, curves, held)
            if curves.best_epoch:
                put_back(self.model_, curves.best, "best")
            if self.early_stopping == "refit":
                epochs, curves.loss = curves.best_epoch or len(curves.loss), []
                self._train(rows, seed, before, epochs, curves, stops=False)
        self._note(curves, going_on)
        if not going_on:
            self._note_one_step()
        return self

    def _fit_part(
        self, X: object, y: object, sample_weight: object, classes: object = None
    ) -> Self:
        """One epoch, with the optimiser as the last call left it."""
        self._check_arguments(incremental=True)
        going_on = hasattr(self, "model_")
        rows, seed = self._rows(X, y, sample_weight, classes, going_on)
        rows = rows.counted()
        if not going_on:
            self.model_ = self._begin(rows, seed)
            self._optimizer = None
        state = self._optimizer
        if state is not None and state["solver"] != self.solver:
            state = None
        run = self._start(self.model_, rows, seed if state is None else state["seed"])
        if state is not None:
            arrays = state["arrays"] | kept(self.model_, "parameters")
            run._restore(arrays, state["schedule"], state["epochs"])
            run.history.loss.append(self.loss_)  # a schedule may look at it
        run.epoch()
        self._keep_optimizer(run)
        self._note(_Curves(loss=run.history.loss[-1:]), going_on)
        if not going_on:
            self._note_one_step()
        return self

    def _rows(
        self, X: object, y: object, sample_weight: object, classes: object, going_on: bool
    ) -> tuple[_Rows, int]:
        """What a caller passed, and a seed."""
        array, targets = self._checked(X, y, reset=not going_on)
        weight = self._checked_weight(sample_weight, array)
        rows = _Rows(array, self._encoded(targets, classes, going_on), weight)
        return rows, int(check_random_state(self.random_state).randint(2**31 - 1))

    def _split(self, X: Array, y: Array) -> tuple[Array, Array]:
        """Positions of the rows to train on, and of those that are held out."""
        every = np.arange(len(X))
        if isinstance(self.validation, str):
            held = math.ceil(len(X) * self.validation_fraction)
            rows, out = every[:-held], every[-held:]
        else:
            *_, (rows, out) = check_cv(self.validation, y).split(X, y)
            rows, out = every[rows], every[out]
        if len(out) < 2 or not len(rows):
            raise ValueError(
                "early_stopping needs a row to train on and two that validation holds out, got "
                f"{len(rows)} and {len(out)} of {len(X)}"
            )
        return rows, out

    def _begin(self, rows: _Rows, seed: int) -> RNN:
        """A new network, and what it reads of X."""
        self._layout = Layout.of(
            rows.X,
            self.steps,
            self.lag_order,
            getattr(self, "feature_names_in_", None),
            standardize=self.standardize,
            weight=rows.weight,
        )
        model = RNN(
            self._layout.features,
            self.hidden_size,
            self.n_outputs_,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            dtype=rows.X.dtype,
            seed=seed,
        )
        self._settle(model, rows)
        return model

    def _note_one_step(self) -> None:
        if self._layout.steps == 1:
            warnings.warn(
                f"{type(self).__name__} reads one step only, so that nothing recurs: steps and "
                "lag_order say which columns of X are steps; a 3-D X is (N, T, F)",
                UserWarning,
                stacklevel=4,
            )

    def _start(self, model: RNN, rows: _Rows, seed: int) -> TrainingRun:
        x = self._layout.sequences(rows.X).astype(model.dtype, copy=False)
        y, weight = self._wanted(rows.y), rows.weight
        trainer = Trainer(
            batch_size=_AUTO_BATCH if self.batch_size == "auto" else self.batch_size,
            learning_rate=self.learning_rate_init,
            optimizer=self.solver,
            clip_value=None,
            clip_norm=self.clip_norm,
            loss=self._loss(),
            shuffle=self.shuffle,
            seed=seed,
            threads=self._threads(),
        )
        if not self.alpha:
            return trainer._start(model, x, y, sample_weight=weight)
        trainer, loss = trainer._for(model)
        data = Data.checked(model, loss, "", x, y, None, weight)
        alpha = self.alpha if weight is None else self.alpha / float(weight.mean())
        return _PenalisedRun(trainer, model, data, loss, seed, alpha)

    def _train(
        self,
        rows: _Rows,
        seed: int,
        before: RNN | None,
        epochs: int,
        curves: _Curves,
        held: _Rows | None = None,
        *,
        stops: bool = True,
    ) -> None:
        """Train a new network, or continue from the one before."""
        rows = rows.counted()
        model = self._begin(rows, seed) if before is None else copy.deepcopy(before)
        run, threads = self._start(model, rows, seed), self._threads()
        best, waited = np.inf, 0
        if held is not None:
            x_held = self._layout.sequences(held.X)
        with run._keeping_threads(), reporting(bool(self.verbose), epochs) as report:
            for epoch in range(1, epochs + 1):
                run.epoch()
                if held is not None:
                    outputs = model.predict(x_held, threads=threads)
                    score = self._score(held.y, outputs, held.weight)
                    curves.scores.append(score)
                    improves = score >= curves.best_score + self.tol
                    if score > curves.best_score:
                        curves.best_score, curves.best_epoch = score, epoch
                        curves.best = kept(model, "best")
                else:
                    loss = run.history.loss[-1]
                    improves = loss <= best - self.tol
                    best = min(best, loss)
                report(run.history)
                waited = 0 if improves else waited + 1
                if stops and waited > self.n_iter_no_change:
                    break
        curves.loss += run.history.loss
        self.model_ = model
        self._keep_optimizer(run)

    def _keep_optimizer(self, run: TrainingRun) -> None:
        """What `partial_fit` continues from."""
        arrays, schedule = run._state()
        self._optimizer = {
            "solver": self.solver,
            "seed": run.seed,
            "epochs": run._epochs,
            "schedule": schedule,
            "arrays": {k: a for k, a in arrays.items() if not k.startswith("parameters.")},
        }

    def _note(self, curves: _Curves, going_on: bool) -> None:
        """The attributes that MLPRegressor has."""
        if not going_on:
            self.loss_curve_, self.validation_scores_ = [], None
        self.n_iter_ = len(curves.loss)
        self.loss_curve_ = self.loss_curve_ + curves.loss
        self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = self.best_validation_score_ = None
        if self.early_stopping:
            self.validation_scores_ = (self.validation_scores_ or []) + curves.scores
            self.best_validation_score_ = curves.best_score
        else:
            self.best_loss_ = min(self.loss_curve_)

    # ---- predicting ----

    def _outputs(self, X: Any) -> Array:
        """Outputs of the network, (N, O).

        Nothing is checked of an array of floats with the shape that was fitted: the network itself
        refuses what is not finite. Validation would take longer than predicting a row.
        """
        try:
            layout = self._layout
        except AttributeError:
            check_is_fitted(self, "model_")
            raise
        if type(X) is not np.ndarray or X.dtype.char not in "fd" or X.shape[1:] != layout.shape:
            (X,) = self._checked(X)
        threads = 1 if len(X) == 1 else self._threads()
        try:
            y: Array = self.model_.predict(layout.sequences(X), threads=threads)
        except ValueError:
            self._checked(X)  # says what is wrong with X
            raise ValueError(
                f"X must be finite in {self.model_.dtype} when it is standardised, and has numbers "
                "too far from those that were fitted"
            ) from None
        return y


class RNNRegressor(RegressorMixin, _RNNEstimator):  # type: ignore[misc]
    r"""Regression with a tanh network that reads columns of X in time order.

    The network reads the columns that are steps one after the other, oldest first, with all other
    columns shown at every step, and y is a linear function of its last state (equations:
    `crnn.RNN`, with O outputs for the O columns of y). It is trained by mini-batches on::

        sum_i w_i loss(y_i, t_i) / sum_i w_i  +  0.5 alpha |W|^2 / n

    where loss is half of the squared error, its mean over the outputs, and w is `sample_weight`.
    Arguments that `sklearn.neural_network.MLPRegressor` has mean what they mean there.

    Parameters
    ----------
    hidden_size : int, default 32
        H, hidden units of each layer and direction.
    num_layers : int, default 1
        L, layers.
    bidirectional : bool, default False
        Whether every layer also runs backward in time.
    steps : None, int or array_like, default None
        Which columns are steps. None: every column, one a step. k: the first k columns, -k: the
        last k. Otherwise positions or names of columns, of shape (T,), or (T, F) for F features of
        each step. The columns that are no step are shown at every step. None for a 3-D X.
    lag_order : {"oldest_first", "newest_first", "names"}, default "oldest_first"
        The order in time of the columns that `steps` chooses. "names": columns called ``lag_3``,
        ``lag3`` or ``x_lag_3`` are steps, in whatever order they stand. Of several groups of names,
        those with the same lags are features of a step; groups with fewer lags, and the other
        columns that `steps` chooses, are shown at every step.
    standardize : bool, default True
        Whether to bring the steps (each feature over all steps), the other columns and each column
        of y to mean 0 and deviation 1, by the rows that are trained on, with their weights.
        Predictions are in the unit of y.
    loss : {"squared_error", "absolute_error", "huber", "quantile"}, default "squared_error"
        "huber" turns from squared to absolute at an error of 1, in deviations of y where
        `standardize` is True. "quantile" is the pinball loss.
    quantile : float, optional
        Which quantile to predict, between 0 and 1. With ``loss="quantile"`` only.
    solver : {"adam", "sgd", "rmsprop", "adamw"} or an optimiser of ``crnn.optimizers``
        Default "adam". "sgd" is without momentum; ``crnn.optimizers.SGD(momentum=0.9,
        nesterov=True)`` is the one of MLPRegressor.
    learning_rate_init : float, default 2e-3
    batch_size : int or "auto", default "auto"
        Rows of a batch. "auto": min(200, N).
    max_iter : int, default 100
        Epochs at most. Reaching it is no warning.
    alpha : float, default 0.0
        Adds ``0.5 * alpha * |W|^2 / n`` to the loss of a batch, where W are all weights that are no
        biases and n is the number of the batch's rows, times the mean of `sample_weight`. An epoch
        is then slower, since its batches are not one compiled call.
    clip_norm : float or None, default 1.0
        Bound of the norm of the gradient, penalty included. None: no bound.
    shuffle : bool, default True
        Whether every epoch takes the rows in a new order.
    early_stopping : {False, True, "refit"}, default False
        True: hold out `validation`, stop by its score, and restore the epoch with the best one.
        "refit": then begin again, and train on all rows for as many epochs.
    validation : "last" or a splitter, default "last"
        What is held out. "last": the last rows, a fraction `validation_fraction` of them.
        Libraries that train one network on several series sort their frames by series, so that this
        takes whole series. A splitter of scikit-learn, such as ``TimeSeriesSplit``: the test part
        of its last split.
    validation_fraction : float, default 0.1
        Between 0 and 1.
    n_iter_no_change : int or inf, default 10
        Stop after more than so many epochs in a row without an improvement by `tol`.
    tol : float, default 1e-4
        An epoch improves when its loss is below the best one by `tol`; with early stopping, when
        its score is above the best one by `tol`.
    dropout : float, default 0.0
        Rate at which training drops states between layers.
    warm_start : bool, default False
        Whether `fit` continues from the parameters and the standardisation it has. Otherwise it
        starts anew.
    random_state : int, RandomState instance or None, default None
        Of the initial parameters, the order of the rows and dropout. The same number gives the same
        bits, whatever `n_jobs` is.
    n_jobs : int or None, default None
        Threads. None is one, so that the processes of a search do not share processors; -1 is all.
    verbose : bool, default False
        Show a line, or with tqdm a bar, for the epochs.

    Attributes
    ----------
    model_ : crnn.RNN
        The network, on standardised numbers.
    loss_curve_ : list of float
        Loss on standardised targets: half of the squared error, a mean over the epoch's
        batches, penalty included. After a "refit" that of the second training. It continues with
        `warm_start` and `partial_fit`.
    loss_ : float
        The last of them.
    best_loss_ : float or None
        The lowest of them. None with early stopping.
    validation_scores_ : list of float or None
        R^2 (with ``loss="quantile"`` D^2 of the pinball loss) on what is held out, after every
        epoch. None without early stopping.
    best_validation_score_ : float or None
    n_iter_ : int
        Epochs of the last `fit`, or of its refit.
    n_outputs_ : int
        Outputs of the network.
    n_features_in_ : int
        C, or T of a 3-D X.
    feature_names_in_ : ndarray of str, shape (C,)
        Names of the columns, where X had names.

    Raises
    ------
    TypeError, ValueError
        From `fit` and `partial_fit`, naming the argument, what it got and what it takes. NaN and
        infinity in X name the column; sparse matrices are refused.
    sklearn.exceptions.NotFittedError
        From the predictions, before `fit`.
    crnn.TrainingDiverged
        If a loss or gradient is no longer finite.

    Warns
    -----
    UserWarning
        If X has one step only, so that nothing recurs.

    Notes
    -----
    X has shape (N, C), or (N, T, F) with the time second. Panels of sktime have it last, and no
    shape tells the two apart: swap the axes,
    ``make_pipeline(FunctionTransformer(lambda x: x.swapaxes(1, 2)), RNNRegressor())``.

    What libraries hand over, and what reads it:

    =============================================  ================================================
    scikit-learn, darts (one series), sktime       the defaults
    darts (F series), sktime's other variables     ``steps=`` positions (T, F)
    skforecast: recursive, direct                  ``lag_order="newest_first", steps=`` lags
    skforecast: several series; mlforecast         ``lag_order="names"``
    =============================================  ================================================

    The network computes in float32 where X is float32, else in float64, as MLPRegressor does.
    Predictions are float64.

    An array is accepted after a fit on a data frame, without a warning, and its columns are then
    taken by position: recursive forecasts predict rows of arrays.

    References
    ----------
    J. L. Elman, "Finding structure in time",
    Cognitive Science 14(2), 1990.

    Examples
    --------
    >>> import crnn
    >>> from crnn.estimators import RNNRegressor
    >>> x, y = crnn.dataset.windows(crnn.dataset.mackey_glass(600, seed=0), timesteps=20)
    >>> X, y = x[:, :, 0], y[:, 0]
    >>> regressor = RNNRegressor(max_iter=50, random_state=0).fit(X[:400], y[:400])
    >>> regressor.score(X[420:], y[420:]) > 0.95
    True

    Columns ``lag_2`` and ``lag_1`` are steps, and the temperature is shown at both:

    >>> import numpy as np
    >>> table = np.random.default_rng(0).normal(size=(50, 3))  # lag_1, lag_2, temperature
    >>> regressor = RNNRegressor(steps=2, lag_order="newest_first", random_state=0)
    >>> regressor.fit(table, table[:, 0]).predict(table).shape
    (50,)
    """

    _targets_are: ClassVar[dict[str, Any]] = {"multi_output": True, "y_numeric": True}
    _y_shape: tuple[int, ...]
    _y_mean: Array
    _y_scale: Array

    def __init__(
        self,
        hidden_size: int = 32,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        steps: int | Sequence[Any] | Array | None = None,
        lag_order: str = "oldest_first",
        standardize: bool = True,
        loss: str = "squared_error",
        quantile: float | None = None,
        solver: str | optimizers.Optimizer = "adam",
        learning_rate_init: float = 2e-3,
        batch_size: int | str = "auto",
        max_iter: int = 100,
        alpha: float = 0.0,
        clip_norm: float | None = 1.0,
        shuffle: bool = True,
        early_stopping: bool | str = False,
        validation: Any = "last",
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        tol: float = 1e-4,
        dropout: float = 0.0,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.steps = steps
        self.lag_order = lag_order
        self.standardize = standardize
        self.loss = loss
        self.quantile = quantile
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.alpha = alpha
        self.clip_norm = clip_norm
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation = validation
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.dropout = dropout
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        """Say what scikit-learn may expect: 3-D inputs and several outputs."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train a new network, or with `warm_start` continue with the one that is there.

        Parameters
        ----------
        X : array_like or data frame, shape (N, C) or (N, T, F)
            Real numbers, finite.
        y : array_like, shape (N,) or (N, O)
        sample_weight : array_like, shape (N,), optional
            At least 0, not all 0.

        Returns
        -------
        RNNRegressor
            Itself.
        """
        return self._fit(X, y, sample_weight)

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch, with the state of the optimiser as the last call left it.

        The standardisation is that of the first call.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. The weights are relative to each other within one call.

        Returns
        -------
        RNNRegressor
            Itself.
        """
        return self._fit_part(X, y, sample_weight)

    def predict(self, X: ArrayLike) -> Array:
        """Predict y.

        Parameters
        ----------
        X : array_like or data frame, shape (N, C) or (N, T, F)
            With the columns of `fit`.

        Returns
        -------
        ndarray of float64, shape (N,) or (N, O)
            A new array, of the shape that y had in `fit`. Row i has the same bits whatever rows
            stand beside it.
        """
        return self._unscaled(self._outputs(X)).reshape(-1, *self._y_shape)

    def _loss(self) -> losses.Loss:
        kind = _arguments.choice("loss", self.loss, LOSSES)
        if kind == "quantile":
            if self.quantile is None:
                raise ValueError('loss="quantile" needs quantile, a number between 0 and 1')
            return losses.Quantile(_arguments.real("quantile", self.quantile, above=0, below=1))
        if self.quantile is not None:
            raise ValueError(f'quantile must be None with loss="{kind}", got {self.quantile!r}')
        if kind == "squared_error":
            return _HALF_SQUARED_ERROR
        return losses.MAE() if kind == "absolute_error" else losses.Huber()

    def _encoded(self, y: Array, classes: object, going_on: bool) -> Array:
        if not going_on:
            self._y_shape = y.shape[1:]
        elif y.shape[1:] != self._y_shape:
            raise ValueError(f"y must have rows of shape {self._y_shape}, got {y.shape[1:]}")
        y = y.astype(np.float64, copy=False).reshape(len(y), -1)
        self.n_outputs_ = y.shape[1]
        return y

    def _settle(self, model: RNN, rows: _Rows) -> None:
        outputs = rows.y.shape[1]
        self._y_mean, self._y_scale = np.zeros(outputs), np.ones(outputs)
        if self.standardize:
            self._y_mean, self._y_scale = moments(rows.y, rows.weight)
        # An output whose targets are all 0 starts there, and has nothing to learn
        constant = ~self._wanted(rows.y).any(axis=0)
        model.parameters()["Wy"][:, constant] = 0

    def _wanted(self, y: Array) -> Array:
        wanted: Array = (y - self._y_mean) / self._y_scale
        return wanted

    def _unscaled(self, outputs: Array) -> Array:
        y: Array = outputs.astype(np.float64)
        y *= self._y_scale
        y += self._y_mean
        return y

    def _score(self, y: Array, outputs: Array, weight: Array | None) -> float:
        predicted = self._unscaled(outputs)
        if self.loss == "quantile":
            return float(d2_pinball_score(y, predicted, sample_weight=weight, alpha=self.quantile))
        return float(r2_score(y, predicted, sample_weight=weight))


class RNNClassifier(ClassifierMixin, _RNNEstimator):  # type: ignore[misc]
    r"""Classification with a tanh network that reads columns of X in time order.

    The network reads the columns that are steps one after the other, oldest first, with all other
    columns shown at every step, and has an output for each of the K classes after the last step
    (equations: `crnn.RNN`). The probabilities are their softmax. It is trained by mini-batches on
    the cross entropy, weighted by `sample_weight`, plus ``0.5 * alpha * |W|^2 / n``. Arguments that
    `sklearn.neural_network.MLPClassifier` has mean what they mean there.

    Parameters
    ----------
    hidden_size : int, default 32
        H, hidden units of each layer and direction.
    num_layers : int, default 1
        L, layers.
    bidirectional : bool, default False
        Whether every layer also runs backward in time.
    steps : None, int or array_like, default None
        Which columns are steps. None: every column, one a step. k: the first k columns, -k: the
        last k. Otherwise positions or names of columns, of shape (T,), or (T, F) for F features of
        each step. The columns that are no step are shown at every step. None for a 3-D X.
    lag_order : {"oldest_first", "newest_first", "names"}, default "oldest_first"
        The order in time of the columns that `steps` chooses. "names": columns called ``lag_3``,
        ``lag3`` or ``x_lag_3`` are steps, in whatever order they stand. Of several groups of names,
        those with the same lags are features of a step; groups with fewer lags, and the other
        columns that `steps` chooses, are shown at every step.
    standardize : bool, default True
        Whether to bring the steps (each feature over all steps) and the other columns to mean 0 and
        deviation 1, by the rows that are trained on, with their weights.
    solver : {"adam", "sgd", "rmsprop", "adamw"} or an optimiser of ``crnn.optimizers``
        Default "adam". "sgd" is without momentum; ``crnn.optimizers.SGD(momentum=0.9,
        nesterov=True)`` is the one of MLPClassifier.
    learning_rate_init : float, default 2e-3
    batch_size : int or "auto", default "auto"
        Rows of a batch. "auto": min(200, N).
    max_iter : int, default 100
        Epochs at most. Reaching it is no warning.
    alpha : float, default 0.0
        Adds ``0.5 * alpha * |W|^2 / n`` to the loss of a batch, where W are all weights that are no
        biases and n is the number of the batch's rows, times the mean of `sample_weight`. An epoch
        is then slower, since its batches are not one compiled call.
    clip_norm : float or None, default 1.0
        Bound of the norm of the gradient, penalty included. None: no bound.
    shuffle : bool, default True
        Whether every epoch takes the rows in a new order.
    early_stopping : {False, True, "refit"}, default False
        True: hold out `validation`, stop by its score, and restore the epoch with the best one.
        "refit": then begin again, and train on all rows for as many epochs.
    validation : "last" or a splitter, default "last"
        What is held out. "last": the last rows, a fraction `validation_fraction` of them.
        Libraries that train one network on several series sort their frames by series, so that this
        takes whole series. A splitter of scikit-learn, such as ``TimeSeriesSplit``: the test part
        of its last split.
    validation_fraction : float, default 0.1
        Between 0 and 1.
    n_iter_no_change : int or inf, default 10
        Stop after more than so many epochs in a row without an improvement by `tol`.
    tol : float, default 1e-4
        An epoch improves when its loss is below the best one by `tol`; with early stopping, when
        its score is above the best one by `tol`.
    dropout : float, default 0.0
        Rate at which training drops states between layers.
    warm_start : bool, default False
        Whether `fit` continues from the parameters and the standardisation it has. Otherwise it
        starts anew.
    random_state : int, RandomState instance or None, default None
        Of the initial parameters, the order of the rows and dropout. The same number gives the same
        bits, whatever `n_jobs` is.
    n_jobs : int or None, default None
        Threads. None is one, so that the processes of a search do not share processors; -1 is all.
    verbose : bool, default False
        Show a line, or with tqdm a bar, for the epochs.

    Attributes
    ----------
    model_ : crnn.RNN
        The network, on standardised numbers.
    classes_ : ndarray, shape (K,)
        The classes, sorted.
    loss_curve_ : list of float
        The cross entropy, a mean over the epoch's batches, penalty included. After a "refit"
        that of the second training. It continues with `warm_start` and `partial_fit`.
    loss_ : float
        The last of them.
    best_loss_ : float or None
        The lowest of them. None with early stopping.
    validation_scores_ : list of float or None
        Accuracy on what is held out, after every epoch. None without early stopping.
    best_validation_score_ : float or None
    n_iter_ : int
        Epochs of the last `fit`, or of its refit.
    n_outputs_ : int
        Outputs of the network.
    n_features_in_ : int
        C, or T of a 3-D X.
    feature_names_in_ : ndarray of str, shape (C,)
        Names of the columns, where X had names.

    Raises
    ------
    TypeError, ValueError
        From `fit` and `partial_fit`, naming the argument, what it got and what it takes. NaN and
        infinity in X name the column; sparse matrices are refused.
    sklearn.exceptions.NotFittedError
        From the predictions, before `fit`.
    crnn.TrainingDiverged
        If a loss or gradient is no longer finite.

    Warns
    -----
    UserWarning
        If X has one step only, so that nothing recurs; or if early stopping holds out every
        sample of a class, as "last" does where samples are sorted by class.

    Notes
    -----
    Sequences of different lengths are padded in front, so that the last step is the last one of
    each: what is behind it the network would have to ignore.

    X, `steps` and `lag_order` are as for `RNNRegressor`, whose notes list what libraries hand over.

    The network computes in float32 where X is float32, else in float64, as MLPClassifier does.
    Probabilities are float64.

    References
    ----------
    J. L. Elman, "Finding structure in time",
    Cognitive Science 14(2), 1990.

    Examples
    --------
    Does a wave rise or fall at its end?

    >>> import crnn
    >>> from crnn.estimators import RNNClassifier
    >>> x, y = crnn.dataset.windows(crnn.dataset.sine_wave(300), timesteps=10)
    >>> X, rises = x[:, :, 0], y[:, 0] > x[:, -1, 0]
    >>> classifier = RNNClassifier(random_state=0).fit(X, rises)
    >>> classifier.score(X, rises) > 0.95
    True
    >>> classifier.predict_proba(X).shape
    (290, 2)
    """

    _targets_are: ClassVar[dict[str, Any]] = {}
    classes_: Array

    def __init__(
        self,
        hidden_size: int = 32,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        steps: int | Sequence[Any] | Array | None = None,
        lag_order: str = "oldest_first",
        standardize: bool = True,
        solver: str | optimizers.Optimizer = "adam",
        learning_rate_init: float = 2e-3,
        batch_size: int | str = "auto",
        max_iter: int = 100,
        alpha: float = 0.0,
        clip_norm: float | None = 1.0,
        shuffle: bool = True,
        early_stopping: bool | str = False,
        validation: Any = "last",
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        tol: float = 1e-4,
        dropout: float = 0.0,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.steps = steps
        self.lag_order = lag_order
        self.standardize = standardize
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.alpha = alpha
        self.clip_norm = clip_norm
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation = validation
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.dropout = dropout
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train a new network, or with `warm_start` continue with the one that is there.

        Parameters
        ----------
        X : array_like or data frame, shape (N, C) or (N, T, F)
            Real numbers, finite.
        y : array_like, shape (N,)
            Classes: integers, strings or booleans.
        sample_weight : array_like, shape (N,), optional
            At least 0, not all 0.

        Returns
        -------
        RNNClassifier
            Itself.
        """
        return self._fit(X, y, sample_weight)

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch, with the state of the optimiser as the last call left it.

        The standardisation is that of the first call.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. The weights are relative to each other within one call.
        classes : array_like, shape (K,)
            All classes that any call will have. The first call needs it, later ones do not.

        Returns
        -------
        RNNClassifier
            Itself.
        """
        if classes is None and not hasattr(self, "model_"):
            raise ValueError("classes must be given on the first call to partial_fit")
        return self._fit_part(X, y, sample_weight, classes)

    def predict(self, X: ArrayLike) -> Array:
        """Predict the most probable class.

        Parameters
        ----------
        X : array_like or data frame, shape (N, C) or (N, T, F)
            With the columns of `fit`.

        Returns
        -------
        ndarray, shape (N,)
            Of `classes_`.
        """
        best = self._outputs(X).argmax(axis=1)
        classes: Array = self.classes_[best]
        return classes

    def predict_proba(self, X: ArrayLike) -> Array:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array_like or data frame, shape (N, C) or (N, T, F)
            With the columns of `fit`.

        Returns
        -------
        ndarray of float64, shape (N, K)
            In the order of `classes_`; each row has the sum 1.
        """
        return losses.softmax(self._outputs(X).astype(np.float64))

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : array_like or data frame, shape (N, C) or (N, T, F)
            With the columns of `fit`.

        Returns
        -------
        ndarray of float64, shape (N, K)
            Finite also where `predict_proba` rounds to 0.
        """
        y = self._outputs(X).astype(np.float64)
        y -= y.max(axis=1, keepdims=True)
        y -= np.log(np.exp(y).sum(axis=1, keepdims=True))
        return y

    def _loss(self) -> losses.Loss:
        return losses.CrossEntropy()

    def _encoded(self, y: Array, classes: object, going_on: bool) -> Array:
        check_classification_targets(y)
        found = unique_labels(y)
        if classes is not None:
            given = unique_labels(classes)
            if going_on and not np.array_equal(given, self.classes_):
                raise ValueError(f"classes must be those of the first call, {self.classes_}")
            unknown = np.setdiff1d(found, given)
            if len(unknown):
                raise ValueError(f"y must hold members of classes, got {unknown[0]!r}")
            found = given
        if going_on:
            unknown = np.setdiff1d(found, self.classes_)
            if len(unknown):
                raise ValueError(f"y must hold the classes of the fit before, got {unknown[0]!r}")
        else:
            self.classes_ = found
        self.n_outputs_ = len(self.classes_)
        return np.searchsorted(self.classes_, y)

    def _split(self, X: Array, y: Array) -> tuple[Array, Array]:
        rows, held = super()._split(X, y)
        missing = np.setdiff1d(y, y[rows])
        if len(missing):
            warnings.warn(
                f"early_stopping holds out every sample of class {self.classes_[missing[0]]!r}: "
                "give validation a splitter, such as StratifiedShuffleSplit",
                UserWarning,
                stacklevel=4,
            )
        return rows, held

    def _wanted(self, y: Array) -> Array:
        return y

    def _score(self, y: Array, outputs: Array, weight: Array | None) -> float:
        return float(accuracy_score(y, outputs.argmax(axis=1), sample_weight=weight))
