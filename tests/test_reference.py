"""The reference is right: complex steps, hand-worked values, the notebook's own lines."""

# The notebook draws from NumPy's global generator, and nothing else may.

from __future__ import annotations

import math

import numpy as np
import pytest
import reference
from samples import SIZES, Array, Sizes, batch, parameters, size_name
from tolerances import (
    COMPLEX_STEP,
    DIFFERENCE_OF_WEIGHTS,
    HAND_WORKED,
    assert_close,
    near,
    relative_error,
)


def complex_step(values: dict[str, Array], x: Array, y: Array, name: str) -> Array:
    """d loss / d values[name]: Im(loss(w + i eps)) / eps, element by element."""
    eps = 1e-30
    d = np.empty(values[name].shape)
    for index in np.ndindex(d.shape):
        stepped = {key: value.astype(np.complex128) for key, value in values.items()}
        stepped[name][index] += 1j * eps
        d[index] = reference.loss(stepped, x, y).imag / eps
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
    # m_hat / sqrt(v_hat) is the gradient's sign at the first step, whatever its size
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
    # the notebook's loss is half the squared error, ours of one row and one output is all of it
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
