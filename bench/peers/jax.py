"""JAX: the whole epoch in one jit."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from bench.workloads import CLIP_VALUE, LEARNING_RATE, Array, Workload, lengths, time_major, weights


class JaxTrain:
    """The whole epoch in one jit: a lax.scan over batches and one over steps; parameters donated.

    Sequences of different lengths are padded. They keep their state through the padding.
    """

    UNROLL = 1

    def __init__(self, workload: Workload, threads: int) -> None:
        jax = self.jax = importlib.import_module("jax")
        jnp: Any = importlib.import_module("jax.numpy")
        jax.config.update("jax_enable_x64", True)
        # Time-major batches, copied once.
        x, y = (jnp.asarray(array) for array in time_major(workload))
        steps = jnp.asarray(lengths(workload).reshape(-1, workload.B))
        self.batches = x, y, steps
        self.start = weights(workload)
        D, last = workload.D, workload.output == "last"

        def cell(params: Any, name: str, inputs: Any, steps: Any, reverse: bool) -> tuple[Any, Any]:
            """The last state, and the states after each step if they are needed."""
            Wx, Wh = params["Wx" + name], params["Wh" + name]
            product = Wx[inputs] if inputs.ndim == 2 else inputs @ Wx
            a = product + params["b" + name]

            def step(h: Any, ta: Any) -> tuple[Any, Any]:
                t, a_t = ta
                after = jnp.tanh(a_t + h @ Wh)
                if workload.shortest:
                    after = jnp.where((t < steps)[:, None], after, h)
                return after, None if last and name.startswith(top) else after

            times = jnp.arange(len(a))
            h, states = jax.lax.scan(
                step, jnp.zeros_like(a[0]), (times, a), reverse=reverse, unroll=self.UNROLL
            )
            return h, states

        top = f"_l{workload.L - 1}"

        def loss(params: Any, x: Any, y: Any, steps: Any) -> Any:
            states = x
            for layer in range(workload.L):
                cells = workload.cells[layer * D : (layer + 1) * D]
                found = [
                    cell(params, name, states, steps, d == 1) for d, (name, _) in enumerate(cells)
                ]
                read = [h if last and layer == workload.L - 1 else all_h for h, all_h in found]
                states = jnp.concatenate(read, axis=-1) if D == 2 else read[0]
            z = states @ params["Wy"] + params["by"]
            if workload.classes:
                chosen = jnp.take_along_axis(jax.nn.log_softmax(z), y[..., None], axis=-1)
                return -jnp.mean(chosen)
            return jnp.mean((z - y) ** 2)

        def batch(params: Any, arrays: Any) -> tuple[Any, Any]:
            value, gradients = jax.value_and_grad(loss)(params, *arrays)
            stepped = jax.tree.map(
                lambda w, dw: w - LEARNING_RATE * jnp.clip(dw, -CLIP_VALUE, CLIP_VALUE),
                params,
                gradients,
            )
            return stepped, value

        def epoch(params: Any, batches: Any) -> Any:
            return jax.lax.scan(batch, params, batches)

        self.epoch = jax.jit(epoch, donate_argnums=0)

    def reset(self) -> None:
        self.params = self.jax.device_put({k: w.copy() for k, w in self.start.items()})
        self.jax.block_until_ready(self.params)

    def run(self, units: int) -> None:
        for _ in range(units):
            self.params, losses = self.epoch(self.params, self.batches)
        self.jax.block_until_ready((self.params, losses))

    def result(self) -> dict[str, Array]:
        return {name: np.array(array) for name, array in self.params.items()}


class JaxUnrolledTrain(JaxTrain):
    """The same, with all 25 timesteps unrolled: 19 ms instead of 24 on seed64, 8.5 not 13 on small.

    From T = 50 it is slower than the plain scan.
    """

    UNROLL = 25
