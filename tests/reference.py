"""The mathematics of crnn in obvious, slow NumPy: what everything compiled is compared with.

Every function computes in the type that it is given: float64 for comparisons, and complex128 for
complex-step differentiation, for which nothing here takes an absolute value or a conjugate on the
way from the parameters to the loss. Letters as in the rest of the project: B rows of a batch,
T timesteps, I inputs, H hidden units, O outputs.
"""

# The notebook draws from NumPy's global generator, and nothing else may.

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Parameters = dict[str, Array]


def double(parameters: Parameters) -> Parameters:
    """Copies of the parameters in float64."""
    return {name: np.array(value, dtype=np.float64) for name, value in parameters.items()}


def forward(parameters: Parameters, x: Array) -> tuple[list[Array], Array]:
    """States h_0 = 0, h_1, ..., h_T, each (B, H), and the output (B, O) of the last of them.

    h_t = tanh(x_t Wx + h_{t-1} Wh + b),  y = h_T Wy + by, for x (B, T, I).
    """
    wx, wh, wy = parameters["Wx_l0"], parameters["Wh_l0"], parameters["Wy"]
    states = [np.zeros((x.shape[0], wh.shape[0]), dtype=np.result_type(x, wx, wh))]
    for t in range(x.shape[1]):
        a_t = x[:, t] @ wx + states[-1] @ wh + parameters.get("b_l0", 0.0)
        states.append(np.tanh(a_t))
    return states, states[-1] @ wy + parameters.get("by", 0.0)


def mse(output: Array, y: Array) -> Any:
    """Mean over batch and outputs of the squared error."""
    return np.sum((output - y) ** 2) / y.size


def loss(parameters: Parameters, x: Array, y: Array) -> Any:
    """The loss of the batch x (B, T, I), y (B, O)."""
    return mse(forward(parameters, x)[1], y)


def gradients(parameters: Parameters, x: Array, y: Array) -> tuple[Any, Parameters]:
    """The loss and its gradient with respect to every parameter, by BPTT."""
    wh, wy = parameters["Wh_l0"], parameters["Wy"]
    states, output = forward(parameters, x)
    dy = 2.0 * (output - y) / y.size
    d: Parameters = {
        "Wx_l0": np.zeros_like(parameters["Wx_l0"]),
        "Wh_l0": np.zeros_like(wh),
        "b_l0": np.zeros_like(wh[0]),
        "Wy": states[-1].T @ dy,
        "by": dy.sum(axis=0),
    }
    dh = dy @ wy.T
    for t in reversed(range(x.shape[1])):
        da_t = dh * (1.0 - states[t + 1] ** 2)
        d["Wx_l0"] = d["Wx_l0"] + x[:, t].T @ da_t
        d["Wh_l0"] = d["Wh_l0"] + states[t].T @ da_t
        d["b_l0"] = d["b_l0"] + da_t.sum(axis=0)
        dh = da_t @ wh.T
    return mse(output, y), {name: d[name] for name in parameters}


def clip(d: Parameters, clip_value: float | None) -> tuple[Parameters, int]:
    """Every element brought into [-clip_value, clip_value], and how many had to be."""
    if clip_value is None:
        return dict(d), 0
    clipped = {name: np.minimum(np.maximum(g, -clip_value), clip_value) for name, g in d.items()}
    return clipped, sum(int(np.sum(clipped[name] != g)) for name, g in d.items())


def norm(d: Parameters) -> float:
    """The Euclidean norm of all gradients together."""
    return float(np.sqrt(sum(np.sum(g**2) for g in d.values())))


def clip_norm(d: Parameters, bound: float | None) -> Parameters:
    """All gradients times bound / (norm + 1e-6), at most 1, as PyTorch."""
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
    """Tieleman and Hinton 2012, eps outside the root, momentum behind the division, as PyTorch."""

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
    """Kingma and Ba 2015 (arXiv:1412.6980), bias-corrected, eps outside the root, as PyTorch."""

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
        """The parameter made smaller, and its gradient as it was."""
        return w - self.learning_rate * self.weight_decay * w, g


Optimiser = SGD | RMSprop | Adam
OPTIMISERS: dict[str, type[Optimiser]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}


def optimizer(name: str, learning_rate: float, **settings: Any) -> Optimiser:
    """A fresh optimiser by the name that Trainer knows it by."""
    return OPTIMISERS[name](learning_rate, **settings)


def epoch(
    parameters: Parameters,
    x: Array,
    y: Array,
    optimiser: Optimiser,
    *,
    batch_size: int,
    clip_value: float | None,
) -> tuple[Parameters, float, float]:
    """One epoch in the order of the rows: parameters after it, its loss, its clipped fraction.

    The loss is the mean of the batches' losses as they were trained, weighted by rows; the
    fraction is that of the gradient elements of all batches.
    """
    total, clipped, elements = 0.0, 0, 0
    for start in range(0, x.shape[0], batch_size):
        rows = slice(start, start + batch_size)
        value, d = gradients(parameters, x[rows], y[rows])
        d, count = clip(d, clip_value)
        parameters = optimiser.step(parameters, d)
        total += value * x[rows].shape[0]
        clipped += count
        elements += sum(g.size for g in d.values())
    return parameters, total / x.shape[0], clipped / elements


def notebook_dataset(size: int = 200, timesteps: int = 25) -> tuple[Array, Array]:
    """The notebook's dataset(): every window of sin(0), sin(1), ... and the value after it."""
    x, y = [], []
    sin_wave = np.sin(np.arange(size))
    for step in range(sin_wave.shape[0] - timesteps):
        x.append(sin_wave[step : step + timesteps])
        y.append(sin_wave[step + timesteps])
    return np.array(x).reshape(len(y), timesteps, 1), np.array(y).reshape(len(y), 1)


class NotebookRNN:
    """The notebook's RNN line by line; exact=True pairs the states as the chain rule wants it.

    As it stands, backward() goes through time with the states one step too early: the derivative
    of tanh at step t is taken from hidden_states[t], which is the state *before* that step, and
    the state that met Wh from hidden_states[t - 1], which at t = 0 is the last one.
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
