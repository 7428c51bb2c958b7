"""Fit crnn/_kernels/exponential.h: `python bench/fit_exponential.py` (needs mpmath).

exp(r) = 1 + r + r^2 q(r) on |r| <= 0.3467, slightly more than ln2/2. The error is relative to
exp(r). log(1 + f) = f - s (f - s^2 p(s^2)) with s = f / (2 + f), for 1 + f between sqrt(1/2) and
sqrt(2), with a small margin. The error is relative to log(1 + f). Remez exchange in 50 digits
minimises the largest error over the coefficients of q and p. They are then rounded to the type.
"""

import struct
from collections.abc import Sequence
from itertools import pairwise

import mpmath as mp  # type: ignore[import-untyped]


def exp_basis(count: int, grid: int) -> tuple[list[list[mp.mpf]], list[mp.mpf]]:
    """Rows (r^2, r^3, ...) / exp(r), and the required sum of each, for r in order."""
    largest = mp.mpf("0.3467")
    rs = [largest * (2 * mp.mpf(i) / grid - 1) for i in range(grid + 1)]  # never 0: grid is odd
    rows = [[r ** (i + 2) / mp.exp(r) for i in range(count)] for r in rs]
    return rows, [1 - (1 + r) / mp.exp(r) for r in rs]


def log_basis(count: int, grid: int) -> tuple[list[list[mp.mpf]], list[mp.mpf]]:
    """Rows (s^3, s^5, ...) / log(1 + f) = s^2 (1, s^2, ...) / (2 atanh(s) / s), s in order.

    Both sides are even in s, so s > 0 is enough.
    """
    largest = mp.mpf("0.1717")  # slightly more than (sqrt(2) - 1) / (sqrt(2) + 1)
    ss = [largest * i / grid for i in range(1, grid + 1)]
    rows = [[s ** (2 * i + 3) / (2 * mp.atanh(s)) for i in range(count)] for s in ss]
    return rows, [1 - s / mp.atanh(s) for s in ss]


def remez(
    rows: Sequence[Sequence[mp.mpf]], target: Sequence[mp.mpf]
) -> tuple[list[mp.mpf], mp.mpf]:
    """The coefficients whose largest error |rows c - target| is smallest, and this error."""
    terms, grid = len(rows[0]), len(rows)
    nodes = [mp.cos(mp.pi * (i + 0.5) / (terms + 1)) for i in range(terms + 1)]
    at = [round((grid - 1) * (1 - node) / 2) for node in nodes]
    while True:
        system = [[*rows[j], (-1) ** i] for i, j in enumerate(at)]
        *c, _ = mp.lu_solve(mp.matrix(system), mp.matrix([target[j] for j in at]))
        error = [mp.fdot(c, row) - t for row, t in zip(rows, target, strict=True)]
        signs = [0] + [j for j in range(1, grid) if error[j] * error[j - 1] < 0] + [grid]
        peaks = [max(range(a, b), key=lambda j: abs(error[j])) for a, b in pairwise(signs)]
        if peaks == at:
            return c, abs(error[at[0]])
        at = peaks


if __name__ == "__main__":
    mp.mp.dps = 50
    for name, basis, sizes in (("exp", exp_basis, (5, 10)), ("log", log_basis, (3, 7))):
        for count, bits in zip(sizes, (24, 53), strict=True):
            c, error = remez(*basis(count, 2001))
            kind = "float32" if bits == 24 else "float64"
            print(f"{name}, {kind}: {mp.nstr(error * 2**bits, 3)} * 2^-{bits}")
            for x in c:
                rounded = struct.unpack("f", struct.pack("f", x))[0] if bits == 24 else float(x)
                print("   ", rounded.hex())
