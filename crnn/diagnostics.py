"""Diagnostics of a training: how far gradients reach back in time, and why.

The functions answer the question whether the gradient vanishes. `gradient_by_lag` shows whether it
does. `spectral_radius` and `saturation` show why. `crnn.plots` draws the results.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from crnn import _cell, _samples, losses
from crnn._arguments import Array, real
from crnn.dataset import Sequences
from crnn.model import RNN

__all__ = ["gradient_by_lag", "saturation", "spectral_radius"]


def gradient_by_lag(
    model: RNN,
    x: ArrayLike | Sequences,
    y: ArrayLike,
    loss: str | losses.Loss = "mse",
    *,
    lengths: ArrayLike | None = None,
) -> Array:
    r"""Compute the norm of the loss's gradient by the states k steps before the last one.

    The states are those of the forward direction of the last layer. The loss is that of the last
    output only. With the letters of `crnn.RNN`, where ' is the transpose::

        dh_T = dy Wy',    dh_{t-1} = (dh_t * (1 - h_t^2)) Wh',    norm_k = |dloss/dh_{T-k}|

    The norm is over all samples and units. If it falls by a constant factor per lag, the gradient
    vanishes: the network cannot learn from what happened long before the end [1]_.

    Parameters
    ----------
    model : RNN
    x, lengths
        As in ``RNN.predict``.
    y : array_like
        Targets of the last outputs: (N, O), (N,) when O is 1, or classes (N,). With
        ``output="all"`` also those of the last step only.
    loss : str or a loss of ``crnn.losses``, default "mse"

    Returns
    -------
    norms : ndarray of float64, shape (T,)
        The norms at the lags 0 to T - 1. A shorter sample adds nothing before its first step.

    References
    ----------
    .. [1] R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
       networks", ICML 2013, https://arxiv.org/abs/1211.5063.

    Examples
    --------
    >>> import crnn, numpy as np
    >>> model = crnn.RNN(1, 16, 1, seed=0)
    >>> norms = crnn.diagnostics.gradient_by_lag(model, np.ones((4, 30)), np.zeros(4))
    >>> norms.shape, bool(norms[-1] < norms[0])
    ((30,), True)
    """
    chosen = losses.named("loss", loss, model.output_size)
    samples = model._inputs("x", x, lengths)
    wanted = _samples.targets(
        "y", y, samples, model.output_size, every=False, classes=chosen.classes
    )
    model._check_targets("y", wanted, chosen, ignore=False)
    states, ends = _by_lag(model, x, lengths)
    hidden, (wh, wy) = model.hidden_size, _last_layer(model)
    outputs = _last_outputs(model, model.predict(x, lengths=lengths), samples).astype(np.float64)
    target = _samples.rows(wanted, np.dtype(np.float64))
    _, dy = _cell.loss_gradient(
        np.ascontiguousarray(outputs), target, chosen, None, 1 / target.size
    )
    norms = np.zeros(samples.steps)
    with np.errstate(over="ignore", under="ignore"):  # a gradient that explodes or vanishes
        dh = dy @ wy[:hidden].T
        for lag in range(samples.steps):
            h = states[:, lag, :hidden]
            dh = dh * (lag <= ends)[:, None]
            norms[lag] = np.linalg.norm(dh)
            slope = 1 - h**2 if model.nonlinearity == "tanh" else (h > 0).astype(np.float64)
            dh = (dh * slope) @ wh.T
    return norms


def spectral_radius(model: RNN) -> dict[str, float]:
    """Compute the largest absolute eigenvalue of every recurrent matrix.

    A linear network forgets if it is below 1. Above 1, its states and gradients may grow.

    Parameters
    ----------
    model : RNN

    Returns
    -------
    dict of str to float
        The eigenvalue by the name of the matrix: "Wh_l0" and so on.

    Examples
    --------
    >>> import crnn
    >>> {k: round(v, 3) for k, v in crnn.diagnostics.spectral_radius(crnn.RNN(1, 8, 1)).items()}
    {'Wh_l0': 1.0}
    """
    return {name: float(np.abs(values).max()) for name, values in eigenvalues(model).items()}


def eigenvalues(model: RNN) -> dict[str, Array]:
    """Compute the eigenvalues of every recurrent matrix, by its name.

    Parameters
    ----------
    model : RNN

    Returns
    -------
    dict of str to ndarray of complex128, shape (H,)
    """
    return {
        name: np.linalg.eigvals(array.astype(np.float64)).astype(np.complex128)
        for name, array in model.state_dict().items()
        if name.startswith("Wh")
    }


def saturation(
    model: RNN,
    x: ArrayLike | Sequences,
    *,
    lengths: ArrayLike | None = None,
    threshold: float = 0.99,
) -> Array:
    """Compute how often each unit of the last layer is saturated and passes no gradient.

    Parameters
    ----------
    model : RNN
    x, lengths
        As in ``RNN.predict``.
    threshold : float, default 0.99
        A tanh unit is saturated if abs(h) is above the threshold. At 0.99 its slope 1 - h^2 is
        below 0.02. A relu unit is saturated if h is 0.

    Returns
    -------
    shares : ndarray of float64, shape (D H,)
        Share of the steps of all samples, from 0 to 1.

    Examples
    --------
    >>> import crnn, numpy as np
    >>> crnn.diagnostics.saturation(crnn.RNN(1, 3, 1, seed=0), np.zeros((2, 5))).tolist()
    [0.0, 0.0, 0.0]
    """
    most = real("threshold", threshold, minimum=0, below=1)
    states = model.states(x, lengths=lengths)
    if isinstance(states, Sequences):
        rows = states.values
    else:
        rows = states.reshape(-1, states.shape[-1])
        if lengths is not None:
            steps = np.arange(states.shape[1]) < np.asarray(lengths)[:, None]
            rows = states[steps]
    closed = np.abs(rows) > most if model.nonlinearity == "tanh" else rows == 0
    shares: Array = closed.mean(axis=0)
    return shares


def _by_lag(model: RNN, x: Any, lengths: Any) -> tuple[Array, Array]:
    """States (N, T, D H) in float64 from last to first, and the lag of each sample's first step."""
    states = model.states(x, lengths=lengths)
    if isinstance(states, Sequences):
        ends = states.lengths - 1
        padded: Array = states.padded()
    else:
        padded = states
        ends = np.full(len(padded), padded.shape[1]) if lengths is None else np.asarray(lengths)
        ends = ends - 1
        padded = padded[:, : ends.max() + 1]
    place = np.maximum(ends[:, None] - np.arange(padded.shape[1]), 0)
    return np.take_along_axis(padded, place[..., None], axis=1).astype(np.float64), ends


def _last_layer(model: RNN) -> tuple[Array, Array]:
    arrays = model.state_dict()
    return (
        arrays[f"Wh_l{model.num_layers - 1}"].astype(np.float64),
        arrays["Wy"].astype(np.float64),
    )


def _last_outputs(model: RNN, outputs: Any, samples: _samples.Samples) -> Array:
    if model.output == "last":
        last: Array = outputs
    elif isinstance(outputs, Sequences):
        last = outputs.values[outputs.starts + outputs.lengths - 1]
    elif samples.lengths is None:
        last = outputs[:, -1]
    else:
        last = outputs[np.arange(len(outputs)), samples.lengths - 1]
    return last
