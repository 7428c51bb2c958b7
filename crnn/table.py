"""Read one series and its dates from a text file.

The reader detects the notation from whole columns and lists what it assumed in `Series.assumed`.
What it cannot detect is an error that names the line and the option to set. It needs pandas (the
extra `table`).
"""

from __future__ import annotations

import os
import re
import reprlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

from crnn import _dates, _numbers
from crnn._arguments import Array, choice, integer
from crnn._dates import Dates
from crnn._extras import missing_package
from crnn._rows import File, LineError, count_of, kind_of, separator_of

if TYPE_CHECKING:
    import pandas as pd


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split(" "))


_TIME_NAMES = _words(
    "date dates ds time times timestamp datetime datum data fecha zeit period index t step"
)
# The time names under which nobody writes values.
_DATE_NAMES = _words("date dates ds timestamp datetime datum fecha")
_PART_NAMES = {
    "year": _words("year yr yyyy yy jahr ano año anno année annee any"),
    "quarter": _dates.QUARTER_NAMES,
    "week": _words("week wk isoweek woche semaine semana settimana kw"),
    "month": _words("month mon mm mo mnth monat mes mês mois mese"),
    "day": _words("day dd dy tag dia día jour giorno"),
    "doy": _words("doy yday dayofyear day_of_year"),
    "hour": _words("hour hh hr stunde hora heure ora"),
    "minute": _words("minute min mn mm minuto"),
}
# An hour of the day beside its date, by its number or its begin and end: H5, 05 - 06, 05:30-06:00.
_HOUR = re.compile(
    r"[Hh](?P<number>[0-9]{1,2})|(?P<hour>[0-9]{1,2})(?:[:.h](?P<minute>[0-9]{2}))?"
    r"\s*[-\u2013]\s*(?P<end>[0-9]{1,2})(?:[:.h](?P<end_minute>[0-9]{2}))?"
)
_ID_NAMES = _words("unique_id series_id item_id ts_id")
# Without dates, integers in blocks of rows under these names number the series of a file.
_GROUP_NAMES = _words(
    "id series item store shop sensor station site group unit customer product sku dept department "
    "region country symbol ticker plant meter household"
)
# What stands before a sum or a mean under the data.
_SUMS = _words(
    "total totals totale sum summe gesamt insgesamt suma soma somme average mean mittelwert "
    "durchschnitt moyenne media promedio"
)
# Largest share of rows that may repeat a time when sorting, as when clocks go back.
_MOST_EQUAL = 0.05
# Gaps may become at most this many missing values for each value of the file.
_MOST_MISSING = 10
# No measured value is so many times the largest other one: 1e20 among loads means missing.
_OUT_OF_PROPORTION = 1e9


@dataclass(frozen=True)
class Series:
    """One column of a file in time order.

    Attributes
    ----------
    name : str
        The column's name; its position, counted from 1, if the file has no header.
    values : numpy.ndarray, shape (M,), float64
        NaN where a value is missing.
    dates : crnn._dates.Dates
        The date of each value; the row numbers if the file has no dates. ``dates.after(24)``
        returns the next 24 dates.
    assumed : tuple of str
        What was assumed about the file, in short phrases.
    """

    name: str
    values: Array
    dates: Dates
    assumed: tuple[str, ...]
    _column: _numbers.Column = field(repr=False)

    def format(self, value: float, least: int = 0) -> str:
        """Format a value with as many decimals as the file's values have, but at least `least`."""
        return self._column.format(value, least)

    @property
    def season(self) -> int | None:
        """The usual season of the dates' step: 12 for months, 24 for hours."""
        step = _dates.find_step(self.dates)
        return None if step is None else step.season

    def to_pandas(self) -> pd.Series:
        """The values as a pandas Series: the column's name, and rows from 0 as index."""
        import pandas as pd

        return pd.Series(self.values, name=self.name)

    def describe(self) -> str:
        """One line: number of values, column name, first and last date, step."""
        line = f"{count_of(len(self.values), 'value')} of {self.name!r}"
        if self.dates.name != "row" and len(self.values):
            line += f", {self.dates.text(0)} to {self.dates.text(-1)}"
            if (step := _dates.find_step(self.dates)) is not None:
                line += f" ({step.name})"
        return line


def read_series(
    path: str | os.PathLike[str],
    column: str | int | None = None,
    *,
    sep: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    skip: int = 0,
    comment: str | None = None,
    na: Sequence[str] = (),
    missing: str = "error",
    id: str | Sequence[str] | None = None,  # noqa: A002 - the option's name
    series: str | Sequence[str] | None = None,
    sort: bool = False,
    dates: str | None = None,
    dayfirst: bool | None = None,
) -> Series:
    r"""Read one series from a text file.

    Parameters
    ----------
    path : path-like
        A text file of rows and fields, plain or compressed with gzip, bzip2, xz or zip (one file).
    column : str or int, optional
        The name of the column or its position, counted from 1. Needed only if several columns
        hold numbers that are not dates.
    sep : str, optional
        The field separator: one character, or ``"\s+"`` for blanks.
    decimal, thousands : str, optional
        The separators in numbers.
    encoding : str, optional
        By default that of the byte-order mark, else UTF-8, else Windows-1252.
    header : bool, optional
        Whether there is a row with the columns' names.
    skip : int, default 0
        How many lines to skip at the start.
    comment : str, optional
        The character that begins a comment. By default, lines that begin with # are comments.
    na : sequence of str
        Further words for a missing value. A number is compared by value: "-99.9" matches -99.90.
    missing : {"error", "ignore"}
        Whether missing values are an error. "ignore" cuts them off at both ends and reads the
        others as NaN.
    id, series : str or sequence of str, optional
        The column that names the series, and the series to take.
    sort : bool, default False
        Whether to sort the rows by date.
    dates : str, optional
        The column with the dates, or "none".
    dayfirst : bool, optional
        Whether 01/02/2020 is 1 February.

    Returns
    -------
    Series
        Oldest value first.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it cannot be read as one series; the message names the file, the line and the option.
    ImportError
        If pandas is not installed; the message says what to install.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from crnn.table import read_series
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "sales.csv")
    ...     _ = file.write_text("Monat;Umsatz\n2020-01;1,5\n2020-02;2,5\n2020-03;2,25\n")
    ...     sales = read_series(file)
    >>> sales.values
    array([1.5 , 2.5 , 2.25])
    >>> sales.dates.after(2), sales.format(2)
    (['2020-04', '2020-05'], '2.00')
    >>> sales.assumed
    ("separator ';'", 'decimal comma')
    """
    try:
        import pandas  # noqa: F401 - reported before any other error
    except ImportError as error:
        raise missing_package("reading a file", "pandas", error) from error
    choice("missing", missing, ["error", "ignore"])
    integer("skip", skip, minimum=0)
    for option, value in (("decimal", decimal), ("thousands", thousands), ("comment", comment)):
        if value is not None and len(value) != 1:
            raise ValueError(f"{option} must be one character, got {value!r}")
    ids = [id] if isinstance(id, str) else list(id or ())
    chosen = [series] if isinstance(series, str) else list(series or ())
    if len(chosen) > len(ids):
        raise ValueError("series needs id: the column that names the series (--id)")
    try:
        file = File(path, encoding, separator_of(sep), header, skip, comment, na, column)
        reader = _Reader(file, decimal, thousands, na, dates, dayfirst)
        return reader.read(column, ids, chosen, missing, sort)
    except LineError as error:
        raise ValueError(f"{os.fspath(path)}: line {error.line} {error}") from error
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


# ---- columns ----


@dataclass(frozen=True)
class _DatePlan:
    """Which columns make the dates: one, a date and a time, or the parts of a date."""

    columns: tuple[int, ...]
    parts: tuple[str, ...] = ()  # "year", "month", ...; none: the columns' text is joined
    plain: bool = False  # numbers that are not dates

    def text(self, columns: Sequence[Sequence[str]]) -> list[str]:
        if len(columns) == 1 and not self.parts:
            return list(columns[0])
        if not self.parts:
            return [" ".join(row) for row in zip(*columns, strict=True)]
        return [self._join(row) for row in zip(*columns, strict=True)]

    def _join(self, row: tuple[str, ...]) -> str:
        if _numbers.is_missing(row[0]):
            return ""
        found = dict(
            zip(
                self.parts,
                (re.sub(r"^[Mm](?=[0-9])|\.0*$", "", v.strip()) for v in row),
                strict=True,
            )
        )
        if "month" in found and (number := _dates.month(found["month"])) is not None:
            found["month"] = str(number)
        year = found.get("year") or found.get("date", "")
        if "quarter" in found:
            return f"{year}Q{found['quarter'].lstrip('Qq0')}"
        if "week" in found:
            return f"{year}-W{found['week'].zfill(2)}"
        if "doy" in found:
            year += f"-D{found['doy']}"
        text = "-".join([year, *(found[part] for part in ("month", "day") if part in found)])
        if "hour" not in found:
            return text
        hour, minute = found["hour"], found.get("minute", "0").zfill(2)
        if (interval := _HOUR.fullmatch(hour)) is not None:
            hour = interval["number"] or interval["hour"]
            minute = interval["minute"] or minute
        return f"{text} {hour}:{minute}"


class _Reader:
    """Reads one column of a file and its dates, and refuses a column of several series."""

    def __init__(
        self,
        file: File,
        decimal: str | None,
        thousands: str | None,
        na: Sequence[str],
        dates: str | None,
        dayfirst: bool | None,
    ) -> None:
        self._file = file
        self._decimal, self._thousands, self._na = decimal, thousands, na
        self._dates, self._dayfirst = dates, dayfirst
        self._kinds = [
            kind_of([row[k] for row in file.sample], na) for k in range(file.layout.width)
        ]
        self.assumed = file.assumed

    def read(
        self,
        column: str | int | None,
        ids: list[str],
        chosen: list[str],
        missing: str,
        sort: bool,
    ) -> Series:
        file = self._file
        self._refuse_wide()
        value = None if column is None else self._find(column, "--column")
        one_series = [name.casefold() for name in ids] == ["none"]
        keys = [] if one_series else [self._find(name, "--id") for name in ids]
        plan = self._plan(value, keys, sort)
        if value is None:
            value = self._only_column(plan, keys)
        if plan is None and self._dates is None:
            self._refuse_unknown_dates(value, keys)
            self._say_no_dates({value, *keys})
        wanted = [value, *keys, *(plan.columns if plan else ())]
        columns, lines = file.columns(wanted)
        values, blank, lines = columns[0], lines < 0, np.abs(lines)
        when = plan.text(columns[1 + len(keys) :]) if plan else None
        rows = self._data_rows(values, when, lines, blank)
        if when is not None and plan is not None and plan.parts[-1:] == ("month",):
            rows = self._without_years(rows, when)
        rows = self._choose(rows, keys, columns[1 : 1 + len(keys)], ids, chosen)
        taken = {value, *keys, *(plan.columns if plan else ())}
        try:
            dates = self._read_dates(plan, when, rows, lines)
        except LineError:
            # Several series in one column can make the order of day and month ambiguous.
            if when is not None and not one_series:
                texts = [when[i] for i in rows]
                self._refuse_several(rows, np.unique(texts, return_inverse=True)[1], taken)
            raise
        if not one_series:
            self._refuse_several(rows, None if dates is None else dates.values, taken)
        text = [values[i] for i in rows]
        try:
            read = _numbers.convert(
                text,
                decimal=self._decimal,
                thousands=self._thousands,
                na=self._na,
                others=lambda: self._other_columns(value, plan),
                continental=self._continental(),
            )
        except _numbers.NotationError as error:
            where = int(lines[rows[error.index]]) if len(rows) else file.layout.first
            raise LineError(where, f"(column {file.name(value)!r}) {error}") from error
        self.assumed += read.assumed
        return self._in_order(file.name(value), read, dates, lines[rows], missing, sort)

    # ---- which columns ----

    def _find(self, wanted: str | int, option: str) -> int:
        names = self._file.layout.names
        if isinstance(wanted, str) and names is not None:
            for alike in (str.strip, lambda name: " ".join(name.split()).casefold()):
                found = [k for k, name in enumerate(names) if alike(name) == alike(wanted)]
                if len(found) > 1:
                    positions = " and ".join(str(k + 1) for k in found)
                    raise ValueError(
                        f"more than one column {wanted!r}: give a position, {positions} ({option})"
                    )
                if found:
                    return found[0]
        width = self._file.layout.width
        if str(wanted).strip().isdecimal():
            position = int(wanted)
            if 1 <= position <= width:
                return position - 1
            raise ValueError(
                f"no column {wanted}: columns are counted from 1 to {width} ({option}); "
                + self._file.all_names()
            )
        raise ValueError(f"no column {wanted!r} ({option}); {self._file.all_names()}")

    def _only_column(self, plan: _DatePlan | None, keys: list[int]) -> int:
        taken = {*keys, *(plan.columns if plan else ())}
        found = [
            k
            for k, kind in enumerate(self._kinds)
            if kind == "number" and k not in taken and not self._counts_rows(k)
        ]
        if plan is None:
            found = [k for k in found if not self._repeats_a_part(k)] or found
        if len(found) == 1:
            return found[0]
        if not found:
            raise ValueError(
                f"no column holds numbers (--sep, --skip, --decimal); {self._file.all_names()}"
            )
        open_axis = self._dates is None and plan is None
        named = open_axis and any(self._word(k) in _TIME_NAMES for k in found)
        axis = " (--dates COLUMN names the time axis)" if named else ""
        raise ValueError(
            f"{len(found)} columns hold numbers, choose one with --column{axis}; "
            + self._file.all_names()
        )

    def _word(self, k: int) -> str | None:
        """A column's name in lower case; None if the file has no names."""
        names = self._file.layout.names
        return None if names is None else names[k].strip().casefold().strip("#_:() ")

    def _sample(self, k: int) -> list[str]:
        return [
            row[k].strip() for row in self._file.sample if not _numbers.is_missing(row[k], self._na)
        ]

    def _integers(self, k: int) -> list[int] | None:
        values = [re.sub(r"\.0*$", "", value) for value in self._sample(k)]
        if not values or not all(re.fullmatch(r"-?[0-9]{1,15}", value) for value in values):
            return None
        return [int(value) for value in values]

    def _counts_rows(self, k: int) -> bool:
        """Whether a column without a name is 0, 1, 2, ... or 1, 2, 3, ... or backwards."""
        values = self._integers(k)
        if len(self._kinds) == 1 or self._word(k) not in ("", None, "index"):
            return False
        if values is None or len(values) < 2:
            return False
        return {b - a for a, b in pairwise(values)} in ({1}, {-1})

    def _plan(self, value: int | None, keys: list[int], sort: bool) -> _DatePlan | None:
        """Find the columns with the dates."""
        if self._dates is not None:
            if self._dates.casefold() == "none":
                return None
            k = self._find(self._dates, "--dates")
            plain = self._kinds[k] == "number" and not _dates.looks_like(
                self._sample(k), numbers=True
            )
            return _DatePlan((k,), plain=plain)
        width = len(self._kinds)
        free = [k for k in range(width) if k not in {value, *keys} and width > 1]
        found = [k for k in free if self._kinds[k] == "date"]
        if found:
            # A name goes first; then the most times, as in the hours beside their day.
            best = min(
                found,
                key=lambda k: (self._word(k) not in _TIME_NAMES, -len(set(self._sample(k)))),
            )
            return self._with_time(best, free)
        parts = self._parts(free)
        if parts is not None:
            return parts
        # Eight digits that are all days of the calendar are dates in any column and any order.
        found = [k for k in free if _dates.are_days(self._sample(k))]
        if found:
            return self._with_time(found[0], free)
        for k in sorted(free, key=lambda k: self._word(k) not in _TIME_NAMES):
            word = self._word(k)
            named = word in _TIME_NAMES
            if self._kinds[k] != "number" or not (named or k == 0):
                continue
            if named and value is None and not self._leaves_values(k, free):
                continue
            digits = _dates.looks_like(self._sample(k), numbers=True)
            if digits and (named or self._ordered(k)):
                return self._with_time(k, free)
            by_name = named and (sort or self._is_axis(k, free))
            if by_name or self._counts_rows(k) or self._regular(k):
                return _DatePlan((k,), plain=True)
            if digits and not self._repeats(k):
                self._say_not_in_order(k)
            if word == "" and self._integers(k) is not None and not self._repeats(k):
                return _DatePlan((k,), plain=True)  # a table's index, out of order
        return None

    def _leaves_values(self, k: int, free: list[int]) -> bool:
        """Whether another column than k may hold the values."""
        return any(
            self._kinds[other] == "number"
            and not self._counts_rows(other)
            and not self._repeats_a_part(other)
            for other in free
            if other != k
        )

    def _repeats_a_part(self, k: int) -> bool:
        """Whether a column is a part of a date without its year: months 1 to 12, hours 0 to 23."""
        known = any(self._word(k) in names for names in _PART_NAMES.values())
        values = self._integers(k)
        return known and values is not None and _restarts(np.array(values, dtype=float))

    def _is_axis(self, k: int, free: list[int]) -> bool:
        """Whether plain numbers under a name of times are times: a name such as T is no proof."""
        if self._word(k) in _DATE_NAMES:
            return True
        try:
            column = self._plain(list(filter(_numbers.is_number, self._sample(k))))
        except _numbers.NotationError:
            return True  # the error is reported when the dates are read
        times = column.values
        if len(times) < 2:
            return True
        if not _may_be_times(times):
            return False
        regular = _is_regular(times, column.decimals) or _restarts(times) or _restarts(-times)
        return regular or not any(self._is_better_axis(other) for other in free if other != k)

    def _is_better_axis(self, k: int) -> bool:
        """Whether a column is an axis by its values: 1, 2, 3, ..., or years in the first one.

        The index of a table counts rows beside any time, so it does not matter.
        """
        if self._kinds[k] != "number" or self._counts_rows(k):
            return False
        values = self._integers(k) or [-1]
        if values[0] in (0, 1) and {b - a for a, b in pairwise(values)} == {1}:
            return True
        years = _dates.looks_like(self._sample(k), numbers=True) and self._ordered(k)
        return k == 0 and (years or self._regular(k))

    def _with_time(self, k: int, free: list[int]) -> _DatePlan:
        """A date column, and a second one with the time of day if the dates have none."""
        values = self._sample(k)
        if len(set(values)) < len(values) and not any(":" in value for value in values):
            for other in free:
                if self._kinds[other] == "time":
                    return _DatePlan((k, other))
                if _are_hours(self._sample(other)):
                    return _DatePlan((k, other), ("date", "hour"))
                hours = self._integers(other)
                if (
                    self._word(other) in _PART_NAMES["hour"]
                    and hours is not None
                    and 0 <= min(hours) <= max(hours) <= 24
                ):
                    return _DatePlan((k, other), ("date", "hour"))
        return _DatePlan((k,))

    def _parts(self, free: list[int]) -> _DatePlan | None:
        """Columns with parts of a date: year and quarter, or week, or month, day and hour."""
        ranges = {
            "year": (1500, 2200),
            "quarter": (1, 4),
            "week": (1, 53),
            "day": (1, 31),
            "doy": (1, 366),
            "hour": (0, 24),
            "minute": (0, 59),
        }

        def fits(k: int, part: str) -> bool:
            if part == "month":
                return self._are_months(k)
            if part == "quarter" and self._kinds[k] == "text":
                return all(re.fullmatch("[Qq]0?[1-4]", value) for value in self._sample(k))
            values = self._integers(k)
            low, high = ranges[part]
            return values is not None and low <= min(values) <= max(values) <= high

        found: dict[str, int] = {}
        for part, names in _PART_NAMES.items():
            for k in free:
                word = self._word(k)
                named = word in names or (word == "period" and self._kinds[k] == "text")
                if part not in found and k not in found.values() and named and fits(k, part):
                    found[part] = k
        nameless = {0, 1} <= set(free) and not self._word(0) and not self._word(1)
        if nameless and fits(0, "year") and fits(1, "month") and self._repeats(0):
            found = {"year": 0, "month": 1}
            if 2 in free and fits(2, "day") and self._repeats(1, 0):
                found["day"] = 2
        if "year" not in found:
            return None
        if "quarter" in found:
            found = {part: found[part] for part in ("year", "quarter")}
        elif "week" in found and "month" not in found:
            found = {part: found[part] for part in ("year", "week")}
        else:
            found.pop("week", None)
            if "month" in found:
                found.pop("doy", None)
        for part, before in (("day", "month"), ("hour", "day"), ("minute", "hour")):
            if before not in found and not (part == "hour" and "doy" in found):
                found.pop(part, None)
        return _DatePlan(tuple(found.values()), tuple(found))

    def _are_months(self, k: int) -> bool:
        """Whether a column holds 1 to 12, M01 to M12 or names; 13 may follow 12, for the year."""
        values = self._sample(k)
        numbers = [re.fullmatch(r"[Mm]?(0?[1-9]|1[0-3])(?:\.0*)?", value) for value in values]
        if not all(numbers):
            return bool(values) and all(map(_dates.month, values))
        months = Counter(int(number[1]) for number in numbers if number is not None)
        return bool(values) and (13 not in months or months[13] <= months[12] + 1)

    def _repeats(self, *columns: int) -> bool:
        values = list(zip(*(self._sample(k) for k in columns), strict=False))
        return len(set(values)) < len(values)

    def _moves(self, k: int) -> Array:
        values = self._sample(k)
        if not all(re.fullmatch(r"-?[0-9]{1,30}\.?[0-9]{0,30}", value) for value in values):
            return np.zeros(0)
        return np.diff([float(value) for value in values])

    def _ordered(self, k: int) -> bool:
        """Whether nine in ten numbers rise, or fall. An error names the others later."""
        moves = self._moves(k)
        return len(moves) > 0 and max((moves > 0).mean(), (moves < 0).mean()) >= 0.9

    def _regular(self, k: int) -> bool:
        """Whether numbers rise, or fall, in equal steps."""
        moves = self._moves(k)
        return len(moves) > 1 and bool(np.ptp(moves) <= 1e-9 * abs(moves[0]) > 0)

    def _plain(self, text: list[str]) -> _numbers.Column:
        """Plain numbers of a time axis."""
        return _numbers.convert(
            text,
            decimal=self._decimal,
            thousands=self._thousands,
            na=(),
            others=lambda: _numbers.evidence(()),
            continental=self._continental(),
        )

    def _continental(self) -> bool | None:
        """Whether fields are separated by ; or days are 31.12.2020: customs of one region.

        None if fields are separated neither by ; nor by a comma.
        """
        if self._file.layout.sep == ";" or any(
            re.match(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]", value)
            for k, kind in enumerate(self._kinds)
            if kind == "date"
            for value in self._sample(k)[:1]
        ):
            return True
        return False if self._file.layout.sep == "," else None

    def _other_columns(self, value: int, plan: _DatePlan | None) -> _numbers.Evidence:
        skip = {value, *(plan.columns if plan else ())}
        return _numbers.evidence(
            row[k]
            for row in self._file.sample
            for k, kind in enumerate(self._kinds)
            if k not in skip and kind == "number"
        )

    # ---- what is refused ----

    def _refuse_wide(self) -> None:
        """Refuse a file with one series per row: its columns are times."""
        names = [n.strip() for n in self._file.layout.names or next(iter(self._file.sample), [])]
        times = [
            k
            for k, name in enumerate(names)
            if k and _dates.looks_like([re.sub(r" \[.*", "", name)], numbers=True)
        ]
        if len(times) < max(3, 0.6 * (len(names) - 1)):
            # columns V1, V2, ..., distinct row names and no dates
            parts = [re.fullmatch(r"(\D*)([0-9]+)", name) for name in names]
            first = len(names) - 1
            while first > 1 and _goes_on(parts[first - 1], parts[first]):
                first -= 1
            times = list(range(first, len(names)))
            if len(times) < 10 or self._repeats(0) or "date" in self._kinds:
                return
        if "text" in self._kinds[: times[0]]:
            raise ValueError(
                f"holds one series per row: its columns are times, {names[times[0]]} to "
                f"{names[times[-1]]}. Write one row for each time and one column for each series"
            )

    def _refuse_unknown_dates(self, value: int, keys: list[int]) -> None:
        for k, kind in enumerate(self._kinds):
            values = self._sample(k)
            if k == value or k in keys or kind not in ("text", "time"):
                continue
            digits = sum(any(c.isdigit() for c in text) for text in values)
            if kind == "time" or (
                digits >= 0.9 * len(values) and len(set(values)) >= 0.3 * len(values)
            ):
                unknown = (text for text in values if not _dates.looks_like([text], numbers=True))
                shown = reprlib.repr(next(unknown, values[0]))
                raise ValueError(
                    f"column {self._file.name(k)!r} may hold dates, but {shown} "
                    "has no known form: --dates none keeps the rows' order, "
                    "--dates COLUMN names the column with the dates"
                )

    def _say_no_dates(self, taken: set[int]) -> None:
        """Report that there are no dates although a column's name suggests them."""
        names = _TIME_NAMES.union(*_PART_NAMES.values())
        for k in range(len(self._kinds)):
            if k not in taken and self._sample(k) and self._word(k) in names:
                if self._kinds[k] == "number" and self._word(k) in _TIME_NAMES:
                    self._say_not_in_order(k)
                    return
                self.assumed.append(
                    f"column {self._file.name(k)!r} holds no dates: the rows keep their order"
                )
                return

    def _say_not_in_order(self, k: int) -> None:
        name = self._file.name(k)
        self.assumed.append(
            f"column {name!r} is not in order and not taken for dates "
            f"(if not: --dates {_shell(name)})"
        )

    # ---- rows ----

    def _data_rows(
        self, values: list[str], when: list[str] | None, lines: Array, blank: Array
    ) -> Array:
        """The rows of data: no empty rows, and no text below the dates.

        Without dates, an empty row between others may be a missing value and is kept.
        """
        empty = blank
        if when is not None:
            empty = np.array([not text.strip() for text in values], dtype=bool)
            empty &= np.array([_numbers.is_missing(text) for text in when], dtype=bool)
        last = len(values)
        below = 0
        while last and (empty[last - 1] or self._is_below(when, last - 1)):
            last -= 1
            below += not empty[last]
        if when is None and last == len(values) and self._is_sum(self._file.last):
            last -= 1
            below += 1
        if below:
            self.assumed.append(f"{count_of(below, 'line')} after the data left out")
        rows: Array = np.arange(last)
        if when is None:
            return rows
        inside = int(empty[:last].sum())
        if inside:
            self.assumed.append(f"{count_of(inside, 'empty row')} left out")
        rows = np.flatnonzero(~empty[:last])
        for i in rows:
            if _numbers.is_missing(when[i]):
                raise LineError(int(lines[i]), "has no date (--dates none ignores the dates)")
        return rows

    def _without_years(self, rows: Array, when: list[str]) -> Array:
        """The rows without those of month 13, the value of the whole year."""
        years = np.array([re.match("[0-9]+-13(?![0-9])", when[i]) is not None for i in rows])
        if not years.any():
            return rows
        self.assumed.append(f"{count_of(int(years.sum()), 'row')} of month 13 left out")
        kept: Array = rows[~years]
        return kept

    def _is_sum(self, row: list[str]) -> bool:
        """Whether the last row holds a sum or a mean: its label says so, and no other's does."""
        label = (row or [""])[0]
        word = label.casefold().strip(" :").removeprefix("grand ")
        return word in _SUMS and sum(other[0] == label for other in self._file.sample) <= 1

    @staticmethod
    def _is_below(when: list[str] | None, i: int) -> bool:
        """Whether a row below the data is a total or a note: its date has no digit."""
        if when is None or _numbers.is_missing(when[i]):
            return False
        return not any(c.isdigit() for c in when[i])

    def _choose(
        self,
        rows: Array,
        keys: list[int],
        texts: list[list[str]],
        ids: list[str],
        chosen: list[str],
    ) -> Array:
        for k, text in enumerate(texts):
            names = [text[i].strip() for i in rows]
            if k >= len(chosen):
                raise ValueError(
                    f"choose one of {_listed(names)} with --series ({self._file.name(keys[k])!r})"
                )
            wanted = chosen[k].strip()
            if wanted not in names:
                raise ValueError(
                    f"no series {wanted!r} in column {self._file.name(keys[k])!r} (--series): "
                    f"it holds {_listed(names)}"
                )
            rows = rows[np.array([name == wanted for name in names])]
            self.assumed.append(f"series {wanted!r}")
        return rows

    def _read_dates(
        self, plan: _DatePlan | None, when: list[str] | None, rows: Array, lines: Array
    ) -> Dates | None:
        if plan is None or when is None or not len(rows):
            return None
        name = self._file.name(plan.columns[0])
        if self._file.layout.names is None or not self._file.layout.names[plan.columns[0]]:
            name = "date" if not plan.plain else "index"
        if plan.parts and plan.parts[0] == "year" and len(plan.parts) > 1:
            name = "date"
        text = [when[i] for i in rows]
        try:
            if plan.plain:
                read = self._plain(text)
                found = _dates.from_numbers(name, read.values, read.decimals or 0)
            else:
                found = _dates.parse(name, text, dayfirst=self._dayfirst)
        except (_dates.DateError, _numbers.NotationError) as error:
            where = f"(column {self._file.name(plan.columns[0])!r}) {error}"
            if "--" not in where:
                where += " (--dates none ignores the dates)"
            raise LineError(int(lines[rows[error.index]]), where) from error
        self._say_axis(plan)
        self.assumed += found.assumed
        return found

    def _say_axis(self, plan: _DatePlan) -> None:
        """Report which column of numbers is the time axis: it could also hold values."""
        k = plan.columns[0]
        named = self._word(k) in _TIME_NAMES.union(*_PART_NAMES.values())
        if self._dates is None and self._kinds[k] == "number" and (plan.plain or not named):
            what = "is the time axis" if plan.plain else "holds the dates"
            self.assumed.append(f"column {self._file.name(k)!r} {what} (if not: --dates none)")

    def _refuse_several(
        self,
        rows: Array,
        times: Array | None,
        taken: set[int],
    ) -> None:
        """Refuse several series in one column."""
        width = self._file.layout.width
        known = [k for k in range(width) if self._word(k) in _ID_NAMES and k not in taken]
        equal = 0
        if times is not None:
            equal = len(times) - len(np.unique(times))
            moves = np.diff(times).astype(float)
            ordered = bool((moves > 0).all() or (moves < 0).all())
            if not known and ordered and _is_regular(times):
                return
        free = [
            k
            for k in range(width)
            if k not in taken
            and (
                k in known
                or self._kinds[k] == "text"
                or (
                    (equal > _MOST_EQUAL * len(rows) or self._word(k) in _GROUP_NAMES)
                    and self._integers(k) is not None
                )
            )
        ]
        if not free or len(rows) < 2:
            return
        columns, _ = self._file.columns(free)
        labels = {}
        for k, text in zip(free, columns, strict=True):
            codes = np.unique([text[i].strip() for i in rows], return_inverse=True)[1]
            count = int(codes.max()) + 1
            if k in known and count > 1:
                self._tell([k], [[text[i] for i in rows]])
            if 1 < count <= len(rows) // 2:
                labels[k] = (codes, text)
        # Try text columns first, and few series before many.
        order = sorted(labels, key=lambda k: (self._kinds[k] != "text", labels[k][0].max()))
        if times is None:
            for k in order:
                named = self._kinds[k] == "text" or self._word(k) in _GROUP_NAMES
                if named and _in_blocks(labels[k][0]):
                    self._tell([k], [[labels[k][1][i] for i in rows]])
            return
        if ordered:  # in turn: each series has its own step
            for k in order:
                groups = [times[labels[k][0] == code] for code in range(labels[k][0].max() + 1)]
                if all(len(group) > 2 and _is_regular(group) for group in groups):
                    self._tell([k], [[labels[k][1][i] for i in rows]])
            return
        moments = np.unique(times, return_inverse=True)[1].astype(np.int64)
        for size in (1, 2):
            for some in combinations(order[:12], size):
                key = moments
                for k in some:
                    key = key * (int(labels[k][0].max()) + 1) + labels[k][0]
                if len(np.unique(key)) < len(key):
                    continue
                if not equal and not (
                    self._kinds[some[0]] == "text" and _in_blocks(labels[some[0]][0])
                ):
                    continue
                self._tell(list(some), [[labels[k][1][i] for i in rows] for k in some])

    def _tell(self, columns: list[int], texts: list[list[str]]) -> None:
        names = [
            " and ".join(row) for row in zip(*([t.strip() for t in c] for c in texts), strict=True)
        ]
        options = " ".join(
            f"--id {_shell(self._file.name(k))} --series {_shell(text[0].strip())}"
            for k, text in zip(columns, texts, strict=True)
        )
        where = " and ".join(repr(self._file.name(k)) for k in columns)
        raise ValueError(
            f"holds {len(set(names))} series, by column {where}: {_listed(names)}; choose one: "
            f"{options}; --id none if it is one series"
        )

    # ---- order, gaps, missing values ----

    def _in_order(
        self,
        name: str,
        read: _numbers.Column,
        dates: Dates | None,
        lines: Array,
        missing: str,
        sort: bool,
    ) -> Series:
        values = read.values
        if dates is not None:
            values, dates, lines = self._put_in_order(values, dates, lines, sort)
        elif sort:
            raise ValueError("--sort needs dates, and no column holds any (--dates COLUMN)")
        gone = np.flatnonzero(np.isnan(values))
        if 0 < len(gone) == len(values):
            raise ValueError(f"column {name!r} holds no value")
        if len(gone) and missing == "error":
            some = ", ".join(str(line) for line in lines[gone[:3]])
            more = ", ..." if len(gone) > 3 else ""
            raise ValueError(
                f"column {name!r} has {count_of(len(gone), 'missing value')} "
                f"(line{'s' if len(gone) > 1 else ''} {some}{more}): --missing ignore allows them"
            )
        if len(gone):
            there = np.flatnonzero(~np.isnan(values))
            inside = slice(int(there[0]), int(there[-1]) + 1)
            ends = len(values) - (inside.stop - inside.start)
            values, lines = values[inside], lines[inside]
            dates = None if dates is None else dates[inside]
            if ends:
                self.assumed.append(f"{count_of(ends, 'missing value')} at the ends cut off")
            if len(gone) > ends:
                self.assumed.append(f"{count_of(len(gone) - ends, 'missing value')} inside")
        if dates is None:
            dates = _dates.rows(len(values))
        elif len(values) > 1:
            values, dates = self._gaps(values, dates, missing)
        self._say_codes(values, read)
        return Series(name, values, dates, tuple(dict.fromkeys(self.assumed)), read)

    def _put_in_order(
        self, values: Array, dates: Dates, lines: Array, sort: bool
    ) -> tuple[Array, Dates, Array]:
        moves = np.diff(dates.values).astype(float)
        if (moves > 0).all():
            return values, dates, lines
        if (moves < 0).all():
            self.assumed.append(f"newest first by {dates.name!r}: reversed")
            return values[::-1], dates[::-1], lines[::-1]
        if not sort:
            falling = (moves < 0).sum() > (moves > 0).sum()
            i = int(np.argmax(moves >= 0 if falling else moves <= 0)) + 1
            what = "again" if moves[i - 1] == 0 else "after " + dates.text(i - 1)
            raise LineError(
                int(lines[i]),
                f"holds {dates.text(i)} {what} (line {lines[i - 1]}): --sort sorts the "
                f"rows by date, --dates none keeps their order",
            )
        order = np.argsort(dates.values, kind="stable")
        values, dates, lines = values[order], dates[order], lines[order]
        self.assumed.append(f"sorted by {dates.name!r}")
        times, first, counts = np.unique(dates.values, return_index=True, return_counts=True)
        equal = len(values) - len(times)
        if not equal:
            return values, dates, lines
        at = int(first[np.argmax(counts > 1)])
        if equal > _MOST_EQUAL * len(values) + 1:
            raise LineError(
                int(lines[at + 1]),
                f"holds {dates.text(at)} again (line {lines[at]}), and {equal} rows repeat a time: "
                "several series in one file? (--id, --series)",
            )
        with np.errstate(invalid="ignore"):
            mean = np.add.reduceat(values, first) / counts
        self.assumed.append(
            f"{count_of(equal, 'row')} with a repeated time (line {lines[at + 1]}): mean taken"
        )
        return mean, dates[first], lines[first]

    def _gaps(self, values: Array, dates: Dates, missing: str) -> tuple[Array, Dates]:
        """Report missing dates; with "ignore" they become missing values."""
        step = _dates.find_step(dates)
        if step is None:
            self.assumed.append(f"{dates.name!r} has no regular step: forecasts are numbered")
            return values, dates
        if not len(step.gaps):
            return values, dates
        found = (
            f"{count_of(step.missing, 'date')} missing in {count_of(len(step.gaps), 'gap')}, the "
            f"first after {dates.text(int(step.gaps[0]))}"
        )
        if missing == "error":
            found += ": the gaps are closed (--missing ignore makes them missing values)"
        elif step.missing > _MOST_MISSING * len(values):
            raise ValueError(
                f"{found}: more than {_MOST_MISSING} times the values (--missing error closes gaps)"
            )
        else:
            dates, rows = _dates.without_gaps(dates, step)
            filled = np.full(len(dates), np.nan)
            filled[rows] = values
            values = filled
            found += ": missing values"
        self.assumed.append(found)
        return values, dates

    def _say_codes(self, values: Array, read: _numbers.Column) -> None:
        """Report numbers that may mean a missing value."""
        distinct, counts = np.unique(values[~np.isnan(values)], return_counts=True)
        if len(distinct) < 3:
            return
        for i in sorted({0, len(distinct) - 1, int(counts.argmax())}):
            text = read.format(distinct[i])
            if _may_mean_missing(text, distinct, counts, i):
                times = "once" if counts[i] == 1 else f"{counts[i]} times"
                self.assumed.append(f"{text} {times}: missing? (--na {text})")


def _may_mean_missing(text: str, distinct: Array, counts: Array, i: int) -> bool:
    """Whether number i of the distinct ones, written as text, is too odd to be a value."""
    code, others = float(distinct[i]), np.delete(distinct, i)
    if abs(code) > _OUT_OF_PROPORTION * abs(others).max():
        return True
    if not re.fullmatch(r"-?9+\.?9*0*|-[129]00+\.?0*", text):
        return False
    far = abs(others - code).min() > 0.5 * np.ptp(others)
    only_negative = counts[i] > 1 and code < 0 <= others.min()
    often = counts[i] > 2 * np.delete(counts, i).max() and text.count("9") > 2
    return bool(far or only_negative or often)


def _may_be_times(values: Array) -> bool:
    """Whether numbers rise, or fall, or do so in each of several series, or lost their order."""
    moves = np.diff(values)
    if not moves.any():
        return False
    if max((moves >= 0).mean(), (moves <= 0).mean()) >= 0.9:
        return True
    if _restarts(values) or _restarts(-values):
        return True
    return len(np.unique(values)) == len(values) and _is_regular(np.sort(values))


def _restarts(values: Array) -> bool:
    """Whether numbers rise in equal steps and begin again at the smallest: 1, 2, 3, 1, 2, 3."""
    moves = np.diff(values)
    rising = moves[moves > 0]
    if not len(rising) or len(np.unique(values)) < 3:
        return False
    again = (moves < 0) & (values[1:] == values.min())
    in_turn = (moves == 0) | (moves == np.median(rising)) | again
    return bool(in_turn.mean() >= 0.9)


def _is_regular(times: Array, decimals: int | None = 0) -> bool:
    """Whether times in order have a regular step; numbers may be rounded to so many decimals."""
    times = times if times[0] < times[-1] else times[::-1]
    if times.dtype.kind == "M":
        return _dates.find_step(Dates("", times, "D")) is not None
    numbers = _dates.from_numbers("", times.astype(float), decimals or 0)
    return _dates.find_step(numbers) is not None


def _are_hours(values: Sequence[str]) -> bool:
    """Whether texts are hours of the day: H1 to H24, or intervals of one length."""
    matches = [_HOUR.fullmatch(value) for value in values]
    found = [match for match in matches if match is not None]
    if not found or len(found) < len(values):
        return False
    if any(match["number"] for match in found):
        return all(match["number"] and int(match["number"]) <= 24 for match in found)
    begins = [60 * int(match["hour"]) + int(match["minute"] or 0) for match in found]
    ends = [60 * int(match["end"]) + int(match["end_minute"] or 0) for match in found]
    lengths = {(end - begin) % 1440 for begin, end in zip(begins, ends, strict=True)}
    return len(lengths) == 1 and lengths != {0} and max(begins) < 1440


def _goes_on(a: re.Match[str] | None, b: re.Match[str] | None) -> bool:
    return a is not None and b is not None and a[1] == b[1] and int(b[2]) - int(a[2]) == 1


def _in_blocks(codes: Array) -> bool:
    """Whether each label fills one block of at least three adjacent rows."""
    changes = np.flatnonzero(np.diff(codes)) + 1
    lengths = np.diff([0, *changes, len(codes)])
    return len(lengths) == int(codes.max()) + 1 and int(lengths.min()) >= 3


def _listed(names: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(names))
    more = f", ... ({len(distinct)})" if len(distinct) > 20 else ""
    return ", ".join(distinct[:20]) + more


def _shell(word: str) -> str:
    return word if re.fullmatch(r"[\w.:-]+", word) else f"'{word}'"
