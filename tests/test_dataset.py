"""Series, windows, splits and generators: their values, and that windows are views."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from samples import Array
from tolerances import ADDING_VARIANCE, LONG_MEAN, MACKEY_GLASS_SLOPE, NARMA, ONE_SUM, near

from crnn import dataset
from crnn.dataset import Sequences

# Every dtype that a series may have, with the other byte order and float128.
DTYPES = ["i1", "u1", "<i2", ">i4", "<i8", "<u8", "<f2", "<f4", ">f4", "<f8", ">f8", "g"]
GENERATORS: dict[str, Callable[..., Any]] = {
    "mackey_glass": lambda seed: (dataset.mackey_glass(50, seed=seed),),
    "narma10": lambda seed: dataset.narma10(5, 12, seed=seed),
    "adding_problem": lambda seed: dataset.adding_problem(5, 9, seed=seed),
    "copy_memory": lambda seed: dataset.copy_memory(5, 3, seed=seed),
}


def cut(series: Array, timesteps: int, horizon: int, stride: int) -> tuple[Array, Array]:
    """The windows of a series (size, F), point by point."""
    size, features = series.shape
    starts = range(0, size - timesteps - horizon + 1, stride)
    x = np.array([series[start : start + timesteps] for start in starts])
    y = np.array([series[start + timesteps : start + timesteps + horizon] for start in starts])
    return x, y.reshape(len(y), horizon * features)


def owner(array: Any) -> Array:
    """The array that owns this one's memory."""
    while array.base is not None:
        array = array.base
    return np.asarray(array)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, int, int, int]:
    """A series of any memory layout, timesteps, horizon and stride."""
    timesteps, horizon = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    size = timesteps + horizon + draw(st.integers(0, 12))
    steps = st.sampled_from([-3, -2, -1, 1, 2, 3])
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    row_step = draw(steps)
    if draw(st.booleans()):
        shape: tuple[int, ...] = (size * abs(row_step),)
        column_step = 1
    else:
        column_step = draw(steps)
        shape = (size * abs(row_step), draw(st.integers(1, 3)) * abs(column_step))
    memory = (np.arange(np.prod(shape)) % 100).astype(dtype).reshape(shape)
    if draw(st.booleans()):
        memory = np.asfortranarray(memory)
    series = memory[::row_step] if len(shape) == 1 else memory[::row_step, ::column_step]
    return series, timesteps, horizon, draw(st.integers(1, 4))


def can_be_viewed(series: Array, horizon: int) -> bool:
    """Whether the rows of y, horizon * F numbers, have one stride."""
    if series.ndim == 1 or series.shape[1] == 1 or horizon == 1:
        return True
    return bool(series.strides[0] == series.shape[1] * series.strides[1])


@given(cases())
def test_windows_of_any_series(case: tuple[Array, int, int, int]) -> None:
    series, timesteps, horizon, stride = case
    x, y = dataset.windows(series, timesteps, horizon=horizon, stride=stride)
    wanted_x, wanted_y = cut(series.reshape(len(series), -1), timesteps, horizon, stride)
    assert x.shape == wanted_x.shape
    assert y.shape == wanted_y.shape
    assert (x == wanted_x).all()
    assert (y == wanted_y).all()
    assert x.dtype == y.dtype == series.dtype
    assert x.dtype.byteorder == series.dtype.byteorder
    assert not x.flags.writeable
    assert not y.flags.writeable
    view = can_be_viewed(series, horizon)
    for windows in (x, y):
        assert np.shares_memory(windows, series) is view
        if not view:
            assert owner(windows).nbytes == series.nbytes  # the series, copied once


def test_windows_by_hand() -> None:
    x, y = dataset.windows([10, 11, 12, 13, 14, 15, 16], 2, horizon=2, stride=3)
    assert x.tolist() == [[[10], [11]], [[13], [14]]]
    assert y.tolist() == [[12, 13], [15, 16]]


def test_windows_of_two_features_by_hand() -> None:
    x, y = dataset.windows([[0, 5], [1, 6], [2, 7], [3, 8]], 2, horizon=2)
    assert x.tolist() == [[[0, 5], [1, 6]]]
    assert y.tolist() == [[2, 7, 3, 8]]


def test_a_next_step_target_has_one_column() -> None:
    x, y = dataset.windows(np.arange(300.0), 25)
    assert x.shape == (275, 25, 1)  # the notebook's shapes
    assert y.shape == (275, 1)


def test_windows_at_the_shortest_series() -> None:
    x, y = dataset.windows([1, 2, 3], 2)
    assert x.tolist() == [[[1], [2]]]
    assert y.tolist() == [[3]]


def test_windows_show_later_changes_of_the_series() -> None:
    series = np.zeros(6)
    x, y = dataset.windows(series, 3)
    series[3] = 7
    assert x[1, 2, 0] == 7
    assert y[0, 0] == 7


def test_windows_cannot_be_written() -> None:
    x, y = dataset.windows(np.zeros(6), 3)
    for windows in (x, y):
        with pytest.raises(ValueError, match="read-only"):
            windows[0] = 1


def test_windows_of_a_read_only_file(tmp_path: Path) -> None:
    np.save(tmp_path / "series.npy", np.arange(20, dtype="<f4"))
    series = np.load(tmp_path / "series.npy", mmap_mode="r")
    x, y = dataset.windows(series, 4)
    assert np.shares_memory(x, series)
    assert x[3, :, 0].tolist() == [3, 4, 5, 6]
    assert y[3].tolist() == [7]


def test_windows_of_unaligned_memory() -> None:
    series = np.frombuffer(b"\0" + np.arange(9, dtype="<f8").tobytes(), "<f8", offset=1)
    assert not series.flags.aligned
    x, y = dataset.windows(series, 3, horizon=2)
    assert np.shares_memory(x, series)
    assert np.shares_memory(y, series)
    assert x[4, :, 0].tolist() == [4, 5, 6]
    assert y[4].tolist() == [7, 8]


def test_windows_take_no_memory() -> None:
    series = np.zeros(1_000_000)
    tracemalloc.start()
    try:
        x, y = dataset.windows(series, 100, horizon=20)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert x.nbytes + y.nbytes > 900e6
    assert used < 100_000


def test_windows_keep_nan() -> None:
    x, _ = dataset.windows([1.0, np.nan, 2.0], 2)
    assert np.isnan(x[0, 1, 0])


# ---- windows of several series ----


@given(st.lists(cases(), min_size=1, max_size=4), st.sampled_from([list, tuple]))
def test_windows_of_several_series(
    several: list[tuple[Array, int, int, int]], container: Callable[[Any], Any]
) -> None:
    (_, timesteps, horizon, stride) = several[0]
    # all with the same number of features, and each at least as long as one window
    features = several[0][0].reshape(len(several[0][0]), -1).shape[1]
    series = [
        np.resize(points, (timesteps + horizon + len(points) - 2, features))
        for points, *_ in several
    ]
    if features == 1 and len(several) > 1:
        series[-1] = series[-1][:, 0]
    x, y = dataset.windows(container(series), timesteps, horizon=horizon, stride=stride)
    each = [cut(part.reshape(len(part), -1), timesteps, horizon, stride) for part in series]
    wanted_x = np.concatenate([wanted for wanted, _ in each])
    wanted_y = np.concatenate([wanted for _, wanted in each])
    assert isinstance(x, Sequences)
    assert (x.lengths == timesteps).all()
    assert x.padded().shape == wanted_x.shape
    assert (x.padded() == wanted_x).all()
    assert y.shape == wanted_y.shape
    assert (y == wanted_y).all()
    assert x.values.dtype == y.dtype == np.result_type(*series)
    # one array with a copy of each series
    assert x.values.shape == (sum(map(len, series)), features)
    assert x.values.flags.c_contiguous


def test_windows_of_two_series_by_hand() -> None:
    series = [np.array([0, 1, 2, 3]), np.array([10, 11, 12])]
    x, y = dataset.windows(series, 2)
    assert [window.ravel().tolist() for window in x] == [[0, 1], [1, 2], [10, 11]]
    assert y.tolist() == [[2], [3], [12]]
    assert x.values.tolist() == [[0], [1], [2], [3], [10], [11], [12]]
    assert x.starts.tolist() == [0, 1, 4]


def test_windows_of_several_series_take_the_memory_of_the_series() -> None:
    series = [np.zeros(200_000), np.zeros(300_000)]
    tracemalloc.start()
    try:
        x, _ = dataset.windows(series, 100)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(x.lengths) > 49e6
    # the series, and a target, a start and a length per window; temporarily some of it twice
    assert used < 40e6


def test_windows_of_several_series_cannot_be_written() -> None:
    series = np.zeros(6)
    x, _ = dataset.windows([series], 3)
    with pytest.raises(ValueError, match="read-only"):
        x[0][0] = 1


def test_windows_of_sequences_are_views() -> None:
    values = np.arange(10)
    x, y = dataset.windows(Sequences(values, [5, 0], [5, 4]), 3)
    assert np.shares_memory(x.values, values)
    assert [window.ravel().tolist() for window in x] == [[5, 6, 7], [6, 7, 8], [0, 1, 2]]
    assert y.tolist() == [[8], [9], [3]]


def test_a_list_of_numbers_or_of_rows_is_one_series() -> None:
    for series in ([0, 1, 2, 3], (0.0, 1.0, 2.0, 3.0), list(np.arange(4.0)), [[0], [1], [2], [3]]):
        x, y = dataset.windows(series, 2)
        assert isinstance(x, np.ndarray)
        assert x[:, :, 0].tolist() == [[0, 1], [1, 2]]
        assert y.tolist() == [[2], [3]]


def test_one_array_in_a_list_makes_it_a_list_of_series() -> None:
    x, y = dataset.windows([[0, 1, 2], np.array([7, 8, 9])], 2)
    assert [window.ravel().tolist() for window in x] == [[0, 1], [7, 8]]
    assert y.tolist() == [[2], [9]]


S = np.zeros((5, 2))


@pytest.mark.parametrize(
    ("error", "message", "series"),
    [
        (ValueError, r"series\[1\] .*timesteps \+ horizon = 5 .*got 4$", [S, S[:4], S[:3]]),
        (ValueError, r"series\[1\] .*\(0, 2\)", [S, S[:0]]),
        (ValueError, r"series\[1\] .*\(5, 1\).*\(5, 2\)", [S, S[:, 0]]),
        (ValueError, r"series\[0\] .*\(5, 0\)", [S[:, :0]]),
        (ValueError, r"series\[0\] .*\(1, 5, 2\)", [S[np.newaxis]]),
        (ValueError, r"series\[1\] .*\(\)", [S, 1.0]),
        (TypeError, r"series\[1\] .*bool", [S, S > 0]),
        (TypeError, r"series\[1\] .*object", [S, S.astype(object)]),
        (TypeError, r"series\[0\] .*mask", [np.ma.array(S)]),
        (ValueError, r"series\[0\] .*= 5 .*got 4$", Sequences(S, [1, 0], [4, 5])),
    ],
)
def test_the_invalid_series_is_named(error: type[Exception], message: str, series: Any) -> None:
    with pytest.raises(error, match="^" + message):
        unchecked.windows(series, 3, horizon=2)


unchecked: Any = dataset  # for calls that the annotations forbid


@pytest.mark.parametrize(
    ("error", "name", "call"),
    [
        (ValueError, "series", lambda: unchecked.windows(np.zeros((2, 3, 4)), 1)),
        (ValueError, "series", lambda: unchecked.windows(np.float64(1), 1)),
        (ValueError, "series", lambda: unchecked.windows(np.zeros((9, 0)), 1)),
        (ValueError, "series", lambda: unchecked.windows([], 1)),
        (ValueError, "series", lambda: unchecked.windows(np.zeros(5), 5)),
        (ValueError, "series", lambda: unchecked.windows(np.zeros(5), 3, horizon=3)),
        (TypeError, "series", lambda: unchecked.windows(["a", "b", "c"], 1)),
        (TypeError, "series", lambda: unchecked.windows(np.zeros(5, complex), 1)),
        (TypeError, "series", lambda: unchecked.windows(np.zeros(5, object), 1)),
        (TypeError, "series", lambda: unchecked.windows(np.zeros(5, bool), 1)),
        (TypeError, "series", lambda: unchecked.windows(np.zeros(5, "M8[D]"), 1)),
        (ValueError, "timesteps", lambda: unchecked.windows(np.zeros(5), 0)),
        (TypeError, "timesteps", lambda: unchecked.windows(np.zeros(5), 2.0)),
        (TypeError, "timesteps", lambda: unchecked.windows(np.zeros(5), True)),
        (ValueError, "horizon", lambda: unchecked.windows(np.zeros(5), 1, horizon=0)),
        (TypeError, "horizon", lambda: unchecked.windows(np.zeros(5), 1, horizon="1")),
        (ValueError, "stride", lambda: unchecked.windows(np.zeros(5), 1, stride=-1)),
        (TypeError, "stride", lambda: unchecked.windows(np.zeros(5), 1, stride=None)),
        (ValueError, "y", lambda: unchecked.split(np.zeros(5), np.zeros(4))),
        (ValueError, "x", lambda: unchecked.split(np.float64(1), np.zeros(4))),
        (ValueError, "y", lambda: unchecked.split(np.zeros(4), np.float64(1))),
        (TypeError, "x", lambda: unchecked.split(["a", "b"], [1, 2])),
        (TypeError, "y", lambda: unchecked.split([1, 2], [None, 1])),
        (ValueError, "test_fraction", lambda: unchecked.split(np.zeros(5), np.zeros(5), 0.0)),
        (ValueError, "test_fraction", lambda: unchecked.split(np.zeros(5), np.zeros(5), 1.0)),
        (ValueError, "test_fraction", lambda: unchecked.split(np.zeros(5), np.zeros(5), np.nan)),
        (ValueError, "test_fraction", lambda: unchecked.split(np.zeros(5), np.zeros(5), 0.05)),
        (ValueError, "test_fraction", lambda: unchecked.split(np.zeros(5), np.zeros(5), 0.95)),
        (ValueError, "test_fraction", lambda: unchecked.split(np.zeros(0), np.zeros(0))),
        (TypeError, "test_fraction", lambda: unchecked.split(np.zeros(5), np.zeros(5), "0.2")),
        (ValueError, "gap", lambda: unchecked.split(np.zeros(5), np.zeros(5), gap=4)),
        (ValueError, "gap", lambda: unchecked.split(np.zeros(5), np.zeros(5), gap=-1)),
        (TypeError, "gap", lambda: unchecked.split(np.zeros(5), np.zeros(5), gap=0.5)),
        (ValueError, "size", lambda: unchecked.sine_wave(0)),
        (TypeError, "size", lambda: unchecked.sine_wave(2.5)),
        (ValueError, "size", lambda: unchecked.mackey_glass(0)),
        (ValueError, "tau", lambda: unchecked.mackey_glass(5, tau=0)),
        (TypeError, "tau", lambda: unchecked.mackey_glass(5, tau=17.5)),
        (ValueError, "seed", lambda: unchecked.mackey_glass(5, seed=-1)),
        (ValueError, "samples", lambda: unchecked.narma10(0, 20)),
        (ValueError, "timesteps", lambda: unchecked.narma10(1, 9)),
        (TypeError, "seed", lambda: unchecked.narma10(1, 20, seed=0.5)),
        (ValueError, "samples", lambda: unchecked.adding_problem(0, 20)),
        (ValueError, "timesteps", lambda: unchecked.adding_problem(1, 1)),
        (TypeError, "seed", lambda: unchecked.adding_problem(1, 20, seed="1")),
        (ValueError, "samples", lambda: unchecked.copy_memory(-1, 20)),
        (ValueError, "delay", lambda: unchecked.copy_memory(1, -1)),
        (ValueError, "length", lambda: unchecked.copy_memory(1, 1, length=0)),
        (ValueError, "symbols", lambda: unchecked.copy_memory(1, 1, symbols=1)),
        (TypeError, "seed", lambda: unchecked.copy_memory(1, 1, seed=[1])),
        (ValueError, "answer", lambda: unchecked.copy_memory(1, 1, answer="all")),
        (TypeError, "answer", lambda: unchecked.copy_memory(1, 1, answer=None)),
        (ValueError, "delay", lambda: unchecked.copy_memory(1, -1, answer="steps")),
    ],
)
def test_bad_arguments_are_named(
    error: type[Exception], name: str, call: Callable[[], object]
) -> None:
    with pytest.raises(error, match=rf"^(test_fraction and )?{name}\b"):
        call()


def test_split_by_hand() -> None:
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    x_train, x_test, y_train, y_test = dataset.split(x, y, 0.3, gap=2)
    assert y_train.tolist() == [0, 1, 2, 3, 4]
    assert y_test.tolist() == [7, 8, 9]
    assert x_train.tolist() == x[:5].tolist()
    assert x_test.tolist() == x[7:].tolist()


def test_split_by_default_keeps_a_fifth() -> None:
    # 0.2 * 275 is 55.000000000000007 in binary: rounding up would give 56.
    parts = dataset.split(np.zeros((275, 25, 1)), np.zeros((275, 1)))
    assert [len(part) for part in parts] == [220, 55, 220, 55]


@pytest.mark.parametrize(
    ("count", "fraction", "test"),
    [(5, 0.5, 3), (25, 0.1, 3), (3, 0.5, 2), (13, 0.5, 7), (10, 0.24, 2), (10, 0.26, 3)],
)
def test_half_a_sample_is_rounded_up_for_the_test_part(
    count: int, fraction: float, test: int
) -> None:
    _, _, y_train, y_test = dataset.split(np.zeros(count), np.arange(count), fraction)
    assert (len(y_train), len(y_test)) == (count - test, test)


@example(5, 0.5, 0)
@example(25, 0.1, 2)
@given(st.integers(2, 40), st.floats(0.01, 0.99), st.integers(0, 5))
def test_split_gives_views_in_time_order(count: int, fraction: float, gap: int) -> None:
    x, y = np.arange(3 * count).reshape(count, 3), np.arange(count)
    exact = count * fraction
    (test,) = (n for n in range(count + 1) if -0.5 < n - exact <= 0.5)  # the nearest; at a tie, up
    if test < 1 or count - test - gap < 1:
        with pytest.raises(ValueError, match="test_fraction"):
            dataset.split(x, y, fraction, gap=gap)
        return
    x_train, x_test, y_train, y_test = dataset.split(x, y, fraction, gap=gap)
    assert y_train.tolist() == list(range(count - test - gap))
    assert y_test.tolist() == list(range(count - test, count))
    assert (x_train == x[y_train]).all()
    assert (x_test == x[y_test]).all()
    for part, whole in ((x_train, x), (x_test, x), (y_train, y), (y_test, y)):
        assert np.shares_memory(part, whole)


def test_split_of_sequences_by_hand() -> None:
    x = Sequences(np.arange(10), [8, 0, 2, 5], [2, 3, 1, 4])
    classes = x[[0, 2, 1, 3]]
    x_train, x_test, y_train, y_test = dataset.split(x, classes, 0.25, gap=1)
    for part, whole, chosen in (
        (x_train, x, slice(0, 2)),
        (x_test, x, slice(3, 4)),
        (y_train, classes, slice(0, 2)),
        (y_test, classes, slice(3, 4)),
    ):
        assert isinstance(part, Sequences)
        assert part.values is whole.values
        assert part.starts.tolist() == whole.starts[chosen].tolist()
        assert part.lengths.tolist() == whole.lengths[chosen].tolist()


@pytest.mark.parametrize("swap", [False, True])
def test_split_of_sequences_beside_an_array(swap: bool) -> None:
    pair = (Sequences(np.arange(5), range(5), [1] * 5), np.arange(5))
    first_train, first_test, second_train, second_test = unchecked.split(*pair[:: 1 - 2 * swap])
    for part, whole in (
        (first_train, [0, 1, 2, 3]),
        (first_test, [4]),
        (second_train, [0, 1, 2, 3]),
        (second_test, [4]),
    ):
        assert np.concatenate(list(part), axis=None).tolist() == whole
    assert isinstance(second_train if swap else first_train, Sequences)
    assert isinstance(first_test if swap else second_test, np.ndarray)


def test_split_counts_sequences_and_not_their_rows() -> None:
    x = Sequences(np.arange(5), [0, 2], [2, 3])
    with pytest.raises(ValueError, match=r"^y .*\b5\b.*\b2\b"):
        dataset.split(x, np.arange(5))


@given(st.integers(1, 6), st.integers(1, 4))
def test_a_gap_keeps_training_targets_out_of_the_test(horizon: int, stride: int) -> None:
    x, y = dataset.windows(np.arange(120), 5, horizon=horizon, stride=stride)
    gap = -(-horizon // stride) - 1
    _, _, y_train, y_test = dataset.split(x, y, gap=gap)
    assert y_train.max() < y_test.min()
    if gap > 0:
        _, _, y_train, y_test = dataset.split(x, y, gap=gap - 1)
        assert y_train.max() >= y_test.min()


def test_sine_wave_is_the_notebooks() -> None:
    series = dataset.sine_wave(300)
    assert series.dtype == np.float64
    assert series.shape == (300,)
    assert (series == np.sin(np.arange(300))).all()


def test_sunspots_of_known_years() -> None:
    numbers = dataset.load_sunspots()
    assert numbers.shape == (309,)
    assert numbers.dtype == np.float64
    by_year = dict(zip(range(1700, 2009), numbers.tolist(), strict=True))
    # First and last years, 1749 (the first with decimals), years without a spot, largest maxima.
    known = {1700: 5, 1711: 0, 1749: 80.9, 1778: 154.4, 1810: 0, 1957: 190.2, 1989: 157.6}
    assert {year: by_year[year] for year in known} == known
    assert by_year[2008] == 2.9
    assert numbers.sum() == near(15373.4, LONG_MEAN)  # the 309 values of the source
    assert (numbers >= 0).all()


@pytest.mark.parametrize("name", GENERATORS)
def test_a_seed_gives_the_same_numbers(name: str) -> None:
    generate = GENERATORS[name]
    first, again, other = generate(7), generate(7), generate(8)
    for array, same in zip(first, again, strict=True):
        assert array.dtype == np.float64
        assert (array == same).all()
    assert (first[0] != other[0]).any()
    assert (generate(None)[0] != generate(None)[0]).any()


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_leave_the_global_state_alone(name: str) -> None:
    np.random.seed(1)
    expected = np.random.random()
    np.random.seed(1)
    GENERATORS[name](0)
    assert np.random.random() == expected


@pytest.mark.parametrize("tau", [5, 17, 30])
def test_mackey_glass_solves_its_equation(tau: int) -> None:
    series = dataset.mackey_glass(2000, tau=tau, seed=1)
    assert series.shape == (2000,)
    # ds/dt by central differences, exact for polynomials up to degree 20
    reach = np.arange(1, 11)
    powers = np.array([reach ** (2 * j + 1) for j in range(10)], dtype=np.float64)
    weights = np.linalg.solve(powers, np.eye(10)[0] / 2)
    t = np.arange(tau + 10, 1990)
    slope = sum(w * (series[t + j] - series[t - j]) for j, w in zip(reach, weights, strict=True))
    delayed = series[t - tau]
    error = slope - (0.2 * delayed / (1 + delayed**10) - 0.1 * series[t])
    assert np.sqrt(np.square(error).mean()) < MACKEY_GLASS_SLOPE


def test_mackey_glass_has_the_same_bits_everywhere() -> None:
    # chaos amplifies a changed last bit, so the series uses only sums, products and quotients
    series = dataset.mackey_glass(500, seed=0).astype("<f8")
    assert hashlib.sha256(series.tobytes()).hexdigest() == (
        "478e56ab6c20ad167758b3016e86186cf65a87bfdf9a3142878846caf1e96f85"
    )


def test_mackey_glass_is_chaotic_at_17() -> None:
    series = dataset.mackey_glass(3000, seed=2)
    assert 0.2 < series.min() < 0.5
    assert 1.2 < series.max() < 1.4
    # A periodic series would return to any point of three lags, within rounding errors.
    lags = np.stack([series[:-12], series[6:-6], series[12:]])
    assert np.abs(lags[:, 200:] - lags[:, :1]).max(axis=0).min() > 1e-4


def narma(u: Array) -> list[float]:
    """y_1, ..., y_T of the tenth-order system for the inputs u (T,), by the paper's sum."""
    y = [0.0]
    for t in range(len(u)):
        past = sum(y[t - k] for k in range(10) if t - k >= 0)
        product = u[t - 9] * u[t] if t >= 9 else 0.0
        y.append(0.3 * y[t] + 0.05 * y[t] * past + 1.5 * product + 0.1)
        if y[-1] > 10:
            break
    return y[1:]


def test_narma10_is_its_recurrence() -> None:
    x, y = dataset.narma10(20, 37, seed=3)
    assert x.shape == (20, 37, 1)
    assert y.shape == (20, 1)
    assert x.min() >= 0
    assert x.max() < 0.5
    for inputs, target in zip(x[:, :, 0], y[:, 0], strict=True):
        assert narma(inputs)[-1] == near(target, NARMA)


def test_narma10_draws_a_diverging_sample_again() -> None:
    drawn = np.random.default_rng(0).uniform(0.0, 0.5, (2000, 300))
    x, y = dataset.narma10(2000, 300, seed=0)
    anew = (x[:, :, 0] != drawn).any(axis=1)
    assert 1 <= anew.sum() <= 20  # about 600 000 steps / 200 000
    for inputs in drawn[anew]:
        assert max(narma(inputs)) > 1
    # check all samples, not only those that were drawn again: y may fall again after its peak
    assert max(max(narma(inputs)) for inputs in x[:, :, 0]) <= 1
    assert 0.1 < y.min() < y.max() < 1


def test_narma10_draws_a_sample_that_exceeded_1_again() -> None:
    # of samples that exceed 1 within 60 steps, four in five end below 1: the last output is no test
    drawn = np.random.default_rng(0).uniform(0.0, 0.5, (60_000, 60))
    x, _ = dataset.narma10(60_000, 60, seed=0)
    anew = (x[:, :, 0] != drawn).any(axis=1)
    peaks = [(max(narma(inputs)), narma(inputs)[-1]) for inputs in drawn[anew]]
    assert min(peak for peak, _ in peaks) > 1
    assert min(last for _, last in peaks) < 1


@pytest.mark.parametrize("timesteps", [2, 3, 50])
def test_adding_problem(timesteps: int) -> None:
    x, y = dataset.adding_problem(20_000, timesteps, seed=4)
    assert x.shape == (20_000, timesteps, 2)
    assert y.shape == (20_000, 1)
    values, marks = x[:, :, 0], x[:, :, 1]
    assert set(np.unique(marks)) <= {0.0, 1.0}
    half = timesteps // 2
    assert (marks[:, :half].sum(axis=1) == 1).all()
    assert (marks[:, half:].sum(axis=1) == 1).all()
    assert marks.any(axis=0).all()  # every position is marked at least once
    assert values.min() >= 0
    assert values.max() < 1
    assert y[:, 0] == pytest.approx((values * marks).sum(axis=1), abs=ONE_SUM)
    # the variance of the sum of two uniform numbers
    assert np.square(y - 1).mean() == pytest.approx(1 / 6, abs=ADDING_VARIANCE)


@pytest.mark.parametrize(("delay", "length", "symbols"), [(0, 1, 2), (7, 10, 8), (20, 3, 5)])
def test_copy_memory(delay: int, length: int, symbols: int) -> None:
    x, y = dataset.copy_memory(2000, delay, length=length, symbols=symbols, seed=5)
    assert x.shape == (2000, length + delay + 1, symbols + 2)
    assert y.shape == (2000, length * symbols)
    assert ((x == 0) | (x == 1)).all()
    assert (x.sum(axis=2) == 1).all()
    shown = x.argmax(axis=2)
    assert shown[:, :length].max() == symbols - 1
    assert (shown[:, length:-1] == symbols).all()
    assert (shown[:, -1] == symbols + 1).all()
    assert (y.reshape(2000, length, symbols).argmax(axis=2) == shown[:, :length]).all()
    assert not np.shares_memory(x, y)
    assert np.square(y - 1 / symbols).mean() == near((1 - 1 / symbols) / symbols, LONG_MEAN)


def test_copy_memory_by_default_is_ten_of_eight_symbols() -> None:
    x, y = dataset.copy_memory(3, 4, seed=0)
    assert x.shape == (3, 15, 10)
    assert y.shape == (3, 80)


@pytest.mark.parametrize(("delay", "length", "symbols"), [(0, 1, 2), (7, 10, 8), (20, 3, 5)])
def test_copy_memory_step_by_step(delay: int, length: int, symbols: int) -> None:
    x, y = dataset.copy_memory(2000, delay, length=length, symbols=symbols, answer="steps", seed=5)
    assert x.shape == y.shape == (2000, length + delay + 1 + length)
    assert x.dtype == y.dtype == np.int64
    shown, signal, blank = x[:, :length], length + delay, symbols
    assert np.unique(shown).tolist() == list(range(symbols))
    assert (x[:, signal] == symbols + 1).all()
    assert (x[:, length:signal] == blank).all()
    assert (x[:, signal + 1 :] == blank).all()
    assert (y[:, : signal + 1] == blank).all()
    assert (y[:, signal + 1 :] == shown).all()
    assert not np.shares_memory(x, y)
    # the same symbols as in the default form, which is one-hot
    one_hot, _ = dataset.copy_memory(2000, delay, length=length, symbols=symbols, seed=5)
    assert (one_hot.argmax(axis=2) == x[:, : signal + 1]).all()


def test_copy_memory_step_by_step_is_the_papers() -> None:
    # Arjovsky et al., section 5.1: T + 20 steps, T - 1 blanks, the delimiter at step T + 9 (from 0)
    T = 20
    x, y = dataset.copy_memory(3, T - 1, answer="steps", seed=0)
    assert x.shape == y.shape == (3, T + 20)
    assert np.argwhere(x == 9).tolist() == [[n, T + 9] for n in range(3)]
    assert ((y != 8) == (np.arange(T + 20) >= T + 10)).all()
    # without memory of the symbols: ln 8 at each of the last ten steps, 0 elsewhere
    trivial = np.where(y == 8, 0.0, np.log(8)).mean()
    assert trivial == near(10 * np.log(8) / (T + 20), LONG_MEAN)
