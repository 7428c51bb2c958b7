"""crnn itself, with the calls of a user."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from bench.workloads import CLIP_VALUE, LEARNING_RATE, Array, Workload, data, lengths, weights


def package() -> Any:
    """The package; ImportError if its compiled module is not built."""
    importlib.import_module("crnn._cell")
    return importlib.import_module("crnn")


def _settings(workload: Workload) -> dict[str, Any]:
    """The network's arguments besides its sizes."""
    return {
        "num_layers": workload.L,
        "bidirectional": workload.D == 2,
        "output": workload.output,
        "tokens": workload.tokens,
        "dtype": workload.dtype,
    }


class CrnnTrain:
    """Whole calls of `Trainer.fit`: the time includes its checks and workspaces."""

    def __init__(self, workload: Workload, threads: int) -> None:
        crnn = package()
        self.x, self.y = data(workload)
        self.start = weights(workload)
        self.ragged = {"lengths": lengths(workload)} if workload.shortest else {}
        self.model = crnn.RNN(
            workload.input_size, workload.H, workload.output_size, **_settings(workload)
        )
        self.trainers = {
            units: crnn.Trainer(
                epochs=units,
                batch_size=workload.B,
                learning_rate=LEARNING_RATE,
                optimizer="sgd",
                clip_value=CLIP_VALUE,
                loss="cross_entropy" if workload.classes else "mse",
                shuffle=False,
                threads=threads,
            )
            for units in {1, workload.units}
        }

    def reset(self) -> None:
        self.model.load_state_dict(self.start)

    def run(self, units: int) -> None:
        self.trainers[units].fit(self.model, self.x, self.y, **self.ragged)

    def result(self) -> dict[str, Array]:
        return dict(self.model.state_dict())


class CrnnPredict:
    """`RNN.predict` on all of x."""

    def __init__(self, workload: Workload, threads: int) -> None:
        crnn = package()
        self.x, _ = data(workload)
        self.threads = threads
        self.model = crnn.RNN(
            workload.input_size, workload.H, workload.output_size, dtype=workload.dtype
        )
        self.model.load_state_dict(weights(workload))

    def reset(self) -> None:
        pass

    def run(self, units: int) -> None:
        for _ in range(units):
            self.y = self.model.predict(self.x, threads=self.threads)

    def result(self) -> dict[str, Array]:
        return {"y": self.y}


class CrnnStep:
    """`Stream.step`, one call per step from a Python loop."""

    def __init__(self, workload: Workload, threads: int) -> None:
        crnn = package()
        x, _ = data(workload)
        self.x = list(x)
        model = crnn.RNN(
            workload.input_size, workload.H, workload.output_size, dtype=workload.dtype
        )
        model.load_state_dict(weights(workload))
        self.stream = model.stream()

    def reset(self) -> None:
        self.stream.reset()

    def run(self, units: int) -> None:
        step = self.stream.step
        self.y = [step(x_t) for x_t in self.x[:units]]

    def result(self) -> dict[str, Array]:
        return {"y": np.concatenate(self.y)}
