"""Bad input to networks: the type of the error, the argument's name, no parameter changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import bits, case_network, drawn
from samples import Array, Case
from test_arguments import (
    EITHER,
    NOT_A_NAME,
    NOT_A_TRUTH,
    NOT_INTEGERS,
    cases,
    named,
    with_value,
)

import crnn
from crnn import RNN, Trainer, dataset

N, T, I, H, O = SIZES = (8, 5, 2, 6, 3)  # noqa: E741

LAST = Case(2, dtype="float32", sizes=SIZES)
EVERY = Case(2, output="all", dtype="float32", sizes=SIZES)
TOKENS = Case(2, tokens=True, dtype="float32", sizes=(8, 5, 4, 6, 3))
BOTH = Case(2, bidirectional=True, dtype="float32", sizes=SIZES)

# Calls by name, with a model, x, y and more.
METHODS: dict[str, Callable[..., object]] = {
    "predict": lambda model, x, y, **more: model.predict(x, **more),
    "states": lambda model, x, y, **more: model.states(x, **more),
    "loss": lambda model, x, y, loss="mse", **more: model.loss(x, y, loss, **more),
    "gradients": lambda model, x, y, loss="mse", **more: model.gradients(x, y, loss, **more),
    "fit": lambda model, x, y, loss="mse", **more: Trainer(epochs=1, loss=loss).fit(
        model, x, y, **more
    ),
}
WITH_TARGETS = ["loss", "gradients", "fit"]


def refused(
    name: str, error: Any, method: str, case: Case, x: Any = None, y: Any = None, **more: Any
) -> str:
    """The message of the error, which names the argument. The parameters do not change."""
    model, data = case_network(case), drawn(case)
    before = bits(model)
    with pytest.raises(error, match=named(name)) as caught:
        METHODS[method](model, data.x if x is None else x, data.y if y is None else y, **more)
    assert bits(model) == before
    return str(caught.value)


def says(message: str, *words: object) -> None:
    """The message contains each of these."""
    for word in words:
        assert str(word) in message, message


# ---- settings ----

NOT_A_RATE: list[tuple[Any, Any]] = [
    (1.0, ValueError),
    (1, ValueError),
    (1.5, ValueError),
    (-0.1, ValueError),
    (float("nan"), ValueError),
    (float("inf"), ValueError),
    ("0.5", TypeError),
    (True, TypeError),
    (None, TypeError),
    (0.5j, TypeError),
    (np.array([0.1, 0.2]), TypeError),
]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    cases(
        {
            "num_layers": NOT_INTEGERS,
            "bidirectional": NOT_A_TRUTH,
            "nonlinearity": [*NOT_A_NAME, ("TANH", ValueError), ("sigmoid", ValueError)],
            "output": [*NOT_A_NAME, ("every", ValueError), (True, TypeError)],
            "tokens": NOT_A_TRUTH,
            "dropout": NOT_A_RATE,
            "recurrent_dropout": NOT_A_RATE,
        }
    ),
)
def test_bad_network_settings(name: str, value: object, error: Any) -> None:
    good: dict[str, Any] = {"input_size": 2, "hidden_size": 3, "output_size": 1, "num_layers": 2}
    with pytest.raises(error, match=named(name)) as caught:
        RNN(**{**good, name: value})
    says(str(caught.value), "must", "got", value if isinstance(value, str) else repr(value))


def test_messages_list_the_choices() -> None:
    for name, choices in [("nonlinearity", ("tanh", "relu")), ("output", ("last", "all"))]:
        with pytest.raises(ValueError, match=named(name)) as caught:
            RNN(2, 3, 1, **{name: "?"})  # type: ignore[arg-type]
        says(str(caught.value), *choices)


@pytest.mark.parametrize("rate", [0.1, 0.999])
def test_dropout_between_the_layers_of_a_single_one_is_a_warning(rate: float) -> None:
    with pytest.warns(UserWarning, match=named("dropout")):
        RNN(2, 3, 1, dropout=rate)


def test_no_warning_where_something_is_dropped() -> None:
    # warnings are errors here
    RNN(2, 3, 1, dropout=0.0)
    RNN(2, 3, 1, num_layers=2, dropout=0.1)
    RNN(2, 3, 1, recurrent_dropout=0.1)


@pytest.mark.parametrize(
    ("value", "error"), [case for case in NOT_INTEGERS if case[0] is not None], ids=repr
)
def test_bad_truncated_bptt_steps(value: Any, error: Any) -> None:
    model, data = case_network(EVERY), drawn(EVERY)
    before = bits(model)
    with pytest.raises(error, match=named("truncated_bptt_steps")) as caught:
        Trainer(epochs=1, truncated_bptt_steps=value).fit(model, data.x, data.y)
    says(str(caught.value), "must", "got")
    assert bits(model) == before


def test_two_directions_cannot_be_truncated() -> None:
    model, data = case_network(BOTH), drawn(BOTH)
    before = bits(model)
    with pytest.raises(ValueError, match=named("truncated_bptt_steps")) as caught:
        Trainer(epochs=1, truncated_bptt_steps=2).fit(model, data.x, data.y)
    says(str(caught.value), "bidirectional")
    assert bits(model) == before


def test_two_directions_have_no_stream() -> None:
    with pytest.raises(ValueError, match="bidirectional") as caught:
        case_network(BOTH).stream()
    assert len(str(caught.value).split()) > 5  # it gives a reason


@pytest.mark.parametrize("method", ["predict", "states", "loss", "gradients"])
@pytest.mark.parametrize(("value", "error"), [c for c in NOT_INTEGERS if c[0] is not None])
def test_bad_threads(value: Any, error: Any, method: str) -> None:
    refused("threads", error, method, LAST, threads=value)


# ---- lengths ----

GOOD_LENGTHS = np.array([5, 1, 2, 5, 3, 4, 1, 5])

BAD_LENGTHS: dict[str, tuple[Any, Any]] = {
    "one too few": (GOOD_LENGTHS[:-1], ValueError),
    "one too many": (np.append(GOOD_LENGTHS, 1), ValueError),
    "none": (GOOD_LENGTHS[:0], EITHER),
    "a number": (5, ValueError),
    "a column": (GOOD_LENGTHS[:, np.newaxis], ValueError),
    "0": (with_value(GOOD_LENGTHS, 0), ValueError),
    "negative": (with_value(GOOD_LENGTHS, -1), ValueError),
    "too long": (with_value(GOOD_LENGTHS, 6), ValueError),
    "far too long": (with_value(GOOD_LENGTHS, 2**62), ValueError),
    "beyond int64": (with_value(GOOD_LENGTHS.astype(np.uint64), 2**63), ValueError),
    "float": (GOOD_LENGTHS.astype(np.float64), TypeError),
    "bool": (GOOD_LENGTHS > 0, TypeError),
    "object": (GOOD_LENGTHS.astype(object), TypeError),
    "text": (GOOD_LENGTHS.astype(str), TypeError),
    "a mask": (np.ma.array(GOOD_LENGTHS), TypeError),
    "a string": ("lengths", EITHER),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", BAD_LENGTHS)
def test_bad_lengths(case: str, method: str) -> None:
    lengths, error = BAD_LENGTHS[case]
    message = refused("lengths", error, method, LAST, lengths=lengths)
    if case in ("0", "negative", "too long"):
        says(message, lengths[-1], "sample 7")


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int32, np.uint64, list], ids=str)
def test_lengths_of_any_integer_type(kind: Any) -> None:
    model, data = case_network(LAST), drawn(LAST)
    lengths = GOOD_LENGTHS.tolist() if kind is list else GOOD_LENGTHS.astype(kind)
    expected = model.predict(data.x, lengths=GOOD_LENGTHS)
    assert model.predict(data.x, lengths=lengths).tobytes() == expected.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_sequences_have_their_own_lengths(method: str) -> None:
    x = dataset.Sequences.from_list(list(drawn(LAST).x))
    refused("lengths", EITHER, method, LAST, x=x, lengths=np.full(N, T))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("features", [1, 3])
def test_sequences_of_other_features(features: int, method: str) -> None:
    x = dataset.Sequences.from_list([np.zeros((2, features), np.float32)] * N)
    says(refused("x", ValueError, method, LAST, x=x), features, I)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_number_is_found_within_a_length_and_ignored_past_it(bad: float, method: str) -> None:
    x = drawn(LAST).x.copy()
    x[4, 2, 1] = bad  # the last of three steps
    says(refused("x", ValueError, method, LAST, x=x, lengths=GOOD_LENGTHS), "sample 4")
    x[4, 2, 1], x[4, 3, 0] = 0.0, bad
    METHODS[method](case_network(LAST), x, drawn(LAST).y, lengths=GOOD_LENGTHS)


@pytest.mark.parametrize("method", METHODS)
def test_a_bad_number_is_found_in_a_sequence_and_ignored_between_them(method: str) -> None:
    values, y = np.zeros((40, I), np.float32), drawn(LAST).y
    x = dataset.Sequences(values, np.arange(0, 40, 5), np.full(N, 3))
    values[[3, 4, 38, 39]] = np.nan
    METHODS[method](case_network(LAST), x, y)
    values[37, 1] = np.inf
    says(refused("x", ValueError, method, LAST, x=x), "sample 7")


# ---- states ----

BAD_H0: dict[str, tuple[Any, Any]] = {
    "one layer": (np.zeros((1, N, H)), ValueError),
    "a layer too many": (np.zeros((3, N, H)), ValueError),
    "rows first": (np.zeros((N, 2, H)), ValueError),
    "a row too few": (np.zeros((2, N - 1, H)), ValueError),
    "a unit too few": (np.zeros((2, N, H - 1)), ValueError),
    "would broadcast": (np.zeros((2, 1, H)), ValueError),
    "no layers": (np.zeros((N, H)), ValueError),
    "a number": (0.0, ValueError),
    "NaN": (with_value(np.zeros((2, N, H)), np.nan), ValueError),
    "inf": (with_value(np.zeros((2, N, H)), -np.inf), ValueError),
    "beyond float32": (with_value(np.zeros((2, N, H)), 1e300), ValueError),
    "bool": (np.zeros((2, N, H), bool), TypeError),
    "complex": (np.zeros((2, N, H), complex), TypeError),
    "object": (np.zeros((2, N, H), object), TypeError),
    "text": (np.zeros((2, N, H), str), TypeError),
    "a mask": (np.ma.array(np.zeros((2, N, H))), TypeError),
    "a string": ("h0", EITHER),
}


@pytest.mark.parametrize("method", [name for name in METHODS if name != "fit"])
@pytest.mark.parametrize("case", BAD_H0)
def test_bad_h0(case: str, method: str) -> None:
    h0, error = BAD_H0[case]
    message = refused("h0", error, method, LAST, h0=h0)
    if error is ValueError and isinstance(h0, np.ndarray) and not h0.any():
        says(message, h0.shape, (2, N, H))


@pytest.mark.parametrize(("value", "error"), NOT_A_TRUTH)
def test_bad_return_state(value: Any, error: Any) -> None:
    refused("return_state", error, "predict", LAST, return_state=value)


def test_a_streams_state_has_all_layers() -> None:
    stream = case_network(LAST).stream(3)
    before = np.array(stream.state)
    for shape in [(3, H), (1, 3, H), (2, 2, H), (2, 3, H + 1), (3, 2, H)]:
        with pytest.raises(ValueError, match=named("state")):
            stream.state = np.zeros(shape)
    with pytest.raises(ValueError, match=named("state")):
        stream.state = np.full((2, 3, H), np.nan)
    assert np.asarray(stream.state).tobytes() == before.tobytes()


# ---- tokens ----

GOOD_TOKENS = np.array([[0, 3, 1, 2, 3]] * N)


def test_float_tokens() -> None:
    for method in METHODS:
        refused("x", TypeError, method, TOKENS, x=GOOD_TOKENS.astype(np.float32))
        refused("x", TypeError, method, TOKENS, x=GOOD_TOKENS > 0)
        refused("x", TypeError, method, TOKENS, x=GOOD_TOKENS.astype(object))
        refused("x", TypeError, method, TOKENS, x=GOOD_TOKENS.astype(str))
        refused("x", TypeError, method, TOKENS, x=np.ma.array(GOOD_TOKENS))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "x",
    [
        GOOD_TOKENS[0],
        GOOD_TOKENS[:, :, np.newaxis, np.newaxis],
        GOOD_TOKENS[:0],
        GOOD_TOKENS[:, :0],
    ],
    ids=["rank 1", "rank 4", "N = 0", "T = 0"],
)
def test_misshapen_tokens(x: Array, method: str) -> None:
    refused("x", ValueError, method, TOKENS, x=x)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("token", [-1, 4, 5, 2**31, -(2**31), 2**62])
@pytest.mark.parametrize(("sample", "step"), [(0, 0), (3, 2), (7, 4)])
def test_a_token_out_of_range(sample: int, step: int, token: int, method: str) -> None:
    x = GOOD_TOKENS.copy()
    x[sample, step] = token
    says(refused("x", ValueError, method, TOKENS, x=x), token, f"sample {sample}", f"step {step}")
    sequences = dataset.Sequences(x.ravel(), np.arange(0, 40, 5), np.full(N, 5))
    says(refused("x", ValueError, method, TOKENS, x=sequences), f"sample {sample}", f"step {step}")


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint32, np.uint64], ids=str)
def test_a_token_out_of_range_in_any_type(kind: Any) -> None:
    # the largest number of an unsigned type must not wrap to a valid one
    x = GOOD_TOKENS.astype(kind)
    x[5, 1] = np.iinfo(kind).max
    for method in METHODS:
        says(refused("x", ValueError, method, TOKENS, x=x), "sample 5", "step 1")


def test_a_bad_token_past_a_length_is_ignored() -> None:
    x, y = GOOD_TOKENS.copy(), drawn(TOKENS).y
    x[1, 1:] = -1
    x[6, 1:] = 99
    for call in METHODS.values():
        call(case_network(TOKENS), x, y, lengths=GOOD_LENGTHS)


@pytest.mark.parametrize(
    ("token", "error"), [(-1, ValueError), (4, ValueError), (2.0, TypeError), ("1", TypeError)]
)
def test_a_bad_token_of_a_stream(token: Any, error: Any) -> None:
    stream = case_network(TOKENS).stream()
    stream.step(3)
    before = np.array(stream.state)
    with pytest.raises(error, match=named("x_t")):
        stream.step(token)
    assert np.asarray(stream.state).tobytes() == before.tobytes()


# ---- targets ----

SHAPES_OF_EVERY: dict[str, tuple[int, ...]] = {
    "no steps": (N, O),
    "a step too few": (N, T - 1, O),
    "an output too few": (N, T, O - 1),
    "no outputs": (N, T),
    "a row too few": (N - 1, T, O),
    "steps first": (T, N, O),
}


@pytest.mark.parametrize("method", WITH_TARGETS)
@pytest.mark.parametrize("case", SHAPES_OF_EVERY)
def test_misshapen_targets_of_every_step(case: str, method: str) -> None:
    shape = SHAPES_OF_EVERY[case]
    refused("y", ValueError, method, EVERY, y=np.zeros(shape, np.float32))


@pytest.mark.parametrize("method", WITH_TARGETS)
@pytest.mark.parametrize("shape", [(N, T), (N, 1), (N, O), (N - 1,), ()], ids=str)
def test_misshapen_classes(shape: tuple[int, ...], method: str) -> None:
    refused("y", ValueError, method, LAST, y=np.zeros(shape, np.int64), loss="cross_entropy")


@pytest.mark.parametrize("method", WITH_TARGETS)
@pytest.mark.parametrize("shape", [(N,), (N, T, O), (N, T + 1), (N - 1, T)], ids=str)
def test_misshapen_classes_of_every_step(shape: tuple[int, ...], method: str) -> None:
    refused("y", ValueError, method, EVERY, y=np.zeros(shape, np.int64), loss="cross_entropy")


@pytest.mark.parametrize("method", WITH_TARGETS)
def test_targets_in_other_lengths_than_their_inputs(method: str) -> None:
    rows = list(drawn(EVERY).x)
    x = dataset.Sequences.from_list(rows)
    targets = [np.zeros((T, O), np.float32)] * (N - 1) + [np.zeros((T - 1, O), np.float32)]
    refused("y", ValueError, method, EVERY, x=x, y=dataset.Sequences.from_list(targets))


CLASSES = np.arange(N) % O

BAD_CLASSES: dict[str, tuple[Any, Any]] = {
    "float": (CLASSES.astype(np.float32), TypeError),
    "bool": (CLASSES > 0, TypeError),
    "object": (CLASSES.astype(object), TypeError),
    "text": (CLASSES.astype(str), TypeError),
    "a mask": (np.ma.array(CLASSES), TypeError),
    "O": (with_value(CLASSES, O), ValueError),
    "far beyond O": (with_value(CLASSES, 2**40), ValueError),
    "beyond int64": (with_value(CLASSES.astype(np.uint64), 2**64 - 1), ValueError),
    "negative": (with_value(CLASSES, -1), ValueError),
}


@pytest.mark.parametrize("method", WITH_TARGETS)
@pytest.mark.parametrize("case", BAD_CLASSES)
def test_bad_classes(case: str, method: str) -> None:
    y, error = BAD_CLASSES[case]
    message = refused("y", error, method, LAST, y=y, loss="cross_entropy")
    if error is ValueError:
        says(message, "sample 7", y[-1])


@pytest.mark.parametrize("method", WITH_TARGETS)
def test_a_class_beyond_the_last_is_never_missing(method: str) -> None:
    y = with_value(CLASSES, O)
    refused("y", ValueError, method, LAST, y=y, loss="cross_entropy", missing="ignore")


@pytest.mark.parametrize("method", WITH_TARGETS)
@pytest.mark.parametrize("value", [-0.001, 1.001, 2.0, -1.0])
def test_likelihoods_outside_of_0_to_1(value: float, method: str) -> None:
    y = with_value(np.full((N, O), 0.5, np.float32), value)
    for missing in ("error", "ignore"):
        says(
            refused(
                "y", ValueError, method, LAST, y=y, loss="binary_cross_entropy", missing=missing
            ),
            "sample 7",
        )


@pytest.mark.parametrize("method", WITH_TARGETS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_targets_that_are_no_numbers(value: float, method: str) -> None:
    y = with_value(np.zeros((N, T, O), np.float32), value)
    says(refused("y", ValueError, method, EVERY, y=y), "sample 7")
    if not np.isnan(value):  # only NaN is missing
        says(refused("y", ValueError, method, EVERY, y=y, missing="ignore"), "sample 7")


@pytest.mark.parametrize("method", ["loss", "gradients"])
@pytest.mark.parametrize("case", [LAST, EVERY], ids=lambda case: case.output)
def test_all_targets_missing(case: Case, method: str) -> None:
    shape = (N, O) if case is LAST else (N, T, O)
    refused("y", ValueError, method, case, y=np.full(shape, np.nan), missing="ignore")
    refused(
        "y",
        ValueError,
        method,
        case,
        y=np.full(shape[:-1], -1),
        missing="ignore",
        loss="cross_entropy",
    )


@pytest.mark.parametrize("method", ["loss", "gradients"])
def test_all_targets_missing_but_past_the_lengths(method: str) -> None:
    y = np.full((N, T, O), np.nan)
    y[1, 1:] = 0.0  # the row has one step
    refused("y", ValueError, method, EVERY, y=y, missing="ignore", lengths=GOOD_LENGTHS)


@pytest.mark.parametrize("method", WITH_TARGETS)
@pytest.mark.parametrize(("value", "error"), [*NOT_A_NAME, ("drop", ValueError), (True, TypeError)])
def test_bad_missing(value: Any, error: Any, method: str) -> None:
    message = refused("missing", error, method, LAST, missing=value)
    says(message, "error", "ignore")


# ---- losses ----


@pytest.mark.parametrize("method", WITH_TARGETS)
@pytest.mark.parametrize(
    ("value", "error"),
    [*NOT_A_NAME, ("MSE", ValueError), ("l1", ValueError), (len, TypeError), (object(), TypeError)],
    ids=lambda value: f"{value!r:.20}",
)
def test_bad_loss(value: Any, error: Any, method: str) -> None:
    message = refused("loss", error, method, LAST, loss=value)
    if isinstance(value, str):
        for name in ("mse", "mae", "huber", "quantile", "cross_entropy", "binary_cross_entropy"):
            says(message, name)


@pytest.mark.parametrize("method", WITH_TARGETS)
def test_a_class_of_losses_is_not_a_loss(method: str) -> None:
    refused("loss", TypeError, method, LAST, loss=crnn.losses.MSE)


@pytest.mark.parametrize("method", WITH_TARGETS)
@pytest.mark.parametrize("q", [[0.5], [0.1, 0.9], [0.1, 0.2, 0.3, 0.4]], ids=str)
def test_as_many_quantiles_as_outputs(q: list[float], method: str) -> None:
    message = refused("q|loss", ValueError, method, LAST, loss=crnn.losses.Quantile(q))
    says(message, len(q), O)


# ---- weights ----

WEIGHTS = np.linspace(0.5, 2.0, N)

BAD_WEIGHTS: dict[str, tuple[Any, Any]] = {
    "one too few": (WEIGHTS[:-1], ValueError),
    "one too many": (np.append(WEIGHTS, 1.0), ValueError),
    "a column": (WEIGHTS[:, np.newaxis], ValueError),
    "one for each step": (np.ones((N, T)), ValueError),
    "a number": (1.0, ValueError),
    "negative": (with_value(WEIGHTS, -0.1), ValueError),
    "NaN": (with_value(WEIGHTS, np.nan), ValueError),
    "inf": (with_value(WEIGHTS, np.inf), ValueError),
    "all zero": (np.zeros(N), ValueError),
    "bool": (WEIGHTS > 1.0, TypeError),
    "complex": (WEIGHTS.astype(complex), TypeError),
    "object": (WEIGHTS.astype(object), TypeError),
    "text": (WEIGHTS.astype(str), TypeError),
    "a mask": (np.ma.array(WEIGHTS), TypeError),
    "a string": ("balanced", EITHER),
}


@pytest.mark.parametrize("method", WITH_TARGETS)
@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_weights(case: str, method: str) -> None:
    weights, error = BAD_WEIGHTS[case]
    message = refused("sample_weight", error, method, LAST, sample_weight=weights)
    if case in ("negative", "NaN", "inf"):
        says(message, "sample 7")


@pytest.mark.parametrize("method", ["loss", "gradients"])
def test_weights_that_are_zero_for_all_targets(method: str) -> None:
    y, weights = np.full((N, O), np.nan), np.zeros(N)
    y[0], weights[1] = 0.0, 1.0
    refused(
        "sample_weight|y", ValueError, method, LAST, y=y, sample_weight=weights, missing="ignore"
    )
