"""Scripts run in an interpreter of their own: what interrupts, forks or might hang."""

from __future__ import annotations

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

def interrupt_in(seconds):
    def send():
        time.sleep(seconds)
        signal.raise_signal(signal.SIGINT)
    threading.Thread(target=send, daemon=True).start()

def bits(model):
    return {name: value.tobytes() for name, value in model.parameters().items()}

def finite(model):
    return all(np.isfinite(value).all() for value in model.parameters().values())
"""


def run(script: str, *, timeout: float = HANG) -> str:
    """The standard output of the script, which must end by itself and without an error."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
