"""The plan of an epoch: order of samples, batches, and chunks of steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn import _cell
from crnn._arguments import Array
from crnn._samples import Samples


def valid_elements(
    x: Samples, y: Samples, elements: int, chunk: int, *, every: bool, missing: bool, classes: bool
) -> Array:
    """Count the elements of the loss of each sample in each chunk of steps: (N, C), int64.

    A step has `elements` of them. With `missing`, missing targets do not count. The shape is (1, C)
    if all samples have the same numbers.
    """
    steps = np.array([x.steps]) if x.lengths is None else x.lengths
    chunks = np.arange(-(-x.steps // chunk))
    counts: Array
    if every:
        if missing:
            return _cell.valid_counts(y, chunk, classes)
        counts = np.clip(steps[:, None] - chunks * chunk, 0, chunk) * elements
        return counts
    here = chunks == (steps[:, None] - 1) // chunk  # the chunk in which a sample ends
    counts = here * (_cell.valid_counts(y, 1, classes) if missing else elements)
    return counts


class Batches:
    """Batches of up to `batch_size` samples, each cut into chunks of up to `chunk` steps.

    Parameters
    ----------
    valid : ndarray of int64, shape (N, C)
        Elements of the loss of each sample in each chunk. The first axis has length 1 if all
        samples have the same numbers.
    chunk : int
    lengths : ndarray of int64, shape (N,), optional
        Steps of the samples. None: all have the same.
    weighted : ndarray of bool, shape (N,), optional
        Samples whose weight is not zero.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        valid: Array,
        chunk: int,
        *,
        lengths: Array | None = None,
        weighted: Array | None = None,
    ) -> None:
        self.samples, self.batch_size, self.chunk = samples, batch_size, chunk
        self.valid, self.lengths, self.weighted = valid, lengths, weighted
        self._same: Array | None = None
        if len(valid) == 1 and weighted is None:
            self._same = self.plan(None)

    def order(self, seed: Any, epoch: int | None) -> Array | None:
        """The order of samples in an epoch, counted from 0; None: the order of the data.

        It depends on the seed and the epoch only, not on a random state. Sequences of different
        lengths are sorted within each batch, longest first. Equal lengths keep their order.
        """
        order = None
        if epoch is not None:
            order = np.random.default_rng([seed, epoch]).permutation(self.samples)
            order = order.astype(np.int64, copy=False)  # 32 bits on Windows before NumPy 2
        if self.lengths is None:
            return order
        order = np.arange(self.samples, dtype=np.int64) if order is None else order
        place = np.arange(self.samples)
        return order[np.lexsort((place, -self.lengths[order], place // self.batch_size))]

    def plan(self, order: Array | None) -> Array:
        """The updates of an epoch in order, (updates, 4), int64.

        A row holds: first position in the order of samples, number of samples, first step, valid
        elements. A chunk without valid elements is included, with 0, if a later chunk of its batch
        has some.
        """
        if self._same is not None:
            return self._same
        firsts = np.arange(0, self.samples, self.batch_size)
        sizes = np.minimum(self.batch_size, self.samples - firsts)
        if len(self.valid) == 1 and self.weighted is None:
            valid = sizes[:, None] * self.valid
        else:
            each = np.broadcast_to(self.valid, (self.samples, self.valid.shape[1]))
            each = each if order is None else each[order]
            valid = np.add.reduceat(each, firsts)
            if self.weighted is not None:
                weighted = self.weighted if order is None else self.weighted[order]
                valid[np.add.reduceat(each * weighted[:, None], firsts) == 0] = 0
        follows = np.cumsum(valid[:, ::-1], axis=1)[:, ::-1] > 0
        batch, chunk = np.nonzero(follows)
        return np.stack(
            [firsts[batch], sizes[batch], chunk * self.chunk, valid[batch, chunk]], axis=1
        ).astype(np.int64)
