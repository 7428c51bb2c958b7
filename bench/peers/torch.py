"""PyTorch: the loop of its tutorials."""

from __future__ import annotations

import importlib
from typing import Any

from bench.workloads import (
    CLIP_VALUE,
    LEARNING_RATE,
    Array,
    Workload,
    by_length,
    data,
    lengths,
    weights,
)


def _torch(threads: int) -> Any:
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(threads)
    return torch


def _tensors(cell: Any, linear: Any, suffixes: list[str]) -> dict[str, Any]:
    """PyTorch's parameters under crnn's names, all transposed. `suffixes`: those of the cells."""
    named = {}
    for suffix in suffixes:
        theirs = suffix if hasattr(cell, "weight_ih" + suffix) else ""  # RNNCell has no suffixes
        named["Wx" + suffix] = getattr(cell, "weight_ih" + theirs)
        named["Wh" + suffix] = getattr(cell, "weight_hh" + theirs)
        named["b" + suffix] = getattr(cell, "bias_ih" + theirs)
    return named | {"Wy": linear.weight, "by": linear.bias}


def _load_torch(cell: Any, linear: Any, start: dict[str, Array]) -> dict[str, Any]:
    """Copy weights into a recurrent module and an output layer; returns the tensors by name.

    PyTorch has two recurrent biases, the formula has one: the second is zero and not trained.
    """
    torch: Any = importlib.import_module("torch")
    tensors = _tensors(cell, linear, [name[2:] for name in start if name.startswith("Wx")])
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(start[name].T))
        for name, second_bias in cell.named_parameters():
            if name.startswith("bias_hh"):
                second_bias.zero_()
                second_bias.requires_grad_(False)
    return tensors


class TorchTrain:
    """nn.RNN and nn.Linear, their loss, SGD, clip_grad_value_: the loop of the tutorials.

    Tokens are one-hot vectors, made once. Sequences of different lengths are sorted
    within each batch once, which is 5 % faster than unsorted, and packed.
    """

    def __init__(self, workload: Workload, threads: int) -> None:
        torch = self.torch = _torch(threads)
        order = by_length(workload) if workload.shortest else slice(None)
        arrays = (*data(workload), lengths(workload))
        x, y, steps = (torch.from_numpy(array[order]) for array in arrays)
        dtype = getattr(torch, workload.dtype)
        if workload.tokens:
            x = torch.nn.functional.one_hot(x, workload.input_size).to(dtype)
        self.batches = list(zip(*(array.split(workload.B) for array in (x, y, steps)), strict=True))
        self.workload, self.start = workload, weights(workload)
        self.rnn = torch.nn.RNN(
            workload.input_size,
            workload.H,
            workload.L,
            batch_first=True,
            bidirectional=workload.D == 2,
            dtype=dtype,
        )
        self.linear = torch.nn.Linear(workload.D * workload.H, workload.output_size, dtype=dtype)
        self.reset()
        both = [*self.rnn.parameters(), *self.linear.parameters()]
        self.trained = [tensor for tensor in both if tensor.requires_grad]
        self.optimizer = torch.optim.SGD(self.trained, lr=LEARNING_RATE)
        self.loss = torch.nn.CrossEntropyLoss() if workload.classes else torch.nn.MSELoss()

    def reset(self) -> None:
        self.tensors = _load_torch(self.rnn, self.linear, self.start)

    def run(self, units: int) -> None:
        clip = self.torch.nn.utils.clip_grad_value_
        for _ in range(units):
            for x, y, steps in self.batches:
                self.optimizer.zero_grad()
                z = self.linear(self._states(x, steps))
                if self.workload.classes:
                    z, y = z.flatten(0, 1), y.flatten()
                self.loss(z, y).backward()
                clip(self.trained, CLIP_VALUE)
                self.optimizer.step()

    def result(self) -> dict[str, Array]:
        return {name: w.detach().numpy().T.copy() for name, w in self.tensors.items()}

    def _states(self, x: Any, steps: Any) -> Any:
        """The states for the output layer: of all steps, or of the last."""
        if self.workload.shortest:
            pack = self.torch.nn.utils.rnn.pack_padded_sequence
            x = pack(x, steps, batch_first=True)
        states, last = self.rnn(x)
        if self.workload.output == "all":
            return states
        if self.workload.D == 2:
            return self.torch.cat([last[-2], last[-1]], dim=1)
        return last[-1] if self.workload.shortest else states[:, -1]


class TorchPredict:
    """nn.RNN and nn.Linear under inference_mode, in blocks of rows that fit the cache.

    Calls of 512 rows took 15.5, 60 and 249 ms (H = 32, 100, 256); one call of all 4096 rows took 14
    to 29, 94 and 297 ms.
    """

    ROWS = 512

    def __init__(self, workload: Workload, threads: int) -> None:
        torch = self.torch = _torch(threads)
        self.x = torch.from_numpy(data(workload)[0])
        dtype = getattr(torch, workload.dtype)
        self.rnn = torch.nn.RNN(workload.input_size, workload.H, batch_first=True, dtype=dtype)
        self.linear = torch.nn.Linear(workload.H, workload.output_size, dtype=dtype)
        _load_torch(self.rnn, self.linear, weights(workload))

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
    """RNNCell and Linear under inference_mode, one call of each per step."""

    def __init__(self, workload: Workload, threads: int) -> None:
        torch = self.torch = _torch(threads)
        self.x = list(torch.from_numpy(data(workload)[0]).unbind())
        dtype = getattr(torch, workload.dtype)
        self.cell = torch.nn.RNNCell(workload.input_size, workload.H, dtype=dtype)
        self.linear = torch.nn.Linear(workload.H, workload.output_size, dtype=dtype)
        _load_torch(self.cell, self.linear, weights(workload))

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
