"""The command `python -m bench`: which rows, against whom, and where the result goes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import harness, report
from bench.harness import Contestant, Row
from bench.peers import PEERS, enters
from bench.workloads import SCALED, WORKLOADS, Workload, variants, widths


def main(arguments: list[str] | None = None) -> int:
    """Race, print, write; 1 if a result was wrong or a process failed, 2 for a bad argument."""
    options = _options(arguments)
    header = report.machine(options.threads, options.rounds)
    print(report.heading(header), flush=True)
    rows = [
        _race(_contestants(WORKLOADS[name], options.peers, options.threads), options)
        for name in options.only
    ]
    scaling = []
    if options.scaling:
        names = [name for name in SCALED if name in options.only]
        for series in [*(variants(WORKLOADS[name]) for name in names), widths()]:
            entries = [Contestant(k, "crnn", w, options.threads) for k, w in series.items()]
            scaling.append(_race(entries, options))
    known = report.versions([*rows, *scaling])
    print("versions: " + ", ".join(f"{name} {version}" for name, version in known.items()) + "\n")
    print(report.table(rows) + "\n")
    for remark in report.remarks([*rows, *scaling]):
        print(remark)
    verdicts = report.verdicts(rows) + report.scaling_verdicts(scaling)
    print("\ngoals\n" + report.verdict_lines(verdicts))
    document = report.document(header, rows, scaling, verdicts)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.plot:
        from bench import plot  # matplotlib is needed only here

        plot.draw(document, options.plot)
    bad = [
        found
        for row in (*rows, *scaling)
        for found in row.measurements.values()
        if found.status in ("wrong", "failed")
    ]
    return 1 if bad else 0


def _contestants(workload: Workload, peers: list[str], threads: int) -> list[Contestant]:
    """crnn and the row's peers; with several threads crnn on one as well."""
    bare = ["python"] if workload.kind == "import" else []
    names = ["crnn", *bare, *peers]
    entries = [Contestant(n, n, workload, threads) for n in names if enters(n, workload)]
    if threads > 1 and workload.kind == "train":
        entries.insert(1, Contestant("crnn x1", "crnn", workload, 1))
    return entries


def _race(contestants: list[Contestant], options: argparse.Namespace) -> Row:
    print(f"{contestants[0].workload.name} ...", file=sys.stderr, flush=True)
    return harness.race(contestants, rounds=options.rounds, budget=options.budget)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="crnn and its peers, side by side in one run"
    )
    parser.add_argument(
        "--only", type=_names(WORKLOADS), default=list(WORKLOADS), help="rows, by comma"
    )
    parser.add_argument("--peers", type=_names(PEERS), default=list(PEERS), help="peers, by comma")
    parser.add_argument("--threads", type=int, default=1, help="threads and processors of each")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument(
        "--budget", type=float, default=0.3, help="least seconds of one turn (default 0.3)"
    )
    parser.add_argument("--scaling", action="store_true", help="also double N and T, and widen H")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--plot", type=Path, help="draw the rows into this file (matplotlib)")
    options = parser.parse_args(arguments)
    for name in ("rounds", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    try:
        harness.processors(options.threads)
    except ValueError as reason:
        parser.error(f"--{reason}")
    return options


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """A parser of comma-separated names, each one of `known`."""
    choices = list(known)

    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in choices:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(choices)}")
        return names

    return parse


if __name__ == "__main__":
    sys.exit(main())
