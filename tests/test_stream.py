"""Streams have the bits of predict, and rows of predict those of the row alone."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
from networks import network, same_bits
from samples import batch
from tolerances import FLOAT32, FLOAT64, relative_error

from crnn import RNN, Stream

pytestmark = pytest.mark.kernel

# One unit, near vectors of 2 to 16 lanes, near panels of 32 columns, and well above.
HIDDEN = [1, 2, 7, 15, 16, 17, 31, 32, 33, 100, 129]
DTYPES = ["float32", "float64"]


# ---- predict is batch-invariant ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (3, 2), (17, 5)])
def test_a_row_of_predict_has_the_bits_of_that_row_alone(
    hidden: int, inputs: int, outputs: int, dtype: str
) -> None:
    sizes = (29, 5, inputs, hidden, outputs)
    model, (x, _) = network(sizes, dtype), batch(sizes, dtype)
    whole = model.predict(x)
    for i in range(len(x)):
        assert same_bits(model.predict(x[i : i + 1]), whole[i : i + 1]), i


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", [1, 17, 33, 100])
def test_predict_does_not_depend_on_the_rows_beside(hidden: int, dtype: str) -> None:
    sizes = (700, 4, 2, hidden, 2)
    model, (x, _) = network(sizes, dtype), batch(sizes, dtype)
    whole = model.predict(x)
    # near tiles of 4 to 16 rows, near blocks of a power of two, and from the middle
    for start, rows in [(0, n) for n in (2, 3, 11, 12, 13, 63, 64, 65, 255, 257)] + [(5, 600)]:
        part = model.predict(x[start : start + rows])
        assert same_bits(part, whole[start : start + rows]), (start, rows)
    assert same_bits(model.predict(x[::-1]), whole[::-1].copy())


# ---- stepping ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (3, 2), (17, 5)])
@pytest.mark.parametrize("rows", [1, 2, 13])
def test_stepping_has_the_bits_of_predict(
    rows: int, hidden: int, inputs: int, outputs: int, dtype: str
) -> None:
    sizes = (rows, 6, inputs, hidden, outputs)
    model, (x, _) = network(sizes, dtype), batch(sizes, dtype)
    stream = model.stream(batch_size=rows)
    for t in range(6):
        y_t = stream.step(x[:, t])
        assert same_bits(np.asarray(y_t), model.predict(x[:, : t + 1])), t


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_state_is_the_references(dtype: str, bias: bool) -> None:
    sizes = (3, 7, 2, 20, 2)
    model, (x, _) = network(sizes, dtype, bias=bias), batch(sizes, dtype)
    states, _ = reference.forward(reference.double(model.parameters()), x.astype(float))
    stream = model.stream(3)
    assert isinstance(stream, Stream)
    for t in range(7):
        assert stream.state.shape == (3, 20)
        assert stream.state.dtype == np.dtype(dtype)
        bound = FLOAT32 if dtype == "float32" else FLOAT64
        assert relative_error(stream.state, states[t]) <= bound
        stream.step(x[:, t])


def test_a_stream_is_of_one_row_by_default() -> None:
    model, (x, _) = network((1, 4, 2, 9, 2)), batch((1, 4, 2, 9, 2))
    stream = model.stream()
    for t in range(4):
        y_t = stream.step(x[:, t])
    assert y_t.shape == (1, 2)
    assert same_bits(y_t, model.predict(x))


def test_steps_take_any_real_array() -> None:
    model = network((2, 1, 3, 9, 1), "float32")
    x_t = np.array([[1, -2, 3], [0, 4, -5]])
    expected = model.predict(x_t[:, np.newaxis].astype(np.float32))
    wide = np.zeros((4, 6))
    wide[::2, ::2] = x_t
    for given in (
        x_t,
        x_t.astype(np.int8),
        x_t.astype(np.float64),
        x_t.astype(np.float16),
        np.asfortranarray(x_t.astype(np.float32)),
        x_t.astype(">f4"),
        x_t.astype("<f8"),
        x_t[::-1].astype(np.float32)[::-1],
        wide[::2, ::2],
    ):
        stream = model.stream(2)
        assert same_bits(np.asarray(stream.step(given)), expected), given.dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inputs", [1, 3])
def test_a_batch_of_one_takes_a_vector_and_one_input_a_number(inputs: int, dtype: str) -> None:
    model = network((1, 2, inputs, 9, 2), dtype)
    x = np.array([[0.1, -2.0, 3.0], [1e-9, 4.0, 7e37]])[:, :inputs]
    expected = model.predict(x[np.newaxis])
    ways = [np.asarray, list, lambda x_t: np.repeat(x_t, 2)[::2], lambda x_t: x_t[np.newaxis]]
    ways += [unaligned]
    if inputs == 1:
        ways += [lambda x_t: x_t[0], lambda x_t: float(x_t[0]), lambda x_t: x_t.reshape(())]
    for way in ways:
        for given in (x, x.astype(np.float32).astype(np.float64)):
            stream, other = model.stream(), model.stream()
            for x_t in given:
                y_t = stream.step(way(x_t))
                narrow = other.step(way(x_t.astype(np.float32)))
            if given is x:
                assert same_bits(y_t, expected)
            else:
                assert same_bits(y_t, narrow)
    with pytest.raises(ValueError, match="x_t must hold finite numbers"):
        network((1, 1, 1, 9, 1), "float32").stream().step(np.array([1e39]))


def unaligned(x_t: Any) -> Any:
    packed = np.zeros(len(x_t), [("flag", "u1"), ("value", x_t.dtype)])
    packed["value"] = x_t
    return packed["value"]


def test_a_step_leaves_its_input_and_earlier_results_alone() -> None:
    model, (x, _) = network((2, 3, 2, 9, 2)), batch((2, 3, 2, 9, 2))
    before = x.copy()
    stream = model.stream(2)
    first = stream.step(x[:, 0])
    kept = first.copy()
    stream.step(x[:, 1])
    assert same_bits(x, before)
    assert same_bits(first, kept)


def test_streams_of_one_model_are_apart() -> None:
    model, (x, _) = network((2, 3, 2, 9, 2)), batch((2, 3, 2, 9, 2))
    one, other = model.stream(), model.stream()
    for t in range(3):
        y_one = one.step(x[:1, t])
        y_other = other.step(x[1:, t])
    assert same_bits(np.concatenate([y_one, y_other]), model.predict(x))


# ---- reset and state ----


def test_reset_starts_every_row_anew() -> None:
    model, (x, _) = network((3, 4, 2, 9, 2)), batch((3, 4, 2, 9, 2))
    stream = model.stream(3)
    stream.step(x[:, 3])
    stream.reset()
    assert not np.asarray(stream.state).any()
    for t in range(4):
        y_t = stream.step(x[:, t])
    assert same_bits(y_t, model.predict(x))


@pytest.mark.parametrize("rows", [[1], [0, 3], np.array([3, 0]), (2,), [0, 1, 2, 3], [], [1, 1]])
def test_reset_of_some_rows_leaves_the_others(rows: Any) -> None:
    model, (x, _) = network((4, 5, 2, 33, 2)), batch((4, 5, 2, 33, 2))
    stream = model.stream(4)
    for t in range(3):
        stream.step(x[:, t])
    before = np.array(stream.state)
    stream.reset(rows=rows)
    after = np.array(stream.state)
    for row in range(4):
        assert same_bits(after[row], np.zeros(33) if row in list(rows) else before[row]), row
    # a reset row continues as a new sequence, the others as if there was no reset
    for t in (3, 4):
        y_t = stream.step(x[:, t])
    for row in range(4):
        start = 3 if row in list(rows) else 0
        assert same_bits(y_t[row : row + 1], model.predict(x[row : row + 1, start:])), row


@pytest.mark.parametrize(
    "mask",
    [
        np.array([False, True, False, True]),
        [True, False, False, False],
        np.zeros(4, bool),
        np.ones(4, bool),
    ],
    ids=str,
)
def test_reset_takes_a_mask_of_rows(mask: Any) -> None:
    model, (x, _) = network((4, 3, 2, 33, 2)), batch((4, 3, 2, 33, 2))
    stream = model.stream(4)
    for t in range(3):
        stream.step(x[:, t])
    before = np.array(stream.state)
    stream.reset(mask)
    for row, reset in enumerate(mask):
        assert same_bits(stream.state[row], np.zeros(33) if reset else before[row]), row


@pytest.mark.parametrize("mask", [np.ones(3, bool), np.ones(5, bool), np.ones((4, 1), bool), True])
def test_a_mask_of_other_rows_is_refused_and_resets_nothing(mask: Any) -> None:
    stream = network((4, 1, 2, 5, 1)).stream(4)
    stream.step(np.ones((4, 2)))
    before = np.array(stream.state)
    with pytest.raises(ValueError, match="rows"):
        stream.reset(mask)
    assert same_bits(np.asarray(stream.state), before)


def test_a_state_can_be_taken_and_given_back() -> None:
    model, (x, _) = network((2, 6, 2, 33, 2), "float32"), batch((2, 6, 2, 33, 2), "float32")
    stream = model.stream(2)
    for t in range(3):
        stream.step(x[:, t])
    taken = stream.state
    kept = np.array(taken)
    expected = [np.array(stream.step(x[:, t])) for t in range(3, 6)]
    assert same_bits(
        np.asarray(taken), kept
    )  # a state that was read is a copy, which steps do not change
    other = model.stream(2)
    other.state = taken
    stream.state = taken
    taken[...] = 0.0  # and so is a state that was set
    for t in range(3, 6):
        assert same_bits(np.asarray(stream.step(x[:, t])), expected[t - 3])
        assert same_bits(np.asarray(other.step(x[:, t])), expected[t - 3])


@pytest.mark.parametrize("steps", [0, 2, 3])
def test_a_copy_goes_on_from_the_same_state_and_on_its_own(steps: int) -> None:
    model, (x, _) = network((2, 6, 2, 33, 2), "float32"), batch((2, 6, 2, 33, 2), "float32")
    stream = model.stream(2)
    for t in range(steps):
        stream.step(x[:, t])
    other = stream.copy()
    assert (type(other), other.batch_size) == (Stream, 2)
    assert same_bits(other.state, stream.state)
    kept = stream.state
    ahead = [other.step(x[:, t]) for t in range(steps, 6)]
    assert same_bits(stream.state, kept)
    model.parameters()["Wy"][:] = 0.0  # both keep the weights of their creation, not the model's
    for t in range(steps, 6):
        assert same_bits(stream.step(x[:, t]), ahead[t - steps]), t


WAYS: dict[str, Callable[[Stream], Stream]] = {
    "pickle": lambda stream: pickle.loads(pickle.dumps(stream)),
    "oldest pickle": lambda stream: pickle.loads(pickle.dumps(stream, protocol=0)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}

STREAMED: dict[str, RNN] = {
    "plain": RNN(2, 33, 2, seed=0),
    "float64 without bias": RNN(2, 5, 1, bias=False, dtype="float64", seed=0),
    "two layers, relu": RNN(2, 9, 3, num_layers=2, nonlinearity="relu", seed=0),
    "tokens": RNN(7, 8, 3, tokens=True, output="all", seed=0),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", STREAMED)
@pytest.mark.parametrize(("size", "steps"), [(1, 0), (1, 3), (4, 2)])
def test_pickles_and_copies_go_on_with_the_same_bits(
    size: int, steps: int, kind: str, way: str
) -> None:
    model = STREAMED[kind]
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 7, (6, size))
    x = tokens if model.tokens else rng.standard_normal((6, size, 2))
    stream = model.stream(size)
    for t in range(steps):
        stream.step(x[t])
    other = WAYS[way](stream)
    assert (type(other), other.batch_size) == (Stream, size)
    kept = stream.state
    ahead = [other.step(x[t]) for t in range(steps, 6)]
    assert same_bits(stream.state, kept)
    for t in range(steps, 6):
        assert same_bits(stream.step(x[t]), ahead[t - steps])


def test_a_pickled_stream_keeps_the_weights_of_its_making() -> None:
    model = RNN(1, 4, 1, seed=0)
    stream = model.stream()
    written = pickle.dumps(stream)
    model.parameters()["Wy"][:] = 0.0
    assert same_bits(pickle.loads(written).step(0.5), stream.step(0.5))


def test_a_state_may_be_any_real_array() -> None:
    model = network((2, 1, 2, 5, 2), "float32")
    stream = model.stream(2)
    values = np.arange(10).reshape(2, 5) / 16.0
    for given in (values, np.asfortranarray(values), values.astype(">f4"), values.tolist()):
        stream.reset()
        stream.state = given
        assert same_bits(np.asarray(stream.state), values.astype(np.float32))


# ---- bad arguments ----


@pytest.mark.parametrize(
    ("batch_size", "error"),
    [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError), ("1", TypeError)],
)
def test_bad_batch_size(batch_size: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="batch_size"):
        network((1, 1, 2, 5, 1)).stream(batch_size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("x_t", "error"),
    [
        (np.zeros((3, 2)), ValueError),
        (np.zeros((2, 1)), ValueError),
        (np.zeros((2, 3)), ValueError),
        (np.zeros((0, 2)), ValueError),
        (np.zeros((2, 2, 1)), ValueError),
        (np.zeros(()), ValueError),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), ValueError),
        (np.array([[0.0, 1.0], [0.0, np.inf]]), ValueError),
        (np.array([[0.0, 1.0], [0.0, np.inf]], dtype=np.float32), ValueError),
        (np.zeros((2, 2), dtype=complex), TypeError),
        (np.zeros((2, 2), dtype=bool), TypeError),
        (np.zeros((2, 2), dtype=object), TypeError),
        (np.zeros((2, 2), dtype="U1"), TypeError),
        (np.zeros((2, 2), dtype="datetime64[s]"), TypeError),
        (None, TypeError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_bad_step_is_refused_and_changes_nothing(
    x_t: Any, error: type[Exception], dtype: str
) -> None:
    model = network((2, 1, 2, 5, 1), dtype)
    stream = model.stream(2)
    stream.step(np.ones((2, 2)))
    before = np.array(stream.state)
    with pytest.raises(error, match="x_t"):
        stream.step(x_t)
    assert same_bits(np.asarray(stream.state), before)


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (np.zeros((2, 4)), ValueError),
        (np.zeros((1, 5)), ValueError),
        (np.zeros(5), ValueError),
        (np.full((2, 5), np.nan), ValueError),
        (np.full((2, 5), np.inf), ValueError),
        (np.zeros((2, 5), dtype=complex), TypeError),
        (np.zeros((2, 5), dtype=object), TypeError),
        (None, TypeError),
    ],
    ids=range(8),
)
def test_a_bad_state_is_refused_and_changes_nothing(state: Any, error: type[Exception]) -> None:
    stream = network((2, 1, 2, 5, 1)).stream(2)
    stream.step(np.ones((2, 2)))
    before = np.array(stream.state)
    with pytest.raises(error, match="state"):
        stream.state = state
    assert same_bits(np.asarray(stream.state), before)


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([2], ValueError),
        ([-3], ValueError),
        ([0, 5], ValueError),
        ([0.5], TypeError),
        (["0"], TypeError),
        ("0", TypeError),
        ([[0], [1]], ValueError),
    ],
)
def test_bad_rows_are_refused_and_reset_nothing(rows: Any, error: type[Exception]) -> None:
    stream = network((2, 1, 2, 5, 1)).stream(2)
    stream.step(np.ones((2, 2)))
    before = np.array(stream.state)
    with pytest.raises(error, match="rows"):
        stream.reset(rows=rows)
    assert same_bits(np.asarray(stream.state), before)


def test_a_stream_comes_from_a_model() -> None:
    model = RNN(1, 4, 1, seed=0)
    stream = model.stream()
    del model  # the stream keeps its weights alive
    assert np.isfinite(stream.step(np.zeros((1, 1)))).all()
