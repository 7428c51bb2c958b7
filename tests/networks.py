"""Networks with the parameters of samples.py, and what several tests ask of one."""

from __future__ import annotations

from samples import Array, Sizes, lasting_parameters, parameters

from crnn import RNN


def network(sizes: Sizes, dtype: str = "float64", *, bias: bool = True, seed: int = 1) -> RNN:
    """An RNN of these sizes whose parameters are all drawn, none left at zero."""
    _, _, inputs, hidden, outputs = sizes
    model = RNN(inputs, hidden, outputs, bias=bias, dtype=dtype, seed=0)
    model.load_state_dict(
        {n: v.astype(dtype) for n, v in parameters(sizes, bias=bias, seed=seed).items()}
    )
    return model


def lasting_network(sizes: Sizes, dtype: str = "float64", seed: int = 1) -> RNN:
    """An RNN whose gradient lives for all timesteps of `samples.lasting_batch`."""
    _, _, inputs, hidden, outputs = sizes
    model = RNN(inputs, hidden, outputs, dtype=dtype, seed=0)
    model.load_state_dict(
        {n: v.astype(dtype) for n, v in lasting_parameters(sizes, seed=seed).items()}
    )
    return model


def bits(model: RNN) -> dict[str, bytes]:
    """The parameters as bytes: equal only if every bit is."""
    return {name: value.tobytes() for name, value in model.parameters().items()}


def same_bits(left: Array, right: Array) -> bool:
    """Equal in type, shape and every bit."""
    return (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())
