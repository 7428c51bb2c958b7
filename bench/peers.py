"""The contestants: crnn and its peers, each written as well as a good user of it writes.

A peer's library is imported inside its functions, by name, in a worker process of its own; an
ImportError there means that the peer is absent. Every runner starts from `workloads.weights` and
works on `workloads.data`; parameters go by crnn's names.
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from bench.workloads import CLIP_VALUE, LEARNING_RATE, Array, Kind, Workload, data, weights


class Runner(Protocol):
    """One peer on one workload."""

    def reset(self) -> None:
        """Back to the initial weights and state; not timed."""

    def run(self, units: int) -> None:
        """`units` epochs, calls or steps; timed."""

    def result(self) -> dict[str, Array]:
        """What `reference.expected` describes, after `run`."""


# crnn


def _crnn() -> Any:
    """The package; ImportError where its compiled module is not built."""
    importlib.import_module("crnn._cell")
    return importlib.import_module("crnn")


class CrnnTrain:
    """`Trainer.fit`, whole calls: its checks and its workspaces are in the time."""

    def __init__(self, workload: Workload, threads: int) -> None:
        crnn = _crnn()
        self.x, self.y = data(workload)
        self.start = weights(workload)
        self.model = crnn.RNN(
            workload.input_size, workload.H, workload.output_size, dtype=workload.dtype
        )
        self.trainers = {
            units: crnn.Trainer(
                epochs=units,
                batch_size=workload.B,
                learning_rate=LEARNING_RATE,
                optimizer="sgd",
                clip_value=CLIP_VALUE,
                loss="mse",
                shuffle=False,
                threads=threads,
            )
            for units in {1, workload.units}
        }

    def reset(self) -> None:
        self.model.load_state_dict(self.start)

    def run(self, units: int) -> None:
        self.trainers[units].fit(self.model, self.x, self.y)

    def result(self) -> dict[str, Array]:
        return dict(self.model.state_dict())


class CrnnPredict:
    """`RNN.predict` on the whole of x."""

    def __init__(self, workload: Workload, threads: int) -> None:
        crnn = _crnn()
        self.x, _ = data(workload)
        self.threads = threads
        self.model = crnn.RNN(
            workload.input_size, workload.H, workload.output_size, dtype=workload.dtype
        )
        self.model.load_state_dict(weights(workload))

    def reset(self) -> None:
        pass

    def run(self, units: int) -> None:
        for _ in range(units):
            self.y = self.model.predict(self.x, threads=self.threads)

    def result(self) -> dict[str, Array]:
        return {"y": self.y}


class CrnnStep:
    """`Stream.step`, one call a step from a Python loop."""

    def __init__(self, workload: Workload, threads: int) -> None:
        crnn = _crnn()
        x, _ = data(workload)
        self.x = list(x)
        model = crnn.RNN(
            workload.input_size, workload.H, workload.output_size, dtype=workload.dtype
        )
        model.load_state_dict(weights(workload))
        self.stream = model.stream()

    def reset(self) -> None:
        self.stream.reset()

    def run(self, units: int) -> None:
        step = self.stream.step
        self.y = [step(x_t) for x_t in self.x[:units]]

    def result(self) -> dict[str, Array]:
        return {"y": np.concatenate(self.y)}


# The notebook's own algorithm


class NotebookTrain:
    """One sample at a time, a Python list of states, the gradient shifted by one step, float64.

    Half the squared error and no biases, as the notebook has them.
    """

    def __init__(self, workload: Workload, threads: int) -> None:
        self.x, self.y = data(workload)
        self.start = weights(workload)

    def reset(self) -> None:
        self.Wx, self.Wh, self.Wy = (self.start[name].copy() for name in ("Wx_l0", "Wh_l0", "Wy"))

    def run(self, units: int) -> None:
        for _ in range(units):
            for sample in range(len(self.x)):
                self._forward(sample)
                self._backward()

    def result(self) -> dict[str, Array]:
        return {"Wx_l0": self.Wx, "Wh_l0": self.Wh, "Wy": self.Wy}

    def _forward(self, sample: int) -> None:
        h = np.zeros((1, self.Wh.shape[0]))
        self.states = [h]
        self.inputs = []
        for x_t in self.x[sample]:
            h = np.tanh(np.dot(x_t.reshape(1, 1), self.Wx) + np.dot(h, self.Wh))
            y_t = np.dot(h, self.Wy)
            self.inputs.append(x_t.reshape(1, 1))
            self.states.append(h)
        self.error = y_t - self.y[sample]
        self.loss = 0.5 * np.sum(self.error**2)

    def _backward(self) -> None:
        dWy = np.dot(self.states[-1].T, self.error)
        dh = np.dot(self.error, self.Wy.T)
        dWx = np.zeros_like(self.Wx)
        dWh = np.zeros_like(self.Wh)
        for step in reversed(range(len(self.inputs))):
            da = (1 - self.states[step] ** 2) * dh
            dWx += np.dot(self.inputs[step].T, da)
            dWh += np.dot(self.states[step - 1].T, da)
            dh = np.dot(da, self.Wh.T)
        self.Wy -= LEARNING_RATE * np.clip(dWy, -1, 1)
        self.Wx -= LEARNING_RATE * np.clip(dWx, -1, 1)
        self.Wh -= LEARNING_RATE * np.clip(dWh, -1, 1)


# NumPy


def _views(flat: Array, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """Named arrays that lie one behind the other in `flat`."""
    views, at = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        views[name] = flat[at : at + size].reshape(shape)
        at += size
    return views


class NumpyTrain:
    """Batched BPTT: every buffer made once, x Wx and the weights' gradients for all steps at once.

    All parameters lie in one array, and all gradients in another, so that clipping and the step
    are four calls a batch. np.dot, as its call costs 0.4 us less than np.matmul's.
    """

    def __init__(self, workload: Workload, threads: int) -> None:
        self.x, self.y = data(workload)
        self.start = weights(workload)
        T, B, H, dtype = workload.T, workload.B, workload.H, workload.dtype
        shapes = {name: array.shape for name, array in self.start.items()}
        size = sum(array.size for array in self.start.values())
        self.flat, self.dflat = np.empty(size, dtype), np.empty(size, dtype)
        self.params, self.gradients = _views(self.flat, shapes), _views(self.dflat, shapes)
        self.x_t = np.empty((T, B, workload.input_size), dtype)
        self.a = np.empty((T, B, H), dtype)
        self.h = np.zeros((T + 1, B, H), dtype)
        self.product = np.empty((B, H), dtype)
        self.dh = np.empty((B, H), dtype)
        self.a_t, self.h_t = list(self.a), list(self.h)

    def reset(self) -> None:
        for name, array in self.start.items():
            self.params[name][...] = array

    def run(self, units: int) -> None:
        B = self.x_t.shape[1]
        for _ in range(units):
            for start in range(0, len(self.x), B):
                self._batch(self.x[start : start + B], self.y[start : start + B])

    def result(self) -> dict[str, Array]:
        return {name: array.copy() for name, array in self.params.items()}

    def _batch(self, x: Array, y: Array) -> None:
        x_t, a, h, product, dh = self.x_t, self.a, self.h, self.product, self.dh
        params, gradients = self.params, self.gradients
        T, B, H = a.shape
        Wh, Wh_transposed, Wy = params["Wh_l0"], params["Wh_l0"].T, params["Wy"]
        x_t[...] = x.transpose(1, 0, 2)
        np.dot(x_t.reshape(T * B, -1), params["Wx_l0"], out=a.reshape(T * B, H))
        a += params["b_l0"]
        for before, a_t, after in zip(self.h_t[:-1], self.a_t, self.h_t[1:], strict=True):
            np.dot(before, Wh, out=product)
            np.add(product, a_t, out=product)
            np.tanh(product, out=after)
        dy = np.dot(h[T], Wy)
        dy += params["by"]
        dy -= y
        dy *= 2.0 / dy.size
        np.dot(h[T].T, dy, out=gradients["Wy"])
        np.sum(dy, axis=0, out=gradients["by"])
        np.dot(dy, Wy.T, out=dh)
        da = a
        np.multiply(h[1:], h[1:], out=da)
        np.subtract(1.0, da, out=da)
        for da_t in self.a_t[:0:-1]:
            np.multiply(da_t, dh, out=da_t)
            np.dot(da_t, Wh_transposed, out=dh)
        da[0] *= dh
        da_rows = da.reshape(T * B, H)
        np.dot(x_t.reshape(T * B, -1).T, da_rows, out=gradients["Wx_l0"])
        np.dot(h[:T].reshape(T * B, H).T, da_rows, out=gradients["Wh_l0"])
        np.sum(da_rows, axis=0, out=gradients["b_l0"])
        np.minimum(self.dflat, CLIP_VALUE, out=self.dflat)
        np.maximum(self.dflat, -CLIP_VALUE, out=self.dflat)
        self.dflat *= LEARNING_RATE
        self.flat -= self.dflat


class NumpyPredict:
    """Blocks of rows that fit the cache, buffers made once."""

    ROWS = 512

    def __init__(self, workload: Workload, threads: int) -> None:
        self.x, _ = data(workload)
        self.params = weights(workload)
        rows = min(self.ROWS, workload.N)
        self.a = np.empty((workload.T, rows, workload.H), workload.dtype)
        self.h = np.empty((2, rows, workload.H), workload.dtype)

    def reset(self) -> None:
        pass

    def run(self, units: int) -> None:
        for _ in range(units):
            self.y = self._predict(self.x)

    def result(self) -> dict[str, Array]:
        return {"y": self.y}

    def _predict(self, x: Array) -> Array:
        params = self.params
        y = np.empty((len(x), len(params["by"])), x.dtype)
        for start in range(0, len(x), self.ROWS):
            block = x[start : start + self.ROWS]
            rows, T = block.shape[:2]
            a, h, product = self.a[:, :rows], self.h[0, :rows], self.h[1, :rows]
            np.matmul(block.transpose(1, 0, 2), params["Wx_l0"], out=a)
            a += params["b_l0"]
            np.tanh(a[0], out=h)
            for t in range(1, T):
                np.matmul(h, params["Wh_l0"], out=product)
                np.add(product, a[t], out=product)
                np.tanh(product, out=h)
            np.matmul(h, params["Wy"], out=y[start : start + rows])
        y += params["by"]
        return y


class NumpyStep:
    """The cell's formula, one row, from a Python loop."""

    def __init__(self, workload: Workload, threads: int) -> None:
        x, _ = data(workload)
        self.x = list(x)
        self.params = weights(workload)

    def reset(self) -> None:
        self.h = np.zeros((1, self.params["Wh_l0"].shape[0]), self.x[0].dtype)

    def run(self, units: int) -> None:
        Wx, Wh, b, Wy, by = self.params.values()
        h = self.h
        self.y = []
        for x_t in self.x[:units]:
            h = np.tanh(x_t @ Wx + h @ Wh + b)
            self.y.append(h @ Wy + by)
        self.h = h

    def result(self) -> dict[str, Array]:
        return {"y": np.concatenate(self.y)}


# PyTorch


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


# JAX


class JaxTrain:
    """The whole epoch in one jit: lax.scan over batches, in it over steps; parameters donated."""

    UNROLL = 1

    def __init__(self, workload: Workload, threads: int) -> None:
        jax = self.jax = importlib.import_module("jax")
        jnp: Any = importlib.import_module("jax.numpy")
        jax.config.update("jax_enable_x64", True)
        x, y = data(workload)
        batches, T, B = workload.N // workload.B, workload.T, workload.B
        # Time-major batches, laid out once.
        self.x = jnp.asarray(x.reshape(batches, B, T, -1).transpose(0, 2, 1, 3).copy())
        self.y = jnp.asarray(y.reshape(batches, B, -1))
        self.start = weights(workload)

        def loss(params: Any, x: Any, y: Any) -> Any:
            Wh = params["Wh_l0"]
            inputs = x @ params["Wx_l0"] + params["b_l0"]

            def cell(h: Any, a: Any) -> tuple[Any, None]:
                return jnp.tanh(a + h @ Wh), None

            h, _ = jax.lax.scan(cell, jnp.zeros_like(inputs[0]), inputs, unroll=self.UNROLL)
            return jnp.mean((h @ params["Wy"] + params["by"] - y) ** 2)

        def batch(params: Any, xy: Any) -> tuple[Any, Any]:
            value, gradients = jax.value_and_grad(loss)(params, *xy)
            stepped = jax.tree.map(
                lambda w, dw: w - LEARNING_RATE * jnp.clip(dw, -CLIP_VALUE, CLIP_VALUE),
                params,
                gradients,
            )
            return stepped, value

        def epoch(params: Any, x: Any, y: Any) -> Any:
            return jax.lax.scan(batch, params, (x, y))

        self.epoch = jax.jit(epoch, donate_argnums=0)

    def reset(self) -> None:
        self.params = self.jax.device_put({k: w.copy() for k, w in self.start.items()})
        self.jax.block_until_ready(self.params)

    def run(self, units: int) -> None:
        for _ in range(units):
            self.params, losses = self.epoch(self.params, self.x, self.y)
        self.jax.block_until_ready((self.params, losses))

    def result(self) -> dict[str, Array]:
        return {name: np.array(array) for name, array in self.params.items()}


class JaxUnrolledTrain(JaxTrain):
    """The same, all 25 timesteps unrolled: 19 ms for 24 on seed64, 8.5 for 13 on small.

    From T = 50 upwards it is slower than the plain scan.
    """

    UNROLL = 25


# ONNX Runtime


def _onnx_session(workload: Workload, threads: int, *, step: bool) -> Any:
    """x (B, T, I) -> y (B, O) by ONNX's RNN operator; with `step` also the state in and out."""
    onnx: Any = importlib.import_module("onnx")
    onnxruntime: Any = importlib.import_module("onnxruntime")
    helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
    start = weights(workload)
    zero = np.zeros_like(start["b_l0"])
    constants = {
        "W": start["Wx_l0"].T[None],
        "R": start["Wh_l0"].T[None],
        "bias": np.concatenate([start["b_l0"], zero])[None],
        "Wy": start["Wy"],
        "by": start["by"],
        "direction": np.array([0], np.int64),
    }
    state = "h" if step else ""
    nodes = [
        helper.make_node("Transpose", ["x"], ["x_t"], perm=[1, 0, 2]),
        helper.make_node(
            "RNN", ["x_t", "W", "R", "bias", "", state], ["", "h_T"], hidden_size=workload.H
        ),
        helper.make_node("Squeeze", ["h_T", "direction"], ["rows"]),
        helper.make_node("Gemm", ["rows", "Wy", "by"], ["y"]),
    ]
    B, H = (1 if step else workload.N), workload.H
    inputs = [helper.make_tensor_value_info("x", FLOAT, [B, workload.T, workload.input_size])]
    outputs = [helper.make_tensor_value_info("y", FLOAT, [B, workload.output_size])]
    if step:
        inputs.append(helper.make_tensor_value_info("h", FLOAT, [1, B, H]))
        outputs.append(helper.make_tensor_value_info("h_T", FLOAT, [1, B, H]))
    initializers = [
        onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
        for name, array in constants.items()
    ]
    graph = helper.make_graph(nodes, "rnn", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class OnnxPredict:
    """The RNN operator and a Gemm, all rows in one call."""

    def __init__(self, workload: Workload, threads: int) -> None:
        self.x, _ = data(workload)
        self.session = _onnx_session(workload, threads, step=False)

    def reset(self) -> None:
        pass

    def run(self, units: int) -> None:
        for _ in range(units):
            (self.y,) = self.session.run(["y"], {"x": self.x})

    def result(self) -> dict[str, Array]:
        return {"y": self.y}


class OnnxStep:
    """The RNN operator at length 1, the state handed out and in."""

    def __init__(self, workload: Workload, threads: int) -> None:
        x, _ = data(workload)
        self.x = list(x[:, None])
        self.H = workload.H
        self.session = _onnx_session(workload, threads, step=True)

    def reset(self) -> None:
        self.h = np.zeros((1, 1, self.H), np.float32)

    def run(self, units: int) -> None:
        run, h, names = self.session.run, self.h, ["y", "h_T"]
        self.y = []
        for x_t in self.x[:units]:
            y, h = run(names, {"x": x_t, "h": h})
            self.y.append(y)
        self.h = h

    def result(self) -> dict[str, Array]:
        return {"y": np.concatenate(self.y)}


# Import times


class Import:
    """A new interpreter that imports one module and ends; "python" imports nothing."""

    def __init__(self, module: str) -> None:
        statement = "pass" if module == "python" else f"import {module}"
        self.command = [sys.executable, "-c", statement]
        if module == "crnn":
            _crnn()
        elif module != "python" and importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}")

    def reset(self) -> None:
        pass

    def run(self, units: int) -> None:
        for _ in range(units):
            subprocess.run(self.command, check=True)

    def result(self) -> dict[str, Array]:
        return {}


RUNNERS: dict[tuple[str, Kind], Callable[[Workload, int], Runner]] = {
    ("crnn", "train"): CrnnTrain,
    ("crnn", "predict"): CrnnPredict,
    ("crnn", "step"): CrnnStep,
    ("notebook", "train"): NotebookTrain,
    ("numpy", "train"): NumpyTrain,
    ("numpy", "predict"): NumpyPredict,
    ("numpy", "step"): NumpyStep,
    ("torch", "train"): TorchTrain,
    ("torch", "predict"): TorchPredict,
    ("torch", "step"): TorchStep,
    ("jax", "train"): JaxTrain,
    ("jax-unrolled", "train"): JaxUnrolledTrain,
    ("onnxruntime", "predict"): OnnxPredict,
    ("onnxruntime", "step"): OnnxStep,
}

PEERS = ("notebook", "numpy", "torch", "jax", "jax-unrolled", "onnxruntime")


def enters(peer: str, workload: Workload) -> bool:
    """Whether `peer` has an entry for the row.

    The notebook's own size and type is its only row; unrolling is for the short sequences.
    """
    if workload.kind == "import":
        return peer not in ("notebook", "jax-unrolled")
    if peer == "notebook":
        return workload.name == "seed64"
    if peer == "jax-unrolled" and workload.T > JaxUnrolledTrain.UNROLL:
        return False
    return (peer, workload.kind) in RUNNERS


def runner(peer: str, workload: Workload, threads: int) -> Runner:
    """The runner of `peer`; raises ImportError where its library is absent."""
    if workload.kind == "import":
        return Import(peer)
    return RUNNERS[peer, workload.kind](workload, threads)


def version(peer: str) -> str:
    """The version of the peer's library ("" for one that has none)."""
    if peer == "python":
        return sys.version.split()[0]
    if peer == "notebook":
        return ""
    library = importlib.import_module(peer.removesuffix("-unrolled"))
    return str(getattr(library, "__version__", ""))
