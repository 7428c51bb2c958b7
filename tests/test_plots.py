"""The plots: what the axes show, and that nothing else changes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from crnn import plots

matplotlib = pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")


def history(loss, validation_loss=()):
    return SimpleNamespace(loss=list(loss), validation_loss=list(validation_loss))


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_loss_is_drawn_against_epochs_counted_from_one():
    ax = plots.plot_loss(history([0.5, 0.4, 0.3]))
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), [0.5, 0.4, 0.3])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("Epoch", "Loss", "Loss by epoch")
    assert legend(ax) == ["training"]


def test_validation_is_a_second_curve():
    ax = plots.plot_loss(history([0.5, 0.4], [0.6, 0.55]))
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [0.6, 0.55])
    assert legend(ax) == ["training", "validation"]
    assert ax.lines[0].get_color() != ax.lines[1].get_color()


def test_a_plain_list_is_drawn_as_a_history_is():
    ours, theirs = plots.plot_loss([3, 2, 1]), plots.plot_loss(history([3, 2, 1]))
    np.testing.assert_array_equal(ours.lines[0].get_ydata(), theirs.lines[0].get_ydata())
    assert legend(ours) == ["training"]


@pytest.mark.parametrize(
    ("loss", "validation", "scale"),
    [
        ([1.0, 0.5, 0.011], [], "linear"),
        ([1.0, 0.01], [], "log"),  # two decades to the bit
        ([100.0, 1.0], [], "log"),
        ([1.0, 0.5, 0.009], [], "log"),
        ([1.0, 0.9], [0.001, 0.001], "log"),
        ([0.0, 0.0], [], "linear"),
        ([1.0, 0.0], [], "linear"),  # one positive loss has no range
        ([1.0, np.nan, np.inf, 0.001], [], "log"),
        ([np.nan], [], "linear"),
        ([1e-100, 1e100], [], "log"),
    ],
)
def test_axis_is_logarithmic_from_two_decades(loss, validation, scale):
    assert plots.plot_loss(history(loss, validation)).get_yscale() == scale


@pytest.mark.parametrize("epochs", [1, 2, 3, 50, 1000])
def test_epoch_ticks_are_whole_and_within_the_training(epochs):
    ax = plots.plot_loss(np.linspace(1, 0.5, epochs))
    low, high = ax.get_xlim()
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    assert ticks
    assert all(tick == round(tick) and 1 <= tick <= epochs for tick in ticks)


@pytest.mark.parametrize("epochs", [1, 2, 3, 50, 1000, 12345])
def test_the_frame_does_not_hide_the_first_epoch(epochs):
    ax = plots.plot_loss(np.linspace(1, 0.5, epochs))
    ax.figure.draw_without_rendering()
    first, _ = ax.transData.transform((1, 0.5))
    assert first - ax.bbox.x0 >= 5  # pixels of 960
    assert 1 in ax.get_xticks()


def test_two_losses_on_one_picture_share_the_longer_axis():
    ax = plots.plot_loss([0.5, 0.4])
    plots.plot_loss(np.linspace(1, 0.5, 40), ax=ax)
    plots.plot_loss([0.5, 0.4, 0.3], ax=ax)
    low, high = ax.get_xlim()
    assert low < 1
    assert high > 40


def test_the_best_epoch_is_marked_and_named():
    told = history([0.5, 0.4, 0.3], [0.6, 0.55, 0.58])
    told.best_epoch = 2
    ax = plots.plot_loss(told)
    assert legend(ax) == ["training", "validation", "best epoch: 2"]
    np.testing.assert_array_equal(ax.lines[2].get_xdata(), [2, 2])


def test_one_epoch_is_visible():
    assert plots.plot_loss([0.3]).lines[0].get_marker() == "o"
    assert plots.plot_loss([0.3, 0.2]).lines[0].get_marker() != "o"


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_prediction_draws_both_series(shape):
    actual, predicted = np.arange(4.0), np.arange(4.0) + 0.25
    ax = plots.plot_prediction(actual.reshape(shape), predicted.reshape(shape))
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), actual)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), predicted)
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), [0, 1, 2, 3])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Time", "Value")
    assert ax.get_title() == "Actual against predicted"
    assert legend(ax) == ["actual", "predicted"]


def test_several_predictions_have_their_own_line_and_name():
    actual = [1.0, 2.0, np.nan]
    guesses = [[1.5, 2.5, 3.5], np.array([[0.5], [1.5], [2.5]])]
    ax = plots.plot_prediction(actual, guesses, x=[1990, 1991, 1992], label=["network", "fit"])
    assert legend(ax) == ["actual", "network", "fit"]
    for line, expected in zip(ax.lines, [actual, *guesses], strict=True):
        np.testing.assert_array_equal(line.get_ydata(), np.ravel(expected))
        np.testing.assert_array_equal(line.get_xdata(), [1990, 1991, 1992])
    assert len({line.get_color() for line in ax.lines}) == 3
    assert len({line.get_linestyle() for line in ax.lines}) == 3
    assert legend(plots.plot_prediction([1, 2], [[1, 2]], label=["one"])) == ["actual", "one"]
    assert legend(plots.plot_prediction([1, 2], [1, 2], label="one")) == ["actual", "one"]


MOMENTS = np.array(["2020-01-31", "2020-02-29"], dtype="M8[D]")


@pytest.mark.parametrize("x", [MOMENTS, MOMENTS.tolist(), MOMENTS.astype("M8[ns]")])
def test_dates_are_a_time_axis(x):
    ax = plots.plot_prediction([1, 2], [1, 2], x=x)
    np.testing.assert_array_equal(np.asarray(ax.lines[0].get_xdata(), dtype="M8[D]"), MOMENTS)
    ax.figure.draw_without_rendering()
    assert "2020" in ax.xaxis.get_offset_text().get_text()


@pytest.mark.parametrize("step", ["h", "D", "M", "Y"])
@pytest.mark.parametrize("count", [12, 60, 200])
def test_dates_below_the_axis_do_not_touch(step, count):
    moments = np.datetime64("2022-10-27").astype(f"M8[{step}]") + np.arange(count)
    for ax in (
        plots.plot_prediction(np.arange(count), np.arange(count), x=moments),
        plots.plot_forecast(np.arange(count - 2), [1, 2], x=moments),
    ):
        ax.figure.draw_without_rendering()
        low, high = ax.get_xlim()
        ticks = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
        boxes = [text.get_window_extent() for tick, text in ticks if low <= tick <= high]
        assert len(boxes) > 1
        assert all(a.x1 + 3 < b.x0 for a, b in pairwise(boxes))


class Shell:
    """A fake IPython in a notebook, which records what is displayed."""

    def __init__(self):
        self.shown = []
        self.display = SimpleNamespace(display=self.shown.append)

    def get_ipython(self):
        return self


def test_show_displays_in_a_notebook_and_nowhere_else(monkeypatch):
    figure = plots.plot_loss([2.0, 1.0]).figure
    shell = Shell()
    monkeypatch.setitem(sys.modules, "IPython", shell)
    figure.show()
    assert shell.shown == [figure]
    monkeypatch.setattr(shell, "get_ipython", lambda: None)
    with pytest.raises(AttributeError, match="pyplot"):  # like Matplotlib's figures
        figure.show()
    assert shell.shown == [figure]


def test_a_forecast_goes_on_from_the_series_with_its_interval():
    ax = plots.plot_forecast([1.0, 2.0], [3.0, 4.0], ([2.5, 3.0], [3.5, 5.0]), x=range(5, 9))
    past, future = ax.lines
    np.testing.assert_array_equal(past.get_xydata(), [[5, 1], [6, 2]])
    np.testing.assert_array_equal(future.get_xydata(), [[6, 2], [7, 3], [8, 4]])
    (band,) = ax.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
    assert {(6, 2), (7, 2.5), (8, 3), (7, 3.5), (8, 5)} <= corners
    assert legend(ax) == ["series", "forecast", "interval"]
    assert legend(plots.plot_forecast([1], [2], label="mean")) == ["series", "mean"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.plot_loss([2.0, 1.0]),
        lambda: plots.plot_loss([2.0, 1.0]).figure,
        lambda: plots.new_figure().subplots(1, 2)[1],
        lambda: plots.new_figure().subfigures(1, 2)[0].figure,
    ],
)
def test_a_notebook_shows_the_picture(draw):
    formatters = pytest.importorskip("IPython.core.formatters", reason="IPython is not installed")
    shown, _ = formatters.DisplayFormatter().format(draw())
    assert shown["image/png"].startswith(b"\x89PNG\r\n")


def test_a_picture_can_be_asked_for_without_ipython():
    picture = plots.plot_loss([2.0, 1.0])
    assert picture._repr_png_().startswith(b"\x89PNG\r\n")
    assert picture.figure._repr_png_() == picture._repr_png_()


def test_figures_can_be_pickled_and_hold_axes_of_other_kinds():
    figure = plots.plot_loss([2.0, 1.0]).figure
    again = pickle.loads(pickle.dumps(figure))
    np.testing.assert_array_equal(again.axes[0].lines[0].get_ydata(), [2.0, 1.0])
    assert plots.new_figure().add_subplot(projection="polar").name == "polar"
    assert plots.new_figure().add_subplot(polar=True).name == "polar"


def test_given_axes_are_drawn_on_and_returned():
    upper, lower = plots.new_figure().subplots(2)
    assert plots.plot_loss([1.0, 0.5], ax=upper) is upper
    assert plots.plot_prediction([1, 2], [1, 2], ax=lower) is lower
    assert (len(upper.lines), len(lower.lines)) == (1, 2)


@pytest.mark.parametrize(
    "ax", [lambda: plots.plot_loss([1, 0.001]), lambda: plots.plot_prediction([0, 1], [1, 0])]
)
def test_saved_picture_is_a_png_with_its_curves_in_it(ax, tmp_path):
    axes = ax()
    axes.figure.savefig(tmp_path / "picture.png")
    image = matplotlib.image.imread(tmp_path / "picture.png")
    assert image.shape == (540, 960, 4)
    pixels = {tuple(pixel) for pixel in (image[..., :3].reshape(-1, 3) * 255).round().astype(int)}
    for line in axes.lines:
        color = matplotlib.colors.to_rgb(line.get_color())
        assert tuple(round(part * 255) for part in color) in pixels


def test_legend_leaves_a_wave_uncovered():
    wave = np.sin(np.arange(100))
    ax = plots.plot_prediction(wave, wave)
    ax.figure.draw_without_rendering()
    box = ax.get_legend().get_window_extent().transformed(ax.transData.inverted())
    assert box.y0 > wave.max()


def test_no_backend_no_pyplot_and_no_setting_is_touched():
    code = """
import sys
from crnn import plots
assert "matplotlib" not in sys.modules
import matplotlib
before = {k: str(v) for k, v in dict.items(matplotlib.rcParams)}  # reading one picks a backend
plots.plot_loss([1.0, 0.001])
plots.plot_prediction([1, 2], [2, 1]).figure.draw_without_rendering()
assert "matplotlib.pyplot" not in sys.modules
assert before == {k: str(v) for k, v in dict.items(matplotlib.rcParams)}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("draw", [plots.plot_loss, lambda x: plots.plot_prediction(x, x)])
def test_without_matplotlib_the_error_says_what_to_install(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        draw([1.0, 2.0])


@pytest.mark.parametrize(
    ("draw", "error", "names"),
    [
        (lambda: plots.plot_loss([]), ValueError, "history"),
        (lambda: plots.plot_loss(history([])), ValueError, "history"),
        (lambda: plots.plot_loss(np.ones((3, 2))), ValueError, "history"),
        (lambda: plots.plot_loss(["a"]), TypeError, "history"),
        (lambda: plots.plot_loss(None), TypeError, "history"),
        (lambda: plots.plot_loss(3.0), ValueError, "history"),
        (lambda: plots.plot_prediction([1, 2], [1, 2, 3]), ValueError, "predicted"),
        (lambda: plots.plot_prediction([], []), ValueError, "actual"),
        (lambda: plots.plot_prediction([1, 2], [1j, 2]), TypeError, "predicted"),
        (lambda: plots.plot_prediction(np.ones((2, 2)), [1, 2]), ValueError, "actual"),
        (lambda: plots.plot_prediction([1, 2], [[1, 2], [1, 2]]), ValueError, "predicted"),
        (lambda: plots.plot_prediction([1, 2], [[1, 2]], label=["a", "b"]), ValueError, "label"),
        (lambda: plots.plot_prediction([1, 2], [[1, 2, 3]], label=["a"]), ValueError, "predicted"),
        (lambda: plots.plot_prediction([1, 2], [1, 2], x=[1]), ValueError, "x must have shape"),
        (lambda: plots.plot_prediction([1, 2], [1, 2], x=["a", "b"]), TypeError, "x must"),
        (lambda: plots.plot_prediction([1, 2], [1, 2], x=[None, {}]), TypeError, "x must"),
        (lambda: plots.plot_forecast([], [1]), ValueError, "series"),
        (lambda: plots.plot_forecast([1], ["a"]), TypeError, "forecast"),
        (lambda: plots.plot_forecast([1], [2, 3], ([1], [2])), ValueError, "interval"),
        (lambda: plots.plot_forecast([1], [2, 3], x=[1, 2]), ValueError, "x must have shape"),
    ],
)
def test_bad_input_is_named(draw, error, names):
    with pytest.raises(error, match=names):
        draw()
