"""The faults, each as what the sink does wrong and what the processes do."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from faults.client.outcomes import Outcome
from faults.client.trials import Trial, damage

SEED: Final = 20_261_124
OURS: Final = "tallybook"
DISK_FULL: Final = "The journal cannot be written, so events are in memory only"

_FILE_BYTES: Final = 300 * 1024  # room for the journal's first file, and not for its second
DAMAGES: Final = 10  # bytes
_UNSENT: Final = {"flush_interval_s": 600.0, "batch_size": 10_000}  # before the process ends


@dataclass(frozen=True)
class Size:
    """How much is tracked: ``events`` every ``pace_s`` seconds in most scenarios."""

    events: int
    pace_s: float
    burst: int
    outage: tuple[int, int, int]  # events in all; when the server goes down; when it is back
    fork: tuple[int, int]  # events before it, and in the child
    late_s: float
    poison_every: int
    disk: int
    look_s: float | None  # how often a living process looks for what others left; ``None``: usual
    delivery: Mapping[str, Any]
    limit_s: float  # for a process to end by itself


SMALL: Final = Size(
    events=300,
    pace_s=0.001,
    burst=5_000,
    outage=(300, 50, 250),
    fork=(20, 300),
    late_s=0.05,
    poison_every=100,
    disk=10_000,
    look_s=0.2,
    delivery={
        "batch_size": 20,
        "flush_interval_s": 0.02,
        "backoff_base_s": 0.02,
        "backoff_cap_s": 0.1,
        "exit_timeout_s": 60.0,
        "request_timeout_s": 60.0,
    },
    limit_s=120.0,
)
FULL: Final = Size(
    events=1_000,
    pace_s=0.005,
    burst=50_000,
    outage=(3_000, 600, 2_600),
    fork=(100, 1_500),
    late_s=2.0,
    poison_every=500,
    disk=20_000,
    look_s=None,
    delivery={},
    limit_s=90.0,
)


@dataclass(frozen=True)
class Scenario:
    """A row of the table.

    Attributes:
        name: What goes wrong, with the figures of the full size.
        play: Starts the processes, and waits for their end.
        happened: True when it did go wrong, in a trial of ours.
        faults: The sink's.
        delivery: Settings of ours that the row needs.
        of_journal: The fault is one of the journal, which no peer has.
        repeats: Copies may arrive: a reply was lost, or the process that waited for it.
        excused: How many events may be missing, given what the client reported.
    """

    name: str
    play: Callable[[Trial, Size], None]
    happened: Callable[[Outcome], bool]
    faults: Callable[[Size], Mapping[str, Any]] = lambda _: {}
    delivery: Callable[[Size], Mapping[str, Any]] = lambda _: {}
    of_journal: bool = False
    repeats: bool = False
    excused: Callable[[Outcome], int] = field(default=lambda outcome: sum(outcome.refused.values()))


def run(
    scenario: Scenario, size: Size, sdk: str, directory: Path, datafile: Path, **more: Any
) -> Outcome:
    """Try one scenario with one SDK."""
    directory.mkdir()
    options: dict[str, Any] = {"datafile": str(datafile), **more.pop("options", {})}
    if sdk == OURS:
        options["delivery"] = {**size.delivery, **scenario.delivery(size)}
        if size.look_s is not None:
            options["look_s"] = size.look_s
    faults = {"seed": SEED, **scenario.faults(size), **more.pop("faults", {})}
    plan = {"pace_s": size.pace_s, "options": options}
    with Trial(sdk, directory, faults, limit_s=size.limit_s, **plan) as trial:
        scenario.play(trial, size)
        return trial.outcome()


def poisoned(tracked: int, every: int) -> set[int]:
    """The markers that the sink calls poison."""
    return {n for n in range(tracked) if n % every == every // 2}


def _paced(trial: Trial, size: Size) -> None:
    trial.start(size.events).wait()


def _burst(trial: Trial, size: Size) -> None:
    trial.start(size.burst, pace_s=0).wait()


def _outage(trial: Trial, size: Size) -> None:
    count, down, up = size.outage
    trial.start(count, {down: "down", up: "up"}).wait()


def _leave(trial: Trial, size: Size) -> None:
    trial.start(size.events, end="leave", pace_s=0).wait()


def _ended_by(name: str) -> Callable[[Trial, Size], None]:
    def play(trial: Trial, size: Size) -> None:
        trial.start(size.events, {size.events // 2: name}, end="hold").wait()
        trial.start(size.events // 2).wait()

    return play


def _fork(trial: Trial, size: Size) -> None:
    before, after = size.fork
    trial.start(before + after, fork_after=before, pace_s=size.pace_s / 2).wait()


def _no_names(trial: Trial, size: Size) -> None:
    count, down, up = size.outage
    trial.start(count, world={"dns_until": up - down}).wait()


def _clock_back(trial: Trial, size: Size) -> None:
    trial.start(size.events, world={"clock_back_at": size.events // 2}).wait()


def _disk_full(trial: Trial, size: Size) -> None:
    is_small = trial.mount_small_disk(2 * _FILE_BYTES)
    world = {} if is_small else {"most_file_bytes": _FILE_BYTES}
    trial.start(size.disk, {size.disk: "heal"}, world=world, pace_s=0).wait()


def _corrupted(trial: Trial, size: Size) -> None:
    trial.start(size.events, {size.events: "SIGKILL"}, end="hold").wait()
    damage(trial.journal, random.Random(SEED), DAMAGES)
    trial.sink.tell("heal")
    trial.start(size.events // 2).wait()


def _two_processes(trial: Trial, size: Size) -> None:
    marks = {size.events // 2: "SIGKILL"}
    killed = trial.start(size.events, marks, _UNSENT, end="hold")
    living = trial.start(size.events, end="hold")
    killed.wait()
    trial.hold_until_quiet(living, quiet_s=30)


def _share(**faults: Any) -> Callable[[Size], Mapping[str, Any]]:
    return lambda _: faults


def _had_faults(outcome: Outcome) -> bool:
    return outcome.faults > 0


SCENARIOS: Final = (
    Scenario("healthy", _paced, lambda o: not o.faults and not o.counted("retried")),
    Scenario("20 % of the replies are 500", _paced, _had_faults, _share(share=0.2, status=500)),
    Scenario("server down 10 s", _outage, lambda o: o.counted("retried") > 0),
    Scenario(
        "every reply after 2 s",
        _paced,
        _had_faults,
        lambda size: {"after_s": size.late_s},
    ),
    Scenario(
        "50,000 events in a tight loop, then close()",
        _burst,
        lambda o: o.counted("accepted") > 4_000,
    ),
    Scenario("exit without close()", _leave, lambda o: o.statuses[0] == 0),
    Scenario(
        "SIGTERM, then a restart",
        _ended_by("SIGTERM"),
        lambda o: -signal.SIGTERM in o.statuses,
        delivery=lambda size: size.delivery and _UNSENT,
        repeats=True,
    ),
    Scenario(
        "SIGKILL midway, then a restart",
        _ended_by("SIGKILL"),
        lambda o: -signal.SIGKILL in o.statuses,
        repeats=True,
    ),
    Scenario(
        "a fork after 100 events, then 1,500 in the child", _fork, lambda o: len(o.reports) == 2
    ),
    Scenario(
        "413 above 50 events",
        _paced,
        _had_faults,
        _share(most_events=50),
        delivery=lambda size: size.delivery and {"batch_size": 100, "flush_interval_s": 1.0},
    ),
    Scenario(
        "400 for one poison event in 500",
        _paced,
        lambda o: o.refused == {"rejected_by_server": len(o.missing)} and bool(o.missing),
        lambda size: {"poison_every": size.poison_every},
    ),
    Scenario("a tenth of the requests lost", _paced, _had_faults, _share(share=0.1, cut="request")),
    Scenario(
        "a tenth of the replies lost",
        _paced,
        _had_faults,
        _share(share=0.1, cut="reply"),
        repeats=True,
    ),
    Scenario(
        "a tenth cut in the middle of the body", _paced, _had_faults, _share(share=0.1, cut="body")
    ),
    Scenario(
        "names do not resolve for 10 s", _no_names, lambda o: o.reported("failed_lookups") >= 2
    ),
    Scenario(
        "clock stepped back an hour", _clock_back, lambda o: o.reported("clock_back_s") == 3600
    ),
    Scenario(
        "the journal's disk is full",
        _disk_full,
        lambda o: (
            o.counted("in_memory_only") > 0
            and o.errors.count(DISK_FULL) == 1
            and o.refused == {"queue_full": len(o.missing)}
            and bool(o.missing)
        ),
        _share(share=1.0, status=503),
        delivery=lambda size: {"max_waiting_events": size.disk * 4 // 5, "batch_size": 100},
        of_journal=True,
    ),
    Scenario(
        "SIGKILL, ten bytes of the journal damaged, then a restart",
        _corrupted,
        lambda o: o.counted("adopted") > 0 and o.counted("damaged_bytes") > 0,
        _share(share=1.0, status=503),
        of_journal=True,
        repeats=True,
        excused=lambda o: len(o.missing) if "are damaged" in o.errors else 0,
    ),
    Scenario(
        "two processes on one journal, one of them killed",
        _two_processes,
        lambda o: -signal.SIGKILL in o.statuses and o.counted("adopted") > 0 and not o.heirs,
        of_journal=True,
        repeats=True,
    ),
)
