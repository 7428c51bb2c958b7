"""Networks with the parameters of samples.py, and checks that several tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from samples import (
    Array,
    Case,
    Data,
    Sizes,
    case_data,
    case_parameters,
    lasting_parameters,
    network_of,
    parameters,
)
from tolerances import KINK

import crnn
from crnn import RNN

# For tests that train on unscaled data on purpose.
UNSCALED = pytest.mark.filterwarnings("ignore:[xy] has mean:UserWarning")


def network(sizes: Sizes, dtype: str = "float64", *, bias: bool = True, seed: int = 1) -> RNN:
    """An RNN of these sizes with random parameters, none of them zero."""
    _, _, inputs, hidden, outputs = sizes
    model = RNN(inputs, hidden, outputs, bias=bias, dtype=dtype, seed=0)
    model.load_state_dict(
        {n: v.astype(dtype) for n, v in parameters(sizes, bias=bias, seed=seed).items()}
    )
    return model


def lasting_network(sizes: Sizes, dtype: str = "float64", seed: int = 1) -> RNN:
    """An RNN whose gradient does not vanish over the timesteps of `samples.lasting_batch`."""
    _, _, inputs, hidden, outputs = sizes
    model = RNN(inputs, hidden, outputs, dtype=dtype, seed=0)
    model.load_state_dict(
        {n: v.astype(dtype) for n, v in lasting_parameters(sizes, seed=seed).items()}
    )
    return model


def case_network(case: Case, seed: int = 1, **settings: Any) -> RNN:
    """The network of a case, with the parameters of `samples.case_parameters`."""
    _, _, inputs, hidden, outputs = case.sizes
    model = RNN(
        inputs,
        hidden,
        outputs,
        num_layers=case.layers,
        bidirectional=case.bidirectional,
        nonlinearity=case.nonlinearity,
        output=case.output,
        tokens=case.tokens,
        bias=case.bias,
        dtype=case.dtype,
        seed=0,
        **settings,
    )
    model.load_state_dict(
        {n: v.astype(case.dtype) for n, v in case_parameters(case, seed=seed).items()}
    )
    return model


def drawn(case: Case) -> Data:
    """The case's data. With relu: the first data in which rounding cannot change a sign of a_t."""
    values = {n: v.astype(case.dtype) for n, v in case_parameters(case).items()}
    for seed in range(100):
        data = case_data(case, seed)
        if case.nonlinearity == "tanh":
            return data
        x = data.x if case.tokens else data.x.astype(np.float64)
        if reference.run(reference.double(values), x, **network_of(case, data)).kink > KINK:
            return data
    raise AssertionError(f"no data without a kink: {case}")


def loss_of(case: Case) -> Any:
    """The case's loss: its name, or an object if it has settings."""
    kind = {"huber": "Huber", "quantile": "Quantile"}.get(case.loss)
    return case.loss if kind is None else getattr(crnn.losses, kind)(**case.loss_settings)


def given(case: Case, data: Data) -> dict[str, Any]:
    """Arguments of `loss` and `gradients` besides x and y that are not the default."""
    chosen: dict[str, Any] = {"loss": loss_of(case)}
    if data.lengths is not None:
        chosen["lengths"] = data.lengths
    if data.weights is not None:
        chosen["sample_weight"] = data.weights
    if case.missing:
        chosen["missing"] = "ignore"
    return chosen


def bits(model: RNN) -> dict[str, bytes]:
    """The parameters as bytes: equal only if every bit is."""
    return {name: value.tobytes() for name, value in model.parameters().items()}


def same_bits(left: Array, right: Array) -> bool:
    """Equal in type, shape and every bit."""
    return (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())


class Guards:
    """Guard bytes before and after every array of the compiled module. They must not change."""

    CANARY = 0xA5

    def __init__(self) -> None:
        self.guards: list[Array] = []

    def zeros(self, count: int, dtype: Any) -> Array:
        """Replaces `_cell.zeros`: aligned, a spare cache line, and guards as long as the array."""
        size, line = count * np.dtype(dtype).itemsize, 64
        raw = np.full(3 * size + 4096, self.CANARY, np.uint8)
        start = size + 1024
        start += -(raw.ctypes.data + start) % line
        own = raw[start : start + size + line]
        own[:] = 0
        self.guards += [raw[:start], raw[start + size + line :]]
        return own[:size].view(dtype)

    def intact(self) -> bool:
        """Whether nothing was written outside an array."""
        return all((guard == self.CANARY).all() for guard in self.guards)
