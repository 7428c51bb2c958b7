"""Bad input: the type of the error, the argument's name in it, and no parameter changed."""

from __future__ import annotations

import io
import pickle
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import bits, network
from samples import Array, batch

from crnn import RNN, Forecaster, Trainer, _arguments, dataset, plots, scoring, storage

SIZES = (8, 5, 2, 6, 3)  # N, T, I, H, O of the good data
EITHER = (TypeError, ValueError)


def named(name: str) -> str:
    """A pattern for a message: the argument's name as a whole word."""
    return rf"\b{name}\b"


def with_value(array: Array, value: float) -> Array:
    """A copy whose last element is `value`."""
    copy = array.copy()
    copy.flat[-1] = value
    return copy


# ---- x and y ----

X, Y = batch(SIZES, "float32")

BAD_X: dict[str, tuple[object, Any]] = {
    "rank 0": (X[0, 0, 0], ValueError),
    "rank 1": (X[:, 0, 0], ValueError),
    "rank 4": (X[:, :, :, np.newaxis], ValueError),
    "rank 2 for two features": (X[:, :, 0], ValueError),
    "one feature too few": (X[:, :, :1], ValueError),
    "one feature too many": (np.concatenate([X, X], axis=2), ValueError),
    "no features": (X[:, :, :0], ValueError),
    "T = 0": (X[:, :0], ValueError),
    "N = 0": (X[:0], ValueError),
    "NaN": (with_value(X, np.nan), ValueError),
    "inf": (with_value(X, np.inf), ValueError),
    "-inf": (with_value(X, -np.inf), ValueError),
    "NaN in float64": (with_value(X.astype(np.float64), np.nan), ValueError),
    "NaN in float16": (with_value(X.astype(np.float16), np.nan), ValueError),
    "NaN in swapped bytes": (with_value(X.astype(X.dtype.newbyteorder()), np.nan), ValueError),
    "beyond float32": (with_value(X.astype(np.float64), 1e300), ValueError),
    "bool": (X > 0, TypeError),
    "complex": (X.astype(np.complex64), TypeError),
    "object": (X.astype(object), TypeError),
    "text": (X.astype(str), TypeError),
    "bytes": (X.astype("S8"), TypeError),
    "dates": (np.zeros(X.shape, dtype="datetime64[s]"), TypeError),
    "durations": (np.zeros(X.shape, dtype="timedelta64[s]"), TypeError),
    "records": (np.zeros(X.shape, dtype=[("a", "f4")]), TypeError),
    "a mask": (np.ma.masked_greater(X, 1.0), TypeError),
    "a mask of nothing": (np.ma.array(X), TypeError),
    "None": (None, TypeError),
    "a string": ("x", EITHER),
}

BAD_Y: dict[str, tuple[object, Any]] = {
    "rank 0": (Y[0, 0], ValueError),
    "rank 1 for three outputs": (Y[:, 0], ValueError),
    "rank 3": (Y[:, :, np.newaxis], ValueError),
    "one output too few": (Y[:, :2], ValueError),
    "NaN": (with_value(Y, np.nan), ValueError),
    "inf": (with_value(Y, np.inf), ValueError),
    "beyond float32": (with_value(Y.astype(np.float64), -1e300), ValueError),
    "bool": (Y > 0, TypeError),
    "complex": (Y.astype(np.complex64), TypeError),
    "object": (Y.astype(object), TypeError),
    "text": (Y.astype(str), TypeError),
    "dates": (np.zeros(Y.shape, dtype="datetime64[s]"), TypeError),
    "a mask": (np.ma.masked_greater(Y, 1.0), TypeError),
    "None": (None, TypeError),
}

METHODS: dict[str, Callable[[RNN, Any, Any], object]] = {
    "predict": lambda model, x, y: model.predict(x),
    "loss": lambda model, x, y: model.loss(x, y),
    "gradients": lambda model, x, y: model.gradients(x, y),
    "fit": lambda model, x, y: Trainer(epochs=1).fit(model, x, y),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", BAD_X)
def test_bad_x(case: str, method: str) -> None:
    model = network(SIZES, "float32")
    before, (x, error) = bits(model), BAD_X[case]
    with pytest.raises(error, match=named("x")):
        METHODS[method](model, x, Y)
    assert bits(model) == before


@pytest.mark.parametrize("method", ["loss", "gradients", "fit"])
@pytest.mark.parametrize("case", BAD_Y)
def test_bad_y(case: str, method: str) -> None:
    model = network(SIZES, "float32")
    before, (y, error) = bits(model), BAD_Y[case]
    with pytest.raises(error, match=named("y")):
        METHODS[method](model, X, y)
    assert bits(model) == before


@pytest.mark.parametrize("method", ["loss", "gradients", "fit"])
@pytest.mark.parametrize("rows", [1, 7, 9])
def test_mismatched_rows(rows: int, method: str) -> None:
    model = network(SIZES, "float32")
    before = bits(model)
    with pytest.raises(ValueError, match=named("y")) as caught:
        METHODS[method](model, X, np.zeros((rows, 3), dtype=np.float32))
    assert re.search(named(str(rows)), str(caught.value))
    assert re.search(named("8"), str(caught.value))
    assert bits(model) == before


def test_one_bad_value_is_found_wherever_it_stands() -> None:
    # the check reads in blocks: values at block edges, the first and the last must count too
    model = network((1, 1, 1, 2, 1), "float32")
    series = np.zeros(3000, dtype=np.float32)
    x = np.lib.stride_tricks.sliding_window_view(series, 3)
    y = np.zeros(len(x), dtype=np.float32)
    for position in [0, 1, 63, 64, 255, 256, 1023, 1024, 1025, 2047, 2048, 2998, 2999]:
        series[position] = np.nan
        with pytest.raises(ValueError, match=named("x")):
            Trainer(epochs=1).fit(model, x, y)
        with pytest.raises(ValueError, match=named("x")):
            model.predict(x)
        series[position] = 0.0
    model.predict(x)


# T I near and above the block size of the check, which tests do not know. The last block of a
# sample is shorter than the others.
LONG: list[tuple[int, int]] = [(20_000, 1), (70_001, 1), (9_001, 3), (33, 1000), (3, 40_000)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("steps", "inputs"), LONG)
def test_one_bad_value_of_a_long_sample_is_found_wherever_it_stands(
    steps: int, inputs: int, dtype: str
) -> None:
    model = network((1, 1, inputs, 2, 1), dtype)
    x, y = np.zeros((3, steps, inputs), dtype), np.zeros(3, dtype)
    size = steps * inputs
    for place in [size, size - 1, size + size - 1, 2 * size + size // 2, 3 * size - 1]:
        for bad in (np.nan, -np.inf):
            x.flat[place] = bad
            for method in METHODS.values():
                with pytest.raises(ValueError, match=rf"^x .* sample {place // size}$"):
                    method(model, x, y)
            x.flat[place] = 0.0


def test_one_bad_value_of_a_long_window_is_found_in_its_first_sample() -> None:
    # overlapping windows are checked as one series, the last window as a whole
    model, series = network((1, 1, 1, 2, 1), "float32"), np.zeros(40_002, np.float32)
    x = np.lib.stride_tricks.sliding_window_view(series, 40_000)
    for place, sample in [(0, 0), (20_000, 0), (39_999, 0), (40_000, 1), (40_001, 2)]:
        series[place] = np.nan
        for method in ("gradients", "fit"):
            with pytest.raises(ValueError, match=rf"^x .* sample {sample}$"):
                METHODS[method](model, x, np.zeros(3, np.float32))
        series[place] = 0.0


@pytest.mark.parametrize("outputs", [3, 16_384, 16_385, 40_000])
@pytest.mark.parametrize("method", ["loss", "gradients", "fit"])
def test_one_bad_target_is_found_wherever_it_stands(method: str, outputs: int) -> None:
    model = network((1, 1, 1, 2, outputs), "float32")
    x, y = np.zeros((4, 2, 1), np.float32), np.zeros((4, outputs), np.float32)
    for place in [0, outputs - 1, 2 * outputs, 4 * outputs - 1]:
        y.flat[place] = np.nan
        with pytest.raises(ValueError, match=rf"^y .* sample {place // outputs}$"):
            METHODS[method](model, x, y)
        y.flat[place] = 0.0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 2, 30, 49, 130])
@pytest.mark.parametrize(("inputs", "apart"), [(2, 1), (1, 1), (1, 2)])
def test_predict_names_the_very_sample(inputs: int, apart: int, rows: int, threads: int) -> None:
    # rows are checked in blocks; the message must name the sample within the block. Samples of one
    # feature that follow each other in memory are checked as one.
    sizes = (rows * apart, 3, inputs, 5, 1)
    model, x = network(sizes), batch(sizes)[0][::apart]
    for sample in range(rows):
        for step in (0, 2):
            x[sample, step, -1] = np.inf
            with pytest.raises(ValueError, match=rf"^x .* sample {sample}$"):
                model.predict(x, threads=threads)
            x[sample, step, -1] = 0.0
    if apart > 1:  # what lies between the samples is not theirs
        assert x.base is not None
        x.base[1] = np.nan
        model.predict(x, threads=threads)


def test_of_several_bad_samples_predict_names_one() -> None:
    model, (x, _) = network((30, 3, 2, 5, 1)), batch((30, 3, 2, 5, 1))
    x[[4, 17, 29], [0, 2, 1]] = np.nan
    with pytest.raises(ValueError, match=r"^x .* sample (4|17|29)$"):
        model.predict(x)


def test_masked_arrays_are_refused_everywhere() -> None:
    # NumPy would silently drop the mask and use the values under it
    masked = np.ma.array(np.arange(60.0), mask=np.arange(60) == 7)
    stream = network((1, 1, 1, 6, 1)).stream()
    forecaster = Forecaster(timesteps=3, hidden_size=2, epochs=1, seed=0)
    calls: dict[str, Callable[[], object]] = {
        "series": lambda: dataset.windows(masked, 3),
        "x": lambda: dataset.split(masked, np.zeros(60)),
        "y": lambda: dataset.split(np.zeros(60), masked),
        "actual": lambda: scoring.rmse(masked, np.zeros(60)),
        "predicted": lambda: scoring.mae(np.zeros(60), masked),
        "training": lambda: scoring.mase(np.zeros(3), np.ones(3), masked),
        "x_t": lambda: stream.step(masked[:1]),
        "state": lambda: setattr(stream, "state", masked[:6].reshape(1, 6)),
        "history": lambda: plots.plot_loss(masked),  # type: ignore[arg-type]
    }
    for name, call in calls.items():
        with pytest.raises(TypeError, match=rf"^{name} must be an array without a mask"):
            call()
    for fit_or_predict in (forecaster.fit, forecaster.fit(np.arange(60.0)).predict):
        with pytest.raises(TypeError, match=r"^series must be an array without a mask"):
            fit_or_predict(masked)
    model = network((1, 1, 1, 6, 1))
    x, y = np.zeros((60, 2)), np.zeros(60)
    with pytest.raises(TypeError, match=r"^validation_data\[1\] must be an array without a mask"):
        Trainer(epochs=1).fit(model, x, y, validation_data=(x, masked))


@pytest.mark.parametrize(
    ("validation_data", "error"),
    [
        (X, EITHER),
        ((X,), EITHER),
        ((X, Y, Y), EITHER),
        (3, TypeError),
        ((X, Y[:3]), ValueError),
        ((X[:0], Y[:0]), ValueError),
        ((X[:, :, :1], Y), ValueError),
        ((with_value(X, np.nan), Y), ValueError),
        ((X, with_value(Y, np.inf)), ValueError),
        ((X.astype(object), Y), TypeError),
    ],
    ids=["array", "one", "three", "int", "rows", "empty", "features", "NaN", "inf", "object"],
)
def test_bad_validation_data(validation_data: Any, error: Any) -> None:
    model = network(SIZES, "float32")
    before = bits(model)
    with pytest.raises(error, match="validation"):
        Trainer(epochs=1).fit(model, X, Y, validation_data=validation_data)
    assert bits(model) == before


@pytest.mark.parametrize("model", [None, RNN, "model", object()], ids=str)
def test_what_is_trained_must_be_a_network(model: Any) -> None:
    with pytest.raises(TypeError, match=named("model")):
        Trainer(epochs=1).fit(model, X, Y)


# ---- settings ----

NOT_INTEGERS: list[tuple[Any, Any]] = [
    (1.5, TypeError),
    (2.0, TypeError),
    ("3", TypeError),
    (None, TypeError),
    (True, TypeError),
    (np.array([1, 2]), TypeError),
    (0, ValueError),
    (-1, ValueError),
]
NOT_POSITIVE: list[tuple[Any, Any]] = [
    (0, ValueError),
    (0.0, ValueError),
    (-1e-3, ValueError),
    (float("nan"), ValueError),
    (float("inf"), ValueError),
    (10**400, ValueError),  # a real number that is not a float
    ("0.1", TypeError),
    (True, TypeError),
    (1j, TypeError),
    (np.array([0.1, 0.2]), TypeError),
]
NOT_A_NAME: list[tuple[Any, Any]] = [
    ("nothing of this name", ValueError),
    ("", ValueError),
    (3, TypeError),
    (None, TypeError),
    (["mse"], TypeError),
]
NOT_A_TRUTH: list[tuple[Any, Any]] = [(1, TypeError), ("yes", TypeError), (None, TypeError)]
NOT_A_SEED: list[tuple[Any, Any]] = [
    (-1, ValueError),
    (1.0, TypeError),
    ("0", TypeError),
    (True, TypeError),
]


def cases(table: dict[str, list[tuple[Any, Any]]]) -> list[Any]:
    """One parameter set for each name and each of its bad values."""
    return [
        pytest.param(name, value, error, id=f"{name}={value!r:.40}")
        for name, values in table.items()
        for value, error in values
    ]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    cases(
        {
            "input_size": NOT_INTEGERS,
            "hidden_size": NOT_INTEGERS,
            "output_size": NOT_INTEGERS,
            "bias": NOT_A_TRUTH,
            "dtype": [
                ("float16", ValueError),
                ("int32", ValueError),
                ("complex64", ValueError),
                ("nothing of this name", EITHER),
                (object, EITHER),
                (3, EITHER),
                (None, EITHER),
            ],
            "init": NOT_A_NAME,
            "seed": NOT_A_SEED,
        }
    ),
)
def test_bad_network_settings(name: str, value: object, error: Any) -> None:
    good: dict[str, Any] = {"input_size": 2, "hidden_size": 3, "output_size": 1}
    with pytest.raises(error, match=named(name)):
        RNN(**{**good, name: value})


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("float64")], ids=repr)
def test_a_dtype_may_be_given_as_numpy_does(dtype: Any) -> None:
    assert RNN(1, 2, 1, dtype=dtype).dtype == np.dtype("float64")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    cases(
        {
            "epochs": NOT_INTEGERS,
            "batch_size": NOT_INTEGERS,
            "learning_rate": [*NOT_POSITIVE, (None, TypeError)],
            "clip_value": NOT_POSITIVE,
            "clip_norm": [case for case in NOT_POSITIVE if str(case[0]) != "inf"],
            "optimizer": NOT_A_NAME,
            "loss": NOT_A_NAME,
            "shuffle": NOT_A_TRUTH,
            "seed": NOT_A_SEED,
            "progress": NOT_A_TRUTH,
            "threads": [case for case in NOT_INTEGERS if case[0] is not None],
        }
    ),
)
def test_bad_training_settings(name: str, value: object, error: Any) -> None:
    model = network(SIZES, "float32")
    before, settings = bits(model), {"epochs": 1, name: value}
    with pytest.raises(error, match=named(name)):
        Trainer(**settings).fit(model, X, Y)  # type: ignore[arg-type]
    assert bits(model) == before


@pytest.mark.parametrize(("value", "error"), [case for case in NOT_INTEGERS if case[0] is not None])
def test_bad_threads_of_predict(value: Any, error: Any) -> None:
    with pytest.raises(error, match=named("threads")):
        network(SIZES, "float32").predict(X, threads=value)


@pytest.mark.parametrize("method", ["loss", "gradients"])
@pytest.mark.parametrize(("value", "error"), NOT_A_NAME)
def test_unknown_loss(method: str, value: Any, error: Any) -> None:
    with pytest.raises(error, match=named("loss")):
        getattr(network(SIZES, "float32"), method)(X, Y, loss=value)


@pytest.mark.parametrize("integer", [np.int64, np.uint8], ids=lambda kind: kind.__name__)
def test_numpy_numbers_are_numbers(integer: Any) -> None:
    model = RNN(integer(2), integer(6), integer(3), seed=integer(1))
    Trainer(
        epochs=integer(1),
        batch_size=integer(4),
        learning_rate=np.float32(0.01),  # type: ignore[arg-type]
        clip_value=np.float64(1.0),
        shuffle=np.bool_(True),  # type: ignore[arg-type]
        seed=integer(0),
    ).fit(model, X, Y)
    assert isinstance(model.hidden_size, int)


# ---- state_dict ----


def spoiled(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    """The state with one array replaced or, for None, removed."""

    def spoil(state: dict[str, Any]) -> object:
        rest = {key: array for key, array in state.items() if key != name}
        return rest if value is None else {**rest, name: value}

    return spoil


BAD_STATES: dict[str, tuple[Callable[[dict[str, Any]], object], Any, str]] = {
    "missing": (spoiled("Wh_l0", None), ValueError, "Wh_l0"),
    "missing bias": (spoiled("by", None), ValueError, "by"),
    "extra": (spoiled("Wx_l1", np.zeros((2, 2))), ValueError, "Wx_l1"),
    "misshapen": (spoiled("Wh_l0", np.zeros((6, 5))), ValueError, "Wh_l0"),
    "transposed": (spoiled("Wx_l0", np.zeros((6, 2))), ValueError, "Wx_l0"),
    "rank": (spoiled("b_l0", np.zeros((1, 6))), ValueError, "b_l0"),
    "would broadcast": (spoiled("Wy", np.zeros((6, 1))), ValueError, "Wy"),
    "scalar": (spoiled("Wy", 0.0), ValueError, "Wy"),
    "NaN": (spoiled("Wy", np.full((6, 3), np.nan)), ValueError, "Wy"),
    "inf": (spoiled("by", np.array([0.0, np.inf, 0.0])), ValueError, "by"),
    "beyond float32": (spoiled("by", np.array([0.0, 1e300, 0.0])), ValueError, "by"),
    "object": (spoiled("by", np.array([0, 0, 0], dtype=object)), TypeError, "by"),
    "complex": (spoiled("by", np.zeros(3, dtype=complex)), TypeError, "by"),
    "text": (spoiled("by", np.array(["0", "0", "0"])), TypeError, "by"),
    "a mask": (spoiled("by", np.ma.array(np.zeros(3), mask=[0, 1, 0])), TypeError, "by"),
    "no mapping": (lambda state: list(state.values()), EITHER, "state_dict|state"),
    "None": (lambda state: None, EITHER, "state_dict|state"),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_bad_state_dict(case: str) -> None:
    model = network(SIZES, "float32")
    spoil, error, name = BAD_STATES[case]
    before = bits(model)
    # all other arrays differ from the model's, so that a partial change is visible
    state = network(SIZES, "float32", seed=2).state_dict()
    with pytest.raises(error, match=named(f"({name})")):
        model.load_state_dict(spoil(state))  # type: ignore[arg-type]
    assert bits(model) == before


# ---- files ----


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "network.crnn"
    network((1, 1, 1, 3, 1), "float32").save(path)
    return path


def assert_refused(path: Path) -> None:
    """Loading raises a ValueError that names the file."""
    with pytest.raises(ValueError, match=re.escape(path.name)):
        RNN.load(path)


def test_a_truncated_file(saved: Path) -> None:
    content = saved.read_bytes()
    for length in [*range(0, len(content), 13), len(content) - 1]:
        saved.write_bytes(content[:length])
        assert_refused(saved)


def test_a_file_with_extra_bytes_at_its_end(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + b"\0")
    assert_refused(saved)


def test_a_flipped_bit(saved: Path) -> None:
    # test_storage.py flips every bit
    content = saved.read_bytes()
    for position in range(0, len(content), 13):
        flipped = bytearray(content)
        flipped[position] ^= 1 << (position % 8)
        saved.write_bytes(flipped)
        assert_refused(saved)


@pytest.mark.parametrize("value", [None, 0, -1, 4, 2**40, 2**70, 3.0, "3", [3]], ids=repr)
@pytest.mark.parametrize("name", ["input_size", "hidden_size", "output_size"])
def test_a_whole_file_of_an_impossible_size(saved: Path, name: str, value: object) -> None:
    # its digest is right, its content wrong
    arrays, configuration = storage.read(saved, "network")
    assert name in configuration
    if value is None:
        del configuration[name]
    else:
        configuration[name] = value
    storage.write(saved, "network", arrays, configuration)
    tracemalloc.start()
    try:
        assert_refused(saved)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "value"),
    [("bias", False), ("bias", 1), ("dtype", "float64"), ("dtype", "int8"), ("init", 3)],
)
def test_a_whole_file_whose_arrays_are_others_than_it_says(
    saved: Path, name: str, value: object
) -> None:
    arrays, configuration = storage.read(saved, "network")
    storage.write(saved, "network", arrays, {**configuration, name: value})
    assert_refused(saved)


def test_a_whole_file_with_an_array_missing_or_too_many(saved: Path) -> None:
    arrays, configuration = storage.read(saved, "network")
    for name in arrays:
        rest = {key: array for key, array in arrays.items() if key != name}
        storage.write(saved, "network", rest, configuration)
        assert_refused(saved)
        storage.write(saved, "network", {**arrays, name: arrays[name][..., :0]}, configuration)
        assert_refused(saved)
    storage.write(saved, "network", {**arrays, "Wx_l1": arrays["Wx_l0"]}, configuration)
    assert_refused(saved)


class Bomb:
    """Whoever unpickles this runs it."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (pytest.fail, ("the file was unpickled",))


def test_a_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "foreign.crnn"
    np.savez(tmp_path / "a.npz", Wx_l0=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("../escape", b"")
    for content in (
        b"{}",
        b"year,value\n1700,5.0\n",
        (tmp_path / "a.npz").read_bytes(),
        (tmp_path / "b.zip").read_bytes(),
        pickle.dumps(Bomb()),
        (2).to_bytes(8, "little") + b"{}",
        (2**63 - 1).to_bytes(8, "little") + b"{}",
        (2**40).to_bytes(8, "little") + b"{" * 100,
        b"\0" * 4096,
        b"\xff" * 4096,
    ):
        path.write_bytes(content)
        assert_refused(path)


def test_a_file_of_another_kind_names_the_right_loader(tmp_path: Path) -> None:
    path = tmp_path / "forecaster.crnn"
    storage.write(path, "forecaster", network(SIZES, "float32").state_dict(), {"timesteps": 5})
    with pytest.raises(ValueError, match=r"Forecaster\.load"):
        RNN.load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RNN.load(tmp_path / "nothing.crnn")
    with pytest.raises(OSError, match=tmp_path.name):
        RNN.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        network(SIZES).save(tmp_path / "no such folder" / "network")


# ---- x of one column ----


@pytest.mark.parametrize("call", ["predict", "states", "loss", "gradients", "fit"])
def test_one_column_in_two_dimensions_is_refused(call: str) -> None:
    # otherwise predict(x[0]) of a window (T, 1) would predict T windows of one step
    model = network((0, 0, 1, 5, 1), "float32")
    window, y = np.ones((7, 1)), np.ones(7)
    before = bits(model)
    calls: dict[str, Callable[[Any], object]] = {
        "predict": model.predict,
        "states": model.states,
        "loss": lambda x: model.loss(x, y),
        "gradients": lambda x: model.gradients(x, y),
        "fit": lambda x: Trainer(epochs=1, seed=0).fit(model, x, y),
    }
    with pytest.raises(ValueError, match=r"\bx must .*\(7, 1\).*x\[None\].*x\[:, None, :\]"):
        calls[call](window)
    assert bits(model) == before
    calls[call](window[:, None, :])
    if call in ("predict", "states"):
        calls[call](window[None])
        assert np.array_equal(model.predict(window[None]), model.predict(window.T))


def test_one_token_each_is_no_window() -> None:
    model = RNN(5, 4, 1, tokens=True, seed=0)
    assert model.predict(np.array([[1], [4], [0]])).shape == (3, 1)


# ---- DataFrames ----


def frames() -> dict[str, tuple[Any, str]]:
    """DataFrames of numbers, and the dtype of the resulting array."""
    pandas = pytest.importorskip("pandas", reason="DataFrames are pandas'")
    load, day = np.sin(np.arange(60.0)), np.arange(60) % 7
    plain = pandas.DataFrame({"load": load, "day": day})
    text = io.StringIO(plain.to_csv(index=False, float_format="%.17g"))
    sparse = pandas.arrays.SparseArray(load)
    return {
        "float64 and int64": (plain, "float64"),
        "float64 and bool": (plain.assign(day=day > 3), "float64"),
        "float32 and bool": (plain.astype({"load": "float32"}).assign(day=day > 3), "float32"),
        "int64 and bool": (plain.assign(load=day * 2, day=day > 3), "int64"),
        "bool": (plain.assign(load=day > 1, day=day > 3), "uint8"),
        "get_dummies": (pandas.get_dummies(plain, columns=["day"]), "float64"),
        "float64 and Int64": (plain.assign(day=plain["day"].astype("Int64")), "float64"),
        "float64 and boolean": (plain.assign(day=(plain["day"] > 3).astype("boolean")), "float64"),
        "convert_dtypes": (plain.convert_dtypes(), "float64"),
        "Int64": (plain.assign(load=day * 2).astype("Int64"), "int64"),
        "UInt8": (plain.assign(load=day * 2).astype("UInt8"), "uint8"),
        "Float32": (plain.astype("float32").astype("Float32"), "float32"),
        "numpy_nullable": (pandas.read_csv(text, dtype_backend="numpy_nullable"), "float64"),
        "sparse": (plain.assign(load=sparse), "float64"),
        "one label twice": (plain.convert_dtypes().set_axis(["a", "a"], axis=1), "float64"),
    }


def test_dataframes_of_any_numbers_are_taken() -> None:
    for kind, (frame, dtype) in frames().items():
        array = _arguments.numeric("series", frame)
        plain = np.column_stack([frame.iloc[:, i].tolist() for i in range(frame.shape[1])])
        assert array.dtype == dtype, kind
        assert np.array_equal(array, plain.astype(dtype)), kind
        x, y = dataset.windows(frame, 8)
        expected = dataset.windows(plain.astype(np.float64), 8)
        assert np.array_equal(x, expected[0]), kind
        assert np.array_equal(y, expected[1]), kind


def test_missing_values_of_pandas_own_types_are_nan() -> None:
    pandas = pytest.importorskip("pandas", reason="DataFrames are pandas'")
    column = pandas.Series([1, None, 3], dtype="Int64")
    boolean = pandas.Series([True, None, False], dtype="boolean")
    for given in (column, pandas.DataFrame({"a": column, "b": boolean})):
        array = _arguments.numeric("y", given)
        assert array.dtype == np.float64
        assert np.isnan(array).reshape(3, -1).all(axis=1).tolist() == [False, True, False]
    model, y = RNN(1, 4, 1, seed=0), np.array([1.0, np.nan, 3.0])
    x = np.random.default_rng(0).standard_normal((3, 5))
    assert model.loss(x, column, missing="ignore") == model.loss(x, y, missing="ignore")
    with pytest.raises(ValueError, match=named("y")):
        model.loss(x, column)


def test_a_column_that_is_no_number_is_named() -> None:
    pandas = pytest.importorskip("pandas", reason="DataFrames are pandas'")
    good = pandas.DataFrame({"load": np.arange(9.0), "day": np.arange(9)})
    for column in (
        list("abcdefghi"),
        pandas.Series([1, "a", *range(7)], dtype=object),
        pandas.date_range("2020", periods=9),
        pandas.Categorical(list("abcabcabc")),
        np.arange(9) * 1j,
        pandas.to_timedelta(np.arange(9), unit="h"),
    ):
        with pytest.raises(TypeError, match=r"\bseries must .* column 'odd one'"):
            dataset.windows(good.assign(**{"odd one": column}), 3)


def test_frames_of_polars() -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    load, day = np.sin(np.arange(9.0)), np.arange(9)
    frame = polars.DataFrame({"load": load, "day": day, "late": day > 3})
    plain = np.column_stack([load, day, day > 3])
    assert np.array_equal(dataset.windows(frame, 3)[0], dataset.windows(plain, 3)[0])
    with pytest.raises(TypeError, match=r"\bseries must .* column 'odd one'"):
        dataset.windows(frame.with_columns(polars.lit("a").alias("odd one")), 3)


def test_booleans_are_numbers_in_dataframes_alone() -> None:
    pandas = pytest.importorskip("pandas", reason="DataFrames are pandas'")
    for given in (pandas.Series([True, False]), pandas.Series([True, False], dtype="boolean")):
        with pytest.raises(TypeError, match="bool"):
            _arguments.numeric("y", given)


def test_a_dataframe_of_one_type_is_not_copied() -> None:
    pandas = pytest.importorskip("pandas", reason="DataFrames are pandas'")
    frame = pandas.DataFrame(np.random.default_rng(0).standard_normal((50, 3)))
    assert np.shares_memory(_arguments.numeric("x", frame), frame.to_numpy())
