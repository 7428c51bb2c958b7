"""JAX: the whole epoch in one jit."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from bench.workloads import CLIP_VALUE, LEARNING_RATE, Array, Workload, data, weights


class JaxTrain:
    """The whole epoch in one jit: lax.scan over batches, in it over steps; parameters donated."""

    UNROLL = 1

    def __init__(self, workload: Workload, threads: int) -> None:
        jax = self.jax = importlib.import_module("jax")
        jnp: Any = importlib.import_module("jax.numpy")
        jax.config.update("jax_enable_x64", True)
        x, y = data(workload)
        batches, T, B = workload.N // workload.B, workload.T, workload.B
        # Time-major batches, laid out once.
        self.x = jnp.asarray(x.reshape(batches, B, T, -1).transpose(0, 2, 1, 3).copy())
        self.y = jnp.asarray(y.reshape(batches, B, -1))
        self.start = weights(workload)

        def loss(params: Any, x: Any, y: Any) -> Any:
            Wh = params["Wh_l0"]
            inputs = x @ params["Wx_l0"] + params["b_l0"]

            def cell(h: Any, a: Any) -> tuple[Any, None]:
                return jnp.tanh(a + h @ Wh), None

            h, _ = jax.lax.scan(cell, jnp.zeros_like(inputs[0]), inputs, unroll=self.UNROLL)
            return jnp.mean((h @ params["Wy"] + params["by"] - y) ** 2)

        def batch(params: Any, xy: Any) -> tuple[Any, Any]:
            value, gradients = jax.value_and_grad(loss)(params, *xy)
            stepped = jax.tree.map(
                lambda w, dw: w - LEARNING_RATE * jnp.clip(dw, -CLIP_VALUE, CLIP_VALUE),
                params,
                gradients,
            )
            return stepped, value

        def epoch(params: Any, x: Any, y: Any) -> Any:
            return jax.lax.scan(batch, params, (x, y))

        self.epoch = jax.jit(epoch, donate_argnums=0)

    def reset(self) -> None:
        self.params = self.jax.device_put({k: w.copy() for k, w in self.start.items()})
        self.jax.block_until_ready(self.params)

    def run(self, units: int) -> None:
        for _ in range(units):
            self.params, losses = self.epoch(self.params, self.x, self.y)
        self.jax.block_until_ready((self.params, losses))

    def result(self) -> dict[str, Array]:
        return {name: np.array(array) for name, array in self.params.items()}


class JaxUnrolledTrain(JaxTrain):
    """The same, all 25 timesteps unrolled: 19 ms for 24 on seed64, 8.5 for 13 on small.

    From T = 50 upwards it is slower than the plain scan.
    """

    UNROLL = 25
