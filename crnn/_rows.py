"""A text file as rows of fields: bytes, encoding, lines, separator, header, columns of text.

A. A file is decompressed once and kept as bytes. Each pass decodes it line by line, because a list
   of all lines would take several times the memory.
B. The layout (separator, header, number of fields) comes from the first thousand lines. Every line
   is then checked against it, because pandas fills short rows and drops extra fields without an
   error. pandas gets rows of one width.
C. Only the columns that are needed are read, as text. A row keeps its line number.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import os
import re
import reprlib
import zipfile
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn import _dates, _numbers
from crnn._arguments import Array

if TYPE_CHECKING:
    import pandas as pd

_SAMPLE = 1000  # lines from which the layout is detected
_BLANKS = r"\s+"
_UNIT = "\x1f"  # field separator of the text for pandas; text files do not contain it


def _unzip(data: bytes) -> bytes:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        names = [
            name
            for name in archive.namelist()
            if not name.endswith("/") and not name.startswith("__MACOSX/")
        ]
        if {"[Content_Types].xml", "mimetype"} & set(names):
            raise ValueError("is an Excel or OpenDocument file: save it as CSV")
        if len(names) != 1:
            listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            raise ValueError(f"is a zip archive of {len(names)} files: {listed} (unpack it)")
        return archive.read(names[0])


_COMPRESSED: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\0": lzma.decompress,
    b"PK\x03\x04": _unzip,
}
# RuntimeError: a zip archive with a password, or compressed in a way that Python does not know.
_DAMAGED = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
_OTHER_FORMATS = {
    b"\xd0\xcf\x11\xe0": "an Excel file: save it as CSV",
    b"PAR1": "a Parquet file: save it as CSV",
    b"\x89HDF": "an HDF5 file: save it as CSV",
}


class LineError(ValueError):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def separator_of(sep: str | None) -> str | None:
    if sep is None or len(sep) == 1:
        return _BLANKS if sep == " " else sep
    known = {"\\t": "\t", "tab": "\t", _BLANKS: _BLANKS, "blank": _BLANKS}
    if sep not in known:
        raise ValueError(f"sep must be one character, 'tab' or 'blank', got {sep!r}")
    return known[sep]


# ---- bytes, text, lines ----


def _load(path: str | os.PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        data = file.read()
    for magic, decompress in _COMPRESSED.items():
        if data.startswith(magic):
            try:
                data = decompress(data)
            except _DAMAGED as error:
                raise ValueError(f"is compressed and damaged: {error}") from error
            break
    for magic, what in _OTHER_FORMATS.items():
        if data.startswith(magic):
            raise ValueError(f"is {what}")
    return data


def _encoding(data: bytes, assumed: list[str]) -> str:
    """Detect the encoding from the byte-order mark, else from the bytes."""
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    start = data[:4000]
    for encoding, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[0::2])):
        if len(start) > 3 and zeros.count(0) > 0.4 * len(zeros):
            assumed.append(f"encoding {encoding}")
            return encoding
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        assumed.append("encoding cp1252 (it is not UTF-8)")
        return "cp1252"
    return "utf-8-sig"


def _fields(text: str, sep: str) -> list[str]:
    """Split one row; raises csv.Error if its quotes break RFC 4180."""
    if sep == _BLANKS:
        text = text.strip(" \t")
        if '"' not in text:
            return re.split(r"[ \t]+", text)
        text, sep = text.replace("\t", " "), " "
    elif '"' not in text:
        return text.split(sep)
    (row,) = csv.reader([text], delimiter=sep, skipinitialspace=True, strict=True)
    return row


def _quoted_badly(line: int, error: csv.Error) -> LineError:
    reason = str(error)
    if "expected after" in reason:
        reason += "; another --sep?"
    return LineError(line, f"is not quoted as CSV: {reason}")


@dataclass
class _Layout:
    sep: str
    names: list[str] | None
    width: int
    first: int  # line number of the first row of data
    skipped: int = 0
    numbered: bool = False  # the first column holds numbers or dates


class File:
    """Text in rows and columns."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        encoding: str | None,
        sep: str | None,
        header: bool | None,
        skip: int,
        comment: str | None,
        na: Sequence[str],
        column: str | int | None,
    ) -> None:
        self.assumed: list[str] = []
        self._data = _load(path)
        self._skip, self._comment, self._na = skip, comment, na
        self._encoding = encoding or _encoding(self._data, self.assumed)
        self._check_text(encoding is not None)
        comments: list[tuple[int, str]] = []
        sample: list[tuple[int, str]] = []
        for line, text in self._records(comments):
            if text.strip():
                sample.append((line, text))
                if len(sample) == _SAMPLE:
                    break
        if sample and (mark := re.fullmatch(r"[\"]?sep=(.|\t)[\"]?", sample[0][1].strip(" "))):
            sep = sep or mark[1]
            del sample[0]
        if not sample:
            raise ValueError("holds no rows")
        self.layout = _find_layout(sample, comments, sep, header, column, na)
        if self.layout.sep != ",":
            known = {_BLANKS: "blanks between columns", "\t": "separator tab", _UNIT: "one column"}
            if self.layout.sep != _UNIT:
                self.assumed.append(known.get(self.layout.sep) or f"separator {self.layout.sep!r}")
        if self.layout.names is None and header is None:
            self.assumed.append("no header")
        if self.layout.skipped:
            self.assumed.append(f"{count_of(self.layout.skipped, 'line')} before the data left out")
        self.last: list[str] = []  # the last row
        # Rows from which the kind of each column is detected.
        self.sample = [
            row
            for line, text in sample
            if line >= self.layout.first and (row := self._row(line, text)) is not None
        ]
        if not self.sample:
            raise ValueError("has no rows below the names (--no-header, --skip)")
        # Text below a first column of numbers or dates is a total or a note, not a row of data.
        labels = [row[0] for row in self.sample]
        while labels and self._is_word(labels[-1]):
            del labels[-1]
        if kind_of(labels, na) in ("number", "date"):
            self.layout.numbered = True
            self.sample = [row for row in self.sample if not self._is_word(row[0])]

    def _is_missing(self, value: str) -> bool:
        return _numbers.is_missing(value, self._na)

    def _is_word(self, value: str) -> bool:
        if value[:1].isdigit() or any(c.isdigit() for c in value):
            return False
        return not self._is_missing(value)

    def _check_text(self, given: bool) -> None:
        try:
            # As in _lines. bytes.decode would not look up the encoding of an empty file.
            text = TextIOWrapper(BytesIO(self._data), self._encoding, newline="").read()
        except (UnicodeError, LookupError) as error:
            reason = getattr(error, "reason", None) or str(error)
            what = self._encoding if given else "UTF-8 or Windows-1252 text"
            raise ValueError(f"is not {what} ({reason}): name its --encoding") from error
        found = re.search("[\0-\x08\x0e-\x19\x1b-\x1f]", text)
        if found is not None:
            line = text.count("\n", 0, found.start()) + 1
            raise LineError(
                line, f"holds the character {found[0]!r}, so it is not text (--encoding?)"
            )

    def _lines(self) -> Iterator[tuple[int, str]]:
        text = TextIOWrapper(BytesIO(self._data), self._encoding, newline=None)
        for number, line in enumerate(text, 1):
            if number == 1:
                line = line.removeprefix("\ufeff")
            if number > self._skip:
                yield number, line.rstrip("\n\x1a")

    def _records(self, comments: list[tuple[int, str]] | None = None) -> Iterator[tuple[int, str]]:
        """Rows with their first line numbers; a quoted field may span several lines."""
        lines = self._lines()
        for number, text in lines:
            if self._comment is not None:
                if self._comment in text:
                    text = text.split(self._comment)[0]
                    if not text.strip():
                        continue
            elif text.lstrip()[:1] == "#":
                if comments is not None:
                    comments.append((number, text))
                continue
            if text.count('"') % 2:
                parts = [text]
                open_quote = True
                while open_quote:
                    following = next(lines, None)
                    if following is None:
                        raise LineError(number, "opens a quote that is never closed (--sep?)")
                    parts.append(following[1])
                    open_quote = following[1].count('"') % 2 == 0
                text = " ".join(parts)
            yield number, text

    def _row(self, line: int, text: str) -> list[str] | None:
        """The fields of a row; None for text below the data. Another width is a LineError."""
        layout = self.layout
        if not text.strip():
            return [""] * layout.width
        try:
            row = _fields(text, layout.sep)
        except csv.Error as error:
            raise _quoted_badly(line, error) from error
        count = len(row)
        if count > layout.width:
            extra = row[layout.width :]
            note = layout.sep == _BLANKS and not any(map(_numbers.is_number, extra))
            if note or not any(extra):
                del row[layout.width :]
        elif count == layout.width - 1 and layout.names and not layout.names[-1]:
            row.append("")
        if len(row) == layout.width:
            return None if layout.numbered and self._is_word(row[0]) else row
        if not (_numbers.is_number(row[0]) or _dates.looks_like(row[:1], numbers=True)):
            return None
        message = f"has {count_of(count, 'field')}, the others {layout.width}"
        if layout.sep == "," and count > layout.width:
            message += ": a comma inside a number needs quotes around it, or another --sep"
        elif layout.sep == _BLANKS:
            message += ": with blanks as separator no field can be empty (--sep?)"
        raise LineError(line, message)

    def columns(self, wanted: Sequence[int]) -> tuple[list[list[str]], Array]:
        """The text of some columns, and each row's line number, negative for an empty row."""
        import pandas as pd

        lines = array("q")
        stream: Any = _Stream(self._clean_rows(lines))
        order = sorted(set(wanted))
        try:
            frame: pd.DataFrame = pd.read_csv(
                stream,
                sep=_UNIT,
                header=None,
                names=range(self.layout.width),
                usecols=order,
                dtype=str,
                na_filter=False,
                skip_blank_lines=False,
                quoting=csv.QUOTE_NONE,
                index_col=False,
            )
        except pd.errors.EmptyDataError:
            return [[] for _ in wanted], np.zeros(0, np.int64)
        assert len(frame) == len(lines)  # one line per row: nothing was joined, split or dropped
        return [frame[k].tolist() for k in wanted], np.array(lines)

    def _clean_rows(self, lines: array[int]) -> Iterator[str]:
        """Rows of one width for pandas. Text below the data is skipped, text inside an error."""
        layout = self.layout
        under: tuple[int, str] | None = None
        left_out = 0
        for line, text in self._records():
            if line < layout.first:
                continue
            row = self._row(line, text)
            if row is None:
                under = under or (line, text)
                left_out += 1
                continue
            if under is not None and any(row):
                raise LineError(
                    under[0],
                    f"is not a row of the table: {reprlib.repr(under[1].strip())} "
                    "(--comment, --na)",
                )
            if under is not None:
                continue
            lines.append(line if any(value.strip() for value in row) else -line)
            self.last = row
            yield _UNIT.join(row) + "\n"
        note = f"{count_of(left_out, 'line')} after the data left out"
        if left_out and note not in self.assumed:
            self.assumed.append(note)

    def name(self, k: int) -> str:
        """A column's name in messages."""
        return (self.layout.names[k] if self.layout.names else "") or str(k + 1)

    def all_names(self) -> str:
        """All columns, for messages."""
        if self.layout.width == 1 and self.layout.names is not None:
            return f"the only column is {self.layout.names[0]!r} (--sep?)"
        if self.layout.names is None:
            values = ", ".join(reprlib.repr(value.strip()) for value in next(iter(self.sample), []))
            return f"it has no header; columns 1 to {self.layout.width} begin with {values}"
        return "the columns are " + ", ".join(
            repr(name) if name else f"{k} (no name)"
            for k, name in enumerate(self.layout.names, 1)
            if name or any(row[k - 1].strip() for row in self.sample)
        )


class _Stream:
    """A text stream for pandas: a read may return more characters than asked for."""

    def __init__(self, rows: Iterator[str]) -> None:
        self._rows = rows

    def read(self, size: int = -1) -> str:
        parts = []
        length = 0
        for row in self._rows:
            parts.append(row)
            length += len(row)
            if 0 <= size <= length:
                break
        return "".join(parts)

    def __iter__(self) -> Iterator[str]:
        return self._rows


def count_of(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# ---- layout ----


def _split(text: str, sep: str) -> list[str]:
    try:
        return [value.strip() for value in _fields(text, sep)]
    except csv.Error:
        return []


def _clean(value: str, sep: str) -> bool:
    if _numbers.is_missing(value) or _numbers.is_number(value):
        return True
    if not any(c in value for c in ";\t|,"):
        return sep != _UNIT
    return _dates.looks_like([value], numbers=False)


def _find_separator(sample: list[str]) -> str:
    """The separator that gives most lines the same number of well-formed fields."""
    best, found = 0.0, _UNIT
    for sep in (";", "\t", "|", ",", _BLANKS, _UNIT):
        rows = [_split(text, sep) for text in sample]
        width = _usual_width(rows)
        if width == 1 and sep != _UNIT:
            continue
        fitting = [row for row in rows if len(row) == width]
        values = [value for row in fitting[len(fitting) > 1 :] for value in row]
        score = len(fitting) / len(rows) * sum(_clean(v, sep) for v in values) / max(1, len(values))
        if sep == _UNIT and (_counts_before_comma(fitting) or _names_columns(sample[0])):
            continue
        if score > best + 1e-9:
            best, found = score, sep
    return found


def _names_columns(text: str) -> bool:
    return any(c in text for c in ";\t|,") and not _numbers.is_number(text)


def _counts_before_comma(rows: list[list[str]]) -> bool:
    """Whether 1,5 and 2,7 are two columns, the first counting rows, not decimal commas."""
    heads = [row[0].partition(",")[0] for row in rows[1:] if "," in row[0]]
    if len(heads) < 2 or not all(re.fullmatch(r"[0-9]{1,9}", head) for head in heads):
        return False
    return all(abs(int(b) - int(a)) == 1 for a, b in pairwise(heads))


def _usual_width(rows: list[list[str]]) -> int:
    counts = Counter(len(row) for row in rows if row)
    return max(counts, key=lambda width: (counts[width], width), default=1)


def kind_of(values: Sequence[str], na: Sequence[str] = ()) -> str:
    """What a column holds: "date", "time", "number", "text" or "" for nothing."""
    present = [value.strip() for value in values if not _numbers.is_missing(value, na)]
    if not present:
        return ""
    if _dates.looks_like(present, numbers=False):
        return "date"
    if all(_dates.TIME_OF_DAY.fullmatch(value) for value in present) and any(
        not _numbers.is_number(value) for value in present
    ):
        return "time"
    return "number" if sum(map(_numbers.is_number, present)) >= 0.6 * len(present) else "text"


def _find_layout(
    sample: list[tuple[int, str]],
    comments: list[tuple[int, str]],
    sep: str | None,
    header: bool | None,
    column: str | int | None,
    na: Sequence[str],
) -> _Layout:
    sep = sep or _find_separator([text for _, text in sample])
    rows = [_split(text, sep) for _, text in sample]
    width = _usual_width(rows)
    fitting = [row for row in rows if len(row) == width]
    if not fitting:
        try:
            _fields(sample[0][1], sep)
        except csv.Error as error:
            raise _quoted_badly(sample[0][0], error) from error
    kinds = [kind_of([row[k] for row in fitting[1:] or fitting], na) for k in range(width)]

    def named(row: list[str]) -> bool | None:
        """Whether a row names columns (True), holds data (False) or says nothing."""
        years = [v[:4] for v in row[1:] if re.match(r"(?:1[5-9]|2[01])[0-9]{2}(?: |$)", v)]
        word = kinds[0] == "text" or not any(c.isdigit() for c in row[0])
        if word and len(years) > 2 and all(a < b for a, b in pairwise(years)):
            return True  # one series per row, or one year per column
        if all(re.fullmatch("[0-9]+[sdn]", value) for value in row):
            return True  # widths and types, as in the RDB files of hydrology
        unclear = names = 0
        for value, kind in zip(row, kinds, strict=True):
            if kind not in ("date", "number", "time") or _numbers.is_missing(value, na):
                continue
            found = kind_of([value])
            if found == kind or found == "number":
                return False
            if found != "date" and value[:1].isdigit():
                unclear += 1
            elif kind == "date":
                return True
            else:
                names += 1
        if unclear == names == 0:
            return None
        return names > unclear or not row[0]

    if header is False:
        first = next(i for i, row in enumerate(rows) if len(row) == width)
        return _Layout(sep, None, width, sample[first][0], first)
    above: list[int] = []
    first = -1
    for i, row in enumerate(rows):
        if len(row) != width:
            continue
        says = named(row)
        if says and header and above:
            says = False
        if says or (header and not above):
            above.append(i)
        elif says is False or not any(kinds):
            first = i
            break
    if first < 0:  # no row of data: only a header, or no column with numbers
        named_by = above[0] if above else next(i for i, row in enumerate(rows) if len(row) == width)
        after = sample[named_by + 1 :] or [(sample[-1][0] + 1, "")]
        return _Layout(sep, rows[named_by], width, after[0][0], named_by)
    if above:
        wanted = column.strip() if isinstance(column, str) else None
        most = max(above, key=lambda i: len({*rows[i][1:]} - {""}))
        here = next((i for i in above if wanted in rows[i]), most)
        # Keep a row that is not understood: the error then names its line.
        between = range(above[-1] + 1, first)
        first = next((i for i in between if sample[i][1].lstrip(' "')[:1].isdigit()), first)
        return _Layout(sep, rows[here], width, sample[first][0], first - 1)
    return _header_of_another_width(sample, rows, fitting, comments, sep, width, first, column)


def _header_of_another_width(
    sample: list[tuple[int, str]],
    rows: list[list[str]],
    fitting: list[list[str]],
    comments: list[tuple[int, str]],
    sep: str,
    width: int,
    first: int,
    column: str | int | None,
) -> _Layout:
    """Take the names from the last line before the data, or from a comment, if they fit."""
    line = sample[first][0]
    if first == 0:
        before = [text.strip("# \t") for number, text in comments if number < line]
        named = [_split(text, sep) for text in before if text]
        for names in [*(names for names in named if column in names), *named[-1:]]:
            good = len(names) == width and all(names) and len(set(names)) == width
            if good and not any(map(_numbers.is_number, names)):
                return _Layout(sep, names, width, line)
        return _Layout(sep, None, width, line)
    names, body = rows[first - 1], fitting[: len(fitting) // 2 + 1]
    if len(names) == width + 1 and not names[-1]:
        return _Layout(sep, names[:-1], width, line, first - 1)
    if 0 < len(names) < width and not any(any(row[len(names) :]) for row in body):
        return _Layout(sep, [*names, *[""] * (width - len(names))], width, line, first - 1)
    if len(names) == width - 1 and width > 1 and not any(map(_numbers.is_number, names)):
        labels = [row[0] for row in body]
        quoted = sample[first][1].lstrip().startswith('"') and not names[0].startswith('"')
        counting = labels[:3] in (["0", "1", "2"][: len(labels)], ["1", "2", "3"][: len(labels)])
        if quoted or (counting and sep != ","):  # as R writes the names of rows
            return _Layout(sep, ["", *names], width, line, first - 1)
    if len(names) not in (0, 1, width) and sep not in (_BLANKS, _UNIT):
        raise LineError(
            sample[first - 1][0],
            f"has {count_of(len(names), 'name')}, the rows have {width} fields: --sep, or "
            f"--no-header --skip {sample[first - 1][0]} and the column's number",
        )
    return _Layout(sep, None, width, line, first)
