"""The intake's figures as a section of ``RESULTS.md``, beside whatever else stands there."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from benchmarks.intake.measures import ROWS, Effort, Figures, Row
from benchmarks.sections import INTAKE, fenced

_HEADINGS: Final = ("measure", "median", "rounds", "must", "reached")


def table(rounds: Sequence[Figures], effort: Effort) -> str:
    """The table, in Markdown that is readable as it stands."""
    lines = [_HEADINGS, *(_cells(row, rounds, effort) for row in ROWS)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    dashes = tuple("-" * width for width in widths)
    return "\n".join(_line(cells, widths) for cells in (lines[0], dashes, *lines[1:]))


def section(rounds: Sequence[Figures], effort: Effort, command: str, now: datetime) -> str:
    """The section, marks included."""
    return fenced(
        INTAKE,
        _SECTION.format(
            command=command,
            date=now.astimezone(UTC).date().isoformat(),
            table=table(rounds, effort),
            rounds=len(rounds),
            seconds=effort.seconds,
        ),
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _cells(row: Row, rounds: Sequence[Figures], effort: Effort) -> tuple[str, ...]:
    values = [figures[row.figure] for figures in rounds]
    median = statistics.median(values)
    return (
        row.title.format(recovered_events=effort.recovered_events),
        f"{_amount(median)} {row.unit}",
        f"{_amount(min(values))} to {_amount(max(values))}",
        _goal(row),
        _reached(row, median),
    )


def _goal(row: Row) -> str:
    if row.at_least is not None:
        return f"≥ {_amount(row.at_least)}"
    return "–" if row.at_most is None else f"≤ {_amount(row.at_most)}"


def _reached(row: Row, median: float) -> str:
    if row.at_least is None and row.at_most is None:
        return "–"
    is_reached = median >= (row.at_least or 0) and median <= (row.at_most or math.inf)
    return "yes" if is_reached else "no"


def _amount(value: float) -> str:
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{digits}f}" if digits else f"{value:,.0f}"


_SECTION: Final = """\
# Intake

The server's intake on this machine, by

    {command}

{date}

{table}

Server and load are processes that share the machine's cores, as is the process that drains. The
load posts bodies of ten events, half of them decisions, 4 KB each, over 64 kept-alive connections,
a request at a time on each; where it keeps a pace, over 256, and an answer's time begins when the
request was due. Loads last {seconds:g} seconds; medians are of {rounds} rounds. "Without any fsync"
is the same server with that call taken out, for comparison only. Recovery is from the start of a
server on a log that another one left until the last event is in the lake.
"""
