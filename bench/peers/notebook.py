"""The notebook's own algorithm."""

from __future__ import annotations

import numpy as np

from bench.workloads import LEARNING_RATE, Array, Workload, data, weights


class NotebookTrain:
    """One sample at a time, a Python list of states, the gradient shifted by one step, float64.

    Half the squared error and no biases, as in the notebook.
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
