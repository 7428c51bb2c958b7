"""Read a column of numbers: separators, signs, units, and words for missing values.

A column has one notation. A field that has two readings ("1.234") is decided by the other fields of
its column, then by the other columns of the file. If they do not decide, the reader reports what it
assumes or raises an error.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crnn._arguments import Array

_SPACES = " \u00a0\u202f\u2009"
_APOSTROPHES = "'\u2019"
_CURRENCIES = (
    r"(?:R\$|US\$|C\$|A\$|[$\u20ac\u00a3\u00a5\u20b9\u20a9\u20aa\u20ba\u20bd\u20b4\u0e3f]"
    r"|CHF|EUR|USD|GBP|JPY|kr\.?|z\u0142|K\u010d|Ft|Rs\.?)"
)
# If at least this many numbers have three digits after their only separator, it separates
# thousands: of 30 fractions without trailing zeros, one has fewer digits in 96 of 100 columns.
_ENOUGH = 30

_WORDS = frozenset(
    re.findall(
        r"\S+",
        "na n/a #n/a #na <na> nan -nan +nan null none nil missing n/d n.d. n.a. s/d k.a. "
        "1.#ind -1.#ind 1.#qnan -1.#qnan #value! #div/0! #ref! #num! #null! #name? :",
    )
) | {"", "#n/a n/a"}
_FIELD = re.compile(
    rf"(?P<minus>[+\-\u2212\u2013]?)\s*(?P<currency>{_CURRENCIES}?)\s*(?P<sign>[+\-\u2212\u2013]?)"
    r"(?P<digits>[0-9.,'\u2019 \u00a0\u202f\u2009]*[0-9][.,]?)(?P<power>[eE][+-]?[0-9]+)?"
    rf"\s*(?P<suffix>%|{_CURRENCIES}|)\s*(?P<mark>[*#]*)",
    re.ASCII,
)
# Negative in accounts: (1.50), $(1.50), 1.50-
_NEGATIVE = re.compile(r"([^()0-9+\-]*)\(([^()+\-\u2212]*)\)|([^()+\-\u2212]*)[-\u2212]")
_GROUPED = re.compile(
    r"[0-9]+[.,]?[0-9]*|[.,][0-9]+"
    r"|[0-9]{1,3}([.,'\u2019 \u00a0\u202f\u2009])[0-9]{3}(?:\1[0-9]{3})*(?:(?!\1)[.,][0-9]*)?"
    r"|[0-9]{1,2}(?:,[0-9]{2})*,[0-9]{3}(?:\.[0-9]*)?"
)

_ONE_SEPARATOR = re.compile(r"[0-9]+[.,]?[0-9]*|[.,][0-9]+")
# The form of most fields. It has only one reading.
_PLAIN = re.compile(r"-?(?:[0-9]+\.(?:[0-9]{1,2}|[0-9]{4,})|0\.[0-9]+|[0-9]{1,3})")


def is_missing(field: str, also: Iterable[str] = ()) -> bool:
    """Whether a field is empty or a word or sign for a missing value."""
    if not also and field[:1].isdigit():
        return False
    field = field.strip()
    if field.casefold() in _WORDS or field in also:
        return True
    return field[0] in "-*.?" and not field.strip(field[0])


def _match(field: str) -> re.Match[str] | None:
    """The parts of a number; the sign of one in accounts is put before it."""
    field = field.strip()
    if field[-1:] in (")", "-", "\u2212") and (parts := _NEGATIVE.fullmatch(field)) is not None:
        field = "-" + "".join(part for part in parts.groups() if part)
    return _FIELD.fullmatch(field)


def is_number(field: str) -> bool:
    """Whether a field is a number in any notation, with or without a currency, % or mark."""
    parts = _match(field)
    return parts is not None and _GROUPED.fullmatch(parts["digits"].strip()) is not None


@dataclass(frozen=True)
class Evidence:
    """What a column shows about each separator: the index of the first field that uses it."""

    decimal: dict[str, int]
    thousands: dict[str, int]
    open: dict[str, int]  # one separator, then three digits: decimal or thousands
    open_count: int
    short: int | None  # a number below 1000 without a separator, not zero
    zero: int | None  # a zero without a separator
    long: int | None  # one of more than three digits without a separator


def evidence(fields: Iterable[str]) -> Evidence:
    """Collect the evidence of each number. Other fields are ignored."""
    decimal: dict[str, int] = {}
    thousands: dict[str, int] = {}
    either: dict[str, int] = {}
    short = zero = long = None
    count = 0
    for index, field in enumerate(fields):
        if _PLAIN.fullmatch(field):
            if "." in field:
                decimal.setdefault(".", index)
            elif short is None and field.strip("-0"):
                short = index
            elif zero is None and not field.strip("-0"):
                zero = index
            continue
        power = None
        if field.isdigit():
            digits = field
        else:
            parts = _match(field)
            if parts is None or not _GROUPED.fullmatch(parts["digits"].strip()):
                continue
            digits, power = parts["digits"].strip(), parts["power"]
        used = [c for c in digits if not "0" <= c <= "9"]
        grouping = [c for c in used if c not in ".,"]
        for c in grouping:
            thousands.setdefault(c, index)
        points = [c for c in used if c in ".,"]
        if not points:
            if not grouping and len(digits) > 3 and long is None:
                long = index
            elif len(digits) <= 3 and short is None and digits.strip("0"):
                short = index
            elif zero is None and not digits.strip("0"):
                zero = index
        elif len(set(points)) == 2:
            decimal.setdefault(points[-1], index)
            thousands.setdefault(points[0], index)
        elif len(points) > 1:
            thousands.setdefault(points[0], index)
        else:
            head, tail = digits.split(points[0])
            if power or grouping or len(tail) != 3 or len(head) > 3 or head[:1] in ("", "0"):
                decimal.setdefault(points[0], index)
            else:
                either.setdefault(points[0], index)
                count += 1
    return Evidence(decimal, thousands, either, count, short, zero, long)


@dataclass(frozen=True)
class Column:
    """Numbers read from a column's text.

    `decimals` is the largest number of digits after the decimal separator, or None if a number has
    an exponent. `significant` is the largest number of significant digits.
    """

    values: Array
    decimals: int | None
    significant: int
    assumed: list[str]

    def format(self, value: float, least: int = 0) -> str:
        """Format a number with as many decimals as the column's numbers have, but at least some."""
        if not math.isfinite(value):
            return repr(float(value))
        if self.decimals is None:
            return f"{value:.{max(1, self.significant)}g}"
        text = f"{value:.{max(self.decimals, least)}f}"
        return text.removeprefix("-") if not text.strip("-0.") else text


class NotationError(ValueError):
    """A field that is not a number in the column's notation; `index` is its row."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


def convert(
    fields: Sequence[str],
    *,
    decimal: str | None,
    thousands: str | None,
    na: Sequence[str],
    others: Callable[[], Evidence],
    continental: bool | None,
) -> Column:
    """Convert a column's text to numbers, NaN where a value is missing.

    Parameters
    ----------
    fields : sequence of str
        The column.
    decimal, thousands : str, optional
        The separators; None: detected.
    na : sequence of str
        Further words or numbers for a missing value.
    others : callable
        Returns the evidence of the file's other columns. Called if the column alone does not
        decide what a separator means.
    continental : bool, optional
        Whether the file shows customs that go with a decimal comma (True) or with a decimal point
        (False). None: it shows neither.

    Raises
    ------
    NotationError
        If a field is not a finite number, or has two readings that nothing decides.
    """
    present = [i for i, field in enumerate(fields) if not is_missing(field, na)]
    found = evidence(fields[i] for i in present)
    assumed: list[str] = []
    decimal, thousands = _decide(
        [fields[i] for i in present],
        found,
        decimal,
        thousands,
        others,
        continental,
        assumed,
        present,
    )
    point, group = re.escape(decimal), re.escape(thousands or "")
    whole = rf"[0-9]{{1,3}}(?:{group}[0-9]{{3}})+" if thousands else ""
    if thousands == ",":
        whole = rf"[0-9]{{1,3}}(?:,[0-9]{{2,3}})*,[0-9]{{3}}|{whole}"
    whole = rf"(?:{whole}|[0-9]+)" if whole else "[0-9]+"
    number = re.compile(rf"{whole}(?:{point}[0-9]*)?|{point}[0-9]+")
    # NaN marks a missing value. A number for a missing value ("-99.99") is compared by value.
    values = np.full(len(fields), np.nan)
    codes = {_code(word, number, decimal, thousands) for word in na}
    affix: tuple[str, str] | None = None
    first = -1
    accounts: str | None = None
    marks = decimals = significant = 0
    power = False
    for i in present:
        field = fields[i].strip()
        if decimal == "." and affix in (None, ("", "")) and _PLAIN.fullmatch(field):
            value = float(field)
            if value not in codes:
                if affix is None:
                    affix, first = ("", ""), i
                digits = field.lstrip("-")
                significant = max(significant, len(digits.replace(".", "").lstrip("0")))
                decimals = max(decimals, len(digits.partition(".")[2]))
                values[i] = value
            continue
        parts = _match(field)
        digits = parts["digits"].strip() if parts else ""
        if parts is None or (parts["minus"] and parts["sign"]) or not number.fullmatch(digits):
            hint = f"; --na {_shown(field)} reads it as missing"
            if is_number(field) and (decimal, thousands) != (".", None):
                took = f"'{decimal}'" + (f" and thousands '{thousands}'" if thousands else "")
                hint = f" with the decimal separator {took} (--decimal, --thousands)"
            raise NotationError(f"holds {reprlib.repr(field)}, not a finite number{hint}", i)
        digits = _with_point(digits, decimal, thousands)
        value = float(digits + (parts["power"] or ""))
        if not math.isfinite(value):
            raise NotationError(f"holds {reprlib.repr(field)}, not a finite number", i)
        if _is_negative(parts):
            value = -value
            if accounts is None and field[-1] in (")", "-", "\u2212"):
                accounts = f"{field!r} is -{parts['digits'].strip()}"
        if value in codes:
            continue
        here = (parts["currency"], parts["suffix"])
        if affix is None:
            affix, first = here, i
        elif here != affix:
            raise NotationError(
                f"holds {reprlib.repr(field)} where the first value is "
                f"{reprlib.repr(fields[first].strip())}: two units in one column",
                i,
            )
        marks += bool(parts["mark"])
        if parts["power"]:
            power = True
            significant = max(significant, len(digits.replace(".", "").lstrip("0")))
        else:
            significant = max(significant, len(digits.replace(".", "").lstrip("0")))
            decimals = max(decimals, len(digits.partition(".")[2]))
        values[i] = value
    if affix is not None and any(affix):
        sign = affix[0] or affix[1]
        assumed.append("percent signs removed" if sign == "%" else f"{sign} removed")
    if accounts is not None:
        assumed.append(accounts)
    if marks:
        assumed.append(f"marks (* or #) removed from {marks} values")
    return Column(values, None if power else decimals, significant, assumed)


def _with_point(digits: str, decimal: str, thousands: str | None) -> str:
    return (digits.replace(thousands, "") if thousands else digits).replace(decimal, ".")


def _is_negative(parts: re.Match[str]) -> bool:
    return (parts["minus"] or parts["sign"]) in ("-", "\u2212", "\u2013")


def _code(word: str, number: re.Pattern[str], decimal: str, thousands: str | None) -> float | None:
    """The value of a word for missing in the column's notation, else in any; None for text."""
    parts = _match(word)
    if parts is None:
        return None
    digits = parts["digits"].strip()
    if number.fullmatch(digits):
        digits = _with_point(digits, decimal, thousands)
    elif _ONE_SEPARATOR.fullmatch(digits):
        digits = digits.replace(",", ".")
    else:
        return None
    value = float(digits + (parts["power"] or ""))
    return -value if _is_negative(parts) else value


def _shown(field: str) -> str:
    return field if field.isalnum() and len(field) < 20 else reprlib.repr(field)


def _decide(
    fields: Sequence[str],
    found: Evidence,
    decimal: str | None,
    thousands: str | None,
    others: Callable[[], Evidence],
    continental: bool | None,
    assumed: list[str],
    rows: Sequence[int],
) -> tuple[str, str | None]:
    """The decimal and the thousands separator, as given or as the column shows them."""
    given = decimal, thousands
    named: list[str] = []
    for c, i in found.thousands.items():
        if thousands is None and c != decimal and c not in found.decimal:
            thousands = c
        elif c != thousands and decimal is None:
            field = reprlib.repr(fields[i])
            raise NotationError(
                f"holds {field}, which does not fit the notation of the other values "
                "(--decimal, --thousands)",
                rows[i],
            )
    for c, i in found.decimal.items():
        if decimal is None and c != thousands:
            decimal = c
        elif c != decimal:
            raise NotationError(
                f"holds {reprlib.repr(fields[i])}, where '{c}' would be a second decimal "
                "separator (--decimal, --thousands)",
                rows[i],
            )
    for c, i in found.open.items():
        if c in (decimal, thousands):
            continue
        if decimal is not None and thousands is None:
            thousands = c
        elif decimal is None and thousands is not None:
            decimal = c
        elif decimal is None:
            decimal, thousands = _open(c, i, fields, found, others, continental, named, rows)
        else:
            raise NotationError(
                f"holds {reprlib.repr(fields[i])}, where '{c}' is neither the decimal nor the "
                "thousands separator (--decimal, --thousands)",
                rows[i],
            )
    if decimal is None:
        decimal = "," if thousands == "." else "."
    if decimal == thousands:
        raise NotationError(f"'{decimal}' cannot separate both decimals and thousands", 0)
    assumed += named
    if named:
        return decimal, thousands
    if given[0] is None and decimal == "," and (found.decimal or found.open):
        assumed.append("decimal comma")
    if given[1] is None and thousands is not None:
        name = "blank" if thousands in _SPACES else f"'{thousands}'"
        assumed.append(f"thousands separator {name}")
    return decimal, thousands


def _open(
    c: str,
    i: int,
    fields: Sequence[str],
    found: Evidence,
    others: Callable[[], Evidence],
    continental: bool | None,
    assumed: list[str],
    rows: Sequence[int],
) -> tuple[str, str | None]:
    """Decide what one separator before three digits is if its column does not show it."""
    other = "," if c == "." else "."
    customary = c == ("," if continental else ".")
    if found.long is not None and customary:
        assumed.append(f"'{c}' in {fields[i]!r} is the decimal separator (if not: --thousands {c})")
        return c, None
    elsewhere = others()
    says_decimal = c in elsewhere.decimal or other in elsewhere.thousands
    says_thousands = c in elsewhere.thousands or other in elsewhere.decimal
    if says_decimal != says_thousands:
        what = "decimal" if says_decimal else "thousands"
        assumed.append(f"'{c}' in {fields[i]!r} is the {what} separator, by the other columns")
        return (c, None) if says_decimal else (other, c)
    # A zero is written without its fraction more often than other numbers.
    bare = found.zero if found.short is None and (c == "," or continental) else found.short
    if bare is not None and found.open_count >= _ENOUGH and (c == "," or continental is not False):
        assumed.append(f"{fields[i]!r} is {fields[i].replace(c, '')} (if not: --decimal {c})")
        return other, c
    if bare is None and c == "." and not continental:
        assumed.append(f"'.' in {fields[i]!r} is the decimal separator (if not: --thousands .)")
        return c, None
    short = f" (and {reprlib.repr(fields[bare])})" if bare is not None else ""
    raise NotationError(
        f"holds {reprlib.repr(fields[i])}{short}: it has two readings, give --decimal {c} or "
        f"--thousands {c}",
        rows[i],
    )
