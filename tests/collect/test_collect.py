"""The intake from a body to the lake: once, whatever fails in between, and with a word about all else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tallybook.collect import Collector, Drained, anonymous_ip, drain_leftovers
from tallybook.errors import BatchError, StorageError
from tallybook.lake.columns import TABLES
from tallybook.lake.tables import Lake
from tallybook.log.directory import worker_log
from tallybook.log.entry import pack
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.model.event import Arrival, Received

AT_MS = 1_700_000_000_000
ARRIVAL = Arrival(AT_MS + 5, "198.51.100.77", "agent", "https://shop.example/")


@dataclass(frozen=True)
class Counts:
    decisions: int
    conversions: int
    dead_letters: int


@dataclass
class MemoryLake:
    """Keeps segments by number, once; told to fail it raises before or after it has committed."""

    kept: dict[tuple[str, int], list[Received]] = field(default_factory=dict)
    promoted: Sequence[str] = ()
    fail_before: bool = False
    fail_after: bool = False
    commits: int = 0

    def commit(
        self,
        received: Iterable[Received],
        *,
        app_id: str,
        number: int,
        promoted: Sequence[str] = (),
    ) -> Counts:
        self.commits += 1
        self.promoted = promoted
        batches = list(received)
        if self.fail_before:
            raise StorageError("the lake is dry")
        fresh = [] if (app_id, number) in self.kept else batches
        self.kept.setdefault((app_id, number), batches)
        if self.fail_after:
            raise StorageError("the lake answered too late")
        return Counts(
            sum(len(r.batch.decisions) for r in fresh),
            sum(len(r.batch.conversions) for r in fresh),
            sum(len(r.batch.dead_letters) for r in fresh),
        )

    @property
    def received(self) -> list[Received]:
        return [r for segment in self.kept.values() for r in segment]

    @property
    def uuids(self) -> list[str]:
        return [c.uuid for r in self.received for c in r.batch.conversions]

    @property
    def letters(self) -> list[tuple[str, str]]:
        return [(d.path, d.reason) for r in self.received for d in r.batch.dead_letters]


def body(*uuids: str, **envelope: Any) -> bytes:
    events = [{"entity_id": "7", "uuid": u, "timestamp": AT_MS, "key": "buy"} for u in uuids]
    visitors = [{"visitor_id": "ann", "snapshots": [{"events": events}]}]
    return json.dumps({"account_id": "1", "visitors": visitors, **envelope}).encode()


def accept(collector: Collector, raw: bytes, arrival: Arrival = ARRIVAL, **how: bool) -> None:
    done = threading.Event()
    errors: list[StorageError | None] = []

    def told(error: StorageError | None) -> None:
        errors.append(error)
        done.set()

    collector.accept(raw, arrival, told, **how)
    assert done.wait(10)
    assert errors == [None]


@pytest.fixture
def lake() -> MemoryLake:
    return MemoryLake()


@pytest.fixture
def collector(tmp_path: Path, lake: MemoryLake) -> Iterable[Collector]:
    collector = Collector(WriteAheadLog(tmp_path / "log"), lake, promoted=lambda: ("plan",))
    yield collector
    collector.close()


def test_what_is_accepted_is_in_the_lake_after_a_drain(
    collector: Collector, lake: MemoryLake
) -> None:
    accept(collector, body("a", "b", anonymize_ip=False))
    accept(collector, body("c"))
    assert collector.drain() == Drained(segments=1, conversions=3)
    assert lake.uuids == ["a", "b", "c"]
    assert [r.arrival.user_ip for r in lake.received] == ["198.51.100.77", "198.51.100.0"]
    assert lake.received[0].arrival == ARRIVAL
    assert {app_id for app_id, _ in lake.kept} == {collector.log.app_id}
    assert lake.promoted == ("plan",)


def test_a_drain_without_news_commits_nothing(collector: Collector, lake: MemoryLake) -> None:
    accept(collector, body("a"))
    collector.drain()
    assert collector.drain() == Drained()
    assert (lake.commits, collector.log.sealed()) == (1, [])
    assert collector.drained == Drained(segments=1, conversions=1)


def test_segments_are_committed_oldest_first(collector: Collector, lake: MemoryLake) -> None:
    for uuid in "abc":
        accept(collector, body(uuid))
        collector.log.seal()
    collector.drain()
    numbers = [number for _, number in lake.kept]
    assert numbers == sorted(numbers)
    assert lake.uuids == ["a", "b", "c"]


def test_malformed_parts_become_dead_letters(collector: Collector, lake: MemoryLake) -> None:
    accept(collector, body("a", ""))
    assert collector.drain() == Drained(segments=1, conversions=1, dead_letters=1)
    assert lake.letters == [("$.visitors[0].snapshots[0].events[1].uuid", "must not be empty")]


def test_an_unusable_body_is_refused_and_not_kept(collector: Collector, lake: MemoryLake) -> None:
    with pytest.raises(BatchError, match=r"\$\.account_id: required"):
        accept(collector, b'{"visitors": []}')
    collector.drain()
    assert lake.commits == 0


def test_strict_refuses_a_body_with_any_malformed_part_whole(
    collector: Collector, lake: MemoryLake
) -> None:
    with pytest.raises(BatchError) as refused:
        accept(collector, body("a", "", ""), strict=True)
    assert refused.value.path == "$.visitors[0].snapshots[0].events[1].uuid"
    assert refused.value.reason == "must not be empty (and 1 more)"
    accept(collector, body("b"), strict=True)
    collector.drain()
    assert lake.uuids == ["b"]


def test_a_lake_that_fails_costs_nothing(collector: Collector, lake: MemoryLake) -> None:
    accept(collector, body("a"))
    for failing in ("fail_before", "fail_after"):
        setattr(lake, failing, True)
        with pytest.raises(StorageError):
            collector.drain()
        setattr(lake, failing, False)
        accept(collector, body(failing))
    collector.drain()
    assert lake.uuids == ["a", "fail_before", "fail_after"]


def test_a_damaged_record_becomes_a_dead_letter_and_its_segment_is_set_aside(
    collector: Collector, lake: MemoryLake, tmp_path: Path
) -> None:
    for uuid in ("damaged", "whole"):
        accept(collector, body(uuid))
    collector.log.seal()
    (number,) = collector.log.sealed()
    (segment,) = [p for p in (tmp_path / "log").glob("*.log") if p.stat().st_size]
    raw = bytearray(segment.read_bytes())
    raw[100] ^= 1
    segment.write_bytes(raw)
    drained = collector.drain()
    assert (drained.conversions, drained.dead_letters, drained.damaged_records) == (1, 1, 1)
    assert lake.uuids == ["whole"]
    ((path, reason),) = lake.letters
    assert path == f"log segment {number}, byte 0"
    assert "damaged on disk" in reason
    assert lake.received[-1].arrival.at_ms == number
    assert segment.with_suffix(".damaged").read_bytes() == raw


def test_an_unfinished_write_is_cut_and_counted(
    collector: Collector, lake: MemoryLake, tmp_path: Path
) -> None:
    accept(collector, body("a"))
    collector.log.seal()
    (segment,) = [p for p in (tmp_path / "log").glob("*.log") if p.stat().st_size]
    with segment.open("ab") as file:
        file.write(b"TBL1")
    assert collector.drain() == Drained(segments=1, conversions=1, torn_bytes=4)
    assert lake.letters == []


def test_a_logged_body_that_is_unreadable_after_all_is_a_dead_letter(
    collector: Collector, lake: MemoryLake
) -> None:
    done = threading.Event()
    collector.log.append(pack(ARRIVAL, b"\xff{"), lambda _: done.set())
    assert done.wait(10)
    collector.drain()
    ((path, _),) = lake.letters
    assert path == "$"
    assert lake.received[0].batch.dead_letters[0].body == "\ufffd{"


SERVER = """
import os, pathlib, signal, sys
from tallybook.collect import Collector
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.model.event import Arrival
collector = Collector(WriteAheadLog(pathlib.Path(sys.argv[1])), None)
collector.accept(
    sys.stdin.buffer.read(), Arrival(1), lambda error: os.kill(os.getpid(), signal.SIGKILL)
)
signal.pause()
"""


def test_what_a_killed_server_acknowledged_is_drained_by_whoever_comes_next(
    tmp_path: Path, lake: MemoryLake
) -> None:
    server = subprocess.run(
        [sys.executable, "-c", SERVER, tmp_path / "log"], input=body("a"), check=False, timeout=60
    )
    assert server.returncode == -signal.SIGKILL
    drained = drain_leftovers(tmp_path / "log", lake, promoted=("plan",))
    assert drained == Drained(segments=1, conversions=1)
    assert (lake.uuids, lake.promoted) == (["a"], ("plan",))
    assert drain_leftovers(tmp_path / "log", lake) == Drained()


def test_leftovers_of_a_living_server_are_left_to_it(collector: Collector, tmp_path: Path) -> None:
    accept(collector, body("a"))
    assert drain_leftovers(tmp_path / "log", MemoryLake()) is None


def test_leftovers_of_all_of_a_servers_workers_are_drained(
    tmp_path: Path, lake: MemoryLake
) -> None:
    for worker in (1, 2, 11):
        path = worker_log(tmp_path / "log", worker)
        collector = Collector(WriteAheadLog(path), MemoryLake())
        accept(collector, body(f"of-{worker}"))
        collector.close()
    (tmp_path / "log" / "worker-x").mkdir()  # none of ours
    with WriteAheadLog(worker_log(tmp_path / "log", 2)):  # this one lives
        assert drain_leftovers(tmp_path / "log", lake) is None
    assert lake.uuids == ["of-1", "of-11"]
    assert drain_leftovers(tmp_path / "log", lake) is not None
    assert lake.uuids == ["of-1", "of-11", "of-2"]
    assert drain_leftovers(tmp_path / "log", lake) == Drained()


def test_where_there_is_no_log_there_is_nothing_to_drain(tmp_path: Path) -> None:
    assert drain_leftovers(tmp_path / "log", MemoryLake()) == Drained()
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("198.51.100.77", "198.51.100.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:198.51.100.77", "198.51.100.0"),
        ("/run/proxy.sock", None),
    ],
)
def test_an_anonymous_address_names_a_network(address: str, kept: str | None) -> None:
    assert anonymous_ip(address) == kept


class AcknowledgedMeansCountedOnce(RuleBasedStateMachine):
    """Bodies come, drains fail at either side of the commit, the process dies: each counts once."""

    @initialize(folder=st.uuids())
    def begin(self, folder: object) -> None:
        self.path = ROOT / str(folder)
        self.lake = MemoryLake()
        self.acknowledged: list[str] = []
        self.collector = Collector(WriteAheadLog(self.path), self.lake)

    @rule(number=st.integers(1, 3))
    def bodies_come(self, number: int) -> None:
        uuids = [f"u{len(self.acknowledged) + n}" for n in range(number)]
        accept(self.collector, body(*uuids))
        self.acknowledged += uuids

    @rule()
    def a_segment_is_full(self) -> None:
        self.collector.log.seal()

    @rule(failing=st.sampled_from(["fail_before", "fail_after"]))
    def a_drain_fails(self, failing: str) -> None:
        setattr(self.lake, failing, True)
        with suppress(StorageError):
            self.collector.drain()
        setattr(self.lake, failing, False)

    @rule()
    def a_drain_works(self) -> None:
        self.collector.drain()
        assert self.lake.uuids == self.acknowledged

    @rule()
    def the_process_is_replaced(self) -> None:
        self.collector.close()
        self.collector = Collector(WriteAheadLog(self.path), self.lake)

    @invariant()
    def nothing_is_counted_twice_or_invented(self) -> None:
        counted = self.lake.uuids
        assert counted == self.acknowledged[: len(counted)]

    def teardown(self) -> None:
        self.collector.drain()
        assert self.lake.uuids == self.acknowledged
        self.collector.close()


ROOT = Path()  # set by the fixture below, since state machines take none


@pytest.fixture(autouse=True)
def _root(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path_factory.getbasetemp() / "logs")


TestAcknowledgedMeansCountedOnce = AcknowledgedMeansCountedOnce.TestCase
TestAcknowledgedMeansCountedOnce.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None
)


# Kills itself, as kill -9 would, at one moment between the promise and the segment's removal.
MORTAL = """
import os, pathlib, signal, sys, threading
from tallybook.collect import Collector
from tallybook.lake import tables
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.model.event import Arrival

data, moment = pathlib.Path(sys.argv[1]), sys.argv[2]

def reach(now):
    if now == moment:
        os.kill(os.getpid(), signal.SIGKILL)

def write(table, *arguments, _write=tables.write_deltalake, **named):
    reach(f"before {table.metadata().name}")
    _write(table, *arguments, **named)
    reach(f"after {table.metadata().name}")

tables.write_deltalake = write
log = WriteAheadLog(data / "log")
log.remove = lambda number, _remove=log.remove: (reach("before removal"), _remove(number))
collector = Collector(log, tables.Lake(str(data / "lake")))
kept = threading.Event()
collector.accept(sys.stdin.buffer.read(), Arrival(1), lambda error: kept.set())
assert kept.wait(10)
reach("after the promise")
collector.drain()
"""


@pytest.mark.parametrize(
    "moment",
    ["after the promise", "before removal"]
    + [f"{when} {name}" for when in ("before", "after") for name in TABLES],
)
def test_killed_at_any_moment_of_a_drain_everything_is_in_the_lake_once(
    tmp_path: Path, moment: str
) -> None:
    seen = {"entity_id": "1", "uuid": "d", "timestamp": AT_MS, "key": "campaign_activated"}
    bought = {"entity_id": "7", "uuid": "c", "timestamp": AT_MS, "key": "buy"}
    decision = {"campaign_id": "1", "experiment_id": "2", "variation_id": "3"}
    snapshot = {"decisions": [decision], "events": [seen, bought, {"broken": True}]}
    visitors = [{"visitor_id": "ann", "snapshots": [snapshot]}]
    raw = json.dumps({"account_id": "1", "visitors": visitors}).encode()
    script = [sys.executable, "-c", MORTAL, str(tmp_path), moment]
    killed = subprocess.run(script, input=raw, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lake = Lake(str(tmp_path / "lake"))
    assert drain_leftovers(tmp_path / "log", lake) is not None
    assert drain_leftovers(tmp_path / "log", lake) == Drained()
    rows = {name: sum(pq.read_metadata(f).num_rows for f in lake.files(name)) for name in TABLES}
    assert rows == dict.fromkeys(TABLES, 1)
