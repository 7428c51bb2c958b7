"""Sequences of different lengths: their rows, views instead of copies, errors."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import Array

from crnn import dataset
from crnn.dataset import Sequences

# Every dtype that values may have, with the other byte order and float128.
DTYPES = ["i1", "u1", "<i2", ">i4", "<i8", "<u8", "<f2", "<f4", ">f4", "<f8", ">f8", "g"]
STEPS = st.sampled_from([-3, -2, -1, 1, 2, 3])

unchecked: Any = dataset  # for calls that the annotations forbid


def three() -> Sequences:
    """Sequences of 2, 4 and 1 rows of two features; the last two overlap."""
    return Sequences(np.arange(12.0).reshape(6, 2), [0, 1, 4], [2, 4, 1])


@st.composite
def arrays(draw: st.DrawFn, axes: int) -> Array:
    """An array with sizes of one to five along each axis, with any strides."""
    steps = [draw(STEPS) for _ in range(axes)]
    shape = tuple(draw(st.integers(1, 5)) * abs(step) for step in steps)
    memory = (np.arange(np.prod(shape)) % 100).astype(draw(st.sampled_from(DTYPES)))
    order = draw(st.permutations(range(axes)))
    whole = memory.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
    return whole[tuple(slice(None, None, step) for step in steps)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, list[int], list[int]]:
    """values, starts and lengths."""
    values = draw(arrays(draw(st.integers(1, 2))))
    starts = draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=6))
    return values, starts, [draw(st.integers(1, len(values) - start)) for start in starts]


def assert_holds(sequences: Sequences, expected: list[Array]) -> None:
    """Equal sequences in the same order: shape, dtype and numbers."""
    assert len(sequences) == len(expected)
    for index, (sequence, wanted) in enumerate(zip(sequences, expected, strict=True)):
        assert sequence.shape == wanted.shape
        assert sequence.dtype == wanted.dtype
        assert (sequence == wanted).all()
        assert (sequences[index] == wanted).all()
        assert (sequences[index - len(expected)] == wanted).all()
        assert np.shares_memory(sequence, sequences.values)


def bounds(array: Array) -> tuple[int, int]:
    """The addresses of an array's first byte and of the byte after its last."""
    first = array.__array_interface__["data"][0]
    reach = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    return first + sum(min(r, 0) for r in reach), (
        first + sum(max(r, 0) for r in reach) + array.itemsize
    )


# ---- construction ----


@given(cases())
def test_each_sequence_is_a_view_of_its_rows(case: tuple[Array, list[int], list[int]]) -> None:
    values, starts, lengths = case
    sequences = Sequences(values, starts, lengths)
    assert_holds(sequences, [values[s : s + n] for s, n in zip(starts, lengths, strict=True)])
    assert np.shares_memory(sequences.values, values)
    assert sequences.values.strides == values.strides
    assert sequences.values.dtype == values.dtype
    for array, given_ in ((sequences.starts, starts), (sequences.lengths, lengths)):
        assert array.dtype == np.int64
        assert array.tolist() == given_
        assert not array.flags.writeable


def test_later_changes_of_starts_and_lengths_have_no_effect() -> None:
    starts, lengths = np.array([0, 3]), np.array([3, 2])
    sequences = Sequences(np.arange(5), starts, lengths)
    starts[1] = lengths[1] = 4
    assert sequences[1].tolist() == [3, 4]


def test_later_changes_of_values_show() -> None:
    values = np.zeros(5)
    sequences = Sequences(values, [0, 2], [3, 3])
    values[2] = 7
    assert [sequence.tolist() for sequence in sequences] == [[0, 0, 7], [7, 0, 0]]


@pytest.mark.parametrize("dtype", ["i1", "u2", ">i4", "<u8"])
def test_starts_and_lengths_of_any_integer_type(dtype: str) -> None:
    sequences = Sequences(range(5), np.array([0, 3], dtype), np.array([3, 2], dtype))
    assert [sequence.tolist() for sequence in sequences] == [[0, 1, 2], [3, 4]]


def test_values_that_cannot_be_written_give_sequences_that_cannot() -> None:
    values = np.zeros(4)
    values.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        Sequences(values, [0], [4])[0][0] = 1


def test_attributes_cannot_be_set() -> None:
    sequences: Any = three()
    for name in ("values", "starts", "lengths", "length"):
        with pytest.raises(AttributeError):
            setattr(sequences, name, np.zeros(3))


V = np.zeros((6, 2))


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, r"values .*\(\)", (np.float64(1), [0], [1])),
        (ValueError, r"values .*\(1, 2, 3\)", (np.zeros((1, 2, 3)), [0], [1])),
        (ValueError, r"values .*\(6, 0\)", (V[:, :0], [0], [1])),
        (ValueError, r"values\b", ([[1, 2], [3]], [0], [1])),
        (TypeError, r"values .*bool", (V > 0, [0], [1])),
        (TypeError, r"values .*complex", (V.astype(complex), [0], [1])),
        (TypeError, r"values .*object", (V.astype(object), [0], [1])),
        (TypeError, r"values .*U", (V.astype(str), [0], [1])),
        (TypeError, r"values .*datetime", (V.astype("M8[s]"), [0], [1])),
        (TypeError, r"values .*mask", (np.ma.array(V), [0], [1])),
        (TypeError, r"values\b", (None, [0], [1])),
        (TypeError, r"values\b", (three(), [0], [1])),
        (ValueError, r"starts .*\(\)", (V, 0, [1])),
        (ValueError, r"starts .*\(1, 1\)", (V, [[0]], [1])),
        (ValueError, r"starts .*\(0,\)", (V, [], [])),
        (TypeError, r"starts .*float64", (V, [0.0], [1])),
        (TypeError, r"starts .*bool", (V, [False], [1])),
        (TypeError, r"starts .*object", (V, [None], [1])),
        (TypeError, r"starts .*timedelta", (V, np.zeros(1, "m8[s]"), [1])),
        (TypeError, r"starts .*mask", (V, np.ma.array([0]), [1])),
        (ValueError, r"starts .*18446744073709551615", (V, [2**64 - 1], [1])),
        (ValueError, r"lengths .*\(0,\)", (V, [0], [])),
        (TypeError, r"lengths .*float64", (V, [0], [2.0])),
        (TypeError, r"lengths .*bool", (V, [0], [True])),
        (TypeError, r"lengths .*mask", (V, [0], np.ma.array([1]))),
        (ValueError, r"lengths .*\b2\b.*\b3\b", (V, [0, 1], [1, 1, 1])),
        (ValueError, r"lengths .*\b0\b.*sample 1$", (V, [0, 1, 2], [1, 0, 0])),
        (ValueError, r"lengths .*-3\b.*sample 0$", (V, [0, 1], [-3, 1])),
        (ValueError, r"starts .*-1\b.*sample 2$", (V, [0, 1, -1], [1, 1, 1])),
        (ValueError, r"starts \+ lengths .*\b6\b.*\b7\b.*sample 1$", (V, [0, 5], [6, 2])),
        (ValueError, r"starts \+ lengths .*sample 0$", (V, [6], [1])),
        (ValueError, r"starts \+ lengths .*sample 0$", (V[:0], [0], [1])),
        # the sum of the two overflows int64
        (ValueError, r"starts \+ lengths .*sample 1$", (V, [0, 2**63 - 1], [1, 2**63 - 1])),
    ],
)
def test_bad_arguments_are_named(
    error: type[Exception], message: str, arguments: tuple[object, ...]
) -> None:
    with pytest.raises(error, match="^" + message):
        unchecked.Sequences(*arguments)


# ---- indexing ----


@given(cases(), st.data())
def test_parts_are_those_of_a_list(
    case: tuple[Array, list[int], list[int]], data: st.DataObject
) -> None:
    values, starts, lengths = case
    sequences = Sequences(values, starts, lengths)
    n = len(starts)
    plain = list(sequences)
    part = data.draw(st.slices(n).filter(lambda part: len(range(n)[part]) > 0))
    order = data.draw(st.lists(st.integers(-n, n - 1), min_size=1))
    mask = data.draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(any))
    kept = [sequence for sequence, keep in zip(plain, mask, strict=True) if keep]
    for index, expected in (
        (part, plain[part]),
        (order, [plain[i] for i in order]),
        (np.array(order, ">i2"), [plain[i] for i in order]),
        (mask, kept),
        (np.array(mask), kept),
    ):
        chosen = sequences[index]
        assert isinstance(chosen, Sequences)
        assert chosen.values is sequences.values
        assert_holds(chosen, expected)


def test_an_integer_of_any_type_is_an_index() -> None:
    for index in (1, -2, np.int8(1), np.uint64(1), np.array(1)):
        assert three()[index].shape == (4, 2)


@pytest.mark.parametrize(
    ("error", "index"),
    [
        (IndexError, 3),
        (IndexError, -4),
        (IndexError, [0, 3]),
        (IndexError, np.array([-4])),
        (IndexError, [True, False]),
        (IndexError, [[0], [1]]),
        (TypeError, True),
        (TypeError, np.True_),
        (TypeError, np.array(True)),
        (TypeError, 1.0),
        (TypeError, [0.0]),
        (TypeError, "0"),
        (TypeError, None),
        (TypeError, ...),
        (TypeError, (0, 1)),
        (TypeError, np.ma.array([0])),
        (ValueError, slice(3, None)),
        (ValueError, []),
        (ValueError, [False, False, False]),
    ],
)
def test_bad_indices(error: type[Exception], index: Any) -> None:
    with pytest.raises(error, match=r"\w"):
        three()[index]


# ---- conversions ----


@st.composite
def lists(draw: st.DrawFn) -> list[Array]:
    """One to five arrays of one rank and feature count, of different dtypes and strides."""
    features = draw(st.sampled_from([(), (1,), (3,)]))
    return [
        draw(arrays(1))[(...,) + (None,) * len(features)] * np.ones(features, "i1")
        for _ in range(draw(st.integers(1, 5)))
    ]


@given(lists(), st.sampled_from([list, tuple, iter]))
def test_from_list_copies_once(parts: list[Array], container: Callable[[Any], Any]) -> None:
    sequences = Sequences.from_list(container(parts))
    dtype = np.result_type(*parts)
    assert_holds(sequences, [part.astype(dtype) for part in parts])
    assert sequences.values.shape == (sum(map(len, parts)), *parts[0].shape[1:])
    assert sequences.values.flags.c_contiguous
    assert not any(np.shares_memory(sequences.values, part) for part in parts)


def test_from_list_of_lists() -> None:
    sequences = Sequences.from_list([[1, 2, 3], [4], [5, 6]])
    assert sequences.values.tolist() == [1, 2, 3, 4, 5, 6]
    assert sequences.values.dtype.kind == "i"  # tokens stay integers
    assert sequences.starts.tolist() == [0, 3, 4]
    assert sequences.lengths.tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    ("error", "message", "parts"),
    [
        (ValueError, r"arrays\b", []),
        (TypeError, r"arrays\b", 5),
        (TypeError, r"arrays\b", None),
        (ValueError, r"arrays\[0\] .*\(\)", [1, 2]),
        (ValueError, r"arrays\[1\] .*\(1, 1, 1\)", [[[1]], [[[1]]]]),
        (ValueError, r"arrays\[1\] .*\(0,\)", [[1], []]),
        (ValueError, r"arrays\[1\] .*\(0, 2\)", [V, V[:0]]),
        (ValueError, r"arrays\[0\] .*\(6, 0\)", [V[:, :0]]),
        (ValueError, r"arrays\[2\] .*\(6, 1\).*\(6, 2\)", [V, V, V[:, :1]]),
        (ValueError, r"arrays\[1\] .*\(6,\).*\(6, 1\)", [V[:, :1], V[:, 0]]),
        (ValueError, r"arrays\[1\]", [V, [[1, 2], [3]]]),
        (TypeError, r"arrays\[0\]", ["abc"]),
        (TypeError, r"arrays\[1\] .*bool", [V, V > 0]),
        (TypeError, r"arrays\[1\] .*complex", [V, V.astype(complex)]),
        (TypeError, r"arrays\[1\] .*mask", [V, np.ma.array(V)]),
    ],
)
def test_from_list_names_the_array(error: type[Exception], message: str, parts: object) -> None:
    with pytest.raises(error, match="^" + message):
        unchecked.Sequences.from_list(parts)


@given(st.integers(2, 3).flatmap(arrays), st.data())
def test_from_padded_reads_up_to_the_lengths(x: Array, data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(1, x.shape[1]), min_size=len(x), max_size=len(x)))
    sequences = Sequences.from_padded(x, lengths)
    assert_holds(sequences, [row[:length] for row, length in zip(x, lengths, strict=True)])
    assert sequences.values.ndim == x.ndim - 1


X = np.arange(120.0).reshape(4, 10, 3)
SERIES = np.arange(40.0).reshape(20, 2)
CAN_BE_VIEWED: dict[str, Array] = {
    "C order": X,
    "one feature": X[:, :, 0],
    "some features": X[:, :, 2:0:-1],
    "fewer timesteps": X[:, :7],
    "the last timesteps": X[:, 3:],
    "every second sample": X[::2],
    "samples backwards": X[::-1, :8],
    "time backwards": X[:, ::-1],
    "both backwards": X[::-1, ::-1],
    "every fifth timestep": X[:, ::5],
    "one sample": X[2:3, ::3],
    "one timestep": X[:, 3:4],
    "one timestep, time first": X.transpose(1, 0, 2)[:, 1:2],
    "one sample at every place": np.broadcast_to(X[:1], X.shape),
    "windows": dataset.windows(SERIES, 5, stride=2)[0],
    "big-endian": X.astype(">f4"),
    "read only": np.frombuffer(X.tobytes()).reshape(X.shape),
    "unaligned": np.frombuffer(b"\0" + X.tobytes(), offset=1).reshape(X.shape),
}
MUST_BE_COPIED: dict[str, Array] = {
    "time first": np.zeros((10, 4, 3)).transpose(1, 0, 2),
    "Fortran order": np.asfortranarray(X),
    "every third timestep": X[:, ::3],
    "one timestep at every place": np.broadcast_to(X[:, :1], X.shape),
}


@pytest.mark.parametrize("name", CAN_BE_VIEWED)
def test_from_padded_is_a_view(name: str) -> None:
    x = CAN_BE_VIEWED[name]
    lengths = 1 + np.arange(len(x)) % x.shape[1]
    sequences = Sequences.from_padded(x, lengths)
    assert np.shares_memory(sequences.values, x)
    assert_holds(sequences, [row[:length] for row, length in zip(x, lengths, strict=True)])
    assert sequences.values.flags.writeable is x.flags.writeable
    # all within the memory from the first to the last element of x
    (low, high), (lowest, highest) = bounds(x), bounds(sequences.values)
    assert low <= lowest < highest <= high


def test_from_padded_of_one_timestep_has_a_row_for_each_sample() -> None:
    assert Sequences.from_padded(X[:, 3:4], [1] * 4).values.tolist() == X[:, 3].tolist()


@pytest.mark.parametrize("name", MUST_BE_COPIED)
def test_from_padded_copies_what_has_no_single_row_stride(name: str) -> None:
    x = MUST_BE_COPIED[name]
    lengths = 1 + np.arange(len(x))
    sequences = Sequences.from_padded(x, lengths)
    assert not np.shares_memory(sequences.values, x)
    assert sequences.values.shape == (x.shape[0] * x.shape[1], *x.shape[2:])
    assert_holds(sequences, [row[:length] for row, length in zip(x, lengths, strict=True)])


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, r"x .*\(\)", (np.float64(1), [1])),
        (ValueError, r"x .*\(4,\)", (X[:, 0, 0], [1] * 4)),
        (ValueError, r"x .*\(4, 10, 3, 1\)", (X[..., np.newaxis], [1] * 4)),
        (ValueError, r"x .*\(0, 10, 3\)", (X[:0], [])),
        (ValueError, r"x .*\(4, 0, 3\)", (X[:, :0], [1] * 4)),
        (ValueError, r"x .*\(4, 10, 0\)", (X[:, :, :0], [1] * 4)),
        (TypeError, r"x .*bool", (X > 0, [1] * 4)),
        (TypeError, r"x .*mask", (np.ma.array(X), [1] * 4)),
        (ValueError, r"lengths .*\b4\b.*\b3\b", (X, [1] * 3)),
        (ValueError, r"lengths .*\b10\b.*\b11\b.*sample 2$", (X, [1, 10, 11, 12])),
        (ValueError, r"lengths .*\b0\b.*sample 3$", (X, [1, 10, 1, 0])),
        (ValueError, r"lengths\b", (X, 5)),
        (TypeError, r"lengths .*float64", (X, [1.0] * 4)),
        (TypeError, r"lengths .*bool", (X, [True] * 4)),
        (TypeError, r"lengths .*mask", (X, np.ma.array([1] * 4))),
    ],
)
def test_from_padded_names_what_is_wrong(
    error: type[Exception], message: str, arguments: tuple[object, ...]
) -> None:
    with pytest.raises(error, match="^" + message):
        unchecked.Sequences.from_padded(*arguments)


@given(cases(), st.integers(0, 100))
def test_padded_and_its_inverse(case: tuple[Array, list[int], list[int]], fill: int) -> None:
    values, starts, lengths = case
    sequences = Sequences(values, starts, lengths)
    padded = sequences.padded(fill)
    assert padded.shape == (len(starts), max(lengths), *values.shape[1:])
    assert padded.dtype == values.dtype
    assert not np.shares_memory(padded, values)
    for row, sequence in zip(padded, sequences, strict=True):
        assert (row[len(sequence) :] == fill).all()
    assert_holds(Sequences.from_padded(padded, lengths), list(sequences))


def test_padded_by_hand() -> None:
    tokens = Sequences.from_list([[1, 2, 3], [4]])
    assert tokens.padded().tolist() == [[1, 2, 3], [4, 0, 0]]
    assert tokens.padded(-1).tolist() == [[1, 2, 3], [4, -1, -1]]
    assert tokens.padded(2.0).tolist() == [[1, 2, 3], [4, 2, 2]]
    assert np.isnan(three().padded(np.nan)[2, 1:]).all()
    assert np.isinf(three().padded(-np.inf)[2, 1:]).all()


@pytest.mark.parametrize(
    ("error", "dtype", "fill"),
    [
        (ValueError, "i1", 128),
        (ValueError, "u1", -1),
        (ValueError, "i8", 0.5),
        (ValueError, "i8", np.nan),
        (ValueError, "i8", np.inf),
        (ValueError, "f4", 1e300),
        (ValueError, "f8", 10**400),
        (TypeError, "f8", "0"),
        (TypeError, "f8", None),
        (TypeError, "f8", True),
        (TypeError, "f8", 1j),
        (TypeError, "f8", [0.0]),
    ],
)
def test_fill_must_fit_the_dtype(error: type[Exception], dtype: str, fill: Any) -> None:
    with pytest.raises(error, match=r"^fill\b"):
        Sequences(np.zeros(3, dtype), [0, 1], [1, 2]).padded(fill)


@pytest.mark.parametrize(
    "again",
    [*(lambda s, p=p: pickle.loads(pickle.dumps(s, p)) for p in range(6)), copy.deepcopy],
)
def test_a_copy_holds_the_same(again: Callable[[Sequences], Sequences]) -> None:
    sequences = three()[1:]
    other = again(sequences)
    assert_holds(other, list(sequences))
    assert not np.shares_memory(other.values, sequences.values)
    assert not other.starts.flags.writeable
    assert not other.lengths.flags.writeable


def test_repr_tells_count_lengths_and_values() -> None:
    assert repr(three()) == "Sequences(3 sequences of 1 to 4 steps, values float64 (6, 2))"
    assert repr(three()[:1]) == "Sequences(1 sequence of 2 steps, values float64 (6, 2))"
    one = Sequences(np.array([1], "i2"), [0], [1])
    assert repr(one) == "Sequences(1 sequence of 1 step, values int16 (1,))"


def test_numpy_does_not_convert_them_to_an_array() -> None:
    # it would convert number by number in Python, and fail if lengths differ
    for sequences in (three(), three()[:1]):
        with pytest.raises(TypeError, match="padded"):
            np.asarray(sequences)
