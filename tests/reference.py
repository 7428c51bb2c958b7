"""The mathematics of crnn in simple, slow NumPy: the reference for all compiled code.

Every function computes in the type of its arguments: float64 for comparisons, complex128 for
complex-step differentiation. For the latter, nothing between parameters and loss takes an absolute
value or a conjugate, and functions with branches (relu, MAE, Huber, Quantile) use the real part.
Letters as in the rest of the project: B rows of a batch, T timesteps, I inputs, H hidden units,
O outputs, L layers, D directions.
"""

# Only the notebook draws from NumPy's global generator.

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Parameters = dict[str, Array]
# A mask for each layer and direction: (T, B, H) between a state and the layer above, or (B, H)
# between a state and the next step. 0 drops a unit, 1 / (1 - rate) keeps it.
Masks = Sequence[Sequence[Array]]


def double(parameters: Parameters) -> Parameters:
    """Copies of the parameters in float64."""
    return {name: np.array(value, dtype=np.float64) for name, value in parameters.items()}


# ---- the network ----


@dataclass
class Cell:
    """One layer in one direction. Lists have one entry per timestep, in time order."""

    before: list[Array]  # (B, H): the state that Wh multiplied at this step, without its mask
    after: list[Array]  # (B, H): the state after this step; in inactive rows the state before
    last: Array  # (B, H): the state after the step processed last


@dataclass
class Run:
    """The results of a forward pass.

    active (B, T): whether the step lies within the row's length.
    inputs[layer][t] (B, F): the layer's input at this step; (B,) tokens in the first layer.
    states (B, T, D H) of the last layer, output (B, O) or (B, T, O): zero in inactive rows.
    h_n (L D, B, H): the states processed last.
    kink: the smallest |a_t|, in units of the root mean square of its step. Near 0, rounding changes
    the slope of a relu.
    """

    active: Array
    inputs: list[list[Array]]
    cells: list[list[Cell]]
    states: Array
    h_n: Array
    output: Array
    kink: float


def suffixes(parameters: Parameters) -> list[list[str]]:
    """The suffixes of Wx, Wh and b, by layer and direction."""
    ends = ("", "_reverse") if "Wh_l0_reverse" in parameters else ("",)
    layers = sum(name.startswith("Wh_") for name in parameters) // len(ends)
    return [[f"_l{layer}{end}" for end in ends] for layer in range(layers)]


def in_order_of_processing(timesteps: int, direction: int) -> list[int]:
    """The steps of the forward direction (0), or of the backward one (1)."""
    return list(range(timesteps))[:: 1 if direction == 0 else -1]


def run(
    parameters: Parameters,
    x: Array,
    *,
    nonlinearity: str = "tanh",
    output: str = "last",
    lengths: Array | None = None,
    h0: Array | None = None,
    dropout: Masks | None = None,
    recurrent_dropout: Masks | None = None,
) -> Run:
    """The forward pass of x (B, T, I), or of tokens (B, T), which are rows of Wx.

    h_t = tanh(x_t Wx + h_{t-1} Wh + b), or relu of it. The backward direction has h_{t+1} for
    h_{t-1} and starts at each row's own last step. A layer reads the states of both directions of
    the layer below, forward first. So does Wy: at every step, or only those processed last. The
    parameters' names determine layers and directions. By default all lengths (B,) are T, and
    h0 (L D, B, H) is zero.
    """
    wy = parameters["Wy"]
    rows, timesteps = x.shape[:2]
    names = suffixes(parameters)
    hidden = len(parameters["Wh_l0"])
    dtype = np.result_type(*parameters.values(), *([x] if x.ndim == 3 else []))
    if lengths is None:
        lengths = np.full(rows, timesteps)
    if h0 is None:
        h0 = np.zeros((len(names) * len(names[0]), rows, hidden), dtype)
    active = np.arange(timesteps) < np.asarray(lengths)[:, None]

    # values past a row's length are not read, NaN or not
    layer_inputs = [
        np.where(active[:, t].reshape(-1, *[1] * (x.ndim - 2)), x[:, t], 0)
        for t in range(timesteps)
    ]
    inputs, cells, kink = [], [], np.inf
    for layer, directions in enumerate(names):
        inputs.append(layer_inputs)
        cells.append([])
        for direction, suffix in enumerate(directions):
            wx, wh = parameters[f"Wx{suffix}"], parameters[f"Wh{suffix}"]
            mask = 1.0 if recurrent_dropout is None else recurrent_dropout[layer][direction]
            h = h0[layer * len(directions) + direction].astype(dtype)
            before, after = [h] * timesteps, [h] * timesteps
            for t in in_order_of_processing(timesteps, direction):
                x_t = layer_inputs[t]
                a_t = wx[x_t] if x_t.ndim == 1 else x_t @ wx
                a_t = a_t + (h * mask) @ wh + parameters.get(f"b{suffix}", 0.0)
                f_t = np.tanh(a_t) if nonlinearity == "tanh" else np.where(a_t.real > 0, a_t, 0)
                kink = min(kink, nearest_to_zero(a_t.real[active[:, t]]))
                before[t], after[t] = h, np.where(active[:, t, None], f_t, h)
                h = after[t]
            cells[layer].append(Cell(before, after, h))
        layer_inputs = [
            np.concatenate(
                [
                    cell.after[t] * (1.0 if dropout is None else dropout[layer][direction][t])
                    for direction, cell in enumerate(cells[layer])
                ],
                axis=1,
            )
            for t in range(timesteps)
            if layer + 1 < len(names)
        ]

    by = parameters.get("by", 0.0)
    after = [np.concatenate([c.after[t] for c in cells[-1]], axis=1) for t in range(timesteps)]
    states = np.where(active[:, :, None], np.stack(after, axis=1), 0)
    if output == "last":
        y = np.concatenate([cell.last for cell in cells[-1]], axis=1) @ wy + by
    else:
        y = np.where(active[:, :, None], states @ wy + by, 0)
    h_n = np.stack([cell.last for directions in cells for cell in directions])
    return Run(active, inputs, cells, states, h_n, y, kink)


def nearest_to_zero(a_t: Array) -> float:
    """The smallest absolute value, in units of the root mean square of all."""
    size = np.sqrt(np.mean(a_t**2)) if a_t.size else 0.0
    return float(np.abs(a_t).min() / size) if size > 0.0 else np.inf


def forward(parameters: Parameters, x: Array, **network: Any) -> tuple[list[Array], Array]:
    """States of the last layer, h_0 = 0, h_1, ..., h_T, each (B, D H), and the output."""
    done = run(parameters, x, **network)
    return [np.zeros_like(done.states[:, 0]), *done.states.swapaxes(0, 1)], done.output


def backward(
    parameters: Parameters,
    done: Run,
    dy: Array,
    *,
    nonlinearity: str = "tanh",
    dropout: Masks | None = None,
    recurrent_dropout: Masks | None = None,
) -> Parameters:
    """The gradient with respect to every parameter, by BPTT, for dy of the output's shape.

    da_t = dh_t * (1 - h_t^2), or for relu dh_t where h_t > 0;
    dWx += x_t' da_t,  dWh += h_{t-1}' da_t,  db += sum of da_t,  dh_{t-1} += da_t Wh'.
    """
    timesteps = len(done.inputs[0])
    names = suffixes(parameters)
    hidden, wy = len(parameters["Wh_l0"]), parameters["Wy"]
    d = {name: np.zeros_like(value) for name, value in parameters.items()}
    if dy.ndim == 2:  # gradient of the states processed last
        dlast = dy @ wy.T
        dstates = [np.zeros_like(dlast)] * timesteps
        d["Wy"] = np.concatenate([cell.last for cell in done.cells[-1]], axis=1).T @ dy
        d["by"] = dy.sum(axis=0)
    else:
        dy = np.where(done.active[:, :, None], dy, 0)
        dstates = [dy[:, t] @ wy.T for t in range(timesteps)]
        dlast = np.zeros_like(dstates[0])
        d["Wy"] = sum(done.states[:, t].T @ dy[:, t] for t in range(timesteps))
        d["by"] = dy.sum(axis=(0, 1))

    for layer in reversed(range(len(names))):
        dinputs: list[Any] = [0.0] * timesteps
        for direction, suffix in enumerate(names[layer]):
            wx, wh = parameters[f"Wx{suffix}"], parameters[f"Wh{suffix}"]
            dwx, dwh, db = np.zeros_like(wx), np.zeros_like(wh), np.zeros_like(wh[0])
            mask = 1.0 if recurrent_dropout is None else recurrent_dropout[layer][direction]
            columns = slice(direction * hidden, (direction + 1) * hidden)
            cell, dh = done.cells[layer][direction], dlast[:, columns]
            for t in reversed(in_order_of_processing(timesteps, direction)):
                active = done.active[:, t, None]
                x_t, h_t = done.inputs[layer][t], cell.after[t]
                slope = 1.0 - h_t**2 if nonlinearity == "tanh" else h_t.real > 0
                da_t = np.where(active, (dh + dstates[t][:, columns]) * slope, 0)
                if x_t.ndim == 1:
                    np.add.at(dwx, x_t, da_t)
                else:
                    dwx += x_t.T @ da_t
                    dinputs[t] = dinputs[t] + da_t @ wx.T
                dwh += (cell.before[t] * mask).T @ da_t
                db += da_t.sum(axis=0)
                dh = np.where(active, (da_t @ wh.T) * mask, dh)
            d[f"Wx{suffix}"], d[f"Wh{suffix}"], d[f"b{suffix}"] = dwx, dwh, db
        if layer > 0:
            dstates = [
                np.concatenate(
                    [
                        dinputs[t][:, direction * hidden : (direction + 1) * hidden]
                        * (1.0 if dropout is None else dropout[layer - 1][direction][t])
                        for direction in range(len(names[layer]))
                    ],
                    axis=1,
                )
                for t in range(timesteps)
            ]
            dlast = np.zeros_like(dstates[0])
    return {name: d[name] for name in parameters}


# ---- losses ----


@dataclass(frozen=True)
class Criterion:
    """The loss of one element, with e = output - y, and its derivative with respect to the output.

    mse        e^2                                      2 e
    mae        |e|                                      sign of e, 0 at 0
    huber      e^2 / 2 where |e| <= delta,              e, within [-delta, delta]
               else delta (|e| - delta / 2)
    quantile   -q e where e < 0, else (1 - q) e         -q, 1 - q, 0 at 0
    binary_cross_entropy    log(1 + exp(z)) - y z       sigmoid(z) - y
    cross_entropy           log(sum exp(z)) - z_y       softmax(z) - [1 at y, else 0]

    z is the output, a logit. An element is one output; for cross_entropy it is all outputs of a row
    or step. A target of NaN or a class below 0 is missing.
    """

    name: str = "mse"
    delta: float = 1.0
    q: Any = 0.5

    def valid(self, y: Array) -> Array:
        """Which elements have a target."""
        return y >= 0 if self.name == "cross_entropy" else ~np.isnan(y)

    def elements(self, output: Array, y: Array) -> Array:
        """The loss of each element."""
        e = None if self.name == "cross_entropy" else output - y
        match self.name:
            case "mse":
                return e**2
            case "mae":
                return np.where(e.real < 0, -e, e)
            case "huber":
                size = np.where(e.real < 0, -e, e)
                outside = self.delta * (size - 0.5 * self.delta)
                return np.where(size.real <= self.delta, 0.5 * e**2, outside)
            case "quantile":
                q = np.asarray(self.q)
                return np.where(e.real < 0, -q * e, (1.0 - q) * e)
            case "binary_cross_entropy":
                positive = output.real > 0
                rest = np.log1p(np.exp(np.where(positive, -output, output)))
                return np.where(positive, output, 0) - y * output + rest
        assert self.name == "cross_entropy"
        z = output - output.real.max(axis=-1, keepdims=True)
        own = np.take_along_axis(z, y[..., None], axis=-1)[..., 0]
        return np.log(np.exp(z).sum(axis=-1)) - own

    def slopes(self, output: Array, y: Array) -> Array:
        """The derivative of each element's loss, in the output's shape."""
        e = None if self.name == "cross_entropy" else output - y
        match self.name:
            case "mse":
                return 2.0 * e
            case "mae":
                return np.sign(e)
            case "huber":
                return np.clip(e, -self.delta, self.delta)
            case "quantile":
                q = np.asarray(self.q)
                return np.where(e < 0, -q, 1.0 - q) * (e != 0)
            case "binary_cross_entropy":
                # the smaller of the two probabilities keeps its digits
                small = np.exp(-np.abs(output)) / (1.0 + np.exp(-np.abs(output)))
                return np.where(output > 0, (1.0 - y) - small, small - y)
        assert self.name == "cross_entropy"
        z = np.exp(output - output.max(axis=-1, keepdims=True))
        slopes = z / z.sum(axis=-1, keepdims=True)
        own = np.take_along_axis(slopes, y[..., None], axis=-1) - 1.0
        np.put_along_axis(slopes, y[..., None], own, axis=-1)
        return slopes


MSE = Criterion("mse")


def mse(output: Array, y: Array) -> Any:
    """Mean over batch and outputs of the squared error."""
    return np.mean(MSE.elements(output, y))


def shares(done: Run, y: Array, criterion: Criterion, weights: Array | None) -> Array:
    """The factor of each element in the batch's loss: its weight / number of valid elements.

    Elements without a target, or past a row's length, are not valid. The denominator does not
    contain weights (B,): they were scaled once, to a mean of 1 over all rows.
    """
    valid = valid_elements(done, y, criterion)
    w = np.ones(len(y)) if weights is None else np.asarray(weights)
    return valid * w.reshape(-1, *[1] * (y.ndim - 1)) / max(valid.sum(), 1)


def valid_elements(done: Run, y: Array, criterion: Criterion) -> Array:
    """Which elements count: those with a target and within their row's length."""
    valid = criterion.valid(y)
    if done.output.ndim == 2:
        return valid
    return valid & done.active.reshape(*done.active.shape, *[1] * (y.ndim - 2))


def batch_loss(done: Run, y: Array, criterion: Criterion, weights: Array | None) -> Any:
    """The sum over the valid elements of weight times loss, divided by their number."""
    target = np.where(valid_elements(done, y, criterion), y, 0)
    return np.sum(criterion.elements(done.output, target) * shares(done, y, criterion, weights))


def batch_slopes(done: Run, y: Array, criterion: Criterion, weights: Array | None) -> Array:
    """The derivative of the batch's loss, in the output's shape."""
    target = np.where(valid_elements(done, y, criterion), y, 0)
    share = shares(done, y, criterion, weights)
    if criterion.name == "cross_entropy":
        share = share[..., None]
    return criterion.slopes(done.output, target) * share


def loss(
    parameters: Parameters,
    x: Array,
    y: Array,
    *,
    criterion: Criterion = MSE,
    weights: Array | None = None,
    **network: Any,
) -> Any:
    """The loss of the batch x (B, T, I), y (B, O) or (B, T, O); classes are (B,) or (B, T)."""
    return batch_loss(run(parameters, x, **network), y, criterion, weights)


def gradients(
    parameters: Parameters,
    x: Array,
    y: Array,
    *,
    criterion: Criterion = MSE,
    weights: Array | None = None,
    **network: Any,
) -> tuple[Any, Parameters]:
    """The loss and its gradient with respect to every parameter, by BPTT."""
    done = run(parameters, x, **network)
    dy = batch_slopes(done, y, criterion, weights)
    way_back = ("nonlinearity", "dropout", "recurrent_dropout")
    d = backward(parameters, done, dy, **{k: network[k] for k in way_back if k in network})
    return batch_loss(done, y, criterion, weights), d


# ---- training ----


def clip(d: Parameters, clip_value: float | None) -> tuple[Parameters, int]:
    """Clip every element to [-clip_value, clip_value]; also how many were clipped."""
    if clip_value is None:
        return dict(d), 0
    clipped = {name: np.minimum(np.maximum(g, -clip_value), clip_value) for name, g in d.items()}
    return clipped, sum(int(np.sum(clipped[name] != g)) for name, g in d.items())


def norm(d: Parameters) -> float:
    """The Euclidean norm of all gradients together."""
    return float(np.sqrt(sum(np.sum(g**2) for g in d.values())))


def clip_norm(d: Parameters, bound: float | None) -> Parameters:
    """All gradients times min(1, bound / (norm + 1e-6)), as PyTorch."""
    if bound is None or bound == np.inf:
        return dict(d)
    scale = min(1.0, bound / (norm(d) + 1e-6))
    return {name: scale * g for name, g in d.items()}


@dataclass
class SGD:
    """m <- momentum m + dw, w <- w - learning_rate m (nesterov: dw + momentum m for m)."""

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    m: Parameters = field(default_factory=dict)

    def step(self, parameters: Parameters, d: Parameters) -> Parameters:
        """The parameters after one step."""
        after = {}
        for name, w in parameters.items():
            g = d[name] + self.weight_decay * w
            m = self.momentum * self.m.get(name, 0.0) + g
            step = g + self.momentum * m if self.nesterov else m
            after[name] = w - self.learning_rate * step
            self.m[name] = m
        return after


@dataclass
class RMSprop:
    """Tieleman and Hinton 2012. As PyTorch: eps outside the root, momentum after the division."""

    learning_rate: float
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    m: Parameters = field(default_factory=dict)
    v: Parameters = field(default_factory=dict)

    def step(self, parameters: Parameters, d: Parameters) -> Parameters:
        """The parameters after one step."""
        after = {}
        for name, w in parameters.items():
            g = d[name] + self.weight_decay * w
            v = self.alpha * self.v.get(name, 0.0) + (1.0 - self.alpha) * g**2
            m = self.momentum * self.m.get(name, 0.0) + g / (np.sqrt(v) + self.eps)
            after[name] = w - self.learning_rate * m
            self.m[name], self.v[name] = m, v
        return after


@dataclass
class Adam:
    """Kingma and Ba 2015 (arXiv:1412.6980). As PyTorch: bias-corrected, eps outside the root."""

    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    steps: int = 0
    m: Parameters = field(default_factory=dict)
    v: Parameters = field(default_factory=dict)

    def decayed(self, w: Array, g: Array) -> tuple[Array, Array]:
        """The parameter and its gradient with an L2 penalty."""
        return w, g + self.weight_decay * w

    def step(self, parameters: Parameters, d: Parameters) -> Parameters:
        """The parameters after one step."""
        self.steps += 1
        beta1, beta2 = self.betas
        after = {}
        for name in parameters:
            w, g = self.decayed(parameters[name], d[name])
            m = beta1 * self.m.get(name, 0.0) + (1.0 - beta1) * g
            v = beta2 * self.v.get(name, 0.0) + (1.0 - beta2) * g**2
            m_hat = m / (1.0 - beta1**self.steps)
            v_hat = v / (1.0 - beta2**self.steps)
            after[name] = w - self.learning_rate * m_hat / (np.sqrt(v_hat) + self.eps)
            self.m[name], self.v[name] = m, v
        return after


@dataclass
class AdamW(Adam):
    """Loshchilov and Hutter 2019 (arXiv:1711.05101): the decay is not divided by the root."""

    weight_decay: float = 0.01

    def decayed(self, w: Array, g: Array) -> tuple[Array, Array]:
        """The parameter after the decay, and its gradient unchanged."""
        return w - self.learning_rate * self.weight_decay * w, g


Optimiser = SGD | RMSprop | Adam
OPTIMISERS: dict[str, type[Optimiser]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}


def optimizer(name: str, learning_rate: float, **settings: Any) -> Optimiser:
    """A new optimiser, by Trainer's name for it."""
    return OPTIMISERS[name](learning_rate, **settings)


def scaled(sample_weight: Array) -> Array:
    """The weights with a mean of 1 over all rows."""
    return np.asarray(sample_weight) / np.mean(sample_weight)


def batches(order: Array, batch_size: int, lengths: Array | None) -> Iterator[Array]:
    """The rows of each batch; with lengths, the longest first and ties by position."""
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield rows if lengths is None else rows[np.argsort(-lengths[rows], kind="stable")]


def chunks(
    y: Array, lengths: Array, steps: int | None, criterion: Criterion, output: str
) -> Iterator[tuple[slice, Array, Array]]:
    """Truncated BPTT: the steps of each chunk, its targets and how many steps each row has in it.

    A target after the last step belongs to the chunk with that step. It is missing in the others.
    """
    steps = int(lengths.max()) if steps is None else steps
    for start in range(0, int(lengths.max()), steps):
        chunk = slice(start, start + steps)
        if output == "all":
            target = y[:, chunk]
        else:
            ends = ((start < lengths) & (lengths <= start + steps)).reshape(-1, *[1] * (y.ndim - 1))
            target = np.where(ends, y, -1 if criterion.name == "cross_entropy" else np.nan)
        yield chunk, target, np.clip(lengths - start, 0, steps)


def epoch(
    parameters: Parameters,
    x: Array,
    y: Array,
    optimiser: Optimiser,
    *,
    batch_size: int,
    clip_value: float | None,
    order: Array | None = None,
    lengths: Array | None = None,
    weights: Array | None = None,
    criterion: Criterion = MSE,
    nonlinearity: str = "tanh",
    output: str = "last",
    truncated_bptt_steps: int | None = None,
    dropout: Callable[[Array], Masks] | None = None,
    recurrent_dropout: Callable[[Array], Masks] | None = None,
) -> tuple[Parameters, float, float]:
    """One epoch in the order of the rows, or the given one: parameters, loss, clipped fraction.

    The loss is the mean of the batches' losses during training, weighted by their valid elements.
    The fraction is over the gradient elements of all batches. A batch (or chunk) without a valid
    element of positive weight makes no update and does not count. weights (N,) are not scaled: see
    `scaled`. The dropouts return the masks of given rows over all steps.
    """
    total, valid, clipped, elements = 0.0, 0, 0, 0
    order = np.arange(len(x)) if order is None else order
    for rows in batches(order, batch_size, lengths):
        own = np.full(len(rows), x.shape[1]) if lengths is None else lengths[rows]
        w = None if weights is None else weights[rows]
        between = None if dropout is None else dropout(rows)
        recurrent = None if recurrent_dropout is None else recurrent_dropout(rows)
        state = None
        for steps, target, active in chunks(y[rows], own, truncated_bptt_steps, criterion, output):
            masks: dict[str, Any] = {
                "dropout": between and [[mask[steps] for mask in layer] for layer in between],
                "recurrent_dropout": recurrent,
            }
            done = run(
                parameters,
                x[rows][:, steps],
                nonlinearity=nonlinearity,
                output=output,
                lengths=active,
                h0=state,
                **masks,
            )
            state = done.h_n
            if not shares(done, target, criterion, w).any():
                continue
            dy = batch_slopes(done, target, criterion, w)
            d = backward(parameters, done, dy, nonlinearity=nonlinearity, **masks)
            d, count = clip(d, clip_value)
            parameters = optimiser.step(parameters, d)
            here = int(valid_elements(done, target, criterion).sum())
            total += batch_loss(done, target, criterion, w) * here
            valid += here
            clipped += count
            elements += sum(g.size for g in d.values())
    return parameters, total / max(valid, 1), clipped / max(elements, 1)


def train(
    parameters: Parameters,
    x: Array,
    y: Array,
    optimiser: SGD | Adam,
    *,
    epochs: int,
    seed: int | None,
    weights: Array | None = None,
    **settings: Any,
) -> tuple[Parameters, list[float]]:
    """Train for some epochs and return the losses. Without a seed, rows keep their order.

    Sample weights are first scaled to a mean of 1. A dropout also gets the epoch.
    """
    losses = []
    masks = {
        name: settings.pop(name)
        for name in ("dropout", "recurrent_dropout")
        if settings.get(name) is not None
    }
    for e in range(epochs):
        order = None if seed is None else np.random.default_rng([seed, e]).permutation(len(x))
        parameters, value, _ = epoch(
            parameters,
            x,
            y,
            optimiser,
            order=order,
            weights=None if weights is None else scaled(weights),
            **{name: partial(mask, e) for name, mask in masks.items()},
            **settings,
        )
        losses.append(float(value))
    return parameters, losses


# ---- the notebook ----


def notebook_dataset(size: int = 200, timesteps: int = 25) -> tuple[Array, Array]:
    """The notebook's dataset(): every window of sin(0), sin(1), ... and the value after it."""
    x, y = [], []
    sin_wave = np.sin(np.arange(size))
    for step in range(sin_wave.shape[0] - timesteps):
        x.append(sin_wave[step : step + timesteps])
        y.append(sin_wave[step + timesteps])
    return np.array(x).reshape(len(y), timesteps, 1), np.array(y).reshape(len(y), 1)


class NotebookRNN:
    """The notebook's RNN, line by line; exact=True uses the states that the chain rule needs.

    The notebook's backward() uses states that are one step too early. At step t it takes the
    derivative of tanh from hidden_states[t], the state *before* that step. It multiplies dWh by
    hidden_states[t - 1], which at t = 0 is the last state.
    """

    def __init__(self, x: Array, y: Array, hidden_units: int, *, exact: bool = False) -> None:
        self.exact = exact
        self.x = x
        self.y = y
        self.hidden_units = hidden_units
        self.Wx = np.random.randn(1, hidden_units) * 0.01
        self.Wh = np.random.randn(hidden_units, hidden_units) * 0.01
        self.Wy = np.random.randn(hidden_units, y.shape[1]) * 0.01
        self.hidden_states: list[Array]
        self.inputs: list[Array]
        self.error: Array
        self.loss: Any
        self.yt: Array
        self.lr: float
        self.Ovr_loss: list[Any]
        self.outputs: Any

    def cell(self, xt: Array, ht_1: Array) -> tuple[Array, Array]:
        ht = np.tanh(np.dot(xt, self.Wx) + np.dot(ht_1, self.Wh))
        yt = np.dot(ht, self.Wy)
        return ht, yt

    def forward(self, sample: int) -> None:
        sample_x, sample_y = self.x[sample], self.y[sample]
        ht = np.zeros((1, self.hidden_units))
        self.hidden_states = [ht]
        self.inputs = []
        for step in range(len(sample_x)):
            ht, yt = self.cell(sample_x[step].reshape(1, 1), ht)
            self.inputs.append(sample_x[step].reshape(1, 1))
            self.hidden_states.append(ht)
        self.error = yt - sample_y
        self.loss = 0.5 * np.sum(self.error**2)
        self.yt = yt

    def backward(self) -> None:
        n = len(self.inputs)
        dyt = self.error
        dWy = np.dot(self.hidden_states[-1].T, dyt)
        dht = np.dot(dyt, self.Wy.T)
        dWx = np.zeros_like(self.Wx)
        dWh = np.zeros_like(self.Wh)
        for step in reversed(range(n)):
            after, before = (step + 1, step) if self.exact else (step, step - 1)
            temp = (1 - self.hidden_states[after] ** 2) * dht
            dWx += np.dot(self.inputs[step].T, temp)
            dWh += np.dot(self.hidden_states[before].T, temp)
            dht = np.dot(temp, self.Wh.T)
        dWy = np.clip(dWy, -1, 1)
        dWx = np.clip(dWx, -1, 1)
        dWh = np.clip(dWh, -1, 1)
        self.Wy -= self.lr * dWy
        self.Wx -= self.lr * dWx
        self.Wh -= self.lr * dWh

    def train(self, epochs: int, learning_rate: float, verbose: int = 2) -> None:
        self.Ovr_loss = []
        self.lr = learning_rate
        for epoch in range(epochs):
            for sample in range(self.x.shape[0]):
                self.forward(sample)
                self.backward()
            epoch_loss = np.mean(self.loss)
            self.Ovr_loss.append(epoch_loss)
            if verbose == 1:
                if (epoch + 1) % 100 == 0:
                    print(f"Epoch: {epoch + 1} | Loss: {epoch_loss:.6e}")
            elif verbose == 2:
                if (epoch + 1) % 10 == 0:
                    print(f"Epoch: {epoch + 1} | Loss: {epoch_loss:.6e}")
            elif verbose > 3:
                print(f"Epoch: {epoch + 1} | Loss: {epoch_loss:.6e}", end="\r")
            if epoch == 0:
                print(f"Epoch: {epoch + 1} | Loss: {epoch_loss:.6e}")
            self.loss = 0

    def test(self, x: Array, y: Array) -> Any:
        self.x = x
        self.y = y
        self.outputs = []
        for sample in range(len(x)):
            self.forward(sample)
            self.outputs.append(self.yt)
        self.outputs = np.array(self.outputs).reshape(len(y), 1)
        self.y = self.y.reshape(len(y), 1)
        self.error = self.outputs - self.y
        self.loss = 0.5 * np.mean(self.error**2)
        print(f"Test Loss: {self.loss:.5e}")
        return self.loss
