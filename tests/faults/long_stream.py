"""A very long stream: state, speed and memory stay the same.

python -m tests.faults.long_stream [--steps 100000000]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from crnn import RNN

from .measuring import resident, samples, where

PARTS = 20
TAIL = 100_000
ALLOWED = 1 << 20  # bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000_000)
    steps = parser.parse_args().steps
    print(where())
    model = RNN(1, 16, 1, seed=0)
    weights = {name: value.astype(np.float64) for name, value in model.parameters().items()}
    inputs = [float(value) for value in samples(1009, 1, 1)[0][:, 0, 0]]  # a prime, over and over
    stream = model.stream()
    step = stream.step
    for value in inputs:
        step(value)
    turns = max(PARTS, steps // len(inputs)) // PARTS
    before = resident()
    rates = []
    for _ in range(PARTS):
        start = time.perf_counter()
        for _ in range(turns):
            for value in inputs:
                step(value)
        rates.append(turns * len(inputs) / (time.perf_counter() - start))
    grown = resident() - before

    # From here on compare three: the stream, a new one with its state, and float64.
    state = stream.state
    young = model.stream()
    young.state = state
    h = state.astype(np.float64)
    worst = 0.0
    for i in range(TAIL):
        value = inputs[i % len(inputs)]
        y_t = step(value)
        assert y_t.tobytes() == young.step(value).tobytes(), f"another bit after {i} steps more"
        if i < 1000:
            x_t = np.array([[value]])
            h = np.tanh(x_t @ weights["Wx_l0"] + h @ weights["Wh_l0"] + weights["b_l0"])
            worst = max(worst, float(np.abs(h @ weights["Wy"] + weights["by"] - y_t).max()))
    # A rounding error of 6e-8 in each of 16 units, which an orthogonal Wh forgets slowly.
    assert worst < 1e-4, worst
    assert grown < ALLOWED, grown
    print(
        f"{PARTS * turns * len(inputs)} steps: {rates[0] / 1e6:.2f} million a second in the first "
        f"twentieth, {rates[-1] / 1e6:.2f} in the last ({min(rates) / 1e6:.2f} to "
        f"{max(rates) / 1e6:.2f}); memory grew by {grown / 1024:.0f} KiB; then {TAIL} steps to the "
        f"same bits as a new stream with its state, 1000 of them within {worst:.1e} of float64"
    )


if __name__ == "__main__":
    main()
