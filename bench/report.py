"""What is said of the races: the table, the goals, the JSON, and the line about the machine."""

from __future__ import annotations

import datetime
import importlib
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.harness import Measurement, Row
from bench.workloads import Goal

# The peers that the goals are against; the other peers of a row are shown beside them.
NAMED = ("notebook", "numpy", "torch", "jax", "onnxruntime")

_COLUMNS = ("crnn", "notebook", "numpy", "torch", "jax", "jax-unrolled", "onnxruntime")
_HEADINGS = {"jax-unrolled": "jax-unr.", "onnxruntime": "onnxrt"}


@dataclass(frozen=True)
class Verdict:
    """A goal, what was measured, and whether it is reached (None: could not be measured)."""

    row: str
    goal: str
    measured: str
    reached: bool | None


def machine(threads: int, rounds: int) -> dict[str, Any]:
    """Processor, ISA, versions, load and date."""
    try:
        cpu_info: Any = importlib.import_module("crnn").cpu_info()
    except (ImportError, AttributeError):
        cpu_info = None
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_name(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "isa": cpu_info["isa"] if cpu_info is not None else f"{_cpu_flags()} (crnn is not built)",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "threads": threads,
        "rounds": rounds,
    }


def heading(header: dict[str, Any]) -> str:
    """The lines above the table."""
    load = header["load"]
    busy = "" if load is None else f", load {load:.2f} before the start"
    return (
        f"{header['date']}  {header['cpu']}, {header['processors']} processors{busy}\n"
        f"ISA {header['isa']}; {header['system']}; Python {header['python']}\n"
        f"{header['threads']} thread(s) each, best of {header['rounds']} interleaved rounds"
    )


def versions(rows: list[Row]) -> dict[str, str]:
    """Library versions of all that ran."""
    found = {}
    for row in rows:
        for measurement in row.measurements.values():
            if measurement.version:
                found[measurement.contestant.peer] = measurement.version
    return found


def table(rows: list[Row]) -> str:
    """One line a row: milliseconds of each, crnn's ratio to the best, the limit, the roofline."""
    present = [name for name in _COLUMNS if any(name in row.measurements for row in rows)]
    # With several threads crnn's own time on one stands beside the others.
    if any("crnn x1" in row.measurements for row in rows):
        present.insert(1, "crnn x1")
    titles = ["row", "unit", *(_HEADINGS.get(name, name) for name in present)]
    titles += ["best/crnn", "limit", "bound", "GFLOP/s", "peak", "% peak"]
    lines = [titles]
    for row in rows:
        unit, scale = _unit(row)
        cells = [row.workload.name, unit]
        cells += [_cell(row.measurements.get(name), scale, row) for name in present]
        cells += [_ratio_to_best(row), *_roofline(row, scale)]
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def remarks(rows: list[Row]) -> list[str]:
    """Who was not timed and why, once for each reason; and a probe that was no peak."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for label, measurement in row.measurements.items():
            if measurement.status != "timed":
                key = f"{label} {_STATUS[measurement.status]}: {measurement.reason}"
                found.setdefault(key, []).append(row.workload.name)
        if row.probe.fma and row.probe.matmul > 1.02 * row.probe.fma:
            key = "NumPy's matmul was faster than the FMA probe, and stands for the peak"
            found.setdefault(key, []).append(row.workload.name)
        elif row.probe.matmul and not row.probe.fma:
            key = "the peak is NumPy's matmul, as crnn's FMA probe is absent"
            found.setdefault(key, []).append(row.workload.name)
    return [f"{key} ({', '.join(names)})" for key, names in found.items()]


def verdicts(rows: list[Row]) -> list[Verdict]:
    """Issue 3's goals for these rows: those of one thread, or the ratio of several to one."""
    return [
        _verdict(row, goal)
        for row in rows
        for goal in row.workload.goals
        if (goal.measure == "threads") == (row.threads > 1)
    ]


def scaling_verdicts(rows: list[Row]) -> list[Verdict]:
    """Whether time grows as the work does: doubled N and T, and H = 1024 against 256."""
    found = []
    for row in rows:
        times = {label: found.seconds for label, found in row.measurements.items()}
        name = row.workload.name
        if "2N" in times:
            for label in ("2N", "2T"):
                ratio = _quotient(times[label], times[name])
                reached = None if ratio is None else abs(ratio - 2.0) <= 0.15
                measured = _figure(ratio, ".3f", " times as long")
                found.append(Verdict(name, f"{label}: 2.0 +/- 0.15", measured, reached))
        else:
            cost = {
                label: found.seconds / (found.contestant.workload.flops / 2) * 1e12
                for label, found in row.measurements.items()
            }
            ratio = _quotient(cost["H=1024"], cost["H=256"])
            reached = None if ratio is None else abs(ratio - 1.0) <= 0.15
            measured = (
                "not measured"
                if ratio is None
                else f"{cost['H=1024']:.2f} / {cost['H=256']:.2f} ps = {ratio:.3f}"
            )
            goal = "a multiply-add at H = 1024 within 15 % of H = 256"
            found.append(Verdict("width", goal, measured, reached))
    return found


def verdict_lines(found: list[Verdict]) -> str:
    """One line a goal."""
    words = {True: "reached", False: "MISSED", None: "-"}
    return "\n".join(
        f"{verdict.row:<11} {verdict.goal:<50} {verdict.measured:<28} {words[verdict.reached]}"
        for verdict in found
    )


def document(
    header: dict[str, Any], rows: list[Row], scaling: list[Row], found: list[Verdict]
) -> dict[str, Any]:
    """Everything, for JSON: seconds for one unit; absent numbers are null."""
    return {
        "header": {**header, "versions": versions([*rows, *scaling])},
        "rows": [_row_document(row) for row in rows],
        "scaling": [_row_document(row) for row in scaling],
        "goals": [asdict(verdict) for verdict in found],
    }


_STATUS = {"absent": "skipped", "wrong": "WRONG, not timed", "failed": "FAILED"}


def _row_document(row: Row) -> dict[str, Any]:
    workload = asdict(row.workload)
    del workload["goals"]
    return {
        "workload": workload,
        "flops": row.workload.flops,
        "threads": row.threads,
        "peak_gflops": row.probe.peak or None,
        "probe": asdict(row.probe),
        "limit_seconds": row.bound.seconds if row.bound else None,
        "bound": row.bound.by if row.bound else None,
        "results": {
            label: {
                "status": found.status,
                "threads": found.contestant.threads,
                "seconds": found.seconds if found.status == "timed" else None,
                "turns": found.turns,
                "error": found.error if found.error < float("inf") else None,
                "gflops": found.contestant.workload.flops / found.seconds / 1e9 or None,
                "reason": found.reason or None,
            }
            for label, found in row.measurements.items()
        },
    }


def _unit(row: Row) -> tuple[str, float]:
    return ("us", 1e6) if row.workload.kind == "step" else ("ms", 1e3)


def _cell(found: Measurement | None, scale: float, row: Row) -> str:
    if found is None:
        return ""
    if found.status != "timed":
        return {"absent": "-", "wrong": "WRONG", "failed": "FAILED"}[found.status]
    return digits((found.seconds - _bare_interpreter(row)) * scale)


def digits(value: float) -> str:
    """Three digits, all those before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _bare_interpreter(row: Row) -> float:
    """Seconds of an interpreter that imports nothing, which import times are over."""
    return row.measurements["python"].seconds if row.workload.kind == "import" else 0.0


def _best_peer(row: Row, names: tuple[str, ...]) -> Measurement | None:
    found = [row.measurements[name] for name in names if name in row.measurements]
    timed = [measurement for measurement in found if measurement.status == "timed"]
    return min(timed, key=lambda measurement: measurement.seconds, default=None)


def _ratio_to_best(row: Row) -> str:
    ours, best = row.measurements.get("crnn"), _best_peer(row, _COLUMNS[1:])
    if row.workload.kind == "import" or ours is None or best is None:
        return ""
    ratio = _quotient(best.seconds, ours.seconds)
    return _figure(ratio, ".2f", "x") if ratio is not None else ""


def _roofline(row: Row, scale: float) -> list[str]:
    if row.workload.kind == "import":
        return [""] * 5
    limit = [digits(row.bound.seconds * scale), row.bound.by] if row.bound else ["", ""]
    peak = row.probe.peak * (row.threads if row.bound and row.bound.by == "FMA" else 1)
    ours = row.measurements.get("crnn")
    if ours is None or ours.status != "timed":
        return [*limit, "", f"{peak:.0f}", ""]
    rate = row.workload.flops / ours.seconds / 1e9
    return [*limit, f"{rate:.1f}", f"{peak:.0f}", f"{100 * rate / peak:.1f}"]


def _verdict(row: Row, goal: Goal) -> Verdict:
    ours = row.measurements["crnn"].seconds
    name, value = row.workload.name, goal.value
    if goal.measure == "threads":
        ratio = _quotient(row.measurements["crnn x1"].seconds, ours)
        wanted = f"{row.threads} threads against 1: at least {value:g}x"
        return Verdict(name, wanted, _figure(ratio, ".2f", "x"), _at_least(ratio, value))
    if goal.measure == "peak":
        peak = row.probe.peak
        percent = 100 * row.workload.flops / ours / 1e9 / peak if ours < float("inf") else None
        wanted = f"at least {value:g} % of the FMA peak"
        return Verdict(name, wanted, _figure(percent, ".1f", " %"), _at_least(percent, value))
    if goal.measure == "time":
        micro = ours * 1e6 if ours < float("inf") else None
        reached = None if micro is None else micro <= value * 1e6
        return Verdict(name, f"at most {value * 1e6:g} us", _figure(micro, ".2f", " us"), reached)
    if goal.measure == "import":
        against = row.measurements.get(goal.against)
        more = (ours - against.seconds) * 1e3 if against is not None else float("nan")
        known = abs(more) < float("inf")
        wanted = f"at most {value * 1e3:g} ms more than {goal.against}"
        reached = more <= value * 1e3 if known else None
        return Verdict(name, wanted, _figure(more if known else None, ".1f", " ms"), reached)
    best = _best_peer(row, NAMED if goal.against == "best" else (goal.against,))
    ratio = None if best is None else _quotient(best.seconds, ours)
    whom = "the best peer" if goal.against == "best" else goal.against
    measured = _figure(ratio, ".2f", f"x ({best.contestant.label})" if best else "x")
    wanted = f"at least {value:g}x {whom}"
    return Verdict(name, wanted, measured, _at_least(ratio, value))


def _quotient(above: float, below: float) -> float | None:
    """above / below, or None where one of them was not measured."""
    return above / below if max(above, below) < float("inf") else None


def _at_least(measured: float | None, wanted: float) -> bool | None:
    return None if measured is None else measured >= wanted


def _figure(value: float | None, form: str, unit: str) -> str:
    return "not measured" if value is None else f"{value:{form}}{unit}"


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cpu_flags() -> str:
    """The widest of the ISAs that the system reports, where crnn cannot be asked."""
    cpuinfo = Path("/proc/cpuinfo")
    words = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return next((name for name in ("avx512f", "avx2", "asimd") if name in words), "unknown")
