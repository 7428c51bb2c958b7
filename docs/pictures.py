"""Draw the README's picture of a forecast again: `python docs/pictures.py`, in a clone.

The picture is an SVG with text as text. The same kernels give the same file.
"""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from crnn import Forecaster, dataset, scoring

PICTURES = Path(__file__).parent.parent / ".github" / "pictures"
HELD_OUT = 62  # the years 1947 to 2008
FIRST_YEAR = 1700


def sunspots() -> Figure:
    """Actual, network and linear fit, one year ahead, over the years that no fit has seen."""
    series = dataset.load_sunspots()
    past, actual = series[:-HELD_OUT], series[-HELD_OUT:]
    forecaster = Forecaster(lower=0, seed=0).fit(past)
    steps = forecaster.timesteps_
    predicted = {"crnn": forecaster.predict(series[-HELD_OUT - steps :])}
    x, y = dataset.windows(series, steps)
    linear = scoring.least_squares_ar(x[:-HELD_OUT], y[:-HELD_OUT], x[-HELD_OUT:])
    predicted["linear fit"] = linear[:, 0]

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    years = range(FIRST_YEAR + len(series) - HELD_OUT, FIRST_YEAR + len(series))
    axes.plot(years, actual, color="black", linewidth=3, alpha=0.3, label="actual")
    for (name, values), style in zip(predicted.items(), ("-", "--"), strict=True):
        label = f"{name}, RMSE {scoring.rmse(actual, values):.1f}"
        axes.plot(years, values, style, linewidth=1.5, label=label)
    axes.set_title("Sunspots, one year ahead; trained on 1700 to 1946", loc="left", fontsize=11)
    axes.set_ylabel("sunspot number")
    axes.set_ylim(0, 245)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper right", ncols=3, frameon=False)
    return figure


def main() -> None:
    """Draw."""
    path = PICTURES / "sunspots.svg"
    settings = {"svg.fonttype": "none", "svg.hashsalt": "crnn"}
    with matplotlib.rc_context(settings):
        sunspots().savefig(path, metadata={"Date": None, "Creator": None})
    path.write_text(re.sub(" +\n", "\n", path.read_text()))


if __name__ == "__main__":
    main()
