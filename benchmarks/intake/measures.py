"""One round of everything that is measured, and what the figures mean."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.intake.running import NEVER_S, fill_log, running

CONNECTIONS: Final = 64
PACED_CONNECTIONS: Final = 256
SUSTAINED_PER_S: Final = 40_000

Figures = dict[str, float]


@dataclass(frozen=True)
class Effort:
    """How long each load lasts, and how many events a recovery has before it."""

    seconds: float
    recovered_events: int


@dataclass(frozen=True)
class Row:
    """A line of the table: a figure, its unit, and the least or the most it must be."""

    title: str
    figure: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None


ROWS: Final = (
    Row("taken, fsynced, drain paused", "safe_per_s", "events/s", at_least=80_000),
    Row("the same without any fsync", "unsafe_per_s", "events/s"),
    Row("fsynced in proportion to that, of each round", "safe_share", "%", at_least=50),
    Row("CPU of the server, fsynced", "safe_cpu_us", "µs an event"),
    Row("answered at half that rate, p50", "half_p50_ms", "ms"),
    Row("answered at half that rate, p99", "half_p99_ms", "ms", at_most=50),
    Row("taken while the drain runs", "both_per_s", "events/s", at_least=40_000),
    Row("drained meanwhile", "both_drained_per_s", "events/s"),
    Row(
        f"drained while {SUSTAINED_PER_S:,} events a second come",
        "sustained_drained_per_s",
        "events/s",
    ),
    Row("answered meanwhile, p99", "sustained_p99_ms", "ms"),
    Row("drained, nothing being taken", "drain_per_s", "events/s", at_least=100_000),
    Row("recovery of {recovered_events:,} logged events", "recovery_s", "s", at_most=60),
)


def round_of(effort: Effort, say: Callable[[str], None]) -> Figures:
    """Everything once, in directories that are gone afterwards."""
    figures: Figures = {}
    for name, part in (
        ("taking events in", _taken),
        ("taking and draining", _taken_and_drained),
        ("recovering", _recovered),
    ):
        say(name)
        with tempfile.TemporaryDirectory(
            prefix="tallybook-intake-",
            ignore_cleanup_errors=True,  # the process that drains may not have ended yet
        ) as folder:
            figures |= part(Path(folder), effort)
    return figures


def _taken(folder: Path, effort: Effort) -> Figures:
    with running(folder / "safe", NEVER_S) as server:
        server.load(CONNECTIONS, 1)  # what is imported and allocated once
        safe = server.load(CONNECTIONS, effort.seconds)
        half = server.load(PACED_CONNECTIONS, effort.seconds, safe["events_per_s"] / 2)
    with running(folder / "unsafe", NEVER_S, "unsafe") as server:
        server.load(CONNECTIONS, 1)
        unsafe = server.load(CONNECTIONS, effort.seconds)
    return {
        "safe_per_s": safe["events_per_s"],
        "safe_cpu_us": safe["server_cpu_us"],
        "unsafe_per_s": unsafe["events_per_s"],
        "safe_share": safe["events_per_s"] / unsafe["events_per_s"] * 100,
        "half_p50_ms": half["p50_ms"],
        "half_p99_ms": half["p99_ms"],
    }


def _taken_and_drained(folder: Path, effort: Effort) -> Figures:
    with running(folder / "both", 1) as server:
        server.load(CONNECTIONS, 2)  # until the drain runs without a pause
        before, began_s = server.drained(), time.perf_counter()
        both = server.load(CONNECTIONS, effort.seconds)
        both_drained = (server.drained() - before) / (time.perf_counter() - began_s)
    with running(folder / "sustained", 1) as server:
        server.load(PACED_CONNECTIONS, 2, SUSTAINED_PER_S)
        before, began_s = server.drained(), time.perf_counter()
        sustained = server.load(PACED_CONNECTIONS, effort.seconds, SUSTAINED_PER_S)
        drained = (server.drained() - before) / (time.perf_counter() - began_s)
    return {
        "both_per_s": both["events_per_s"],
        "both_drained_per_s": both_drained,
        "sustained_drained_per_s": drained,
        "sustained_p99_ms": sustained["p99_ms"],
    }


def _recovered(folder: Path, effort: Effort) -> Figures:
    fill_log(folder / "data" / "log", effort.recovered_events)
    began_s = time.perf_counter()
    with running(folder / "data", 0.01) as server:
        ready_s = time.perf_counter()
        server.await_drained(effort.recovered_events)
        done_s = time.perf_counter()
    return {
        "drain_per_s": effort.recovered_events / (done_s - ready_s),
        "recovery_s": done_s - began_s,
    }
