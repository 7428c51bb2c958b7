"""Gradients against PyTorch's autograd, steps against its optimisers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from networks import case_network, given, lasting_network, network
from samples import (
    KINDS,
    SIZES,
    Array,
    Case,
    Sizes,
    batch,
    case_data,
    case_parameters,
    lasting_batch,
    pairs,
    parameters,
    problem,
    size_name,
    suffixes,
)
from tolerances import AUTOGRAD, assert_close, near

from crnn import Trainer

torch: Any = pytest.importorskip(
    "torch", reason="torch is not installed: install it to compare with autograd"
)


def tensors(values: dict[str, Array]) -> dict[str, Any]:
    """The parameters as leaves that record their gradients."""
    return {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in values.items()
    }


def torch_loss(w: dict[str, Any], x: Array, y: Array, case: Case | None = None, **by: Any) -> Any:
    """The loss through torch.nn.RNN, whose weights are the transposes of ours.

    Rows of different lengths are packed, tokens are one-hot vectors. `by` has the reference's
    settings.
    """
    case = Case() if case is None else case
    inputs, hidden = w["Wx_l0"].shape
    rnn = torch.nn.RNN(
        inputs,
        hidden,
        num_layers=case.layers,
        bidirectional=case.bidirectional,
        nonlinearity=case.nonlinearity,
        batch_first=True,
    ).double()
    weights = {}
    for suffix in suffixes(case):
        weights[f"weight_ih{suffix}"] = w[f"Wx{suffix}"].T
        weights[f"weight_hh{suffix}"] = w[f"Wh{suffix}"].T
        zero = torch.zeros(hidden, dtype=torch.float64)
        weights[f"bias_ih{suffix}"] = w.get(f"b{suffix}", zero)
        weights[f"bias_hh{suffix}"] = zero
    lengths = np.full(len(x), x.shape[1]) if by.get("lengths") is None else by["lengths"]
    active = np.arange(x.shape[1]) < lengths[:, None]
    if case.tokens:
        x = np.eye(inputs)[np.where(active, x, 0)]
    x = np.where(active[:, :, None], x, 0.0)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(x), torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    states, h_n = torch.func.functional_call(rnn, weights, (packed,))
    if case.output == "last":
        states = torch.cat(list(h_n[-case.directions :]), dim=1)
    else:
        states, _ = torch.nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
    output = states @ w["Wy"] + w.get("by", 0.0)

    valid = y >= 0 if case.loss == "cross_entropy" else ~np.isnan(y)
    if case.output == "all":
        valid &= active.reshape(*active.shape, *[1] * (y.ndim - 2))
    target = torch.tensor(np.where(valid, y, 0))
    elements = torch_elements(case, output, target)
    share = np.ones(len(x)) if by.get("weights") is None else by["weights"]
    share = torch.tensor(valid * share.reshape(-1, *[1] * (y.ndim - 1)))
    return (elements * share).sum() / valid.sum()


def torch_elements(case: Case, output: Any, target: Any) -> Any:
    """The loss of each element by PyTorch's functions, and by a formula for quantiles."""
    functional = torch.nn.functional
    if case.loss == "cross_entropy":
        return functional.cross_entropy(output.movedim(-1, 1), target, reduction="none")
    if case.loss == "quantile":
        e = target - output
        q = torch.tensor(case.loss_settings["q"], dtype=torch.float64)
        return torch.maximum(q * e, (q - 1.0) * e)
    function = {
        "mse": functional.mse_loss,
        "mae": functional.l1_loss,
        "huber": functional.huber_loss,
        "binary_cross_entropy": functional.binary_cross_entropy_with_logits,
    }[case.loss]
    return function(output, target, reduction="none", **case.loss_settings)


def autograd(
    values: dict[str, Array], x: Array, y: Array, case: Case | None = None, **by: Any
) -> tuple[float, dict[str, Array]]:
    """The loss and its gradients."""
    w = tensors(values)
    value = torch_loss(w, x, y, case, **by)
    value.backward()
    # T = 1 from a zero state leaves Wh out of the graph of some builds
    return float(value.detach()), {
        name: np.zeros(t.shape) if t.grad is None else t.grad.numpy() for name, t in w.items()
    }


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", SIZES, ids=size_name)
def test_gradients_agree_with_autograd(sizes: Sizes, bias: bool) -> None:
    model, (x, y) = network(sizes, bias=bias), batch(sizes)
    expected, d_expected = autograd(model.state_dict(), x, y)
    value, d = model.gradients(x, y)
    assert value == near(expected, AUTOGRAD)
    assert_close(d, d_expected, AUTOGRAD)


@pytest.mark.parametrize(
    "sizes", [(3, 300, 1, 16, 1), (33, 100, 2, 130, 2), (250, 100, 1, 4, 1)], ids=size_name
)
def test_gradients_that_live_for_a_hundred_steps_agree_with_autograd(sizes: Sizes) -> None:
    model, (x, y) = lasting_network(sizes), lasting_batch(sizes)
    expected, d_expected = autograd(model.state_dict(), x, y)
    value, d = model.gradients(x, y)
    assert value == near(expected, AUTOGRAD)
    assert_close(d, d_expected, AUTOGRAD)


# Settings that contain every pair, and some with many at once.
CASES = [Case(**kinds, sizes=(9, 12, 3, 8, 4)) for kinds in pairs(KINDS)]
CASES += [
    Case(
        layers=3,
        bidirectional=True,
        nonlinearity=nonlinearity,
        output=output,
        ragged=True,
        tokens=tokens,
        loss=loss,
        missing=True,
        weighted=True,
        sizes=(33, 100, 5, 17, 3),
    )
    for nonlinearity, output, tokens, loss in [
        ("tanh", "last", False, "huber"),
        ("tanh", "all", True, "cross_entropy"),
        ("relu", "last", True, "binary_cross_entropy"),
        ("relu", "all", False, "quantile"),
    ]
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_reference_of_every_kind_agrees_with_autograd(case: Case) -> None:
    values, data = case_parameters(case), case_data(case)
    settings = problem(case, data)
    expected, d_expected = autograd(values, data.x, data.y, case, **settings)
    value, d = reference.gradients(values, data.x, data.y, **settings)
    assert value == near(expected, AUTOGRAD)
    assert_close(d, d_expected, AUTOGRAD)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gradients_of_every_kind_agree_with_autograd(case: Case) -> None:
    values, data = case_parameters(case), case_data(case)
    settings = problem(case, data)
    if data.weights is not None:
        settings["weights"] = reference.scaled(data.weights)
    expected, d_expected = autograd(values, data.x, data.y, case, **settings)
    value, d = case_network(case).gradients(data.x, data.y, **given(case, data))
    assert value == near(expected, AUTOGRAD)
    assert_close(d, d_expected, AUTOGRAD)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("clip_value", [None, 0.05])
def test_trained_parameters_agree_with_torch_optimisers(
    optimizer: str, clip_value: float | None
) -> None:
    sizes, batch_size, epochs, learning_rate = (11, 4, 2, 9, 2), 4, 3, 0.02
    model, (x, y) = network(sizes), batch(sizes)
    w = tensors(model.state_dict())
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    optimiser = kind(list(w.values()), lr=learning_rate)
    ours = reference.optimizer(optimizer, learning_rate)
    expected = parameters(sizes)
    for _ in range(epochs):
        for start in range(0, sizes[0], batch_size):
            rows = slice(start, start + batch_size)
            optimiser.zero_grad()
            torch_loss(w, x[rows], y[rows]).backward()
            if clip_value is not None:
                torch.nn.utils.clip_grad_value_(list(w.values()), clip_value)
            optimiser.step()
        expected, _, _ = reference.epoch(
            expected, x, y, ours, batch_size=batch_size, clip_value=clip_value
        )
    theirs = {name: t.detach().numpy() for name, t in w.items()}
    assert_close(expected, theirs, AUTOGRAD)
    Trainer(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        clip_value=clip_value,
        shuffle=False,
    ).fit(model, x, y)
    assert_close(model.parameters(), theirs, AUTOGRAD)
