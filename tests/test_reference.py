"""The reference is correct: complex steps, values by hand, the notebook's code."""

# Only the notebook draws from NumPy's global generator.

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import reference
from samples import (
    KINDS,
    SIZES,
    Array,
    Case,
    Sizes,
    batch,
    case_data,
    case_parameters,
    pairs,
    parameters,
    problem,
    size_name,
)
from tolerances import (
    COMPLEX_STEP,
    DIFFERENCE_OF_WEIGHTS,
    HAND_WORKED,
    assert_close,
    near,
    relative_error,
)


def complex_step(values: dict[str, Array], x: Array, y: Array, name: str, **settings: Any) -> Array:
    """d loss / d values[name]: Im(loss(w + i eps)) / eps, element by element."""
    eps = 1e-30
    d = np.empty(values[name].shape)
    for index in np.ndindex(d.shape):
        stepped = {key: value.astype(np.complex128) for key, value in values.items()}
        stepped[name][index] += 1j * eps
        d[index] = reference.loss(stepped, x, y, **settings).imag / eps
    return d


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "sizes", [s for s in SIZES if s[3] <= 17], ids=size_name
)  # one forward pass for each element: small networks are enough
def test_gradients_agree_with_complex_step(sizes: Sizes, bias: bool) -> None:
    values = parameters(sizes, bias=bias)
    x, y = batch(sizes)
    value, d = reference.gradients(values, x, y)
    assert value == reference.loss(values, x, y)
    assert_close(d, {name: complex_step(values, x, y, name) for name in values}, COMPLEX_STEP)


def test_one_unit_two_steps_by_hand() -> None:
    one = {
        "Wx_l0": np.array([[0.5]]),
        "Wh_l0": np.array([[-0.25]]),
        "b_l0": np.array([0.1]),
        "Wy": np.array([[2.0]]),
        "by": np.array([-1.0]),
    }
    h1 = math.tanh(0.5 * 1.0 + 0.1)
    h2 = math.tanh(0.5 * 3.0 - 0.25 * h1 + 0.1)
    error = 2.0 * h2 - 1.0 - 0.7
    states, output = reference.forward(one, np.array([[[1.0], [3.0]]]))
    assert [float(h[0, 0]) for h in states] == near([0.0, h1, h2], HAND_WORKED)
    assert float(output[0, 0]) == near(2.0 * h2 - 1.0, HAND_WORKED)
    value, d = reference.gradients(one, np.array([[[1.0], [3.0]]]), np.array([[0.7]]))
    da2 = 2.0 * error * 2.0 * (1.0 - h2**2)
    da1 = da2 * -0.25 * (1.0 - h1**2)
    assert float(value) == near(error**2, HAND_WORKED)
    assert float(d["Wx_l0"][0, 0]) == near(3.0 * da2 + 1.0 * da1, HAND_WORKED)
    assert float(d["Wh_l0"][0, 0]) == near(h1 * da2, HAND_WORKED)
    assert float(d["b_l0"][0]) == near(da2 + da1, HAND_WORKED)
    assert float(d["Wy"][0, 0]) == near(2.0 * error * h2, HAND_WORKED)
    assert float(d["by"][0]) == near(2.0 * error, HAND_WORKED)


def test_mse_is_the_mean_over_batch_and_outputs() -> None:
    output, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [0.0, 2.0]])
    assert reference.mse(output, y) == (1.0 + 4.0 + 9.0 + 4.0) / 4.0


def test_clip_counts_what_it_changes() -> None:
    d = {"w": np.array([-2.0, -1.0, 0.5, 1.0, 1.5])}
    clipped, count = reference.clip(d, 1.0)
    assert clipped["w"].tolist() == [-1.0, -1.0, 0.5, 1.0, 1.0]
    assert count == 2
    untouched, count = reference.clip(d, None)
    assert untouched["w"].tolist() == d["w"].tolist()
    assert count == 0


def test_adam_moves_by_the_learning_rate_at_first() -> None:
    # in the first step m_hat / sqrt(v_hat) is the gradient's sign, whatever its size
    w = {"w": np.array([1.0, 1.0, 1.0])}
    after = reference.Adam(0.01).step(w, {"w": np.array([1e3, -1e-3, 0.0])})
    expected = [1.0 - 0.01 * 1e3 / (1e3 + 1e-8), 1.0 + 0.01 * 1e-3 / (1e-3 + 1e-8), 1.0]
    assert after["w"] == near(expected, HAND_WORKED)


def test_an_epoch_weights_its_last_short_batch_by_rows() -> None:
    sizes = (5, 3, 2, 4, 2)
    values, (x, y) = parameters(sizes), batch(sizes)
    after, value, fraction = reference.epoch(
        values, x, y, reference.SGD(0.0), batch_size=2, clip_value=None
    )
    assert value == near(float(reference.loss(values, x, y)), HAND_WORKED)
    assert fraction == 0.0
    assert_close(after, values, 0.0)


# ---- the whole network ----

# At most three inputs and outputs, because each parameter needs a forward pass.
SMALL = [Case(**kinds, sizes=(4, 4, 2, 3, 3)) for kinds in pairs(KINDS)]


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_gradients_of_every_kind_agree_with_complex_step(case: Case) -> None:
    values, data = case_parameters(case), case_data(case)
    settings = problem(case, data)
    value, d = reference.gradients(values, data.x, data.y, **settings)
    assert value == reference.loss(values, data.x, data.y, **settings)
    expected = {name: complex_step(values, data.x, data.y, name, **settings) for name in values}
    assert_close(d, expected, COMPLEX_STEP)


def test_few_combinations_are_every_pair() -> None:
    assert len(SMALL) < 30
    for one, two in itertools.combinations(KINDS, 2):
        met = {(getattr(case, one), getattr(case, two)) for case in SMALL}
        assert met == set(itertools.product(KINDS[one], KINDS[two]))


def masks_of(case: Case, seed: int = 5) -> dict[str, Any]:
    """Random masks of both dropouts at a rate of 0.4."""
    n, timesteps, _, hidden, _ = case.sizes
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> Array:
        return (rng.uniform(size=shape) >= 0.4) / 0.6

    return {
        "dropout": [
            [drawn(timesteps, n, hidden) for _ in range(case.directions)]
            for _ in range(case.layers - 1)
        ],
        "recurrent_dropout": [
            [drawn(n, hidden) for _ in range(case.directions)] for _ in range(case.layers)
        ],
    }


@pytest.mark.parametrize("kind", ["dropout", "recurrent_dropout", "h0", "all three"])
@pytest.mark.parametrize("output", ["last", "all"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_with_masks_and_a_first_state_agree_with_complex_step(
    bidirectional: bool, output: str, kind: str
) -> None:
    case = Case(
        layers=3, bidirectional=bidirectional, output=output, ragged=True, sizes=(4, 5, 2, 3, 2)
    )
    values, data = case_parameters(case), case_data(case)
    shape = (case.layers * case.directions, 4, 3)
    chosen = masks_of(case) | {"h0": np.random.default_rng(6).standard_normal(shape)}
    if kind != "all three":
        chosen = {kind: chosen[kind]}
    settings = problem(case, data) | chosen
    plain = reference.loss(values, data.x, data.y, **problem(case, data))
    value, d = reference.gradients(values, data.x, data.y, **settings)
    assert value != plain
    expected = {name: complex_step(values, data.x, data.y, name, **settings) for name in values}
    assert_close(d, expected, COMPLEX_STEP)


def test_two_layers_in_both_directions_by_hand() -> None:
    # one unit each; the second row has one step, and the NaN after it is not read
    w = {
        "Wx_l0": 0.5,
        "Wh_l0": -0.25,
        "b_l0": 0.1,
        "Wx_l0_reverse": -0.4,
        "Wh_l0_reverse": 0.3,
        "b_l0_reverse": -0.2,
        "Wx_l1": (0.7, -0.6),
        "Wh_l1": 0.2,
        "b_l1": 0.05,
        "Wx_l1_reverse": (-0.8, 0.9),
        "Wh_l1_reverse": -0.15,
        "b_l1_reverse": 0.0,
        "Wy": (2.0, -3.0),
        "by": 1.0,
    }
    values = {
        name: np.array(v, dtype=float).reshape(-1)
        if name[0] == "b"
        else np.array(v, dtype=float).reshape(-1, 1)
        for name, v in w.items()
    }
    tanh = math.tanh
    f1 = tanh(0.5 * 1.0 + 0.1)
    f2 = tanh(0.5 * 3.0 - 0.25 * f1 + 0.1)
    r2 = tanh(-0.4 * 3.0 - 0.2)
    r1 = tanh(-0.4 * 1.0 + 0.3 * r2 - 0.2)
    g1 = tanh(0.7 * f1 - 0.6 * r1 + 0.05)
    g2 = tanh(0.7 * f2 - 0.6 * r2 + 0.2 * g1 + 0.05)
    s2 = tanh(-0.8 * f2 + 0.9 * r2)
    s1 = tanh(-0.8 * f1 + 0.9 * r1 - 0.15 * s2)
    short_f, short_r = tanh(0.5 * 2.0 + 0.1), tanh(-0.4 * 2.0 - 0.2)
    short_g = tanh(0.7 * short_f - 0.6 * short_r + 0.05)
    short_s = tanh(-0.8 * short_f + 0.9 * short_r)
    short_y = 2.0 * short_g - 3.0 * short_s + 1.0
    x, lengths = np.array([[[1.0], [3.0]], [[2.0], [np.nan]]]), np.array([2, 1])
    last = reference.run(values, x, lengths=lengths)
    assert last.output[:, 0].tolist() == near([2.0 * g2 - 3.0 * s1 + 1.0, short_y], HAND_WORKED)
    assert last.h_n[:, 0, 0].tolist() == near([f2, r1, g2, s1], HAND_WORKED)
    assert last.h_n[:, 1, 0].tolist() == near([short_f, short_r, short_g, short_s], HAND_WORKED)
    assert last.states[0].ravel().tolist() == near([g1, s1, g2, s2], HAND_WORKED)
    assert last.states[1].ravel().tolist() == near([short_g, short_s, 0.0, 0.0], HAND_WORKED)
    every = reference.run(values, x, lengths=lengths, output="all")
    assert every.output[0, :, 0].tolist() == near(
        [2.0 * g1 - 3.0 * s1 + 1.0, 2.0 * g2 - 3.0 * s2 + 1.0], HAND_WORKED
    )
    assert every.output[1, :, 0].tolist() == near([short_y, 0.0], HAND_WORKED)


def test_relu_by_hand() -> None:
    values = {
        "Wx_l0": np.array([[1.0, -1.0]]),
        "Wh_l0": np.array([[0.5, 0.0], [0.0, 2.0]]),
        "Wy": np.array([[1.0], [10.0]]),
    }
    done = reference.run(values, np.array([[[1.0], [-2.0], [1.0]]]), nonlinearity="relu")
    # 1, 0;  0.5 - 2 < 0, 2;  0 + 1, 4 - 1
    assert done.states.tolist() == [[[1.0, 0.0], [0.0, 2.0], [1.0, 3.0]]]
    assert done.output.tolist() == [[31.0]]
    assert done.kink == near(1.0 / math.sqrt((1.0 + 9.0) / 2.0), HAND_WORKED)


EVERYTHING = Case(
    layers=2, bidirectional=True, output="all", ragged=True, missing=True, weighted=True
)


def test_a_row_does_not_depend_on_those_beside_it() -> None:
    values, data = case_parameters(EVERYTHING), case_data(EVERYTHING)
    assert data.lengths is not None
    whole = reference.run(values, data.x, output="all", lengths=data.lengths)
    for i, length in enumerate(data.lengths):
        alone = reference.run(values, data.x[i : i + 1, :length], output="all")
        assert relative_error(whole.output[i, :length], alone.output[0]) <= HAND_WORKED
        assert relative_error(whole.states[i, :length], alone.states[0]) <= HAND_WORKED
        assert relative_error(whole.h_n[:, i], alone.h_n[:, 0]) <= HAND_WORKED
        assert not whole.output[i, length:].any()
        assert not whole.states[i, length:].any()


def test_a_state_carries_on_where_it_was_taken() -> None:
    case = Case(layers=3, ragged=True)
    values, data = case_parameters(case), case_data(case)
    assert data.lengths is not None
    whole = reference.run(values, data.x, lengths=data.lengths)
    first = reference.run(values, data.x[:, :3], lengths=np.minimum(data.lengths, 3))
    second = reference.run(
        values, data.x[:, 3:], lengths=np.maximum(data.lengths - 3, 0), h0=first.h_n
    )
    assert whole.h_n.tolist() == second.h_n.tolist()
    assert whole.output.tolist() == second.output.tolist()


def test_tokens_are_one_hot_vectors() -> None:
    case = Case(layers=2, bidirectional=True, tokens=True)
    values, data = case_parameters(case), case_data(case)
    one_hot = np.eye(3)[data.x]
    value, d = reference.gradients(values, data.x, data.y)
    expected, d_expected = reference.gradients(values, one_hot, data.y)
    assert float(value) == near(float(expected), HAND_WORKED)
    assert_close(d, d_expected, HAND_WORKED)


def test_a_missing_target_counts_as_if_it_were_not_there() -> None:
    case = Case(sizes=(6, 4, 2, 3, 2))
    values, data = case_parameters(case), case_data(case)
    y = data.y.copy()
    y[[1, 4]] = np.nan
    rest = [0, 2, 3, 5]
    value, d = reference.gradients(values, data.x, y)
    expected, d_expected = reference.gradients(values, data.x[rest], data.y[rest])
    assert float(value) == near(float(expected), HAND_WORKED)
    assert_close(d, d_expected, HAND_WORKED)
    y[0, 1] = np.nan
    output = reference.run(values, data.x).output
    squares = (output - data.y)[rest].ravel() ** 2
    assert float(reference.loss(values, data.x, y)) == near(
        float((squares.sum() - squares[1]) / 7), HAND_WORKED
    )


def test_weights_of_a_full_batch_are_an_average() -> None:
    case = Case(weighted=True)
    values, data = case_parameters(case), case_data(case)
    assert data.weights is not None
    errors = np.mean((reference.run(values, data.x).output - data.y) ** 2, axis=1)
    value = reference.loss(values, data.x, data.y, weights=reference.scaled(data.weights))
    assert float(value) == near(float(np.average(errors, weights=data.weights)), HAND_WORKED)


# ---- losses ----

# Zero errors, both sides of Huber's delta, and logits that would overflow.
OUTPUTS = np.array([[-800.0, -2.0, -0.5, 0.0, 0.3, 1.0, 5.0, 800.0]]).T
TARGETS = np.array([[0.0, 0.3, 1.0, -2.0, -0.5]])


@pytest.mark.parametrize(
    "criterion",
    [
        reference.Criterion("mse"),
        reference.Criterion("mae"),
        reference.Criterion("huber"),
        reference.Criterion("huber", delta=0.3),
        reference.Criterion("quantile", q=0.2),
        reference.Criterion("binary_cross_entropy"),
    ],
    ids=str,
)
def test_slopes_of_elements_are_complex_steps(criterion: reference.Criterion) -> None:
    targets = TARGETS[:, :3] if criterion.name == "binary_cross_entropy" else TARGETS
    slopes = criterion.slopes(OUTPUTS, targets)
    stepped = criterion.elements(OUTPUTS + 1e-30j, targets).imag / 1e-30
    smooth = (targets != OUTPUTS) | (criterion.name in ("mse", "huber", "binary_cross_entropy"))
    assert slopes[smooth] == near(stepped[smooth], COMPLEX_STEP)
    assert not slopes[~smooth].any()
    assert (~smooth).any() == (criterion.name in ("mae", "quantile"))


def test_slopes_of_cross_entropy_are_complex_steps() -> None:
    criterion = reference.Criterion("cross_entropy")
    z = np.array([[0.5, -1.0, 2.0, 0.0], [800.0, -800.0, 0.0, 799.0], [-900.0, -901.0, -902, -903]])
    y = np.array([2, 3, 0])
    slopes = criterion.slopes(z, y)
    for k in range(4):
        stepped = z.astype(complex)
        stepped[:, k] += 1e-30j
        expected = criterion.elements(stepped, y).imag / 1e-30
        assert np.abs(slopes[:, k] - expected).max() <= COMPLEX_STEP


def test_losses_by_hand() -> None:
    def one(criterion: reference.Criterion, output: Any, y: Any) -> Any:
        return criterion.elements(np.array(output), np.array(y)).tolist()

    e, y = [3.0, -0.5, 0.0], [1.0, 0.0, 0.0]
    assert one(reference.Criterion("mse"), e, y) == [4.0, 0.25, 0.0]
    assert one(reference.Criterion("mae"), e, y) == [2.0, 0.5, 0.0]
    assert one(reference.Criterion("huber"), e, y) == [1.5, 0.125, 0.0]
    assert one(reference.Criterion("huber", delta=4.0), e, y) == [2.0, 0.125, 0.0]
    # an output that is too low costs q, one that is too high 1 - q
    assert one(reference.Criterion("quantile", q=0.75), e, y) == [0.5, 0.375, 0.0]
    assert one(reference.Criterion("quantile", q=[0.75, 0.25, 0.5]), e, y) == [0.5, 0.125, 0.0]
    logits, truth = [0.0, 2.0, -2.0, 1000.0, -1000.0, 0.0], [1.0, 1.0, 1.0, 0.0, 0.0, 0.25]
    assert one(reference.Criterion("binary_cross_entropy"), logits, truth) == near(
        [math.log(2), math.log1p(math.exp(-2)), math.log1p(math.exp(2)), 1000.0, 0.0, math.log(2)],
        HAND_WORKED,
    )
    logits_of_classes = [[0.0, 0.0, math.log(2)], [1000.0, 0.0, -1000.0]]
    assert one(reference.Criterion("cross_entropy"), logits_of_classes, [2, 1]) == near(
        [math.log(2), 1000.0], HAND_WORKED
    )


# ---- training ----


def test_batches_with_lengths_are_sorted_longest_first_and_ties_keep_their_place() -> None:
    order, lengths = np.array([3, 1, 4, 0, 2]), np.array([5, 2, 9, 2, 7])
    assert [b.tolist() for b in reference.batches(order, 3, lengths)] == [[4, 3, 1], [2, 0]]
    assert [b.tolist() for b in reference.batches(order, 3, None)] == [[3, 1, 4], [0, 2]]


def test_a_chunk_of_every_step_is_the_whole() -> None:
    values, data = case_parameters(EVERYTHING), case_data(EVERYTHING)
    settings: dict[str, Any] = problem(EVERYTHING, data) | {"batch_size": 2, "clip_value": None}
    whole = reference.epoch(values, data.x, data.y, reference.SGD(0.1), **settings)
    chunk = reference.epoch(
        values, data.x, data.y, reference.SGD(0.1), truncated_bptt_steps=7, **settings
    )
    assert chunk[1:] == near(whole[1:], HAND_WORKED)
    assert_close(chunk[0], whole[0], HAND_WORKED)


def test_truncated_updates_one_by_one() -> None:
    # rows of 5, 3 and 2 steps in chunks of 2, with outputs at every step or only at the last
    case = Case(layers=2, sizes=(3, 5, 2, 3, 2))
    before, data = case_parameters(case), case_data(case)
    lengths, x = np.array([5, 3, 2]), data.x
    sgd = reference.SGD(0.1)

    def updated(w: dict[str, Array], *batch: Any, **network: Any) -> tuple[Any, dict[str, Array]]:
        value, d = reference.gradients(w, *batch, **network)
        return value, sgd.step(w, d)

    y = np.random.default_rng(0).standard_normal((3, 5, 2))
    w, every = before, {"output": "all"}
    first, after = updated(w, x[:, :2], y[:, :2], **every)
    h = reference.run(w, x[:, :2]).h_n
    second, w = updated(
        after, x[:2, 2:4], y[:2, 2:4], lengths=np.array([2, 1]), h0=h[:, :2], **every
    )
    h = reference.run(after, x[:2, 2:4], h0=h[:, :2]).h_n
    third, w = updated(w, x[:1, 4:], y[:1, 4:], h0=h[:, :1], **every)
    settings: dict[str, Any] = {"batch_size": 3, "clip_value": None, "truncated_bptt_steps": 2}
    found, value, _ = reference.epoch(before, x, y, sgd, lengths=lengths, **settings, **every)
    assert_close(found, w, HAND_WORKED)
    assert float(value) == near(float((6 * first + 3 * second + third) / 10), HAND_WORKED)

    y = y[:, 0]
    first, after = updated(before, x[2:, :2], y[2:])
    h = reference.run(before, x[:, :2]).h_n
    second, w = updated(after, x[1:2, 2:3], y[1:2], h0=h[:, 1:2])
    h = reference.run(after, x[:1, 2:4], h0=h[:, :1]).h_n
    third, w = updated(w, x[:1, 4:], y[:1], h0=h)
    found, value, _ = reference.epoch(before, x, y, sgd, lengths=lengths, **settings)
    assert_close(found, w, HAND_WORKED)
    assert float(value) == near(float((first + second + third) / 3), HAND_WORKED)


@pytest.mark.parametrize("why", ["no target", "no weight"])
def test_a_batch_without_valid_elements_makes_no_update(why: str) -> None:
    case = Case(sizes=(6, 4, 2, 3, 2))
    values, data = case_parameters(case), case_data(case)
    y, weights = data.y.copy(), np.ones(6)
    if why == "no target":
        y[2:4] = np.nan
    else:
        weights[2:4] = 0.0
    rest = [0, 1, 4, 5]
    settings: dict[str, Any] = {"batch_size": 2, "clip_value": 1.0}
    whole, part = reference.Adam(0.1), reference.Adam(0.1)
    found = reference.epoch(values, data.x, y, whole, weights=weights, **settings)
    expected = reference.epoch(values, data.x[rest], data.y[rest], part, **settings)
    assert whole.steps == part.steps == 2
    assert found[1:] == expected[1:]
    assert_close(found[0], expected[0], 0.0)


def test_training_takes_each_epochs_order_masks_and_scaled_weights() -> None:
    case = Case(layers=2, ragged=True, weighted=True)
    values, data, masks = case_parameters(case), case_data(case), masks_of(case)
    lengths, weights, sgd = data.lengths, data.weights, reference.SGD(0.1)
    assert lengths is not None
    assert weights is not None

    def dropout(e: int, rows: Array) -> reference.Masks:
        return [[(1.0 + e) * mask[:, rows] for mask in layer] for layer in masks["dropout"]]

    settings: dict[str, Any] = {"batch_size": 2, "clip_value": 1.0}
    found, losses = reference.train(
        values,
        data.x,
        data.y,
        sgd,
        epochs=2,
        seed=3,
        lengths=lengths,
        weights=weights,
        dropout=dropout,
        **settings,
    )
    expected, losses_expected = values, []
    for e, order in enumerate(np.random.default_rng([3, e]).permutation(5) for e in range(2)):
        expected, value, _ = reference.epoch(
            expected,
            data.x[order],
            data.y[order],
            sgd,
            lengths=lengths[order],
            weights=weights[order] / weights.mean(),
            dropout=lambda rows, e=e, order=order: dropout(e, order[rows]),  # type: ignore[misc]
            **settings,
        )
        losses_expected.append(float(value))
    assert_close(found, expected, 0.0)
    assert losses == losses_expected


# ---- the notebook ----


def test_the_notebook_differs_from_the_chain_rule_in_its_recurrent_weights_alone() -> None:
    sizes = (1, 25, 1, 20, 1)
    x, y = batch(sizes)
    before = parameters(sizes, bias=False)
    steps = {}
    for exact in (False, True):
        rnn = reference.NotebookRNN(x, y, 20, exact=exact)
        rnn.Wx, rnn.Wh, rnn.Wy = (value.copy() for value in before.values())
        rnn.lr = 1.0
        rnn.forward(0)
        rnn.backward()
        after = {"Wx_l0": rnn.Wx, "Wh_l0": rnn.Wh, "Wy": rnn.Wy}
        steps[exact] = {name: before[name] - after[name] for name in before}
    # the notebook's loss is half the squared error; with one row and one output, ours is all of it
    _, d = reference.gradients(before, x, y)
    expected, _ = reference.clip({name: 0.5 * g for name, g in d.items()}, 1.0)
    assert_close(steps[True], expected, DIFFERENCE_OF_WEIGHTS)
    assert relative_error(steps[False]["Wy"], expected["Wy"]) < DIFFERENCE_OF_WEIGHTS
    assert relative_error(steps[False]["Wx_l0"], expected["Wx_l0"]) > 0.1
    assert relative_error(steps[False]["Wh_l0"], expected["Wh_l0"]) > 0.1


def test_the_notebook_prints_what_it_printed(capsys: pytest.CaptureFixture[str]) -> None:
    # "Shape of x: (275, 25, 1)", and the first of its losses was 1.4e-01 (unseeded)
    x, y = reference.notebook_dataset(300)
    assert (x.shape, y.shape) == ((275, 25, 1), (275, 1))
    np.random.seed(0)
    rnn = reference.NotebookRNN(x, y, 100)
    rnn.train(1, 1e-2)
    printed = capsys.readouterr().out
    assert printed == f"Epoch: 1 | Loss: {rnn.Ovr_loss[0]:.6e}\n"
    assert 0.05 < rnn.Ovr_loss[0] < 0.3
