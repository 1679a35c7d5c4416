"""Measurements as a table for people: medians, ratios, and whether goals are reached."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from benchmarks.contenders import DROP_IN, NATIVE, OFFICIAL
from benchmarks.environment import described
from benchmarks.measures import ROWS, AtMost, Goal, Row
from benchmarks.rounds import Measured

_NONE: Final = "–"
_HEADINGS: Final = (
    *("measure", "official", "Tallybook", "ratio", "rounds' ratios", "must", "aim", "reached"),
    *("drop-in", "ratio", "reached"),
)


def table(measured: Mapping[str, Measured]) -> str:
    """The table, in Markdown that is readable as it stands."""
    lines = [
        _HEADINGS,
        *(_cells(row, measured[row.probe]) for row in ROWS if row.probe in measured),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    dashes = tuple("-" * width for width in widths)
    return "\n".join(_line(cells, widths) for cells in (lines[0], dashes, *lines[1:]))


def document(measured: Mapping[str, Measured], command: str, now: datetime) -> str:
    """The page ``RESULTS.md``."""
    surroundings = "\n".join(f"- {name}: {value}" for name, value in described().items())
    efforts = ", ".join(
        f"{name} {m.effort.rounds} × {m.effort.size:,}" for name, m in measured.items()
    )
    return _PAGE.format(
        command=command,
        date=now.astimezone(UTC).date().isoformat(),
        surroundings=surroundings,
        table=table(measured),
        efforts=efforts,
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _cells(row: Row, measured: Measured) -> tuple[str, ...]:
    official, ours, drop_in = (
        measured.median(name, row.figure) for name in (OFFICIAL, NATIVE, DROP_IN)
    )
    paired = [_ratio(row, *pair) for pair in measured.pairs(OFFICIAL, NATIVE, row.figure)]
    return (
        row.title.format(size=measured.effort.size),
        _amount(official, row.unit),
        _amount(ours, row.unit),
        _times(_ratio(row, official, ours)),
        _span([ratio for ratio in paired if ratio is not None]),
        *_goal(row),
        _reached(row.goal, ours, _ratio(row, official, ours)),
        _amount(drop_in, row.unit),
        _times(_ratio(row, official, drop_in)),
        _reached(row.goal, drop_in, _ratio(row, official, drop_in)),
    )


def _ratio(row: Row, official: float | None, ours: float | None) -> float | None:
    """How many times better ours is, with more than 1 for better; ``None`` if that says nothing."""
    if not official or not ours or not math.isfinite(official * ours) or ours < 0:
        return None
    return ours / official if row.is_more_better else official / ours


def _reached(goal: Goal | None, ours: float | None, ratio: float | None) -> str:
    if goal is None or ours is None:
        return _NONE
    if isinstance(goal, AtMost):
        return "aim" if ours <= goal.aim else "must" if ours <= goal.must else "no"
    if ratio is None:
        return _NONE
    return "aim" if ratio >= goal.aim else "must" if ratio >= goal.must else "no"


def _goal(row: Row) -> tuple[str, str]:
    if row.goal is None:
        return _NONE, _NONE
    if isinstance(row.goal, AtMost):
        return f"≤ {_amount(row.goal.must, row.unit)}", f"≤ {_amount(row.goal.aim, row.unit)}"
    return f"{row.goal.must:g} ×", f"{row.goal.aim:g} ×"


def _span(ratios: Sequence[float]) -> str:
    return f"{min(ratios):.1f} to {max(ratios):.1f}" if ratios else _NONE


def _times(ratio: float | None) -> str:
    return _NONE if ratio is None else f"{ratio:.1f} ×"


def _amount(value: float | None, unit: str) -> str:
    if value is None or not math.isfinite(value):
        return _NONE
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    exact = f"{value:,.0f}" if value == round(value) or digits == 0 else f"{value:,.{digits}f}"
    return f"{exact} {unit}".rstrip()


_PAGE: Final = """\
# Results

Tallybook and the official Python SDK on the same work, in one run, by

    {command}

{date}

{surroundings}

{table}

Figures are medians over rounds. A round is a fresh process; the rounds of the contenders are
interleaved, so that whatever else the machine does falls on all of them. A ratio above 1 says that
Tallybook is better; "rounds' ratios" are the worst and the best of a single round. "Reached" says
which goal the median reaches, if any; rows without a goal are for information.

- Calls on the caller's thread are timed by that thread's CPU time, garbage collection included. No
  background work runs beside them: the official event processor is not started and its queue is
  unbounded; Tallybook's batches are larger and wait longer than the round lasts.
- Tallybook's journal is off, since no other SDK has one, but where "in a file" is said.
- Each event has a dictionary of tags of its own; six attributes are the user context's. Where it
  says "each event a new user", the user context is made for the event and paid for by it.
- CPU per event and events per second are of one process that tracks as fast as its SDK takes
  events without dropping any, until the sink, a process of its own, has answered for all; CPU is
  that of all threads. The official SDK runs its default event processor with batches of 100 and its
  own dispatcher, given the sink's address.
- The caller's percentiles are by the clock, of calls paced at 1,000 a second, with batches of each
  SDK's default size: 10 for the official event processor, 100 for Tallybook. The official one drops
  what its queue of 1,000 has no room for.
- Starting is by the clock: a process that does it, less a process that does nothing, in turn, each
  in a virtual environment that holds the SDK and its own dependencies.
- Memory is the resident size a client adds to a process that has one already, after a `decide_all`.

Rounds and their sizes: {efforts}.
"""
