"""PyTorch: the loop of its tutorials."""

from __future__ import annotations

import importlib
from typing import Any

from bench.workloads import CLIP_VALUE, LEARNING_RATE, Array, Workload, data, weights


def _torch(threads: int) -> Any:
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(threads)
    return torch


def _load_torch(cell: Any, linear: Any, suffix: str, start: dict[str, Array]) -> None:
    """Our weights into a recurrent module and an output layer.

    PyTorch has two recurrent biases where the formula has one: the second is zero and not trained.
    """
    torch: Any = importlib.import_module("torch")
    with torch.no_grad():
        for tensor, name in (
            (getattr(cell, "weight_ih" + suffix), "Wx_l0"),
            (getattr(cell, "weight_hh" + suffix), "Wh_l0"),
            (getattr(cell, "bias_ih" + suffix), "b_l0"),
            (linear.weight, "Wy"),
            (linear.bias, "by"),
        ):
            tensor.copy_(torch.from_numpy(start[name].T))
        second_bias = getattr(cell, "bias_hh" + suffix)
        second_bias.zero_()
        second_bias.requires_grad_(False)


class TorchTrain:
    """nn.RNN and nn.Linear, MSELoss, SGD, clip_grad_value_: the loop of the tutorials."""

    def __init__(self, workload: Workload, threads: int) -> None:
        torch = self.torch = _torch(threads)
        x, y = data(workload)
        self.x, self.y, self.B = torch.from_numpy(x), torch.from_numpy(y), workload.B
        self.start = weights(workload)
        dtype = getattr(torch, workload.dtype)
        self.rnn = torch.nn.RNN(workload.input_size, workload.H, batch_first=True, dtype=dtype)
        self.linear = torch.nn.Linear(workload.H, workload.output_size, dtype=dtype)
        self.reset()
        both = [*self.rnn.parameters(), *self.linear.parameters()]
        self.trained = [tensor for tensor in both if tensor.requires_grad]
        self.optimizer = torch.optim.SGD(self.trained, lr=LEARNING_RATE)
        self.loss = torch.nn.MSELoss()

    def reset(self) -> None:
        _load_torch(self.rnn, self.linear, "_l0", self.start)

    def run(self, units: int) -> None:
        clip = self.torch.nn.utils.clip_grad_value_
        for _ in range(units):
            for x, y in zip(self.x.split(self.B), self.y.split(self.B), strict=True):
                self.optimizer.zero_grad()
                states, _ = self.rnn(x)
                self.loss(self.linear(states[:, -1]), y).backward()
                clip(self.trained, CLIP_VALUE)
                self.optimizer.step()

    def result(self) -> dict[str, Array]:
        tensors = {
            "Wx_l0": self.rnn.weight_ih_l0,
            "Wh_l0": self.rnn.weight_hh_l0,
            "b_l0": self.rnn.bias_ih_l0,
            "Wy": self.linear.weight,
            "by": self.linear.bias,
        }
        return {name: tensor.detach().numpy().T.copy() for name, tensor in tensors.items()}


class TorchPredict:
    """nn.RNN and nn.Linear under inference_mode, in blocks of rows that fit the cache.

    512 rows a call took 15.5, 60 and 249 ms where all 4096 took 14 to 29, 94 and 297 (H = 32, 100,
    256).
    """

    ROWS = 512

    def __init__(self, workload: Workload, threads: int) -> None:
        torch = self.torch = _torch(threads)
        self.x = torch.from_numpy(data(workload)[0])
        dtype = getattr(torch, workload.dtype)
        self.rnn = torch.nn.RNN(workload.input_size, workload.H, batch_first=True, dtype=dtype)
        self.linear = torch.nn.Linear(workload.H, workload.output_size, dtype=dtype)
        _load_torch(self.rnn, self.linear, "_l0", weights(workload))

    def reset(self) -> None:
        pass

    def run(self, units: int) -> None:
        with self.torch.inference_mode():
            for _ in range(units):
                blocks = [self.linear(self.rnn(x)[1][0]) for x in self.x.split(self.ROWS)]
                self.y = self.torch.cat(blocks)

    def result(self) -> dict[str, Array]:
        return {"y": self.y.numpy()}


class TorchStep:
    """RNNCell and Linear under inference_mode, one call of each a step."""

    def __init__(self, workload: Workload, threads: int) -> None:
        torch = self.torch = _torch(threads)
        self.x = list(torch.from_numpy(data(workload)[0]).unbind())
        dtype = getattr(torch, workload.dtype)
        self.cell = torch.nn.RNNCell(workload.input_size, workload.H, dtype=dtype)
        self.linear = torch.nn.Linear(workload.H, workload.output_size, dtype=dtype)
        _load_torch(self.cell, self.linear, "", weights(workload))

    def reset(self) -> None:
        self.h = self.x[0].new_zeros(1, self.cell.hidden_size)

    def run(self, units: int) -> None:
        cell, linear, h = self.cell, self.linear, self.h
        self.y = []
        with self.torch.inference_mode():
            for x_t in self.x[:units]:
                h = cell(x_t, h)
                self.y.append(linear(h))
        self.h = h

    def result(self) -> dict[str, Array]:
        return {"y": self.torch.cat(self.y).numpy()}
