"""Train and run tanh recurrent networks on the CPU: small, fast, the same bits every time."""

import sys as _sys

try:
    from crnn._cell import Stream, cpu_info
except ImportError as error:
    # An instruction set that is not to be had: the command says it in one line.
    if not any(word.endswith(("/crnn", "\\crnn", "crnn.exe")) for word in _sys.orig_argv[:2]) and (
        _sys.orig_argv[1:3] != ["-m", "crnn"]
    ):
        raise
    print(f"crnn: error: {error}", file=_sys.stderr)
    raise SystemExit(2) from None

from crnn import dataset, notebook, plots, scoring
from crnn.forecast import Forecaster
from crnn.model import RNN
from crnn.trainer import History, Trainer, TrainingDiverged

__version__ = "0.1.0"
__all__ = [
    "RNN",
    "Forecaster",
    "History",
    "Stream",
    "Trainer",
    "TrainingDiverged",
    "cpu_info",
    "dataset",
    "notebook",
    "plots",
    "scoring",
]
