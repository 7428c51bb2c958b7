"""crnn.notebook prints, trains and stores the same as the notebook's code."""

# Only the notebook draws from NumPy's global generator.

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from samples import Array, lasting_batch, lasting_parameters
from tolerances import (
    FLOAT64,
    LASTING_TRAINED,
    NOTEBOOK,
    NOTEBOOK_LOSS,
    near,
    relative_error,
)

from crnn import notebook

pytestmark = pytest.mark.kernel

Pair = tuple[notebook.RNN, reference.NotebookRNN]


def pair(x: Array, y: Array, hidden_units: int, *, exact: bool = False, seed: int = 0) -> Pair:
    """The package's RNN and the notebook's, from the same seed of NumPy's global generator."""
    np.random.seed(seed)
    theirs = reference.NotebookRNN(x, y, hidden_units, exact=exact)
    np.random.seed(seed)
    if exact:
        return notebook.RNN(x, y, hidden_units, gradient="exact"), theirs
    return notebook.RNN(x, y, hidden_units), theirs


def small(outputs: int = 1, timesteps: int = 6, hidden: int = 7) -> Pair:
    """A pair on random data, with weights so large that tanh bends and gradients are clipped."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((9, timesteps, 1))
    y = 2.0 * rng.standard_normal((9, outputs))
    ours, theirs = pair(x, y, hidden)
    for name in ("Wx", "Wh", "Wy"):
        setattr(ours, name, 60.0 * getattr(ours, name))
        setattr(theirs, name, 60.0 * getattr(theirs, name))
    return ours, theirs


def assert_same_weights(ours: Any, theirs: Any, tolerance: float = NOTEBOOK) -> None:
    for name in ("Wx", "Wh", "Wy"):
        actual, expected = getattr(ours, name), getattr(theirs, name)
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), name
        assert relative_error(actual, expected) < tolerance, name


def assert_same_list(actual: Any, expected: list[Array]) -> None:
    assert isinstance(actual, list)
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        assert one.shape == other.shape
        assert relative_error(one, other) < FLOAT64


def assert_same_forward(ours: Any, theirs: Any) -> None:
    """The attributes that forward() sets."""
    assert_same_list(ours.inputs, theirs.inputs)
    assert_same_list(ours.hidden_states, theirs.hidden_states)
    assert ours.yt.shape == theirs.yt.shape
    assert ours.yt == near(theirs.yt, FLOAT64)
    assert ours.error.shape == theirs.error.shape
    assert ours.error == near(theirs.error, FLOAT64)


@pytest.mark.parametrize("size", [26, 27, 60, 300])
def test_dataset(size: int) -> None:
    x, y = notebook.dataset(size)
    x_expected, y_expected = reference.notebook_dataset(size)
    assert (x.shape, y.shape, x.dtype, y.dtype) == (
        x_expected.shape,
        y_expected.shape,
        x_expected.dtype,
        y_expected.dtype,
    )
    assert (x == x_expected).all()
    assert (y == y_expected).all()


def test_dataset_defaults_and_names() -> None:
    x, y = notebook.dataset()
    assert (x.shape, y.shape) == ((175, 25, 1), (175, 1))
    x, y = notebook.dataset(size=10, timesteps=4)
    assert (x.shape, y.shape) == ((6, 4, 1), (6, 1))


def test_the_weights_are_drawn_from_the_global_generator_in_the_notebooks_order() -> None:
    x, y = notebook.dataset(40)
    np.random.seed(11)
    ours = notebook.RNN(x, y, 9)
    after = np.random.random()
    np.random.seed(11)
    theirs = reference.NotebookRNN(x, y, 9)
    assert after == np.random.random()
    for name in ("Wx", "Wh", "Wy"):
        assert getattr(ours, name).dtype == np.float64
        assert (getattr(ours, name) == getattr(theirs, name)).all(), name
    assert ours.hidden_units == 9
    assert ours.x is x
    assert ours.y is y


@pytest.mark.parametrize("exact", [False, True], ids=["shifted", "exact"])
def test_fifty_epochs_of_the_notebook(capsys: pytest.CaptureFixture[str], exact: bool) -> None:
    x, y = notebook.dataset(300)
    x_test, y_test = notebook.dataset(300)
    ours, theirs = pair(x, y, 100, exact=exact)
    printed, losses = [], []
    for rnn in (ours, theirs):
        rnn.train(50, 1e-2)
        losses.append(rnn.test(x_test, y_test))
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[0].count("\n") == 7  # epochs 1, 10, 20, 30, 40, 50 and the test
    assert_same_weights(ours, theirs)
    assert ours.Ovr_loss == near(theirs.Ovr_loss, NOTEBOOK_LOSS)
    assert losses[0] == near(losses[1], NOTEBOOK_LOSS)
    # the notebook's own figures: 1.41e-01 after one epoch, under 1e-6 after fifty, 2e-05 in test
    assert 0.05 < ours.Ovr_loss[0] < 0.3
    assert ours.Ovr_loss[-1] < 1e-5
    assert losses[0] < 1e-4


@pytest.mark.parametrize("verbose", [0, 1, 2, 3, 4, 5])
def test_every_verbose_level_prints_as_the_notebook_does(
    capsys: pytest.CaptureFixture[str], verbose: int
) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = pair(rng.standard_normal((3, 4, 1)), rng.standard_normal((3, 1)), 5)
    ours.train(201, 1e-2, verbose=verbose)
    printed = capsys.readouterr()
    theirs.train(201, 1e-2, verbose=verbose)
    assert printed.out == capsys.readouterr().out
    assert printed.err == ""


def test_verbose_is_the_third_argument_and_two_by_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours, _ = small()
    ours.train(epochs=20, learning_rate=1e-3)
    by_default = capsys.readouterr().out
    ours, _ = small()
    ours.train(20, 1e-3, 2)
    assert capsys.readouterr().out == by_default
    assert [line.split(" |")[0] for line in by_default.splitlines()] == [
        "Epoch: 1",
        "Epoch: 10",
        "Epoch: 20",
    ]


@pytest.mark.parametrize(("outputs", "timesteps", "hidden"), [(1, 6, 7), (3, 2, 16), (1, 1, 1)])
def test_forward_and_backward_one_by_one(outputs: int, timesteps: int, hidden: int) -> None:
    # T = 1: the only step uses the state before it, and itself through index -1
    ours, theirs = small(outputs, timesteps, hidden)
    for rnn in (ours, theirs):
        rnn.lr = 0.1
    for sample in (0, 3, 8, -1):
        ours.forward(sample)
        theirs.forward(sample)
        assert_same_forward(ours, theirs)
        assert float(ours.loss) == near(float(theirs.loss), FLOAT64)
        ours.backward()
        theirs.backward()
        assert_same_weights(ours, theirs)


def test_cell() -> None:
    ours, theirs = small()
    xt, ht_1 = np.array([[0.7]]), np.full((1, 7), 0.2)
    for actual, expected in zip(ours.cell(xt, ht_1), theirs.cell(xt, ht_1), strict=True):
        assert actual.shape == expected.shape
        assert actual == near(expected, FLOAT64)


def test_the_attributes_after_training_are_the_notebooks() -> None:
    ours, theirs = small()
    ours.train(3, 1e-2, verbose=0)
    theirs.train(3, 1e-2, verbose=0)
    assert_same_forward(ours, theirs)
    assert isinstance(ours.Ovr_loss, list)
    assert ours.Ovr_loss == near(theirs.Ovr_loss, FLOAT64)
    assert ours.lr == theirs.lr == 1e-2
    assert ours.loss == theirs.loss == 0
    assert_same_weights(ours, theirs)


def test_the_attributes_after_testing_are_the_notebooks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours, theirs = small()
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((5, 8, 1)), rng.standard_normal(5)  # y is made (5, 1)
    value, expected = ours.test(x, y), theirs.test(x, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[1]
    assert value == near(expected, FLOAT64)
    assert ours.loss == value
    assert ours.outputs.shape == theirs.outputs.shape == (5, 1)
    assert ours.outputs == near(theirs.outputs, FLOAT64)
    assert ours.y.shape == theirs.y.shape == (5, 1)
    assert (ours.x == x).all()
    assert_same_forward(ours, theirs)
    assert not hasattr(ours, "Ovr_loss")


def test_training_continues_from_weights_and_data_that_were_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours, theirs = small()
    rng = np.random.default_rng(7)
    wh = 0.3 * rng.standard_normal((7, 7))
    x, y = rng.standard_normal((5, 3, 1)), rng.standard_normal((5, 1))
    for rnn in (ours, theirs):
        rnn.train(2, 1e-2)
        rnn.Wh = wh.copy()
        rnn.test(x, y)  # keeps its data
        rnn.train(2, 1e-2)
    capsys.readouterr()
    assert_same_weights(ours, theirs)
    assert len(ours.Ovr_loss) == 2


def test_the_exact_gradient_is_the_chain_rules() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((4, 6, 1)), rng.standard_normal((4, 1))
    for scale in (1.0, 60.0):
        ours, theirs = pair(x, y, 7, exact=True)
        for name in ("Wx", "Wh", "Wy"):
            setattr(ours, name, scale * getattr(ours, name))
            setattr(theirs, name, scale * getattr(theirs, name))
        ours.train(5, 0.05, verbose=0)
        theirs.train(5, 0.05, verbose=0)
        assert_same_weights(ours, theirs)
    shifted, _ = pair(x, y, 7)
    for name in ("Wx", "Wh", "Wy"):
        setattr(shifted, name, 60.0 * getattr(shifted, name))
    shifted.train(5, 0.05, verbose=0)
    assert relative_error(shifted.Wh, ours.Wh) > 1e-3


@pytest.mark.parametrize("exact", [False, True], ids=["shifted", "exact"])
def test_gradients_that_live_for_three_hundred_steps(exact: bool) -> None:
    sizes = (3, 300, 1, 16, 1)
    values, (x, y) = lasting_parameters(sizes), lasting_batch(sizes)
    ours, theirs = pair(x, y, 16, exact=exact)
    for rnn in (ours, theirs):
        rnn.Wx, rnn.Wh, rnn.Wy = (values[name].copy() for name in ("Wx_l0", "Wh_l0", "Wy"))
        rnn.train(2, 0.01, verbose=0)
    assert_same_weights(ours, theirs, LASTING_TRAINED["float64"])
    assert relative_error(ours.Wh, values["Wh_l0"]) > 0.01  # the weights have changed


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
def test_a_gradient_that_is_no_number_makes_the_weights_none() -> None:
    # dh = dy Wy' is infinite, and h' da = 0 * inf at the first step: clipping must not hide it.
    # Two samples, because the last one runs in Python.
    x, y = np.zeros((2, 4, 1)), np.array([[1e308], [0.0]])
    ours, theirs = pair(x, y, 3, exact=True)
    for rnn in (ours, theirs):
        rnn.Wy[:] = [[1e3], [0.0], [-1e3]]
        rnn.train(1, 0.01, verbose=0)
    assert np.isnan(theirs.Wh).all()
    assert np.isnan(ours.Wh).all()


def test_the_default_gradient_is_the_notebooks() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((4, 6, 1)), rng.standard_normal((4, 1))
    ours, theirs = pair(x, y, 7)
    np.random.seed(0)
    with pytest.raises(ValueError, match="gradient"):
        notebook.RNN(x, y, 7, gradient="nothing of this name")
    ours.train(3, 0.05, verbose=0)
    theirs.train(3, 0.05, verbose=0)
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_what_trains_can_be_tested(outputs: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 6, 1)), rng.standard_normal((9, outputs))
    np.random.seed(0)
    rnn = notebook.RNN(x, y, 7)
    rnn.train(2, 0.1, verbose=0)
    loss = rnn.test(x, y)
    expected = [rnn.forward(sample) or rnn.yt[0] for sample in range(9)]
    assert rnn.outputs.shape == (9, outputs)
    assert rnn.outputs.ravel().tolist() == near(np.array(expected).ravel().tolist(), FLOAT64)
    assert loss == near(0.5 * np.mean((np.array(expected) - y) ** 2), FLOAT64)
