"""The command `python -m bench`: choose rows and peers, run them, write the report."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import harness, instruction_sets, peers, report
from bench.harness import Contestant, Row
from bench.workloads import SCALED, WORKLOADS, Workload, variants, widths


def main(arguments: list[str] | None = None) -> int:
    """Run it. Returns 1 if a result was wrong or a process failed, 2 for a bad argument."""
    options = _options(arguments)
    header = report.machine(
        options.isa or "portable", options.variables, options.threads, options.rounds
    )
    print(report.heading(header), flush=True)
    rows, scaled = _races(options)
    known = report.versions([*rows, *scaled])
    print("versions: " + ", ".join(f"{name} {version}" for name, version in known.items()))
    parts = [report.table(rows), report.variants(rows), report.side_by_side(rows)]
    parts += [report.scaling(scaled), "\n".join(report.remarks([*rows, *scaled]))]
    print("\n" + "\n\n".join(part for part in parts if part))
    document = report.document(header, rows, scaled)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.plot:
        from bench import plot  # matplotlib is needed only here

        plot.draw(document, options.plot)
    bad = [
        found
        for row in (*rows, *scaled)
        for found in row.measurements.values()
        if found.status in ("wrong", "failed")
    ]
    return 1 if bad else 0


def _races(options: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    """The chosen rows, with those of --scaling."""
    scaled: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        variables = {**options.variables, "CRNN_BENCH_BUILD": folder}

        def race(entries: list[Contestant]) -> Row:
            print(f"{entries[0].workload.name} ...", file=sys.stderr, flush=True)
            return harness.race(
                entries, rounds=options.rounds, budget=options.budget, variables=variables
            )

        rows = [race(_contestants(WORKLOADS[name], options)) for name in options.only]
        if options.scaling:
            names = [name for name in SCALED if name in options.only]
            for series in [*(variants(WORKLOADS[name]) for name in names), widths()]:
                scaled.append(
                    race([Contestant(k, "crnn", w, options.threads) for k, w in series.items()])
                )
    return rows, scaled


def _contestants(workload: Workload, options: argparse.Namespace) -> list[Contestant]:
    """crnn and the row's peers. With N threads: also crnn with one, and N processes of crnn."""
    threads = options.threads
    bare = ["python"] if workload.kind == "import" else []
    names = ["crnn", *bare, *(name for peer in options.peers for name in peers.contestants(peer))]
    entries = [
        Contestant(name, name, workload, threads, comparable=name not in options.unrestricted)
        for name in names
        if peers.enters(name, workload)
    ]
    if threads > 1 and workload.kind in ("train", "predict"):
        beside = f"crnn x{threads} processes"
        entries[1:1] = [
            Contestant("crnn x1", "crnn", workload, 1),
            Contestant(beside, "crnn", workload, 1, processes=threads),
        ]
    return entries


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="compare the speed of crnn with that of its peers"
    )
    parser.add_argument(
        "--only", type=_names(WORKLOADS), default=list(WORKLOADS), help="rows, separated by commas"
    )
    parser.add_argument(
        "--peers",
        type=_names([*peers.PEERS, "all"]),
        default=list(peers.FRAMEWORKS),
        help=f"peers, in the same way, or all; by default all but {' and '.join(peers.C_PEERS)}",
    )
    parser.add_argument(
        "--isa", help="instruction set of crnn and of the peers that have such an option"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="threads and processors of each contestant"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument(
        "--budget", type=float, default=0.3, help="shortest turn in seconds (default 0.3)"
    )
    parser.add_argument("--scaling", action="store_true", help="also double N and T, and widen H")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--plot", type=Path, help="plot the rows to this file (matplotlib)")
    options = parser.parse_args(arguments)
    for name in ("rounds", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    try:
        harness.processors(options.threads)
    except ValueError as reason:
        parser.error(f"--{reason}")
    if "all" in options.peers:
        options.peers = list(peers.PEERS)
    _choose_instruction_set(options, parser)
    return options


def _choose_instruction_set(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Set `isa` (--isa, or $CRNN_ISA, or the best), the workers' `variables`, and `unrestricted`.

    `unrestricted` are the peers that cannot be kept to an instruction set below the best.
    """
    available = instruction_sets.available()
    if options.isa and options.isa not in available:
        parser.error(f"--isa must be one of {', '.join(available)} here, got {options.isa!r}")
    asked = options.isa or os.environ.get("CRNN_ISA")
    options.isa = asked or next(iter(available), None)
    if asked in available:
        options.variables = instruction_sets.restricted(asked)
    else:
        options.variables = {"CRNN_ISA": options.isa} if options.isa else {}
    below = options.isa in available[1:]
    options.unrestricted = instruction_sets.UNRESTRICTED if below else ()


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """A parser of comma-separated names, each one of `known`."""
    choices = list(known)

    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in choices:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(choices)}")
        return names

    return parse


if __name__ == "__main__":
    sys.exit(main())
