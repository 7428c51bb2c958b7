"""Random data and parameters of given sizes, shared by the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from reference import Criterion

Array = np.ndarray[Any, np.dtype[Any]]
Sizes = tuple[int, int, int, int, int]  # N, T, I, H, O

# All sizes 1; T = 1; N = 1; primes; whole vectors, and one element more or less; the notebook's
# sizes; enough rows for several shards of a batch.
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
    """Normal parameters, none zero. Wh has spectral radius 0.5, which halves a gradient per step.

    The contribution of steps more than 18 (float32) or 33 (float64) before the end is below the
    tolerances. `lasting_parameters` is for tests of such steps.
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
    """Orthogonal Wh and small biases: with `lasting_batch` a gradient does not vanish in T steps.

    Only the slopes of tanh change its norm. They are near 1, because no |h| is far above 0.1.
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
    """x (N, T, I), so small that |h| is about 0.1 after T steps of an orthogonal Wh; y (N, O)."""
    x, y = batch(sizes, seed=seed)
    return (0.1 / np.sqrt(sizes[1]) * x).astype(dtype), y.astype(dtype)


# ---- networks of every kind ----


@dataclass(frozen=True)
class Case:
    """A kind of network and its data: everything that tests of whole networks vary."""

    layers: int = 1
    bidirectional: bool = False
    nonlinearity: str = "tanh"
    output: str = "last"
    ragged: bool = False
    tokens: bool = False
    loss: str = "mse"
    missing: bool = False
    weighted: bool = False
    dtype: str = "float64"
    sizes: Sizes = (5, 7, 3, 9, 3)
    bias: bool = True

    @property
    def directions(self) -> int:
        """D."""
        return 2 if self.bidirectional else 1

    @property
    def loss_settings(self) -> dict[str, Any]:
        """The loss's settings, none of them the default."""
        q = np.linspace(0.1, 0.8, self.sizes[4])
        return {"huber": {"delta": 0.7}, "quantile": {"q": q.tolist()}}.get(self.loss, {})

    @property
    def name(self) -> str:
        """The id of a test of this case: the sizes and everything that is not the default."""
        parts = [f"L{self.layers}"] if self.layers > 1 else []
        parts += ["both"] if self.bidirectional else []
        parts += [v for v in (self.nonlinearity, self.output) if v not in ("tanh", "last")]
        parts += [n for n in ("ragged", "tokens", "missing", "weighted") if getattr(self, n)]
        parts += [] if self.bias else ["no-bias"]
        return "-".join([*parts, self.loss, self.dtype, size_name(self.sizes)])


@dataclass(frozen=True)
class Data:
    """x (N, T, I) or tokens (N, T); y (N, O), (N, T, O), or classes (N,), (N, T); or None."""

    x: Array
    y: Array
    lengths: Array | None
    weights: Array | None


# What a case varies besides type and sizes.
KINDS: dict[str, list[Any]] = {
    "layers": [1, 2, 3],
    "bidirectional": [False, True],
    "nonlinearity": ["tanh", "relu"],
    "output": ["last", "all"],
    "ragged": [False, True],
    "tokens": [False, True],
    "loss": ["mse", "mae", "huber", "quantile", "cross_entropy", "binary_cross_entropy"],
    "missing": [False, True],
    "weighted": [False, True],
    "bias": [True, False],
}


def network_of(case: Case, data: Data) -> dict[str, Any]:
    """The settings of the reference's forward pass."""
    return {
        "nonlinearity": case.nonlinearity,
        "output": case.output,
        "lengths": data.lengths,
    }


def problem(case: Case, data: Data) -> dict[str, Any]:
    """The settings of the reference's loss and gradients, without the scaling of the weights."""
    return {
        "criterion": Criterion(case.loss, **case.loss_settings),
        "weights": data.weights,
        **network_of(case, data),
    }


def suffixes(case: Case) -> list[str]:
    """The suffixes of Wx, Wh and b, in the order of the parameters."""
    ends = ["", "_reverse"][: case.directions]
    return [f"_l{layer}{end}" for layer in range(case.layers) for end in ends]


def case_parameters(case: Case, seed: int = 1) -> dict[str, Array]:
    """Float64 parameters with which gradients do not vanish over the timesteps of `case_data`.

    Wh is orthogonal. With relu it is near a permutation and the biases are positive, so that most
    units stay above 0. Otherwise each step would lose half of the gradient. Inputs of size
    0.1 / sqrt(T) add up to states of 0.1. Wx of higher layers scales states to the size of inputs.
    """
    _, timesteps, inputs, hidden, outputs = case.sizes
    rng = np.random.default_rng(seed)
    relu, step = case.nonlinearity == "relu", 0.1 / np.sqrt(timesteps)
    values = {}
    for suffix in suffixes(case):
        if suffix.startswith("_l0"):
            fan, size = inputs, step if case.tokens else 1.0 / np.sqrt(inputs)
        else:
            fan = case.directions * hidden
            # tanh: signs differ from step to step; relu: states are positive and add up faster
            size = 1.0 / (timesteps if relu else np.sqrt(timesteps)) / np.sqrt(fan)
        values[f"Wx{suffix}"] = size * rng.standard_normal((fan, hidden))
        turned = rng.standard_normal((hidden, hidden))
        if relu:
            turned = np.eye(hidden)[rng.permutation(hidden)] + 0.05 / np.sqrt(hidden) * turned
        q, r = np.linalg.qr(turned)
        values[f"Wh{suffix}"] = q * np.sign(np.diag(r))
        b = 0.1 / timesteps * rng.standard_normal(hidden)
        values[f"b{suffix}"] = 2.0 * np.abs(b) + 0.2 / timesteps if relu else b
    fan = case.directions * hidden
    values["Wy"] = rng.standard_normal((fan, outputs)) / np.sqrt(fan)
    values["by"] = 0.3 * rng.standard_normal(outputs)
    return {name: w for name, w in values.items() if case.bias or name[0] == "W"}


def case_data(case: Case, seed: int = 0) -> Data:
    """Samples, targets, lengths and weights of the case.

    Ragged rows have 1 to T steps, some of equal length. Past a length there is NaN, a token of -1,
    or a class out of range. Three in ten targets are missing. If there are several samples, one has
    weight 0.
    """
    n, timesteps, inputs, _, outputs = case.sizes
    rng = np.random.default_rng(seed)
    lengths = None
    if case.ragged:
        lengths = rng.integers(1, timesteps + 1, n)
        lengths[: n // 5] = max(1, timesteps // 2)
        lengths[n // 2] = 1
        lengths[n - 1] = timesteps
    x: Array
    if case.tokens:
        x = rng.integers(inputs, size=(n, timesteps))
    else:
        x = (0.1 / np.sqrt(timesteps) * rng.standard_normal((n, timesteps, inputs))).astype(
            case.dtype
        )
    shape = (n,) if case.output == "last" else (n, timesteps)
    y: Array
    if case.loss == "cross_entropy":
        y, nothing = rng.integers(outputs, size=shape), -1.0
    else:
        y, nothing = rng.standard_normal((*shape, outputs)), np.nan
        if case.loss == "binary_cross_entropy":
            y = np.where(y > 1.0, rng.uniform(size=y.shape), y > 0.0)
        y = y.astype(case.dtype)
    if case.missing:
        gone = rng.uniform(size=y.shape) < 0.3
        gone.flat[0] = False
        y[gone] = nothing
    if lengths is not None:
        past = np.arange(timesteps) >= lengths[:, None]
        x[past] = -1 if case.tokens else np.nan
        if case.output == "all":
            y[past] = outputs + 5 if case.loss == "cross_entropy" else np.nan
    weights = None
    if case.weighted:
        weights = rng.uniform(0.2, 2.0, n)
        if n > 1:
            weights[n // 3] = 0.0
    return Data(x, y, lengths, weights)


def pairs(choices: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Few combinations that contain every pair of choices of any two names.

    Each combination starts with a new pair. It then takes, name by name, the choice that adds most
    new pairs.
    """
    names = list(choices)
    wanted = {
        ((one, i), (two, j))
        for k, one in enumerate(names)
        for two in names[k + 1 :]
        for i in range(len(choices[one]))
        for j in range(len(choices[two]))
    }
    met: list[dict[str, Any]] = []
    while wanted:
        chosen = dict(min(wanted))
        for name in names:
            if name not in chosen:
                gains = [
                    sum(
                        tuple(sorted([(name, i), other], key=lambda p: names.index(p[0]))) in wanted
                        for other in chosen.items()
                    )
                    for i in range(len(choices[name]))
                ]
                # of equally good choices, another one each time
                best = [i for i, gain in enumerate(gains) if gain == max(gains)]
                chosen[name] = best[len(met) % len(best)]
        ordered = [(name, chosen[name]) for name in names]
        wanted -= {(a, b) for k, a in enumerate(ordered) for b in ordered[k + 1 :]}
        met.append({name: choices[name][i] for name, i in ordered})
    return met
