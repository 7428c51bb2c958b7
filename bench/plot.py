"""Plot a report's JSON: training time by row, relative to crnn's."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from bench.report import counted, digits

# Okabe and Ito's colours, which colour-blind readers can distinguish.
_CRNN, _FRAMEWORK, _C = "#D55E00", "#0072B2", "#999999"
_FRAMEWORKS = ("numpy", "torch", "jax", "jax-unrolled")
_C_PEERS = ("c-blas", "c-fixed")
_NAMES = {  # by the first words of a contestant's label
    "numpy": "NumPy",
    "torch": "PyTorch",
    "jax": "JAX",
    "c-fixed": "C, sizes known",
    "c-mkl": "C on MKL",
    "c-openblas": "C on OpenBLAS",
    "c-aocl": "C on AOCL",
}
_DPI = 96  # pixels per inch of an SVG in browsers
_BAR = 0.27  # height, as a share of the distance between rows


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw the training rows of a report (`report.document`): crnn, the best framework, the best C.

    The picture is 800 pixels wide. A .svg keeps its text as text, and the same report gives the
    same file. Other suffixes are those of matplotlib.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in document["rows"] if _is_timed_training(row)]
    figure = Figure(figsize=(800 / _DPI, 1.3 + 0.62 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    longest = 1.0
    for place, row in enumerate(rows):
        for offset, (ratio, words, colour) in enumerate(_bars(row)):
            at = place + (offset - 1) * _BAR
            axes.barh(at, ratio, height=_BAR, color=colour)
            axes.annotate(
                words, (ratio, at), (3, 0), textcoords="offset points", va="center", fontsize=9
            )
            longest = max(longest, ratio)
    axes.set_yticks(range(len(rows)), [row["workload"]["name"] for row in rows], fontsize=11)
    axes.invert_yaxis()
    axes.axvline(1.0, color=_CRNN, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_xlim(0, 1.25 * longest)
    axes.set_xlabel("training time relative to crnn (shorter is better)", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    for label, colour in (("crnn", _CRNN), ("best framework", _FRAMEWORK), ("best C", _C)):
        axes.barh(0, 0, color=colour, label=label)
    axes.legend(loc="lower right", fontsize=10, frameon=False)
    header = document["header"]
    threads = counted(header["threads"], "thread")
    axes.set_title(f"{header['cpu']}, {header['isa']}, {threads}", fontsize=11, loc="left")
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "crnn"}):
        if path.suffix == ".svg":
            figure.savefig(path, metadata={"Date": None, "Creator": None})
            path.write_text(re.sub(" +\n", "\n", path.read_text()))
        else:
            figure.savefig(path, dpi=_DPI)


def _is_timed_training(row: dict[str, Any]) -> bool:
    ours = row["results"].get("crnn")
    return row["workload"]["kind"] == "train" and ours is not None and ours["seconds"] is not None


def _bars(row: dict[str, Any]) -> list[tuple[float, str, str]]:
    """Length, label and colour of crnn, the best framework and the best C peer, if timed."""
    ours = row["results"]["crnn"]["seconds"]
    bars = [(1.0, f"{digits(ours * 1e3)} ms", _CRNN)]
    for columns, colour in ((_FRAMEWORKS, _FRAMEWORK), (_C_PEERS, _C)):
        timed = {
            label: result["seconds"] / ours
            for label, result in row["results"].items()
            if result["column"] in columns
            and result["comparable"]
            and result["seconds"] is not None
        }
        if timed:
            best = min(timed, key=lambda label: timed[label])
            name = next((name for start, name in _NAMES.items() if best.startswith(start)), best)
            bars.append((timed[best], f"{timed[best]:.2f}x {name}", colour))
    return bars


def main() -> None:
    """`python -m bench.plot REPORT.json PICTURE`."""
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
