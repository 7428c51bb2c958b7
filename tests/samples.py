"""Random data and parameters of given sizes, shared by the tests."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Sizes = tuple[int, int, int, int, int]  # N, T, I, H, O

# One of everything; T = 1; N = 1; primes; a whole number of vectors and one more or less than
# that; the notebook's own sizes; enough rows for several shards of a batch.
SIZES: list[Sizes] = [
    (1, 1, 1, 1, 1),
    (1, 7, 1, 5, 1),
    (5, 1, 3, 7, 2),
    (3, 2, 2, 13, 1),
    (17, 11, 3, 31, 5),
    (1, 25, 1, 100, 1),
    (2, 25, 1, 100, 1),
    (7, 3, 17, 17, 2),
    (16, 8, 16, 16, 16),
    (33, 4, 5, 64, 3),
    (131, 3, 2, 33, 1),
]


def size_name(sizes: Sizes) -> str:
    """The id of a test at these sizes."""
    return "N{}-T{}-I{}-H{}-O{}".format(*sizes)


def batch(sizes: Sizes, dtype: str = "float64", seed: int = 0) -> tuple[Array, Array]:
    """x (N, T, I) and y (N, O), standard normal."""
    n, timesteps, inputs, _, outputs = sizes
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, timesteps, inputs)).astype(dtype)
    return x, rng.standard_normal((n, outputs)).astype(dtype)


def parameters(sizes: Sizes, *, bias: bool = True, seed: int = 1) -> dict[str, Array]:
    """Every parameter normal, none zero; Wh of spectral radius 0.5, which halves a gradient a step.

    What a gradient owes to steps more than 18 (float32) or 33 (float64) before the end is below
    the tolerances: `lasting_parameters` is for tests of those.
    """
    _, _, inputs, hidden, outputs = sizes
    rng = np.random.default_rng(seed)
    values = {
        "Wx_l0": rng.standard_normal((inputs, hidden)) / np.sqrt(inputs),
        "Wh_l0": 0.5 * rng.standard_normal((hidden, hidden)) / np.sqrt(hidden),
        "b_l0": 0.3 * rng.standard_normal(hidden),
        "Wy": rng.standard_normal((hidden, outputs)) / np.sqrt(hidden),
        "by": 0.3 * rng.standard_normal(outputs),
    }
    return values if bias else {name: values[name] for name in ("Wx_l0", "Wh_l0", "Wy")}


def lasting_parameters(sizes: Sizes, seed: int = 1) -> dict[str, Array]:
    """Wh orthogonal, and biases that T steps keep small: with `lasting_batch` a gradient lives.

    Its length changes by the slopes of tanh alone, which are near 1 as no |h| is far above 0.1.
    """
    _, timesteps, inputs, hidden, outputs = sizes
    rng = np.random.default_rng(seed)
    q, r = np.linalg.qr(rng.standard_normal((hidden, hidden)))
    return {
        "Wx_l0": rng.standard_normal((inputs, hidden)) / np.sqrt(inputs),
        "Wh_l0": q * np.sign(np.diag(r)),
        "b_l0": 0.1 / timesteps * rng.standard_normal(hidden),
        "Wy": rng.standard_normal((hidden, outputs)) / np.sqrt(hidden),
        "by": 0.3 * rng.standard_normal(outputs),
    }


def lasting_batch(sizes: Sizes, dtype: str = "float64", seed: int = 0) -> tuple[Array, Array]:
    """x (N, T, I) so small that T steps of an orthogonal Wh add up to |h| of 0.1; y (N, O)."""
    x, y = batch(sizes, seed=seed)
    return (0.1 / np.sqrt(sizes[1]) * x).astype(dtype), y.astype(dtype)
