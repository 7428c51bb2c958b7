"""Optimisers: rules that turn a gradient into a step of the parameters.

An optimiser is a small object: ``SGD(momentum=0.9)``. Instead of an object, `crnn.Trainer` takes a
name for the optimiser with its defaults: ``"adam"``. Rules, argument names and defaults are those
of PyTorch. The learning rate is an argument of `crnn.Trainer`.

In the equations, w is a parameter, g the gradient of the batch's loss after clipping, r the
learning rate and k the number of the update, counted from 1. The moments m and v start at zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from crnn import _arguments, _settings
from crnn._settings import Setting

__all__ = ["NAMES", "SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "named"]


@dataclass(frozen=True)
class Optimizer(Setting):
    """Base class of all optimisers.

    Attributes
    ----------
    name : str
        Name of the optimiser. It stands for the optimiser with its defaults.

    Examples
    --------
    >>> from crnn import optimizers
    >>> optimizers.AdamW().settings()
    {'name': 'adamw', 'betas': [0.9, 0.999], 'eps': 1e-08, 'weight_decay': 0.01}
    """


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with or without momentum.

    ::

        g = g + weight_decay w
        m = momentum m + g
        w = w - r m                     with nesterov: w - r (g + momentum m)

    The moment does not contain the learning rate, so a change of the rate acts at once.

    Parameters
    ----------
    momentum : float, default 0.0
        At least 0. A usual value is 0.9.
    nesterov : bool, default False
        Whether to use Nesterov's momentum. It needs a `momentum` greater than 0.
    weight_decay : float, default 0.0
        L2 penalty on all parameters, including the biases. At least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

    Notes
    -----
    ``torch.optim.SGD`` without dampening and maximize.

    References
    ----------
    I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of initialization and
    momentum in deep learning", ICML 2013.

    Examples
    --------
    >>> from crnn import optimizers
    >>> optimizers.SGD(momentum=0.9, nesterov=True)
    SGD(momentum=0.9, nesterov=True, weight_decay=0.0)
    """

    name: ClassVar[str] = "sgd"
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        self._set("momentum", _arguments.real("momentum", self.momentum, minimum=0))
        self._set("nesterov", _arguments.boolean("nesterov", self.nesterov))
        self._set("weight_decay", _arguments.real("weight_decay", self.weight_decay, minimum=0))
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum greater than 0, got momentum=0.0")


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop: steps divided by the root of a running mean of the squared gradient.

    ::

        g = g + weight_decay w
        v = alpha v + (1 - alpha) g^2
        m = momentum m + g / (sqrt(v) + eps)
        w = w - r m

    Parameters
    ----------
    alpha : float, default 0.99
        Decay of v per update, at least 0 and below 1.
    eps : float, default 1e-8
        Added to the root, greater than 0.
    weight_decay : float, default 0.0
        L2 penalty on all parameters, including the biases. At least 0.
    momentum : float, default 0.0
        At least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

    Notes
    -----
    ``torch.optim.RMSprop`` without centered and maximize. TensorFlow adds eps to the square
    instead.

    References
    ----------
    T. Tieleman and G. Hinton, "Lecture 6.5: RMSProp", COURSERA: Neural Networks for Machine
    Learning, 2012.

    Examples
    --------
    >>> from crnn import optimizers
    >>> optimizers.RMSprop(alpha=0.9)
    RMSprop(alpha=0.9, eps=1e-08, weight_decay=0.0, momentum=0.0)
    """

    name: ClassVar[str] = "rmsprop"
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0

    def __post_init__(self) -> None:
        self._set("alpha", _arguments.real("alpha", self.alpha, minimum=0, below=1))
        self._set("eps", _arguments.real("eps", self.eps, above=0))
        self._set("weight_decay", _arguments.real("weight_decay", self.weight_decay, minimum=0))
        self._set("momentum", _arguments.real("momentum", self.momentum, minimum=0))


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: momentum, divided by the root of a running mean of the squared gradient.

    With betas = (b1, b2)::

        g = g + weight_decay w
        m = b1 m + (1 - b1) g
        v = b2 v + (1 - b2) g^2
        w = w - r (m / (1 - b1^k)) / (sqrt(v / (1 - b2^k)) + eps)

    Parameters
    ----------
    betas : (float, float), default (0.9, 0.999)
        Decay of m and of v per update, each at least 0 and below 1.
    eps : float, default 1e-8
        Added to the root, greater than 0.
    weight_decay : float, default 0.0
        L2 penalty on all parameters, including the biases. At least 0. `AdamW` has decoupled weight
        decay instead.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

    Notes
    -----
    ``torch.optim.Adam`` without amsgrad and maximize.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
    https://arxiv.org/abs/1412.6980.

    Examples
    --------
    >>> from crnn import optimizers
    >>> optimizers.Adam(betas=(0.9, 0.99))
    Adam(betas=(0.9, 0.99), eps=1e-08, weight_decay=0.0)
    """

    name: ClassVar[str] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        self._set("betas", _betas(self.betas))
        self._set("eps", _arguments.real("eps", self.eps, above=0))
        self._set("weight_decay", _arguments.real("weight_decay", self.weight_decay, minimum=0))


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, which is not divided by the root.

    With betas = (b1, b2)::

        w = w - r weight_decay w
        m = b1 m + (1 - b1) g
        v = b2 v + (1 - b2) g^2
        w = w - r (m / (1 - b1^k)) / (sqrt(v / (1 - b2^k)) + eps)

    Parameters
    ----------
    betas : (float, float), default (0.9, 0.999)
        Decay of m and of v per update, each at least 0 and below 1.
    eps : float, default 1e-8
        Added to the root, greater than 0.
    weight_decay : float, default 0.01
        Decay of all parameters, including the biases. At least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

    Notes
    -----
    ``torch.optim.AdamW`` without amsgrad and maximize.

    References
    ----------
    I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
    https://arxiv.org/abs/1711.05101.

    Examples
    --------
    >>> from crnn import optimizers
    >>> optimizers.AdamW()
    AdamW(betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01)
    """

    name: ClassVar[str] = "adamw"
    weight_decay: float = 0.01


_BY_NAME: dict[str, type[Optimizer]] = {rule.name: rule for rule in (SGD, RMSprop, Adam, AdamW)}
NAMES = tuple(_BY_NAME)  #: The strings that stand for the optimisers.


def named(name: str, value: object) -> Optimizer:
    """Return the optimiser that an argument stands for.

    Parameters
    ----------
    name : str
        The argument's name, for error messages.
    value : str or Optimizer
        "sgd", "rmsprop", "adam", "adamw", or an optimiser.

    Returns
    -------
    Optimizer
        `value` itself, or the optimiser with its defaults.

    Raises
    ------
    TypeError
        If `value` is neither a string nor an optimiser.
    ValueError
        If no optimiser has this name.

    Examples
    --------
    >>> from crnn import optimizers
    >>> optimizers.named("optimizer", "sgd")
    SGD(momentum=0.0, nesterov=False, weight_decay=0.0)
    """
    return _settings.named(name, value, _BY_NAME, "an optimizer of crnn.optimizers")


def _betas(betas: object) -> tuple[float, float]:
    if not isinstance(betas, (tuple, list)):
        raise TypeError(f"betas must be a pair of numbers, got {betas!r}")
    if len(betas) != 2:
        raise ValueError(f"betas must be a pair of numbers, got {betas!r}")
    first, second = (_arguments.real("betas", beta, minimum=0, below=1) for beta in betas)
    return first, second
