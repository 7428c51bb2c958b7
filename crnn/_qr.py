"""The triangle of a QR factorisation, from blocks of rows that are never all in memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from crnn._arguments import Array


def triangle(blocks: Iterable[Array]) -> Array:
    """R of the QR factorisation of blocks of rows, one below the other; at least one block."""
    found: Array | None = None
    for block in blocks:
        rows = block if found is None else np.vstack((found, block))
        # asarray is for the type checker: NumPy's annotations know the default mode only.
        found = np.asarray(np.linalg.qr(rows, mode="r"))
        del block, rows  # before the next block is made
    assert found is not None
    return found
