"""Series that callers pass: pandas indexes that continue, fall or have gaps."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

from crnn import _series

pandas: Any = pytest.importorskip("pandas")

SIZE = 40

# Each index is cut after SIZE values. The rest is the expected continuation.
INDEXES: dict[str, Any] = {
    "month ends": pandas.date_range("2020-01-31", periods=60, freq="ME"),
    "month starts": pandas.date_range("2020-01-01", periods=60, freq="MS", name="month"),
    "quarter ends": pandas.date_range("2001-03-31", periods=60, freq="QE"),
    "year ends": pandas.date_range("1950-12-31", periods=60, freq="YE"),
    "days": pandas.date_range("2020-02-01", periods=60, freq="D"),
    "business days": pandas.bdate_range("2024-01-01", periods=60),
    "weeks": pandas.date_range("2020-01-05", periods=60, freq="W"),
    "two weeks": pandas.date_range("2020-01-05", periods=60, freq="2W"),
    "hours": pandas.date_range("2020-02-28", periods=60, freq="h", unit="s"),
    "ten minutes": pandas.date_range("2020-02-28", periods=60, freq="10min", unit="ns"),
    "microseconds": pandas.date_range("2020-02-28", periods=60, freq="100us"),
    "days in a zone": pandas.date_range("2024-02-25", periods=60, freq="D", tz="Europe/Berlin"),
    "hours, clocks go on": pandas.date_range(
        "2024-03-30", periods=60, freq="h", tz="Europe/Berlin"
    ),
    "hours, clocks go back": pandas.date_range(
        "2024-10-25 15:00", periods=60, freq="h", tz="Europe/Berlin"
    ),
    "hours of UTC": pandas.date_range("2024-10-25", periods=60, freq="h", tz="UTC"),
    "months as periods": pandas.period_range("2020-01", periods=60, freq="M", name="month"),
    "quarters to November": pandas.period_range("2000Q1", periods=60, freq="Q-NOV"),
    "weeks to Wednesday": pandas.period_range("2000-01-01", periods=60, freq="W-WED"),
    "years as periods": pandas.period_range("1950", periods=60, freq="Y"),
    "hours as periods": pandas.period_range("2000-01-01", periods=60, freq="h"),
    "every third month": pandas.period_range("2000-01", periods=180, freq="M")[::3],
    "range": pandas.RangeIndex(60),
    "years": pandas.Index(np.arange(1950, 2010), name="year"),
    "every tenth": pandas.Index(np.arange(0, 600, 10)),
    "small integers": pandas.Index(np.arange(60, dtype=np.int8)),
    "nullable integers": pandas.Index(np.arange(60), dtype="Int64"),
    "quarters of an hour": pandas.Index(np.arange(60) * 0.25),
    "float32": pandas.Index(np.arange(60, dtype=np.float32)),
    "time deltas": pandas.timedelta_range(0, periods=60, freq="15min", name="after"),
}
# Steps that only pandas knows, because they do not follow from the dates.
WITH_FREQUENCY: dict[str, Any] = {
    "half months": pandas.date_range("2000-01-01", periods=60, freq="SMS"),
    "nanoseconds": pandas.date_range("2000-01-01", periods=60, freq="100ns"),
    "holidays": pandas.date_range(
        "2024-12-02", periods=60, freq=pandas.offsets.CDay(holidays=["2025-02-03"])
    ),
}


def assert_same(found: Any, expected: Any) -> None:
    """Equal values, type and name; the frequency is not compared."""
    assert type(found) is type(expected) or not hasattr(found, "freq")
    assert (found.dtype, found.name) == (expected.dtype, expected.name)
    assert found.tolist() == expected.tolist()


def read(index: Any, missing: str = "error") -> _series.Series:
    values = pandas.Series(np.arange(float(len(index))), index=index)
    return _series.read("series", values, missing=missing)


@pytest.mark.parametrize("name", [*INDEXES, *WITH_FREQUENCY])
def test_index_goes_on(name: str) -> None:
    index = (INDEXES | WITH_FREQUENCY)[name]
    found = read(index[:SIZE]).after(60 - SIZE)
    assert_same(found, index[SIZE:])
    assert getattr(found, "freq", None) == getattr(index, "freq", None)


@pytest.mark.parametrize("name", INDEXES)
def test_index_without_a_frequency_goes_on(name: str) -> None:
    """The index as read from a file, without a frequency."""
    index = INDEXES[name]
    found = read(index[np.arange(SIZE)]).after(60 - SIZE)
    assert_same(found, index[SIZE:])


@pytest.mark.parametrize("name", INDEXES)
def test_hole_is_an_error_or_a_missing_value(name: str) -> None:
    index = INDEXES[name]
    kept = np.delete(np.arange(SIZE), [20, 21, 30])
    with pytest.raises(
        ValueError, match=r"series must have an index without gaps, got 2, the first after"
    ) as caught:
        read(index[kept])
    assert str(index[19]) in str(caught.value)
    assert "missing='ignore' interpolates the 3 values" in str(caught.value)
    found = read(index[kept], "ignore")
    assert_same(found.index, index[:SIZE])
    assert np.flatnonzero(~found.known).tolist() == [20, 21, 30]
    np.testing.assert_allclose(found.values[[19, 20, 21, 22]], [19, 19 + 1 / 3, 19 + 2 / 3, 20])
    assert_same(found.after(20), index[SIZE:60])


@pytest.mark.parametrize("missing", _series.MISSING)
@pytest.mark.parametrize("name", [*INDEXES, *WITH_FREQUENCY])
def test_index_that_falls_or_repeats_is_refused(name: str, missing: str) -> None:
    index = (INDEXES | WITH_FREQUENCY)[name]
    orders = {
        1: np.arange(SIZE)[::-1],  # newest first
        8: np.r_[np.arange(8), 7, np.arange(8, SIZE)],  # twice
        12: np.r_[np.arange(10), 11, 10, np.arange(12, SIZE)],  # out of order
    }
    for position, order in orders.items():
        place = position if position != 12 else 11
        shuffled = index[order]
        with pytest.raises(ValueError, match="series must have an index that increases") as caught:
            read(shuffled, missing)
        expected = f"got {shuffled[place]} after {shuffled[place - 1]} at position {place}: sort it"
        assert expected in str(caught.value)


def test_missing_time_is_refused() -> None:
    index = INDEXES["days"].insert(5, pandas.NaT)
    with pytest.raises(ValueError, match=r"increases, got NaT after .* at position 5"):
        read(index)
    with pytest.raises(ValueError, match="got NaT at position 0"):
        read(INDEXES["days"].insert(0, pandas.NaT))


def test_dates_as_objects_are_times() -> None:
    days = [datetime.date(2024, 2, 1) + datetime.timedelta(k) for k in range(60)]
    found = read(pandas.Index(days[:SIZE])).after(20)
    assert [time.date() for time in found] == days[SIZE:]
    with pytest.raises(ValueError, match="an index that increases"):
        read(pandas.Index(days[::-1]))


@pytest.mark.parametrize(
    "index",
    [
        pandas.Index([f"row {k}" for k in range(60)][::-1]),
        pandas.MultiIndex.from_product([["a", "b"], range(30)]),
        pandas.CategoricalIndex(range(60)),
    ],
    ids=["names", "pairs", "categories"],
)
def test_names_have_no_order_and_do_not_go_on(index: Any) -> None:
    found = read(index)
    assert found.after(3) is None
    np.testing.assert_array_equal(found.values, np.arange(60))


def test_irregular_times_do_not_go_on() -> None:
    rng = np.random.default_rng(0)
    index = pandas.Timestamp("2020") + pandas.to_timedelta(np.cumsum(rng.uniform(1, 9, 60)), "h")
    assert read(index).after(3) is None
    assert isinstance(read(index).like(np.zeros(3), None), np.ndarray)


def test_small_integers_grow() -> None:
    index = pandas.Index(np.arange(60, 120, dtype=np.int8))
    assert read(index).after(20).tolist() == list(range(120, 140))


def test_day_whose_midnight_is_skipped() -> None:
    """In Beirut the clocks skip midnight on 31 March 2024: the day begins at one o'clock."""
    index = pandas.date_range("2024-03-01", periods=29, freq="D", tz="Asia/Beirut")
    found = read(index[np.arange(29)]).after(4)
    assert [(time.day, time.hour) for time in found] == [(30, 0), (31, 1), (1, 0), (2, 0)]


def test_one_value_has_no_step() -> None:
    assert read(INDEXES["range"][:1]).after(2) is None
    assert read(INDEXES["years"][:1]).after(2) is None


def test_frame_of_one_column() -> None:
    frame = pandas.DataFrame({"sales": [1.0, 2.0, 4.0]}, index=INDEXES["days"][:3])
    found = _series.read("series", frame)
    assert found.name == "sales"
    assert_same(found.index, frame.index)
    np.testing.assert_array_equal(found.values, [1, 2, 4])
    answer = found.like(np.ones((3, 2)), frame.index)
    assert list(answer.columns) == [1, 2]
