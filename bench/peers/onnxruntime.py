"""ONNX Runtime: the RNN operator and a Gemm."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from bench.workloads import Array, Workload, data, weights


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
    """The RNN operator at length 1: the state is output and input again."""

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
