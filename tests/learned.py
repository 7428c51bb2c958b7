"""The data of the learned tasks: an embedded Reber grammar, temporal XOR, Japanese vowels.

N samples, T timesteps of the longest. A task with lengths is padded: past a length, x is 0, and y
is -1 if it holds a class for every step.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from crnn.dataset import Sequences

Array = np.ndarray[Any, np.dtype[Any]]

REBER_SYMBOLS = "BTSXPVE"
# For each state: the possible symbols, and the state after each. The last state is the end.
# A. S. Reber, "Implicit learning of artificial grammars", 1967.
REBER_GRAMMAR: list[dict[str, int]] = [
    {"B": 1},
    {"T": 2, "P": 3},
    {"S": 2, "X": 4},
    {"T": 3, "V": 5},
    {"X": 3, "S": 6},
    {"P": 4, "V": 6},
    {"E": 7},
    {},
]


def _embedded_grammar() -> list[dict[str, int]]:
    """B, then T or P, a string of the Reber grammar, the same T or P again, and E."""
    grammar: list[dict[str, int]] = [{"B": 1}, {}]
    ends = []
    for symbol in "TP":
        first = len(grammar)
        grammar[1][symbol] = first
        grammar += [
            {name: first + state for name, state in edges.items()} for edges in REBER_GRAMMAR
        ]
        ends.append((symbol, len(grammar) - 1))
    last = len(grammar)
    for symbol, end in ends:
        grammar[end][symbol] = last
    return [*grammar, {"E": last + 1}, {}]


EMBEDDED_GRAMMAR = _embedded_grammar()


def embedded_reber(samples: int, *, seed: int | None = None) -> tuple[Array, Array, Array]:
    """Strings of the embedded Reber grammar, and the symbol after each symbol.

    A string is B, then T or P, then a string of the Reber grammar, then the same T or P as before,
    then E. If two symbols are possible, each has probability 1/2. The symbol before E depends on
    the second symbol, 6 or more steps before. The others depend only on the grammar's state.

    x (N, T) holds the tokens of each string without its E, y (N, T) those of each string without
    its B, lengths (N,) how many. Tokens are positions in `REBER_SYMBOLS`. Past a length, x is 0 and
    y is -1.

    S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997),
    experiment 1.
    """
    rng = np.random.default_rng(seed)
    strings = []
    for _ in range(samples):
        string, state = [], 0
        while edges := EMBEDDED_GRAMMAR[state]:
            symbol = list(edges)[rng.integers(len(edges))]
            string.append(REBER_SYMBOLS.index(symbol))
            state = edges[symbol]
        strings.append(string)
    x = Sequences.from_list([string[:-1] for string in strings])
    y = Sequences.from_list([string[1:] for string in strings])
    return x.padded(), y.padded(-1), x.lengths


def legal_symbols(x: Array, lengths: Array) -> Array:
    """Which symbols the grammar allows after each token of `embedded_reber`'s x: bool (N, T, 7).

    All False past a length.
    """
    legal = np.zeros((*x.shape, len(REBER_SYMBOLS)), dtype=bool)
    for n, length in enumerate(lengths):
        state = 0
        for t in range(length):
            state = EMBEDDED_GRAMMAR[state][REBER_SYMBOLS[x[n, t]]]
            for symbol in EMBEDDED_GRAMMAR[state]:
                legal[n, t, REBER_SYMBOLS.index(symbol)] = True
    return legal


def temporal_xor(samples: int, triples: int, *, seed: int | None = None) -> tuple[Array, Array]:
    """Bits, every third the exclusive or of the two before it, and the next bit at each step.

    ::

        b_{3k}, b_{3k+1} random,  b_{3k+2} = b_{3k} xor b_{3k+1}
        x_t = b_t,  y_t = b_{t+1},  t < 3 triples

    x and y are float64 of shape (N, 3 triples, 1) and hold 0 and 1. x determines only every third
    step of y: ``y[:, 1::3]``. The rest is noise, which no network can learn.

    J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990), section 2.
    """
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (samples, triples + 1, 3))
    bits[:, :, 2] = bits[:, :, 0] ^ bits[:, :, 1]
    series = bits.reshape(samples, -1, 1).astype(np.float64)
    return series[:, : 3 * triples], series[:, 1 : 3 * triples + 1]


def japanese_vowels(part: str) -> tuple[Array, Array, Array]:
    """Utterances of /ae/ and which of nine speakers spoke. `part`: "TRAIN" (270) or "TEST" (370).

    x (N, T, 12) float64 is 12 LPC cepstrum coefficients at each step, 0 past a length; y (N,) the
    speaker, 0 to 8; lengths (N,) from 7 to 29.

    The files are in the package sktime, which is not imported: ``pip install --no-deps sktime`` is
    enough. Raises FileNotFoundError without it.

    M. Kudo, J. Toyama and M. Shimbo, "Multidimensional curve classification using passing-through
    regions", Pattern Recognition Letters 20 (1999), 1103-1111.
    https://archive.ics.uci.edu/dataset/128/japanese+vowels
    """
    package = importlib.util.find_spec("sktime")
    if package is None or package.origin is None:
        raise FileNotFoundError("Japanese vowels are in sktime: pip install --no-deps sktime")
    folder = Path(package.origin).parent / "datasets" / "data" / "JapaneseVowels"
    text = (folder / f"JapaneseVowels_{part}.ts").read_text(encoding="utf-8")
    # A line is one utterance: its 12 features, each a list of numbers over time, and the speaker.
    *_, data = text.partition("@data\n")
    utterances, speakers = [], []
    for line in data.splitlines():
        *features, speaker = line.split(":")
        utterances.append(np.array([feature.split(",") for feature in features], np.float64).T)
        speakers.append(int(speaker) - 1)
    x = Sequences.from_list(utterances)
    return x.padded(), np.array(speakers), x.lengths
