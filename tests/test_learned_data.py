"""The data of the learned tasks agree with their papers."""

from __future__ import annotations

import re

import numpy as np
import pytest
from learned import REBER_SYMBOLS, embedded_reber, japanese_vowels, legal_symbols, temporal_xor
from samples import Array
from tolerances import COIN

# The Reber grammar as a regular expression. Both branches can have the same end.
END = "(?:XT*VP)*(?:S|XT*VV)"
REBER = f"B(?:TS*X{END}|PT*V(?:V|P{END}))E"


def strings(x: Array, y: Array, lengths: Array) -> list[str]:
    """The whole strings: the tokens of x and the last token of y."""
    return [
        "".join(REBER_SYMBOLS[token] for token in (*row[:length], answers[length - 1]))
        for row, answers, length in zip(x, y, lengths, strict=True)
    ]


def test_strings_are_of_the_embedded_reber_grammar() -> None:
    x, y, lengths = embedded_reber(2000, seed=0)
    drawn = strings(x, y, lengths)
    for string in drawn:
        assert re.fullmatch(rf"B([TP]){REBER}\1E", string), string
    assert min(map(len, drawn)) == 9
    # the four shortest strings: four choices between two symbols each
    for inner in ("BTXSE", "BPVVE"):
        for outer in "TP":
            share = drawn.count(f"B{outer}{inner}{outer}E") / 2000
            assert share == pytest.approx(1 / 16, abs=COIN)


def test_reber_targets_are_the_next_symbols() -> None:
    x, y, lengths = embedded_reber(50, seed=1)
    assert x.shape == y.shape == (50, lengths.max())
    for row, answers, length in zip(x, y, lengths, strict=True):
        assert (answers[: length - 1] == row[1:length]).all()
        assert (row[length:] == 0).all()
        assert (answers[length:] == -1).all()


def test_legal_symbols_are_those_that_follow_somewhere() -> None:
    x, y, lengths = embedded_reber(3000, seed=2)
    legal = legal_symbols(x, lengths)
    inside = np.arange(x.shape[1]) < lengths[:, np.newaxis]
    assert np.take_along_axis(legal[inside], y[inside][:, np.newaxis], axis=1).all()
    assert set(legal[inside].sum(axis=1)) == {1, 2}
    assert not legal[~inside].any()
    # exactly the symbols that were seen after the same start are legal
    followers: dict[str, set[str]] = {}
    whole = strings(x, y, lengths)
    for string in whole:
        for t in range(1, 7):
            followers.setdefault(string[:t], set()).add(string[t])
    for n, string in enumerate(whole):
        for t in range(1, 4):
            expected = {REBER_SYMBOLS[s] for s in np.flatnonzero(legal[n, t - 1])}
            assert followers[string[:t]] == expected
        # the second symbol is repeated before the last E
        assert np.flatnonzero(legal[n, lengths[n] - 2]).tolist() == [x[n, 1]]


def test_temporal_xor_by_its_definition() -> None:
    x, y = temporal_xor(1000, 10, seed=0)
    assert x.shape == y.shape == (1000, 30, 1)
    assert (y[:, :-1] == x[:, 1:]).all()
    assert (y[:, 1::3] == (x[:, 0::3] != x[:, 1::3])).all()
    assert set(np.unique(x)) == {0.0, 1.0}
    for t in range(30):  # one bit alone gives no information
        assert y[:, t].mean() == pytest.approx(0.5, abs=4 * COIN)
        assert (y[:, t] == x[:, t]).mean() == pytest.approx(0.5, abs=4 * COIN)


@pytest.mark.parametrize(("part", "count"), [("TRAIN", 270), ("TEST", 370)])
def test_japanese_vowels(part: str, count: int) -> None:
    try:
        x, y, lengths = japanese_vowels(part)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    longest = {"TRAIN": 26, "TEST": 29}[part]
    assert x.shape == (count, longest, 12)
    assert (lengths.min(), lengths.max()) == (7, longest)
    # utterances of each speaker, from the archive's page
    each = {"TRAIN": [30] * 9, "TEST": [31, 35, 88, 44, 29, 24, 40, 50, 29]}[part]
    assert np.bincount(y).tolist() == each
    for row, length in zip(x, lengths, strict=True):
        assert row[:length].any(axis=1).all()
        assert not row[length:].any()


def test_japanese_vowels_start_as_the_archive_does() -> None:
    try:
        x, y, lengths = japanese_vowels("TRAIN")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    # the first line of the archive's ae.train
    assert x[0, 0, :4].tolist() == [1.860936, -0.207383, 0.261557, -0.214562]
    assert (lengths[0], y[0], y[-1]) == (20, 0, 8)
