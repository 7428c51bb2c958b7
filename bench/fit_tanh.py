"""Fit the coefficients of crnn/_kernels/tanh.h: `python bench/fit_tanh.py` (needs mpmath).

Both types use tanh(r) = r + r^3 q(r^2) on |r| <= 0.264, with a leading coefficient of exactly 1.
Remez exchange in 50 digits minimises the largest relative error over q's coefficients. They are
then rounded to the type.
"""

import struct
from itertools import pairwise

import mpmath as mp  # type: ignore[import-untyped]

LARGEST = mp.mpf("0.264")  # slightly more than ln2 / 4 + 0.09


def fit(terms: int, grid: int = 2000) -> tuple[list[mp.mpf], mp.mpf]:
    """Coefficients of q, lowest first, and their relative error."""
    zs = [(LARGEST * i / grid) ** 2 for i in range(1, grid + 1)]
    tanh = [mp.tanh(mp.sqrt(z)) for z in zs]
    # (r + r^3 q) / tanh(r) - 1 = sum_i c_i basis_i - target
    basis = [
        [mp.sqrt(z) * z ** (i + 1) / t for i in range(terms)] for z, t in zip(zs, tanh, strict=True)
    ]
    target = [1 - mp.sqrt(z) / t for z, t in zip(zs, tanh, strict=True)]
    at = [round(grid * mp.sin(mp.pi * (2 * i + 1) / (4 * terms + 4))) - 1 for i in range(terms + 1)]
    while True:
        rows = [[*basis[j], (-1) ** i] for i, j in enumerate(at)]
        *c, _ = mp.lu_solve(mp.matrix(rows), mp.matrix([target[j] for j in at]))
        error = [mp.fdot(c, b) - t for b, t in zip(basis, target, strict=True)]
        signs = [0] + [j for j in range(1, grid) if error[j] * error[j - 1] < 0] + [grid]
        peaks = [max(range(a, b), key=lambda j: abs(error[j])) for a, b in pairwise(signs)]
        if peaks == at:
            return c, abs(error[at[0]])
        at = peaks


if __name__ == "__main__":
    mp.mp.dps = 50
    for name, terms, bits in (("float32", 3, 24), ("float64", 7, 53)):
        c, error = fit(terms)
        print(f"{name}: relative error {mp.nstr(error * 2**bits, 3)} * 2^-{bits}")
        for x in c:
            rounded = struct.unpack("f", struct.pack("f", x))[0] if bits == 24 else float(x)
            print("   ", rounded.hex())
