"""Read a column of dates, find their step, and continue them.

A column has one form. The whole column decides which number is the day and which the month: by a
number above 12, or because only one order gives sorted, regular dates.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crnn._arguments import Array

_MICROSECONDS = {"us": 1, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "D": 86400 * 10**6}
_DAY = _MICROSECONDS["D"]
_MOST_IRREGULAR = 0.1  # share of the steps: a holiday moves a weekly date by a day
_SEASONS = {
    "monthly": 12,
    "quarterly": 4,
    "every 6 months": 2,
    "weekly": 52,
    "daily": 7,
    "on business days": 5,
    "hourly": 24,
    "every 30 minutes": 48,
    "every 15 minutes": 96,
    "every 10 minutes": 144,
}
_YEARS = range(1500, 2201)  # four digits alone are a year if in this range

# How month names begin: English, German, French, Spanish, Portuguese, Italian, Dutch.
_MONTHS = {
    start: month
    for month, starts in enumerate(
        (
            "jan gen ene",
            "feb fev fév",
            "mar mär mrz maa mrt",
            "apr abr avr",
            "may mai maj mag mei",
            "jun juin giu",
            "jul juil lug",
            "aug ago aou aoû",
            "sep set",
            "oct okt out ott",
            "nov",
            "dec dez déc dic",
        ),
        1,
    )
    for start in starts.split()
}
_TIME = (
    r"(?:(?:[T _:]|, )\s*(?P<H>[0-9]{1,2})(?:[:.h](?P<M>[0-9]{2})(?:[:.](?P<S>[0-9]{2})"
    r"(?:[.,](?P<f>[0-9]{1,9}))?)?)?(?:\s*(?P<p>[AaPp])\.?\s?[Mm]\.?)?"
    r"\s*(?P<z>Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?|))?"
    r"(?:\s+[-\u2013]\s+[0-9][0-9./: -]*)?"  # the end of an interval
)
_NAME = r"(?P<b>[^\W\d_]{3,12})\.?"
_WEEKDAY = r"(?:[^\W\d_]{2,10}\.?,?\s+)?"


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_YMD = r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})"
_HMS = r"(?P<H>[0-9]{2}):?(?:(?P<M>[0-9]{2}):?(?P<S>[0-9]{2})?)?(?P<z>Z?)"
_YEAR_MONTH = _form(r"(?P<y>[0-9]{4})(?:[-/:]|-?[Mm])(?P<m>[0-9]{1,2})")
_EXPERIMENT = _form(r"(?P<y>[0-9]{1,3})-(?P<m>[0-9]{2})")  # its year and month, from year 1
_MONTH_DOT_YEAR = _form(r"(?P<m>[0-9]{1,2})\.(?P<y>[0-9]{4})")
_MONTH_NAME = _form(rf"{_NAME}[-/., ']*(?P<y>[0-9]{{4}}|[0-9]{{2}})")
# A year and the number of its quarter or half-year, or of a month.
_YEAR_PART = _form(
    r"(?P<y>[0-9]{4})(?:[-/.:](?P<p>0?[1-4])|(?P<p2>0[1-4]))|(?P<p3>0?[1-4])[-/](?P<y2>[0-9]{4})"
)
# Groups: y year, m month, d day, j day of the year, b a month's name, q quarter, h half-year, w
# week; u and v are day and month in either order.
_FORMS = [
    _form(r"(?P<y>[0-9]{4})([-/.])(?P<m>[0-9]{1,2})\2(?P<d>[0-9]{1,2})" + _TIME),
    _form(r"(?P<u>[0-9]{1,2})([-/. ])(?P<v>[0-9]{1,2})\2(?P<y>[0-9]{4}|[0-9]{2})" + _TIME),
    _form(
        _WEEKDAY + rf"(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)?[-/. ]*(?:de )?{_NAME}[-/., ]*(?:de )?"
        r"(?P<y>[0-9]{4}|[0-9]{2})" + _TIME
    ),
    _form(
        _WEEKDAY
        + rf"{_NAME}[-/. ]*(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)?[-/, ]+(?P<y>[0-9]{{4}})"
        + _TIME
    ),
    _form(rf"(?P<y>[0-9]{{4}})[-/. ]+{_NAME}[-/. ]+(?P<d>[0-9]{{1,2}})" + _TIME),
    _MONTH_NAME,
    _form(rf"(?P<y>[0-9]{{4}})[-/., ]*{_NAME}"),
    _form(r"(?P<y>[0-9]{4})[-/: ]?[QqTt](?P<q>[1-4])"),
    _form(r"(?:[QqTt](?P<q>[1-4])|(?P<q2>[1-4])[QqTt])[-/: ]?(?P<y>[0-9]{4})"),
    _form(r"(?P<y>[0-9]{4})[-/: ]?[HhSs](?P<h>[12])"),
    _form(r"(?P<y>[0-9]{4})-?[Ww](?P<w>[0-9]{2})(?:-1)?"),
    _form(r"(?:[Ww](?:eek)?|[Kk][Ww])[- ]?(?P<w>[0-9]{1,2})[-/, ]+(?P<y>[0-9]{4})"),
    _YEAR_MONTH,
    _form(r"(?P<m>[0-9]{1,2})[-/](?P<y>[0-9]{4})"),
    _form(_YMD + r"[T :_]" + _HMS),
    _form(r"(?P<y>[0-9]{4})-D(?P<j>[0-9]{1,3})" + _TIME),
    _EXPERIMENT,
]
# Forms that are also numbers.
_DIGITS = [
    _form(_YMD + f"(?:{_HMS})?"),
    _form(r"(?P<y>[0-9]{4})\.(?P<m>0[1-9]|1[0-2]|1)"),
    _form(r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})"),
    _form(r"(?P<y>[0-9]{4})(?:\.0)?"),
    _form(r"(?P<y>[0-9]{4})(?P<j>[0-9]{3})"),
    _form(r"(?P<u>[0-9]{1,2})(?P<v>[0-9]{2})(?P<y>[0-9]{4})"),
    _MONTH_DOT_YEAR,
]
QUARTER_NAMES = frozenset({"quarter", "qtr", "q", "quartal", "trimestre", "trimester"})
TIME_OF_DAY = re.compile(
    r"(?P<H>[0-9]{1,2})[:.h](?P<M>[0-9]{2})(?:[:.](?P<S>[0-9]{2})(?:[.,][0-9]+)?)?"
    r"(?:\s*[AaPp]\.?[Mm]\.?)?"
)


class DateError(ValueError):
    """A field that is not a date, or an ambiguous column; `index` is the row."""

    def __init__(self, message: str, index: int = 0) -> None:
        super().__init__(message)
        self.index = index


@dataclass(frozen=True)
class Dates:
    """The date of each value: `values` are datetime64[us], or float64 for plain numbers.

    `unit` is the precision of a written date: "Y", "half", "Q", "M", "W", "D", "h", "min", "s",
    "us" or "number", with `decimals` digits. `form` says how to write a quarter or half-year.
    """

    name: str
    values: Array
    unit: str
    decimals: int = 0
    zone: str = ""
    assumed: tuple[str, ...] = ()
    form: str = ""

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | Array) -> Dates:
        return replace(self, values=self.values[rows])

    def text(self, index: int) -> str:
        """Format one of the dates."""
        return self._format(self.values[index])

    def after(self, steps: int) -> list[str]:
        """The next dates; row numbers if the dates have no regular step.

        Parameters
        ----------
        steps : int
            How many.

        Returns
        -------
        list of str
            In the form of ISO 8601, with the column's precision. Numbers of quarters and
            half-years keep the column's form.
        """
        step = find_step(self)
        if step is None:
            return [str(len(self) + k) for k in range(1, steps + 1)]
        return [self._format(step.after(self.values[-1], k)) for k in range(1, steps + 1)]

    def axis(self, steps: int = 0) -> Array:
        """The dates and the next `steps`, for a plot; rows from 1 without a regular step.

        Returns
        -------
        numpy.ndarray, shape (M + steps,)
            datetime64[us] or float64.
        """
        step = find_step(self) if len(self) > 1 else None
        if step is None and steps:
            return np.arange(1.0, len(self) + steps + 1)
        axis = np.empty(len(self) + steps, self.values.dtype)
        axis[: len(self)] = self.values
        for k in range(1, steps + 1):
            assert step is not None
            axis[len(self) + k - 1] = step.after(self.values[-1], k)
        return axis

    def _format(self, value: object) -> str:
        if self.unit == "number":
            return f"{value:.{self.decimals}f}"
        moment = np.datetime64(value, "us")  # type: ignore[call-overload]
        year = str(moment.astype("M8[Y]"))
        month = int(moment.astype("M8[M]").astype(int)) % 12 + 1
        if self.unit == "Y":
            return year
        if self.unit == "Q":
            return (self.form or "{}Q{}").format(year, (month + 2) // 3)
        if self.unit == "half":
            return (self.form or "{}H{}").format(year, (month + 5) // 6)
        if self.unit == "M":
            return f"{year if year > '1' else year.lstrip('0')}-{month:02d}"
        if self.unit == "W":
            iso = moment.astype(datetime.datetime).isocalendar()
            return f"{iso.year}-W{iso.week:02d}"
        unit = "m" if self.unit in ("h", "min") else self.unit
        return str(moment.astype(f"M8[{unit}]")).replace("T", " ") + self.zone


@dataclass(frozen=True)
class Step:
    """The step from one date to the next, and the gaps between the dates."""

    name: str
    after: Callable[[object, int], object]
    counts: Array  # steps from each date to the next, to the nearest whole number

    @property
    def gaps(self) -> Array:
        """The rows before a gap."""
        rows: Array = np.flatnonzero(self.counts > 1)
        return rows

    @property
    def missing(self) -> int:
        """How many dates are missing in the gaps."""
        return int((self.counts - 1).sum())

    @property
    def season(self) -> int | None:
        """How many steps the usual season has: a year, a week or a day."""
        return next((m for word, m in _SEASONS.items() if self.name.startswith(word)), None)


def without_gaps(dates: Dates, step: Step) -> tuple[Dates, Array]:
    """Insert the missing dates. Also returns the new row of each old date.

    `step` is ``find_step(dates)``. Raises ValueError if the inserted dates would not be in order.
    """
    rows = np.concatenate([[0], np.cumsum(step.counts)])
    values = np.empty(int(rows[-1]) + 1, dates.values.dtype)
    values[rows] = dates.values
    for gap in step.gaps:
        for k in range(1, int(step.counts[gap])):
            values[rows[gap] + k] = step.after(dates.values[gap], k)
    if not (np.diff(values).astype(float) > 0).all():
        raise ValueError("the gaps do not hold whole steps")
    return replace(dates, values=values), rows


def from_numbers(name: str, values: Array, decimals: int) -> Dates:
    """Plain numbers as a time axis."""
    return Dates(name, values, "number", decimals)


def rows(count: int) -> Dates:
    """Row numbers from 1, for a file without dates."""
    return Dates("row", np.arange(1.0, count + 1), "number")


def parse(name: str, fields: Sequence[str], *, dayfirst: bool | None = None) -> Dates:
    """Read a column of dates.

    Parameters
    ----------
    name : str
        The column's name.
    fields : sequence of str
        The column's text, none missing.
    dayfirst : bool, optional
        Whether 01/02/2020 is 1 February. Detected by default.

    Raises
    ------
    DateError
        If a field has another form than the first one or is not in the calendar, or if the order
        of day and month is ambiguous.
    """
    known = _iso(name, fields) or _parts_of_years(name, fields)
    if known is not None:
        return known
    worst = DateError(f"holds {fields[0]!r}, which is not a known form of date", 0)
    for form in (*_FORMS, *_DIGITS):
        if form.fullmatch(fields[0].strip()) is None:
            continue
        try:
            return _parse(name, fields, form, dayfirst)
        except DateError as error:
            if error.index >= worst.index:
                worst = error
    if (years := _decimal_years(name, fields)) is not None:
        return years
    raise worst


def looks_like(fields: Sequence[str], *, numbers: bool) -> bool:
    """Whether fields are dates; with `numbers`, digits alone count too (1990, 199001, 19900131)."""
    if not fields:
        return False
    for form in (*_FORMS, *(_DIGITS if numbers else ())):
        found = (form.fullmatch(field.strip()) for field in fields)
        good = sum(
            match is not None and _plausible(match.groupdict(), form in _DIGITS) for match in found
        )
        if form is _MONTH_DOT_YEAR and len({field.split(".")[0] for field in fields}) < min(
            3, len(fields)
        ):
            continue  # 1.1834 and 1.1829 are numbers
        if good >= 0.95 * len(fields):
            return True
    return numbers and _decimal_years("", fields) is not None


def are_days(fields: Sequence[str]) -> bool:
    """Whether fields are days in digits (20200131, 202001312359) and not all the same day."""
    texts = [field.strip() for field in fields]
    form = re.compile(r"[0-9]{8}(?:[0-9]{2}){0,3}")
    if len(set(texts)) < 2 or not all(form.fullmatch(text) for text in texts):
        return False
    limits = ((1, 12), (1, 31), (0, 24), (0, 59), (0, 60))
    good = sum(
        int(text[:4]) in _YEARS
        and all(
            low <= int(text[i : i + 2]) <= high
            for i, (low, high) in zip(range(4, len(text), 2), limits, strict=False)
        )
        for text in texts
    )
    return good >= 0.95 * len(texts)


def _iso(name: str, fields: Sequence[str]) -> Dates | None:
    """Read the commonest form, 2020-01-31 or 2020-01-31 23:59:59, with NumPy."""
    length = len(fields[0])
    if length not in (10, 16, 19) or _FORMS[0].fullmatch(fields[0]) is None:
        return None
    if any(len(field) != length or field[4] != "-" or field[7] != "-" for field in fields):
        return None
    try:
        values = np.array(fields, dtype="M8[us]")
    except ValueError:  # `_parse` finds the bad field
        return None
    unit = "D"
    if (values != values.astype("M8[D]")).any():
        unit = "min" if (values == values.astype("M8[m]")).all() else "s"
    return Dates(name, values, unit)


def _parts_of_years(name: str, fields: Sequence[str]) -> Dates | None:
    """Read quarters or half-years that are written like months: 2000-1, 1/2000, 200001."""
    form = _part_form(fields[0].strip())
    matches = [_YEAR_PART.fullmatch(field.strip()) for field in fields] if form else []
    found = [match for match in matches if match is not None]
    if not found or len(found) < len(fields):
        return None
    year = np.array([int(match["y"] or match["y2"]) for match in found])
    part = np.array([int(match["p"] or match["p2"] or match["p3"]) for match in found])
    pairs = zip(fields, year, part, strict=True)
    if year.min() not in _YEARS or year.max() not in _YEARS:
        return None
    if any(form.format(y, p) != field.strip() for field, y, p in pairs):
        return None
    named = name.casefold().strip("#_:() ") in QUARTER_NAMES
    count = _count_of_parts(year, part, named)
    if count is None:
        return None
    values = _moments(fields, year, 12 // count * (part - 1) + 1, np.ones_like(part))
    what = "quarter" if count == 4 else "half-year"
    said = () if named else (f"the number in {fields[0].strip()!r} is the {what}",)
    if ":" in fields[0]:  # months are not written like this
        said, form = (), ""
    return Dates(name, values, "Q" if count == 4 else "half", assumed=said, form=form)


def _part_form(field: str) -> str:
    """How a field writes its year, {0}, and the part of the year, {1}; empty if it has none."""
    match = _YEAR_PART.fullmatch(field)
    if match is None:
        return ""
    part = "{1:02d}" if (match["p"] or match["p2"] or match["p3"])[0] == "0" else "{1}"
    if match["p3"]:
        return part + field[match.end("p3")] + "{0}"
    return "{0}" + ("" if match["p2"] else field[4]) + part


def _count_of_parts(year: Array, part: Array, named: bool) -> int | None:
    """How many parts a year has; None if they may be months.

    Without a name, the parts have to follow each other for two years of quarters or three of
    half-years: months that begin a year look the same for as long.
    """
    count = 4 if part.max() > 2 else 2
    if named and set(part.tolist()) == {1, 2, 3, 4}:
        return 4
    moves = np.diff(count * year + part)
    in_turn = (moves == 1).all() or (moves == -1).all()
    return count if in_turn and len(part) >= (8 if count == 4 else 6) else None


def _plausible(m: dict[str, str], digits: bool) -> bool:
    if m.get("b") and month(m["b"]) is None:
        return False
    if digits and (int(m["y"]) not in _YEARS or not 1 <= int(m.get("j") or 1) <= 366):
        return False
    if m.get("m") and not 1 <= int(m["m"]) <= 12 and (len(m["y"]) < 4 or len(m) > 2):
        return False  # 2012-13 may be a year that ends in the next one
    small = [int(m[key]) for key in ("u", "v") if m.get(key)]
    return not small or (1 <= min(small) <= 12 and max(small) <= 31)


def month(word: str) -> int | None:
    word = word.casefold()
    return _MONTHS.get(word[:4]) or _MONTHS.get(word[:3])


def _decimal_years(name: str, fields: Sequence[str]) -> Dates | None:
    texts = [field.strip() for field in fields]
    if not all(re.fullmatch(r"[0-9]{4}(\.[0-9]+)?", text) for text in texts):
        return None
    if not all(int(text[:4]) in _YEARS for text in texts):
        return None
    decimals = max(len(text) - 5 for text in texts)
    if decimals < 1:
        return None
    return from_numbers(name, np.array([float(text) for text in texts]), decimals)


def _unlike(fields: Sequence[str], index: int) -> DateError:
    return DateError(f"holds {fields[index]!r}, no date like {fields[0]!r} on the first row", index)


_Parts = tuple[int, int, int, int, int, int, int]


def _parse(name: str, fields: Sequence[str], form: re.Pattern[str], dayfirst: bool | None) -> Dates:
    """Read one form. Columns of `parts`: year, month or u, day or v, microseconds, short year."""
    assumed: list[str] = []
    zones: dict[str, int] = {}
    finest = ["D"]
    parts = np.fromiter(_parts(fields, form, zones, finest), dtype=np.dtype((np.int64, 5)))
    year, month, day, time, short = parts.T
    groups = form.groupindex
    if "u" in groups:
        between = next((c for c in fields[0].strip() if not c.isdigit()), "")
        for index, field in enumerate(fields):
            if between not in field.strip()[1:3]:  # as a spreadsheet does to dates that it mistook
                raise _unlike(fields, index)
        year, month, day, order = _day_and_month(parts, dayfirst, fields[0])
        assumed.append(f"dates {order}")
    if form is _MONTH_NAME and short.all() and len(year) > 2:
        following = (np.diff(month) == 0) & (np.abs(np.diff(year)) == 1)
        if following.mean() > 0.5 and not (following.all() and len(year) > 31):
            raise DateError(f"holds {fields[0]!r}, which may be a day or a year of two digits")
    if short.any():
        assumed.append(f"years of two digits from {year.min()} to {year.max()}")
    if form in _DIGITS:
        outside = (year < _YEARS[0]) | (year > _YEARS[-1])
        if outside.any():
            bad = int(np.argmax(outside))
            raise DateError(f"holds {fields[bad]!r}, which is not a known form of date", bad)
    if form is _YEAR_MONTH and len(year) > 1:
        if (month == (year + 1) % 100).all():  # 2004-05, 2005-06: years that end in the next one
            month = np.ones_like(month)
            groups = {"y": 1}
        elif ":" in fields[0] and len(year) > 4 and month.max() <= 4:
            month = 3 * month - 2
            groups = {"y": 1, "q": 2}
    if "w" in groups:
        values = _weeks(fields, year, month)
    elif "j" in groups:
        values = _moments(fields, year, month, np.ones_like(day)) + (day - 1).astype("m8[D]")
        _refuse(fields, values.astype("M8[Y]").astype(int) + 1970 != year)
        values = values + time.astype("m8[us]")
    else:
        values = _moments(fields, year, month, day) + time.astype("m8[us]")
    unit = next(
        (u for u, key in (("D", "d"), ("D", "u"), ("D", "j"), ("W", "w")) if key in groups), ""
    )
    unit = unit or next(
        (u for u, key in (("Q", "q"), ("half", "h"), ("M", "m"), ("M", "b")) if key in groups), "Y"
    )
    if "q" in groups or "w" in groups or unit in "MY":
        finest = ["D"]
    if finest != ["D"] and time.any():
        unit = finest[0]
    zone = ""
    if not time.any():  # a day is one in any zone
        pass
    elif len(zones) == 1:
        zone = next(iter(zones))
    elif zones:
        values = values - _offsets(fields, form)
        zone = "Z"
        assumed.append("times in UTC")
    if form is _EXPERIMENT and not _months_in_turn(values):
        raise DateError(f"holds {fields[0]!r}, which is not a known form of date", 0)
    return Dates(name, values, unit, zone=zone, assumed=tuple(assumed))


def _parts(
    fields: Sequence[str], form: re.Pattern[str], zones: dict[str, int], finest: list[str]
) -> Iterator[_Parts]:
    this_year = datetime.date.today().year
    groups = form.groupindex
    timed = "H" in groups
    units = list(_MICROSECONDS)
    for index, field in enumerate(fields):
        match = form.fullmatch(field.strip())
        if match is None:
            raise _unlike(fields, index)
        m = match.groupdict()
        year = int(m["y"])
        short = len(m["y"]) == 2 and form is not _EXPERIMENT
        if short:  # the latest such year, next year at most
            year += this_year // 100 * 100
            year -= 100 * (year > this_year + 1)
        if "b" in m:
            named = month(m["b"])
            if named is None:
                raise DateError(f"holds {field!r}, whose month is not known", index)
            number = named
        elif "q" in m:
            number = 3 * int(m["q"] or m["q2"]) - 2
        elif "h" in m:
            number = 6 * int(m["h"]) - 5
        elif "m" in m:
            # "1871.1" is October where "1871.01" is January
            number = 10 if m["m"] == "1" and form is _DIGITS[1] else int(m["m"])
        else:
            number = int(m.get("u") or m.get("w") or 1)
        day = int(m.get("d") or m.get("v") or m.get("j") or 1)
        time = 0
        if timed and m["H"]:
            hour, minute, second = (int(m[key] or 0) for key in "HMS")
            fraction = int((m.get("f") or "0")[:6].ljust(6, "0"))
            if half := m.get("p"):
                if not 1 <= hour <= 12:
                    raise DateError(f"holds {field!r}, which is no time of day", index)
                hour = hour % 12 + 12 * (half in "pP")
            time = ((hour * 60 + minute) * 60 + second) * 10**6 + fraction
            if minute > 59 or second > 60 or time > _DAY:
                raise DateError(f"holds {field!r}, which is no time of day", index)
            zone = m.get("z") or ""
            zone = "Z" if zone in ("UTC", "GMT") else zone
            zones.setdefault(zone, index)
            unit = "us" if fraction else "s" if second else "min"
            if units.index(unit) < units.index(finest[0]):
                finest[0] = unit
        yield year, number, day, time, short  # type: ignore[misc]


def _moments(fields: Sequence[str], year: Array, month: Array, day: Array) -> Array:
    """Midnight of each day; raises DateError for a day that is not in the calendar."""
    months = (year - 1970) * 12 + month - 1
    first = months.astype("M8[M]")
    length = ((first + 1).astype("M8[D]") - first.astype("M8[D]")).astype(int)
    _refuse(fields, (day < 1) | (day > length) | (month < 1) | (month > 12))
    moments: Array = (first.astype("M8[D]") + (day - 1)).astype("M8[us]")
    return moments


def _refuse(fields: Sequence[str], bad: Array) -> None:
    if bad.any():
        index = int(np.argmax(bad))
        raise DateError(f"holds {fields[index]!r}, which is not in the calendar", index)


def _weeks(fields: Sequence[str], year: Array, week: Array) -> Array:
    """The Mondays of ISO 8601 weeks."""
    _refuse(fields, (week < 1) | (week > 53))
    fourth = ((year - 1970).astype("M8[Y]").astype("M8[D]") + 3).astype(int)  # 4 January: week 1
    monday = fourth - (fourth + 3) % 7
    moments: Array = (monday + 7 * (week - 1)).astype("M8[D]").astype("M8[us]")
    return moments


def _offsets(fields: Sequence[str], form: re.Pattern[str]) -> Array:
    minutes = []
    for field in fields:
        match = form.fullmatch(field.strip())
        zone = (match["z"] or "").replace(":", "") if match else ""
        sign = -1 if zone[:1] == "-" else 1
        minutes.append(
            sign * (60 * int(zone[1:3]) + int(zone[3:5] or 0)) if zone[:1] in ("+", "-") else 0
        )
    return np.array(minutes).astype("m8[m]").astype("m8[us]")


def _months_in_turn(values: Array) -> bool:
    months = values.astype("M8[M]").astype(int)
    return len(months) > 3 and bool((np.abs(np.diff(months)) == 1).all())


def _day_and_month(
    parts: Array, dayfirst: bool | None, first: str
) -> tuple[Array, Array, Array, str]:
    """Year, month and day of u/v/y, in the one order that the whole column allows."""
    year, u, v, time, short = parts.T
    readings = {
        "day/month/year": (year, v, u),
        "month/day/year": (year, u, v),
    }
    if dayfirst is not None:
        order = "day/month/year" if dayfirst else "month/day/year"
        return *readings[order], order
    if short.all():
        century = datetime.date.today().year // 100 * 100
        late = century + u > datetime.date.today().year + 1
        readings["year/month/day"] = (century + u - 100 * late, v, year % 100)
    readings = {
        order: (y, m, d)
        for order, (y, m, d) in readings.items()
        if m.max() <= 12 and d.max() <= 31 and min(m.min(), d.min()) >= 1
    }
    if not readings:
        raise DateError(
            "is neither a day/month nor a month/day date like the rows before",
            max(int(np.argmax(u > 12)), int(np.argmax(v > 12))),
        )
    scores = {}
    for order, (y, m, d) in readings.items():
        months = ((y - 1970) * 12 + m - 1).astype("M8[M]")
        moments = (months.astype("M8[D]") + (d - 1)).astype("M8[us]") + time.astype("m8[us]")
        moves = np.diff(moments).astype(np.int64)
        falling = bool((moves < 0).all())
        step = find_step(Dates("", moments[::-1] if falling else moments, "D"))
        ordered = falling or bool((moves > 0).all())
        scores[order] = (not ordered, step is None, step.missing if step else 0)
    best = min(scores.values())
    orders = [
        order
        for order, (*worse, missing) in scores.items()
        if (*worse,) == best[:2] and missing <= 2 * best[2] + 1
    ]
    if len(orders) > 1 and "." in first:  # nobody writes month.day.year
        orders = [order for order in orders if order == "day/month/year"]
    if len(orders) != 1 or (len(scores) > 1 and best[0]):
        raise DateError(
            f"holds {first!r}; the column's dates can be {' or '.join(scores)}: "
            "give --dayfirst or --no-dayfirst"
        )
    return *readings[orders[0]], orders[0]


def find_step(dates: Dates) -> Step | None:
    """The step of sorted dates; None if they are not regular."""
    if len(dates) < 2:
        return None
    if dates.unit == "number":
        return _number_step(dates)
    if dates.unit in "YQM" or _by_months(dates.values):
        return _month_step(dates)
    return _fixed_step(dates)


def _number_step(dates: Dates) -> Step | None:
    moves = np.diff(dates.values)
    usual = float(np.median(moves))
    if not usual > 0:
        return None
    # First the usual step itself, then rounded fractions: of a year, or of a day in hours.
    rounding = 1.01 * 10.0**-dates.decimals
    parts = [1 / n for n in (12, 4, 2, 52, 24, 365, 365.25) if abs(usual - 1 / n) <= rounding]
    for step in [usual, *(parts if dates.decimals else [])]:
        counts = np.rint(moves / step)
        wrong = np.abs(moves - counts * step)
        if (counts >= 1).all() and (wrong <= (1e-6 * step if step == usual else rounding)).all():
            break
    else:
        return None
    return _step(f"steps of {step:.6g}", lambda last, k: last + k * step, counts)  # type: ignore[operator]


def _step(name: str, after: Callable[[object, int], object], counts: Array) -> Step:
    whole = np.where(counts > 1.5, np.rint(counts), 1)  # below 1.5 steps there is no gap
    return Step(name, after, whole.astype(np.int64))


def _months(values: Array) -> Array:
    months: Array = values.astype("M8[M]").astype(np.int64)
    return months


def _month_end(months: Array) -> Array:
    days: Array = (months + 1).astype("M8[M]").astype("M8[D]") - 1
    return days


def _by_months(values: Array) -> bool:
    """Whether dates are monthly, quarterly or yearly: on one day, or at the start or end."""
    moves = np.diff(_months(values))
    if (moves < 1).any() or (np.diff(values).astype(np.int64) < 27 * _DAY).any():
        return False
    return _anchor(values) is not None


def _anchor(values: Array) -> tuple[str, Callable[[Array], Array]] | None:
    months = _months(values)
    days = values.astype("M8[D]")
    start = months.astype("M8[M]").astype("M8[D]")
    day = (days - start).astype(int)  # from 0
    time = values - days.astype("M8[us]")
    if (time != time[0]).any():
        return None
    largest = int(day.max())

    def start_of(months: Array) -> Array:
        days: Array = months.astype("M8[M]").astype("M8[D]")
        return days

    def on_day(months: Array) -> Array:
        days: Array = np.minimum(start_of(months) + largest, _month_end(months))
        return days

    def last_business_day(months: Array) -> Array:
        days: Array = np.busday_offset(_month_end(months), 0, roll="backward")
        return days

    def first_business_day(months: Array) -> Array:
        days: Array = np.busday_offset(start_of(months), 0, roll="forward")
        return days

    for name, place in (
        (" at the end", _month_end),
        ("", on_day),
        (" on the last business day", last_business_day),
        (" on the first business day", first_business_day),
    ):
        if (place(months) == days).all():
            return name, place
    return None


def _month_step(dates: Dates) -> Step | None:
    months = _months(dates.values)
    moves = np.diff(months)
    if (moves < 1).any():
        return None
    usual = int(Counter(moves.tolist()).most_common(1)[0][0])
    if (moves % usual).any() or (moves == usual).mean() < 0.5:
        return None
    anchor = _anchor(dates.values)
    if anchor is None:
        return None
    where, place = anchor
    clock = dates.values[0] - dates.values[0].astype("M8[D]")
    name = {1: "monthly", 3: "quarterly", 12: "yearly"}.get(usual, f"every {usual} months")
    if usual % 12 == 0 and usual > 12:
        name = f"every {usual // 12} years"

    def after(last: object, k: int) -> object:
        day = place(_months(np.array([last])) + k * usual)[0]
        return day.astype("M8[us]") + clock

    return _step(name + where, after, moves // usual)


def _fixed_step(dates: Dates) -> Step | None:
    moves = np.diff(dates.values).astype(np.int64)
    if (moves <= 0).any():
        return None
    usual, often = Counter(moves.tolist()).most_common(1)[0]
    if usual == _DAY and (step := _some_weekdays(dates)) is not None:
        return step
    if often < 0.5 * len(moves) or (moves % usual != 0).mean() > _MOST_IRREGULAR:
        return None

    def after(last: object, k: int) -> object:
        return last + np.timedelta64(k * usual, "us")  # type: ignore[operator]

    names = {_DAY: "daily", 7 * _DAY: "weekly", _MICROSECONDS["h"]: "hourly"}
    return _step(names.get(usual) or f"every {_duration(usual)}", after, moves / usual)


def _duration(microseconds: int) -> str:
    for unit, word in (("D", "day"), ("h", "hour"), ("min", "minute"), ("s", "second")):
        if microseconds % _MICROSECONDS[unit] == 0:
            count = microseconds // _MICROSECONDS[unit]
            return f"{count} {word}s" if count > 1 else word
    return f"{microseconds / 10**6:g} seconds"


def _some_weekdays(dates: Dates) -> Step | None:
    """Daily on some days of the week, as at a stock exchange."""
    days = dates.values.astype("M8[D]")
    clock = dates.values - days.astype("M8[us]")
    if (clock != clock[0]).any():
        return None
    weekdays = (days.astype(np.int64) + 3) % 7  # Monday is 0
    present = np.bincount(weekdays, minlength=7) > 0
    weeks = (days[-1] - days[0]).astype(int) // 7
    if present.all() or weeks < 2 or len(days) < 2 * present.sum():
        return None
    mask = present.tolist()
    counts = np.busday_count(days[:-1], days[1:], weekmask=mask)
    if (counts == 1).mean() < 0.5:
        return None

    def after(last: object, k: int) -> object:
        day = np.datetime64(last, "D")  # type: ignore[call-overload]
        return np.busday_offset(day, k, weekmask=mask).astype("M8[us]") + clock[0]

    name = "on business days" if mask == [True] * 5 + [False] * 2 else "on some days of the week"
    return _step(name, after, counts)
