"""The report's JSON as a picture: a panel of bars for each row."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.report import digits

# Okabe and Ito's colours, told apart by colour-blind readers too.
_COLOURS = {
    "crnn": "#D55E00",
    "crnn x1": "#E69F00",
    "notebook": "#999999",
    "numpy": "#0072B2",
    "torch": "#CC79A7",
    "jax": "#009E73",
    "jax-unrolled": "#7FC8B2",
    "onnxruntime": "#56B4E9",
}
_PANELS_ACROSS = 4


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw the rows of a report (`report.document`) into `path`, in any format of matplotlib.

    Each panel has its own scale from zero; a dashed line is the limit of the roofline.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in document["rows"] if _bars(row)]
    across = min(_PANELS_ACROSS, max(1, len(rows)))
    down = max(1, -(-len(rows) // across))
    figure = Figure(figsize=(4.2 * across, 0.9 + 2.5 * down), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, squeeze=False).flat
    for axes, row in zip(panels, rows, strict=False):
        _panel(axes, row)
    for axes in list(panels.base.flat)[len(rows) :]:
        axes.set_visible(False)
    header = document["header"]
    figure.suptitle(
        f"Shorter is better; dashed: what the processor allows\n"
        f"{header['cpu']}, {header['threads']} thread(s), {header['date'][:10]}",
        fontsize=11,
    )
    figure.savefig(path, dpi=150)


def _bars(row: dict[str, Any]) -> dict[str, float]:
    """Seconds by label, crnn first; import times over those of the bare interpreter."""
    results = row["results"]
    bare = results["python"]["seconds"] if row["workload"]["kind"] == "import" else 0.0
    return {
        label: results[label]["seconds"] - bare
        for label in _COLOURS
        if label in results and results[label]["seconds"] is not None
    }


def _panel(axes: Any, row: dict[str, Any]) -> None:
    bars, workload = _bars(row), row["workload"]
    unit, scale = ("us", 1e6) if workload["kind"] == "step" else ("ms", 1e3)
    values = [seconds * scale for seconds in bars.values()]
    places = range(len(bars))
    axes.barh(places, values, color=[_COLOURS[label] for label in bars])
    axes.set_yticks(places, list(bars), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(values))
    for place, value in zip(places, values, strict=True):
        axes.text(value, place, " " + digits(value), va="center", fontsize=8)
    if row["limit_seconds"] is not None:
        axes.axvline(row["limit_seconds"] * scale, color="black", linestyle="--", linewidth=1)
    axes.set_xlabel(unit, fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    sizes = (
        ""
        if workload["kind"] == "import"
        else f"\nT {workload['T']}, H {workload['H']}, B {workload['B']}, {workload['dtype']}"
    )
    axes.set_title(workload["name"] + sizes, fontsize=9, loc="left")


def main() -> None:
    """`python -m bench.plot REPORT.json PICTURE.png`."""
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
