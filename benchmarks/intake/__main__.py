"""``python -m benchmarks.intake``: measures, prints the table, keeps it as a section."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.intake import page
from benchmarks.intake.measures import Effort, round_of
from benchmarks.sections import INTAKE, put

RESULTS: Final = Path(__file__).parents[1] / "RESULTS.md"
_QUICK: Final = Effort(seconds=5, recovered_events=200_000)
_FULL: Final = Effort(seconds=15, recovered_events=1_000_000)


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; 0 when everything was measured."""
    options = _parser().parse_args(arguments)
    effort = _FULL if options.full else _QUICK
    rounds = [
        round_of(effort, lambda part, n=number: _say(f"round {n + 1}: {part}"))
        for number in range(options.rounds)
    ]
    print(page.table(rounds, effort))
    results = options.results or (RESULTS if options.full else None)
    if results:
        command = f"python -m benchmarks.intake{' --full' * options.full} --rounds={options.rounds}"
        section = page.section(rounds, effort, command, datetime.now(UTC))
        before = results.read_text("utf-8") if results.exists() else ""
        results.write_text(put(before, INTAKE, section), "utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intake", description=__doc__)
    parser.add_argument("--full", action="store_true", help="longer loads, a million events")
    parser.add_argument("--rounds", type=int, default=3, help="so many rounds of everything")
    parser.add_argument(
        "--results",
        type=Path,
        help="the page that gets the section; that of a short run is not kept unless this is given",
    )
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
