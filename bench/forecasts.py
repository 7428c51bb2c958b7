"""Forecasters on public series: `python -m bench.forecasts [FOLDER]`.

Every model is fitted once, on the first four fifths of a series. It then forecasts from origins in
the last fifth, from the values up to each origin. M values, T timesteps.

The series come with the package, with the wheels of statsmodels, sktime, pmdarima and reservoirpy,
and from FOLDER. Series that are absent are skipped and listed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crnn
from crnn import RNN, Forecaster, Trainer, dataset
from crnn.scoring import LeastSquaresAR

Array = NDArray[Any]

MOST = 3000  # values; of a longer series the last ones
ORIGINS = 40  # of forecasts more than one step ahead, spread over the last fifth
MANY = 100  # held-out values: a ratio from fewer is noisy
RECENT = 600  # last values that ETS and SARIMA are fitted on: they need minutes for more
LONGEST_SEASON = 24  # of ETS and SARIMA, for the same reason
COVERAGE = 0.9

OURS, AR, ALONE = "Forecaster", "AR", "network 0.1"
NAIVE, SEASONAL = "persistence", "seasonal"
SIMPLE = (NAIVE, SEASONAL, AR, "ETS", "SARIMA")
NAMES = (*SIMPLE, ALONE, OURS)


# ---- series ----


@dataclass(frozen=True)
class Series:
    """Values in time order; NaN is missing."""

    name: str
    values: Array
    season: int | None


# (name, file, column, season, other options of the reader)
FILES: list[tuple[str, str, str | int | None, int | None, dict[str, Any]]] = [
    ("airline", "airline-passengers.csv", "Passengers", 12, {}),
    ("sunspots, monthly", "SN_m_tot_V2.0.csv", 4, None, {}),
    ("shampoo", "shampoo.csv", None, 12, {}),
    ("CO2, monthly", "co2_mm_mlo.txt", 4, 12, {"na": ["-99.99"]}),
    ("CO2, weekly", "co2_weekly.csv", "co2", 52, {}),
    ("gas furnace", "gasrate_co2.csv", "CO2%", None, {}),
    ("exchange rate 1", "exchange_rate.txt.gz", 1, None, {}),
    ("exchange rate 4", "exchange_rate.txt.gz", 4, None, {}),
    ("exchange rate 7", "exchange_rate.txt.gz", 7, None, {}),
    ("air quality, CO", "AirQualityUCI.csv", "CO(GT)", 24, {"na": ["-200"]}),
    ("air quality, T", "AirQualityUCI.csv", "T", 24, {"na": ["-200"]}),
    ("Ibovespa", "ibovespa-infomoney.csv", "FECHAMENTO", None, {"sort": True}),
    ("Vale, monthly", "vale3-monthly.csv", "Último", 12, {"sort": True}),
    *(
        (name, "demo_multi_series.csv", "value", 7, {"id": "series_id", "series": name})
        for name in ("id_1000", "id_1001", "id_1002")
    ),
    *(
        (
            f"electricity {name}",
            "electricity-short.csv",
            "y",
            24,
            {"id": "unique_id", "series": name},
        )
        for name in ("BE", "DE", "FR", "NP")
    ),
    ("tide", "tide-biggap.csv", "val", 25, {}),
    ("Santa Fe laser", "santafe.txt", 1, None, {}),
    ("Google Trends", "google-trends.csv", 2, 12, {}),
    ("Heathrow, tmax", "heathrowdata.txt", "tmax", 12, {}),
    ("demand (Taylor)", "taylor.csv", None, 48, {}),
    ("US gasoline", "us_gasoline.csv", "Gasoline", 52, {"sort": True}),
    ("milk", "monthly-milk-incomplete.csv", "Pounds per cow", 12, {}),
]

# (name, package, file in it, column: "" for the last, None for all but the first, season)
WHEELS: list[tuple[str, str, str, str | None, int | None]] = [
    ("Nile", "statsmodels", "datasets/nile/nile.csv", "volume", None),
    ("El Niño", "statsmodels", "datasets/elnino/elnino.csv", None, 12),
    ("electrical equipment", "statsmodels", "datasets/elec_equip/elec_equip.csv", "", 12),
    ("real GDP, US", "statsmodels", "datasets/macrodata/macrodata.csv", "realgdp", 4),
    ("unemployment, US", "statsmodels", "datasets/macrodata/macrodata.csv", "unemp", 4),
    ("inflation, US", "statsmodels", "datasets/macrodata/macrodata.csv", "infl", 4),
    ("Treasury bills, US", "statsmodels", "datasets/macrodata/macrodata.csv", "tbilrate", 4),
    ("lynx", "sktime", "datasets/data/Lynx/Lynx.csv", "", None),
    ("PBS", "sktime", "datasets/data/PBS_dataset/PBS_dataset.csv", "", 12),
    ("consumption, US", "sktime", "datasets/data/Uschange/Uschange.csv", "Consumption", 4),
    ("solar, UK", "sktime", "datasets/data/solar/solar.csv", "", 48),
    ("ECG (mitdb)", "sktime", "datasets/data/mitdb/mitdb.csv", "data", None),
]

# Of pmdarima: (name, function, season)
PMDARIMA = [
    ("beer, Australia", "load_ausbeer", 4),
    ("residents, Australia", "load_austres", 4),
    ("heart rate", "load_heartrate", None),
    ("wine, Australia", "load_wineind", 12),
    ("wool, Australia", "load_woolyrnq", 4),
]


def public_series(folder: Path | None, skipped: list[str]) -> Iterator[Series]:
    """All series on this machine. The others are added to `skipped`."""
    readers: list[tuple[str, int | None, Callable[[], Any]]] = [
        ("sunspots, yearly", None, dataset.load_sunspots),
        ("Mackey-Glass", None, lambda: dataset.mackey_glass(1500, seed=0)),
    ]
    for name, file, column, season, more in FILES if folder else ():
        readers.append((name, season, partial(_file, Path(str(folder), file), column, more)))
    for name, package, file, label, season in WHEELS:
        readers.append((name, season, partial(_wheel, package, file, label)))
    for name, function, season in PMDARIMA:
        readers.append((name, season, partial(_pmdarima, function)))
    readers.append(("Santa Fe laser, all", None, _laser))
    for name, season, read in readers:
        try:
            values = np.asarray(read(), np.float64).ravel()
        except (ImportError, OSError, ValueError, KeyError, AttributeError) as error:
            skipped.append(f"{name}: {' '.join(str(error).split())[:120]}")
            continue
        there = np.flatnonzero(~np.isnan(values))
        yield Series(name, values[there[0] : there[-1] + 1][-MOST:], season)


def _file(path: Path, column: str | int | None, more: dict[str, Any]) -> Array:
    from crnn.table import read_series

    return read_series(path, column, missing="ignore", **more).values


def _inside(package: str) -> Path:
    """The folder of a package, without importing it."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"{package} is not installed")
    return Path(next(iter(found.submodule_search_locations)))


def _wheel(package: str, file: str, label: str | None) -> Array:
    """A column of a CSV file in a package."""
    import pandas as pd

    table = pd.read_csv(_inside(package) / file)
    if label is None:  # one row per year, one column per month
        return np.asarray(table.iloc[:, 1:]).ravel()
    numbers = table.select_dtypes("number")
    return np.asarray(numbers[label] if label else numbers.iloc[:, -1])


def _pmdarima(function: str) -> Array:
    _inside("pmdarima")
    loaded: Array = getattr(importlib.import_module("pmdarima.datasets"), function)()
    return loaded


def _laser() -> Array:
    loaded: Array = np.load(_inside("reservoirpy") / "datasets" / "santafe_laser.npy")
    return loaded


# ---- models ----

# Forecasts from the values before each of the origins: (values, origins, steps) -> (N, steps)
Model = Callable[[Array, Array, int], Array]


def persistence(training: Array, season: int | None, timesteps: int) -> Model:
    return lambda values, origins, steps: np.repeat(values[origins - 1][:, None], steps, axis=1)


def seasonal(training: Array, season: int | None, timesteps: int) -> Model:
    if season is None:
        raise ValueError("no season")

    def ahead(values: Array, origins: Array, steps: int) -> Array:
        return np.asarray(values[origins[:, None] - season + np.arange(steps) % season])

    return ahead


def _recursive(step: Callable[[Array], Array], timesteps: int) -> Model:
    """Make a model from a function of windows (N, T) -> (N,)."""

    def ahead(values: Array, origins: Array, steps: int) -> Array:
        rows = values[origins[:, None] + np.arange(-timesteps, 0)]
        for _ in range(steps):
            rows = np.hstack((rows, step(rows[:, -timesteps:])[:, None]))
        return np.asarray(rows[:, timesteps:])

    return ahead


def autoregression(training: Array, season: int | None, timesteps: int) -> Model:
    fitted = LeastSquaresAR().fit(*dataset.windows(training, timesteps))
    return _recursive(lambda rows: np.asarray(fitted.predict(rows[:, :, None]))[:, 0], timesteps)


def network_of_0_1(training: Array, season: int | None, timesteps: int) -> Model:
    """One network on the standardised series, trained as in version 0.1."""
    mean, scale = training.mean(), training.std() or 1.0
    x, y = dataset.windows(((training - mean) / scale).astype(np.float32), timesteps)
    model = RNN(1, 32, 1, seed=0)
    Trainer(epochs=100, batch_size=32, learning_rate=2e-3, optimizer="adam", seed=0, threads=1).fit(
        model, x, y
    )

    def step(rows: Array) -> Array:
        scaled = ((rows - mean) / scale).astype(np.float32)
        return np.asarray(model.predict(scaled[:, :, None])[:, 0] * scale + mean, np.float64)

    return _recursive(step, timesteps)


def ets(training: Array, season: int | None, timesteps: int) -> Model:
    """Exponential smoothing, with a damped trend if that lowers the AICc."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel  # type: ignore[import-untyped]

    start = max(0, len(training) - RECENT)
    fits = []
    for trend in (None, "add"):
        kind: dict[str, Any] = {"error": "add", "trend": trend, "damped_trend": trend is not None}
        if _usable(season, len(training) - start):
            kind |= {"seasonal": "add", "seasonal_periods": season}
        fitted = ETSModel(training[start:], **kind).fit(disp=False, maxiter=200)
        fits.append((fitted.aicc, kind, fitted.params))
    _, kind, params = min(fits, key=lambda fit: fit[0])

    def ahead(values: Array, origins: Array, steps: int) -> Array:
        if steps == 1:
            found: Array = ETSModel(values[start:], **kind).smooth(params).fittedvalues
            return found[origins - start, None]
        return np.stack(
            [ETSModel(values[start:end], **kind).smooth(params).forecast(steps) for end in origins]
        )

    return ahead


def sarima(training: Array, season: int | None, timesteps: int) -> Model:
    """(1, 1, 1)(0, 1, 1) with a season, (2, 1, 2) without."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX  # type: ignore[import-untyped]

    start = max(0, len(training) - RECENT)
    order: dict[str, Any] = {"order": (2, 1, 2)}
    if _usable(season, len(training) - start):
        order = {"order": (1, 1, 1), "seasonal_order": (0, 1, 1, season)}
    fitted = SARIMAX(training[start:], **order).fit(disp=False, maxiter=50)

    def ahead(values: Array, origins: Array, steps: int) -> Array:
        if steps == 1:
            found: Array = fitted.apply(values[start:]).fittedvalues
            return found[origins - start, None]
        return np.stack([fitted.apply(values[start:end]).forecast(steps) for end in origins])

    return ahead


def _usable(season: int | None, size: int) -> bool:
    if season is not None and season > LONGEST_SEASON:
        raise ValueError(f"season of {season}")
    return season is not None and size >= 3 * season


OTHERS: dict[str, Callable[[Array, int | None, int], Model]] = {
    NAIVE: persistence,
    SEASONAL: seasonal,
    AR: autoregression,
    "ETS": ets,
    "SARIMA": sarima,
    ALONE: network_of_0_1,
}


# ---- measuring ----


@dataclass
class Row:
    """The results for one series."""

    series: Series
    held_out: int
    timesteps: int
    rmse: dict[str, dict[str, float]] = field(default_factory=dict)  # by horizon, by model
    seconds: dict[str, float] = field(default_factory=dict)
    coverage: tuple[float, float] = (np.nan, np.nan)  # 1 step and up to 12 steps ahead


def measure(series: Series, skipped: list[str]) -> Row:
    truth, season = series.values, series.season
    first = len(truth) - round(len(truth) / 5)
    values = _without_gaps(truth, first)
    training = values[:first]
    begin = time.perf_counter()
    forecaster = Forecaster(season=season, missing="ignore", seed=0).fit(truth[:first])
    row = Row(series, len(values) - first, forecaster.timesteps_)
    row.seconds[OURS] = time.perf_counter() - begin
    horizons = {"1": 1, "12": min(12, row.held_out // 2)}
    if season is not None and season <= row.held_out // 2:
        horizons["season"] = season

    models: dict[str, Model] = {OURS: partial(_ours, forecaster)}
    for name, fit in OTHERS.items():
        begin = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # optimisers that stop early warn
                models[name] = fit(training, season, row.timesteps)
        except (ImportError, ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            if str(error) != "no season":
                skipped.append(f"{series.name}, {name}: {' '.join(str(error).split())[:120]}")
            continue
        row.seconds[name] = time.perf_counter() - begin
    for label, steps in horizons.items():
        origins = np.arange(first, len(values) - steps + 1)
        if steps > 1 and len(origins) > ORIGINS:
            origins = origins[np.linspace(0, len(origins) - 1, ORIGINS).astype(int)]
        actual = truth[origins[:, None] + np.arange(steps)]
        row.rmse[label] = {}
        for name, model in models.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                away = model(values, origins, steps) - actual
            row.rmse[label][name] = float(np.sqrt(np.nanmean(away**2)))
        if label != "season":
            inside = _inside_intervals(forecaster, values, origins, actual)
            row.coverage = (inside, np.nan) if steps == 1 else (row.coverage[0], inside)
    return row


def _without_gaps(values: Array, first: int) -> Array:
    """Interpolate in the training part. After it, repeat the last known value, as a user must."""
    at, known = np.arange(len(values)), ~np.isnan(values)
    seen = known & (at < first)
    filled = np.where(at < first, np.interp(at, at[seen], values[seen]), values)
    latest = np.maximum.accumulate(np.where(np.isnan(filled), 0, at))
    return np.asarray(filled[latest])


def _ours(forecaster: Forecaster, values: Array, origins: Array, steps: int) -> Array:
    if steps == 1:
        return np.asarray(forecaster.predict(values[origins[0] - forecaster.timesteps_ :]))[:, None]
    return np.stack([forecaster.forecast(steps, values[:end]) for end in origins])


def _inside_intervals(
    forecaster: Forecaster, values: Array, origins: Array, actual: Array
) -> float:
    inside = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coverage must be at most")  # short series
        for end, found in zip(origins, actual, strict=True):
            lower, upper = forecaster.forecast_interval(len(found), values[:end], coverage=COVERAGE)
            inside.append(((lower <= found) & (found <= upper))[~np.isnan(found)])
    return float(np.concatenate(inside).mean())


# ---- printing ----


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m bench.forecasts", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="with the files that FILES lists")
    parser.add_argument("--only", default="", help="only series whose name contains this")
    options = parser.parse_args(arguments)
    skipped: list[str] = []
    rows = []
    for series in public_series(options.folder, skipped):
        if options.only in series.name:
            print(series.name, "...", file=sys.stderr, flush=True)
            try:
                rows.append(measure(series, skipped))
            except ValueError as error:  # a series that is too short
                skipped.append(f"{series.name}: {error}")
    report(rows, skipped)


def report(rows: list[Row], skipped: list[str]) -> None:
    print(f"crnn {crnn.__version__}, {crnn.cpu_info()['isa']}, {_processor()}, {date.today()}")
    titles = {
        "1": "One step ahead",
        "12": "1 to 12 steps ahead",
        "season": "1 step to one season ahead",
    }
    for label, title in titles.items():
        print(f"\n{title}, RMSE:\n")
        print("\n".join(_table([row for row in rows if label in row.rmse], label)))
    print("\nSeconds to fit:\n")
    print("\n".join(_times(rows)))
    print()
    print("\n".join(f"- {line}" for line in summary(rows)))
    print("\n".join(f"- skipped: {line}" for line in skipped))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _table(rows: list[Row], label: str) -> Iterator[str]:
    yield "| series | M | T | season | " + " | ".join(NAMES) + " | Forecaster / AR |"
    yield "|---|" + "---:|" * (len(NAMES) + 4)
    for row in rows:
        found = row.rmse[label]
        best = min(found.values())
        cells = [row.series.name, str(len(row.series.values)), str(row.timesteps)]
        cells.append(str(row.series.season or "-"))
        for name in NAMES:
            value = found.get(name)
            text = "-" if value is None else f"{value:.4g}"
            cells.append(f"**{text}**" if value == best else text)
        yield f"| {' | '.join(cells)} | {found[OURS] / found[AR]:.3f} |"


def _times(rows: list[Row]) -> Iterator[str]:
    yield "| model | series | median | largest |"
    yield "|---|---:|---:|---:|"
    for name in NAMES:
        times = [row.seconds[name] for row in rows if name in row.seconds]
        if times:
            yield f"| {name} | {len(times)} | {np.median(times):.2g} | {max(times):.2g} |"


def _ratios(rows: list[Row], label: str, name: str, against: Sequence[str]) -> dict[str, float]:
    """A model's RMSE divided by the lowest of the others, by series."""
    return {
        row.series.name: row.rmse[label][name]
        / min(row.rmse[label][other] for other in against if other in row.rmse[label])
        for row in rows
        if label in row.rmse
    }


def summary(rows: list[Row]) -> Iterator[str]:
    held_out = {row.series.name: row.held_out for row in rows}
    for label, what in (("1", "one step"), ("12", "12 steps"), ("season", "one season")):
        ratios = _ratios(rows, label, OURS, [AR])
        if not ratios:
            continue
        line = f"{what}: RMSE / AR {_mean(ratios):.3f} (geometric mean of {len(ratios)})"
        line += f", better on {sum(ratio < 1 for ratio in ratios.values())}"
        for words, many in ((f"at least {MANY}", True), (f"fewer than {MANY}", False)):
            part = {k: r for k, r in ratios.items() if (held_out[k] >= MANY) == many}
            if part:
                worst = max(part, key=part.__getitem__)
                line += f"; worst with {words} values held out {part[worst]:.3f} ({worst})"
        best = _ratios(rows, label, OURS, SIMPLE)
        alone = _ratios(rows, label, ALONE, [AR])
        line += f"; / best of {', '.join(SIMPLE)} in hindsight {_mean(best):.3f}"
        yield f"{line}; {ALONE} / AR {_mean(alone):.3f}"
    known = [row for row in rows if row.held_out >= MANY]
    if known:
        yield f"coverage of {COVERAGE:.0%} intervals, 1 step and 1 to 12 steps ahead: " + ", ".join(
            f"{row.series.name} {row.coverage[0]:.1%} {row.coverage[1]:.1%}" for row in known
        )
        one, twelve = np.mean([row.coverage for row in known], axis=0)
        yield f"mean coverage of these {len(known)} series: {one:.1%} and {twelve:.1%}"


def _mean(ratios: dict[str, float]) -> float:
    return float(np.exp(np.mean(np.log(list(ratios.values())))))


if __name__ == "__main__":
    main()
