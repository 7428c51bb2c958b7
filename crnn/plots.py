"""Losses, predictions, forecasts and diagnostics, drawn on Matplotlib axes.

Matplotlib is imported by the functions that draw, not by this module. Without `ax=` a drawing
gets a figure of its own that pyplot does not know: no backend is chosen, no `rcParams` change and
nothing has to be closed. In a notebook the axes are the picture: end the cell with the call. Save
it with ``ax.figure.savefig("loss.png")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

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
        8 x 4.5 inches at 120 dots an inch: saved as PNG, 960 x 540 pixels. A notebook shows it,
        and its axes, as a picture where they are the result of a cell.

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
        import matplotlib.figure  # noqa: F401 - its absence is told first

        from crnn._figure import PictureFigure
    except ImportError as error:
        raise missing_package("drawing", "matplotlib", error) from error
    return PictureFigure(figsize=(8.0, 4.5), dpi=120, layout="constrained")


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
    """Draw the loss of each epoch, the validation loss and the best epoch where there are any.

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
    best = getattr(history, "best_epoch", None)
    if ax is None:
        ax = new_figure().add_subplot()
    ax.plot(np.arange(1, loss.size + 1), loss, marker=_marker(loss), label="training")
    if validation.size:
        ax.plot(
            np.arange(1, validation.size + 1),
            validation,
            marker=_marker(validation),
            linestyle="--",
            label="validation",
        )
    if best is not None:
        ax.axvline(best, color="grey", linestyle=":", label=f"best epoch: {best}")
    drawn = np.concatenate([loss, validation])
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    if drawn.size and drawn.max() / LOGARITHMIC_FROM >= drawn.min():
        ax.set_yscale("log")
    _count_epochs(ax)
    ax.set_title("Loss by epoch")
    ax.set_xlabel("Epoch")
    ax.set_ylabel("Loss")
    ax.grid(True, linestyle="--", linewidth=0.5, alpha=0.6)
    ax.legend(loc="upper right")
    return ax


def _count_epochs(ax: Axes) -> None:
    """Whole epochs from 1 on the axis, and a margin so that the frame does not hide the first."""
    from matplotlib.ticker import MaxNLocator

    last = max(int(np.max(np.asarray(line.get_xdata()))) for line in ax.lines)
    locator = MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    locator.set_axis(ax.xaxis)
    ticks = locator.tick_values(1, max(last, 2))
    ax.set_xticks([1, *(tick for tick in ticks if 1 < tick <= last)])
    margin = max(0.02 * (last - 1), 0.1)
    ax.set_xlim(1 - margin, last + margin)


def _time(name: str, values: object, size: int) -> Array:
    """A time axis: (size,) numbers, dates or moments."""
    array = np.asarray(values)
    if array.shape != (size,):
        raise ValueError(f"{name} must have shape ({size},), got {array.shape}")
    if array.dtype.kind == "O":  # datetime.date and datetime.datetime
        try:
            return array.astype("M8[us]")
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must hold numbers or dates, got {array[0]!r}") from error
    return array if array.dtype.kind == "M" else numeric(name, array)


def _finish(ax: Axes, title: str, columns: int, dates: bool) -> None:
    if dates:
        import matplotlib.dates

        found: Any = matplotlib.dates  # its types are not complete
        locator = found.AutoDateLocator()
        ax.xaxis.set_major_locator(locator)
        # Full dates run into each other where they have hours.
        ax.xaxis.set_major_formatter(found.ConciseDateFormatter(locator))
    ax.set_title(title)
    ax.set_xlabel("Time")
    ax.set_ylabel("Value")
    ax.grid(True, linestyle="--", linewidth=0.5, alpha=0.6)
    ax.margins(x=0.01, y=0.15)  # space for the legend above a wave
    ax.legend(loc="upper right", ncols=columns)


def plot_prediction(
    actual: ArrayLike,
    predicted: ArrayLike | Sequence[ArrayLike],
    *,
    x: ArrayLike | None = None,
    label: str | Sequence[str] = "predicted",
    ax: Axes | None = None,
) -> Axes:
    """Draw a series and one or several predictions of it.

    Parameters
    ----------
    actual : array_like, shape (N,) or (N, 1)
        The series. NaN leaves a gap.
    predicted : array_like, shape (N,) or (N, 1), or a sequence of such
        The prediction of each value, in the same unit. A sequence of K predictions needs K labels.
    x : array_like, shape (N,), optional
        The time axis: numbers, `datetime64` or `datetime` objects. By default 0 to N - 1.
    label : str or sequence of str, default "predicted"
        What the legend calls the prediction, or each of several.
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
        If `actual` or a prediction is not one numeric series, their lengths differ, or there are
        not as many labels as predictions.

    Examples
    --------
    >>> from crnn.plots import plot_prediction
    >>> ax = plot_prediction([1.0, 2.0, 3.0], [1.1, 1.9, 3.2])
    >>> [line.get_label() for line in ax.lines]
    ['actual', 'predicted']
    >>> network, linear = [1.1, 1.9, 3.2], [0.9, 2.2, 3.1]
    >>> ax = plot_prediction(
    ...     [1.0, 2.0, 3.0],
    ...     [network, linear],
    ...     x=[2001, 2002, 2003],
    ...     label=["network", "linear fit"],
    ... )
    >>> [line.get_label() for line in ax.lines]
    ['actual', 'network', 'linear fit']
    """
    truth = _curve("actual", actual)
    labels = [label] if isinstance(label, str) else list(label)
    guesses = [predicted] if isinstance(label, str) else list(predicted)  # type: ignore[arg-type]
    if len(labels) != len(guesses):
        raise ValueError(
            f"label must name each of the {len(guesses)} predictions, got {len(labels)} labels"
        )
    curves = [_curve("predicted", guess) for guess in guesses]
    for curve in curves:
        if curve.size != truth.size:
            raise ValueError(
                f"predicted must be as long as actual, {truth.size} values, got {curve.size}"
            )
    time = np.arange(truth.size) if x is None else _time("x", x, truth.size)
    if ax is None:
        ax = new_figure().add_subplot()
    ax.plot(time, truth, marker=_marker(truth), linewidth=2.0, label="actual")
    for curve, name, style in zip(curves, labels, cycle(["--", "-.", ":"])):
        ax.plot(time, curve, marker=_marker(curve), linestyle=style, linewidth=1.5, label=name)
    columns = 1 + len(curves) if len(curves) < 3 else 2
    _finish(ax, "Actual against predicted", columns, dates=time.dtype.kind == "M")
    return ax


def plot_forecast(
    series: ArrayLike,
    forecast: ArrayLike,
    interval: tuple[ArrayLike, ArrayLike] | None = None,
    *,
    x: ArrayLike | None = None,
    label: str = "forecast",
    ax: Axes | None = None,
) -> Axes:
    """Draw the end of a series, the forecast that follows, and its interval.

    Parameters
    ----------
    series : array_like, shape (M,) or (M, 1)
        The series, or its last values. NaN leaves a gap.
    forecast : array_like, shape (K,) or (K, 1)
        The values that follow.
    interval : (array_like, array_like), each of shape (K,), optional
        Lower and upper bounds, as ``Forecaster.forecast_interval`` returns them.
    x : array_like, shape (M + K,), optional
        The time axis of series and forecast: numbers, `datetime64` or `datetime` objects. By
        default 0 to M + K - 1.
    label : str, default "forecast"
        What the legend calls the forecast.
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
        If an argument is not one numeric series, or the lengths do not fit together.

    Examples
    --------
    >>> from crnn.plots import plot_forecast
    >>> ax = plot_forecast([1.0, 2.0], [3.0, 4.0], ([2.5, 3.0], [3.5, 5.0]))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['series', 'forecast', 'interval']
    """
    past = _curve("series", series)
    future = _curve("forecast", forecast)
    bounds = [] if interval is None else [_curve("interval", bound) for bound in interval]
    if bounds and [bound.size for bound in bounds] != [future.size] * 2:
        raise ValueError(
            f"interval must be two series as long as forecast, {future.size} values, got "
            + " and ".join(str(bound.size) for bound in bounds)
        )
    size = past.size + future.size
    time = np.arange(size) if x is None else _time("x", x, size)
    if ax is None:
        ax = new_figure().add_subplot()
    ax.plot(time[: past.size], past, marker=_marker(past), linewidth=2.0, label="series")
    # From the series' last value, so that no gap is between them.
    begin = past.size - 1
    joined = np.concatenate([past[-1:], future])
    (line,) = ax.plot(time[begin:], joined, linestyle="--", linewidth=1.5, label=label)
    if bounds:
        lower, upper = (np.concatenate([past[-1:], bound]) for bound in bounds)
        ax.fill_between(
            time[begin:], lower, upper, color=line.get_color(), alpha=0.2, label="interval"
        )
    _finish(ax, "Forecast", columns=3, dates=time.dtype.kind == "M")
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
