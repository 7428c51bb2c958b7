"""Networks of every kind against the reference: results, bits and training."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import reference
from networks import UNSCALED, bits, case_network, drawn, given, same_bits
from samples import KINDS, Array, Case, Data, Sizes, network_of, pairs, problem
from tolerances import (
    GLOROT_REACHED,
    NETWORK,
    NETWORK_LOSSES,
    NETWORK_TRAINED,
    ORTHOGONAL,
    assert_close,
    near,
    relative_error,
)

import crnn
from crnn import RNN, Trainer, _cell, dataset

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("guards"), UNSCALED]

# Small; odd; long; wide. N, T, I, H, O.
SIZES: list[Sizes] = [(5, 7, 3, 9, 3), (33, 40, 4, 33, 2), (6, 120, 2, 16, 3), (150, 13, 5, 70, 4)]

PAIRS = [
    Case(**kinds) for kinds in pairs({**KINDS, "dtype": ["float64", "float32"], "sizes": SIZES})
]

# Many settings at once, at sizes that are no multiples of shards, chunks and vectors.
FULL = [
    Case(2, True, "tanh", "all", True, False, "mse", True, True, "float64", (40, 100, 3, 17, 2)),
    Case(3, True, "tanh", "last", True, True, "cross_entropy", True, True, "float64",
         (61, 30, 11, 31, 7)),
    Case(3, False, "relu", "all", True, True, "cross_entropy", False, True, "float64",
         (37, 50, 64, 32, 65)),
    Case(2, True, "relu", "last", True, False, "huber", True, False, "float64",
         (300, 12, 2, 15, 1)),
    Case(2, False, "tanh", "all", False, False, "quantile", True, True, "float64",
         (17, 60, 16, 64, 16)),
    Case(1, True, "tanh", "all", True, True, "binary_cross_entropy", True, True, "float64",
         (3, 120, 5, 1, 1)),
    Case(3, True, "tanh", "all", True, False, "mae", False, False, "float64", (1, 90, 1, 33, 2)),
    Case(2, False, "tanh", "last", True, False, "mse", False, True, "float32",
         (500, 50, 3, 16, 1)),
    Case(1, False, "tanh", "all", True, True, "cross_entropy", False, False, "float32",
         (260, 40, 30, 24, 30)),
    Case(2, True, "tanh", "all", False, False, "binary_cross_entropy", True, True, "float32",
         (70, 65, 7, 47, 3)),
    Case(1, True, "tanh", "last", True, False, "mse", False, False, "float32",
         (900, 25, 2, 8, 1)),
    Case(3, False, "tanh", "all", True, True, "quantile", True, False, "float32",
         (48, 100, 5, 64, 2)),
    Case(1, False, "relu", "last", False, False, "mse", False, False, "float32",
         (129, 20, 4, 40, 2)),
    Case(1, False, "tanh", "last", True, True, "cross_entropy", False, False, "float64",
         (64, 20, 3000, 20, 5)),
]  # fmt: skip


class Solved(NamedTuple):
    """The reference's results for a case, from numbers in the case's type."""

    data: Data
    run: reference.Run
    loss: float
    gradients: dict[str, Array]


def doubled(case: Case, data: Data) -> tuple[Array, Array, dict[str, Any]]:
    """x, y and the settings of the reference's loss, in float64, with scaled weights."""
    x = data.x if case.tokens else data.x.astype(np.float64)
    y = data.y if case.loss == "cross_entropy" else data.y.astype(np.float64)
    settings = problem(case, data)
    if data.weights is not None:
        settings["weights"] = reference.scaled(data.weights)
    return x, y, settings


@cache
def solved(case: Case) -> Solved:
    """The reference's results, shared by all tests of the case."""
    data = drawn(case)
    x, y, settings = doubled(case, data)
    values = reference.double(case_network(case).parameters())
    done = reference.run(values, x, **network_of(case, data))
    return Solved(data, done, *reference.gradients(values, x, y, **settings))


@pytest.mark.parametrize("case", [*PAIRS, *FULL], ids=lambda case: case.name)
class TestAgainstTheReference:
    """predict, states, loss and gradients of every kind."""

    def test_predict(self, case: Case) -> None:
        data, done = solved(case)[:2]
        y, h_n = case_network(case).predict(data.x, lengths=data.lengths, return_state=True)
        assert (y.dtype, y.shape) == (np.dtype(case.dtype), done.output.shape)
        assert (h_n.dtype, h_n.shape) == (np.dtype(case.dtype), done.h_n.shape)
        assert relative_error(y, done.output) <= NETWORK[case.dtype]
        for mine, expected in zip(h_n, done.h_n, strict=True):
            assert relative_error(mine, expected) <= NETWORK[case.dtype]
        if case.output == "all":
            assert not y[~done.active].any()

    def test_states(self, case: Case) -> None:
        data, done = solved(case)[:2]
        states = case_network(case).states(data.x, lengths=data.lengths)
        assert (states.dtype, states.shape) == (np.dtype(case.dtype), done.states.shape)
        for t in range(case.sizes[1]):  # each step alone, so that none hides an error
            assert relative_error(states[:, t], done.states[:, t]) <= NETWORK[case.dtype]
        assert not states[~done.active].any()

    def test_loss(self, case: Case) -> None:
        data, _, expected, _ = solved(case)
        value = case_network(case).loss(data.x, data.y, **given(case, data))
        assert isinstance(value, float)
        assert value == near(float(expected), NETWORK[case.dtype])

    def test_gradients(self, case: Case) -> None:
        data, _, expected, d_expected = solved(case)
        model = case_network(case)
        before = bits(model)
        value, d = model.gradients(data.x, data.y, **given(case, data))
        assert isinstance(value, float)
        assert value == near(float(expected), NETWORK[case.dtype])
        assert {g.dtype for g in d.values()} == {np.dtype(case.dtype)}
        assert_close(d, d_expected, NETWORK[case.dtype])
        assert bits(model) == before


@pytest.mark.parametrize("sizes", SIZES[1:3], ids=str)
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_first_steps_affect_the_last_loss(
    bidirectional: bool, layers: int, nonlinearity: str, sizes: Sizes
) -> None:
    # The derivative of the last output's loss with respect to x_t, by complex steps, for one row.
    # In a network that forgets, an error at a boundary would be invisible, and the other tests here
    # prove nothing.
    case = Case(layers, bidirectional, nonlinearity, sizes=(1, *sizes[1:]))
    data, values = drawn(case), reference.double(case_network(case).parameters())

    def slope(t: int) -> float:
        moved = data.x.astype(np.complex128)
        moved[0, t, 0] += 1e-30j
        value = reference.loss(values, moved, data.y, nonlinearity=nonlinearity)
        return float(value.imag / 1e-30)

    first = np.linalg.norm([slope(t) for t in range(10)])
    last = np.linalg.norm([slope(t) for t in range(sizes[1] - 10, sizes[1])])
    assert first > 0.05 * last
    assert last > 0.01 * first


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("output", ["last", "all"])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_every_combination(
    layers: int, bidirectional: bool, nonlinearity: str, output: str, dtype: str
) -> None:
    chosen = {"layers", "bidirectional", "nonlinearity", "output"}
    rest = {name: values for name, values in KINDS.items() if name not in chosen}
    combinations: list[dict[str, Any]] = [{}]
    for name, values in rest.items():
        combinations = [{**c, name: value} for c in combinations for value in values]
    for combination in combinations:
        case = Case(
            layers, bidirectional, nonlinearity, output, dtype=dtype, sizes=(7, 9, 3, 5, 3),
            **combination,
        )  # fmt: skip
        check = TestAgainstTheReference()
        try:
            check.test_predict(case)
            check.test_states(case)
            check.test_loss(case)
            check.test_gradients(case)
        except BaseException as error:
            error.add_note(case.name)
            raise
        finally:
            solved.cache_clear()


# ---- parameters ----


@pytest.mark.parametrize("bias", [True, False])
def test_parameters_are_named_as_torch_counts_them(bias: bool) -> None:
    model = RNN(3, 5, 2, num_layers=2, bidirectional=True, bias=bias, seed=0)
    expected = {
        "Wx_l0": (3, 5),
        "Wh_l0": (5, 5),
        "b_l0": (5,),
        "Wx_l0_reverse": (3, 5),
        "Wh_l0_reverse": (5, 5),
        "b_l0_reverse": (5,),
        "Wx_l1": (10, 5),
        "Wh_l1": (5, 5),
        "b_l1": (5,),
        "Wx_l1_reverse": (10, 5),
        "Wh_l1_reverse": (5, 5),
        "b_l1_reverse": (5,),
        "Wy": (10, 2),
        "by": (2,),
    }
    if not bias:
        expected = {name: shape for name, shape in expected.items() if name[0] == "W"}
    shapes = {name: w.shape for name, w in model.parameters().items()}
    assert shapes == expected
    assert list(shapes) == list(expected)


@pytest.mark.parametrize(
    ("settings", "fans"),
    [
        ({"num_layers": 2}, {"Wx_l0": 20 + 30, "Wx_l1": 30 + 30, "Wy": 30 + 10}),
        (
            {"num_layers": 2, "bidirectional": True},
            {
                "Wx_l0": 20 + 30,
                "Wx_l0_reverse": 20 + 30,
                "Wx_l1": 60 + 30,
                "Wx_l1_reverse": 60 + 30,
                "Wy": 60 + 10,
            },
        ),
        ({"tokens": True}, {"Wx_l0": 1 + 30, "Wy": 30 + 10}),
    ],
    ids=str,
)
def test_initial_weights_of_every_layer_are_glorot_uniform(
    settings: dict[str, Any], fans: dict[str, int]
) -> None:
    drawn_ones = [
        RNN(20, 30, 10, dtype="float64", seed=seed, **settings).parameters() for seed in range(100)
    ]
    for name, both in fans.items():
        w = np.concatenate([parameters[name].ravel() for parameters in drawn_ones])
        bound = (6 / both) ** 0.5
        assert GLOROT_REACHED * bound < w.max() <= bound
        assert -bound <= w.min() < -GLOROT_REACHED * bound
    for name, w in drawn_ones[0].items():
        if name.startswith("Wh"):
            assert np.abs(w @ w.T - np.eye(30)).max() <= ORTHOGONAL["float64"]
        if name.startswith("b"):
            assert not w.any()
    recurrent = [w.tobytes() for name, w in drawn_ones[0].items() if name.startswith("Wh")]
    assert len(set(recurrent)) == len(recurrent)


def test_one_layer_starts_as_before_there_were_more() -> None:
    plain = bits(RNN(3, 7, 2, seed=5))
    chosen = RNN(
        3, 7, 2, num_layers=1, bidirectional=False, nonlinearity="relu", output="all", seed=5
    )
    assert bits(chosen) == plain


EVERY_SETTING: dict[str, Any] = {
    "num_layers": 2,
    "bidirectional": True,
    "nonlinearity": "relu",
    "output": "all",
    "tokens": True,
    "dropout": 0.25,
    "recurrent_dropout": 0.5,
}


def test_settings_are_attributes_and_are_kept(tmp_path: Path) -> None:
    model, x = RNN(4, 6, 3, seed=1, **EVERY_SETTING), np.array([[0, 3, 1]])
    model.save(tmp_path / "network")
    for kept in (model, RNN.load(tmp_path / "network"), pickle.loads(pickle.dumps(model))):
        for name, value in EVERY_SETTING.items():
            assert getattr(kept, name) == value, name
            assert f"{name}={value!r}" in repr(kept)
        assert bits(kept) == bits(model)
        assert same_bits(kept.predict(x), model.predict(x))
    plain = RNN(4, 6, 3)
    for name in EVERY_SETTING:
        with pytest.raises(AttributeError):
            setattr(plain, name, EVERY_SETTING[name])


# ---- the same bits ----

# Enough work for several threads; two or more shards.
BITS = [
    replace(case, dtype=dtype)
    for dtype in ("float32", "float64")
    for case in (
        Case(1, False, "tanh", "all", True, False, "mse", True, True, sizes=(257, 40, 3, 33, 2)),
        Case(2, True, "tanh", "last", True, False, "mae", sizes=(150, 30, 5, 40, 3)),
        Case(2, False, "relu", "all", False, True, "cross_entropy", sizes=(130, 33, 17, 47, 9)),
        Case(3, True, "tanh", "all", True, True, "cross_entropy", sizes=(70, 50, 30, 31, 5)),
        Case(1, True, "relu", "last", True, False, "binary_cross_entropy", weighted=True,
             sizes=(333, 25, 2, 64, 1)),
    )
]  # fmt: skip


@pytest.mark.parametrize("case", BITS, ids=lambda case: case.name)
def test_the_same_bits_at_any_thread_count(case: Case) -> None:
    data, model = drawn(case), case_network(case)
    found = []
    for threads in (1, 2, 3, 7):
        y, h_n = model.predict(data.x, lengths=data.lengths, return_state=True, threads=threads)
        states = model.states(data.x, lengths=data.lengths, threads=threads)
        value, d = model.gradients(data.x, data.y, threads=threads, **given(case, data))
        arrays = [y, h_n, states, *d.values()]
        loss = model.loss(data.x, data.y, threads=threads, **given(case, data))
        found.append([value, loss, *(array.tobytes() for array in arrays)])
    assert found == found[:1] * 4


@pytest.mark.parametrize("case", BITS, ids=lambda case: case.name)
def test_training_has_the_same_bits_at_any_thread_count(case: Case) -> None:
    data, found = drawn(case), []
    settings = given(case, data)
    loss = settings.pop("loss")
    for threads in (1, 2, 3, 7):
        model = case_network(case, recurrent_dropout=0.2)
        history = Trainer(epochs=1, batch_size=97, loss=loss, seed=0, threads=threads).fit(
            model, data.x, data.y, **settings
        )
        found.append((history.loss, bits(model)))
    assert found == found[:1] * 4


@pytest.mark.parametrize("case", BITS, ids=lambda case: case.name)
def test_a_row_has_the_bits_of_the_row_by_itself(case: Case) -> None:
    data, model = drawn(case), case_network(case)
    y, h_n = model.predict(data.x, lengths=data.lengths, return_state=True)
    states = model.states(data.x, lengths=data.lengths)
    n, timesteps = data.x.shape[:2]
    lengths = np.full(n, timesteps) if data.lengths is None else data.lengths
    for i in range(0, n, 1 if n < 200 else 7):
        row = data.x[i : i + 1, : lengths[i]]
        alone, h_alone = model.predict(row, return_state=True)
        whole = y[i : i + 1] if case.output == "last" else y[i : i + 1, : lengths[i]]
        assert same_bits(alone, whole.copy()), i
        assert same_bits(h_alone, h_n[:, i : i + 1].copy()), i
        assert same_bits(model.states(row), states[i : i + 1, : lengths[i]].copy()), i


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 64, 70])
@pytest.mark.parametrize("outputs", [1, 5])
def test_rows_and_streams_of_any_width_have_the_bits_of_predict(
    outputs: int, hidden: int, dtype: str
) -> None:
    case = Case(3, output="all", dtype=dtype, sizes=(23, 6, 3, hidden, outputs))
    data, model = drawn(case), case_network(case)
    y, h_n = model.predict(data.x, return_state=True)
    both = replace(case, bidirectional=True)
    y_both = case_network(both).predict(data.x)
    for i in range(23):
        row = data.x[i : i + 1]
        assert same_bits(model.predict(row), y[i : i + 1])
        assert same_bits(case_network(both).predict(row), y_both[i : i + 1])
    for rows in (1, 2, 13):
        stream = model.stream(rows)
        for t in range(6):
            y_t = np.asarray(stream.step(data.x[:rows, t]))
            assert same_bits(y_t.reshape(rows, outputs), y[:rows, t].copy()), t
        assert same_bits(np.asarray(stream.state), h_n[:, :rows].copy())


STREAMED = [
    replace(case, dtype=dtype)
    for dtype in ("float32", "float64")
    for case in (
        Case(1, tokens=True, output="all", sizes=(9, 11, 5, 17, 3)),
        Case(2, nonlinearity="relu", sizes=(9, 11, 5, 33, 3)),
        Case(3, tokens=True, nonlinearity="relu", bias=False, output="all", sizes=(3, 40, 7, 8, 2)),
    )
]


@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.name)
def test_a_stream_stepped_through_has_the_bits_of_predict(case: Case) -> None:
    data, model = drawn(case), case_network(case)
    rows, timesteps, _, hidden, _ = case.sizes
    stream = model.stream(rows)
    shape = (case.layers, rows, hidden) if case.layers > 1 else (rows, hidden)
    assert stream.state.shape == shape
    assert not np.asarray(stream.state).any()
    for t in range(timesteps):
        y_t = np.asarray(stream.step(data.x[:, t]))
        y, h_n = model.predict(data.x[:, : t + 1], return_state=True)
        assert same_bits(y_t, (y if case.output == "last" else y[:, -1]).copy()), t
        assert same_bits(np.asarray(stream.state).reshape(h_n.shape), h_n), t


def test_a_stream_of_one_takes_a_token() -> None:
    model = case_network(Case(2, tokens=True, sizes=(1, 5, 4, 6, 2)))
    stream, tokens = model.stream(), [3, 0, 1, 1, 2]
    for t, token in enumerate(tokens):
        y_t = np.asarray(stream.step(token)).reshape(1, 2)
        assert same_bits(y_t, model.predict(np.array([tokens[: t + 1]])))


def test_a_streams_state_may_be_set_copied_and_reset() -> None:
    case = Case(2, sizes=(4, 9, 3, 6, 2))
    data, model = drawn(case), case_network(case)
    _, h_n = model.predict(data.x[:, :5], return_state=True)
    stream = model.stream(4)
    stream.state = h_n
    other = stream.copy()
    for t in range(5, 9):
        y_t = stream.step(data.x[:, t])
    assert same_bits(np.asarray(y_t), model.predict(data.x))
    assert same_bits(np.asarray(other.state), h_n)
    other.reset([1])
    assert not np.asarray(other.state)[:, 1].any()
    assert same_bits(np.asarray(other.state)[:, [0, 2, 3]], h_n[:, [0, 2, 3]])


# ---- lengths and sequences ----

RAGGED = [case for case in [*PAIRS, *FULL] if case.ragged]


def unpadded(array: Array, lengths: Array) -> dataset.Sequences:
    """The rows of a padded array as separate arrays, copied into one."""
    return dataset.Sequences.from_list(
        [row[:length] for row, length in zip(array, lengths, strict=True)]
    )


@pytest.mark.parametrize("case", RAGGED, ids=lambda case: case.name)
def test_steps_past_a_length_are_ignored(case: Case) -> None:
    # zeros instead of `case_data`'s NaN, tokens of -1 and classes out of range
    data, model = drawn(case), case_network(case)
    assert data.lengths is not None
    past = np.arange(case.sizes[1]) >= data.lengths[:, None]
    x, y = data.x.copy(), data.y.copy()
    x[past] = 0
    if case.output == "all":
        y[past] = 0
    settings = given(case, data)
    value, d = model.gradients(data.x, data.y, **settings)
    expected, d_expected = model.gradients(x, y, **settings)
    assert value == expected
    assert {n: g.tobytes() for n, g in d.items()} == {n: g.tobytes() for n, g in d_expected.items()}
    assert model.loss(data.x, data.y, **settings) == model.loss(x, y, **settings)
    lengths = data.lengths
    assert same_bits(model.predict(data.x, lengths=lengths), model.predict(x, lengths=lengths))


@pytest.mark.parametrize("case", RAGGED, ids=lambda case: case.name)
def test_sequences_have_the_bits_of_a_padded_array(case: Case) -> None:
    data, model = drawn(case), case_network(case)
    assert data.lengths is not None
    x = unpadded(data.x, data.lengths)
    y = unpadded(data.y, data.lengths) if case.output == "all" else data.y
    padded = model.predict(data.x, lengths=data.lengths)
    found = model.predict(x)
    if case.output == "all":
        assert isinstance(found, dataset.Sequences)
        assert found.lengths.tolist() == data.lengths.tolist()
        assert len(found.values) == data.lengths.sum()
        for i, length in enumerate(data.lengths):
            assert same_bits(found[i].copy(), padded[i, :length].copy())
    else:
        assert same_bits(found, padded)
    states, padded = model.states(x), model.states(data.x, lengths=data.lengths)
    assert isinstance(states, dataset.Sequences)
    for i, length in enumerate(data.lengths):
        assert same_bits(states[i].copy(), padded[i, :length].copy())
    settings = given(case, data)
    expected, d_expected = model.gradients(data.x, data.y, **settings)
    del settings["lengths"]
    value, d = model.gradients(x, y, **settings)
    assert value == expected
    assert {n: g.tobytes() for n, g in d.items()} == {n: g.tobytes() for n, g in d_expected.items()}
    assert model.loss(x, y, **settings) == model.loss(data.x, data.y, **given(case, data))


@pytest.mark.parametrize("tokens", [False, True])
def test_sequences_may_overlap_and_lie_in_any_order_and_type(tokens: bool) -> None:
    rng = np.random.default_rng(0)
    starts, lengths = rng.integers(0, 100, 60), rng.integers(1, 30, 60)
    values: Array
    if tokens:
        values = rng.integers(5, size=(130, 2)).astype(np.uint8)[:, 0]  # not contiguous
    else:
        values = rng.standard_normal((2, 130)).astype(">f8").T
    case = Case(2, True, tokens=tokens, dtype="float32", sizes=(60, 30, 5 if tokens else 2, 17, 2))
    model, y = case_network(case), rng.standard_normal((60, 2)).astype(np.float32)
    x = dataset.Sequences(values, starts, lengths)
    padded = np.zeros((60, 30, *values.shape[1:]), np.int64 if tokens else np.float32)
    for i, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        padded[i, :length] = values[start : start + length]
    assert same_bits(model.predict(x), model.predict(padded, lengths=lengths))
    value, d = model.gradients(x, y)
    expected, d_expected = model.gradients(padded, y, lengths=lengths)
    assert value == expected
    assert {n: g.tobytes() for n, g in d.items()} == {n: g.tobytes() for n, g in d_expected.items()}


def test_equal_lengths_have_the_bits_of_no_lengths() -> None:
    case = Case(2, True, output="all", sizes=(33, 20, 3, 17, 2))
    data, model = drawn(case), case_network(case)
    full = np.full(33, 20)
    assert same_bits(model.predict(data.x, lengths=full), model.predict(data.x))
    value, d = model.gradients(data.x, data.y, lengths=full)
    expected, d_expected = model.gradients(data.x, data.y)
    assert value == expected
    assert {n: g.tobytes() for n, g in d.items()} == {n: g.tobytes() for n, g in d_expected.items()}


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.uint64], ids=str)
def test_tokens_of_any_integer_type(kind: Any) -> None:
    case = Case(tokens=True, output="all", loss="cross_entropy", sizes=(7, 9, 5, 8, 4))
    data, model = drawn(case), case_network(case)
    narrow = np.zeros((7, 9, 2), kind)[:, :, 0]  # with another stride
    narrow[...] = data.x
    assert same_bits(model.predict(narrow), model.predict(data.x))
    found = model.gradients(narrow, data.y.astype(kind), loss="cross_entropy")
    expected = model.gradients(data.x, data.y, loss="cross_entropy")
    assert found[0] == expected[0]
    for name, g in expected[1].items():
        assert same_bits(found[1][name], g)


def test_tokens_of_a_large_vocabulary_take_no_memory_for_each_shard() -> None:
    # one gradient of 10,000 rows of 16 has 640 kB; gradients of sixteen shards would have 10 MB
    model = RNN(10_000, 16, 2, tokens=True, seed=0)
    x = np.random.default_rng(0).integers(10_000, size=(256, 10))
    history = Trainer(epochs=1, batch_size=256, seed=0).fit(model, x, np.zeros((256, 2)))
    assert history.workspace_bytes < 6 * 640_000


# ---- states ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("output", ["last", "all"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_a_first_state_against_the_reference(
    layers: int, bidirectional: bool, output: str, ragged: bool, dtype: str
) -> None:
    case = Case(layers, bidirectional, output=output, ragged=ragged, dtype=dtype,
                sizes=(33, 20, 3, 17, 2))  # fmt: skip
    data, model = drawn(case), case_network(case)
    shape = (layers * case.directions, 33, 17)
    h0 = (0.3 * np.random.default_rng(4).standard_normal(shape)).astype(dtype)
    x, y, settings = doubled(case, data)
    values = reference.double(model.parameters())
    settings["h0"] = h0.astype(np.float64)
    done = reference.run(values, x, h0=settings["h0"], **network_of(case, data))
    expected, d_expected = reference.gradients(values, x, y, **settings)
    before = h0.copy()
    found, h_n = model.predict(data.x, lengths=data.lengths, h0=h0, return_state=True)
    assert relative_error(found, done.output) <= NETWORK[dtype]
    assert relative_error(h_n, done.h_n) <= NETWORK[dtype]
    states = model.states(data.x, lengths=data.lengths, h0=h0)
    assert relative_error(states, done.states) <= NETWORK[dtype]
    value, d = model.gradients(data.x, data.y, h0=h0, **given(case, data))
    assert value == near(float(expected), NETWORK[dtype])
    assert_close(d, d_expected, NETWORK[dtype])
    assert model.loss(data.x, data.y, h0=h0, **given(case, data)) == near(
        float(expected), NETWORK[dtype]
    )
    assert same_bits(h0, before)
    if shape[0] == 1:
        assert same_bits(model.predict(data.x, lengths=data.lengths, h0=h0[0]), found)
    zero = np.zeros(shape, dtype)
    assert same_bits(
        model.predict(data.x, lengths=data.lengths, h0=zero),
        model.predict(data.x, lengths=data.lengths),
    )


@pytest.mark.parametrize("case", [c for c in [*PAIRS, *FULL] if not c.bidirectional],
                         ids=lambda case: case.name)  # fmt: skip
def test_two_halves_have_the_bits_of_the_whole(case: Case) -> None:
    data, model = drawn(case), case_network(case)
    n, timesteps = data.x.shape[:2]
    half = timesteps // 2
    lengths = np.full(n, timesteps) if data.lengths is None else data.lengths
    longer = lengths > half  # a part has at least one step
    y, h_n = model.predict(data.x, lengths=lengths, return_state=True)
    _, h = model.predict(data.x[:, :half], lengths=np.minimum(lengths, half), return_state=True)
    rest, h_rest = model.predict(
        data.x[longer, half:],
        lengths=lengths[longer] - half,
        h0=h[:, longer],
        return_state=True,
    )
    whole = y[longer] if case.output == "last" else y[longer, half:]
    assert same_bits(rest, whole.copy())
    assert same_bits(h_rest, h_n[:, longer].copy())


# ---- weights and targets ----


def test_the_unit_of_weights_does_not_matter() -> None:
    case = Case(weighted=True, output="all", ragged=True, sizes=(33, 20, 3, 17, 2))
    data, model = drawn(case), case_network(case)
    settings = given(case, data)
    assert data.weights is not None
    value, d = model.gradients(data.x, data.y, **settings)
    settings["sample_weight"] = (1000.0 * data.weights).tolist()
    expected, d_expected = model.gradients(data.x, data.y, **settings)
    assert value == near(expected, NETWORK["float64"])
    assert_close(d, d_expected, NETWORK["float64"])
    settings["sample_weight"] = np.full(33, 7)
    value, _ = model.gradients(data.x, data.y, **settings)
    del settings["sample_weight"]
    assert value == near(model.loss(data.x, data.y, **settings), NETWORK["float64"])


def test_one_output_at_every_step_needs_no_axis_of_its_own() -> None:
    case = Case(2, output="all", ragged=True, missing=True, sizes=(9, 8, 1, 5, 1))
    data, model = drawn(case), case_network(case)
    settings = given(case, data)
    value, d = model.gradients(data.x[:, :, 0], data.y[:, :, 0], **settings)
    expected, d_expected = model.gradients(data.x, data.y, **settings)
    assert value == expected
    assert all(same_bits(d[name], g) for name, g in d_expected.items())


@pytest.mark.parametrize("loss", KINDS["loss"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_of_large_outputs_are_numbers(dtype: str, loss: str) -> None:
    case = Case(loss=loss, dtype=dtype, output="all", sizes=(5, 7, 3, 9, 3))
    data, model = drawn(case), case_network(case)
    model.parameters()["Wy"][...] *= 1e4
    x, y, settings = doubled(case, data)
    expected, d_expected = reference.gradients(
        reference.double(model.parameters()), x, y, **settings
    )
    value, d = model.gradients(data.x, data.y, **given(case, data))
    assert value == near(float(expected), NETWORK[dtype])
    # probabilities near 0 or 1 lose digits of the logit, so errors are relative to all arrays
    whole = np.sqrt(sum(float(np.sum(g**2)) for g in d_expected.values()))
    for name, g in d_expected.items():
        assert np.linalg.norm(d[name] - g) <= NETWORK[dtype] * whole, name


def test_a_loss_by_its_name_is_the_loss_with_its_defaults() -> None:
    case = Case(output="all", sizes=(9, 8, 2, 5, 3))
    data, model = drawn(case), case_network(case)
    classes, likely = np.abs(data.y).astype(int)[:, :, 0] % 3, (data.y > 0).astype(np.float64)
    losses = crnn.losses
    for name, loss, y in [
        ("mse", losses.MSE(), data.y),
        ("mae", losses.MAE(), data.y),
        ("huber", losses.Huber(delta=1.0), data.y),
        ("quantile", losses.Quantile(0.5), data.y),
        ("cross_entropy", losses.CrossEntropy(), classes),
        ("binary_cross_entropy", losses.BinaryCrossEntropy(), likely),
    ]:
        value, d = model.gradients(data.x, y, name)
        expected, d_expected = model.gradients(data.x, y, loss=loss)
        assert value == expected
        assert all(same_bits(d[n], g) for n, g in d_expected.items())
        criterion = reference.Criterion(name)
        values = reference.double(model.parameters())
        expected, d_expected = reference.gradients(
            values, data.x, y, criterion=criterion, output="all"
        )
        assert value == near(float(expected), NETWORK["float64"])
        assert_close(d, d_expected, NETWORK["float64"])


def test_an_output_that_meets_its_target_has_no_gradient() -> None:
    # all parameters except the output's biases are zero, so the outputs are known exactly
    model = RNN(1, 3, 3, dtype="float64", seed=0)
    for w in model.parameters().values():
        w[...] = 0.0
    model.parameters()["by"][...] = [1.0, -2.0, 0.5]
    x, y = np.ones((1, 2, 1)), np.array([[1.0, -1.0, 0.0]])
    losses = crnn.losses
    for loss, expected in [
        (losses.MAE(), [0.0, -1 / 3, 1 / 3]),
        (losses.Huber(0.25), [0.0, -0.25 / 3, 0.25 / 3]),
        (losses.Quantile(0.9), [0.0, -0.9 / 3, 0.1 / 3]),
        (losses.Quantile([0.2, 0.3, 0.6]), [0.0, -0.3 / 3, 0.4 / 3]),
    ]:
        _, d = model.gradients(x, y, loss)
        assert d["by"].tolist() == near(expected, NETWORK["float64"])


# ---- training ----

# So large that every parameter changes by far more than its rounding error.
RATES = {"sgd": 0.15, "adam": 0.003}


def trained(
    case: Case,
    *,
    batch_size: int,
    optimizer: str = "sgd",
    epochs: int = 2,
    clip_value: float | None = None,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    truncated_bptt_steps: int | None = None,
    learning_rate: float | None = None,
    shuffle: bool = True,
    data: Data | None = None,
) -> tuple[dict[str, Array], list[float], dict[str, Array], list[float]]:
    """Changes of the parameters and losses by epoch: the package's, the reference's."""
    data = drawn(case) if data is None else data
    model = case_network(case, dropout=dropout, recurrent_dropout=recurrent_dropout)
    rate = RATES[optimizer] if learning_rate is None else learning_rate
    before = reference.double(model.parameters())
    x, y, settings = doubled(case, data)
    settings["weights"] = data.weights
    seed, hidden = 7, case.sizes[3]
    if dropout:
        settings["dropout"] = lambda e, rows: [
            [
                _cell.dropout_mask(
                    dropout, seed, e, rows, layer, direction,
                    np.arange(case.sizes[1]), hidden, case.dtype,
                ).astype(np.float64)
                for direction in range(case.directions)
            ]
            for layer in range(case.layers - 1)
        ]  # fmt: skip
    if recurrent_dropout:
        settings["recurrent_dropout"] = lambda e, rows: [
            [
                _cell.recurrent_dropout_mask(
                    recurrent_dropout, seed, e, rows, layer, direction, hidden, case.dtype
                ).astype(np.float64)
                for direction in range(case.directions)
            ]
            for layer in range(case.layers)
        ]
    expected, losses_expected = reference.train(
        before,
        x,
        y,
        reference.optimizer(optimizer, rate),
        epochs=epochs,
        seed=seed if shuffle else None,
        batch_size=batch_size,
        clip_value=clip_value,
        truncated_bptt_steps=truncated_bptt_steps,
        **settings,
    )
    fit = given(case, data)
    extra = {} if truncated_bptt_steps is None else {"truncated_bptt_steps": truncated_bptt_steps}
    history = Trainer(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=rate,
        optimizer=optimizer,
        clip_value=clip_value,
        loss=fit.pop("loss"),
        shuffle=shuffle,
        seed=seed,
        **extra,
    ).fit(model, data.x, data.y, **fit)
    moved = {name: w - before[name] for name, w in model.state_dict().items()}
    return moved, history.loss, {n: w - before[n] for n, w in expected.items()}, losses_expected


def assert_trained(case: Case, **settings: Any) -> None:
    """The package and the reference train alike."""
    moved, losses, expected, losses_expected = trained(case, **settings)
    assert losses == near(losses_expected, NETWORK_LOSSES[case.dtype])
    assert_close(moved, expected, NETWORK_TRAINED[case.dtype])


TRAINED: list[tuple[Case, int]] = [
    *[(replace(case, dtype="float64"), max(2, case.sizes[0] // 3 + 1)) for case in PAIRS[::2]],
    (FULL[0], 16),
    (FULL[1], 7),
    (FULL[2], 37),
    (FULL[3], 128),
    (FULL[7], 200),
    (FULL[8], 64),
    (FULL[9], 32),
    # the last batch of 32 rows may be one shard, while full batches have shards of 20
    (Case(2, True, ragged=True, sizes=(72, 30, 2, 16, 2)), 40),
    (Case(1, output="all", sizes=(72, 30, 2, 16, 2)), 40),
]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("case", "batch_size"), TRAINED, ids=lambda value: getattr(value, "name", str(value))
)
def test_training(case: Case, batch_size: int, optimizer: str) -> None:
    assert_trained(case, batch_size=batch_size, optimizer=optimizer)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 17, 24, 33, 40, 48, 65])
@pytest.mark.parametrize("output", ["last", "all"])
def test_every_length_of_the_last_batch(output: str, batch_size: int) -> None:
    for rest in sorted({1, 2, 12, 15, 16, 17, 31, 32, 33, 47, 48, batch_size - 1}):
        if 0 < rest < batch_size:
            sizes = (batch_size + rest, 5, 2, 8, 2)
            case = Case(2, True, output=output, ragged=True, missing=True, sizes=sizes)
            assert_trained(case, batch_size=batch_size, epochs=1)


def test_clipped_training() -> None:
    case = Case(2, True, output="all", ragged=True, sizes=(33, 20, 3, 17, 2))
    assert_trained(case, batch_size=10, clip_value=0.003, epochs=3)


def test_training_on_sequences_has_the_bits_of_lengths() -> None:
    for output in ("last", "all"):
        case = Case(2, output=output, ragged=True, weighted=True, sizes=(50, 20, 3, 17, 2))
        data, found = drawn(case), []
        assert data.lengths is not None
        x = unpadded(data.x, data.lengths)
        y = unpadded(data.y, data.lengths) if output == "all" else data.y
        for arguments, settings in [((data.x, data.y), {"lengths": data.lengths}), ((x, y), {})]:
            model = case_network(case)
            history = Trainer(epochs=2, batch_size=16, seed=3).fit(
                model,
                *arguments,
                sample_weight=data.weights,
                validation_data=(x, y),
                **settings,
            )
            expected = model.loss(data.x, data.y, lengths=data.lengths)
            assert history.validation_loss[-1] == near(expected, NETWORK["float64"])
            found.append((history.loss, history.validation_loss, bits(model)))
        assert found[0] == found[1]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("output", ["last", "all"])
@pytest.mark.parametrize("why", ["no target", "no weight"])
def test_a_batch_without_valid_elements_makes_no_update(
    why: str, output: str, optimizer: str
) -> None:
    case = Case(output=output, missing=True, weighted=True, sizes=(12, 7, 3, 9, 3))
    data = drawn(case)
    y, weights = data.y.copy(), np.ones(12)
    if why == "no target":
        y[4:8] = np.nan
    else:
        weights[4:8] = 0.0
    assert_trained(
        case,
        data=replace(data, y=y, weights=weights),
        batch_size=4,
        optimizer=optimizer,
        shuffle=False,
        epochs=3,
    )


# ---- truncated back-propagation ----

TRUNCATED = [
    (Case(2, output="all", sizes=(10, 23, 3, 9, 2)), 4, 5),
    (Case(2, output="all", ragged=True, missing=True, weighted=True, sizes=(33, 40, 3, 17, 2)),
     16, 7),
    (Case(1, output="last", ragged=True, sizes=(33, 40, 3, 17, 2)), 10, 8),
    (Case(1, output="all", loss="cross_entropy", tokens=True, ragged=True,
          sizes=(50, 60, 7, 24, 7)), 32, 10),
    (Case(3, nonlinearity="relu", output="all", loss="huber", sizes=(6, 31, 2, 33, 2)), 6, 3),
    (Case(2, output="all", loss="quantile", sizes=(6, 31, 2, 33, 2)), 6, 1),
    (Case(2, output="all", ragged=True, dtype="float32", sizes=(70, 50, 3, 16, 2)), 32, 16),
    (Case(1, output="all", sizes=(1, 120, 1, 16, 1)), 1, 50),
]  # fmt: skip


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("case", "batch_size", "steps"), TRUNCATED, ids=lambda value: getattr(value, "name", str(value))
)
def test_truncated_training(case: Case, batch_size: int, steps: int, optimizer: str) -> None:
    assert_trained(
        case, batch_size=batch_size, truncated_bptt_steps=steps, optimizer=optimizer, epochs=2
    )


@pytest.mark.parametrize("steps", [7, 8, 1000])
def test_a_chunk_of_every_step_has_the_bits_of_the_whole(steps: int) -> None:
    case, found = Case(2, output="all", ragged=True, sizes=(20, 7, 3, 9, 2)), []
    data = drawn(case)
    for settings in ({}, {"truncated_bptt_steps": steps}):
        model = case_network(case)
        history = Trainer(epochs=2, batch_size=6, seed=0, **settings).fit(
            model, data.x, data.y, lengths=data.lengths
        )
        found.append((history.loss, bits(model)))
    assert found[0] == found[1]


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_truncated_training_has_the_same_bits_at_any_thread_count(threads: int) -> None:
    case = Case(2, output="all", ragged=True, sizes=(300, 33, 3, 33, 2))
    data, found = drawn(case), []
    for used in (1, threads):
        model = case_network(case, dropout=0.3, recurrent_dropout=0.1)
        Trainer(epochs=1, batch_size=130, seed=0, truncated_bptt_steps=10, threads=used).fit(
            model, data.x, data.y, lengths=data.lengths
        )
        found.append(bits(model))
    assert found[0] == found[1]


def test_truncated_training_of_a_long_sequence_takes_the_memory_of_a_chunk() -> None:
    found = []
    for timesteps in (1000, 1_000_000):
        x = np.sin(np.arange(timesteps + 1.0))
        model = RNN(1, 8, 1, output="all", seed=0)
        history = Trainer(epochs=1, seed=0, truncated_bptt_steps=50).fit(
            model, x[np.newaxis, :-1, np.newaxis], x[np.newaxis, 1:, np.newaxis]
        )
        found.append(history.workspace_bytes)
        assert np.isfinite(history.loss[0])
    assert found[0] == found[1]


# ---- dropout ----

DROPPED: list[tuple[Case, dict[str, float]]] = [
    (Case(2, output="all", sizes=(33, 20, 3, 17, 2)), {"dropout": 0.5}),
    (Case(3, True, ragged=True, sizes=(21, 30, 3, 16, 2)), {"dropout": 0.2}),
    (Case(1, sizes=(33, 40, 3, 33, 2)), {"recurrent_dropout": 0.3}),
    (Case(2, True, output="all", ragged=True, sizes=(40, 20, 3, 9, 2)), {"recurrent_dropout": 0.5}),
    (
        Case(3, True, "relu", "all", True, True, "cross_entropy", True, True,
             sizes=(50, 25, 7, 31, 5)),
        {"dropout": 0.3, "recurrent_dropout": 0.2},
    ),
    (
        Case(2, False, output="last", ragged=True, sizes=(200, 15, 2, 70, 3)),
        {"dropout": 0.1, "recurrent_dropout": 0.1},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "rates"), DROPPED, ids=lambda value: getattr(value, "name", str(value))
)
class TestDropout:
    """The masks that the package returns are those of its training."""

    def test_the_gradient_of_one_batch(self, case: Case, rates: dict[str, float]) -> None:
        assert_trained(case, batch_size=case.sizes[0], epochs=1, learning_rate=1.0, **rates)

    def test_training(self, case: Case, rates: dict[str, float]) -> None:
        assert_trained(
            case, batch_size=case.sizes[0] // 3 + 1, epochs=3, learning_rate=0.03, **rates
        )

    def test_truncated_training(self, case: Case, rates: dict[str, float]) -> None:
        one_way = replace(case, bidirectional=False)
        assert_trained(one_way, batch_size=case.sizes[0] // 2 + 1, truncated_bptt_steps=8, **rates)

    def test_only_fit_applies_dropout(self, case: Case, rates: dict[str, float]) -> None:
        data = drawn(case)
        model, plain = case_network(case, **rates), case_network(case)
        settings = given(case, data)
        assert same_bits(
            model.predict(data.x, lengths=data.lengths), plain.predict(data.x, lengths=data.lengths)
        )
        assert same_bits(
            model.states(data.x, lengths=data.lengths), plain.states(data.x, lengths=data.lengths)
        )
        assert model.loss(data.x, data.y, **settings) == plain.loss(data.x, data.y, **settings)
        value, d = model.gradients(data.x, data.y, **settings)
        expected, d_expected = plain.gradients(data.x, data.y, **settings)
        assert value == expected
        assert all(same_bits(d[name], g) for name, g in d_expected.items())


SAMPLES = np.arange(40, dtype=np.int64)
STEPS = np.arange(30, dtype=np.int64)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_masks_drop_at_their_rate_and_keep_the_mean(rate: float, dtype: str) -> None:
    mask = _cell.dropout_mask(rate, 1, 0, SAMPLES, 0, 0, STEPS, 33, dtype)
    recurrent = _cell.recurrent_dropout_mask(
        rate, 1, 0, np.arange(1200, dtype=np.int64), 0, 0, 33, dtype
    )
    assert (mask.shape, recurrent.shape) == ((30, 40, 33), (1200, 33))
    for drawn_mask in (mask, recurrent):
        assert drawn_mask.dtype == np.dtype(dtype)
        kept = drawn_mask != 0
        assert set(drawn_mask[kept].tolist()) == {float(np.dtype(dtype).type(1.0 / (1.0 - rate)))}
        # 39,600 draws: five times the deviation of their mean
        assert abs(kept.mean() - (1.0 - rate)) < 5.0 * (rate * (1.0 - rate) / kept.size) ** 0.5
        # over units, samples and steps alike
        for axis in range(kept.ndim):
            others = tuple(a for a in range(kept.ndim) if a != axis)
            each = kept.mean(axis=others)
            count = kept.size / len(each)
            spread = 6.0 * (rate * (1.0 - rate) / count) ** 0.5
            assert np.abs(each - (1.0 - rate)).max() < spread


def test_a_mask_depends_on_its_key_alone() -> None:
    mask = partial(_cell.dropout_mask, 0.5)
    whole = mask(1, 2, SAMPLES, 0, 1, STEPS, 33, "float64")
    some, few = SAMPLES[[5, 3, 17]].copy(), STEPS[[7, 2]].copy()
    assert same_bits(mask(1, 2, some, 0, 1, few, 33, "float64"), whole[np.ix_(few, some)])
    assert same_bits(mask(1, 2, SAMPLES, 0, 1, STEPS, 33, "float64"), whole)
    single = mask(1, 2, SAMPLES, 0, 1, STEPS, 33, "float32")
    assert same_bits(single.astype(np.float64), whole)  # 1 / (1 - 0.5) is exact
    recurrent = partial(_cell.recurrent_dropout_mask, 0.5)
    all_rows = recurrent(1, 2, SAMPLES, 0, 1, 33, "float64")
    assert same_bits(recurrent(1, 2, some, 0, 1, 33, "float64"), all_rows[some])
    others = [
        mask(2, 2, SAMPLES, 0, 1, STEPS, 33, "float64"),
        mask(1, 3, SAMPLES, 0, 1, STEPS, 33, "float64"),
        mask(1, 2, SAMPLES + 1, 0, 1, STEPS, 33, "float64"),
        mask(1, 2, SAMPLES, 1, 1, STEPS, 33, "float64"),
        mask(1, 2, SAMPLES, 0, 0, STEPS, 33, "float64"),
        mask(1, 2, SAMPLES, 0, 1, STEPS + 1, 33, "float64"),
        np.broadcast_to(all_rows, whole.shape),
        np.roll(whole, 1, axis=2),
    ]
    for other in others:
        # two independent masks at rate 1/2 agree in half of 39,600 places
        agree = np.mean((other != 0) == (whole != 0))
        assert abs(agree - 0.5) < 5.0 * 0.5 / whole.size**0.5
    # a mask between layers also differs from the recurrent mask of another cell
    for layer, direction in ((0, 0), (0, 1), (1, 0), (1, 1)):
        first = mask(1, 2, SAMPLES, layer, direction, STEPS, 33, "float64")[0]
        for other_layer, other_direction in ((0, 0), (0, 1), (1, 0), (1, 1)):
            other = recurrent(1, 2, SAMPLES, other_layer, other_direction, 33, "float64")
            assert abs(np.mean((other != 0) == (first != 0)) - 0.5) < 5.0 * 0.5 / first.size**0.5


def test_dropout_of_one_layer_warns_and_has_no_effect() -> None:
    case, found = Case(sizes=(20, 7, 3, 9, 2)), []
    data = drawn(case)
    with pytest.warns(UserWarning, match=r"^dropout .*\blayers?\b"):
        dropping = case_network(case, dropout=0.5)
    for model in (dropping, case_network(case)):
        Trainer(epochs=2, batch_size=6, seed=0).fit(model, data.x, data.y)
        found.append(bits(model))
    assert found[0] == found[1]
