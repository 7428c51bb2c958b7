"""The same gradients as PyTorch's autograd, and the same steps as its optimisers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from networks import lasting_network, network
from samples import SIZES, Array, Sizes, batch, lasting_batch, parameters, size_name
from tolerances import AUTOGRAD, assert_close, near

from crnn import Trainer

torch: Any = pytest.importorskip(
    "torch", reason="torch is no requirement of the tests: install it to compare with autograd"
)


def tensors(values: dict[str, Array]) -> dict[str, Any]:
    """The parameters as leaves that record their gradients."""
    return {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in values.items()
    }


def torch_loss(w: dict[str, Any], x: Array, y: Array) -> Any:
    """The loss through torch.nn.RNN, whose weights are the transposes of ours."""
    inputs, hidden = w["Wx_l0"].shape
    rnn = torch.nn.RNN(inputs, hidden, batch_first=True).double()
    zero = torch.zeros(hidden, dtype=torch.float64)
    weights = {
        "weight_ih_l0": w["Wx_l0"].T,
        "weight_hh_l0": w["Wh_l0"].T,
        "bias_ih_l0": w.get("b_l0", zero),
        "bias_hh_l0": zero,
    }
    states, _ = torch.func.functional_call(rnn, weights, (torch.tensor(x),))
    output = states[:, -1] @ w["Wy"] + w.get("by", 0.0)
    return torch.nn.functional.mse_loss(output, torch.tensor(y))


def autograd(values: dict[str, Array], x: Array, y: Array) -> tuple[float, dict[str, Array]]:
    """The loss and its gradients."""
    w = tensors(values)
    value = torch_loss(w, x, y)
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
