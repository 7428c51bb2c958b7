"""Reports of the races: tables, JSON, and lines about the machine."""

from __future__ import annotations

import datetime
import os
import platform
from dataclasses import asdict
from typing import Any

from bench import peers
from bench.harness import Measurement, Row
from bench.instruction_sets import INSTRUCTION_SETS, cpu_name, inherited

_HEADINGS = {"jax-unrolled": "jax-unr.", "onnxruntime": "onnxrt"}
_STATUS = {"absent": "skipped", "wrong": "WRONG, not timed", "failed": "FAILED"}


def machine(isa: str, variables: dict[str, str], threads: int, rounds: int) -> dict[str, Any]:
    """Processor, instruction set, load and date; `variables` are those of the workers."""
    known = INSTRUCTION_SETS.get(isa)
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": cpu_name(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "isa": known.title if known else isa,
        "inherited": {k: v for k, v in inherited().items() if k not in variables},
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
    lines = [
        f"{header['isa']} on {header['cpu']}, {counted(header['processors'], 'processor')}{busy}",
        f"{header['date']}; {header['system']}; Python {header['python']}",
        f"{counted(header['threads'], 'thread')} each, best of {header['rounds']} interleaved "
        "rounds",
    ]
    # Such a variable can slow a library, which is then not the strongest peer.
    lines += [f"set in the environment: {k}={v}" for k, v in header["inherited"].items()]
    return "\n".join(lines)


def counted(number: int, noun: str) -> str:
    """A number and a noun, singular or plural."""
    return f"one {noun}" if number == 1 else f"{number} {noun}s"


def versions(rows: list[Row]) -> dict[str, str]:
    """Library versions of all peers that ran."""
    found = [m.software for row in rows for m in row.measurements.values()]
    return {name: version for name, version in found if version}


def table(rows: list[Row]) -> str:
    """One line per row: each time, the strongest peer, crnn's ratio to it, the roofline."""
    columns = _columns(rows)
    # With several threads, the table also shows crnn's time with one.
    if any("crnn x1" in row.measurements for row in rows):
        columns.insert(1, "crnn x1")
    titles = ["row", "unit", *(_HEADINGS.get(name, name) for name in columns)]
    titles += ["strongest", "strongest/crnn", "limit", "bound", "GFLOP/s", "peak", "% peak"]
    lines = [titles]
    for row in rows:
        unit, scale = _unit(row)
        cells = [row.workload.name, unit]
        cells += [_cell(_of_column(row, name), scale, row) for name in columns]
        cells += [*_strongest_cells(row), *_roofline(row, scale)]
        lines.append(cells)
    return _aligned(lines)


def variants(rows: list[Row]) -> str:
    """One line per row: the time of each contestant of c-blas; empty if there is none."""
    members = [
        label
        for label in peers.contestants("c-blas")
        if any(_status(row, label) == "timed" for row in rows)
    ]
    lines = [["row", "unit", *members]]
    for row in rows:
        unit, scale = _unit(row)
        if any(label in row.measurements for label in members):
            cells = [_cell(row.measurements.get(label), scale, row) for label in members]
            lines.append([row.workload.name, unit, *cells])
    return _aligned(lines) if members else ""


def side_by_side(rows: list[Row]) -> str:
    """With N threads, one line per row: the speed-up of N threads and of N processes.

    threads: t1 / tN. processes: N t1 / t, where t is the time of one unit while N processes run.
    Empty without these times.
    """
    lines = [["row", "unit", "crnn x1", "crnn", "processes", "gain", "theirs", "gain/theirs"]]
    for row in rows:
        labels = ["crnn x1", "crnn", f"crnn x{row.threads} processes"]
        if row.threads == 1 or any(_status(row, label) != "timed" for label in labels):
            continue
        unit, scale = _unit(row)
        one, several, aside = (row.measurements[label].seconds for label in labels)
        gain, theirs = one / several, row.threads * one / aside
        cells = [digits(seconds * scale) for seconds in (one, several, aside)]
        lines.append(
            [row.workload.name, unit, *cells]
            + [f"{ratio:.2f}x" for ratio in (gain, theirs)]
            + [f"{gain / theirs:.2f}"]
        )
    return _aligned(lines) if len(lines) > 1 else ""


def remarks(rows: list[Row]) -> list[str]:
    """Contestants that were not timed or do not count, and probes below the peak, by reason."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}

    def note(reason: str, label: str, row: Row) -> None:
        labels, names = found.setdefault(reason, ({}, {}))
        labels[label] = names[row.workload.name] = None

    for row in rows:
        for label, measurement in row.measurements.items():
            if measurement.status != "timed":
                note(f"{_STATUS[measurement.status]}, {measurement.reason}", label, row)
            elif not measurement.contestant.comparable:
                note("* uses wider vectors than the others and does not count", label, row)
        if row.probe.fma and row.probe.matmul > 1.02 * row.probe.fma:
            note("faster than the FMA probe, and taken as the peak", "NumPy's matmul", row)
        elif row.probe.matmul and not row.probe.fma:
            note("taken as the peak, because crnn's FMA probe is absent", "NumPy's matmul", row)
    return [
        f"{', '.join(labels)}: {reason} ({', '.join(names)})"
        for reason, (labels, names) in found.items()
    ]


def scaling(rows: list[Row]) -> str:
    """How time grows when N or T doubles, and the cost of a multiply-add at H = 1024 and 256."""
    lines = []
    for row in rows:
        times = {
            label: found.seconds
            for label, found in row.measurements.items()
            if found.status == "timed"
        }
        if len(times) < len(row.measurements):
            continue
        name = row.workload.name
        if "2N" in times:
            grown = [f"{label}: {times[label] / times[name]:.3f}x" for label in ("2N", "2T")]
            lines.append(f"{name}, time against that of N and T: {', '.join(grown)}")
        else:
            cost = {
                label: seconds / (row.measurements[label].contestant.workload.flops / 2) * 1e12
                for label, seconds in times.items()
            }
            lines.append(
                f"a multiply-add at H = 1024 against H = 256: {cost['H=1024']:.2f} / "
                f"{cost['H=256']:.2f} ps = {cost['H=1024'] / cost['H=256']:.3f}"
            )
    return "\n".join(lines)


def document(header: dict[str, Any], rows: list[Row], scaled: list[Row]) -> dict[str, Any]:
    """Everything, for JSON: seconds for one unit; absent numbers are null."""
    return {
        "header": {**header, "versions": versions([*rows, *scaled])},
        "rows": [_row_document(row) for row in rows],
        "scaling": [_row_document(row) for row in scaled],
    }


def strongest(row: Row) -> Measurement | None:
    """The fastest peer of a row; None if only crnn was timed."""
    timed = [
        found
        for found in row.measurements.values()
        if found.status == "timed"
        and found.contestant.comparable
        and found.contestant.peer not in ("crnn", "python")
    ]
    return min(timed, key=lambda found: found.seconds, default=None)


def digits(value: float) -> str:
    """Three significant digits, but no rounding before the decimal point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _row_document(row: Row) -> dict[str, Any]:
    best = strongest(row)
    return {
        "workload": asdict(row.workload),
        "flops": row.workload.flops,
        "threads": row.threads,
        "peak_gflops": row.probe.peak or None,
        "probe": asdict(row.probe),
        "limit_seconds": row.bound.seconds if row.bound else None,
        "bound": row.bound.by if row.bound else None,
        "strongest": best.contestant.label if best else None,
        "strongest_over_crnn": _ratio_to_strongest(row),
        "results": {
            label: {
                "status": found.status,
                "column": peers.column(found.contestant.peer),
                "threads": found.contestant.threads,
                "processes": found.contestant.processes,
                "comparable": found.contestant.comparable,
                "seconds": found.seconds if found.status == "timed" else None,
                "turns": found.turns,
                "error": found.error if found.error < float("inf") else None,
                "gflops": found.contestant.workload.flops / found.seconds / 1e9 or None,
                "reason": found.reason or None,
            }
            for label, found in row.measurements.items()
        },
    }


def _columns(rows: list[Row]) -> list[str]:
    """crnn and the peers that have an entry in at least one row."""
    present = {
        peers.column(found.contestant.peer) for row in rows for found in row.measurements.values()
    }
    return [name for name in ("crnn", *peers.PEERS) if name in present]


def _of_column(row: Row, name: str) -> Measurement | None:
    """crnn itself, or a peer's best contestant, timed if there is one."""
    if name in row.measurements:
        return row.measurements[name]
    found = [m for m in row.measurements.values() if peers.column(m.contestant.peer) == name]
    # A contestant that was not timed has infinite seconds.
    return min(found, key=lambda measurement: measurement.seconds, default=None)


def _status(row: Row, label: str) -> str:
    return row.measurements[label].status if label in row.measurements else "absent"


def _ratio_to_strongest(row: Row) -> float | None:
    best = strongest(row)
    if row.workload.kind == "import" or best is None or _status(row, "crnn") != "timed":
        return None
    return best.seconds / row.measurements["crnn"].seconds


def _strongest_cells(row: Row) -> list[str]:
    ratio, best = _ratio_to_strongest(row), strongest(row)
    return ["", ""] if ratio is None or best is None else [best.contestant.label, f"{ratio:.2f}x"]


def _aligned(lines: list[list[str]]) -> str:
    """Align the first two columns left and the numbers right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _unit(row: Row) -> tuple[str, float]:
    return ("us", 1e6) if row.workload.kind == "step" else ("ms", 1e3)


def _cell(found: Measurement | None, scale: float, row: Row) -> str:
    if found is None:
        return ""
    if found.status != "timed":
        return {"absent": "-", "wrong": "WRONG", "failed": "FAILED"}[found.status]
    mark = "" if found.contestant.comparable else "*"
    return digits((found.seconds - _bare_interpreter(row)) * scale) + mark


def _bare_interpreter(row: Row) -> float:
    """Seconds of an interpreter that imports nothing. Import times are without them."""
    return row.measurements["python"].seconds if row.workload.kind == "import" else 0.0


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
