"""Train and run tanh recurrent networks on the CPU: small, fast, the same bits every time.

    forecasts   Forecaster
    networks    RNN, Stream
    training    Trainer, EarlyStopping, TrainingRun, History, TrainingDiverged
                optimizers, schedules, losses
    data        dataset: windows, Sequences, split, example series
    results     scoring, plots, diagnostics
    machine     cpu_info
    notebook    the class of the teaching notebook, with the same numbers

Each has a docstring with equations, shapes, errors and an example: ``help(crnn.Trainer)``. Names
that begin with an underscore are not for users.
"""

import sys as _sys

try:
    from crnn._cell import Stream
except ImportError as error:
    if error.name == "crnn._cell" and isinstance(error, ModuleNotFoundError):
        raise ImportError(
            f"{__path__[0]} holds crnn's sources, not compiled: run Python in another folder, "
            "where the installed package is found, or compile them with: pip install -e ."
        ) from None
    # This machine lacks the instruction set that CRNN_ISA names: the command says so in one line.
    if not any(word.endswith(("/crnn", "\\crnn", "crnn.exe")) for word in _sys.orig_argv[:2]) and (
        _sys.orig_argv[1:3] != ["-m", "crnn"]
    ):
        raise
    print(f"crnn: error: {error}", file=_sys.stderr)
    raise SystemExit(2) from None

from typing import TYPE_CHECKING as _TYPE_CHECKING

from crnn import dataset
from crnn._threads import cpu_info
from crnn.model import RNN
from crnn.run import History, TrainingDiverged, TrainingRun
from crnn.trainer import EarlyStopping, Trainer

if _TYPE_CHECKING:
    from crnn import diagnostics, losses, notebook, optimizers, plots, schedules, scoring
    from crnn.forecast import Forecaster

__version__ = "0.1.0"
__all__ = [
    "RNN",
    "EarlyStopping",
    "Forecaster",
    "History",
    "Stream",
    "Trainer",
    "TrainingDiverged",
    "TrainingRun",
    "cpu_info",
    "dataset",
    "diagnostics",
    "losses",
    "notebook",
    "optimizers",
    "plots",
    "schedules",
    "scoring",
]


def __getattr__(name: str) -> object:
    """Import optional submodules on first use."""
    from importlib import import_module

    if name == "Forecaster":
        return import_module("crnn.forecast").Forecaster
    if name == "forecast" or name in __all__:
        return import_module(f"crnn.{name}")
    raise AttributeError(f"module 'crnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Public names, whether they are imported yet or not, and what every module has."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
