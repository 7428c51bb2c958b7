"""What `Trainer.fit` does around its epochs: data, validation, early stopping, checkpoints."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from crnn import _arguments, _samples, _scaling, losses
from crnn._arguments import Array
from crnn._checkpoint import Checkpoint, digest
from crnn._samples import Samples
from crnn.model import RNN
from crnn.run import History, TrainingRun, kept, put_back

if TYPE_CHECKING:
    from crnn.trainer import EarlyStopping, Trainer


@dataclass(frozen=True)
class Data:
    """Samples with their targets and weights, checked."""

    samples: Samples
    wanted: Samples
    weight: Array | None
    missing: str

    @classmethod
    def checked(
        cls,
        model: RNN,
        loss: losses.Loss,
        pair: str,
        x: object,
        y: object,
        lengths: object = None,
        sample_weight: object = None,
        missing: str = "error",
    ) -> Data:
        """Check the caller's data. `pair` names the argument that holds x and y, if one does."""
        x_name, y_name = (f"{pair}[0]", f"{pair}[1]") if pair else ("x", "y")
        samples = model._inputs(x_name, x, lengths)
        _samples.check(x_name, samples, model.dtype)
        wanted = model._targets(y_name, y, samples, loss, missing)
        weight = _samples.sample_weight("sample_weight", sample_weight, len(samples))
        return cls(samples, wanted, weight, missing)

    def unscaled(self, model: RNN, loss: losses.Loss) -> str | None:
        """What is wrong with the scale of inputs or targets; None if nothing is."""
        found = None if model.tokens else _scaling.unscaled("x", self.samples)
        if found is None and not (loss.classes or loss.probabilities):
            found = _scaling.unscaled("y", self.wanted)
        return found

    def take(self, index: slice | Array) -> Data:
        """Some of the samples. Their weights are scaled again."""
        weight = None if self.weight is None else self.weight[index]
        if weight is not None:
            weight = _samples.sample_weight("sample_weight", weight, len(weight))
        return Data(self.samples.take(index), self.wanted.take(index), weight, self.missing)

    def split(self, validation: object, gap: object) -> tuple[Data, Data]:
        """The training part and the validation part."""
        count = len(self.samples)
        left_out = _arguments.integer("gap", gap, minimum=0)
        if not isinstance(validation, (tuple, list)):
            part = _arguments.real("validation", validation, above=0, below=1)
            held = max(1, math.floor(count * part + 0.5))
            if held + left_out >= count:
                raise ValueError(
                    f"validation and gap must leave samples to train on, got {validation} and "
                    f"{gap} of {count} samples"
                )
            return self.take(slice(count - held - left_out)), self.take(slice(count - held, None))
        if len(validation) != 2:
            raise ValueError("validation must be a number, or a pair of index arrays")
        if left_out:
            raise ValueError("gap must be 0 where validation is a pair of index arrays")
        parts = []
        for place, given in enumerate(validation):
            index = _arguments.integers(f"validation[{place}]", given)
            if not len(index) or index.min() < 0 or index.max() >= count:
                raise ValueError(
                    f"validation[{place}] must hold indices in [0, {count - 1}], got "
                    f"{[index.min(), index.max()] if len(index) else 'none'}"
                )
            parts.append(self.take(index))
        return parts[0], parts[1]


def evaluated(y: Array, predicted: Array, loss: losses.Loss) -> tuple[Array, Array]:
    """The valid targets and their predictions, as metrics get them."""
    if loss.classes:
        there = y[:, 0] >= 0
        return y[there, 0].astype(np.int64), predicted[there]
    there = ~np.isnan(y)
    return y[there], predicted[there]


@dataclass
class Fit:
    """One call of `Trainer.fit` with checked arguments."""

    trainer: Trainer
    model: RNN
    loss: losses.Loss
    data: Data
    train: Data
    held: Data | None
    early_stopping: EarlyStopping | None
    metrics: dict[str, Callable[[Array, Array], float]]
    callbacks: list[Callable[[int, RNN, History], Any]]
    checkpoint: str | os.PathLike[str] | None
    checkpoint_every: int

    def run(self) -> History:
        """Run all epochs, and the refit if there is one."""
        state = Checkpoint(
            self.checkpoint or "", self.identity(), _arguments.drawn_seed(self.trainer.seed)
        )
        if self.checkpoint is not None:
            state = Checkpoint.read(self.checkpoint, state.identity) or state
        before = kept(self.model, "before")
        state.arrays = before | state.arrays  # the arrays of a file replace those of now
        before = {name: state.arrays[name] for name in before}
        if self.early_stopping is None and state.planned == state.epochs < self.trainer.epochs:
            state.finished = False  # more epochs than the finished fit had
        if not state.finished and state.phase == "train":
            self.phase(state, self.train, self.trainer.epochs)
            if self.early_stopping is not None:
                found = "best" if state.history.best_epoch else "before"
                put_back(self.model, state.arrays, found)
                if self.early_stopping.refit and state.history.best_epoch:
                    put_back(self.model, state.arrays, "before")
                    state.phase, state.epochs = "refit", 0
                    state.arrays = dict(before)
        if not state.finished and state.phase == "refit":
            self.phase(state, self.data, state.history.best_epoch or 0)
        if state.finished:
            put_back(self.model, state.arrays, "parameters")
        elif self.checkpoint is not None:
            state.finished, state.planned = True, self.trainer.epochs
            if self.early_stopping is not None:
                state.arrays = before | kept(self.model, "parameters")
            state.write()
        return state.history

    def identity(self) -> dict[str, Any]:
        """Settings and data that a checkpoint must share with this training."""
        if self.checkpoint is None:
            return {}
        free = {"epochs", "threads", "progress", "seed"}
        settings = {f"model's {k}": v for k, v in self.model._settings().items() if k != "seed"}
        settings |= {
            item.name: getattr(self.trainer, item.name)
            for item in fields(self.trainer)
            if item.name not in free
        }
        settings["loss"] = self.loss
        settings["early_stopping"] = self.early_stopping
        settings["missing"] = self.data.missing
        identity = {name: _text(value) for name, value in settings.items()}
        if self.trainer.seed is not None:
            identity["seed"] = str(self.trainer.seed)
        identity["data"] = _digest([self.data])
        if self.held is not None:
            identity["validation"] = _digest([self.train, self.held])
        return identity

    def phase(self, state: Checkpoint, data: Data, epochs: int) -> None:
        """Run up to `epochs` epochs, until something stops them."""
        history, refits = state.history, state.phase == "refit"
        rates = history.learning_rate if refits else None
        run = TrainingRun(self.trainer, self.model, data, self.loss, state.seed, history, rates)
        if state.epochs:
            run._restore(state.arrays, state.schedule, state.epochs)
        stopping = None if refits else self.early_stopping
        snapshot = self.snapshot(state, run)
        with run._keeping_threads(), reporting(self.trainer.progress, epochs) as report:
            stop = stopping is not None and stopping.best(history.validation_loss)[1]
            try:
                while state.epochs < epochs and not stop:
                    run.epoch()
                    state.epochs += 1
                    if not refits:
                        self.measure(history)
                    if stopping is not None:
                        history.best_epoch, stop = stopping.best(history.validation_loss)
                        if history.best_epoch == state.epochs:
                            state.arrays |= kept(self.model, "best")
                    report(history)
                    for callback in self.callbacks:
                        stop = callback(state.epochs, self.model, history) is True or stop
                    snapshot = self.snapshot(state, run)
                    if snapshot is not None and state.epochs % self.checkpoint_every == 0:
                        snapshot.write()
            except KeyboardInterrupt as interrupt:
                interrupt.history = history  # type: ignore[attr-defined]
                if snapshot is not None:
                    snapshot.write()
                raise

    def snapshot(self, state: Checkpoint, run: TrainingRun) -> Checkpoint | None:
        """The state after a complete epoch; None without a checkpoint."""
        if self.checkpoint is None:
            return None
        arrays, schedule = run._state()
        state.arrays |= arrays
        state.schedule = schedule
        lists = {
            item.name: value.copy()
            for item in fields(History)
            if hasattr(value := getattr(state.history, item.name), "copy")
        }
        lists["metrics"] = {name: list(v) for name, v in state.history.metrics.items()}
        return replace(state, arrays=dict(state.arrays), history=replace(state.history, **lists))

    def measure(self, history: History) -> None:
        """Record the validation loss and the metrics after an epoch."""
        if self.held is None and not self.metrics:
            return
        data = self.train if self.held is None else self.held
        rows, targets, weight = self.model._evaluated(
            data.samples, data.wanted, data.weight, None, self.trainer.threads
        )
        if self.held is not None:
            history.validation_loss.append(self.model._mean_loss(rows, targets, self.loss, weight))
        if self.metrics:
            y, predicted = evaluated(targets, rows, self.loss)
            for name, metric in self.metrics.items():
                history.metrics.setdefault(name, []).append(float(metric(y, predicted)))


def _digest(parts: list[Data]) -> str:
    return digest(*(array for part in parts for array in (part.samples, part.wanted, part.weight)))


def _text(value: object) -> Any:
    """A setting in a type that JSON has. A function is kept by its name."""
    settings = getattr(value, "settings", None)
    if callable(settings):
        value = settings()
    elif callable(value):
        value = getattr(value, "__qualname__", type(value).__qualname__)
    return value if isinstance(value, (str, bool, int)) else repr(value)


# ---- progress ----


class _Report(Protocol):
    def __call__(self, history: History) -> None: ...


@contextmanager
def reporting(progress: bool, epochs: int) -> Iterator[_Report]:
    """What to show after each epoch: nothing, a tqdm bar, or lines."""
    if not progress:
        yield lambda history: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:

        def line(history: History) -> None:
            done = len(history.refit_loss) or len(history.loss)
            print(f"epoch {done}/{epochs}  {history.last()}", flush=True)

        yield line
        return
    with tqdm(total=epochs, unit="epoch") as bar:

        def advance(history: History) -> None:
            bar.set_postfix_str(history.last(), refresh=False)
            bar.update()

        yield advance
