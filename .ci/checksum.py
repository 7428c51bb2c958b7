"""One checksum of trained weights, to compare processors: those that fuse must print the same.

    python .ci/checksum.py

Odd sizes, float32 and float64, sgd and adam, one thread and several, rows given and windows of a
series, a batch of one. The data are made with integers and exact divisions, not by a library's
random or trigonometric functions, which differ between platforms. Prints the instruction set and
the SHA-256 of all weights (little-endian) and losses.
"""

from __future__ import annotations

import hashlib

import numpy as np

import crnn

# N, T, I, H, O, B
CASES = [
    (67, 13, 3, 37, 2, 29),
    (50, 5, 1, 1, 1, 50),
    (23, 7, 1, 100, 1, 1),
    (83, 11, 3, 131, 2, 83),
    (61, 9, 5, 64, 3, 64),
]


def numbers(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Multiples of 1/2048 between -1 and 1, by Knuth's multiplicative hashing."""
    count = int(np.prod(shape))
    hashed = (np.arange(1, count + 1, dtype=np.uint64) * np.uint64(2654435761)) >> np.uint64(13)
    return ((hashed % np.uint64(4096)).astype(np.float64) / 2048 - 1).reshape(shape)


def main() -> None:
    """Train every case at one thread and at three, and print the digest."""
    digest = hashlib.sha256()
    for N, T, I, H, O, B in CASES:  # noqa: E741
        x, y = numbers(N, T, I), numbers(N, O)
        for dtype in ("float32", "float64"):
            for optimizer in ("sgd", "adam"):
                found = set()
                for threads in (1, 3):
                    model = crnn.RNN(I, H, O, dtype=dtype, seed=7)
                    history = crnn.Trainer(
                        epochs=2,
                        batch_size=B,
                        optimizer=optimizer,
                        learning_rate=2**-7,
                        clip_value=0.25,
                        seed=3,
                        threads=threads,
                    ).fit(model, x, y)
                    weights = b"".join(
                        value.astype(value.dtype.newbyteorder("<")).tobytes()
                        for _, value in sorted(model.parameters().items())
                    )
                    predicted = model.predict(x, threads=threads)
                    predicted = predicted.astype(predicted.dtype.newbyteorder("<"))
                    losses = np.array(history.loss, dtype="<f8").tobytes()
                    found.add(weights + losses + predicted.tobytes())
                assert len(found) == 1, "the number of threads changed the result"
                digest.update(found.pop())
    print(f"weights {crnn.cpu_info()['isa']} {digest.hexdigest()}")


if __name__ == "__main__":
    main()
