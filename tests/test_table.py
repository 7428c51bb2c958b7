"""Text files of many forms: the right numbers and dates, or an error that says what to do."""

from __future__ import annotations

import bz2
import csv
import datetime
import gzip
import io
import lzma
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

pytest.importorskip("pandas", reason="reading files needs the extra crnn[table]")

from hypothesis import given
from hypothesis import strategies as st

from crnn import _dates, _numbers
from crnn.table import read_series

NAN = float("nan")


@pytest.fixture
def read(tmp_path):
    """Read text or bytes as a file."""

    def read(content, column=None, **options):
        path = tmp_path / "file.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_series(path, column, **options)

    return read


@pytest.fixture
def refused(read):
    """The one-line error for a file, without its path."""

    def refused(content, column=None, **options):
        with pytest.raises(ValueError, match=r"file\.csv: ") as caught:
            read(content, column, **options)
        message = str(caught.value)
        assert "\n" not in message
        return message.partition("file.csv: ")[2]

    return refused


def lines(*rows):
    return "\n".join(rows) + "\n"


def dates_of(series):
    return [series.dates.text(i) for i in range(len(series.values))]


def month_rows(count, sep=",", form="{y}-{m:02d}", value="{v}"):
    return [
        form.format(y=2001 + i // 12, m=i % 12 + 1) + sep + value.format(v=i + 5)
        for i in range(count)
    ]


# Numbers, separators, encodings


def zipped(**files):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, text in files.items():
            file.writestr(name, text)
    return archive.getvalue()


PLAIN = lines("a,b", "1990,1.5", "1991,2.5", "1992,4.25")
VALUES = [1.5, 2.5, 4.25]


@pytest.mark.parametrize(
    ("content", "assumed"),
    [
        (PLAIN, ()),
        (PLAIN.replace("\n", "\r\n"), ()),
        (PLAIN.replace("\n", "\r"), ()),
        (PLAIN.rstrip("\n"), ()),
        (PLAIN + "\n\n", ()),
        (b"\xef\xbb\xbf" + PLAIN.encode(), ()),
        (PLAIN.encode("utf-16"), ()),
        (PLAIN.encode("utf-16-be"), ("encoding utf-16-be",)),
        (PLAIN.encode("utf-16-le"), ("encoding utf-16-le",)),
        (PLAIN.encode("utf-32"), ()),
        (gzip.compress(PLAIN.encode()), ()),
        (bz2.compress(PLAIN.encode()), ()),
        (lzma.compress(PLAIN.encode()), ()),
        (PLAIN.replace(",", ";"), ("separator ';'",)),
        (PLAIN.replace(",", "\t"), ("separator tab",)),
        (PLAIN.replace(",", "|"), ("separator '|'",)),
        (PLAIN.replace(",", "   "), ("blanks between columns",)),
        (PLAIN.replace(",", " \t "), ("separator tab",)),
        ("  " + PLAIN.replace(",", "  ").replace("\n", "  \n  "), ("blanks between columns",)),
        (PLAIN.replace(",", ";").replace(".", ","), ("separator ';'", "decimal comma")),
        (PLAIN.replace(",", "\t").replace(".", ","), ("separator tab", "decimal comma")),
        (lines(*(f'"{x}","{y}"' for x, y in (r.split(",") for r in PLAIN.split()))), ()),
        (lines("a,b", '1990,"1,5"', '1991,"2,5"', '1992,"4,25"'), ("decimal comma",)),
        (lines("a, b ", "1990, 1.5", "1991, 2.5 ", "1992, 4.25 "), ()),
        (lines('a, "b"', '1990, "1.5"', '1991, "2.5"', '1992, "4.25"'), ()),
        ("sep=,\n" + PLAIN, ()),
        ("sep=;\n" + PLAIN.replace(",", ";"), ("separator ';'",)),
        ("# by hand\n#\n" + PLAIN, ()),
        ("#" + PLAIN, ()),
        ("# by hand, twice\n# a,b\n" + PLAIN.partition("\n")[2], ()),
        (PLAIN.replace("1991", "# a note, here\n1991"), ()),
        (PLAIN.replace("\n", ",\n"), ()),
        (PLAIN.replace("a,b\n", "a,b,\n"), ()),
        (PLAIN.replace("\n", ",,\n").replace("a,b,,", "a,b"), ()),
        (lines("a,b", "1990,+1.5", "1991,.25e1", "1992,4.25"), ()),
        (lines("a,b", "1990,$1.5", "1991,$2.5", "1992,$4.25"), ("$ removed",)),
        (lines("a;b", "1990;1,5 %", "1991;2,5 %", "1992;4,25 %"), ("percent signs removed",)),
        (
            lines("a;b", "1990;1,5 \u20ac", "1991;2,5 \u20ac", "1992;4,25 \u20ac"),
            ("\u20ac removed",),
        ),
        (lines("a,b", "1990,1.5*", "1991,2.5", "1992,4.25"), ("marks (* or #) removed",)),
        (PLAIN + "\nby hand, in Melbourne, 1981-1990\n", ("1 line after the data left out",)),
        (PLAIN + "\nSource: hand\n", ("1 line after the data left out",)),
        (PLAIN + ",\n,\n", ()),
        (PLAIN + "Total,8.25\n", ("1 line after the data left out",)),
        (PLAIN.replace("1990", "20d,14n\n1990"), ("1 line before the data left out",)),
        ("# by hand\n# a,b\n#\n" + PLAIN.partition("\n")[2], ()),
        (zipped(file=PLAIN), ()),
        (zipped(file=PLAIN, **{"folder/": "", "__MACOSX/._file": "x"}), ()),
        ("Title of it\n\n" + PLAIN, ("1 line before the data left out",)),
        ("Title\nby hand, twice\n" + PLAIN, ("2 lines before the data left out",)),
        (PLAIN.replace("1990", ",miles\n1990"), ("1 line before the data left out",)),
        (PLAIN + "\x1a", ()),
    ],
)
def test_forms_of_one_table(content, assumed, read):
    series = read(content, "b")
    assert series.values.tolist() == VALUES
    assert dates_of(series) == ["1990", "1991", "1992"]
    assert series.dates.after(2) == ["1993", "1994"]
    assert series.name == "b"
    for phrase in assumed:
        assert any(phrase in said for said in series.assumed), series.assumed
    assert "column 'a' holds the dates (if not: --dates none)" in series.assumed  # 1990 is a number
    if not assumed:
        assert {*series.assumed[1:], *series.assumed[:-1]} <= {
            "column 'a' holds the dates (if not: --dates none)",
            "2 lines before the data left out",
        }
    # With one column of numbers, its name is optional.
    assert read(content).values.tolist() == VALUES


def test_latin_1_is_found_and_can_be_named(read, refused):
    content = "größe;jahr\n1,5;1990\n2,5;1991\n".encode("cp1252")
    series = read(content, "größe")
    assert series.values.tolist() == [1.5, 2.5]
    assert "encoding cp1252 (it is not UTF-8)" in series.assumed
    assert read(content, "größe", encoding="latin-1").values.tolist() == [1.5, 2.5]
    assert "--encoding" in refused(content, "größe", encoding="utf-8")
    assert "--encoding" in refused(content, "größe", encoding="nonsense")
    assert "--encoding" in refused(b"x\n1\n2\n" + b"\x81", "x")


@pytest.mark.parametrize("content", [b"", b"x\n1\n2\n"], ids=["empty", "rows"])
@pytest.mark.parametrize("encoding", ["nonsense", "base64", "undefined"])
def test_an_encoding_that_reads_no_text_is_refused(refused, content, encoding):
    assert refused(content, "x", encoding=encoding).startswith(f"is not {encoding} (")


def test_utf_16_without_a_mark_needs_its_byte_order(read, refused):
    content = "x\n1\n2\n".encode("utf-16-le")
    assert "name its --encoding" in refused(content, "x", encoding="utf-16")
    assert read(content, "x", encoding="utf-16-le").values.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no rows"),
        (b"\n\n", "holds no rows"),
        (b"# only this\n", "holds no rows"),
        (b"value\n", "no rows below the names"),
        (b"date,value\n", "no rows below the names"),
        (b"PK\x03\x04abc", "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1", "Excel"),
        (zipped(one="1", two="2"), "a zip archive of 2 files: one, two (unpack it)"),
        (zipped(**{"[Content_Types].xml": "<a>", "xl/workbook.xml": "<a>"}), "Excel"),
        (zipped(one=PLAIN)[:60], "damaged"),
        (b"\x1f\x8b\x08\x00abc", "damaged"),
        (gzip.compress(PLAIN.encode())[:-9], "damaged"),
        (b"a\n1\n\0\n", "line 3 holds"),
        (b"a\n1\n\x01\n", "line 3 holds"),
        (b"{'a': 1}", "no rows below the names"),
        (b"a,b\nx,y\n", "no column holds numbers"),
    ],
)
def test_what_is_no_table(content, message, refused):
    assert message in refused(content)


# The whole column decides what a number means.


@pytest.mark.parametrize(
    ("values", "expected", "assumed"),
    [
        (["1.234.567", "1.234"], [1234567, 1234], "thousands separator '.'"),
        (["1,234,567", "1,234"], [1234567, 1234], "thousands separator ','"),
        (["1.234,5", "1.234"], [1234.5, 1234], "decimal comma"),
        (["1,234.5", "1,234"], [1234.5, 1234], "thousands separator ','"),
        (["1 234,5", "935,5"], [1234.5, 935.5], "thousands separator blank"),
        (["1\u00a0234", "935"], [1234, 935], "thousands separator blank"),
        (["1'234.5", "935"], [1234.5, 935], "thousands separator"),
        (["12,34,567.5", "1,000"], [1234567.5, 1000], "thousands separator ','"),
        (["1,5", "1,234"], [1.5, 1.234], "decimal comma"),
        (["0,125", "1,234"], [0.125, 1.234], "decimal comma"),
        (["1234,567", "1,234"], [1234.567, 1.234], "decimal comma"),
        (["1.234", "1.235"], [1.234, 1.235], "'.' in '1.234' is the decimal separator"),
        (["1.234", "1.2"], [1.234, 1.2], ""),
        (["-1.5", "\u22122.5"], [-1.5, -2.5], ""),
        (["1e3", "2.5E-3"], [1000, 0.0025], ""),
        (["1,5e3", "2,5"], [1500, 2.5], "decimal comma"),
        (["1,234e0", "2,345e0"], [1.234, 2.345], "decimal comma"),
        (["-$1,234.50", "-$935.00"], [-1234.5, -935], "$ removed"),
        (["1.5", "\u20132.5"], [1.5, -2.5], ""),
        (["1,234.50", "(935.00)"], [1234.5, -935], "'(935.00)' is -935.00"),
        (["$ 1,234.50", "$ (935.00)", "($1.00)"], [1234.5, -935, -1], "'$ (935.00)' is -935.00"),
        (["1.234,50", "935,00-"], [1234.5, -935], "'935,00-' is -935,00"),
        (["CHF 1234.5", "CHF 935.25"], [1234.5, 935.25], "CHF removed"),
        (["1234,5 z\u0142", "935,25 z\u0142"], [1234.5, 935.25], "z\u0142 removed"),
    ],
)
def test_a_column_shows_its_notation(values, expected, assumed, read):
    rows = [f"{2000 + i}\t{value}" for i, value in enumerate(values)]
    series = read(lines("a\tb", *rows), "b")
    assert series.values.tolist() == expected
    assert assumed in ", ".join(series.assumed)


def test_other_columns_tell_a_thousands_dot_from_a_decimal_point(read):
    content = lines('"d","close","change"', '"1990","131.586","-0,43"', '"1991","132.156","1,22"')
    series = read(content, "close")
    assert series.values.tolist() == [131586, 132156]
    assert any("by the other columns" in phrase for phrase in series.assumed)
    series = read(content.replace(",43", ".43").replace(",22", ".22"), "close")
    assert series.values.tolist() == [131.586, 132.156]


@pytest.mark.parametrize("c", [",", "."])
def test_a_number_with_two_readings_is_an_error_that_names_both_options(c, read, refused):
    content = lines("a;b", "1990;935", f"1991;1{c}105", f"1992;1{c}183")
    message = refused(content, "b")
    assert message.startswith(f"line 3 (column 'b') holds '1{c}105' (and '935'): it has")
    assert f"--decimal {c} or --thousands {c}" in message
    assert read(content, "b", thousands=c).values.tolist() == [935, 1105, 1183]
    assert read(content, "b", decimal=c).values.tolist() == [935, 1.105, 1.183]


def test_a_dot_before_three_digits_stays_open_beside_dates_with_dots(read, refused):
    content = lines("Datum,b", *(f"{i:02d}.03.2020,1.{100 + 7 * i}" for i in range(1, 29)))
    assert "--decimal . or --thousands ." in refused(content, "b")
    assert read(content, "b", decimal=".").values[0] == 1.107
    assert read(content.replace(".03.", "/03/").replace(".2020", "/2020"), "b").values[0] == 1.107


@pytest.mark.parametrize(("sep", "c"), [(",", ","), (";", "."), ("\t", ",")])
def test_one_number_with_a_separator_among_long_ones_is_asked_for(sep, c, read, refused):
    content = lines(f"a{sep}b", *(f"{1990 + i}{sep}{1900 + i}" for i in range(9)))
    content += f'1999{sep}"1{c}234"\n'
    assert f"--decimal {c} or --thousands {c}" in refused(content, "b")
    assert read(content, "b", thousands=c).values[-1] == 1234


def test_many_numbers_without_a_fraction_have_thousands(read):
    rows = [f'{1900 + i},"{1000 + 7 * i:,}"' for i in range(40)]
    assert read(lines("a,b", *rows, "1940,35"), "b").values.tolist() == [
        *(1000 + 7 * i for i in range(40)),
        35,
    ]


def fractions(count):
    """Numbers of three digits after the dot, and every tenth one a zero."""
    return ["0" if i % 10 == 3 else f"{12 + i % 5}.{500 + 7 * i}" for i in range(count)]


def fractions_by_year(count):
    return [f"{1900 + i},{value}" for i, value in enumerate(fractions(count))]


@pytest.mark.parametrize("count", [20, 60])
@pytest.mark.parametrize("zero", ["0", "-0", "00"])
def test_zeros_do_not_make_a_dot_a_thousands_separator(count, zero, read):
    values = fractions(count)
    rows = [f"{1900 + i},{zero if v == '0' else v}" for i, v in enumerate(values)]
    series = read(lines("a,b", *rows), "b")
    assert series.values.tolist() == [float(value) for value in values]
    assert "'.' in '12.500' is the decimal separator (if not: --thousands .)" in series.assumed
    # ; goes with decimal commas, and there a zero has no fraction either
    series = read(lines("a;b", *(row.replace(",", ";") for row in fractions_by_year(60))), "b")
    assert series.values[0] == 12500
    commas = [row.partition(",") for row in fractions_by_year(60)]
    series = read(lines("a,b", *(f'{a},"{b.replace(".", ",")}"' for a, _, b in commas)), "b")
    assert series.values[0] == 12500


def test_a_dot_among_commas_is_asked_for_if_short_numbers_have_none(read, refused):
    content = lines("a,b", *fractions_by_year(60), "1960,7")
    message = refused(content, "b")
    assert "'12.500' (and '7'): it has two readings" in message
    assert "--decimal . or --thousands ." in message
    assert read(content, "b", decimal=".").values[[0, -1]].tolist() == [12.5, 7]
    assert read(content, "b", thousands=".").values[[0, -1]].tolist() == [12500, 7]
    assert read(content.replace(",", "\t"), "b").values[[0, -1]].tolist() == [12500, 7]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1.5", "1,5"], "line 3 (column 'b') holds '1,5'"),
        (["1.234.567", "1.5"], "line 2 (column 'b') holds '1.234.567', which does not fit"),
        (["1.5", "two"], "line 3 (column 'b') holds 'two', not a finite number; --na two"),
        (["1.5", "?0.2"], "line 3 (column 'b') holds '?0.2'"),
        (["1.5", "inf"], "line 3 (column 'b') holds 'inf', not a finite number; --na inf"),
        (["1.5", "-Infinity"], "line 3"),
        (["1.5", "1e999"], "line 3"),
        (["1.5", "1_000"], "line 3"),
        (["1.5", "0x10"], "line 3"),
        (["1.5", "\u0663"], "line 3"),
        (["1.5", "37.20M"], "line 3 (column 'b') holds '37.20M'"),
        (["1.5", "1.2.3"], "line 3"),
        (["1.5", "12,34"], "line 3"),
        (["1.5", "- -2"], "line 3"),
        (["1.5", "(2.5"], "line 3"),
        (["1.5", "2.5)"], "line 3"),
        (["1.5", "(-2.5)"], "line 3"),
        (["1.5", "-2.5-"], "line 3"),
        (["1.5", "5%"], "two units"),
        (["$1.5", "2.5"], "two units"),
    ],
)
def test_a_field_that_is_no_number_is_named(values, message, refused):
    rows = [f"{2000 + i};{value}" for i, value in enumerate([*values, "3.5", "4.5", "5.5", "6.5"])]
    assert message in refused(lines("a;b", *rows), "b")


def test_the_last_digit_is_taken(read):
    values = np.random.default_rng(0).normal(size=200) * 10.0 ** np.arange(-100, 100)
    content = lines("b", *map(repr, values.tolist()))
    np.testing.assert_array_equal(read(content, "b").values, values)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["112", "118"], "433"),
        (["1.5", "2.25"], "432.68"),
        (["1.50", "2"], "432.68"),
        (["5.00000E-06", "5.25882E-06"], "432.679"),
    ],
)
def test_a_value_is_written_with_the_digits_of_the_data(values, shown, read):
    series = read(lines("b", *values), "b")
    assert series.format(432.6789) == shown
    assert series.format(-0.0001) != "-0"


# Columns

THREE = lines("d,x,y", "2001-01,1,4", "2001-02,2,9", "2001-03,3,5")


def test_columns_by_name_and_by_position(read, refused):
    assert read(THREE, "x").values.tolist() == [1, 2, 3]
    assert read(THREE, " Y ").values.tolist() == [4, 9, 5]
    assert read(THREE, "3").values.tolist() == [4, 9, 5]
    assert read(THREE, 2).values.tolist() == [1, 2, 3]
    every = "the columns are 'd', 'x', 'y'"
    assert every in refused(THREE, "z")
    assert every in refused(THREE)
    assert "2 columns hold numbers, choose one with --column" in refused(THREE)
    assert "counted from 1" in refused(THREE, "0")
    assert "no column 4" in refused(THREE, "4")
    assert "the only column is 'd:x' (--sep?)" in refused(lines("d:x", "2001-01:1"), "x")
    assert "more than one column 'x'" in refused(THREE.replace("y", "x", 1), "x")
    many = ",".join(f"name{k}" for k in range(60))
    message = refused(lines(many, ",".join("1" * 60)), "other")
    assert all(f"'name{k}'" in message for k in range(60))


def test_a_name_that_is_a_number_goes_before_a_position(read):
    assert read(lines("d;2;1", "2001-01;5;6", "2001-02;7;8"), "1").values.tolist() == [6, 8]


def test_without_a_header_columns_have_numbers(read, refused):
    content = lines("2001-01,1.5,4", "2001-02,2.5,9", "2001-03,3.5,5")
    series = read(content, "2")
    assert (series.values.tolist(), series.name) == ([1.5, 2.5, 3.5], "2")
    assert dates_of(series) == ["2001-01", "2001-02", "2001-03"]
    assert "no header" in series.assumed
    assert "no header; columns 1 to 3 begin with '2001-01', '1.5', '4'" in refused(content)
    assert read(lines("86", "141", "95")).values.tolist() == [86, 141, 95]
    assert read(lines("86", "141", "95"), header=False).values.tolist() == [86, 141, 95]
    words = lines("x,y", "1,4", "2,9")
    assert "line 1 is not a row of the table: 'x,y'" in refused(words, "1", header=False)
    assert read(words, "1", header=False, skip=1).values.tolist() == [1, 2]


def test_names_may_begin_with_a_digit_or_be_dates(read):
    rows = [f"{1974 + i},{i},-999.99,{i}.5" for i in range(9)]
    content = lines("year,ndays,ago,10 years ago", *rows)
    assert read(content, "10 years ago").values.tolist() == [i + 0.5 for i in range(9)]
    rows = [f"{1974 + i};5;{i}" for i in range(9)]
    assert read(lines("Jahr;n;2020-01-31", *rows), "2020-01-31").values.tolist() == [*range(9)]
    rows = [f"{2001 + i // 12};{'Januar' if i % 12 == 0 else 'Juli'};{i},5" for i in (0, 6, 12, 18)]
    series = read(lines("Preise;;", ";;Index", ";;2015=100", *rows), "Index")
    assert (series.values.tolist(), series.name) == ([0.5, 6.5, 12.5, 18.5], "Index")
    assert dates_of(series) == ["2001-01", "2001-07", "2002-01", "2002-07"]
    rows = [f"{2001 + i};{i},5;" for i in range(9)]
    series = read(lines(";W.5490;FLAGS", "Einheit;Mrd EUR;", "Stand;06.11.2023;", *rows), "2")
    assert series.name == "W.5490"


def test_a_comment_of_as_many_words_as_columns_is_no_header(read):
    content = lines("# made by hand", "# x  CO2 in ppm", "1.5 2 7", "2.5 3 8", "3.5 4 9")
    assert read(content, "2").name == "2"
    content = lines("# a b c", "# mm kg s", "1.5 2 7", "2.5 3 8", "3.5 4 9")
    assert read(content, "b").values.tolist() == [2, 3, 4]


def test_a_column_alone_is_the_series_even_if_it_counts(read):
    assert read("5\n6\n").values.tolist() == [5, 6]
    assert read("index\n5\n6\n7\n").values.tolist() == [5, 6, 7]


def test_separators_in_dates_are_none_of_the_table(read):
    days = np.arange("2020-01-01", "2020-02-10", dtype="M8[D]").astype(object)
    content = lines("d;b", *(f"{day:%A, %B %d, %Y};{i}" for i, day in enumerate(days)))
    assert read(content, "b").dates.after(1) == ["2020-02-10"]


def test_a_column_without_a_name_that_counts_is_no_series(read):
    content = lines(",time,value", "0,1990,5", "1,1991,7", "2,1992,6")
    assert read(content).values.tolist() == [5, 7, 6]
    assert dates_of(read(content)) == ["1990", "1991", "1992"]
    written_by_r = lines('"x" "y"', '"1" 5 8', '"2" 7 9', '"3" 6 9')
    assert read(written_by_r, "y").values.tolist() == [8, 9, 9]
    assert read(lines('"x","y"', '"1",5,8', '"2",7,9'), "x").values.tolist() == [5, 7]


def test_a_header_of_another_width_is_an_error_or_no_header(read, refused):
    message = refused(lines("d,v", "2001-01,1,5", "2001-02,2,5"), "v")
    assert message.startswith("line 1 has 2 names, the rows have 3 fields")
    assert "a,b,c" not in message
    series = read(lines("Year Sales in Town", "1990 5", "1991 7", "1992 9"), "2")
    assert series.values.tolist() == [5, 7, 9]


def test_decimal_commas_alone_are_one_column(read):
    assert read(lines("Wert", "1,5", "2,75", "0,5")).values.tolist() == [1.5, 2.75, 0.5]
    series = read(lines("Title", "1990,5", "1991,7", "1992,6"), "2")
    assert series.values.tolist() == [5, 7, 6]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n2001,2\n2002,2,5\n2003,3\n", "line 3 has 3 fields, the others 2: a comma inside"),
        ("a,b,c\n2001,2,1\n2002,2\n2003,3,1\n", "line 3 has 2 fields, the others 3"),
        ("a b c\n2001 2 1\n2002 2\n2003 3 1\n", "line 3 has 2 fields, the others 3: with blanks"),
        ("a,b\n2001,2\nsecond part\n2003,3\n", "line 3 is not a row of the table"),
        ("a,b\n2001,2\na,b\n2003,3\n2004,4\n", "line 3 is not a row of the table: 'a,b'"),
        ("b\n2001\ntwo\n2003\n", "line 3 is not a row of the table: 'two'"),
        ('"a"b\n', "line 1 is not quoted as CSV"),
        ('a,b\n2001,"2\n2002,3\n', "line 2 opens a quote that is never closed"),
        ('a,b\n2001,"2"3\n2002,3\n2003,4\n', "line 2 is not quoted as CSV"),
    ],
)
def test_rows_of_another_form_are_named(content, message, refused):
    assert refused(content, "b").startswith(message)


def test_quoted_fields_may_hold_anything(read):
    content = 'a,"the b, ""really""\nit",c\n2001,"2",x\n2002,"3","y\nz, ""w"""\n2003,4,u\n'
    series = read(content, 'the b, "really" it')
    assert series.values.tolist() == [2, 3, 4]
    assert dates_of(series) == ["2001", "2002", "2003"]


def test_lines_are_those_of_the_file(refused):
    content = '# one\n\na,b,c\n2001,2,"x\ny\nz"\n# two\n2002,?,"x"\n\n2003,5,x\n'
    assert "line 8)" in refused(content, "b")
    assert "line 8)" in refused(gzip.compress(content.encode("utf-16")), "b")


def test_comments_and_skipped_lines_as_told(read):
    content = lines("a,b ! head", "! one", "1990,5 ! five", "1991,7", "1992,9")
    assert read(content, "b", comment="!").values.tolist() == [5, 7, 9]
    content = lines("x,y", "1,2", "a,b", "1990,5", "1991,7")
    assert read(content, "b", skip=2).values.tolist() == [5, 7]


# Missing values


@pytest.mark.parametrize(
    "word",
    ["", " ", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?", ".", "..", "-", "---",
     "***", "#N/A", "<NA>", "n/d", ":", '""'],
)  # fmt: skip
def test_words_for_missing(word, read, refused):
    content = lines("a,b", "2001,1", f"2002,{word}", "2003,3", "2004,5")
    message = refused(content, "b")
    assert message.startswith("column 'b' has 1 missing value (line 3): --missing ignore")
    series = read(content, "b", missing="ignore")
    np.testing.assert_array_equal(series.values, [1, NAN, 3, 5])
    assert dates_of(series) == ["2001", "2002", "2003", "2004"]
    assert "1 missing value inside" in series.assumed


def test_missing_values_at_the_ends_are_cut_off(read):
    content = lines("a,b", "2001,", "2002,2", "2003,", "2004,4", "2005,NA", "2006,")
    series = read(content, "b", missing="ignore")
    np.testing.assert_array_equal(series.values, [2, NAN, 4])
    assert dates_of(series) == ["2002", "2003", "2004"]
    assert series.dates.after(1) == ["2005"]
    assert "3 missing values at the ends cut off" in series.assumed
    assert "1 missing value inside" in series.assumed


def test_a_blank_line_is_a_missing_value_where_nothing_tells_otherwise(read, refused):
    assert "line 3)" in refused("b\n1\n\n3\n\n\n", "b")
    np.testing.assert_array_equal(
        read("b\n1\n\n3\n\n\n", "b", missing="ignore").values, [1, NAN, 3]
    )
    assert "line 3)" in refused("b,c\n1,2\n\n3,4\n", "b")
    series = read(lines("a,b", "2001,1", "", ",", "2002,3", "2003,4"), "b")
    assert series.values.tolist() == [1, 3, 4]
    assert "2 empty rows left out" in series.assumed


def test_the_first_lines_with_missing_values_are_named(refused):
    content = lines("a,b", *(f"{1990 + i},{i if i % 2 else ''}" for i in range(20)))
    assert "10 missing values (lines 2, 4, 6, ...): --missing ignore" in refused(content, "b")
    assert "holds no value" in refused(lines("a,b", "2001,", "2002,"), "b")


def test_numbers_for_missing_only_when_told(read):
    values = ["315.71", "317.45", "-99.99", "317.5", "-99.99", "315.86"]
    content = lines("a b", *(f"{1958 + i}  {value}" for i, value in enumerate(values)))
    series = read(content, "b")
    assert series.values.tolist() == [float(value) for value in values]
    assert "-99.99 2 times: missing? (--na -99.99)" in series.assumed
    for code in ("-99.99", "-99.990"):
        series = read(content, "b", na=[code], missing="ignore")
        assert np.isnan(series.values).tolist() == [False, False, True, False, True, False]
    content = lines("a;b", "2001;2,5", "2002;-200", "2003;x", "2004;1,5")
    series = read(content, "b", na=["-200", "x"], missing="ignore")
    np.testing.assert_array_equal(series.values, [2.5, NAN, NAN, 1.5])


@pytest.mark.parametrize(
    "word", [".", "...", "-.", "+.", "1.2.3", "1..2", "1e", "e5", "-", "\u0663", "--5", "1,2,3"]
)
def test_a_word_for_missing_that_is_no_number_is_compared_as_text(word, read):
    content = lines("a;b", "2001;2.5", f"2002;{word}", "2003;3.5", "2004;1.5")
    series = read(content, "b", na=[word], missing="ignore")
    np.testing.assert_array_equal(series.values, [2.5, NAN, 3.5, 1.5])


@pytest.mark.parametrize(
    ("word", "written", "others"),
    [
        ("-999,0", "-999,00", ["2,5", "3,5", "1,5"]),
        ("-999", "-999,00", ["2,5", "3,5", "1,5"]),
        ("-999.0", "-999,00", ["2,5", "3,5", "1,5"]),
        ("-999,0", "-999", ["25", "35", "15"]),
        ("-9.999,0", "-9999", ["2,5", "1.234,5", "1,5"]),
        ("-9,999", "-9999.0", ["2.5", "1,234.5", "1.5"]),
        ("1E20", "1.0e+20", ["2.5", "3.5", "1.5"]),
        ("+1e20", "1e20", ["2.5", "3.5", "1.5"]),
        (".5", "0.50", ["2.5", "3.5", "1.5"]),
        ("\u2212999", "-999", ["2.5", "3.5", "1.5"]),
    ],
)
def test_a_number_for_missing_is_compared_by_value(word, written, others, read):
    column = [others[0], written, *others[1:]]
    content = lines("a;b", *(f"{2001 + i};{value}" for i, value in enumerate(column)))
    series = read(content, "b", na=[word], missing="ignore")
    assert np.isnan(series.values).tolist() == [False, True, False, False]


# Dates


def dated(dates, sep=";"):
    return lines(f"when{sep}b", *(f"{date}{sep}{i + 0.5}" for i, date in enumerate(dates)))


@pytest.mark.parametrize(
    ("dates", "shown", "after"),
    [
        (["2020-01-30", "2020-01-31", "2020-02-01"], "2020-01-30", ["2020-02-02", "2020-02-03"]),
        (["2020/2/28", "2020/2/29", "2020/3/1"], "2020-02-28", ["2020-03-02", "2020-03-03"]),
        (["19580329", "19580405", "19580412"], "1958-03-29", ["1958-04-19", "1958-04-26"]),
        (["2020-01-01 22:00", "2020-01-01 23:00", "2020-01-02"], "2020-01-01 22:00",
         ["2020-01-02 01:00", "2020-01-02 02:00"]),
        (["2020-01-01T00:00:00", "2020-01-01T00:00:30"], "2020-01-01 00:00:00",
         ["2020-01-01 00:01:00", "2020-01-01 00:01:30"]),
        (["2020-01-01 00:00:00", "2020-01-02 00:00:00"], "2020-01-01",
         ["2020-01-03", "2020-01-04"]),
        (["2020-01-01T23:45Z", "2020-01-02T00:00Z"], "2020-01-01 23:45Z",
         ["2020-01-02 00:15Z", "2020-01-02 00:30Z"]),
        (["2020-03-29 00:00+01:00", "2020-03-29 01:00+01:00", "2020-03-29 03:00+02:00"],
         "2020-03-28 23:00Z", ["2020-03-29 02:00Z", "2020-03-29 03:00Z"]),
        (["1949-01", "1949-02", "1949-03"], "1949-01", ["1949-04", "1949-05"]),
        (["1949/11", "1949/12", "1950/1"], "1949-11", ["1950-02", "1950-03"]),
        (["11/1949", "12/1949", "1/1950"], "1949-11", ["1950-02", "1950-03"]),
        (["194911", "194912", "195001"], "1949-11", ["1950-02", "1950-03"]),
        (["1990M11", "1990M12", "1991M1"], "1990-11", ["1991-02", "1991-03"]),
        (["Nov 1949", "Dec 1949", "Jan 1950"], "1949-11", ["1950-02", "1950-03"]),
        (["Nov-49", "Dec-49", "Jan-50"], "1949-11", ["1950-02", "1950-03"]),
        (["1949 Nov", "1949 Dec", "1950 Jan"], "1949-11", ["1950-02", "1950-03"]),
        (["April 2020", "Mai 2020", "Juni 2020"], "2020-04", ["2020-07", "2020-08"]),
        (["ene 2020", "feb 2020", "mar 2020"], "2020-01", ["2020-04", "2020-05"]),
        (["30-Jan-20", "31-Jan-20", "1-Feb-20"], "2020-01-30", ["2020-02-02", "2020-02-03"]),
        (["Jan 30, 2020", "Jan 31, 2020", "Feb 1, 2020"], "2020-01-30",
         ["2020-02-02", "2020-02-03"]),
        (["30. Januar 2020", "31. Januar 2020"], "2020-01-30", ["2020-02-01", "2020-02-02"]),
        (["Thu, 30 Jan 2020", "Fri, 31 Jan 2020"], "2020-01-30", ["2020-02-01", "2020-02-02"]),
        (["1/31/2020 11:00 PM", "2/1/2020 12:00 AM"], "2020-01-31 23:00",
         ["2020-02-01 01:00", "2020-02-01 02:00"]),
        (["30/01/2020", "31/01/2020", "01/02/2020"], "2020-01-30", ["2020-02-02", "2020-02-03"]),
        (["01/30/2020", "01/31/2020", "02/01/2020"], "2020-01-30", ["2020-02-02", "2020-02-03"]),
        (["30.01.20", "31.01.20", "01.02.20"], "2020-01-30", ["2020-02-02", "2020-02-03"]),
        (["01.02.2010", "01.03.2010", "01.04.2010"], "2010-02-01", ["2010-05-01", "2010-06-01"]),
        (["1990Q3", "1990Q4", "1991Q1"], "1990Q3", ["1991Q2", "1991Q3"]),
        (["Q3 1990", "Q4 1990", "Q1 1991"], "1990Q3", ["1991Q2", "1991Q3"]),
        (["1990:3", "1990:4", "1991:1", "1991:2", "1991:3", "1991:4"], "1990Q3",
         ["1992Q1", "1992Q2"]),
        (["1990H2", "1991H1", "1991H2"], "1990H2", ["1992H1", "1992H2"]),
        (["1990-S2", "1991-S1", "1991-S2"], "1990H2", ["1992H1", "1992H2"]),
        (["2020-W52", "2020-W53", "2021-W01"], "2020-W52", ["2021-W02", "2021-W03"]),
        (["2020-W52-1", "2020-W53-1", "2021-W01-1"], "2020-W52", ["2021-W02", "2021-W03"]),
        (["W52 2020", "W53 2020", "W1 2021"], "2020-W52", ["2021-W02", "2021-W03"]),
        (["KW 52/2020", "KW 53/2020", "KW 01/2021"], "2020-W52", ["2021-W02", "2021-W03"]),
        (["maj 2020", "juni 2020", "juli 2020"], "2020-05", ["2020-08", "2020-09"]),
        (["30jan2020", "31jan2020", "01feb2020"], "2020-01-30", ["2020-02-02", "2020-02-03"]),
        (["2020-01-31T22", "2020-01-31T23", "2020-02-01T00"], "2020-01-31 22:00",
         ["2020-02-01 01:00", "2020-02-01 02:00"]),
        (["31/01/2020 10 PM", "31/01/2020 11 PM", "01/02/2020 12 AM"], "2020-01-31 22:00",
         ["2020-02-01 01:00", "2020-02-01 02:00"]),
        (["31/01/2020 11:00:00 p. m.", "01/02/2020 12:00:00 a.\u00a0m."], "2020-01-31 23:00",
         ["2020-02-01 01:00", "2020-02-01 02:00"]),
        (["31/Jan/2020:23:00:00 +0000", "01/Feb/2020:00:00:00 +0000"], "2020-01-31 23:00+0000",
         ["2020-02-01 01:00+0000", "2020-02-01 02:00+0000"]),
        (["20200131:2310", "20200201:0010"], "2020-01-31 23:10",
         ["2020-02-01 01:10", "2020-02-01 02:10"]),
        (["31.01.2020 23:00 - 01.02.2020 00:00", "01.02.2020 00:00 - 01.02.2020 01:00"],
         "2020-01-31 23:00", ["2020-02-01 01:00", "2020-02-01 02:00"]),
        (["2020-01-26 - 2020-02-01", "2020-02-02 - 2020-02-08"], "2020-01-26",
         ["2020-02-09", "2020-02-16"]),
        (["2020-03-05 00:00:00-05:00", "2020-03-06 00:00:00-05:00", "2020-03-09 00:00:00-04:00",
          "2020-03-10 00:00:00-04:00", "2020-03-11 00:00:00-04:00", "2020-03-12 00:00:00-04:00",
          "2020-03-13 00:00:00-04:00", "2020-03-16 00:00:00-04:00", "2020-03-17 00:00:00-04:00",
          "2020-03-18 00:00:00-04:00", "2020-03-19 00:00:00-04:00", "2020-03-20 00:00:00-04:00"],
         "2020-03-05", ["2020-03-23", "2020-03-24"]),
        (["1700", "1701", "1702"], "1700", ["1703", "1704"]),
        (["1700.0", "1701.0", "1702.0"], "1700", ["1703", "1704"]),
        (["2004-05", "2005-06", "2006-07"], "2004", ["2007", "2008"]),
        (["1-11", "1-12", "2-01", "2-02"], "1-11", ["2-03", "2-04"]),
        (["1958.208", "1958.292", "1958.375", "1958.458"], "1958.208", ["1958.541", "1958.625"]),
        (["1871.08", "1871.09", "1871.1", "1871.11"], "1871-08", ["1871-12", "1872-01"]),
        (["2020-01-31", "2020-02-29", "2020-03-31"], "2020-01-31", ["2020-04-30", "2020-05-31"]),
        (["2020-11-30", "2020-12-31", "2021-01-31"], "2020-11-30", ["2021-02-28", "2021-03-31"]),
        (["2020-01-31", "2020-02-28", "2020-03-31"], "2020-01-31", ["2020-04-30", "2020-05-29"]),
        (["2020-03-31", "2020-06-30", "2020-09-30"], "2020-03-31", ["2020-12-31", "2021-03-31"]),
        (["2019-01-01", "2020-01-01", "2021-01-01"], "2019-01-01", ["2022-01-01", "2023-01-01"]),
        (["2019-12-31", "2020-12-31", "2021-12-31"], "2019-12-31", ["2022-12-31", "2023-12-31"]),
    ],
)  # fmt: skip
def test_dates_are_read_and_continued(dates, shown, after, read):
    series = read(dated(dates), "b")
    assert series.dates.name == "when"
    assert series.values.tolist() == [i + 0.5 for i in range(len(dates))]
    assert series.dates.text(0) == shown
    assert series.dates.after(2) == after


def parts(form, count, years=8):
    """Parts of years in turn, beginning with the second one."""
    return [form.format(y=2000 + i // count, p=i % count + 1) for i in range(1, years * count)]


@pytest.mark.parametrize("form", ["{y}-{p}", "{y}-{p:02d}", "{p}/{y}", "{p:02d}/{y}", "{y}/{p}",
                                  "{y}{p:02d}", "{y}.{p}", "{y}.{p:02d}"])  # fmt: skip
@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    ("count", "step", "season"), [(4, "quarterly", 4), (2, "every 6 months", 2)]
)
def test_a_part_that_stays_below_five_is_a_quarter_or_half_year(
    form, turn, count, step, season, read
):
    dates = parts(form, count)
    series = read(dated(dates[::turn]), "b")
    assert dates_of(series) == dates
    assert series.dates.after(3) == parts(form, count, 10)[len(dates) :][:3]
    assert f"({step})" in series.describe()
    assert series.season == season
    what = {4: "quarter", 2: "half-year"}[count]
    assert f"the number in {dates[::turn][0]!r} is the {what}" in series.assumed
    assert not any("missing" in said for said in series.assumed)


def test_a_colon_before_the_part_of_the_year_is_read_without_a_note(read):
    for count, after in ((4, ["2008Q1", "2008Q2"]), (2, ["2008H1", "2008H2"])):
        series = read(dated(parts("{y}:{p}", count)), "b")
        assert series.dates.after(2) == after
        assert series.assumed == ("separator ';'",)


@pytest.mark.parametrize("name", ["Quarter", "qtr", "QTR", "trimestre"])
def test_the_name_of_a_column_says_that_it_holds_quarters(name, read):
    dates = ["2000-1", "2000-2", "2000-4", "2001-1", "2001-3"]
    content = dated(dates).replace("when", name)
    series = read(content, "b")
    assert series.dates.after(2) == ["2001-4", "2002-1"]
    assert any("2 dates missing in 2 gaps" in said for said in series.assumed)
    months = ["2000-01", "2000-04", "2000-07", "2000-10", "2001-01"]
    assert read(dated(months).replace("when", name), "b").dates.after(1) == ["2001-04"]


@pytest.mark.parametrize(
    ("dates", "after"),
    [
        (["2000-1", "2000-2", "2000-3", "2000-4"], "2000-05"),
        (["2000-01", "2000-02", "2001-01", "2001-02"], "2001-03"),
        ([f"{y}-0{m}" for y in range(2000, 2006) for m in (2, 3, 4)], "2005-05"),
        ([f"{y}-01" for y in range(2000, 2006)], "2006-01"),
        (["2001-02", "2002-03", "2003-04"], "2004"),
        (parts("{y}M{p}", 4), "2007-05"),
        (parts("{y}-{p}-01", 4), "2007-05-01"),
    ],
)
def test_other_months_below_five_are_months(dates, after, read):
    assert read(dated(dates), "b").dates.after(1) == [after]


@pytest.mark.parametrize(
    ("dates", "season"),
    [
        ([f"{2001 + i // 12}-{i % 12 + 1:02d}" for i in range(24)], 12),
        (["2020-01-31", "2020-02-29", "2020-03-31"], 12),
        (["1990Q3", "1990Q4", "1991Q1"], 4),
        (["2020-01-30", "2020-01-31", "2020-02-01"], 7),
        (["2020-01-01", "2020-01-08", "2020-01-15"], 52),
        ([str(day) for day in np.busday_offset("2024-01-01", range(24))], 5),
        ([f"2020-01-01 {i:02d}:00" for i in range(24)], 24),
        (["2020-01-01 00:00", "2020-01-01 00:30", "2020-01-01 01:00"], 48),
        (["1990", "1991", "1992"], None),
        (["2020-01-01", "2020-01-04", "2020-02-11", "2020-05-30"], None),
        (["0.5", "1.0", "1.5"], None),
    ],
)
def test_the_season_is_that_of_the_step(dates, season, read):
    assert read(dated(dates), "b").season == season


def test_one_is_no_plural(read):
    assert read(dated(["2020-01-01"]), "b").describe().startswith("1 value of 'b'")
    series = read(dated([f"2020-01-01 00:0{i}" for i in range(3)]), "b")
    assert series.describe().endswith("(every minute)")


def test_the_time_axis_of_a_picture_goes_on(read):
    axis = read(dated(["2020-01-31", "2020-02-29", "2020-03-31"]), "b").dates.axis(2)
    expected = ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30", "2020-05-31"]
    assert axis.astype("M8[D]").astype(str).tolist() == expected
    assert read(dated(["1", "3", "5"]), "b").dates.axis(2).tolist() == [1, 3, 5, 7, 9]
    assert read(lines("b", "5", "6", "8")).dates.axis(2).tolist() == [1, 2, 3, 4, 5]
    irregular = read(dated(["2020-01-01", "2020-01-04", "2020-02-11", "2020-05-30"]), "b").dates
    assert irregular.axis(2).tolist() == [1, 2, 3, 4, 5, 6]
    assert irregular.axis().dtype.kind == "M"


def test_a_series_of_pandas_has_the_name_and_the_values(read):
    series = read(lines("a,b", "2001,1", "2002,", "2003,3"), "b", missing="ignore").to_pandas()
    assert series.name == "b"
    np.testing.assert_array_equal(series.to_numpy(), [1, NAN, 3])


def test_business_days_go_on_after_the_weekend(read):
    days = np.arange("2024-01-01", "2024-02-03", dtype="M8[D]")
    days = days[np.is_busday(days)]
    series = read(dated(days), "b")
    assert series.dates.after(3) == ["2024-02-05", "2024-02-06", "2024-02-07"]
    assert "business days" in series.describe()
    assert not any("gap" in phrase for phrase in series.assumed)
    series = read(dated(np.delete(days, 7)), "b")
    assert any("1 date missing in 1 gap" in phrase for phrase in series.assumed)
    without_sundays = np.arange("2024-01-01", "2024-02-04", dtype="M8[D]")
    without_sundays = without_sundays[np.is_busday(without_sundays, weekmask="1111110")]
    assert read(dated(without_sundays), "b").dates.after(1) == ["2024-02-05"]


def test_day_and_month_are_told_apart_by_the_whole_column_or_not_at_all(read, refused):
    monthly = [f"{m:02d}/01/{y}" for y in (2010, 2011) for m in range(1, 13)]
    series = read(dated(monthly), "b")
    assert series.dates.after(1) == ["2012-01-01"]
    assert "dates month/day/year" in series.assumed
    series = read(dated([f"01/{m:02d}/{y}" for y in (2010, 2011) for m in range(1, 13)]), "b")
    assert series.dates.after(1) == ["2012-01-01"]
    assert "dates day/month/year" in series.assumed
    year = dated(monthly[:12])
    message = refused(year, "b")
    assert message.startswith("line 2 (column 'when') holds '01/01/2010'")
    assert "--dayfirst or --no-dayfirst" in message
    assert read(year, "b", dayfirst=False).dates.after(1) == ["2011-01-01"]
    assert read(year, "b", dayfirst=True).dates.after(1) == ["2010-01-13"]
    assert "line 3" in refused(dated(["31/01/2020", "01/31/2020"]), "b")


def test_two_digits_are_a_year_up_to_next_year(read):
    series = read(dated([f"{m}-{y}" for y in (68, 69) for m in ("Jan", "Jul")]), "b")
    assert dates_of(series) == ["1968-01", "1968-07", "1969-01", "1969-07"]
    assert "years of two digits from 1968 to 1969" in series.assumed
    series = read(dated([f"{d}/7/20" for d in range(1, 32)] + ["1/8/20"]), "b")
    assert series.dates.after(1) == ["2020-08-02"]


def test_date_and_time_in_two_columns(read):
    content = lines(
        "Date;Time;b;c",
        *(f"{10 + i // 24:02d}/03/2004;{i % 24:02d}.00.00;{i},5;2" for i in range(30)),
    )
    series = read(content, "b")
    assert series.values[:2].tolist() == [0.5, 1.5]
    assert series.dates.text(29) == "2004-03-11 05:00"
    assert series.dates.after(1) == ["2004-03-11 06:00"]
    content = lines("Date,b,Hour", *(f"{1 + i // 24:02d}/12/2017,{i},{i % 24}" for i in range(480)))
    assert read(content, "b").dates.after(1) == ["2017-12-21 00:00"]
    ending = lines("Date,b,Hour", *(f"2017-12-0{1 + i // 24},{i},{i % 24 + 1}" for i in range(48)))
    assert read(ending, "b").dates.after(1) == ["2017-12-03 01:00"]


@pytest.mark.parametrize(
    ("content", "column", "last", "after"),
    [
        (lines("year,month,b", *(f"{1949 + i // 12},{i % 12 + 1},{i}" for i in range(30))), "b",
         "1951-06", "1951-07"),
        (lines("year,month,b", *(f"{1949 + i},{m},{i}" for i in range(2) for m in
         ("January", "February", "March"))), "b", "1950-03", "1950-04"),
        (lines(*(f"{1749 + i // 12};{i % 12 + 1:02d};{1749 + (i + 0.5) / 12:.3f}; {i};-1"
                 for i in range(30))), "4", "1751-06", "1751-07"),
        (lines("Year,Week,b", *(f"{2020 + i // 53},{i % 53 + 1},{i}" for i in range(60))), "b",
         "2021-W07", "2021-W08"),
        (lines("year,quarter,b", *(f"{1959 + i // 4}.0,{i % 4 + 1}.0,{i}" for i in range(10))), "b",
         "1961Q2", "1961Q3"),
        (lines("Series,Year,Period,b", *(f"LNS,{2000 + i // 12},M{i % 12 + 1:02d},{i}"
                 for i in range(30))), "b", "2002-06", "2002-07"),
        (lines("Series,Year,Period,b", *(f"CIU,{2000 + i // 4},Q{i % 4 + 1:02d},{i}"
                 for i in range(30))), "b", "2007Q2", "2007Q3"),
        (lines("YEAR,DOY,b", *(f"{2020 + i // 366},{i % 366 + 1},{i}" for i in range(400))), "b",
         "2021-02-03", "2021-02-04"),
        (lines("Year,Month,Day,Hour,Minute,b", *(f"2020,1,31,{22 + i // 2},{i % 2 * 30},{i}"
                 for i in range(4))), "b", "2020-01-31 23:30", "2020-02-01 00:00"),
        (lines("#YY MM DD hh mm b", "#yr mo dy hr mn m", *(f"2020 01 31 {i // 6:02d} {i % 6}0 {i}"
                 for i in range(30))), "b", "2020-01-31 04:50", "2020-01-31 05:00"),
        (lines("No,year,month,day,hour,b", *(f"{i + 1},2010,1,{2 + i // 24},{i % 24},{i}"
                 for i in range(50))), "b", "2010-01-04 01:00", "2010-01-04 02:00"),
        (lines("yyyy  mm  b", "     degC  x", *(f"{1949 + i // 12}  {i % 12 + 1}  {i}"
                 for i in range(30))), "b", "1951-06", "1951-07"),
    ],
)  # fmt: skip
def test_dates_from_several_columns(content, column, last, after, read):
    series = read(content, column)
    assert series.dates.text(len(series.values) - 1) == last
    assert series.dates.after(1) == [after]


def test_plain_numbers_go_on_and_rows_without_dates_are_counted(read):
    assert read(lines("t,b", "0.0,5", "0.5,6", "1.0,8"), "b").dates.after(2) == ["1.5", "2.0"]
    assert read(lines("t,b", "0.1,5", "0.2,6", "0.4,8"), "b").dates.after(1) == ["0.5"]
    assert read(lines("t,b", "10,5", "20,6", "31,8"), "b").dates.after(1) == ["4"]
    assert read(lines("x,b", "10,5", "20,6", "30,8"), "b").dates.after(2) == ["40", "50"]
    assert read(lines("timestamp,b", "1577836800,5", "1577836860,6"), "b").dates.after(1) == [
        "1577836920"
    ]
    series = read(lines("b", "5", "6", "8"))
    assert (series.dates.name, series.dates.after(2)) == ("row", ["4", "5"])
    series = read(lines("a,b", "0.5,5", "-0.5,6", "0.7,8"), "b")
    assert series.dates.name == "row"
    series = read(lines("temp,b", "20,5", "21,6", "20,8"), "b")
    assert series.dates.name == "row"


def waves(count):
    """Values that rise and fall."""
    return [f"{100 + 30 * np.sin(i / 3):.1f}" for i in range(count)]


def sums(count):
    """Values that rise in steps of many sizes."""
    return [f"{100 + 3 * i + np.sin(7 * i):.2f}" for i in range(count)]


CYCLES = {
    "lap": [str(i + 1) for i in range(40)],
    "depth": [f"{i / 2}" for i in range(40)],
    "year2": [str(1960 + i) for i in range(40)],
    "month": [str(i % 12 + 1) for i in range(40)],
    "Month": [f"{datetime.date(2001, i % 12 + 1, 1):%b}" for i in range(40)],
    "hour": [str(i % 24) for i in range(40)],
    "minute": [str(i % 4 * 15) for i in range(40)],
}


@pytest.mark.parametrize("name", ["time", "Times", "data", "T", "period", "step"])
@pytest.mark.parametrize("made", [waves, sums])
@pytest.mark.parametrize("beside", CYCLES)
def test_a_name_of_times_makes_no_axis_of_the_only_values(name, made, beside, read):
    values = made(40)
    rows = zip(CYCLES[beside], values, strict=True)
    series = read(lines(f"{beside},{name}", *(",".join(row) for row in rows)))
    assert series.name == name
    assert series.values.tolist() == [float(value) for value in values]
    assert series.dates.name == (beside if beside in ("lap", "depth", "year2") else "row")


def test_a_name_of_times_makes_an_axis_of_numbers_that_rise(read, refused):
    at, y = ["0.5", "1.0", "1.5", "2.5"], ["5", "7", "3", "4"]
    for times in (at, at[::-1], [t.replace(".", ",") for t in at], ["0.1", "0.25", "1.7", "9.3"]):
        series = read(lines("y;t", *(";".join(row) for row in zip(y, times, strict=True))))
        assert (series.name, series.dates.name) == ("y", "t")
    assert "--sort" in refused(lines("t,y", "3,1", "1,2", "2,5", "4,3"))
    rows = [f"{k},{t},{t * t}.5" for k in "AB" for t in range(4)]
    assert "2 series, by column 'who'" in refused(lines("who,t,y", *rows))
    # the time in seconds, and a temperature
    series = read(lines("T,t", *(f"{value},{i}" for i, value in enumerate(waves(9)))))
    assert (series.dates.name, series.values[0]) == ("t", 100)


def test_times_that_are_plain_numbers_stay_an_axis(read, refused):
    seconds = ["0.13", "1.02", "2.51", "2.77", "4.00", "9.35"]
    y = waves(6)
    content = lines(
        ",time,y", *(f"{i},{t},{v}" for i, (t, v) in enumerate(zip(seconds, y, strict=True)))
    )
    assert (read(content).name, read(content).dates.name) == ("y", "time")
    # an hour in days, rounded to four digits, beside a number of the row
    hours = [f"{730000 + i / 24:.4f}" for i in range(30)]
    content = lines(
        "n,time,y", *(f"{i},{t},{v}" for i, (t, v) in enumerate(zip(hours, waves(30), strict=True)))
    )
    assert read(content, "y").dates.after(1) == ["730001.2500"]
    shuffled = lines("time,y", *(f"{seconds[i]},{y[i]}" for i in (3, 0, 5, 1, 4, 2)))
    series = read(shuffled, "y")
    assert series.dates.name == "row"
    said = "column 'time' is not in order and not taken for dates (if not: --dates time)"
    assert said in series.assumed
    for options in ({"sort": True}, {"sort": True, "dates": "time"}):
        series = read(shuffled, "y", **options)
        assert series.values.tolist() == [float(value) for value in y]
    for name in ("date", "timestamp", "Datum"):
        assert "--sort" in refused(shuffled.replace("time", name))


def test_of_two_columns_that_may_be_the_values_one_is_to_be_chosen(read, refused):
    rows = zip(waves(40), waves(80)[40:], strict=True)
    content = lines("speed,step", *(",".join(row) for row in rows))
    message = refused(content)
    assert "2 columns hold numbers, choose one with --column" in message
    assert "--dates" in message
    assert read(content, "speed").dates.name == "row"
    content = lines("time,count", *(f"{value},{i + 1}" for i, value in enumerate(sums(40))))
    assert "choose one with --column" in refused(content)
    assert read(content, "count").dates.name == "time"
    assert read(content, dates="time").name == "count"


def test_dates_without_a_regular_step_are_reported(read):
    series = read(dated(["2020-01-01", "2020-01-04", "2020-02-11", "2020-05-30"]), "b")
    assert series.dates.after(2) == ["5", "6"]
    assert any("no regular step" in phrase for phrase in series.assumed)


@pytest.mark.parametrize(
    ("dates", "line"),
    [
        (["2020-01-30", "2020-01-31", "2020-02-30"], 4),
        (["2020-01-30", "2020-01-31", "2020-13-01"], 4),
        (["2020-01-30", "2020-01-31", "yesterday 2"], 4),
        (["2020-01-30", "", "2020-02-01"], 3),
        (["2020-01-30", "2020-01", "2020-02-01"], 3),
        (["2020-01-30 10:00", "2020-01-30 25:00", "2020-01-31 10:00"], 3),
        (["Jan 2020", "Feb 2020", "Foo 2020"], 4),
        (["1990", "1991", "19922"], 4),
    ],
)
def test_what_is_no_date_is_named(dates, line, refused):
    tail = {4: [str(1993 + i) for i in range(30)], 8: [f"Mar {2021 + i}" for i in range(30)]}
    dates = [*dates, *tail.get(len(dates[0]), [f"{2021 + i}-05-01" for i in range(30)])]
    message = refused(dated(dates), "b")
    assert message.startswith(f"line {line} ")
    assert "--dates none" in message


def test_text_that_may_be_dates_is_an_error(read, refused):
    content = dated(["2e trim. 90", "3e trim. 90", "4e trim. 90", "1e trim. 91"])
    message = refused(content, "b")
    assert "column 'when' may hold dates" in message
    assert "--dates none" in message
    assert read(content, "b", dates="none").values.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert read(lines("n,b", "x,1", "y,2"), "b").values.tolist() == [1, 2]


@pytest.mark.parametrize("name", ["when", "x", "b2", ""])
def test_eight_digits_are_dates_in_any_column_and_any_order(name, read, refused):
    days = ["20191230", "20191231", "20200101", "20200103"]
    content = lines(f"b,{name},c", *(f"{i + 0.5},{day},7" for i, day in enumerate(days)))
    series = read(content, "b")
    assert dates_of(series) == ["2019-12-30", "2019-12-31", "2020-01-01", "2020-01-03"]
    assert any("1 date missing" in phrase for phrase in series.assumed)
    assert any("holds the dates" in phrase for phrase in series.assumed)
    out_of_order = lines("when,b", *(f"{days[i]},{i}" for i in (3, 1, 2, 0)))
    assert "--sort" in refused(out_of_order, "b")
    for number in ("20191301", "20190001", "20190100", "20190132", "99990101", "2019010"):
        numbers = lines("b,c", f"0.5,{number}", "1.5,20200101", "2.5,20210101")
        assert read(numbers, "b").dates.name == "row"


def test_numbers_with_four_decimals_are_no_months(read):
    rates = [f"{1 + k}.{1700 + 5 * i:04d}" for k in (0, 1) for i in range(20)]
    expected = [float(rate) for rate in rates]
    assert read(lines("EURUSD", *rates)).values.tolist() == expected
    both = lines("usd,gbp", *(f"{rate},{i * i}" for i, rate in enumerate(rates)))
    assert read(both, "gbp").dates.name == "row"
    days = np.arange("2020-01-01", "2020-02-10", dtype="M8[D]")
    content = lines("Date,EURUSD", *(f"{d},{r}" for d, r in zip(days, rates, strict=True)))
    assert read(content).values.tolist() == expected
    months = lines("d;b", *(f"{i % 12 + 1:02d}.{2001 + i // 12};{i}" for i in range(30)))
    assert read(months).dates.after(1) == ["2003-07"]


@pytest.mark.parametrize(
    ("dates", "after"),
    [
        (["30012020", "31012020", "1022020"], "2020-02-02"),
        (["01302020", "01312020", "02012020"], "2020-02-02"),
        (["2019364", "2019365", "2020001"], "2020-01-02"),
    ],
)
def test_digits_under_a_name_of_times_are_days(dates, after, read):
    content = lines("date,b", *(f"{date},{i}" for i, date in enumerate(dates)))
    assert read(content, "b").dates.after(1) == [after]


def test_days_of_a_month_are_no_years_of_two_digits(read, refused):
    message = refused(dated([f"Jan {d:02d}" for d in range(1, 28)]), "b")
    assert "'Jan 01'" in message
    assert "--dates none" in message
    days = np.arange("2020-01-01", "2020-03-01", dtype="M8[D]").astype(object)
    assert "'Jan 01'" in refused(dated([f"{day:%b %d}" for day in days]), "b")
    assert read(dated(["Jan-18", "Jul-18", "Jan-19"]), "b").dates.after(1) == ["2019-07"]


@pytest.mark.parametrize("form", ["%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S"])
def test_digits_with_a_time_are_dates_in_any_column(form, read):
    hours = [datetime.datetime(2020, 1, 30, 20) + datetime.timedelta(hours=i) for i in range(30)]
    content = lines(
        "station;when;b", *(f"433;{t.strftime(form)};{i}.5" for i, t in enumerate(hours))
    )
    series = read(content, "b")
    assert series.dates.text(29) == "2020-02-01 01:00"
    assert series.dates.after(1) == ["2020-02-01 02:00"]


def test_a_sum_under_labels_that_are_no_dates_is_left_out(read):
    months = ["January", "February", "March", "April"]
    rows = [f"{month},{i}.5" for i, month in enumerate(months)]
    for word in ("Total", "SUM", "Grand Total", "Gesamt:", "Average"):
        series = read(lines("Month,b", *rows, f"{word},9.0"), "b")
        assert series.values.tolist() == [0.5, 1.5, 2.5, 3.5]
        assert "1 line after the data left out" in series.assumed
    assert len(read(lines("Place,b", "Total,1", "Totnes,2", "Toledo,3"), "b").values) == 3


def test_the_label_that_is_no_date_is_the_one_shown(refused):
    rows = [r for y in (2000, 2001) for r in (*(f"{y}-{m},1" for m in range(10, 13)), f"Sum {y},3")]
    assert "'Sum 2000' has no known form" in refused(lines("Month,b", *rows), "b")


def test_a_column_named_like_dates_without_dates_is_reported(read):
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"]
    content = lines("Month,b", *(f"{month},{i}" for i, month in enumerate(months * 2)))
    assert read(content, "b").assumed == (
        "column 'Month' holds no dates: the rows keep their order",
    )
    assert read(content, "b", dates="none").assumed == ()


@pytest.mark.parametrize("code", ["-9999", "-999.9", "99999", "-99.99"])
@pytest.mark.parametrize(("count", "times"), [(1, "once"), (2, "2 times")])
def test_a_number_that_may_mean_missing_is_reported(code, count, times, read):
    values = ["20.5", "21.25", "19.75", "20.0", "22.5", *[code] * count]
    series = read(lines("b", *values), "b")
    assert any(f"{times}: missing? (--na {code}" in said for said in series.assumed)
    assert not any("missing?" in said for said in read(lines("b", *values[:5]), "b").assumed)


WIDE = [str(60 + 2880 * i * i // 2500) for i in range(50)]


@pytest.mark.parametrize("code", ["-999", "-99", "-9", "-200"])
def test_a_repeated_code_that_is_the_only_negative_number_is_reported(code, read):
    series = read(lines("b", *WIDE[:9], code, *WIDE[9:], code, "70"))
    assert f"{code} 2 times: missing? (--na {code})" in series.assumed
    assert series.values[9] == float(code)
    for more in ([code], [code, code, "-5"], ["-50", "-50"]):
        series = read(lines("b", *WIDE, *more, "70"))
        assert not any("missing?" in said for said in series.assumed)


@pytest.mark.parametrize("code", ["1e+20", "9.96921e+36", "-1e+30", "1e20"])
def test_a_number_out_of_all_proportion_is_reported(code, read):
    series = read(lines("b", *WIDE, code, "70"))
    assert any("once: missing? (--na " in said for said in series.assumed)
    growing = [f"1e{i}" for i in range(0, 40, 4)]
    assert read(lines("b", *growing)).assumed == ()


def test_a_code_inside_the_range_is_reported_if_nothing_else_comes_as_often(read):
    loads = [str(372 + 300 * i) for i in range(90)]
    said = "9999 3 times: missing? (--na 9999)"
    assert said in read(lines("b", *loads[:40], *["9999"] * 3, *loads[40:])).assumed
    assert read(lines("b", *loads[:40], "9999", "9999", *loads[40:])).assumed == ()
    assert read(lines("b", *loads, *loads, *["9999"] * 3, "372")).assumed == ()
    assert read(lines("b", *loads, *["9998"] * 5, "372")).assumed == ()


def test_years_out_of_order_may_be_values_and_are_reported(read, refused):
    content = lines("when,b", "1990,1", "1992,3", "1991,2", "1993,4")
    series = read(content, "b")
    assert series.dates.name == "row"
    said = "column 'when' is not in order and not taken for dates (if not: --dates when)"
    assert said in series.assumed
    assert "--sort" in refused(content, "b", dates="when")
    assert read(content, "b", dates="when", sort=True).values.tolist() == [1, 2, 3, 4]
    assert read(content, "b", dates="none").assumed == ()


def test_the_date_column_can_be_named(read):
    content = lines("made,when,b", *(f"2020-01-0{9 - i},2021-01-0{i + 1},{i}" for i in range(5)))
    assert read(content, "b").dates.after(1) == ["2020-01-10"]  # reversed, from the first row
    series = read(content, "b", dates="when")
    assert series.dates.after(1) == ["2021-01-06"]
    assert series.values.tolist() == [0, 1, 2, 3, 4]


def test_of_several_date_columns_the_one_that_tells_most_is_taken(read, refused):
    rows = [
        f"11/02/24 23:00:00,2020-01-{1 + i // 24:02d},2020-01-{1 + i // 24:02d}T{i % 24:02d}:00,{i}"
        for i in range(60)
    ]
    for head in ("updated,day,when,b", "LAST UPDATE,Date,Time,b"):
        assert read(lines(head, *rows), "b").dates.after(1) == ["2020-01-03 12:00"]
    # A name goes before the number of times, which several series repeat.
    rows = [f"{k},2020-01-{d:02d},2020-02-{d:02d} 00:0{k},{d}" for k in "12" for d in range(1, 20)]
    content = lines("unique_id,ds,updated,y", *rows)
    assert "2 series, by column 'unique_id'" in refused(content, "y")
    series = read(content, "y", id="unique_id", series="2")
    assert series.dates.after(1) == ["2020-01-20"]


def test_days_and_months_of_two_notations_are_an_error(refused):
    days = np.arange("2020-01-01", "2020-03-01", dtype="M8[D]").astype(object)
    mangled = [f"{d:%m/%d/%Y}" if d.day <= 12 else f"{d:%d-%m-%Y}" for d in days]
    message = refused(dated(mangled), "b")
    assert message.startswith("line 14 (column 'when') holds '13-01-2020'")
    assert "no date like '01/01/2020'" in message


# Order


def test_newest_first_is_reversed_and_reported(read):
    for dates in (
        ["2021-04-30", "2021-04-23", "2021-04-16"],
        ["04/30/2021", "04/23/2021", "04/16/2021"],
        ["1992", "1991", "1990"],
    ):
        series = read(dated(dates), "b")
        assert series.values.tolist() == [2.5, 1.5, 0.5]
        assert "newest first by 'when': reversed" in series.assumed
        assert series.dates.after(1)[0] in ("2021-05-07", "1993")
    series = read(lines(",b", "2,5", "1,6", "0,7"), "b")
    assert series.values.tolist() == [7, 6, 5]


def test_times_out_of_order_are_an_error_and_can_be_sorted(read, refused):
    content = dated(["2020-01-01", "2020-01-03", "2020-01-02", "2020-01-04"])
    message = refused(content, "b")
    assert message.startswith("line 4 holds 2020-01-02 after 2020-01-03 (line 3): --sort")
    series = read(content, "b", sort=True)
    assert series.values.tolist() == [0.5, 2.5, 1.5, 3.5]
    assert "sorted by 'when'" in series.assumed
    shuffled = lines(",b", "5,50", "3,30", "4,40", "9,90")
    assert "--sort" in refused(shuffled, "b")
    assert read(shuffled, "b", sort=True).values.tolist() == [30, 40, 50, 90]
    assert "--sort needs dates" in refused(lines("b", "1", "2"), "b", sort=True)


def test_equal_times_are_an_error_and_rare_ones_a_mean_when_sorted(read, refused):
    hours = [f"2020-10-{1 + i // 24:02d} {i % 24:02d}:00" for i in range(60)]
    hours[31] = hours[30]
    message = refused(dated(hours), "b")
    assert message.startswith("line 33 holds 2020-10-02 06:00 again (line 32): --sort")
    series = read(dated(hours), "b", sort=True)
    assert len(series.values) == 59
    assert series.values[30] == 31.0
    assert any(": mean" in phrase for phrase in series.assumed)
    twice = dated([date for date in hours[:20] for _ in range(2)])
    assert "several series in one file?" in refused(twice, "b", sort=True)


def test_gaps_are_counted_and_stay(read):
    dates = [row.partition(",")[0] for row in month_rows(24)]
    kept = [*dates[:5], *dates[7:12], *dates[13:]]
    series = read(dated(kept), "b")
    assert len(series.values) == 21
    gaps = "3 dates missing in 2 gaps, the first after 2001-05: "
    assert any(phrase.startswith(gaps) and "--missing" in phrase for phrase in series.assumed)


@pytest.mark.parametrize(
    "dates",
    [
        [f"{2001 + i // 12}-{i % 12 + 1:02d}" for i in range(24)],
        [f"{1990 + i}" for i in range(24)],
        [f"2020-01-{i + 1:02d}" for i in range(24)],
        [f"2020-01-01 {i:02d}:00" for i in range(24)],
        [str(day) for day in np.busday_offset("2024-01-01", range(24))],
        [f"{0.5 * i}" for i in range(24)],
        [f"{1990 + i // 4}Q{i % 4 + 1}" for i in range(24)],
    ],
)
def test_with_missing_values_ignored_missing_dates_are_missing_values(dates, read):
    gone = {5, 6, 12}
    kept = [(date, i) for i, date in enumerate(dates) if i not in gone]
    rows = [f"{date};{'NA' if i in (0, 9) else i + 0.5}" for date, i in kept]
    series = read(lines("time;b", *rows), "b", missing="ignore")
    expected = [NAN if i in gone | {9} else i + 0.5 for i in range(1, 24)]  # the first is cut off
    np.testing.assert_array_equal(series.values, expected)
    assert dates_of(series) == dates_of(read(dated(dates), "b"))[1:]
    assert any("3 dates missing in 2 gaps" in phrase for phrase in series.assumed)
    newest_first = read(lines("time;b", *reversed(rows)), "b", missing="ignore")
    np.testing.assert_array_equal(newest_first.values, expected)


def test_a_gap_longer_than_the_series_is_no_missing_values(read, refused):
    content = dated([*(f"2020-01-{i + 1:02d}" for i in range(9)), "9020-01-01"])
    assert len(read(content, "b").values) == 10
    assert "dates missing in 1 gap, the first after 2020-01-09" in refused(
        content, "b", missing="ignore"
    )


@pytest.mark.parametrize(
    ("head", "first", "said"),
    [
        ("x,b", "{}0", "column 'x' is the time axis (if not: --dates none)"),
        (",b", "{}", "is the time axis (if not: --dates none)"),
        ("index,b", "{}", "column 'index' is the time axis (if not: --dates none)"),
        ("rpm,b", "15{}0", "column 'rpm' holds the dates (if not: --dates none)"),
        ("t,b", "0.{}", "column 't' is the time axis (if not: --dates none)"),
    ],
)
def test_a_column_of_numbers_as_time_axis_is_reported(head, first, said, read):
    content = lines(head, *(f"{first.format(i)},{i * i + 3}" for i in range(1, 9)))
    series = read(content, "b")
    assert any(said in phrase for phrase in series.assumed), series.assumed
    assert read(content, "b", dates="none").assumed == ()
    assert not any("--dates" in phrase for phrase in read(content, "b", dates="1").assumed)


# Several series

LONG = lines(
    "unique_id,ds,y",
    *(f"{name},2020-01-01 {h:02d}:00:00,{h + k}" for k, name in enumerate("AB") for h in range(8)),
)


def test_several_series_are_never_taken_as_one(read, refused):
    message = refused(LONG, "y")
    assert message.startswith("holds 2 series, by column 'unique_id': A, B; choose one")
    assert "--id unique_id --series A" in message
    assert message == refused(LONG)
    assert message == refused(LONG, "y", sort=True)
    series = read(LONG, "y", id="unique_id", series="B")
    assert series.values.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert series.dates.after(1) == ["2020-01-01 08:00"]
    assert "choose one of A, B with --series" in refused(LONG, "y", id="unique_id")
    assert "no series 'C'" in refused(LONG, "y", id="unique_id", series="C")
    assert "no column 'other'" in refused(LONG, "y", id="other", series="C")
    with pytest.raises(ValueError, match="--id"):
        read(LONG, "y", series="B")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # interleaved, and sorted by time
        (lines("country,year,b", *(f"{c},{1990 + i},{i}" for i in range(9) for c in ("IT", "ES"))),
         "2 series, by column 'country': IT, ES"),
        # numbers name the stores
        (lines("Store,Date,b", *(f"{s},{5 + i:02d}-02-2010,{i}.5" for s in (1, 2, 3)
                                 for i in range(20))), "3 series, by column 'Store': 1, 2, 3"),
        # two columns are needed
        (lines("shop,item,day,b", *(f"{s},{t},2020-01-0{i + 1},{i}" for s in "AB" for t in "xy"
                                    for i in range(5))), "4 series, by column 'shop' and 'item'"),
        # newest first, one after the other
        (lines("plaza;month;b", *(f"{p};{12 - i:02d}/2020;{i}" for p in ("P 1", "P 2")
                                  for i in range(12))), "--id plaza --series 'P 1'"),
        # and ambiguous days and months
        (lines("km;plaza;month;b", *(f"{k};P{k};01/{m:02d}/{y};{m}" for k in (1, 2)
                                     for y in (2014, 2015) for m in range(1, 13))),
         "2 series, by column 'plaza': P1, P2"),
        # no times that are equal
        (lines("part,day,b", *(f"A,2021-01-0{i},{i}" for i in range(1, 9)),
               *(f"B,2020-01-0{i},{i}" for i in range(1, 9))), "2 series, by column 'part'"),
        # numbers name the series, and there are no times
        (lines("store,b", *(f"{s},{i}.5" for s in (3, 1) for i in range(5))), "by column 'store'"),
        # no times at all
        (lines("item_id,b", *(f"{c},{i}" for i in range(5) for c in "AB")), "by column 'item_id'"),
        (lines("who,b", *(f"{c},{i}" for c in "AB" for i in range(5))), "by column 'who'"),
        # a column name for series, with times in order
        (lines("series_id,day,b", *(f"{'AB'[i // 4]},2020-01-0{i + 1},{i}" for i in range(8))),
         "by column 'series_id'"),
    ],
)  # fmt: skip
def test_series_in_one_column_are_listed(content, message, refused):
    assert message in refused(content, "b")


@pytest.mark.parametrize("names", ["AB", "12"])
def test_series_in_turn_are_seen_by_their_regular_steps(names, read, refused):
    minutes = [(60 * i + 7 * k, k) for i in range(30) for k in (0, 1)]
    start = np.datetime64("2020-01-01T00:00")
    content = lines("time,sensor,b", *(f"{start + m},{names[k]},{k}.{m}" for m, k in minutes))
    assert "2 series, by column 'sensor'" in refused(content, "b")
    series = read(content, "b", id="sensor", series=names[1])
    assert series.dates.after(1) == ["2020-01-02 06:07"]
    assert len(read(content, "b", id="none").values) == 60


def test_numbers_beside_equal_days_may_be_the_time_of_day(refused):
    rows = [f"2020-01-{1 + i // 48:02d},{i % 48 + 1},{i}" for i in range(480)]
    message = refused(lines("day,period,b", *rows), "b")
    assert message.endswith("--id period --series 1; --id none if it is one series")
    message = refused(lines("day,period,b", *rows), "b", id="none")
    assert "--dates none keeps their order" in message


@pytest.mark.parametrize(
    ("form", "per_day", "first", "after"),
    [
        ("{h:02d} - {k:02d}", 24, "2020-01-30 00:00", "2020-02-02 00:00"),
        ("{h:02d}-{n}", 24, "2020-01-30 00:00", "2020-02-02 00:00"),
        ("{h:02d}:00-{k:02d}:00", 24, "2020-01-30 00:00", "2020-02-02 00:00"),
        ("{h:02d}.00 \u2013 {n:02d}.00", 24, "2020-01-30 00:00", "2020-02-02 00:00"),
        ("{h:02d}:00 - {h:02d}:59", 24, "2020-01-30 00:00", "2020-02-02 00:00"),
        ("{h:02d}:00-{h:02d}:30", 48, "2020-01-30 00:00", "2020-02-02 00:00"),
        ("H{n}", 24, "2020-01-30 01:00", "2020-02-02 01:00"),
        ("H{n:02d}", 24, "2020-01-30 01:00", "2020-02-02 01:00"),
        ("h{h}", 24, "2020-01-30 00:00", "2020-02-02 00:00"),
    ],
)
def test_an_interval_of_hours_beside_the_day_is_the_time_of_day(form, per_day, first, after, read):
    texts = []
    for h in range(24):
        whole = form.format(h=h, n=h + 1, k=(h + 1) % 24)
        texts.append(whole)
        if per_day == 48:
            texts.append(f"{h:02d}:30-{(h + 1) % 24:02d}:00")
    rows = [
        f"{day},{text},{i}"
        for day in ("2020-01-30", "2020-01-31", "2020-02-01")
        for i, text in enumerate(texts)
    ]
    series = read(lines("Date,Hours,b", *rows))
    assert (series.dates.text(0), series.dates.after(1)) == (first, [after])
    one = read(lines("Date,Hours,b", *rows), id="Hours", series=texts[5])
    assert one.dates.after(1) == ["2020-02-02"]


def test_pairs_of_numbers_are_no_intervals_of_hours(refused):
    goals = ["2 - 1", "0 - 0", "1 - 3"]
    rows = [f"2020-01-0{day},{goals[k]},{k}" for day in range(1, 8) for k in range(3)]
    assert "3 series, by column 'score'" in refused(lines("day,score,b", *rows))


@pytest.mark.parametrize(("head", "form"), [("Year,Period,b", "M{:02d}"), ("year,month,b", "{}")])
@pytest.mark.parametrize("turn", [1, -1])
def test_the_thirteenth_month_is_a_yearly_value_and_left_out(head, form, turn, read, refused):
    rows = [f"{2000 + i // 13},{form.format(i % 13 + 1)},{i}" for i in range(45)][::turn]
    series = read(lines(head, *rows))
    assert series.values.tolist() == [i for i in range(45) if i % 13 != 12]
    assert series.dates.after(1) == ["2003-07"]
    assert "3 rows of month 13 left out" in series.assumed
    many = lines(head, *(f"2000,{form.format(m)},{m}" for m in (12, 13, 13, 13)))
    assert "--" in refused(many)


def test_several_series_always_name_the_way_out(read, refused):
    days = [f"2020-01-{i:02d}" for i in range(1, 31)]
    rows = [f"{day},no,{i}" for i, day in enumerate(days)]
    rows[10:10] = [f"{days[9]},yes,3"]
    message = refused(lines("date,holiday,sales", *rows))
    assert message.endswith("--id holiday --series no; --id none if it is one series")
    assert len(read(lines("date,holiday,sales", *rows), id="none", sort=True).values) == 30
    assert refused(LONG).endswith("--id unique_id --series A; --id none if it is one series")


def test_a_series_by_two_columns(read, refused):
    content = lines(
        "shop,item,day,b",
        *(
            f"{s},{t},2020-01-0{i + 1},{i}{k}"
            for k, (s, t) in enumerate(("Ax", "Ay", "Bx", "By"))
            for i in range(5)
        ),
    )
    series = read(content, "b", id=["shop", "item"], series=["B", "x"])
    assert series.values.tolist() == [2, 12, 22, 32, 42]
    assert "by column 'item': x, y" in refused(content, "b", id="shop", series="B")


def test_text_columns_of_one_series_are_no_ids(read):
    rows = [f"2020-01-{i + 1:02d},{('Mon', 'Tue', 'Wed')[i % 3]},{i}" for i in range(20)]
    assert len(read(lines("day,weekday,b", *rows), "b").values) == 20
    rows = [f"{('warm', 'cold')[i // 10]},{i}" for i in range(20)]
    assert len(read(lines("phase,b", *rows), "b", id="none").values) == 20


@pytest.mark.parametrize(
    "content",
    [
        lines(
            '"Source","World",',
            "",
            '"Name","Code","1960","1961","1962",',
            '"Aruba","ABW","1","2","3",',
            '"Spain","ESP","1","2","3",',
        ),
        lines("Country,1990,1991,1992,1993", "Spain,1,2,3,4", "Italy,2,3,4,5"),
        lines("Country;Code;2000 ;2001 ;2002 ;2003", "Spain;E;1;2;3;4", "Italy;I;2;3;4;5"),
        lines("Month,1958,1959,1960", "JAN,340,360,417", "FEB,318,342,391"),
        lines("Series Name,2000 [YR2000],2001 [YR2001],2002 [YR2002]", "GDP,1,2,3"),
        lines("Rank,Country,1990,1991,1992", "1,Spain,2,3,4", "2,Italy,3,4,5"),
        lines(
            "ID,City,State,2000-01-31,2000-02-29,2000-03-31,2000-04-30",
            "9,A,NY,2,3,4,5",
            "12,B,NY,3,4,5,6",
        ),
        lines(
            "id,item_id," + ",".join(f"d_{k}" for k in range(1, 13)),
            *(f"H_{k}_v,H_{k}," + ",".join("123456789012") for k in range(1, 5)),
        ),
        lines(
            ",".join(["V1", *(f"V{k}" for k in range(2, 15))]),
            *(",".join([f"H{k}", *"1234567890123"]) for k in range(1, 5)),
        ),
    ],
)
def test_one_series_per_row_is_refused(content, refused):
    for column in (None, "3"):
        message = refused(content, column)
        assert "one series per row" in message
        assert " to ." not in message


# Whole files, like those of users


def test_a_column_a_year_beside_numbers_is_no_series_a_row(read):
    rows = [f"{i + 1},{i},{i * i},{i + 2}" for i in range(9)]
    assert read(lines("day,2018,2019,2020", *rows), "2019").values[-1] == 64


def test_a_table_of_months_by_years(read):
    months = "Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec"
    rows = [f"{1880 + i}," + ",".join(["-.18"] * 12) + f",-.{i + 10},***" for i in range(9)]
    content = lines("Land-Ocean: Global Means", f"Year,{months},J-D,DJF", *rows)
    series = read(content, "J-D")
    assert series.values[:2].tolist() == [-0.10, -0.11]
    assert series.dates.after(1) == ["1889"]


def test_an_export_with_several_header_lines(read):
    content = lines(
        "Price,Close,High",
        "Ticker,^NSEI,^NSEI",
        "Date,,",
        *(f"2020-01-{d:02d},{100 + d}.5,{101 + d}" for d in range(1, 20)),
    )
    series = read(content, "Close")
    assert series.values[:2].tolist() == [101.5, 102.5]
    assert series.dates.after(1) == ["2020-01-20"]


def test_exchange_rates_newest_first_with_a_comma_at_the_end(read):
    rows = [f"2024-01-{d:02d},1.{d:02d}5,N/A," for d in range(31, 0, -1) if d % 7 not in (6, 0)]
    series = read(lines("Date,USD,CYP,", *rows), "USD")
    assert series.values[0] == 1.015
    assert any("newest first" in phrase for phrase in series.assumed)


def test_prices_with_thousands_newest_first(read):
    rows = [f'"Nov {d:02d}, 2020","2,{d + 300}.00","1.{d:02d}K","0.5%"' for d in range(30, 0, -1)]
    series = read(lines('"Date","Price","Vol.","Change %"', *rows), "Price")
    assert series.values[:2].tolist() == [2301, 2302]
    assert series.format(2301.239) == "2301.24"
    assert series.dates.after(1) == ["2020-12-01"]


# Parts of the reader


def test_without_pandas_the_error_says_what_to_install(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        read(PLAIN)


def test_bad_arguments_are_named(read):
    for option, value in (("decimal", ""), ("thousands", ".."), ("comment", ""), ("sep", "--")):
        with pytest.raises(ValueError, match=option):
            read(PLAIN, **{option: value})
    with pytest.raises(ValueError, match="missing"):
        read(PLAIN, missing="drop")
    with pytest.raises(FileNotFoundError):
        read_series("there is none")


@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=20),
    st.integers(0, 4),
    st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'")]),
)
def test_numbers_written_by_any_notation_come_back_or_are_refused(numbers, decimals, notation):
    point, group = notation
    fields = []
    for number in numbers:
        text = f"{number / 10**decimals:,.{decimals}f}"
        fields.append(text.replace(",", "_").replace(".", point).replace("_", group))
    expected = [float(f"{number / 10**decimals:.{decimals}f}") for number in numbers]

    def read(**options):
        return _numbers.convert(
            fields, na=(), others=lambda: _numbers.evidence(()), continental=True, **options
        )

    told = read(decimal=point, thousands=group)
    assert told.values.tolist() == expected
    try:
        found = read(decimal=None, thousands=None)
    except _numbers.NotationError as error:
        assert "--decimal" in str(error)  # noqa: PT017 - it may also be read
    else:
        said = any("(not:" in phrase for phrase in found.assumed)
        assert found.values.tolist() == expected or said


@given(
    st.datetimes(
        min_value=datetime.datetime(1600, 1, 1),
        max_value=datetime.datetime(2199, 12, 31),
    ),
    st.sampled_from([60, 3600, 86400, 7 * 86400]),
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%b %d, %Y %H:%M:%S"]),
)
def test_dates_written_by_any_form_come_back(start, seconds, form):
    start = np.datetime64(start.replace(microsecond=0), "us")
    moments = start + np.arange(40) * np.timedelta64(seconds, "s")
    dates = _dates.parse("d", [moment.item().strftime(form) for moment in moments[:30]])
    np.testing.assert_array_equal(dates.values, moments[:30])
    shown = [np.datetime64(text.replace(" ", "T"), "us") for text in dates.after(10)]
    np.testing.assert_array_equal(shown, moments[30:])


def test_memory_is_a_small_multiple_of_the_file(tmp_path):
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["time", "a", "b", "c", "d", "e"])
    moments = np.datetime64("2000-01-01T00:00") + np.arange(5_000) * np.timedelta64(1, "h")
    rows.writerows([str(t), *np.random.default_rng(0).normal(size=5).round(6)] for t in moments)
    (tmp_path / "large.csv").write_text(text.getvalue())
    read_series(tmp_path / "large.csv", "c")
    tracemalloc.start()
    series = read_series(tmp_path / "large.csv", "c")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(series.values) == 5_000
    assert peak < 8 * len(text.getvalue())
