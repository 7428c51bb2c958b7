"""The workloads: sizes, data and number of operations.

Letters: N samples, T timesteps, B rows of a batch, I inputs, H hidden units, O outputs, L layers,
D directions.
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

# Targets at every step: the mean over steps and outputs makes gradients small.
SCALE_ALL = 30.0


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
    L, D : int
        Layers, and directions of each.
    output : str
        "last": one output per sample. "all": one at every step.
    tokens : bool
        A step's input is an integer in [0, I) that selects a row of Wx.
    classes : bool
        A target is an integer in [0, O) and the loss is the cross entropy, not the squared error.
    shortest : int
        Lengths of the sequences are drawn from `shortest` to T; 0: all are T steps long.
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
    L: int = 1
    D: int = 1
    output: Literal["last", "all"] = "last"
    tokens: bool = False
    classes: bool = False
    shortest: int = 0

    @property
    def basic(self) -> bool:
        """Whether the network is one layer with one output after the last of T steps."""
        several = self.L > 1 or self.D > 1 or self.output == "all"
        return not (several or self.tokens or self.classes or self.shortest)

    @property
    def cells(self) -> list[tuple[str, int]]:
        """Each cell's suffix ("_l0", "_l0_reverse", "_l1", ...) and the size of its input."""
        return [
            (f"_l{layer}{way}", self.D * self.H if layer else self.input_size)
            for layer in range(self.L)
            for way in ("", "_reverse")[: self.D]
        ]

    @property
    def itemsize(self) -> int:
        """Bytes of one number."""
        return np.dtype(self.dtype).itemsize

    @property
    def flops(self) -> int:
        """Floating-point operations of one unit, a multiply-add counted as two.

        An epoch, per step of a sequence: 4 I H + 6 H^2 for a cell of the first layer, which needs
        no gradient of x; 6 H^2 if its inputs are tokens; 6 D H^2 + 6 H^2 for a cell above. Per
        output: 6 D H O. Steps past a sequence's length do not count.
        predict and step: N (T (2 I H + 2 H^2) + 2 H O).
        """
        if self.kind == "import":
            return 0
        H, inputs = self.H, self.input_size * self.H
        if self.kind != "train":
            return self.N * (self.T * (2 * inputs + 2 * H**2) + 2 * H * self.output_size)
        steps = int(lengths(self).sum())
        first = self.D * ((0 if self.tokens else 4 * inputs) + 6 * H**2)
        above = (self.L - 1) * self.D * (6 * self.D * H**2 + 6 * H**2)
        outputs = steps if self.output == "all" else self.N
        return steps * (first + above) + outputs * 6 * self.D * H * self.output_size


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
        Workload("deep", "train", 1024, 50, 8, 128, 1, 64, L=2),
        Workload("both", "train", 1024, 50, 8, 128, 1, 64, D=2),
        Workload("every", "train", 512, 100, 16, 128, 16, 32, output="all"),
        Workload(
            "text", "train", 512, 100, 64, 256, 64, 32, output="all", tokens=True, classes=True
        ),
        Workload("ragged", "train", 1024, 100, 8, 64, 1, 64, shortest=10),
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


def lengths(workload: Workload) -> Array:
    """Steps of each sequence, shape (N,)."""
    if not workload.shortest:
        return np.full(workload.N, workload.T)
    rng = np.random.default_rng(SEED + 2)
    return rng.integers(workload.shortest, workload.T, workload.N, endpoint=True)


def by_length(workload: Workload) -> Array:
    """The samples in an order that sorts each batch by length, longest first, shape (N,)."""
    batches = lengths(workload).reshape(-1, workload.B)
    starts = np.arange(0, workload.N, workload.B)[:, None]
    return (starts + np.argsort(-batches, axis=1, kind="stable")).ravel()


def data(workload: Workload) -> tuple[Array, Array]:
    """Windows over a series of noisy sines, and the values that follow them.

    Returns
    -------
    x : ndarray, shape (N, T, I)
        Contiguous, zero past a sequence's length. For "step": (units, 1, I), the inputs of
        successive steps. Tokens: int64 of shape (N, T), with frequencies of Zipf's law.
    y : ndarray, shape (N, O) or (N, T, O)
        The value after each window, or each step, times a factor so large that some gradients of an
        epoch are clipped. Classes: int64 of shape (N, T), the next tokens.
    """
    rng = np.random.default_rng(SEED)
    N = workload.units if workload.kind == "step" else workload.N
    T, features, outputs = workload.T, workload.input_size, workload.output_size
    if workload.tokens:
        frequencies = 1.0 / np.arange(1, features + 1)
        text = rng.choice(features, (N, T + 1), p=frequencies / frequencies.sum())
        return text[:, :-1].copy(), text[:, 1:].copy()
    time = np.arange(N + T)[:, None]
    frequency = rng.uniform(0.02, 0.9, features)
    phase = rng.uniform(0.0, 2.0 * np.pi, features)
    series = np.sin(frequency * time + phase) + 0.1 * rng.standard_normal((N + T, features))
    windows = np.lib.stride_tricks.sliding_window_view(series, T, axis=0).transpose(0, 2, 1)
    x = np.ascontiguousarray(windows[:N], dtype=workload.dtype)
    if workload.output == "all":
        return x, np.ascontiguousarray(SCALE_ALL * windows[1:, :, :outputs], dtype=workload.dtype)
    ends = np.arange(N) + (T if workload.kind == "step" else lengths(workload))
    x[np.arange(N)[:, None] + np.arange(T) >= ends[:, None]] = 0.0
    return x, np.ascontiguousarray(3.0 * series[ends, :outputs], dtype=workload.dtype)


def weights(workload: Workload) -> dict[str, Array]:
    """The parameters that every peer starts from, under crnn's names.

    Returns
    -------
    dict of ndarray
        For each cell Wx (I or D H, H), Wh (H, H) and b (H,), with the cell's suffix; then Wy
        (D H, O) and by (O,).
    """
    rng = np.random.default_rng(SEED + 1)
    H, outputs = workload.H, workload.output_size
    made = {}
    for cell, inputs in workload.cells:
        made["Wx" + cell] = rng.standard_normal((inputs, H)) / np.sqrt(inputs)
        made["Wh" + cell] = rng.standard_normal((H, H)) * 0.9 / np.sqrt(H)
        made["b" + cell] = 0.1 * rng.standard_normal(H)
    made["Wy"] = rng.standard_normal((workload.D * H, outputs)) / np.sqrt(workload.D * H)
    made["by"] = 0.1 * rng.standard_normal(outputs)
    return {name: array.astype(workload.dtype) for name, array in made.items()}


def time_major(workload: Workload) -> tuple[Array, Array]:
    """`data` in batches: x (N / B, T, B, ...), and so y if there is an output at every step.

    Otherwise y is (N / B, B, O).
    """
    x, y = (
        array.reshape(workload.N // workload.B, workload.B, *array.shape[1:])
        for array in data(workload)
    )
    if workload.output == "all":
        y = y.swapaxes(1, 2)
    return np.ascontiguousarray(x.swapaxes(1, 2)), np.ascontiguousarray(y)
