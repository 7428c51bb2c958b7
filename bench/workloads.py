"""What is measured: the workloads, their data and their work.

Letters: N samples, T timesteps, B rows of a batch, I inputs, H hidden units, O outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Kind = Literal["train", "predict", "step", "import"]

LEARNING_RATE = 1e-2
CLIP_VALUE = 1.0
SEED = 20230512


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    Attributes
    ----------
    name, kind, dtype : str
        `kind` is "train" (an epoch), "predict" (a call), "step" (one streaming step) or "import".
    N, T, I, H, O, B : int
        Sizes, `I` and `O` by their long names.
    units : int
        Epochs, calls or steps in one timed run; times are given for one of them.
    """

    name: str
    kind: Kind
    N: int = 1
    T: int = 1
    input_size: int = 1
    H: int = 1
    output_size: int = 1
    B: int = 1
    dtype: str = "float32"
    units: int = 1

    @property
    def itemsize(self) -> int:
        """Bytes of one number."""
        return np.dtype(self.dtype).itemsize

    @property
    def flops(self) -> int:
        """Floating-point operations of one unit, a multiply-add counted as two.

        An epoch: N (T (4 I H + 6 H^2) + 6 H O); there is no gradient of x, so I counts twice.
        predict and step: N (T (2 I H + 2 H^2) + 2 H O).
        """
        if self.kind == "import":
            return 0
        inputs = self.input_size * self.H
        outputs = self.H * self.output_size
        if self.kind == "train":
            return self.N * (self.T * (4 * inputs + 6 * self.H**2) + 6 * outputs)
        return self.N * (self.T * (2 * inputs + 2 * self.H**2) + 2 * outputs)


def _train(
    name: str, sizes: tuple[int, int, int, int, int, int], dtype: str, units: int
) -> Workload:
    N, T, input_size, H, output_size, B = sizes
    return Workload(name, "train", N, T, input_size, H, output_size, B, dtype, units)


def _predict(H: int) -> Workload:
    return Workload(f"predict{H}", "predict", 4096, 25, 1, H, 1)


# The three rows of a few milliseconds run five epochs in one call, so that the fixed cost of a call
# (argument checks, workspaces: about 100 us) weighs as it does in a short training.
WORKLOADS = {
    workload.name: workload
    for workload in (
        _train("seed64", (275, 25, 1, 100, 1, 1), "float64", 5),
        _train("seed32", (275, 25, 1, 100, 1, 1), "float32", 5),
        _train("small", (2048, 25, 1, 32, 1, 32), "float32", 5),
        _train("mid", (2048, 50, 8, 128, 1, 64), "float32", 1),
        _train("mid64", (2048, 50, 8, 128, 1, 64), "float64", 1),
        _train("big", (1024, 100, 64, 256, 8, 64), "float32", 1),
        _train("wide", (512, 100, 128, 512, 8, 128), "float32", 1),
        _train("huge", (256, 50, 128, 1024, 8, 128), "float32", 1),
        _predict(32),
        _predict(100),
        _predict(256),
        Workload("step", "step", H=100, units=2000),
        Workload("import", "import"),
    )
}

SCALED = ("mid", "mid64", "big", "wide", "huge")


def variants(workload: Workload) -> dict[str, Workload]:
    """The workload, and the same with N and with T doubled, by label."""
    return {
        workload.name: replace(workload, units=1),
        "2N": replace(workload, N=2 * workload.N, units=1),
        "2T": replace(workload, T=2 * workload.T, units=1),
    }


def widths() -> dict[str, Workload]:
    """`huge`, and its shape at H = 256, by label."""
    huge = WORKLOADS["huge"]
    return {"H=256": replace(huge, H=256), "H=1024": huge}


def data(workload: Workload) -> tuple[Array, Array]:
    """Windows over a series of noisy sines, and the values that follow them.

    Returns
    -------
    x : ndarray, shape (N, T, I)
        Contiguous; for "step" (units, 1, I): the inputs of successive steps.
    y : ndarray, shape (N, O)
        Three times what follows each window, so that some gradients of an epoch are clipped.
    """
    rng = np.random.default_rng(SEED)
    N = workload.units if workload.kind == "step" else workload.N
    T, features = workload.T, workload.input_size
    time = np.arange(N + T)[:, None]
    frequency = rng.uniform(0.02, 0.9, features)
    phase = rng.uniform(0.0, 2.0 * np.pi, features)
    series = np.sin(frequency * time + phase) + 0.1 * rng.standard_normal((N + T, features))
    windows = np.lib.stride_tricks.sliding_window_view(series, T, axis=0)[:N]
    x = np.ascontiguousarray(windows.transpose(0, 2, 1), dtype=workload.dtype)
    y = np.ascontiguousarray(3.0 * series[T:, : workload.output_size], dtype=workload.dtype)
    return x, y


def weights(workload: Workload) -> dict[str, Array]:
    """The parameters that every peer starts from, under crnn's names.

    Returns
    -------
    dict of ndarray
        Wx_l0 (I, H), Wh_l0 (H, H), b_l0 (H,), Wy (H, O), by (O,).
    """
    rng = np.random.default_rng(SEED + 1)
    H, inputs, outputs = workload.H, workload.input_size, workload.output_size
    made = {
        "Wx_l0": rng.standard_normal((inputs, H)) / np.sqrt(inputs),
        "Wh_l0": rng.standard_normal((H, H)) * 0.9 / np.sqrt(H),
        "b_l0": 0.1 * rng.standard_normal(H),
        "Wy": rng.standard_normal((H, outputs)) / np.sqrt(H),
        "by": 0.1 * rng.standard_normal(outputs),
    }
    return {name: array.astype(workload.dtype) for name, array in made.items()}
