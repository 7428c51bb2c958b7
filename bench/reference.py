"""What results are compared with: the formulas, step by step, in float64 NumPy."""

from __future__ import annotations

import functools

import numpy as np

from bench.workloads import CLIP_VALUE, LEARNING_RATE, Array, Workload, data, weights


@functools.cache  # one race asks for the same once for each peer
def expected(workload: Workload, *, notebook: bool = False) -> dict[str, Array]:
    """What a peer must answer: trained parameters, or outputs under the name "y".

    Parameters
    ----------
    workload : Workload
    notebook : bool
        The notebook's training: no biases, half the squared error, BPTT shifted by one step.

    Returns
    -------
    dict of ndarray
        Float64. For "train" the parameters after one epoch; for "predict" y (N, O); for "step"
        y (units, O), one row a step; for "import" nothing.
    """
    x, y = (array.astype(np.float64) for array in data(workload))
    params = {name: array.astype(np.float64) for name, array in weights(workload).items()}
    if workload.kind == "train":
        return _epoch(params, x, y, workload.B, notebook)
    if workload.kind == "predict":
        return {"y": _states(params, x)[-1] @ params["Wy"] + params["by"]}
    if workload.kind == "step":
        return {
            "y": _states(params, x.reshape(1, -1, x.shape[2]))[1:, 0] @ params["Wy"] + params["by"]
        }
    return {}


def error(result: dict[str, Array], wanted: dict[str, Array], start: dict[str, Array]) -> float:
    """The largest, over the arrays, of |result - wanted| / |wanted - start|, by 2-norms.

    `start` holds the parameters before training, so that the change is what must agree; arrays
    absent from it are measured against `wanted` itself. A missing or misshapen array is infinite.
    """
    worst = 0.0
    for name, array in wanted.items():
        if name not in result or result[name].shape != array.shape:
            return float("inf")
        change = array - start[name] if name in start else array
        difference = float(np.linalg.norm(result[name] - array) / np.linalg.norm(change))
        worst = max(worst, difference) if np.isfinite(difference) else float("inf")
    return worst


def _states(params: dict[str, Array], x: Array) -> Array:
    """h_t = tanh(x_t Wx + h_{t-1} Wh + b), shape (T + 1, B, H), the first being zero."""
    B, T = x.shape[:2]
    h = np.zeros((T + 1, B, params["Wh_l0"].shape[0]))
    for t in range(T):
        h[t + 1] = np.tanh(x[:, t] @ params["Wx_l0"] + h[t] @ params["Wh_l0"] + params["b_l0"])
    return h


def _epoch(
    params: dict[str, Array], x: Array, y: Array, B: int, notebook: bool
) -> dict[str, Array]:
    params = dict(params)
    if notebook:
        params["b_l0"] = np.zeros_like(params["b_l0"])
        params["by"] = np.zeros_like(params["by"])
    for start in range(0, len(x), B):
        gradients = _gradients(params, x[start : start + B], y[start : start + B], notebook)
        for name, gradient in gradients.items():
            step = LEARNING_RATE * np.clip(gradient, -CLIP_VALUE, CLIP_VALUE)
            params[name] = params[name] - step
    if notebook:
        del params["b_l0"], params["by"]
    return params


def _gradients(params: dict[str, Array], x: Array, y: Array, notebook: bool) -> dict[str, Array]:
    h = _states(params, x)
    dy = h[-1] @ params["Wy"] + params["by"] - y
    if not notebook:
        dy = dy * (2.0 / y.size)
    # The states after and before each step; the notebook's are one step older, and its h_{-1} is
    # the last state.
    after, before = (h[:-1], np.roll(h, 1, axis=0)) if notebook else (h[1:], h)
    gradients = {
        "Wx_l0": np.zeros_like(params["Wx_l0"]),
        "Wh_l0": np.zeros_like(params["Wh_l0"]),
        "Wy": h[-1].T @ dy,
    }
    db = np.zeros_like(params["b_l0"])
    dh = dy @ params["Wy"].T
    for t in reversed(range(x.shape[1])):
        da = dh * (1.0 - after[t] ** 2)
        gradients["Wx_l0"] += x[:, t].T @ da
        gradients["Wh_l0"] += before[t].T @ da
        db += da.sum(axis=0)
        dh = da @ params["Wh_l0"].T
    return gradients if notebook else gradients | {"b_l0": db, "by": dy.sum(axis=0)}
