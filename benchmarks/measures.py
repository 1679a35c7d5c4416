"""The registry: which probes there are and how hard they work, and which figures the table shows.

To add a measure, write a probe in ``probes/``, give it a line in ``PROBES``, and each figure that
the table shall show a line in ``ROWS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.probes import calls, delivery, footprint, starting
from benchmarks.task import Figures, Task


@dataclass(frozen=True, slots=True)
class Effort:
    """How many rounds a contender works, and how much in each, in the probe's own measure."""

    rounds: int
    size: int


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe, with the efforts of a quick and of a full run."""

    run: Callable[[Task], Figures]
    quick: Effort
    full: Effort


@dataclass(frozen=True, slots=True)
class TimesBetter:
    """A goal beside the official SDK: its figure is so many times ours, or ours so many its."""

    must: float
    aim: float


@dataclass(frozen=True, slots=True)
class AtMost:
    """A goal by itself, in the row's unit."""

    must: float
    aim: float


Goal = TimesBetter | AtMost


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a figure of a probe, in a unit, and what it has to reach if anything."""

    title: str
    probe: str
    figure: str
    unit: str
    goal: Goal | None = None
    is_more_better: bool = False


PROBES: Final[Mapping[str, Probe]] = {
    "track_event": Probe(calls.track_event, Effort(9, 2_000), Effort(15, 2_000)),
    "delivery": Probe(delivery.deliver, Effort(9, 10_000), Effort(15, 30_000)),
    "delivery_new_users": Probe(
        delivery.deliver_for_new_users, Effort(5, 10_000), Effort(9, 30_000)
    ),
    "decide": Probe(calls.decide, Effort(9, 40), Effort(15, 40)),
    "decide_all": Probe(calls.decide_all, Effort(9, 4), Effort(15, 4)),
    "construct": Probe(calls.construct, Effort(9, 1), Effort(15, 1)),
    "start": Probe(starting.start, Effort(7, 5), Effort(15, 5)),
    "dependencies": Probe(starting.depend, Effort(1, 1), Effort(1, 1)),
    "wait": Probe(delivery.wait, Effort(3, 10_000), Effort(5, 60_000)),
    "small_client": Probe(footprint.small_client, Effort(3, 1), Effort(5, 1)),
    "large_client": Probe(footprint.large_client, Effort(3, 1), Effort(5, 1)),
    "waiting_events": Probe(footprint.waiting_events, Effort(3, 10_000), Effort(5, 10_000)),
}

ROWS: Final = (
    Row(
        "`track_event`, 6 attributes, 5 tags, caller's thread",
        *("track_event", "track_us", "µs"),
        goal=TimesBetter(15, 40),
    ),
    Row(
        "the same, in a file before it returns (native only; the others: in memory)",
        *("track_event", "track_safe_us", "µs"),
        goal=TimesBetter(8, 12),
    ),
    Row(
        "CPU per tracked event, everything to the HTTP response, batches of 100",
        *("delivery", "cpu_us", "µs"),
        goal=TimesBetter(15, 25),
    ),
    Row(
        "delivered events per second, one process, local sink, batches of 100",
        *("delivery", "events_per_s", "/s"),
        goal=TimesBetter(12, 20),
        is_more_better=True,
    ),
    Row(
        "`decide`, no event, mean over 10 flags",
        *("decide", "decide_us", "µs"),
        goal=TimesBetter(8, 12),
    ),
    Row(
        "`decide_all`, 500 flags, no events",
        *("decide_all", "decide_all_ms", "ms"),
        goal=TimesBetter(10, 20),
    ),
    Row(
        "client from a 5 MB datafile, validated",
        *("construct", "construct_ms", "ms"),
        goal=TimesBetter(8, 12),
    ),
    Row("import", "start", "import_ms", "ms", goal=AtMost(40, 32)),
    Row(
        "import + client + first `decide`",
        *("start", "first_decision_ms", "ms"),
        goal=AtMost(40, 32),
    ),
    Row("dependencies, transitive", "dependencies", "dependencies", "", goal=AtMost(4, 4)),
    Row(
        "caller's p99.9 of `track_event` at 1,000/s, really delivered, {size:,} events",
        *("wait", "p999_us", "µs"),
        goal=TimesBetter(3, 6),
    ),
    Row("the same, p99", "wait", "p99_us", "µs"),
    Row("the same, p50", "wait", "p50_us", "µs"),
    Row("the same, events that did not arrive", "wait", "lost", ""),
    Row(
        "user context + `track_event`, each event a new user, caller's thread",
        *("track_event", "create_and_track_us", "µs"),
    ),
    Row(
        "CPU per tracked event, each event a new user, to the HTTP response",
        *("delivery_new_users", "cpu_us", "µs"),
    ),
    Row("`decide` with its event, mean over 10 flags", "decide", "decide_and_send_us", "µs"),
    Row(
        "client from a 5 MB datafile + first `decide_all`",
        *("construct", "first_decisions_ms", "ms"),
    ),
    Row("memory of a client, 42 KB datafile", "small_client", "small_mb", "MB"),
    Row("memory of a client, 5 MB datafile", "large_client", "large_mb", "MB"),
    Row("memory of 10,000 waiting events", "waiting_events", "waiting_mb", "MB"),
)
