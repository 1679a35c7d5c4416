"""``python -m benchmarks``: measures, prints the table, and keeps it in ``RESULTS.md``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.contenders import available
from benchmarks.measures import PROBES, Effort, Probe
from benchmarks.rounds import ProbeError, measure
from benchmarks.sections import INTAKE, kept, put
from benchmarks.sink import running

RESULTS: Final = Path(__file__).with_name("RESULTS.md")


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; 0 when everything was measured."""
    options = _parser().parse_args(arguments)
    measured = {}
    failures = []
    with running() as sink_url:
        for name in options.only or PROBES:
            effort = _effort(PROBES[name], options)
            try:
                measured[name] = measure(name, available(), effort, sink_url, _say)
            except ProbeError as error:
                failures.append(error)
    print(report.table(measured))
    if failures:  # what was measured is shown, but it is no whole result
        _say("\n".join(f"benchmarks: {failure}" for failure in failures))
        return 1
    is_whole = not (options.only or options.rounds or options.scale != 1)
    results = options.results or (RESULTS if is_whole else None)
    if results:
        page = report.document(measured, _command(options), datetime.now(UTC))
        before = results.read_text("utf-8") if results.exists() else ""
        if others := kept(before, INTAKE):
            page = put(page, INTAKE, others)
        results.write_text(page, encoding="utf-8")
    return 0


def _command(options: argparse.Namespace) -> str:
    """What makes the same measurements again."""
    words = [
        *(["--full"] if options.full else []),
        *(word for name in options.only or () for word in ("--only", name)),
        *([f"--rounds={options.rounds}"] if options.rounds else []),
        *([f"--scale={options.scale:g}"] if options.scale != 1 else []),
    ]
    return f"make bench BENCH_ARGS={shlex.quote(' '.join(words))}" if words else "make bench"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--full",
        action="store_true",
        help="more and longer rounds; the caller's p99.9 over 60,000 events, a quarter of an hour",
    )
    parser.add_argument("--only", action="append", choices=PROBES, help="this probe; repeatable")
    parser.add_argument("--rounds", type=int, help="so many rounds of every probe")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the work a round")
    parser.add_argument(
        "--results",
        type=Path,
        help="where to keep the table; that of a limited run is not kept unless this is given",
    )
    return parser


def _effort(probe: Probe, options: argparse.Namespace) -> Effort:
    effort = probe.full if options.full else probe.quick
    size = max(1, round(effort.size * options.scale))
    return replace(effort, size=size, rounds=options.rounds or effort.rounds)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
