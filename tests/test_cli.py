"""The `crnn` command: its output and files, and that every error is one line."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("pandas", reason="crnn fit needs the extra crnn[table]")

import pandas
from tolerances import DEPENDENT_WINDOWS, FLAT_SERIES, FOUR_DIGITS, near

from crnn import dataset, scoring
from crnn.cli import main
from crnn.forecast import Forecaster
from crnn.model import RNN
from crnn.run import History, TrainingDiverged
from crnn.table import read_series

SERIES = 50 + 20 * np.sin(0.6 * np.arange(80)) + np.random.default_rng(0).normal(size=80)
QUICK = ["--column", "value", "--timesteps", "6", "--hidden", "5", "--epochs", "4"]
QUICK += ["--networks", "1"]
SMALL = {"timesteps": 6, "hidden_size": 5, "epochs": 4, "networks": 1, "seed": 0}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open("series.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["year", "value"])
        rows.writerows([1900 + i, repr(float(v))] for i, v in enumerate(SERIES))
    return tmp_path


@pytest.fixture
def model():
    Forecaster(**SMALL).fit(pandas.Series(SERIES[:64], name="value")).save("model")
    return "model"


def failure(capsys, argv, code=2):
    """The only line that a failing command prints."""
    assert main(argv) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("crnn: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err


def command(*argv, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "crnn", *argv], capture_output=True, text=True, **kwargs
    )


def table(out):
    """{model: errors} of the rows under each heading, in order of the headings."""
    tables = []
    for line in out.splitlines():
        if re.match("[0-9]+ forecasts?  ", line):
            tables.append({})
        elif line.startswith("verdict: "):
            tables[-1]["verdict"] = line.removeprefix("verdict: ")
        elif tables and "verdict" not in tables[-1] and "RMSE" not in line:
            name, numbers = line[:22].strip(), line[22:].split()
            tables[-1][name] = [float(number) for number in numbers]
    return tables


# Reading the file. test_table.py tests the reader itself.


BAD_FILES = [
    (b"", "holds no rows"),
    (b",\n1,2\n", "no column 'value' (--column); it has no header"),
    (b"a,c\n1,2\n", "no column 'value' (--column); the columns are 'a', 'c'"),
    (b"value,value\n1,2\n", "more than one column 'value'"),
    (b"a,value\n1,2\n2,two\n3,4\n", "line 3 (column 'value') holds 'two'"),
    (b"a,value\n1,2\n2,\n", "1 missing value (line 3): --missing ignore"),
    (b"a,value\n1,-inf\n2,3\n3,4\n", "line 2 (column 'value') holds '-inf'"),
    (b"a,value\n1,1,000\n2,2,000\n", "line 1 has 2 names, the rows have 3 fields"),
    (b"a,value\n1,2\n2\n3,4\n", "line 3 has 1 field, the others 2"),
    (b"value\n1\n\n2\n", "1 missing value (line 3)"),
    (b'value\n"1\n2\n', "line 2 opens a quote"),
    (b"value\n1\n\x00\n", "line 3 holds"),
    (b"value\n1\n2\n3" + b"x" * 5000 + b"\n4\n", "line 4 (column 'value') holds"),
    (b"d,value\n2020-01-02,1\n2020-01-04,2\n2020-01-03,3\n", "line 4 holds 2020-01-03 after"),
    (b"id,value\na,1\na,2\na,2\nb,2\nb,5\nb,4\n", "--id id --series a"),
]


@pytest.mark.parametrize(("text", "message"), BAD_FILES)
def test_a_bad_file_is_one_line_that_says_where(text, message, folder, capsys):
    (folder / "bad.csv").write_bytes(text)
    line = failure(capsys, ["fit", "bad.csv", *QUICK])
    assert line.startswith("crnn: error: bad.csv: ")
    assert message in line
    assert len(line) < 300


READ_ALIKE = [
    ("jahr;wert\n{}", "{};{}", ",", ["--column", "wert"]),
    ("year,value\n{}", '{},"{}"', ",", []),
    ("{}", "{}\t{}", ".", ["--column", "2"]),
    ("{}", "{}!{}", ".", ["--column", "2", "--sep", "!", "--no-header"]),
    ("one\ntwo\nyear value\n{}", "{} {}", ".", ["--skip", "2"]),
    ("year,value\n{}", "{},{} ~ it", ".", ["--comment", "~"]),
    ("year;value\n{}", "{};{}", ",", ["--decimal", ",", "--thousands", ".", "--encoding", "ascii"]),
    ("year,value\n2100,x\n{}", "{},{}", ".", ["--na", "x", "--missing", "ignore", "--sort"]),
    ("who,year,value\nB,1900,5\n{}", "A,{},{}", ".", ["--id", "who", "--series", "A"]),
    ("d,year,value\n{}", "05/05/2020,{},{}", ".", ["--dates", "year"]),
]


@pytest.mark.parametrize(("head", "row", "point", "options"), READ_ALIKE)
def test_every_option_reaches_the_reader(head, row, point, options, folder, capsys):
    assert main(["fit", "series.csv", *QUICK, "--out", "model"]) == 0
    rows = [row.format(1900 + i, repr(float(v)).replace(".", point)) for i, v in enumerate(SERIES)]
    (folder / "other.csv").write_text(head.format("\n".join(rows)))
    column = [] if "--column" in options else ["--column", "value"]
    argv = ["fit", "other.csv", *QUICK[2:], *column, *options, "--out", "other"]
    if "wert" not in head and "value" not in head and "--column" not in options:
        argv = [*argv, "--column", "2"]
    assert main(argv) == 0, capsys.readouterr().err
    model, other = Forecaster.load("model"), Forecaster.load("other")
    np.testing.assert_array_equal(model.forecast(4), other.forecast(4))


def test_what_was_assumed_is_one_line(folder, capsys, model):
    rows = [f"{1990 - i};{v:.2f}".replace(".", ",") for i, v in enumerate(SERIES)]
    (folder / "other.csv").write_text("\n".join(["jahr;wert", *rows]))
    assert main(["fit", "other.csv", *QUICK[2:]]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line == (
        "other.csv: 80 values of 'wert', 1911 to 1990 (yearly); separator ';'; decimal comma; "
        "newest first by 'jahr': reversed"
    )
    assert main(["predict", model, "other.csv", "--column", "wert", "--steps", "2"]) == 0
    out, err = capsys.readouterr()
    header, *rows = csv.reader(io.StringIO(out))
    assert header == ["jahr", "forecast", "lower", "upper"]
    assert [row[0] for row in rows] == ["1991", "1992"]
    assert {len(number.partition(".")[2]) for row in rows for number in row[1:]} == {2}
    assumed, column = err.splitlines()
    assert assumed.startswith("crnn: other.csv: separator ';'; decimal comma; newest first")
    assert column == "crnn: model: was trained on 'value', and this is 'wert'"


def test_day_and_month_as_told(folder, capsys, model):
    rows = [f"{1 + i:02d}/01/2010,{v}" for i, v in enumerate(SERIES[:12])]
    (folder / "other.csv").write_text("\n".join(["date,value", *rows]))
    argv = ["predict", model, "other.csv", "--steps", "1"]
    assert "--dayfirst or --no-dayfirst" in failure(capsys, argv)
    for option, date in (("--dayfirst", "2010-01-13"), ("--no-dayfirst", "2011-01-01")):
        assert main([*argv, option]) == 0
        assert capsys.readouterr().out.splitlines()[1].startswith(date + ",")


def test_without_pandas_the_error_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert "pip install pandas" in failure(capsys, ["fit", "series.csv", *QUICK])


# fit


@pytest.mark.parametrize("season", [None, 12])
def test_a_season_that_the_dates_suggest_is_named_until_it_is_given(season, folder, capsys):
    months = [f"{1990 + k // 12}-{k % 12 + 1:02}" for k in range(60)]
    rows = "".join(f"{m},{k % 12 + 0.1 * k:.1f}\n" for k, m in enumerate(months))
    (folder / "months.csv").write_text("month,value\n" + rows)
    given = [] if season is None else ["--season", str(season)]
    assert main(["fit", "months.csv", *QUICK, *given]) == 0
    assert ("--season 12" in capsys.readouterr().out) == (season is None)


@pytest.mark.parametrize(("horizon", "season"), [(1, None), (3, 7)])
def test_fit_scores_a_forecaster_that_has_not_seen_the_end(horizon, season, capsys):
    options = ["--horizon", str(horizon), *(["--season", str(season)] if season else [])]
    assert main(["fit", "series.csv", *QUICK, *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    (scores,) = table(out)
    past = SERIES[:64]  # all but the last fifth
    x, y = dataset.windows(past, 6, horizon=horizon)
    x_test, y_test = dataset.windows(SERIES[64 - 6 :], 6, horizon=horizon)
    forecaster = Forecaster(**SMALL, horizon=horizon, season=season).fit(past)
    expected = {"persistence": scoring.persistence(x_test, horizon)}
    if season:
        rows = 64 + np.arange(len(y_test))[:, np.newaxis] + np.arange(horizon)
        expected["seasonal persistence"] = SERIES[rows - 7]
    expected["least-squares AR"] = scoring.least_squares_ar(x, y, x_test)
    expected["forecaster"] = forecaster.predict(SERIES[64 - 6 :]).reshape(y_test.shape)
    assert list(scores) == [*expected, "verdict"]
    for name, predicted in expected.items():
        errors = []
        for step in sorted({0, horizon - 1}):
            pair = y_test[:, step], predicted[:, step]
            errors += [scoring.rmse(*pair), scoring.mase(*pair, past)]
        assert scores[name] == near(errors, FOUR_DIGITS), name
    best = min(expected, key=lambda name: scores[name][0])
    assert best in scores["verdict"].partition(";")[0]


@pytest.mark.parametrize("fraction", ["0", "0.2", "0.5"])
def test_the_model_that_is_written_has_seen_all_of_the_series(fraction, folder, capsys):
    options = ["--test-fraction", fraction, "--out", "model"]
    assert main(["fit", "series.csv", *QUICK, *options]) == 0
    out = capsys.readouterr().out
    assert "trained on all 80 values" in out
    assert len(table(out)) == (fraction != "0")
    forecaster = Forecaster.load("model")
    expected = Forecaster(**SMALL).fit(SERIES)
    np.testing.assert_array_equal(forecaster.forecast(4), expected.forecast(4))
    assert forecaster.name_ == "value"
    assert tuple(forecaster.range_) == (SERIES.min(), SERIES.max())


def test_the_scores_take_nothing_from_the_held_out_part(folder, capsys):
    changed = SERIES.copy()
    changed[65:] = 1000 * np.arange(15)
    (folder / "changed.csv").write_text("\n".join(["value", *map(repr, changed.tolist())]))
    found = []
    for name in ("series.csv", "changed.csv"):
        # one value is scored: the first held-out one
        (folder / "part.csv").write_text(
            "\n".join((folder / name).read_text().splitlines()[: 1 + 65])
        )
        assert main(["fit", "part.csv", *QUICK, "--test-fraction", "0.01"]) == 0
        found.append(table(capsys.readouterr().out))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("rows", "fraction", "horizon", "forecasts"),
    [
        (80, "0.2", 1, 16),
        (80, "0.01", 1, 1),
        (80, "0.001", 1, 1),  # at least one, because there is a fraction
        (80, "0.195", 1, 16),
        (79, "0.2", 1, 16),  # 15.8
        (77, "0.2", 1, 15),  # 15.4
        (61, "0.5", 1, 30),  # 30.5: a tie is rounded to even
        (63, "0.5", 1, 32),
        (80, "0.2", 5, 12),
        (80, "0.01", 5, 1),
    ],
)
def test_fit_forecasts_from_every_origin_that_is_held_out(
    rows, fraction, horizon, forecasts, folder, capsys
):
    (folder / "some.csv").write_text("\n".join(["value", *map(repr, SERIES[:rows].tolist())]))
    options = ["--test-fraction", fraction, "--horizon", str(horizon)]
    assert main(["fit", "some.csv", *QUICK, *options]) == 0
    counted = f"{forecasts} forecast{'s' * (forecasts > 1)} "
    assert capsys.readouterr().out.splitlines()[1].startswith(counted)


@pytest.mark.filterwarnings("default:lower is above:UserWarning")
def test_fit_passes_every_option_on(capsys):
    options = ["--batch-size", "7", "--learning-rate", "0.03", "--seed", "9", "--horizon", "2"]
    options += ["--networks", "2", "--season", "3", "--lower", "45", "--threads", "2"]
    assert main(["fit", "series.csv", *QUICK, *options, "--out", "model"]) == 0
    below = f"lower is above {(SERIES < 45).sum()} of the 80 values of series, got 45"
    assert below in capsys.readouterr().err
    expected = Forecaster(
        timesteps=6,
        horizon=2,
        season=3,
        lower=45.0,
        hidden_size=5,
        networks=2,
        epochs=4,
        batch_size=7,
        learning_rate=0.03,
        seed=9,
    )
    with pytest.warns(UserWarning, match="lower is above"):
        expected.fit(SERIES)
    np.testing.assert_array_equal(Forecaster.load("model").forecast(9), expected.forecast(9))
    assert expected.forecast(9).min() >= 45


def test_without_options_fit_is_a_forecaster_without_options(capsys):
    assert main(["fit", "series.csv", "--column", "value", "--out", "model"]) == 0
    expected = Forecaster(seed=0).fit(SERIES)
    np.testing.assert_array_equal(Forecaster.load("model").forecast(9), expected.forecast(9))


def test_missing_values_are_inputs_and_no_targets(folder, capsys):
    rows = [f"{1900 + i},{'NA' if i in (20, 21, 70) else v}" for i, v in enumerate(SERIES)]
    (folder / "holes.csv").write_text("\n".join(["year,value", *rows]))
    assert "--missing ignore" in failure(capsys, ["fit", "holes.csv", *QUICK])
    argv = ["fit", "holes.csv", *QUICK, "--missing", "ignore", "--out", "model"]
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "3 missing values inside" in out
    assert "15 forecasts" in out  # none from 1970, which is missing
    argv = ["predict", "model", "holes.csv", "--steps", "2"]
    assert "--missing ignore" in failure(capsys, argv)
    assert main([*argv, "--missing", "ignore"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_fit_writes_nothing_that_was_not_asked_for(folder, capsys):
    assert main(["fit", "series.csv", *QUICK]) == 0
    assert [path.name for path in folder.iterdir()] == ["series.csv"]
    assert "wrote" not in capsys.readouterr().out


@pytest.mark.parametrize(("horizon", "names"), [(1, ["1"]), (3, ["1", "3"])])
def test_fit_writes_pictures_and_names_them(horizon, names, folder, capsys):
    pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    options = ["--plots", os.path.join("new", "folder"), "--horizon", str(horizon)]
    assert main(["fit", "series.csv", *QUICK, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    wrote = [line.removeprefix("wrote ") for line in lines if line.startswith("wrote ")]
    assert wrote == [os.path.join("new", "folder", f"{name}-ahead.png") for name in names]
    assert len(list((folder / "new/folder").iterdir())) == len(wrote)
    for name in wrote:
        assert (folder / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_pictures_of_a_file_without_a_header_name_the_column_in_words(folder, monkeypatch):
    pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path: drawn.append(self.axes[0]))
    (folder / "bare.txt").write_text("\n".join(f"{k} {v}" for k, v in enumerate(SERIES, 1900)))
    options = ["--column", "2", "--out", "model"]
    assert main(["fit", "bare.txt", *QUICK[2:], *options, "--plots", "new"]) == 0
    assert main(["predict", "model", "bare.txt", "--steps", "3", "--plot", "new.png"]) == 0
    assert [axes.get_ylabel() for axes in drawn] == ["column 2", "column 2"]
    assert [axes.get_title()[:10] for axes in drawn] == ["column 2, ", "column 2: "]


def test_fit_of_a_constant_series_says_that_mase_is_undefined(folder, capsys):
    (folder / "flat.csv").write_text("value\n" + "7\n" * 60)
    assert main(["fit", "flat.csv", *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    for line in lines[3:-1]:
        rmse, mase = line.split()[-2:]
        assert (float(rmse) < FLAT_SERIES, mase) == (True, "undefined")
    assert "as good as" in lines[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--timesteps", "64"], "series"),
        (["--timesteps", "99999999999999999999"], "series"),
        (["--test-fraction", "0.95"], "--test-fraction holds out"),
        (["--test-fraction", "0.999"], "too few"),
        (["--horizon", "80"], "too few"),
        (["--horizon", "0"], "horizon"),
        (["--season", "0"], "season"),
        (["--lower", "nan"], "lower"),
        (["--networks", "-1"], "networks"),
        (["--test-fraction", "-0.1"], "--test-fraction"),
        (["--test-fraction", "1"], "--test-fraction"),
        (["--test-fraction", "nan"], "--test-fraction"),
        (["--timesteps", "0"], "timesteps"),
        (["--hidden", "0"], "hidden_size"),
        (["--hidden", "many"], "--hidden"),
        (["--hidden", "100000000"], "memory"),
        (["--epochs", "-1"], "epochs"),
        (["--batch-size", "0"], "batch_size"),
        (["--learning-rate", "0"], "learning_rate"),
        (["--learning-rate", "nan"], "learning_rate"),
        (["--epochs", "some"], "--epochs"),
        (["--seed", "-1"], "seed"),
        (["--threads", "0"], "threads"),
        (["--column", "other"], "no column 'other'"),
        (["--out", "."], ".: is a folder"),
        (["--out", "missing/model"], "there is no folder missing"),
        (["--plots", "series.csv"], "series.csv: "),
        (["--plots", os.path.join("series.csv", "x")], "series.csv"),
        (["--unknown"], "--unknown"),
    ],
)
def test_bad_option_of_fit_is_one_line(options, message, folder, capsys):
    if "--plots" in options:
        pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    line = failure(capsys, ["fit", "series.csv", *QUICK, *options])
    assert line.startswith("crnn: error: ")
    assert message in line
    assert [path.name for path in folder.iterdir()] == ["series.csv"]


# predict


def test_predict_prints_valid_csv(model, capsys):
    assert main(["predict", model, "series.csv", "--column", "value", "--steps", "5"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    header, *rows = csv.reader(io.StringIO(out))
    assert header == ["year", "forecast", "lower", "upper"]
    assert [row[0] for row in rows] == ["1980", "1981", "1982", "1983", "1984"]
    forecaster = Forecaster.load(model)
    expected = forecaster.forecast(5, SERIES), *forecaster.forecast_interval(5, SERIES)
    digits = max(len(repr(float(v)).partition(".")[2]) for v in SERIES)
    for column, values in zip(zip(*rows, strict=True), ([], *expected), strict=True):
        if len(values):
            assert list(column) == [f"{value:.{digits}f}" for value in values]


def test_the_coverage_of_the_interval_is_an_option(model, capsys):
    widths = []
    for coverage in ("0.5", "0.8", "0.9"):
        assert main(["predict", model, "series.csv", "--steps", "1", "--coverage", coverage]) == 0
        _, forecast, lower, upper = map(float, capsys.readouterr().out.splitlines()[1].split(","))
        assert lower <= forecast <= upper
        widths.append(upper - lower)
    assert widths == sorted(widths)
    assert widths[0] < widths[2]
    argv = ["predict", model, "series.csv", "--steps", "1", "--coverage", "2"]
    assert "coverage" in failure(capsys, argv)


def test_predict_takes_the_column_of_the_model(model, folder, capsys):
    rows = [f"{1900 + i},{i},{v}" for i, v in enumerate(SERIES)]
    (folder / "two.csv").write_text("\n".join(["year,other,value", *rows]))
    assert main(["predict", model, "two.csv", "--steps", "3"]) == 0
    own = capsys.readouterr()
    assert own.err == ""
    assert main(["predict", model, "two.csv", "--steps", "3", "--column", "value"]) == 0
    assert capsys.readouterr().out == own.out
    assert main(["predict", model, "two.csv", "--steps", "3", "--column", "other"]) == 0
    assert "was trained on 'value', and this is 'other'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "far"),
    [
        (lambda v: v, False),
        (lambda v: v + 5, False),
        (lambda v: v + 300, True),
        (lambda v: v * 0.001, True),
        (lambda v: np.where(np.arange(len(v)) == len(v) - 1, 200, v), True),  # one value
        # not in the window of the forecast
        (lambda v: np.where(np.arange(len(v)) == 3, 200, v), False),
    ],
)
def test_a_series_far_outside_the_training_range_is_a_warning(change, far, model, folder, capsys):
    (folder / "new.csv").write_text("\n".join(["value", *map(repr, change(SERIES).tolist())]))
    assert main(["predict", model, "new.csv", "--steps", "2"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert ("far outside" in err) == far
    assert err.count("\n") == far


def test_predict_writes_a_file_that_can_be_read_again(model, folder, capsys):
    name = 'ein "Wert", größer'
    with open("quoted.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerows([[name], *([repr(float(v))] for v in SERIES)])
    argv = ["predict", model, "quoted.csv", "--column", name, "--steps", "3", "--out", "f.csv"]
    assert main(argv) == 0
    assert capsys.readouterr().out == "wrote f.csv\n"
    expected = Forecaster.load(model).forecast(3, SERIES)
    series = read_series("f.csv", "forecast")
    assert series.values == near(expected, FOUR_DIGITS)
    assert series.dates.text(0) == "81"


def test_predict_draws_series_forecast_and_interval(model, folder, capsys):
    pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    argv = ["predict", model, "series.csv", "--steps", "3", "--plot", "f.png"]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert err == "crnn: wrote f.png\n"  # the forecast is on standard output
    assert (folder / "f.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert main([*argv, "--out", "f.csv"]) == 0
    assert capsys.readouterr().out == "wrote f.csv\nwrote f.png\n"
    for wrong in ("f", "f.xyz"):
        assert "--plot must end in .png" in failure(capsys, [*argv[:-1], wrong])
    assert "there is no folder no" in failure(capsys, [*argv[:-1], "no/f.png"])
    os.link("series.csv", "series.png")
    assert "--plot is series.csv" in failure(capsys, [*argv[:-1], "series.png"])


@pytest.mark.parametrize(("last", "odd"), [(SERIES.max() + 1, False), (874.5, True)])
def test_an_odd_last_value_is_named(last, odd, folder, model, capsys):
    rows = [f"{1900 + i},{v!r}" for i, v in enumerate([*SERIES.tolist(), float(last)])]
    (folder / "odd.csv").write_text("\n".join(["year,value", *rows]))
    for argv in (["fit", "odd.csv", *QUICK, "--out", "m2"], ["predict", model, "odd.csv"]):
        more = ["--steps", "2"] if argv[0] == "predict" else []
        assert main([*argv, *more]) == 0
        err = capsys.readouterr().err
        said = ("odd.csv: the last value, 874.5", "made from", "far outside")
        assert (said[0] in err or said[1] in err) == (said[2] in err) == odd


def test_backtest_prints_the_errors_of_every_model(folder, capsys):
    argv = ["backtest", "series.csv", *QUICK, "--folds", "3", "--steps", "4", "--out", "errors.csv"]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert err == ""
    expected = Forecaster(**SMALL).backtest(SERIES, folds=3, steps=4)
    assert str(expected) in out
    assert out.startswith("series.csv: 80 values of 'value', 1900 to 1979 (yearly)\n")
    assert out.endswith("wrote errors.csv\n")
    header, *rows = csv.reader(io.StringIO((folder / "errors.csv").read_text()))
    assert header == ["model", "step", "RMSE", "MAE", "MASE"]
    found = {(model, int(step)): list(map(float, errors)) for model, step, *errors in rows}
    assert found == {
        (name, step): [expected.rmse(name)[step - 1], expected.mae(name)[step - 1], mase]
        for name in expected.forecasts
        for step, mase in enumerate(expected.mase(name), 1)
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--folds", "0"], "folds"),
        (["--steps", "0"], "steps"),
        (["--steps", "99"], "folds must be fewer"),
        (["--out", "series.csv"], "--out is series.csv"),
    ],
)
def test_bad_use_of_backtest_is_one_line(options, message, capsys):
    assert message in failure(capsys, ["backtest", "series.csv", *QUICK, *options])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["missing", "series.csv", "--steps", "1"], "missing: "),
        (["series.csv", "series.csv", "--steps", "1"], "series.csv: "),
        (["network", "series.csv", "--steps", "1"], "RNN.load"),
        (["damaged", "series.csv", "--steps", "1"], "damaged: "),
        ([".", "series.csv", "--steps", "1"], ".: "),
        (["model", "missing.csv", "--steps", "1"], "missing.csv: "),
        (["model", ".", "--steps", "1"], ".: "),
        (["model", "short.csv", "--steps", "1"], "short.csv: model reads the last 6 values, got 2"),
        (["model", "series.csv", "--steps", "0"], "steps"),
        (["model", "series.csv", "--steps", "x"], "--steps"),
        (["model", "series.csv"], "--steps"),
        (["model", "series.csv", "--steps", "1", "--out", "no/f.csv"], "there is no folder no"),
        (["model", "series.csv", "--steps", "1", "--out", "."], ".: is a folder"),
    ],
)
def test_bad_use_of_predict_is_one_line(argv, message, model, folder, capsys):
    RNN(1, 3, 1, seed=0).save("network")
    data = bytearray((folder / model).read_bytes())
    data[-1] ^= 1
    (folder / "damaged").write_bytes(data)
    (folder / "short.csv").write_text("value\n1\n2\n")
    line = failure(capsys, ["predict", *argv, "--column", "value"])
    assert line.startswith("crnn: error: ")
    assert message in line


# demo, info and the command itself


@pytest.mark.parametrize(
    ("argv", "kept"),
    [
        (["fit", "series.csv", *QUICK, "--out", "./series.csv"], "series.csv"),
        (["fit", "series.csv", *QUICK, "--out", "link"], "series.csv"),
        (["predict", "model", "series.csv", "--steps", "1", "--out", "series.csv"], "series.csv"),
        (["predict", "model", "series.csv", "--steps", "1", "--out", "model"], "model"),
    ],
)
def test_an_input_is_not_overwritten(argv, kept, model, folder, capsys):
    if "link" in argv:
        os.link("series.csv", "link")
    before = (folder / kept).read_bytes()
    if "--column" not in argv:
        argv = [*argv, "--column", "value"]
    assert f"--out is {kept}" in failure(capsys, argv)
    assert (folder / kept).read_bytes() == before


def test_demo_scores_three_series_and_names_what_it_wrote(folder, capsys):
    pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    assert main(["demo"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    written = [line.removeprefix("wrote ") for line in out.splitlines() if line[:6] == "wrote "]
    assert written == [
        os.path.join("crnn-demo", f"{name}.{kind}")
        for name in ("mackey-glass", "sunspots", "sine")
        for kind in ("png", "safetensors")
    ]
    assert all(os.path.getsize(name) for name in written)
    mackey_glass, sunspots, sine = table(out)
    eight_steps = {name: errors[2] for name, errors in mackey_glass.items() if name != "verdict"}
    assert eight_steps["forecaster"] < 0.7 * eight_steps["least-squares AR"]
    assert sunspots["forecaster"][0] < 0.7 * sunspots["persistence"][0]
    assert sine["least-squares AR"][0] < DEPENDENT_WINDOWS
    # README, command and demo use the same settings and so give the same forecasts.
    years = [f"{1700 + i},{v}" for i, v in enumerate(dataset.load_sunspots())]
    (folder / "sunspots.csv").write_text("\n".join(["year,sunspots", *years]))
    assert main(["fit", "sunspots.csv", "--column", "sunspots", "--out", "model"]) == 0
    assert table(capsys.readouterr().out) == [sunspots]
    model = os.path.join("crnn-demo", "sunspots.safetensors")
    expected = Forecaster(seed=0).fit(dataset.load_sunspots()).forecast(11)
    for file in (model, "model"):
        np.testing.assert_array_equal(Forecaster.load(file).forecast(11), expected)


@pytest.mark.parametrize("argv", [["demo"], ["fit", "series.csv", *QUICK, "--plots", "pictures"]])
def test_pictures_without_matplotlib_say_what_to_install(argv, folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "pip install matplotlib" in failure(capsys, argv)
    assert [path.name for path in folder.iterdir()] == ["series.csv"]


def test_demo_into_a_file_is_one_line(capsys):
    pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    assert "series.csv: " in failure(capsys, ["demo", "--out", "series.csv"])


def test_info_names_versions_isa_and_processors(capsys):
    import crnn

    assert main(["info"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["crnn"] == crnn.__version__
    assert lines["Python"].startswith("{}.{}.{}".format(*sys.version_info[:3]))
    assert lines["NumPy"] == np.__version__
    assert lines["ISA"] in lines["available"].split(", ")
    assert int(lines["processors"].split()[0]) >= 1


@pytest.mark.parametrize(
    ("argv", "starts"),
    [(["--help"], "usage: crnn"), (["fit", "--help"], "usage: crnn fit"), (["--version"], "crnn ")],
)
def test_help_and_version_succeed(argv, starts, capsys):
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith(starts)


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["info", "extra"], ["fit"], ["--nonsense"]])
def test_bad_use_of_the_command_is_one_line(argv, capsys):
    assert failure(capsys, argv).startswith("crnn: error: ")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["info", "extra"], "arguments: extra (see `crnn info --help`)"),
        (["fit", "series.csv", "--col", "value"], "arguments: --col value (see `crnn fit --help`)"),
        (
            ["fit", "series.csv", "--epochs", "ten"],
            "--epochs: must be a whole number or auto, got 'ten' (see `crnn fit --help`)",
        ),
    ],
)
def test_a_wrong_option_is_named_with_its_command(argv, message, capsys):
    assert message in failure(capsys, argv)


def test_ctrl_c_is_one_line_and_130(capsys, monkeypatch, folder):
    def interrupted(self, series):
        raise KeyboardInterrupt

    monkeypatch.setattr(Forecaster, "fit", interrupted)
    assert main(["fit", "series.csv", *QUICK, "--out", "model"]) == 130
    assert capsys.readouterr().err == "crnn: interrupted\n"
    assert not (folder / "model").exists()


def test_divergence_is_one_line(capsys, monkeypatch):
    def diverged(self, series):
        raise TrainingDiverged(3, 1, History())

    monkeypatch.setattr(Forecaster, "fit", diverged)
    assert "not finite in epoch 3" in failure(capsys, ["fit", "series.csv", *QUICK])


def test_as_a_module(model):
    done = command("predict", model, "series.csv", "--column", "value", "--steps", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3


def test_unavailable_isa_is_one_line():
    done = command("info", env=os.environ | {"CRNN_ISA": "nonsense"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("crnn: error: ")
    assert "nonsense" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="closed pipes are tested on POSIX only")
def test_closed_pipe_is_quiet(model):
    argv = ["predict", model, "series.csv", "--column", "value", "--steps", "9"]
    with subprocess.Popen(
        [sys.executable, "-m", "crnn", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()  # before any output: the interpreter is still starting
        err = process.stderr.read()
    assert (process.returncode, err) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_behind_standard_output_is_one_line(model):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "crnn", "info"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "crnn: error: No space left on device\n"


def test_a_character_that_the_output_lacks_is_escaped(model, folder):
    rows = [f"{1900 + i},{v}" for i, v in enumerate(SERIES)]
    (folder / "x.csv").write_text("\n".join(["größe,value", *rows]), encoding="utf-8")
    done = command(
        *["predict", model, "x.csv", "--dates", "größe", "--steps", "1"],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("gr\\xf6\\xdfe,forecast,lower,upper\n")
