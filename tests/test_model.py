"""crnn.RNN: initialisation, predict, loss and gradients against the reference, state and files."""

# Only the notebook draws from NumPy's global generator.

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import reference
from networks import bits, network, same_bits
from samples import SIZES, Sizes, batch, size_name
from tolerances import (
    DRAWN_DEVIATION,
    FLOAT32,
    FLOAT64,
    GLOROT_REACHED,
    ORTHOGONAL,
    assert_close,
    near,
    relative_error,
)

from crnn import RNN

pytestmark = pytest.mark.kernel

BOUND = {"float32": FLOAT32, "float64": FLOAT64}
NAMES = ["Wx_l0", "Wh_l0", "b_l0", "Wy", "by"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", SIZES, ids=size_name)
class TestAgainstTheReference:
    """predict, loss and gradients at every size, in both types."""

    def test_predict(self, sizes: Sizes, dtype: str) -> None:
        model, (x, _) = network(sizes, dtype), batch(sizes, dtype)
        expected = reference.forward(reference.double(model.parameters()), x.astype(float))[1]
        y = model.predict(x)
        assert (y.dtype, y.shape) == (np.dtype(dtype), (sizes[0], sizes[4]))
        assert relative_error(y, expected) <= BOUND[dtype]

    def test_loss(self, sizes: Sizes, dtype: str) -> None:
        model, (x, y) = network(sizes, dtype), batch(sizes, dtype)
        expected = reference.loss(
            reference.double(model.parameters()), x.astype(float), y.astype(float)
        )
        value = model.loss(x, y)
        assert isinstance(value, float)
        assert value == near(float(expected), BOUND[dtype])
        assert model.loss(x, y, loss="mse") == value

    @pytest.mark.parametrize("bias", [True, False])
    def test_gradients(self, sizes: Sizes, dtype: str, bias: bool) -> None:
        model, (x, y) = network(sizes, dtype, bias=bias), batch(sizes, dtype)
        before = bits(model)
        expected, d_expected = reference.gradients(
            reference.double(model.parameters()), x.astype(float), y.astype(float)
        )
        value, d = model.gradients(x, y)
        assert isinstance(value, float)
        assert value == near(float(expected), BOUND[dtype])
        assert {g.dtype for g in d.values()} == {np.dtype(dtype)}
        assert_close(d, d_expected, BOUND[dtype])
        assert bits(model) == before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-3, 30.0])
def test_small_and_saturating_inputs(scale: float, dtype: str) -> None:
    sizes = (19, 6, 3, 21, 2)
    model, (x, y) = network(sizes, dtype), batch(sizes, dtype)
    x = (scale * x).astype(dtype)
    value, d = model.gradients(x, y)
    expected, d_expected = reference.gradients(
        reference.double(model.parameters()), x.astype(float), y.astype(float)
    )
    assert value == near(float(expected), BOUND[dtype])
    # 1 - h^2 of a saturated unit cancels, so all arrays are compared together, as one gradient
    whole = math.sqrt(sum(float(np.sum(g**2)) for g in d_expected.values()))
    for name, g in d_expected.items():
        assert np.linalg.norm(d[name] - g) <= BOUND[dtype] * whole, name


def test_gradients_are_not_clipped() -> None:
    model, (x, y) = network((6, 4, 2, 9, 1)), batch((6, 4, 2, 9, 1))
    _, d = model.gradients(x, y + 1e4)
    assert min(float(np.abs(g).max()) for g in d.values()) > 100.0


def test_two_dimensional_x_is_one_feature_and_flat_y_one_output() -> None:
    sizes = (9, 6, 1, 11, 1)
    model, (x, y) = network(sizes, "float32"), batch(sizes, "float32")
    assert same_bits(model.predict(x[:, :, 0]), model.predict(x))
    assert model.loss(x[:, :, 0], y[:, 0]) == model.loss(x, y)
    value, d = model.gradients(x[:, :, 0], y[:, 0])
    expected, d_expected = model.gradients(x, y)
    assert value == expected
    assert all(same_bits(d[name], d_expected[name]) for name in NAMES)


def test_lists_are_taken_as_arrays() -> None:
    sizes = (3, 4, 2, 5, 2)
    model, (x, y) = network(sizes), batch(sizes)
    assert same_bits(model.predict(x.tolist()), model.predict(x))
    assert model.loss(x.tolist(), y.tolist()) == model.loss(x, y)


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_predict_leaves_its_input_alone(threads: int | None) -> None:
    sizes = (40, 5, 2, 17, 1)
    model, (x, _) = network(sizes, "float32"), batch(sizes, "float32")
    before = x.copy()
    first = model.predict(x, threads=threads)
    kept = first.copy()
    second = model.predict(2.0 * x, threads=threads)
    assert same_bits(x, before)
    assert same_bits(first, kept)
    assert not same_bits(first, second)


# ---- initialisation ----


def test_attributes_and_shapes() -> None:
    model = RNN(3, 8, 2, seed=5)
    assert (model.input_size, model.hidden_size, model.output_size) == (3, 8, 2)
    assert (model.bias, model.dtype, model.init, model.seed) == (
        True,
        np.dtype("float32"),
        "orthogonal",
        5,
    )
    parameters = model.parameters()
    assert list(parameters) == NAMES
    assert [w.shape for w in parameters.values()] == [(3, 8), (8, 8), (8,), (8, 2), (2,)]
    assert {w.dtype for w in parameters.values()} == {np.dtype("float32")}


def test_without_bias_there_are_three_parameters() -> None:
    assert list(RNN(1, 4, 1, bias=False).parameters()) == ["Wx_l0", "Wh_l0", "Wy"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_parameter_has_the_networks_type(dtype: str) -> None:
    model = RNN(1, 4, 1, dtype=dtype, seed=0)
    assert model.dtype == np.dtype(dtype)
    assert {w.dtype for w in model.parameters().values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("init", ["orthogonal", "notebook"])
def test_biases_start_at_zero(init: str) -> None:
    parameters = RNN(2, 7, 3, init=init, seed=1).parameters()
    assert not parameters["b_l0"].any()
    assert not parameters["by"].any()


@pytest.mark.parametrize(
    ("sizes", "networks"), [((1, 100, 1), 60), ((40, 60, 25), 5), ((2, 3, 5), 2000)]
)
def test_input_and_output_weights_are_glorot_uniform(
    sizes: tuple[int, int, int], networks: int
) -> None:
    inputs, hidden, outputs = sizes
    drawn = [RNN(*sizes, dtype="float64", seed=seed).parameters() for seed in range(networks)]
    for name, fans in (("Wx_l0", inputs + hidden), ("Wy", hidden + outputs)):
        w = np.concatenate([parameters[name].ravel() for parameters in drawn])
        bound = math.sqrt(6.0 / fans)
        assert w.size >= 6000
        assert GLOROT_REACHED * bound < w.max() <= bound
        assert -bound <= w.min() < -GLOROT_REACHED * bound
        # the variance of a uniform draw is bound^2 / 3
        assert np.std(w) == near(bound / math.sqrt(3.0), DRAWN_DEVIATION)
        assert abs(np.mean(w)) < 5.0 * bound / math.sqrt(3.0 * w.size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [1, 2, 3, 16, 31, 100, 257])
def test_recurrent_weights_are_orthogonal(hidden: int, dtype: str) -> None:
    wh = RNN(1, hidden, 1, dtype=dtype, seed=3).parameters()["Wh_l0"].astype(np.float64)
    assert np.abs(wh @ wh.T - np.eye(hidden)).max() <= ORTHOGONAL[dtype]


def test_orthogonal_weights_are_of_no_special_form() -> None:
    # an identity or a permutation is orthogonal too, but has zeros
    drawn = [
        RNN(1, 5, 1, dtype="float64", seed=seed).parameters()["Wh_l0"].copy() for seed in range(40)
    ]
    assert {round(float(np.linalg.det(wh))) for wh in drawn} <= {-1, 1}
    assert min(float(np.abs(wh).min()) for wh in drawn) > 0.0
    # under the Haar measure every element has mean 0 and variance 1/5
    assert np.abs(np.mean(drawn, axis=0)).max() < 5.0 * math.sqrt(0.2 / 40)


def test_init_notebook_draws_normal_numbers_of_a_hundredth() -> None:
    parameters = RNN(100, 100, 100, init="notebook", dtype="float64", seed=4).parameters()
    for name in ("Wx_l0", "Wh_l0", "Wy"):
        w = parameters[name]
        assert np.std(w) == near(0.01, DRAWN_DEVIATION)
        assert abs(np.mean(w)) < 5.0 * 0.01 / math.sqrt(w.size)
        assert np.abs(w).max() > 0.03  # beyond three sigma: 27 of 10,000 normal draws, no uniform


@pytest.mark.parametrize("init", ["orthogonal", "notebook"])
def test_a_seed_gives_the_same_network(init: str) -> None:
    def drawn(seed: int | None) -> dict[str, bytes]:
        return bits(RNN(2, 9, 2, init=init, seed=seed))

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert drawn(None) != drawn(None)


def test_no_global_state_is_drawn_from() -> None:
    np.random.seed(0)
    before = np.random.get_state(legacy=False)
    RNN(2, 9, 2)
    RNN(2, 9, 2, init="notebook", seed=1)
    after = np.random.get_state(legacy=False)
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert before["state"]["pos"] == after["state"]["pos"]
    assert (before["state"]["key"] == after["state"]["key"]).all()


# ---- parameters, state_dict, files ----


def test_parameters_are_live() -> None:
    sizes = (4, 3, 2, 6, 2)
    model, (x, _) = network(sizes), batch(sizes)
    before = model.predict(x)
    model.parameters()["by"] += 1.0
    assert model.predict(x) == near(before + 1.0, FLOAT64)
    model.parameters()["Wy"][:] = 0.0
    assert same_bits(model.predict(x), np.broadcast_to(model.parameters()["by"], (4, 2)).copy())


def test_state_dict_is_a_copy() -> None:
    model = network((1, 1, 2, 6, 2))
    before, state = bits(model), model.state_dict()
    assert list(state) == NAMES
    for value in state.values():
        value += 1.0
    assert bits(model) == before


def test_load_state_dict_writes_into_the_live_arrays_and_copies() -> None:
    model, other = network((1, 1, 2, 6, 2), seed=1), network((1, 1, 2, 6, 2), seed=2)
    live, state = model.parameters(), other.state_dict()
    model.load_state_dict(state)
    assert bits(model) == bits(other)
    assert {name: value.tobytes() for name, value in live.items()} == bits(other)
    for value in state.values():
        value += 1.0
    assert bits(model) == bits(other)


def test_load_state_dict_converts_to_the_networks_type_and_order() -> None:
    model, other = network((1, 1, 2, 6, 2), "float32", seed=1), network((1, 1, 2, 6, 2), seed=2)
    state = other.state_dict()
    model.load_state_dict({name: np.asfortranarray(state[name]) for name in reversed(NAMES)})
    assert list(model.parameters()) == NAMES
    for name, value in model.parameters().items():
        assert same_bits(value, state[name].astype(np.float32))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_save_and_load(tmp_path: Path, dtype: str, bias: bool) -> None:
    sizes = (6, 5, 3, 11, 2)
    model, (x, y) = network(sizes, dtype, bias=bias), batch(sizes, dtype)
    path = tmp_path / "a network.crnn"
    model.save(path)
    loaded = RNN.load(str(path))
    assert type(loaded) is RNN
    for attribute in ("input_size", "hidden_size", "output_size", "bias", "dtype", "init", "seed"):
        assert getattr(loaded, attribute) == getattr(model, attribute), attribute
    assert bits(loaded) == bits(model)
    assert same_bits(loaded.predict(x), model.predict(x))
    assert loaded.loss(x, y) == model.loss(x, y)


def test_a_saved_network_is_one_file_and_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "network"
    network((1, 1, 2, 6, 2), seed=1).save(path)
    other = network((1, 1, 3, 4, 1), seed=2)
    other.save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["network"]
    assert bits(RNN.load(path)) == bits(other)


def test_a_loaded_network_is_writable(tmp_path: Path) -> None:
    model = network((1, 1, 2, 6, 2))
    model.save(tmp_path / "network")
    loaded = RNN.load(tmp_path / "network")
    for name, value in loaded.parameters().items():
        value += 1.0
        assert same_bits(loaded.state_dict()[name], model.state_dict()[name] + 1.0)
