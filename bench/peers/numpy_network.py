"""Optimised NumPy for networks of several layers, directions, outputs and lengths."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from bench.peers.numpy import views
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


@dataclass
class Batch:
    """Rows of one batch, longest first: all rows of step t, then all rows of step t + 1.

    Attributes
    ----------
    x, y : ndarray
        x (rows, I), tokens (rows,); y (B, O), or (rows, ...) with an output at every step.
    spans : list of slice
        The rows of each step.
    ends : ndarray, shape (B,)
        Each sequence's row at its last step.
    before : ndarray or None
        The row of the previous step, for all rows except those of the first step. None if all steps
        have B rows: the previous step is then B rows higher.
    one_hot : ndarray, shape (rows, I)
        Of tokens; else empty. A product with it gives their gradient, faster than np.add.at.
    """

    x: Array
    y: Array
    spans: list[slice]
    ends: Array
    before: Array | None
    one_hot: Array


@dataclass
class Cell:
    """A cell's buffers, both (rows, H): the states; and `a`, first x Wx + b, then da."""

    name: str
    h: Array
    a: Array
    spans: list[slice] = field(default_factory=list)


class NumpyNetwork:
    """Batched BPTT: buffers allocated once, x Wx and the weights' gradients for all steps at once.

    Batches are copied once. A step has the rows of the sequences that are long enough for it.
    """

    def __init__(self, workload: Workload, threads: int) -> None:
        self.workload, self.start = workload, weights(workload)
        rows, B, H, dtype = workload.T * workload.B, workload.B, workload.H, workload.dtype
        shapes = {name: array.shape for name, array in self.start.items()}
        size = sum(array.size for array in self.start.values())
        self.flat, self.dflat = np.empty(size, dtype), np.empty(size, dtype)
        self.params, self.gradients = views(self.flat, shapes), views(self.dflat, shapes)
        self.cells = [
            Cell(name, np.empty((rows, H), dtype), np.empty((rows, H), dtype))
            for name, _ in workload.cells
        ]
        self.product, self.dh = np.empty((B, H), dtype), np.empty((B, H), dtype)
        self.batches = _batches(workload)

    def reset(self) -> None:
        for name, array in self.start.items():
            self.params[name][...] = array

    def run(self, units: int) -> None:
        for _ in range(units):
            for batch in self.batches:
                self._gradients(batch)
                np.minimum(self.dflat, CLIP_VALUE, out=self.dflat)
                np.maximum(self.dflat, -CLIP_VALUE, out=self.dflat)
                self.dflat *= LEARNING_RATE
                self.flat -= self.dflat

    def result(self) -> dict[str, Array]:
        return {name: array.copy() for name, array in self.params.items()}

    def _gradients(self, batch: Batch) -> None:
        D, H, params = self.workload.D, self.workload.H, self.params
        layers = [self.cells[at : at + D] for at in range(0, len(self.cells), D)]
        inputs = [batch.x]
        for cells in layers:
            for cell, spans in zip(cells, (batch.spans, batch.spans[::-1]), strict=False):
                self._forward(cell, inputs[-1], spans)
            states = [cell.h[: len(batch.x)] for cell in cells]
            inputs.append(np.concatenate(states, axis=1) if D == 2 else states[0])
        every = self.workload.output == "all"
        if every:
            read = inputs[-1]
        elif D == 2:
            finals = [h[cell.spans[-1]] for h, cell in zip(states, cells, strict=True)]
            read = np.concatenate(finals, axis=1)
        else:
            read = states[0][batch.ends]
        dz = self._loss_gradient(read, batch.y)
        np.dot(read.T, dz, out=self.gradients["Wy"])
        np.sum(dz, axis=0, out=self.gradients["by"])
        above, last = np.dot(dz, params["Wy"].T), not every
        for cells, below in zip(reversed(layers), reversed(inputs[:-1]), strict=True):
            for d, cell in enumerate(cells):
                self._backward(cell, below, above[:, d * H : (d + 1) * H], last, batch)
            if cells is not layers[0]:
                above = sum(
                    np.dot(cell.a[: len(below)], params["Wx" + cell.name].T) for cell in cells
                )
                last = False

    def _forward(self, cell: Cell, inputs: Array, spans: list[slice]) -> None:
        """The states of all steps, in the order of `spans`."""
        Wx, Wh, b = (self.params[name + cell.name] for name in ("Wx", "Wh", "b"))
        cell.spans = spans
        h, a = cell.h, cell.a[: len(inputs)]
        if inputs.ndim == 1:
            np.take(Wx, inputs, axis=0, out=a, mode="clip")
        else:
            np.dot(inputs, Wx, out=a)
        a += b
        np.tanh(a[spans[0]], out=h[spans[0]])
        for before, now in itertools.pairwise(spans):
            n = now.stop - now.start
            product = self.product[:n]
            np.dot(h[before][:n], Wh, out=product)
            np.add(product, a[now], out=product)
            np.tanh(product, out=h[now])

    def _backward(self, cell: Cell, inputs: Array, above: Array, last: bool, batch: Batch) -> None:
        """Gradients of a cell; writes da to cell.a. `above` is dh of all steps, or of the last."""
        Wh, rows, B = self.params["Wh" + cell.name], len(inputs), self.workload.B
        h, da, dh = cell.h[:rows], cell.a[:rows], self.dh
        np.multiply(h, h, out=da)
        np.subtract(1.0, da, out=da)
        # Until its own last step, a shorter row keeps its initial value.
        dh[...] = above if last else 0.0
        for now in reversed(cell.spans):
            dh_t, da_t = dh[: now.stop - now.start], da[now]
            if not last:
                dh_t += above[now]
            np.multiply(da_t, dh_t, out=da_t)
            np.dot(da_t, Wh.T, out=dh_t)
        dWx, dWh, db = (self.gradients[name + cell.name] for name in ("Wx", "Wh", "b"))
        np.dot((batch.one_hot if inputs.ndim == 1 else inputs).T, da, out=dWx)
        if batch.before is not None:
            np.dot(h[batch.before].T, da[B:], out=dWh)
        elif cell.spans[0].start == 0:
            np.dot(h[:-B].T, da[B:], out=dWh)
        else:
            np.dot(h[B:].T, da[:-B], out=dWh)
        np.sum(da, axis=0, out=db)

    def _loss_gradient(self, read: Array, y: Array) -> Array:
        """Gradient of the squared error or the cross entropy with respect to the outputs."""
        z: Array = np.dot(read, self.params["Wy"])
        z += self.params["by"]
        if not self.workload.classes:
            z -= y
            z *= 2.0 / z.size
            return z
        z -= z.max(axis=1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(axis=1, keepdims=True)
        z[np.arange(len(z)), y] -= 1.0
        z /= len(z)
        return z


def _batches(workload: Workload) -> list[Batch]:
    """The batches of an epoch."""
    x, y = data(workload)
    steps = lengths(workload)
    one_hot = np.eye(workload.input_size, dtype=workload.dtype)
    batches = []
    for order in by_length(workload).reshape(-1, workload.B):
        active = np.arange(workload.T)[:, None] < steps[order]
        time, row = np.nonzero(active)
        counts = active.sum(axis=1)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        packed = np.ascontiguousarray(x[order[row], time])
        later = np.flatnonzero(time)
        batches.append(
            Batch(
                packed,
                y[order[row], time] if workload.output == "all" else y[order],
                [slice(offsets[t], offsets[t + 1]) for t in range(int(steps[order[0]]))],
                offsets[steps[order] - 1] + np.arange(workload.B),
                offsets[time[later] - 1] + row[later] if workload.shortest else None,
                one_hot[packed] if workload.tokens else one_hot[:0],
            )
        )
    return batches
