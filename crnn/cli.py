"""The `crnn` command: fit, predict, backtest, demo and info.

Only results go to standard output. An error is one line on standard error and exit code 2; Ctrl-C
is exit code 130. `predict` also writes to standard error what it assumed about the file, and warns
there if the series may not be the model's. If this machine lacks the instruction set in CRNN_ISA,
the package prints the error, because it is imported before this module.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

if TYPE_CHECKING:
    from crnn.forecast import Forecaster
    from crnn.table import Series

_FAILURE = 2
_INTERRUPTED = 128 + 2  # SIGINT
_PIPE_CLOSED = 128 + 13  # SIGPIPE: a shell's code for a program that the signal ended

# Arguments of Forecaster that the command passes on if they are given.
_FORECASTER = (
    "timesteps",
    "horizon",
    "season",
    "lower",
    "hidden_size",
    "networks",
    "epochs",
    "batch_size",
    "learning_rate",
    "missing",
    "seed",
    "threads",
)
_SHOWN = 100  # a plot of a forecast shows at least this many values of the series
# Warn if one value (or all values) of a window lie further outside the training range than this
# share of the range.
_FAR, _OUTSIDE = 0.5, 0.1


class CommandError(Exception):
    """An error that the user sees as one line."""


# Errors that input, machine or training can cause. Any other error is a bug and shows its
# traceback. RuntimeError: TrainingDiverged, or the system starts no more threads.
_FAILURES = (
    CommandError,
    ImportError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:  # argparse would print the usage before the line
        raise CommandError(f"{message} (see `{self.prog} --help`)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        0; 2 after an error, which is one line on standard error; 130 after Ctrl-C; 141 if
        the reader of standard output has closed it.

    Examples
    --------
    >>> from crnn.cli import main
    >>> main(["--version"])  # doctest: +ELLIPSIS
    crnn ...
    0
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: _warn(str(message))
            code = _run(argv)
        print(end="", flush=True)  # a closed pipe or a full disk can still be handled here
    except BrokenPipeError:
        _abandon_output()
        return _PIPE_CLOSED
    except KeyboardInterrupt:
        return _fail("interrupted", _INTERRUPTED)
    except _FAILURES as error:
        return _fail(f"error: {_reason(error)}", _FAILURE)
    return code


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments, unknown = _parser().parse_known_args(argv)
    except SystemExit as done:  # --help and --version have printed their text
        return int(done.code or 0)
    if unknown:
        arguments.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    arguments.command(arguments)
    return 0


def _parser() -> argparse.ArgumentParser:
    from crnn import __version__

    parser = _Parser(
        prog="crnn",
        description="Forecast series with small recurrent networks.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"crnn {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], summary: str) -> _Parser:
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            allow_abbrev=False,
        )
        sub.set_defaults(command=run, parser=sub)
        assert isinstance(sub, _Parser)
        return sub

    demo = command(
        "demo",
        _demo,
        "forecast Mackey-Glass, the sunspots and a sine, and write pictures and models",
    )
    demo.add_argument(
        "--out", type=Path, default=Path("crnn-demo"), metavar="DIR", help="folder (%(default)s)"
    )

    fit = command("fit", _fit, "score forecasts of a series' end; with --out, train on all of it")
    _add_series(fit)
    _add_forecaster(fit)
    fit.add_argument(
        "--test-fraction",
        type=float,
        default=0.2,
        metavar="X",
        help="share of the series that is held out at its end; 0: no scores (%(default)s)",
    )
    fit.add_argument(
        "--out", type=Path, metavar="MODEL", help="write a model of the whole series to this file"
    )
    fit.add_argument("--plots", type=Path, metavar="DIR", help="write pictures into this folder")

    predict = command("predict", _predict, "forecast the next values of a series, as CSV")
    predict.add_argument("model", type=Path, metavar="MODEL", help="what `crnn fit --out` wrote")
    _add_series(predict)
    predict.add_argument(
        "--steps", type=int, required=True, metavar="K", help="how many values to forecast"
    )
    predict.add_argument(
        "--coverage",
        type=float,
        default=0.9,
        metavar="X",
        help="share of future values between lower and upper (%(default)s)",
    )
    predict.add_argument("--out", type=Path, metavar="FORECAST.csv", help="write to this file")
    predict.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw series, forecast and interval"
    )

    backtest = command(
        "backtest", _backtest, "score forecasts from several origins of a series, step by step"
    )
    _add_series(backtest)
    _add_forecaster(backtest)
    backtest.add_argument(
        "--folds", type=int, default=5, metavar="N", help="how many origins (%(default)s)"
    )
    backtest.add_argument("--steps", type=int, metavar="K", help="values to forecast from each")
    backtest.add_argument(
        "--refit", action="store_true", help="train again at each origin, not only at the first"
    )
    backtest.add_argument("--out", type=Path, metavar="ERRORS.csv", help="write to this file")

    command("info", _info, "print versions, instruction sets and processors")
    return parser


def _add_forecaster(parser: argparse.ArgumentParser) -> None:
    told = parser.add_argument_group(
        "the forecaster",
        "Options that are not given are those of crnn.Forecaster(seed=0). Other columns as inputs, "
        "many series and searches over settings: see crnn.estimators.RNNRegressor and the "
        "libraries that its documentation names.",
    )
    told.add_argument(
        "--timesteps",
        type=int,
        metavar="N",
        help="how many values a forecast uses; by default two seasons, or chosen",
    )
    told.add_argument(
        "--horizon",
        type=int,
        metavar="H",
        help="how many values are forecast at once",
    )
    told.add_argument(
        "--season", type=int, metavar="M", help="how many values a season has, such as 12"
    )
    told.add_argument("--lower", type=float, metavar="X", help="no forecast is lower, such as 0")
    told.add_argument("--hidden", type=int, dest="hidden_size", metavar="N", help="hidden units")
    told.add_argument("--networks", type=int, metavar="N", help="networks to average")
    told.add_argument(
        "--epochs",
        type=_epochs,
        metavar="N",
        help="passes over the series; auto: chosen on its last part",
    )
    told.add_argument("--batch-size", type=int, metavar="N", help="windows per update")
    told.add_argument("--learning-rate", type=float, metavar="X", help="step size")
    told.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="the same seed gives the same model (%(default)s)",
    )
    told.add_argument(
        "--threads", type=int, metavar="N", help="threads; by default one per processor"
    )


def _epochs(text: str) -> str | int:
    try:
        return text if text == "auto" else int(text)
    except ValueError as error:
        message = f"must be a whole number or auto, got {text!r}"
        raise argparse.ArgumentTypeError(message) from error


def _add_series(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a table as text, plain or compressed"
    )
    parser.add_argument(
        "--column",
        metavar="NAME",
        help="the column to take, or its position counted from 1; not needed with only one",
    )
    told = parser.add_argument_group(
        "how to read the file", "Options that are not given are detected, and the output says how."
    )
    told.add_argument("--sep", metavar="C", help="field separator: a character, tab or blank")
    told.add_argument("--decimal", metavar="C", help="decimal separator")
    told.add_argument("--thousands", metavar="C", help="thousands separator")
    told.add_argument("--encoding", metavar="NAME", help="such as utf-8, utf-16 or cp1252")
    told.add_argument("--no-header", action="store_true", help="the first row is data")
    told.add_argument("--skip", type=int, default=0, metavar="N", help="lines to skip at the start")
    told.add_argument(
        "--comment", metavar="C", help="begins a comment; by default # at the start of a line"
    )
    told.add_argument(
        "--na",
        action="append",
        default=[],
        metavar="VALUE",
        help="a value that means missing, such as -99.99, besides NA and others; may be repeated",
    )
    told.add_argument(
        "--missing",
        choices=["error", "ignore"],
        default="error",
        help="whether missing values are an error; ignore cuts them off at both ends (%(default)s)",
    )
    told.add_argument("--dates", metavar="NAME", help="the column with the dates, or none")
    told.add_argument(
        "--dayfirst",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether 01/02/2020 is 1 February",
    )
    told.add_argument("--sort", action="store_true", help="sort the rows by date")
    told.add_argument(
        "--id",
        action="append",
        default=[],
        metavar="NAME",
        help="the column that names the series, where a file holds several; may be repeated",
    )
    told.add_argument(
        "--series",
        action="append",
        default=[],
        metavar="NAME",
        help="the series to take, by its name in the column of --id",
    )


def _read(arguments: argparse.Namespace, column: str | None = None) -> Series:
    from crnn.table import read_series

    return read_series(
        arguments.file,
        arguments.column if arguments.column is not None else column,
        sep=arguments.sep,
        decimal=arguments.decimal,
        thousands=arguments.thousands,
        encoding=arguments.encoding,
        header=False if arguments.no_header else None,
        skip=arguments.skip,
        comment=arguments.comment,
        na=arguments.na,
        missing=arguments.missing,
        dates=arguments.dates,
        dayfirst=arguments.dayfirst,
        sort=arguments.sort,
        id=arguments.id,
        series=arguments.series,
    )


def _forecaster(arguments: argparse.Namespace) -> Forecaster:
    from crnn.forecast import Forecaster

    given = {name: getattr(arguments, name) for name in _FORECASTER}
    return Forecaster(**{name: value for name, value in given.items() if value is not None})


def _demo(arguments: argparse.Namespace) -> None:
    from crnn import _demo

    _demo.run(arguments.out, _say)


def _fit(arguments: argparse.Namespace) -> None:
    from crnn import _scores, plots

    fraction = arguments.test_fraction
    if not 0 <= fraction < 1:
        raise CommandError(f"--test-fraction must be at least 0 and below 1, got {fraction}")
    forecaster = _forecaster(arguments)
    if arguments.out is not None:
        _check_writable("--out", arguments.out, arguments.file)
    if arguments.plots is not None:
        plots.new_figure()  # fails before the training if Matplotlib is missing
    series = _read(arguments)
    described = "; ".join([f"{arguments.file}: {series.describe()}", *series.assumed])
    if arguments.plots is not None:
        arguments.plots.mkdir(parents=True, exist_ok=True)
    if fraction:
        # The held-out part must hold a forecast of all steps.
        held_out = max(round(fraction * len(series.values)), forecaster.horizon)
        if held_out >= len(series.values):
            raise CommandError(
                f"{arguments.file}: {len(series.values)} values are too few: {held_out} are held "
                "out (--test-fraction, --horizon)"
            )
        season = arguments.season or series.season
        try:
            scored = _scores.score_end(forecaster, series.values, held_out, season)
        except ValueError as error:
            raise CommandError(f"{arguments.file}: {error}") from error
        for line in (described, *scored.lines()):
            _say(line)
        if arguments.season is None and series.season is not None:
            _say(f"the dates suggest a season: add --season {series.season} to use it")
        if arguments.plots is not None:
            label = _label(series)
            for step in sorted({1, forecaster.horizon}):
                path = arguments.plots / f"{step}-ahead.png"
                figure = _scores.draw(
                    scored, step, series.dates.axis(), (series.dates.name, label), label
                )
                figure.savefig(path)
                _say(f"wrote {path}")
    if arguments.out is not None or not fraction:
        if doubt := _odd_end(series):
            _warn(f"{arguments.file}: {doubt}")
        forecaster.fit(series.to_pandas())
        if not fraction:
            _say(described)
        _say(f"trained on all {len(series.values)} values")
        _say(str(forecaster.summary()))
    if arguments.out is not None:
        forecaster.save(arguments.out)
        _say(f"wrote {arguments.out}")


def _predict(arguments: argparse.Namespace) -> None:
    from crnn import plots
    from crnn.forecast import Forecaster

    if arguments.out is not None:
        _check_writable("--out", arguments.out, arguments.file, arguments.model)
    if arguments.plot is not None:
        formats = plots.new_figure().canvas.get_supported_filetypes()
        if arguments.plot.suffix.lstrip(".").lower() not in formats:
            raise CommandError(f"--plot must end in .png or .svg, got {arguments.plot}")
        _check_writable("--plot", arguments.plot, arguments.file, arguments.model)
    forecaster = Forecaster.load(arguments.model)
    series = _read(arguments, forecaster.name_)
    forecaster.missing = arguments.missing
    if len(series.values) < forecaster.timesteps_:
        raise CommandError(
            f"{arguments.file}: {arguments.model} reads the last {forecaster.timesteps_} values, "
            f"got {len(series.values)}"
        )
    forecast = forecaster.forecast(arguments.steps, series.values)
    interval = forecaster.forecast_interval(
        arguments.steps, series.values, coverage=arguments.coverage
    )
    # On standard error, because the forecast is on standard output.
    if series.assumed:
        _warn(f"{arguments.file}: {'; '.join(series.assumed)}")
    doubts = list(_doubts(forecaster, series))
    for doubt in doubts:
        _warn(f"{arguments.model}: {doubt}")
    if not doubts and (odd := _odd_end(series)):
        _warn(f"{arguments.file}: {odd}")
    rows = [[series.dates.name, "forecast", "lower", "upper"]]
    dates = series.dates.after(len(forecast))
    for date, *numbers in zip(dates, forecast, *interval, strict=True):
        rows.append([date, *(series.format(number, least=1) for number in numbers)])
    if arguments.out is None:
        csv.writer(_Out(), lineterminator="\n").writerows(rows)
    else:
        with open(arguments.out, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        _say(f"wrote {arguments.out}")
    if arguments.plot is not None:
        figure = plots.new_figure()
        begin = -min(len(series.values), max(3 * len(forecast), _SHOWN))
        ax = plots.plot_forecast(
            series.values[begin:],
            forecast,
            interval,
            x=series.dates.axis(len(forecast))[begin - len(forecast) :],
            ax=figure.add_subplot(),
        )
        count = f"{len(forecast)} step{'s' * (len(forecast) > 1)}"
        ax.set_title(f"{_label(series)}: {count}, {arguments.coverage:.0%} interval")
        ax.set_xlabel(series.dates.name)
        ax.set_ylabel(_label(series))
        figure.savefig(arguments.plot)
        # On standard output this line would become a row of the forecast.
        (_warn if arguments.out is None else _say)(f"wrote {arguments.plot}")


def _label(series: Series) -> str:
    """The column's name in a picture; without a header the name is the position."""
    return f"column {series.name}" if series.name.isdecimal() else series.name


def _odd_end(series: Series) -> str | None:
    """A reason to doubt the last value, from which all forecasts start."""
    known = series.values[~np.isnan(series.values)]
    if len(known) < 2:
        return None
    low, high, last = known[:-1].min(), known[:-1].max(), known[-1]
    if max(low - last, last - high) <= _FAR * ((high - low) or abs(high)):
        return None
    return (
        f"the last value, {series.format(last)}, is far outside of those before it, "
        f"{series.format(low)} to {series.format(high)}"
    )


def _doubts(forecaster: Forecaster, series: Series) -> Iterator[str]:
    """Reasons to doubt that the model was trained on this series."""
    if forecaster.name_ not in (None, series.name):
        yield f"was trained on {forecaster.name_!r}, and this is {series.name!r}"
    recent = series.values[-forecaster.timesteps_ :]
    recent = recent[~np.isnan(recent)]
    if forecaster.range_ is None or not len(recent):
        return
    low, high = forecaster.range_
    span = high - low or abs(high) or 1.0
    beyond = np.maximum(low - recent, recent - high) / span
    if beyond.max() > _FAR or beyond.min() > _OUTSIDE:
        values = f"{series.format(recent.min())} to {series.format(recent.max())}"
        yield (
            f"was trained on values from {series.format(low)} to {series.format(high)}; the "
            f"forecast is made from {values}, far outside"
        )


def _backtest(arguments: argparse.Namespace) -> None:
    forecaster = _forecaster(arguments)
    if arguments.out is not None:
        _check_writable("--out", arguments.out, arguments.file)
    series = _read(arguments)
    result = forecaster.backtest(
        series.values,
        folds=arguments.folds,
        steps=arguments.steps,
        refit=arguments.refit,
    )
    _say("; ".join([f"{arguments.file}: {series.describe()}", *series.assumed]))
    _say(str(result))
    if arguments.out is not None:
        rows: list[list[object]] = [["model", "step", "RMSE", "MAE", "MASE"]]
        for model in result.forecasts:
            errors = zip(result.rmse(model), result.mae(model), result.mase(model), strict=True)
            rows += [[model, step, *map(float, three)] for step, three in enumerate(errors, 1)]
        with open(arguments.out, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        _say(f"wrote {arguments.out}")


def _info(arguments: argparse.Namespace) -> None:
    import platform

    import crnn

    info = crnn.cpu_info()
    for name, value in (
        ("crnn", crnn.__version__),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("NumPy", np.__version__),
        ("platform", platform.platform()),
        ("machine", platform.machine()),
        ("ISA", info["isa"]),
        ("available", ", ".join(info["available"])),
        ("processors", info["processors"]),
    ):
        _say(f"{name:<11} {value}")


def _check_writable(option: str, path: Path, *inputs: Path) -> None:
    """Refuse a path that cannot be written, before a training. A full disk shows only later."""
    for kept in inputs:
        if path.exists() and kept.exists() and path.samefile(kept):
            raise CommandError(f"{option} is {kept}, which is read: name another file")
    if path.is_dir():
        raise CommandError(f"{path}: is a folder")
    if not path.parent.is_dir():
        raise CommandError(f"{path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CommandError(f"{path}: no permission to write there")


class _Out:
    """Standard output for csv.writer: a character it cannot encode is escaped, not an error."""

    def write(self, text: str) -> None:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding), end="")


def _say(line: str) -> None:
    _Out().write(line + "\n")


def _warn(message: str) -> None:
    line = " ".join(message.split())  # names and messages of libraries may hold line breaks
    with contextlib.suppress(OSError):
        print(f"crnn: {line}", file=sys.stderr)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        named = error.filename is not None
        return f"{os.fsdecode(error.filename)}: {error.strerror}" if named else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}".rstrip(": ")
    return str(error)


def _fail(message: str, code: int) -> int:
    try:
        print(end="", flush=True)  # results first
    except OSError:
        _abandon_output()
    _warn(message)
    return code


def _abandon_output() -> None:
    """Discard buffered output, or the interpreter would report an error when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
