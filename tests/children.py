"""Run scripts in a separate interpreter: scripts that interrupt, fork or may hang."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

# Seconds; far more than any script needs, even emulated or sanitized. It only ends scripts that
# hang.
HANG = 300

# A child of a shell's background job inherits an ignored SIGINT, so the handler is set by hand.
PREAMBLE = """
import os, signal, sys, threading, time
import numpy as np
import crnn

signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt_when(happened):
    # Ctrl-C as soon as `happened()` is true, so that no test depends on a sleep
    def send():
        while not happened():
            time.sleep(1e-3)
        signal.raise_signal(signal.SIGINT)
    threading.Thread(target=send, daemon=True).start()

def noted(name):
    # Every object of this compiled class that is made from now on, with its arguments.
    made = []
    class Noted(getattr(crnn._cell, name)):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            made.append((self, arguments))
    setattr(crnn._cell, name, Noted)
    return made

def outputs_of_predict():
    # The arrays that predict fills from now on. An output that is not written yet is NaN.
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
    """Run a script and return its standard output. It must end without an error."""
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
