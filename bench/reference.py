"""The expected results: the formulas, step by step, in float64 NumPy."""

from __future__ import annotations

import functools

import numpy as np

from bench.workloads import CLIP_VALUE, LEARNING_RATE, Array, Workload, data, lengths, weights


@functools.cache  # each peer of a race needs the same result
def expected(workload: Workload, *, notebook: bool = False) -> dict[str, Array]:
    """The expected answer of a peer: trained parameters, or outputs under the name "y".

    Parameters
    ----------
    workload : Workload
    notebook : bool
        The notebook's training: no biases, half the squared error, BPTT shifted by one step.

    Returns
    -------
    dict of ndarray
        Float64. For "train" the parameters after one epoch; for "predict" y (N, O); for "step"
        y (units, O), one row per step; for "import" nothing.
    """
    x, y = (a.astype(np.float64) if a.dtype.kind == "f" else a for a in data(workload))
    params = {name: array.astype(np.float64) for name, array in weights(workload).items()}
    if workload.kind == "train":
        return _epoch(params, x, y, workload, notebook)
    if workload.kind == "predict":
        return {"y": _states(params, x)[-1] @ params["Wy"] + params["by"]}
    if workload.kind == "step":
        return {
            "y": _states(params, x.reshape(1, -1, x.shape[2]))[1:, 0] @ params["Wy"] + params["by"]
        }
    return {}


def error(result: dict[str, Array], wanted: dict[str, Array], start: dict[str, Array]) -> float:
    """The largest |result - wanted| / |wanted - start| of any array, in 2-norms.

    `start` holds the parameters before training, so the change must agree. For an array that is not
    in `start`, the divisor is |wanted|. A missing or misshapen array has an infinite error.
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
    """h_t = tanh(x_t Wx + h_{t-1} Wh + b), shape (T + 1, B, H), the first zero."""
    B, T = x.shape[:2]
    h = np.zeros((T + 1, B, params["Wh_l0"].shape[0]))
    for t in range(T):
        h[t + 1] = np.tanh(x[:, t] @ params["Wx_l0"] + h[t] @ params["Wh_l0"] + params["b_l0"])
    return h


def _epoch(
    params: dict[str, Array], x: Array, y: Array, workload: Workload, notebook: bool
) -> dict[str, Array]:
    params = dict(params)
    if notebook:
        params["b_l0"] = np.zeros_like(params["b_l0"])
        params["by"] = np.zeros_like(params["by"])
    steps = lengths(workload)
    for start in range(0, len(x), workload.B):
        rows = slice(start, start + workload.B)
        if notebook:
            gradients = _notebook_gradients(params, x[rows], y[rows])
        else:
            gradients = _gradients(params, x[rows], y[rows], steps[rows], workload)
        for name, gradient in gradients.items():
            step = LEARNING_RATE * np.clip(gradient, -CLIP_VALUE, CLIP_VALUE)
            params[name] = params[name] - step
    if notebook:
        del params["b_l0"], params["by"]
    return params


def _notebook_gradients(params: dict[str, Array], x: Array, y: Array) -> dict[str, Array]:
    h = _states(params, x)
    dy = h[-1] @ params["Wy"] + params["by"] - y
    # Each step's states are one step too old, and h_{-1} is the last state.
    after, before = h[:-1], np.roll(h, 1, axis=0)
    gradients = {name: np.zeros_like(params[name]) for name in ("Wx_l0", "Wh_l0")}
    gradients["Wy"] = h[-1].T @ dy
    dh = dy @ params["Wy"].T
    for t in reversed(range(x.shape[1])):
        da = dh * (1.0 - after[t] ** 2)
        gradients["Wx_l0"] += x[:, t].T @ da
        gradients["Wh_l0"] += before[t].T @ da
        dh = da @ params["Wh_l0"].T
    return gradients


def _gradients(
    params: dict[str, Array], x: Array, y: Array, steps: Array, workload: Workload
) -> dict[str, Array]:
    """Gradients of one batch's mean loss: x (B, T, I) or tokens (B, T), `steps` (B,)."""
    T, D, H = workload.T, workload.D, workload.H
    # (T, B, 1): whether a row has this step. A shorter row keeps its state after its end.
    active = (np.arange(T)[:, None] < steps)[..., None]
    inputs = np.eye(workload.input_size)[x.T] if workload.tokens else x.transpose(1, 0, 2)
    directions = [range(T), range(T - 1, -1, -1)][:D]
    layers = []  # each layer's input, and each direction's states before and after a step
    for layer in range(workload.L):
        cells = [name for name, _ in workload.cells[layer * D : (layer + 1) * D]]
        states = [
            _cell(params, cell, inputs, times, active)
            for cell, times in zip(cells, directions, strict=True)
        ]
        layers.append((cells, inputs, states))
        inputs = np.concatenate([after for _, after in states], axis=2)

    # inputs (T, B, D H): the states of the last layer
    gradients = {}
    from_above = np.zeros_like(inputs)
    if workload.output == "all":
        dy = _loss_gradient(inputs @ params["Wy"] + params["by"], y.swapaxes(0, 1), workload)
        gradients["Wy"] = np.einsum("tbh,tbo->ho", inputs, dy)
        gradients["by"] = dy.sum(axis=(0, 1))
        from_above[...] = dy @ params["Wy"].T
    else:
        last = [inputs[times[-1], :, d * H : (d + 1) * H] for d, times in enumerate(directions)]
        final = np.concatenate(last, axis=1)
        dy = _loss_gradient(final @ params["Wy"] + params["by"], y, workload)
        gradients["Wy"] = final.T @ dy
        gradients["by"] = dy.sum(axis=0)
        dfinal = dy @ params["Wy"].T
        for d, times in enumerate(directions):
            from_above[times[-1], :, d * H : (d + 1) * H] = dfinal[:, d * H : (d + 1) * H]
    for cells, inputs, states in reversed(layers):
        from_cells = np.zeros_like(inputs)
        for d, (cell, times) in enumerate(zip(cells, directions, strict=True)):
            dWx, dWh, db = (np.zeros_like(params[name + cell]) for name in ("Wx", "Wh", "b"))
            before, after = states[d]
            dh = np.zeros_like(after[0])
            for t in reversed(times):
                dh = dh + from_above[t, :, d * H : (d + 1) * H]
                da = np.where(active[t], dh * (1.0 - after[t] ** 2), 0.0)
                dWx += inputs[t].T @ da
                dWh += before[t].T @ da
                db += da.sum(axis=0)
                from_cells[t] += da @ params["Wx" + cell].T
                dh = np.where(active[t], da @ params["Wh" + cell].T, dh)
            gradients |= {"Wx" + cell: dWx, "Wh" + cell: dWh, "b" + cell: db}
        from_above = from_cells
    return gradients


def _cell(
    params: dict[str, Array], cell: str, inputs: Array, times: range, active: Array
) -> tuple[Array, Array]:
    """States before and after each step, both (T, B, H), from zero, in the order of `times`."""
    Wx, Wh, b = (params[name + cell] for name in ("Wx", "Wh", "b"))
    before = np.zeros((*inputs.shape[:2], len(b)))
    after = np.zeros_like(before)
    h = before[0]
    for t in times:
        before[t] = h
        h = np.where(active[t], np.tanh(inputs[t] @ Wx + h @ Wh + b), h)
        after[t] = h
    return before, after


def _loss_gradient(z: Array, y: Array, workload: Workload) -> Array:
    """Gradient of the squared error (mean over elements) or the cross entropy (over rows)."""
    if workload.classes:
        exponentials = np.exp(z - z.max(axis=-1, keepdims=True))
        softmax = exponentials / exponentials.sum(axis=-1, keepdims=True)
        dz: Array = (softmax - np.eye(workload.output_size)[y]) / y.size
    else:
        dz = (z - y) * (2.0 / y.size)
    return dz
