"""What `crnn demo` shows: where a network wins, where it does not, and where none is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn import _scores, dataset, plots
from crnn._arguments import Array

if TYPE_CHECKING:
    from crnn.forecast import Forecaster


@dataclass(frozen=True)
class _Series:
    """A series, how much of its end is held out, and the settings of its forecaster."""

    name: str
    title: str
    values: Callable[[], Array]
    held_out: int
    first: int  # the time of the first value; the step is 1
    names: tuple[str, str]
    settings: dict[str, Any]


_SERIES = (
    _Series(
        "mackey-glass",
        "Mackey-Glass, chaotic: 1000 values, then 250 held out",
        lambda: dataset.mackey_glass(1250, seed=0),
        250,
        0,
        ("time", "Mackey-Glass"),
        {"horizon": 8},
    ),
    _Series(
        "sunspots",
        "Sunspots: 1700-1946, then 1947-2008 held out",
        dataset.load_sunspots,
        62,
        1700,
        ("year", "sunspots"),
        {},
    ),
    _Series(
        "sine",
        "The notebook's sine: 300 values, then 100 held out",
        lambda: dataset.sine_wave(400),
        100,
        0,
        ("time", "sine"),
        {"timesteps": 25},
    ),
)


def run(folder: Path, say: Callable[[str], None]) -> None:
    """Score a forecaster of each series, and write its picture and its model.

    Parameters
    ----------
    folder : pathlib.Path
        Created if it does not exist.
    say : callable
        Called with each line of output.
    """
    from crnn.forecast import Forecaster

    plots.new_figure()  # fails before the training if Matplotlib is missing
    folder.mkdir(parents=True, exist_ok=True)
    for series in _SERIES:
        _show(series, Forecaster(seed=0, **series.settings), folder, say)


def _show(
    series: _Series, forecaster: Forecaster, folder: Path, say: Callable[[str], None]
) -> None:
    say(series.title)
    values = series.values()
    scores = _scores.score_end(forecaster, values, series.held_out, None)
    for line in scores.lines():
        say(line)
    picture = folder / f"{series.name}.png"
    axis = series.first + np.arange(len(values))
    _scores.draw(
        scores, forecaster.horizon, axis, series.names, series.title.partition(":")[0]
    ).savefig(picture)
    say(f"wrote {picture}")
    model = folder / f"{series.name}.safetensors"
    forecaster.fit(values).save(model)
    say(f"wrote {model}")
    say("")
