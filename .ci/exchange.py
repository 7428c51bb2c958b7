"""Model files between machines of different byte order: `exchange.py write|read FOLDER`.

Either prints a digest of each network's numbers.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

import crnn


def digest(model: crnn.RNN) -> str:
    """SHA-256 of the parameters, little-endian, in the order of their names."""
    found = hashlib.sha256()
    for name, value in sorted(model.parameters().items()):
        found.update(name.encode() + value.astype(value.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()


def main() -> None:
    """Write the two networks, or read those of another machine."""
    verb, folder = sys.argv[1], Path(sys.argv[2])
    x = (np.arange(5 * 7 * 3) % 13 / 13.0).reshape(5, 7, 3)
    for dtype in ("float32", "float64"):
        path = folder / f"{dtype}.safetensors"
        if verb == "write":
            crnn.RNN(3, 37, 2, dtype=dtype, seed=5).save(path)
        model = crnn.RNN.load(path)
        own = crnn.RNN(3, 37, 2, dtype=dtype, seed=5)
        own.load_state_dict(model.state_dict())
        assert np.array_equal(own.predict(x), model.predict(x))
        print(dtype, digest(model))


if __name__ == "__main__":
    main()
