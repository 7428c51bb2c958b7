"""Loss by epoch, actual against predicted, and diagnostics, drawn on Matplotlib axes.

Matplotlib comes with the extra `plot` and is imported by the functions that draw, not by this
module. Without `ax=` a drawing gets a `matplotlib.figure.Figure` of its own that pyplot knows
nothing about: no backend is chosen, no `rcParams` change and nothing has to be closed. It is
saved with ``ax.figure.savefig("loss.png")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from crnn._arguments import Array, numeric
from crnn._extras import missing_package

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from crnn.model import RNN
    from crnn.run import History

# A ratio of largest to smallest loss from which a linear axis shows the end of a training as zero.
LOGARITHMIC_FROM = 100.0


def new_figure() -> Figure:
    """Make a figure that no backend, window or pyplot state belongs to.

    Returns
    -------
    matplotlib.figure.Figure
        8 x 4.5 inches at 120 dots an inch: saved as PNG, 960 x 540 pixels.

    Raises
    ------
    ImportError
        If Matplotlib is not installed; the message says what to install.

    Examples
    --------
    >>> from crnn import plots
    >>> left, right = plots.new_figure().subplots(1, 2)
    >>> plots.plot_loss([0.9, 0.5], ax=left) is left
    True
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_package("drawing", "matplotlib", error) from error
    return Figure(figsize=(8.0, 4.5), dpi=120, layout="constrained")


def _curve(name: str, values: object) -> Array:
    """One line to draw: (N,) float64, from (N,) or (N, 1)."""
    array = numeric(name, values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"{name} must be one series of shape (N,) or (N, 1) with N at least 1, "
            f"got shape {array.shape}"
        )
    return array.astype(np.float64)


def _marker(curve: Array) -> str:
    return "o" if curve.size == 1 else ""  # a line through one point is invisible


def plot_loss(history: History | Sequence[float], *, ax: Axes | None = None) -> Axes:
    """Draw the loss of each epoch, and the validation loss where there is one.

    The loss axis is logarithmic when the losses that are positive span two decades or more, and
    linear otherwise. A loss that is not finite leaves a gap.

    Parameters
    ----------
    history : History or sequence of float
        What `Trainer.fit` returned, or losses alone, one an epoch.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default on a new figure that pyplot does not know.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; its figure is ``ax.figure``.

    Raises
    ------
    ImportError
        If Matplotlib is not installed and `ax` is not given.
    ValueError, TypeError
        If `history` has no epochs, or is not a series of numbers.

    Examples
    --------
    >>> from crnn.plots import plot_loss
    >>> ax = plot_loss([0.9, 0.05, 0.002])
    >>> ax.get_xlabel(), ax.get_yscale()
    ('Epoch', 'log')
    """
    loss = _curve("history", getattr(history, "loss", history))
    # np.asarray of the empty list that a training without validation data leaves is (0,).
    validation = np.asarray(getattr(history, "validation_loss", ()), dtype=np.float64)
    if ax is None:
        ax = new_figure().add_subplot()
    from matplotlib.ticker import MaxNLocator

    ax.plot(np.arange(1, loss.size + 1), loss, marker=_marker(loss), label="training")
    if validation.size:
        ax.plot(
            np.arange(1, validation.size + 1),
            validation,
            marker=_marker(validation),
            linestyle="--",
            label="validation",
        )
    drawn = np.concatenate([loss, validation])
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    if drawn.size and drawn.max() / LOGARITHMIC_FROM >= drawn.min():
        ax.set_yscale("log")
    ax.xaxis.set_major_locator(
        MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    ax.margins(x=0)  # the first epoch is 1; a margin would show a 0 that there was not
    ax.set_title("Loss by epoch")
    ax.set_xlabel("Epoch")
    ax.set_ylabel("Loss")
    ax.grid(True, linestyle="--", linewidth=0.5, alpha=0.6)
    ax.legend(loc="upper right")
    return ax


def plot_prediction(actual: ArrayLike, predicted: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw a series and what was predicted for it, over each other.

    Parameters
    ----------
    actual : array_like, shape (N,) or (N, 1)
        The values that came.
    predicted : array_like, shape (N,) or (N, 1)
        The prediction for each of them, in the same units.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default on a new figure that pyplot does not know.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; its figure is ``ax.figure``. The time axis counts from 0.

    Raises
    ------
    ImportError
        If Matplotlib is not installed and `ax` is not given.
    ValueError, TypeError
        If `actual` or `predicted` is not one numeric series, or their lengths differ.

    Examples
    --------
    >>> from crnn.plots import plot_prediction
    >>> ax = plot_prediction([1.0, 2.0, 3.0], [1.1, 1.9, 3.2])
    >>> [line.get_label() for line in ax.lines]
    ['actual', 'predicted']
    """
    truth = _curve("actual", actual)
    guess = _curve("predicted", predicted)
    if guess.size != truth.size:
        raise ValueError(
            f"predicted must be as long as actual, {truth.size} values, got {guess.size}"
        )
    if ax is None:
        ax = new_figure().add_subplot()
    ax.plot(truth, marker=_marker(truth), linewidth=2.0, label="actual")
    ax.plot(guess, marker=_marker(guess), linestyle="--", linewidth=1.5, label="predicted")
    ax.set_title("Actual against predicted")
    ax.set_xlabel("Time step")
    ax.set_ylabel("Value")
    ax.grid(True, linestyle="--", linewidth=0.5, alpha=0.6)
    ax.margins(x=0.01, y=0.15)  # room for the legend: a wave leaves none inside
    ax.legend(loc="upper right", ncols=2)
    return ax


def plot_gradient_by_lag(norms: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw how far the gradient reaches back.

    Parameters
    ----------
    norms : array_like, shape (T,)
        What ``diagnostics.gradient_by_lag`` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default on a new figure that pyplot does not know.

    Returns
    -------
    matplotlib.axes.Axes
        The norms over the lag, on a logarithmic axis; zeros leave a gap.

    Examples
    --------
    >>> from crnn.plots import plot_gradient_by_lag
    >>> plot_gradient_by_lag([1.0, 0.1, 0.01]).get_yscale()
    'log'
    """
    curve = _curve("norms", norms)
    if ax is None:
        ax = new_figure().add_subplot()
    curve[curve <= 0] = np.nan
    ax.plot(curve, marker=_marker(curve))
    ax.set_yscale("log")
    ax.margins(x=0)
    ax.set_title("How far the gradient reaches back")
    ax.set_xlabel("Steps before the last")
    ax.set_ylabel("Norm of dloss/dh")
    ax.grid(True, linestyle="--", linewidth=0.5, alpha=0.6)
    return ax


def plot_spectrum(model: RNN, *, ax: Axes | None = None) -> Axes:
    """Draw the eigenvalues of the recurrent matrices, with the unit circle.

    Parameters
    ----------
    model : RNN
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default on a new figure that pyplot does not know.

    Returns
    -------
    matplotlib.axes.Axes
        The complex plane.

    Examples
    --------
    >>> import crnn
    >>> ax = crnn.plots.plot_spectrum(crnn.RNN(1, 8, 1, num_layers=2, seed=0))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['Wh_l0', 'Wh_l1']
    """
    from crnn.diagnostics import eigenvalues

    if ax is None:
        ax = new_figure().add_subplot()
    circle = np.exp(2j * np.pi * np.linspace(0, 1, 200))
    ax.plot(circle.real, circle.imag, color="grey", linewidth=0.8)
    for name, values in eigenvalues(model).items():
        ax.plot(values.real, values.imag, linestyle="", marker=".", label=name)
    ax.set_aspect("equal")
    ax.set_title("Eigenvalues of Wh")
    ax.set_xlabel("Real part")
    ax.set_ylabel("Imaginary part")
    ax.grid(True, linestyle="--", linewidth=0.5, alpha=0.6)
    ax.legend(loc="upper right")
    return ax


def plot_saturation(shares: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw how many units let no gradient through, and how often.

    Parameters
    ----------
    shares : array_like, shape (D H,)
        What ``diagnostics.saturation`` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default on a new figure that pyplot does not know.

    Returns
    -------
    matplotlib.axes.Axes
        A histogram of the shares, from 0 to 1.

    Examples
    --------
    >>> from crnn.plots import plot_saturation
    >>> plot_saturation([0.0, 0.2, 1.0]).get_ylabel()
    'Units'
    """
    curve = _curve("shares", shares)
    if ax is None:
        ax = new_figure().add_subplot()
    ax.hist(curve, bins=20, range=(0, 1))
    ax.set_title("Saturated units")
    ax.set_xlabel("Share of steps")
    ax.set_ylabel("Units")
    ax.grid(True, linestyle="--", linewidth=0.5, alpha=0.6)
    return ax
