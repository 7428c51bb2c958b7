"""Losses to train a network with; softmax and sigmoid turn its outputs into probabilities.

A loss is a small object: ``Huber(delta=0.5)``. Instead of an object, every function takes a name
for the loss with its defaults: ``"huber"``.

N samples, T timesteps, O outputs. y is a network's output and t the target, both of shape (N, O),
or (N, T, O) with an output at every step. The loss of a batch is the mean over its elements.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from crnn import _arguments, _settings
from crnn._arguments import Array
from crnn._settings import Setting

__all__ = [
    "MAE",
    "MSE",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Huber",
    "Loss",
    "Quantile",
    "named",
    "sigmoid",
    "softmax",
]


@dataclass(frozen=True)
class Loss(Setting):
    """Base class of all losses.

    Attributes
    ----------
    name : str
        Name of the loss. It stands for the loss with its defaults.
    classes : bool
        Whether targets are classes, integers in [0, O).
    probabilities : bool
        Whether targets are probabilities, in [0, 1].

    Examples
    --------
    >>> from crnn import losses
    >>> losses.Huber(delta=0.5).settings()
    {'name': 'huber', 'delta': 0.5}
    """

    classes: ClassVar[bool] = False
    probabilities: ClassVar[bool] = False


@dataclass(frozen=True)
class MSE(Loss):
    """The mean squared error.

    ::

        loss     = (y - t)^2
        dloss/dy = 2 (y - t)

    Minimising it estimates the mean of the targets. It is not halved.

    Notes
    -----
    Targets are real numbers of shape (N, O), or (N, T, O) with an output at every step.

    Examples
    --------
    >>> from crnn import losses
    >>> losses.MSE()
    MSE()
    """

    name: ClassVar[str] = "mse"


@dataclass(frozen=True)
class MAE(Loss):
    """The mean absolute error.

    ::

        loss     = |y - t|
        dloss/dy = sign(y - t), 0 where y = t

    Minimising it estimates the median of the targets. Outliers have little influence.

    Notes
    -----
    Targets are real numbers of shape (N, O), or (N, T, O) with an output at every step.

    Examples
    --------
    >>> from crnn import losses
    >>> losses.MAE()
    MAE()
    """

    name: ClassVar[str] = "mae"


@dataclass(frozen=True)
class Huber(Loss):
    """Huber's loss: squared for small errors, absolute for large ones.

    With e = y - t::

        loss     = e^2 / 2                      where |e| <= delta
                   delta (|e| - delta / 2)      elsewhere
        dloss/dy = e                            where |e| <= delta
                   delta sign(e)                elsewhere

    Parameters
    ----------
    delta : float, default 1.0
        Error at which the loss changes from squared to absolute, in the unit of the targets.
        Greater than 0.

    Raises
    ------
    TypeError
        If `delta` is not a real number.
    ValueError
        If `delta` is not finite or not greater than 0.

    Notes
    -----
    Targets are real numbers of shape (N, O), or (N, T, O) with an output at every step. PyTorch,
    Keras and scikit-learn define the loss in the same way.

    References
    ----------
    P. J. Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics
    35 (1964), 73-101.

    Examples
    --------
    >>> from crnn import losses
    >>> losses.Huber(delta=0.5)
    Huber(delta=0.5)
    """

    name: ClassVar[str] = "huber"
    delta: float = 1.0

    def __post_init__(self) -> None:
        self._set("delta", _arguments.real("delta", self.delta, above=0))


@dataclass(frozen=True)
class Quantile(Loss):
    """The quantile loss, also called pinball loss.

    With e = t - y::

        loss     = max(q e, (q - 1) e)
        dloss/dy = -q       where y < t
                   1 - q    where y > t
                   0        where y = t

    Minimising it estimates the q-quantile of the targets: a fraction q of the targets lies below
    the output. Three outputs with q = (0.1, 0.5, 0.9) and the same target give a forecast and an
    interval that contains 80 % of the targets.

    Parameters
    ----------
    q : float or sequence of float, default 0.5
        One quantile for all outputs, or one for each, between 0 and 1 exclusive. With 0.5 the loss
        is half of `MAE`.

    Raises
    ------
    TypeError
        If `q` is neither a real number nor a sequence of them.
    ValueError
        If a quantile is not between 0 and 1, or the sequence is empty.

    Notes
    -----
    Targets are real numbers of shape (N, O), or (N, T, O) with an output at every step. A sequence
    is kept as a tuple.

    References
    ----------
    R. Koenker and G. Bassett, "Regression Quantiles",
    Econometrica 46 (1978), 33-50.

    Examples
    --------
    >>> from crnn import losses
    >>> losses.Quantile([0.1, 0.5, 0.9])
    Quantile(q=(0.1, 0.5, 0.9))
    """

    name: ClassVar[str] = "quantile"
    q: float | tuple[float, ...] = 0.5

    def __post_init__(self) -> None:
        self._set("q", _quantiles(self.q))


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """The cross entropy of a softmax over the outputs: one class out of O.

    With the target c, a class::

        p        = softmax(y)
        loss     = -log(p_c) = log(sum_o exp(y_o)) - y_c
        dloss/dy = p - (1 at c, 0 elsewhere)

    The outputs are logits, because the network has no softmax. `softmax` turns them into
    probabilities. The largest logit is subtracted before exp, so that nothing overflows.

    Notes
    -----
    Targets are integers from 0 to O - 1, of shape (N,), or (N, T) with an output at every step.
    The loss of a batch is the mean over its rows (and steps). A negative class is a missing target.

    Examples
    --------
    >>> from crnn import losses
    >>> losses.CrossEntropy()
    CrossEntropy()
    """

    name: ClassVar[str] = "cross_entropy"
    classes: ClassVar[bool] = True


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """The binary cross entropy of a sigmoid of each output, for O independent yes-or-no targets.

    With the target t between 0 and 1::

        p        = sigmoid(y)
        loss     = -t log(p) - (1 - t) log(1 - p) = max(y, 0) - y t + log(1 + exp(-|y|))
        dloss/dy = p - t

    The outputs are logits, because the network has no sigmoid. `sigmoid` turns them into
    probabilities. The loss is computed in its second form, which does not overflow.

    Notes
    -----
    Targets are real numbers from 0 to 1, of shape (N, O), or (N, T, O) with an output at every
    step.

    Examples
    --------
    >>> from crnn import losses
    >>> losses.BinaryCrossEntropy()
    BinaryCrossEntropy()
    """

    name: ClassVar[str] = "binary_cross_entropy"
    probabilities: ClassVar[bool] = True


_BY_NAME: dict[str, type[Loss]] = {
    loss.name: loss for loss in (MSE, MAE, Huber, Quantile, CrossEntropy, BinaryCrossEntropy)
}


def named(name: str, value: object, outputs: int | None = None) -> Loss:
    """Return the loss that an argument stands for. Check it against the network's outputs.

    Parameters
    ----------
    name : str
        The argument's name, for error messages.
    value : str or Loss
        "mse", "mae", "huber", "quantile", "cross_entropy", "binary_cross_entropy", or a loss.
    outputs : int, optional
        Outputs of the network, O. None if not yet known.

    Returns
    -------
    Loss
        `value` itself, or the loss with its defaults.

    Raises
    ------
    TypeError
        If `value` is neither a string nor a loss.
    ValueError
        If no loss has this name, or `Quantile` has neither one quantile nor O.

    Examples
    --------
    >>> from crnn import losses
    >>> losses.named("loss", "huber", outputs=1)
    Huber(delta=1.0)
    """
    loss: Loss = _settings.named(name, value, _BY_NAME, "a loss of crnn.losses")
    quantiles = loss.q if isinstance(loss, Quantile) else 0
    if isinstance(quantiles, tuple) and len(quantiles) != outputs and outputs is not None:
        raise ValueError(
            f"{name} must have one quantile or as many as there are outputs, {outputs}, "
            f"got {len(quantiles)}"
        )
    return loss


def softmax(logits: ArrayLike, axis: int = -1) -> Array:
    """Turn logits into class probabilities.

    ::

        p_o = exp(y_o) / sum_k exp(y_k)

    The largest logit is subtracted first, so that nothing overflows.

    Parameters
    ----------
    logits : array_like of real numbers
        Predictions of a network trained with `CrossEntropy`: (N, O) or (N, T, O).
    axis : int, default -1
        The axis of the classes.

    Returns
    -------
    ndarray
        Numbers from 0 to 1 in the shape of `logits`. Their sums along `axis` are 1. The type is
        that of `logits` if it is a float, else float64. NaN where one of the logits is NaN or
        +infinity.

    Raises
    ------
    TypeError
        If `logits` does not hold real numbers or `axis` is not an integer.
    ValueError
        If `logits` has no such axis, or no class along it.

    Examples
    --------
    >>> from crnn import losses
    >>> losses.softmax([[0.0, 1000.0], [3.0, 3.0]])
    array([[0. , 1. ],
           [0.5, 0.5]])
    """
    y = _floats(logits)
    if y.ndim == 0:
        raise ValueError(f"logits must have at least one axis, got {logits!r}")
    axis = _arguments.integer("axis", axis, minimum=-y.ndim)
    if axis >= y.ndim:
        raise ValueError(f"axis must be less than {y.ndim}, got {axis}")
    if y.shape[axis] == 0:
        raise ValueError(f"logits must have at least one class, got shape {y.shape}")
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        e = np.exp(y - y.max(axis=axis, keepdims=True))
        return np.asarray(e / e.sum(axis=axis, keepdims=True))


def sigmoid(logits: ArrayLike) -> Array:
    """Turn each logit into a probability.

    ::

        p = 1 / (1 + exp(-y))

    It is computed from exp(-abs(y)), so that nothing overflows.

    Parameters
    ----------
    logits : array_like of real numbers
        Predictions of a network trained with `BinaryCrossEntropy`, of any shape.

    Returns
    -------
    ndarray
        Numbers from 0 to 1 in the shape of `logits`. The type is that of `logits` if it is a float,
        else float64. NaN where a logit is NaN.

    Raises
    ------
    TypeError
        If `logits` does not hold real numbers.

    Examples
    --------
    >>> from crnn import losses
    >>> losses.sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    y = _floats(logits)
    with np.errstate(invalid="ignore", under="ignore"):
        e = np.exp(-np.abs(y))
        return np.asarray(np.where(y < 0, e, y.dtype.type(1)) / (1 + e))


def _floats(logits: ArrayLike) -> Array:
    y = _arguments.numeric("logits", logits)
    return y if y.dtype.kind == "f" else y.astype(np.float64)


def _quantiles(q: object) -> float | tuple[float, ...]:
    if isinstance(q, np.ndarray):
        q = q.tolist()
    if isinstance(q, str) or not isinstance(q, Iterable):
        return _arguments.real("q", q, above=0, below=1)
    found = tuple(_arguments.real("q", each, above=0, below=1) for each in q)
    if not found:
        raise ValueError("q must have at least one quantile, got none")
    return found
