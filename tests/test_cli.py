"""The `crnn` command: what it prints and writes, and that every failure is one line."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("pandas", reason="crnn fit needs the extra crnn[table]")

from tolerances import DEPENDENT_WINDOWS, FLAT_SERIES, FOUR_DIGITS, near

from crnn import dataset, scoring
from crnn.cli import main
from crnn.forecast import Forecaster
from crnn.model import RNN
from crnn.table import read_series

SERIES = 50 + 20 * np.sin(0.6 * np.arange(80)) + np.random.default_rng(0).normal(size=80)
QUICK = ["--column", "value", "--timesteps", "6", "--hidden", "5", "--epochs", "4"]


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
    Forecaster(timesteps=6, hidden_size=5, epochs=4, seed=0).fit(SERIES[:64]).save("model")
    return "model"


def failure(capsys, argv, code=2):
    """The line that a failing command leaves, once it is known to be the only one."""
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
    """{name: (RMSE, MASE)} of the rows under each heading, in order of the headings."""
    tables = []
    for line in out.splitlines():
        if line.startswith("one step ahead"):
            tables.append({})
        elif tables and len(tables[-1]) < 3:
            name, rmse, mase = line.rsplit(maxsplit=2)
            tables[-1][name] = (float(rmse), float(mase))
    return tables


# Reading the file: test_table.py has the reader itself.


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
    assert (folder / "model").read_bytes() == (folder / "other").read_bytes()


def test_what_was_assumed_is_one_line(folder, capsys, model):
    rows = [f"{1990 - i};{v:.2f}".replace(".", ",") for i, v in enumerate(SERIES)]
    (folder / "other.csv").write_text("\n".join(["jahr;wert", *rows]))
    assert main(["fit", "other.csv", *QUICK[2:]]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line == (
        "other.csv: 80 values of 'wert', 1911 to 1990 (yearly); separator ';'; decimal comma; "
        "newest first: turned round by 'jahr'"
    )
    assert main(["predict", model, "other.csv", "--steps", "2"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "jahr,wert"
    assert [row[:5] for row in out.splitlines()[1:]] == ["1991,", "1992,"]
    assert [len(row.partition(".")[2]) for row in out.splitlines()[1:]] == [2, 2]
    assert err.startswith("crnn: other.csv: separator ';'; decimal comma; newest first")
    assert err.count("\n") == 1


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


def test_fit_scores_the_held_out_part_beside_the_baselines(capsys):
    assert main(["fit", "series.csv", *QUICK, "--out", "model"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    (scores,) = table(out)
    past, actual = SERIES[:64], SERIES[64:]  # the last fifth
    x, y = dataset.windows(past, 6)
    x_test, y_test = dataset.windows(SERIES[64 - 6 :], 6)
    np.testing.assert_array_equal(y_test[:, 0], actual)
    forecaster = Forecaster.load("model")
    assert forecaster.mean_ == past.mean()
    expected = {
        "RNN": forecaster.predict(SERIES[64 - 6 :]),
        "persistence": SERIES[63:-1],
        "least-squares AR": scoring.least_squares_ar(x, y, x_test),
    }
    assert list(scores) == list(expected)
    for name, predicted in expected.items():
        assert scores[name] == near(
            (scoring.rmse(actual, predicted), scoring.mase(actual, predicted, past)), FOUR_DIGITS
        )


def test_fit_takes_nothing_from_the_held_out_part(folder):
    changed = SERIES.copy()
    changed[64:] = 1000 * np.arange(16)
    (folder / "changed.csv").write_text("\n".join(["value", *map(repr, changed.tolist())]))
    assert main(["fit", "series.csv", *QUICK, "--out", "model"]) == 0
    assert main(["fit", "changed.csv", *QUICK, "--out", "other"]) == 0
    assert (folder / "model").read_bytes() == (folder / "other").read_bytes()


@pytest.mark.parametrize(
    ("rows", "fraction", "held_out"),
    [
        (80, "0.2", 16),
        (80, "0.01", 1),
        (80, "0.001", 1),  # not none: a fraction was asked for
        (80, "0.195", 16),
        (79, "0.2", 16),  # 15.8
        (77, "0.2", 15),  # 15.4
        (61, "0.5", 30),  # 30.5: a tie goes to the even one
        (63, "0.5", 32),
    ],
)
def test_fit_holds_out_the_nearest_whole_number_of_rows(rows, fraction, held_out, folder, capsys):
    (folder / "some.csv").write_text("\n".join(["value", *map(repr, SERIES[:rows].tolist())]))
    assert main(["fit", "some.csv", *QUICK, "--test-fraction", fraction]) == 0
    first = capsys.readouterr().out.splitlines()[1]
    trained = rows - held_out
    assert first == f"value: trained on {trained} values, the last {held_out} held out"


def test_fit_passes_every_option_on(capsys):
    options = ["--batch-size", "7", "--optimizer", "sgd", "--learning-rate", "0.03", "--seed", "9"]
    options += ["--test-fraction", "0.5", "--threads", "2", "--out", "model"]
    assert main(["fit", "series.csv", *QUICK, *options]) == 0
    expected = Forecaster(
        timesteps=6,
        hidden_size=5,
        epochs=4,
        batch_size=7,
        optimizer="sgd",
        learning_rate=0.03,
        seed=9,
    ).fit(SERIES[:40])
    np.testing.assert_array_equal(Forecaster.load("model").forecast(4), expected.forecast(4))


def test_fit_of_the_whole_series_scores_nothing(folder, capsys):
    pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    options = ["--test-fraction", "0", "--out", "model", "--plots", "pictures"]
    assert main(["fit", "series.csv", *QUICK, *options]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1] == "value: trained on 80 values, none held out"
    assert table(out) == []
    expected = Forecaster(timesteps=6, hidden_size=5, epochs=4, seed=0).fit(SERIES)
    np.testing.assert_array_equal(Forecaster.load("model").forecast(4), expected.forecast(4))
    assert os.listdir("pictures") == ["loss.png"]


def test_fit_writes_nothing_that_was_not_asked_for(folder, capsys):
    assert main(["fit", "series.csv", *QUICK]) == 0
    assert [path.name for path in folder.iterdir()] == ["series.csv"]
    assert "wrote" not in capsys.readouterr().out


def test_fit_writes_pictures_and_names_them(folder, capsys):
    pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    assert main(["fit", "series.csv", *QUICK, "--plots", os.path.join("new", "folder")]) == 0
    names = [line.removeprefix("wrote ") for line in capsys.readouterr().out.splitlines()[-2:]]
    assert sorted(path.name for path in (folder / "new/folder").iterdir()) == [
        "loss.png",
        "prediction.png",
    ]
    for name in names:
        assert (folder / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_fit_of_a_constant_series_says_that_mase_is_undefined(folder, capsys):
    (folder / "flat.csv").write_text("value\n" + "7\n" * 40)
    assert main(["fit", "flat.csv", *QUICK]) == 0
    rows = capsys.readouterr().out.splitlines()[-3:]
    for row in rows:
        rmse, mase = row.split()[-2:]
        assert (float(rmse) < FLAT_SERIES, mase) == (True, "undefined")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--timesteps", "64"], "80 rows are too few"),
        (["--timesteps", "99999999999999999999"], "too few"),
        (["--test-fraction", "0.95"], "too few"),
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
        (["--optimizer", "rmsprop"], "--optimizer"),
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
    assert header == ["year", "value"]
    assert [row[0] for row in rows] == ["1980", "1981", "1982", "1983", "1984"]
    expected = Forecaster.load(model).forecast(5, SERIES)
    digits = max(len(repr(float(v)).partition(".")[2]) for v in SERIES)
    assert [row[1] for row in rows] == [f"{value:.{digits}f}" for value in expected]


def test_predict_writes_a_file_that_can_be_read_again(model, folder, capsys):
    name = 'ein "Wert", größer'
    with open("quoted.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerows([[name], *([repr(float(v))] for v in SERIES)])
    argv = ["predict", model, "quoted.csv", "--column", name, "--steps", "3", "--out", "f.csv"]
    assert main(argv) == 0
    assert capsys.readouterr().out == "wrote f.csv\n"
    expected = Forecaster.load(model).forecast(3, SERIES)
    series = read_series("f.csv", name)
    assert series.values == near(expected, FOUR_DIGITS)
    assert series.dates.text(0) == "81"


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
        (["model", "short.csv", "--steps", "1"], "at least 6 values, got 2"),
        (["model", "far.csv", "--steps", "1"], "too far"),
        (["model", "series.csv", "--steps", "0"], "steps"),
        (["model", "series.csv", "--steps", "x"], "--steps"),
        (["model", "series.csv", "--steps", "9" * 30], "dimension"),  # NumPy's own words
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
    (folder / "far.csv").write_text("value\n" + "1e300\n" * 9)
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


def test_demo_trains_both_models_and_names_what_it_wrote(folder, capsys):
    pytest.importorskip("matplotlib", reason="pictures need the extra crnn[plot]")
    assert main(["demo"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    written = [line.removeprefix("wrote ") for line in out.splitlines() if line[:6] == "wrote "]
    assert sorted(written) == [
        os.path.join("crnn-demo", name)
        for name in (
            "sine-loss.png",
            "sine-prediction.png",
            "sine.safetensors",
            "sunspots-loss.png",
            "sunspots-prediction.png",
            "sunspots.safetensors",
        )
    ]
    sine, sunspots = table(out)
    assert sine["RNN"][0] < 0.01 * sine["persistence"][0]
    assert sine["least-squares AR"][0] < DEPENDENT_WINDOWS
    assert sunspots["RNN"][0] < 0.7 * sunspots["persistence"][0]
    # The demo's file, used as its user would.
    (folder / "sunspots.csv").write_text(
        "\n".join(["value", *map(repr, dataset.load_sunspots().tolist())])
    )
    model = os.path.join("crnn-demo", "sunspots.safetensors")
    assert main(["predict", model, "sunspots.csv", "--column", "value", "--steps", "11"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))[1:]
    assert len(rows) == 11
    assert all(-100 < float(value) < 400 for _, value in rows)


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


def test_ctrl_c_is_one_line_and_130(capsys, monkeypatch, folder):
    def interrupted(self, series):
        raise KeyboardInterrupt

    monkeypatch.setattr(Forecaster, "fit", interrupted)
    assert main(["fit", "series.csv", *QUICK, "--out", "model"]) == 130
    assert capsys.readouterr().err == "crnn: interrupted\n"
    assert not (folder / "model").exists()


def test_divergence_is_one_line(capsys):
    assert main(["fit", "series.csv", *QUICK, "--optimizer", "sgd", "--learning-rate", "1e38"]) == 2
    out, err = capsys.readouterr()
    assert "RNN" not in out
    assert err.startswith("crnn: error: ")
    assert "learning_rate" in err
    assert err.count("\n") == 1


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


@pytest.mark.skipif(os.name != "posix", reason="what a closed pipe does is POSIX's")
def test_closed_pipe_is_quiet(model):
    argv = ["predict", model, "series.csv", "--column", "value", "--steps", "9"]
    with subprocess.Popen(
        [sys.executable, "-m", "crnn", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()  # before anything is written: the interpreter is still starting
        err = process.stderr.read()
    assert (process.returncode, err) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")
def test_full_disk_behind_standard_output_is_one_line(model):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "crnn", "info"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "crnn: error: No space left on device\n"


def test_a_character_that_the_output_lacks_is_escaped(model, folder):
    (folder / "x.csv").write_text("größe\n" + "1\n" * 9, encoding="utf-8")
    done = command(
        *["predict", model, "x.csv", "--column", "größe", "--steps", "1"],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("row,gr\\xf6\\xdfe\n")
