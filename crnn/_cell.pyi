from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import disjoint_base

from crnn._samples import Samples
from crnn.losses import Loss
from crnn.optimizers import Optimizer

_Array = np.ndarray[Any, np.dtype[Any]]

def available() -> list[str]: ...
def active() -> str: ...
def zeros(count: int, dtype: Any) -> _Array: ...
def shards(batch: int, H: int) -> int: ...
def orthonormalise(q: _Array) -> None: ...
def tanh(x: _Array, out: _Array) -> None: ...
def exp(x: _Array, out: _Array) -> None: ...
def log(x: _Array, out: _Array) -> None: ...
def peak_gflops(item_size: int, seconds: float = 0.02) -> float: ...
def read_bandwidth(nbytes: int, seconds: float = 0.02) -> float: ...
def first_unfit(
    samples: Samples, dtype: Any, low: float, high: float, missing: bool
) -> tuple[int, int] | None: ...
def valid_counts(samples: Samples, chunk: int, classes: bool) -> _Array: ...
def dropout_key(seed: Any, epoch: int) -> int: ...
def dropout_mask(
    rate: float,
    seed: Any,
    epoch: int,
    samples: _Array,
    layer: int,
    direction: int,
    steps: _Array,
    hidden_size: int,
    dtype: Any,
) -> _Array: ...
def recurrent_dropout_mask(
    rate: float,
    seed: Any,
    epoch: int,
    samples: _Array,
    layer: int,
    direction: int,
    hidden_size: int,
    dtype: Any,
) -> _Array: ...
def loss_of(
    predicted: _Array, target: _Array, loss: Loss, weight: _Array | None = None
) -> tuple[float, int]: ...
def loss_gradient(
    predicted: _Array,
    target: _Array,
    loss: Loss,
    weight: _Array | None = None,
    scale: float = 1,
) -> tuple[float, _Array]: ...

@disjoint_base
class Weights:
    flat: _Array
    arrays: dict[str, _Array]
    dtype: np.dtype[Any]
    input_size: int
    hidden_size: int
    output_size: int
    bias: bool
    num_layers: int
    directions: int
    relu: bool
    tokens: bool
    def __init__(
        self,
        I: int,
        H: int,
        O: int,
        bias: bool,
        dtype: Any,
        *,
        num_layers: int = 1,
        directions: int = 1,
        relu: bool = False,
        tokens: bool = False,
    ) -> None: ...
    def like(self) -> Weights: ...
    @property
    def work(self) -> int: ...
    @property
    def elements(self) -> int: ...
    def views(self, flat: _Array, tables: _Array | None = None) -> dict[str, _Array]: ...
    def load(self, parameters: Mapping[str, Any]) -> None: ...
    def store(self, parameters: Mapping[str, Any]) -> None: ...

LOSS_NAMES: tuple[str, ...]

@disjoint_base
class Objective:
    def __init__(self, loss: Loss, O: int) -> None: ...

@disjoint_base
class Team:
    threads: int
    def __init__(self, threads: int) -> None: ...

@disjoint_base
class Crew:
    threads: int
    started: int
    def __init__(self, threads: int) -> None: ...
    def __enter__(self) -> Crew: ...
    def __exit__(self, *error: object) -> None: ...
    def run(self, team: Team) -> None: ...

@disjoint_base
class Forward(Team):
    workspace_bytes: int
    def __init__(
        self,
        weights: Weights,
        x: Samples,
        threads: int,
        order: _Array | None = None,
        h0: _Array | None = None,
    ) -> None: ...

@disjoint_base
class Training(Forward):
    gradient: dict[str, _Array]
    moments: dict[str, dict[str, _Array]]
    updates_done: int
    def __init__(
        self,
        weights: Weights,
        x: Samples,
        y: Samples,
        batch_size: int,
        threads: int,
        *,
        optimizer: Optimizer | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        mean: bool = True,
        shifted: bool = False,
        loss: Loss,
        every: bool = False,
        steps: int | None = None,
        sample_weight: _Array | None = None,
        h0: _Array | None = None,
        dropout: float = 0,
        recurrent_dropout: float = 0,
    ) -> None: ...
    @property
    def gradient_norm(self) -> tuple[float, float] | None: ...
    def begin_epoch(
        self,
        plan: _Array,
        order: _Array | None = None,
        dropout_key: int = 0,
        rates: float | _Array = 0.0,
    ) -> None: ...
    def end_epoch(self) -> tuple[float, float, float, int, int]: ...
    def halt(self) -> None: ...
    def rebind(
        self,
        x: Samples,
        y: Samples,
        sample_weight: _Array | None = None,
        h0: _Array | None = None,
    ) -> None: ...
    def apply(self, gradients: Mapping[str, Any], rate: float) -> None: ...

@disjoint_base
class Prediction(Forward):
    def __init__(
        self,
        weights: Weights,
        x: Samples,
        threads: int,
        *,
        y: _Array | None = None,
        states: _Array | None = None,
        last: _Array | None = None,
        every: bool = False,
        starts: _Array | None = None,
        order: _Array | None = None,
        h0: _Array | None = None,
    ) -> None: ...
    def end(self) -> int | None: ...

@disjoint_base
class Stream:
    state: _Array
    def __new__(cls, weights: Weights, batch_size: int) -> Stream: ...
    @property
    def batch_size(self) -> int: ...
    def step(self, x_t: Any) -> _Array: ...
    def reset(self, rows: Any = None) -> None: ...
    def copy(self) -> Stream: ...

def restored_stream(
    settings: tuple[Any, ...], arrays: Mapping[str, Any], batch_size: int
) -> Stream: ...
