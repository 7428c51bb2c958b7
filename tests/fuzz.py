"""Fuzzing: four targets that take untrusted data, with the properties that must hold.

    python tests/fuzz.py TARGET [--seconds 900] [--seed 0]      TARGET: files, csv, windows, fit

With atheris (`pip install atheris`), libFuzzer chooses the inputs by the coverage of crnn's Python
code. Without it they are random bytes. The first input that violates a property ends the run with a
traceback; atheris also writes it to a file `crash-*`. All other outcomes are counted and printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

try:
    import atheris  # type: ignore[import-untyped]
except ImportError:
    atheris = None

if atheris is not None and __name__ == "__main__":
    with atheris.instrument_imports(include=["crnn"]):
        from crnn import RNN, Forecaster, Trainer, TrainingDiverged, dataset, storage
        from crnn.table import read_series
else:
    from crnn import RNN, Forecaster, Trainer, TrainingDiverged, dataset, storage
    from crnn.table import read_series

Array = np.ndarray[Any, np.dtype[Any]]

SLOWEST = 10  # seconds for one input on a busy machine; most take less than 1 ms
MOST_MEMORY = 1 << 30  # bytes of resident memory; an input has at most a few kilobytes
HUGE = [2**31, 2**32, 2**44, 2**62, 2**63 - 1, 2**63, 2**64, 10**30]


class Bytes:
    """Choices from an input: the same bytes give the same choices; zeros after their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at].ljust(count, b"\0")

    def rest(self) -> bytes:
        return self.take(max(0, len(self._data) - self._at))

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return low + int.from_bytes(self.take(2), "little") % (high - low + 1)

    def chance(self, one_in: int) -> bool:
        """True once in `one_in` calls on average; False after the end of the bytes."""
        return self.integer(1, one_in) == one_in

    def choice(self, values: Any) -> Any:
        return values[self.integer(0, len(values) - 1)]

    def real(self) -> float:
        """Any float64, NaN and infinities included."""
        return float(np.frombuffer(self.take(8), "<f8")[0])

    def json(self, depth: int = 3) -> Any:
        kind = self.integer(0, 8 if depth else 6)
        if kind == 7:
            return [self.json(depth - 1) for _ in range(self.integer(0, 4))]
        if kind == 8:
            return {self.text(): self.json(depth - 1) for _ in range(self.integer(0, 4))}
        values = [None, True, self.integer(-2, 9), self.choice(HUGE), self.text(), 0.5, -1]
        return values[kind]

    def text(self) -> str:
        return self.take(self.integer(0, 12)).decode("utf-8", "replace")


class Broken(AssertionError):
    """A property that does not hold."""


def must(truth: object, what: str) -> None:
    if not truth:
        raise Broken(what)


# ---- files: RNN.load, Forecaster.load, storage.read ----

BLANK = "0" * 64
FOLDER = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
FILE = Path(FOLDER.name) / "input"


def honest_files() -> list[bytes]:
    """A valid file of each kind, from which mutations start."""
    found = []
    for bias, dtype in ((True, "float32"), (False, "float64")):
        RNN(2, 3, 1, bias=bias, dtype=dtype, seed=0).save(FILE)
        found.append(FILE.read_bytes())
    forecaster = Forecaster(timesteps=4, hidden_size=3, epochs=1, seed=0)
    forecaster.fit(np.sin(np.arange(40.0)))
    forecaster.save(FILE)
    found.append(FILE.read_bytes())
    storage.write(FILE, "checkpoint", {"a": np.arange(3)}, {"epoch": 1})
    found.append(FILE.read_bytes())
    return found


HONEST = honest_files()


def parts(file: bytes) -> tuple[dict[str, Any], bytes]:
    end = 8 + int.from_bytes(file[:8], "little")
    return json.loads(file[8:end]), file[end:]


def sealed(header: dict[str, Any], data: bytes) -> bytes:
    """Give a forged file crnn's header format and the right digest, to reach later checks."""
    header.setdefault("__metadata__", {})
    if isinstance(header["__metadata__"], dict):
        header["__metadata__"]["sha256"] = BLANK
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    whole = len(text).to_bytes(8, "little") + text + data
    return whole.replace(BLANK.encode(), hashlib.sha256(whole).hexdigest().encode(), 1)


def spoil(value: Any, source: Bytes) -> Any:
    """A JSON value in which one part, at any depth, replaces another."""
    if isinstance(value, (dict, list)) and value and not source.chance(6):
        keys = sorted(value) if isinstance(value, dict) else list(range(len(value)))
        key = source.choice(keys)
        if source.chance(8):
            del value[key]
        elif isinstance(value, dict) and source.chance(8):
            value[source.text()] = value[key]
        else:
            value[key] = spoil(value[key], source)
        return value
    if isinstance(value, int) and source.chance(2):
        return value + source.integer(-3, 3)
    return source.json()


def forged(source: Bytes) -> bytes:
    header, data = parts(source.choice(HONEST))
    for _ in range(source.integer(1, 3)):
        settings = header.get("__metadata__")
        if source.chance(2) and isinstance(settings, dict):
            with suppress(ValueError, TypeError, KeyError):
                inner = spoil(json.loads(settings["settings"]), source)
                settings["settings"] = json.dumps(inner, sort_keys=True, separators=(",", ":"))
        else:
            found = spoil(header, source)
            header = found if isinstance(found, dict) else {"a": found}
    if source.chance(2):  # byte ranges that fit the shapes, if these are valid
        with suppress(Exception):
            size = {"F32": 4, "F64": 8, "I64": 8}
            names = [name for name in header if name != "__metadata__"]
            names.sort(key=lambda name: (-size[header[name]["dtype"]], name))
            end = 0
            for name in names:
                begin, end = (
                    end,
                    end + math.prod(header[name]["shape"]) * size[header[name]["dtype"]],
                )
                header[name]["data_offsets"] = [begin, end]
            data = data[:end].ljust(end, b"\x01") if 0 <= end < 100_000 else data
    if source.chance(4):
        at = source.integer(0, max(0, len(data) - 1))
        data = data[:at] + source.rest()[: len(data) - at] + data[at:]
    return sealed(header, data)


def files(data: bytes) -> str:
    """A file that loads is a valid model and saves to stable bytes. Any other is a ValueError."""
    source = Bytes(data)
    way = source.integer(0, 3)
    if way == 0:
        content = source.rest()
    elif way == 1:  # damage: change bytes of a valid file, keep the digest
        spoiled = bytearray(source.choice(HONEST))
        for _ in range(source.integer(1, 4)):
            spoiled[source.integer(0, len(spoiled) - 1)] = source.take(1)[0]
        content = bytes(
            spoiled[: len(spoiled) - (source.integer(0, 99) if source.chance(2) else 0)]
        )
    else:
        content = forged(source)
    FILE.write_bytes(content)
    outcome = "refused"
    loaders: list[tuple[Callable[[Path], Any], Callable[[Any], None]]] = [
        (RNN.load, lambda model: model.save(FILE)),
        (Forecaster.load, lambda model: model.save(FILE)),
        *(
            (
                lambda path, kind=kind: (kind, *storage.read(path, kind)),
                lambda found: storage.write(FILE, *found),
            )
            for kind in ("network", "forecaster", "checkpoint")
        ),
    ]
    for load, save in loaders:
        try:
            found = load(FILE)
        except ValueError as error:
            must(str(FILE) in str(error), f"no path in {error}")
            continue
        must(way != 1 or content in HONEST, "a damaged file was loaded")
        save(found)
        again = FILE.read_bytes()
        # A forged file may have unused settings, or 1 for 1.0. Only the numbers must be the same.
        must(parts(again)[1] == parts(content)[1], f"{found} saves other numbers")
        save(load(FILE))
        must(FILE.read_bytes() == again, f"{found} changes when it is loaded again")
        FILE.write_bytes(content)
        if isinstance(found, RNN):
            must(all(np.isfinite(w).all() for w in found.parameters().values()), "not finite")
            shape = found.predict(np.zeros((2, 3, found.input_size))).shape
            must(shape == (2, found.output_size), "another shape")
        outcome = "loaded"
    return outcome


# ---- csv: the command's reader ----

WORDS = [
    *["1", "-2.5e3", "1e400", "nan", "1_0", "", " 7 ", '"8"', '"9', "x", "0x1", '"1\n2"', "\u0663"],
    *[
        "1" * 400,
        "+.5",
        "-0",
        "1,",
        "inf",
        "1.234",
        "1,5",
        "12 345,6",
        "$3",
        "4 %",
        "5*",
        "NA",
        "?",
    ],
    *["2020-01-31", "01/02/2020", "1.2.20", "Jan 2020", "1990Q3", "1990.25", "199001", "12:30"],
    *["2020-W53", "31 Feb 2020", "2020-01-01T00:00:00+01:00", "99999999", "\0", "# x", "a", "A B"],
]
OPTIONS: dict[str, list[Any]] = {
    "sep": [",", ";", "tab", "blank", '"'],
    "decimal": [".", ","],
    "thousands": [",", ".", " "],
    "encoding": ["utf-8", "latin-1", "utf-16", "none"],
    "header": [True, False],
    "skip": [1, 3],
    "comment": ["#", "a"],
    "na": [["x"], ["-2500"]],
    "missing": ["ignore"],
    "id": ["a", "1", "none"],
    "series": ["x", "1"],
    "sort": [True],
    "dates": ["none", "a", "2"],
    "dayfirst": [True, False],
}


def honest_table(source: Bytes) -> str:
    """A table with one reading: the result is what was written, or an error.

    A wrong value, date, order or column is a failure.
    """
    count = source.integer(4, 14)
    sep, point = source.choice([(",", "."), (";", "."), (";", ","), ("\t", ","), ("|", ".")])
    group = source.choice(["", "", " ", "'"])
    values: list[float | None] = []
    for k in range(count):
        values.append((source.integer(0, 40000) + 1000 * k) / 100)
    step, form = source.choice(
        [("D", "%Y-%m-%d"), ("D", "%d %b %Y"), ("h", "%Y-%m-%d %H:%M"), ("D", "%Y%m%d")]
    )
    begin = np.datetime64("1999-12-25T00", step) + source.integer(0, 9999)
    moments = [begin + np.timedelta64(k, step) for k in range(count)]
    missing = source.choice(["error", "ignore"])
    gone = set(range(1, count - 1)) if source.chance(2) else set()
    gone = {k for k in gone if source.chance(4)}
    blank = {k for k in set(range(1, count - 1)) - gone if source.chance(8)}
    word = source.choice(["", "NA", "-", "null", "?"])

    def written(value: float) -> str:
        return f"{value:,.2f}".replace(",", "_").replace(".", point).replace("_", group)

    order = [k for k in range(count) if k not in gone]
    if source.chance(3):
        order.reverse()
    swapped = source.chance(6) and len(order) > 3
    if swapped:
        order[1], order[2] = order[2], order[1]
    names = ["when", "b", "c"]
    places = source.choice([(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)])
    rows = [sep.join(names[i] for i in places)]
    for k in order:
        fields = [
            moments[k].item().strftime(form),
            word if k in blank else written(values[k] or 0.0),
            str(source.integer(0, 9)),
        ]
        rows.append(sep.join(fields[i] for i in places))
    end = source.choice(["\n", "\r\n"])
    before = source.choice(["", "", "Title" + end, "# note" + end, "sep=" + sep + end])
    text = before + end.join(rows) + source.choice(["", end, end + end])
    encoding = source.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
    FILE.write_bytes(text.encode(encoding))
    sort = swapped and source.chance(2)
    try:
        series = read_series(FILE, "b", missing=missing, sort=sort)
    except ValueError as error:
        must(str(FILE) in str(error), f"no path in {error}")
        must(len(str(error)) < 2000, "the message is too long")
        return "refused"
    must(sort or not swapped or any("order" in phrase for phrase in series.assumed), "no order")
    must(missing == "ignore" or not blank, "read in spite of missing values")
    expected = [
        (moments[k], math.nan if k in blank | gone else values[k])
        for k in range(count)
        if missing == "ignore" or k not in gone
    ]
    there = [i for i, (_, value) in enumerate(expected) if not math.isnan(value or 0.0)]
    expected = expected[there[0] : there[-1] + 1]
    if missing == "ignore" and len(series.values) != len(expected):
        # If most dates are missing, another step or none is found, and reported.
        said = "step" in " ".join(series.assumed) or "(" in series.describe()
        must(said, "missing dates are not reported")
        expected = [pair for pair in expected if not math.isnan(pair[1] or 0.0)]
        found = {str(t): v for t, v in zip(series.dates.values, series.values, strict=True)}
        must(
            all(found[str(t.astype("M8[us]"))] == v for t, v in expected),
            "a date has another value",
        )
        return "read"
    must(
        np.array_equal(series.values, [value for _, value in expected], equal_nan=True),
        f"read {series.values.tolist()}, expected {[value for _, value in expected]}",
    )
    must(
        np.array_equal(series.dates.values, [t.astype("M8[us]") for t, _ in expected]),
        f"dates {series.dates.values}, expected {[t for t, _ in expected]}",
    )
    return "read"


def csv(data: bytes) -> str:
    """A series whose dates continue, with the values of a plain split; or a one-line ValueError."""
    source = Bytes(data)
    if source.chance(3):
        return honest_table(source)
    column = (
        source.choice(["b", "a", " b ", "", '"', "é", "1", "2", None]) if source.chance(4) else "b"
    )
    options: dict[str, Any] = {}
    while source.chance(3):
        name = source.choice(list(OPTIONS))
        options[name] = source.choice(OPTIONS[name])
    plain = not options and column == "b"
    if source.chance(5):
        content, plain = source.rest(), False
    else:
        sep = source.choice([",", ",", ";", "\t", "  "])
        end = source.choice(["\n", "\n", "\r\n", "\r"])
        rows = [["a", "b"]]
        odd = source.chance(2)
        form = source.choice(["{}", "19{:02d}", "2020-01-{:02d}", "{}/1/2020", "Jan {:02d}"])
        for k in range(source.integer(0, 12)):
            values = [form.format(k + 10), str(source.integer(0, 99))]
            for i in range(2):
                if odd and source.chance(6):
                    values[i], plain = source.choice(WORDS), False
            rows.append(values)
        plain = plain and sep == "," and form == "2020-01-{:02d}" and len(rows) > 2
        text = end.join(sep.join(row) for row in rows) + end
        if source.chance(6):
            text, plain = source.choice(["", "Title\n", "# note\n", "sep=;\n"]) + text, False
        content = text.encode(source.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"]))
        if source.chance(6):
            content, plain = content + source.rest(), False
    FILE.write_bytes(content)
    try:
        series = read_series(FILE, column, **options)
    except ValueError as error:
        must(str(FILE) in str(error) or "series needs id" in str(error), f"no path in {error}")
        must(not plain, f"refused: {error}")
        return "refused"
    values = series.values
    must(values.ndim == 1 and values.dtype == np.float64, "not a series")
    must(len(series.dates) == len(values), "not one date per value")
    must(not np.isinf(values).any(), "infinite")
    if options.get("missing") != "ignore":
        must(np.isfinite(values).all(), "not finite")
    elif len(values):
        must(np.isfinite(values[[0, -1]]).all(), "missing values at the ends")
    must((np.diff(series.dates.values).astype(float) > 0).all(), "out of order")
    must(len(values) <= 11 * (len(content) + 1), "too many values for the size of the file")
    must(len(series.dates.axis(3)) == len(values) + 3, "no time axis")
    must(
        len(series.dates.after(3)) == 3 and "\n" not in series.describe(),
        "the dates do not continue",
    )
    for value in values[np.isfinite(values)][:3]:
        must(math.isclose(float(series.format(value)), value, rel_tol=1e-3, abs_tol=1.0), "digits")
    if plain:
        expected = [float(row[1]) for row in rows[1:]]
        must(values.tolist() == expected, f"read {values.tolist()}, expected {expected}")
        must(series.dates.text(0) == "2020-01-10", "another date")
    return "read"


# ---- windows: dataset.windows ----


def number(source: Bytes, low: int, high: int) -> Any:
    """Mostly an integer from low to high, of some type; sometimes another object."""
    if source.chance(10):
        odd = [None, 1.5, True, "3", -1, 0, math.nan, np.float64(2), np.array([3]), *HUGE, -(2**63)]
        return source.choice(odd)
    value = source.integer(low, high)
    return source.choice([int, int, np.int64, np.uint8, np.array])(value)


DTYPES = ["<f4", "<f8", ">f8", ">i2", "u1", "<f2", "i8", "<f4"]
ODD_DTYPES = ["?", "c8", "O", "U3", "M8[s]", "S2", "V4"]


def array(source: Bytes, shape: list[int]) -> Array:
    """Numbers of any type, strides and byte order; sometimes another object."""
    if source.chance(12) and shape:
        shape[source.integer(0, len(shape) - 1)] = source.integer(0, 3)
    if source.chance(20):
        shape = source.choice([[], shape[:1], [*shape, 1], [*shape, 2]])
    rng = np.random.default_rng(source.integer(0, 999))
    step = source.choice([1, 1, 2, 3])
    big = [size * step for size in shape]
    values = rng.normal(size=big) * source.choice([1, 1, 1, 3, 1e4])
    dtype = source.choice(ODD_DTYPES) if source.chance(25) else source.choice(DTYPES)
    if dtype == "V4":
        found: Array = np.zeros(big, dtype)
    elif dtype == "M8[s]":
        found = np.asarray(values.astype("i8")).astype(dtype)
    else:
        with np.errstate(all="ignore"):
            found = np.asarray(values).astype(dtype)
    if source.chance(10) and found.size and found.dtype.kind == "f":
        with np.errstate(all="ignore"):
            found.reshape(-1)[source.integer(0, found.size - 1)] = source.choice(
                [math.nan, math.inf, 1e300, source.real()]
            )
    found = found[..., *(slice(None, None, source.choice([step, -step])) for _ in shape)]
    if source.chance(6) and found.ndim > 1:
        found = np.asfortranarray(found)
    if source.chance(6):
        raw = (
            np.zeros(found.nbytes + 1, np.uint8)[1:].view(found.dtype)
            if (dtype != "O" and found.nbytes and found.ndim)
            else None
        )
        if raw is not None:  # not aligned
            raw = raw.reshape(found.shape)
            raw[...] = found
            found = raw
    if source.chance(6) and isinstance(found, np.ndarray):
        found.flags.writeable = False
    return found


def windows(data: bytes) -> str:
    """The same windows as a plain loop, as read-only views; or a ValueError or TypeError."""
    source = Bytes(data)
    shape = [source.integer(1, 40)] + ([source.integer(1, 4)] if source.chance(2) else [])
    series: Any = array(source, shape)
    if source.chance(20):
        series = source.choice([None, 3, "text", [[1], [1, 2]], {}, [1, 2, 3, 4, 5], b"12"])
    given = number(source, 1, 12), number(source, 1, 4), number(source, 1, 5)
    try:
        x, y = dataset.windows(series, given[0], horizon=given[1], stride=given[2])
    except (TypeError, ValueError) as error:
        must(len(str(error)) > 10, "an empty message")
        return "refused"
    points = np.asarray(series)
    points = points.reshape(len(points), -1)
    timesteps, horizon, stride = (int(value) for value in given)
    starts = range(0, len(points) - timesteps - horizon + 1, stride)
    size, features = len(starts), points.shape[1]
    must(size > 0, "neither a window nor an error")
    must(x.shape == (size, timesteps, features), f"x has shape {x.shape}")
    must(y.shape == (size, horizon * features), f"y has shape {y.shape}")
    must(x.dtype == y.dtype == points.dtype, "another dtype")
    must(not x.flags.writeable and not y.flags.writeable, "can be written")
    for i, start in enumerate(starts):
        middle = start + timesteps
        must(x[i].tobytes() == points[start:middle].tobytes(), f"x[{i}] is wrong")
        must(y[i].tobytes() == points[middle : middle + horizon].tobytes(), f"y[{i}] is wrong")
    return "cut"


# ---- fit: all arguments of RNN, Trainer, fit and predict ----


def settings(source: Bytes, names: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    found = {}
    for name, make in names.items():
        if source.chance(2):
            odd: list[Any] = [None, math.nan, "x", -1, 0, math.inf, True, [], 1e-400, 1e308]
            found[name] = source.choice(odd) if source.chance(16) else make()
    return found


def bits(model: RNN) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in model.parameters().items()}


def fit(data: bytes) -> str:
    """Training has the same bits as with plain arrays. An error leaves the parameters unchanged."""
    source = Bytes(data)
    sizes = [number(source, 1, 5), number(source, 1, 20), number(source, 1, 3)]
    if any(isinstance(n, int) and n > 1000 for n in sizes):
        # some systems grant memory that they lack: use sizes beyond any address space
        sizes = [2**44 if isinstance(n, int) and n > 1000 else n for n in sizes]
        try:
            RNN(*sizes)
        except (TypeError, ValueError, MemoryError):
            return "refused"
        raise Broken(f"a network of sizes {sizes}")
    shape = settings(
        source,
        {
            "bias": lambda: source.chance(2),
            "dtype": lambda: source.choice(["float32", "float64", np.float64, ">f8", "f2", "int"]),
            "init": lambda: source.choice(["orthogonal", "notebook", "Notebook"]),
        },
    )
    try:
        model = RNN(*sizes, seed=source.integer(0, 9), **shape)
        copy = RNN(*sizes, **{**shape, "seed": model.seed})
    except (TypeError, ValueError):
        return "refused"
    choices = settings(
        source,
        {
            "epochs": lambda: number(source, 1, 3),
            "batch_size": lambda: number(source, 1, 40),
            "learning_rate": lambda: source.choice([0.01, 1, 1e-30, 1e30, abs(source.real())]),
            "optimizer": lambda: source.choice(["sgd", "adam", "SGD"]),
            "clip_value": lambda: source.choice([None, 1, 1e-3, 1e30, abs(source.real())]),
            "loss": lambda: "mse",
            "shuffle": lambda: source.chance(2),
            "threads": lambda: number(source, 1, 4),
        },
    )
    if isinstance(choices.get("epochs"), int) and choices["epochs"] > 100:
        return "refused"  # valid, but would run too long
    count, steps = source.integer(1, 40), source.integer(1, 12)
    x = array(source, [count, steps, model.input_size])
    y = array(source, [count, model.output_size])
    validation = (x[::-1], y[::-1]) if source.chance(4) and x.ndim and y.ndim else None
    before = bits(model)
    try:
        trainer = Trainer(**{"epochs": 2, "seed": source.integer(0, 9), **choices})
        history = trainer.fit(model, x, y, validation_data=validation)
    except (TypeError, ValueError) as error:
        must(len(str(error)) > 10, "an empty message")
        must(bits(model) == before, "an error changed the parameters")
        return "refused"
    except TrainingDiverged as error:
        must(all(np.isfinite(w).all() for w in model.parameters().values()), "not finite")
        must(len(error.history.loss) == error.epoch - 1, "another history")
        must(error.epoch > 1 or bits(model) == before, "the parameters were not restored")
        return "diverged"
    must(all(np.isfinite(w).all() for w in model.parameters().values()), "not finite")
    must(len(history.loss) == trainer.epochs and np.isfinite(history.loss).all(), "a bad history")
    must(len(history.validation_loss) == (trainer.epochs if validation else 0), "validation")
    must(all(0 <= part <= 1 for part in history.clipped_fraction), "clipped_fraction")
    plain = [np.array(value, dtype=model.dtype, order="C") for value in (x, y)]
    other = Trainer(**{"epochs": 2, "seed": trainer.seed, **choices}).fit(copy, *plain)
    must(
        bits(copy) == bits(model) and other.loss == history.loss,
        "other bits than with plain arrays",
    )
    must(copy.predict(plain[0]).tobytes() == model.predict(x).tobytes(), "predict differs")
    return "trained"


TARGETS: dict[str, Callable[[bytes], str]] = {
    "files": files,
    "csv": csv,
    "windows": windows,
    "fit": fit,
}


def random_inputs(seed: int) -> Iterator[bytes]:
    source = random.Random(seed)
    while True:
        yield source.randbytes(source.choice([8, 40, 200, 800]))


def peak_memory() -> int:
    """Peak resident memory in bytes (Linux)."""
    import resource  # Windows lacks it, but imports this file

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Run:
    """Run one target until its time is over, and count the outcomes."""

    def __init__(self, target: str, seconds: float) -> None:
        self.target, self.seconds = target, seconds
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0
        self.began = time.monotonic()

    def one(self, data: bytes) -> None:
        start = time.monotonic()
        outcome = TARGETS[self.target](data)
        now = time.monotonic()
        self.outcomes[outcome] += 1
        self.slowest = max(self.slowest, now - start)
        must(now - start < SLOWEST, f"{now - start:.1f} s for one input")
        memory = peak_memory()
        must(memory < MOST_MEMORY, f"{memory} bytes of memory")
        if now - self.began > self.seconds:
            self.report()
            FOLDER.cleanup()
            os._exit(0)  # libFuzzer knows no other successful exit

    def report(self) -> None:
        by = "libFuzzer (atheris)" if atheris is not None else "random bytes"
        print(
            f"{self.target}: {sum(self.outcomes.values())} executions in "
            f"{time.monotonic() - self.began:.0f} s, inputs by {by}; {dict(self.outcomes)}; "
            f"slowest {self.slowest:.3f} s; peak memory {peak_memory() / 2**20:.0f} MiB; "
            "nothing broke",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--input", type=Path, help="one input, such as a crash-* file")
    arguments = parser.parse_args()
    run = Run(arguments.target, arguments.seconds)
    if arguments.input:
        print(TARGETS[arguments.target](arguments.input.read_bytes()))
    elif atheris is None:
        for data in random_inputs(arguments.seed):
            run.one(data)
    else:
        options = ["-max_len=1500", "-len_control=20", f"-timeout={2 * SLOWEST}", "-verbosity=0"]
        atheris.Setup([sys.argv[0], *options, f"-seed={arguments.seed + 1}"], run.one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
