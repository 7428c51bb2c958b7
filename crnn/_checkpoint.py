"""Checkpoints: one file from which an interrupted fit resumes."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from crnn import storage
from crnn._arguments import Array
from crnn._samples import Samples
from crnn.run import History

_BLOCK = 1 << 22  # bytes per read
_DIGESTS = {
    "data": "the data (x, y, lengths or sample_weight) differ",
    "validation": "the validation part (validation, gap or validation_data) differs",
}


@dataclass
class Checkpoint:
    """The state of a fit after a complete epoch.

    Attributes
    ----------
    path : path
    identity : dict
        Settings of the model and the training, and a digest of the data. They must be the same when
        the fit resumes.
    seed : int
    phase : {"train", "refit"}
    epochs : int
        Complete epochs of this phase.
    finished : bool
    planned : int
        The epochs that a finished fit was to have.
    arrays : dict of str to ndarray
        Parameters and the optimiser's state, by name.
    schedule : dict
        State of the schedule.
    history : History
    """

    path: str | os.PathLike[str]
    identity: dict[str, Any]
    seed: int
    phase: str = "train"
    epochs: int = 0
    finished: bool = False
    planned: int = 0
    arrays: dict[str, Array] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    history: History = field(default_factory=History)

    def write(self) -> None:
        """Write the file completely or not at all. An error of the file system is a warning."""
        arrays, settings = dict(self.arrays), {}
        for item in fields(self):
            if item.name not in ("path", "arrays", "history"):
                settings[item.name] = getattr(self, item.name)
        lists = {
            item.name: getattr(self.history, item.name)
            for item in fields(History)
            if isinstance(getattr(self.history, item.name), list)
        }
        for place, values in enumerate(self.history.metrics.values()):
            lists[f"metrics.{place}"] = values
        for name, values in lists.items():
            arrays[f"history.{name}"] = np.array(values, np.float64)
        settings["seed"] = str(self.seed)  # may have more digits than JSON's readers keep
        settings["schedule"] = json.dumps(self.schedule)  # may hold an infinity
        settings["best_epoch"] = self.history.best_epoch
        settings["metrics"] = list(self.history.metrics)
        try:
            storage.write(self.path, "checkpoint", arrays, settings)
        except OSError as error:
            warnings.warn(
                f"checkpoint {os.fspath(self.path)} was not written: {error}; the training goes on",
                RuntimeWarning,
                stacklevel=2,
            )

    @classmethod
    def read(cls, path: str | os.PathLike[str], identity: Mapping[str, Any]) -> Checkpoint | None:
        """Read the checkpoint; None without a file. A ValueError names all that differs."""
        if not os.path.exists(path):
            return None
        arrays, settings = storage.read(path, "checkpoint")
        try:
            kept = settings["identity"]
            different = [n for n in {**identity, **kept} if kept.get(n) != identity.get(n)]
            if "data" in different and "validation" in different:
                different.remove("validation")  # a part of the data
            if different:
                raise ValueError(
                    ", ".join(
                        _DIGESTS.get(n)
                        or f"{n} is {kept.get(n)!r} in the file and {identity.get(n)!r} here"
                        for n in different
                    )
                )
            history = History(best_epoch=settings["best_epoch"], seed=int(settings["seed"]))
            rest = {}
            for name, array in arrays.items():
                if not name.startswith("history."):
                    rest[name] = array
                elif not name.startswith("history.metrics."):
                    setattr(history, name[len("history.") :], _values(history, name, array))
            for place, name in enumerate(settings["metrics"]):
                history.metrics[name] = arrays[f"history.metrics.{place}"].tolist()
            return cls(
                path=path,
                identity=kept,
                seed=int(settings["seed"]),
                phase=settings["phase"],
                epochs=int(settings["epochs"]),
                finished=settings["finished"] is True,
                planned=int(settings["planned"]),
                arrays=rest,
                schedule=json.loads(settings["schedule"]),
                history=history,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"checkpoint {os.fspath(path)} is not valid: {error!r}") from error
        except ValueError as error:
            raise ValueError(
                f"checkpoint {os.fspath(path)} belongs to another training: {error}; pass another "
                "path or delete the file"
            ) from error


def _values(history: History, name: str, array: Array) -> list[Any]:
    if not isinstance(getattr(history, name[len("history.") :]), list):
        raise TypeError(f"{name} is not a list")
    if array.ndim == 2:
        return [tuple(row) for row in array.tolist()]
    values: list[Any] = array.tolist()
    return values


def digest(*given: Samples | Array | None) -> str:
    """SHA-256 of the data in lower-case hexadecimal; overlapping windows count as their series."""
    total = hashlib.sha256()
    for data in given:
        arrays: list[Array] = []
        if isinstance(data, Samples):
            array = data.array
            arrays = [array[:, 0], array[-1]] if data.overlapping else [array]
            arrays += [part for part in (data.starts, data.lengths) if part is not None]
            total.update(repr((len(data), data.steps, data.features)).encode())
        elif data is not None:
            arrays = [data]
        for part in arrays:
            total.update(repr((part.shape, part.dtype.str)).encode())
            row = max(1, part[:1].nbytes)
            for first in range(0, len(part), max(1, _BLOCK // row)):
                block = part[first : first + max(1, _BLOCK // row)]
                total.update(np.ascontiguousarray(block).tobytes())
        total.update(b"|")
    return total.hexdigest()
