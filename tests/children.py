"""Scripts run in an interpreter of their own: what interrupts, forks or might hang."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

# Far beyond what any of the scripts takes, emulated or sanitized: it ends what hangs, and measures
# nothing.
HANG = 300

# A child of a shell's background job inherits an ignored SIGINT, so the handler is set by hand.
PREAMBLE = """
import os, signal, sys, threading, time
import numpy as np
import crnn

signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt_when(happened):
    # Ctrl-C once it has happened, and so in the middle of what goes on: no test sleeps and hopes
    def send():
        while not happened():
            time.sleep(1e-3)
        signal.raise_signal(signal.SIGINT)
    threading.Thread(target=send, daemon=True).start()

def noted(name):
    # The arguments of every object of this compiled class that is made from here on, and itself.
    made = []
    class Noted(getattr(crnn._cell, name)):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            made.append((self, arguments))
    setattr(crnn._cell, name, Noted)
    return made

def outputs_of_predict():
    # The arrays that predict fills from here on; an output that is not there yet is NaN.
    arrays = []
    class Marked(crnn._cell.Prediction):
        def __init__(self, *rest, y, **wanted):
            y[...] = np.nan
            super().__init__(*rest, y=y, **wanted)
            arrays.append(y)
    crnn._cell.Prediction = Marked
    return arrays

def bits(model):
    return {name: value.tobytes() for name, value in model.parameters().items()}

def finite(model):
    return all(np.isfinite(value).all() for value in model.parameters().values())
"""


def run(script: str, *, timeout: float = HANG, env: dict[str, str] | None = None) -> str:
    """The standard output of the script, which must end by itself and without an error."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(script)],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
