from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import write_deltalake

from stores import (
    DAY,
    commit_each,
    converted,
    decided,
    everything,
    holding,
    refused,
    rows,
    uuids,
)
from tallybook.collect import Collector, drain_leftovers
from tallybook.errors import ConfigError, StorageError
from tallybook.keep.compaction import CompactSettings, compact
from tallybook.keep.forgetting import Holdings, Patience, forget
from tallybook.keep.receipt import Receipt
from tallybook.lake import tables
from tallybook.lake.tables import Lake
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.model.event import Arrival

VISITOR = "ada-lovelace"
NOW = 9 * DAY


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


class Pauses:
    """Waits that take no time, each of which something may use."""

    def __init__(self, use: Callable[[], object] = lambda: None) -> None:
        self.waited: list[float] = []
        self._use = use

    def __call__(self, seconds: float) -> None:
        if seconds:
            self.waited.append(seconds)
            self._use()


def forgotten(
    lake: Lake, log: Path, visitor: str = VISITOR, pauses: Pauses | None = None, drain_s: float = 1
) -> Receipt:
    holdings = Holdings(lake.uri, log, lambda: drain_leftovers(log, lake))
    patience = Patience(drain_s, grace_s=30, pause_s=0, sleep=pauses or Pauses())
    return forget(holdings, visitor, clock_ms=lambda: NOW, patience=patience)


def body(visitor: str, uuid: str, at_ms: int = 3 * DAY) -> bytes:
    event = {"entity_id": "10", "key": "buy", "uuid": uuid, "timestamp": at_ms}
    visitors = [{"visitor_id": visitor, "snapshots": [{"events": [event]}]}]
    return json.dumps({"account_id": "1", "visitors": visitors}).encode()


def accept(log: Path, *bodies: bytes) -> None:
    """Have a log take bodies, as a server does that is then gone."""
    with WriteAheadLog(log) as opened:
        collector = Collector(opened, Lake("unused"))
        for taken in bodies:
            collector.accept(taken, Arrival(3 * DAY + 5), lambda _: None)


def test_a_visitor_is_gone_from_every_file_and_all_others_stay(
    lake: Lake, log: Path, tmp_path: Path
) -> None:
    commit_each(
        lake,
        [
            converted("a", VISITOR),
            converted("b", "bob"),
            converted("c", VISITOR, at_ms=4 * DAY),
            decided("d", VISITOR),
            decided("e", "bob"),
            refused(json.dumps({"visitor_id": VISITOR, "snapshots": 1})),
            refused(json.dumps({"visitor_id": "bob", "snapshots": 1})),
        ],
    )
    compact(lake.uri, CompactSettings(pause_s=0), now_ms=NOW)
    lake.commit([converted("f", VISITOR), converted("g", "cy")], app_id="log", number=50)
    others = {
        table: [row for row in found if not any(VISITOR in str(cell) for cell in row)]
        for table, found in everything(lake).items()
    }
    receipt = forgotten(lake, log)
    assert (receipt.conversions, receipt.decisions, receipt.dead_letters) == (3, 1, 1)
    assert receipt.is_complete
    assert everything(lake) == others
    assert holding(tmp_path, VISITOR) == []
    again = forgotten(lake, log)
    assert (again.conversions, again.decisions, again.erased_files) == (0, 0, 0)
    assert lake.commit([converted("f")], app_id="log", number=50).repeated == ("conversions",)


def test_what_arrives_again_later_does_not_come_back(lake: Lake, log: Path) -> None:
    lake.commit([converted("a", VISITOR), converted("b", "bob")], app_id="log", number=1)
    forgotten(lake, log)
    late = [converted("a", VISITOR), converted("b", "bob"), converted("new", VISITOR, NOW + 1)]
    lake.commit(late, app_id="log", number=2)
    assert uuids(lake) == ["b", "b", "new"]


def test_what_a_server_that_is_gone_left_in_its_log_is_drained_without_the_visitor(
    lake: Lake, log: Path, tmp_path: Path
) -> None:
    accept(log, body(VISITOR, "a"), body("bob", "b"))
    assert holding(log, VISITOR)
    assert forgotten(lake, log).is_complete
    assert uuids(lake) == ["b"]
    assert holding(tmp_path, VISITOR) == []


def test_a_running_server_is_waited_for(lake: Lake, log: Path, tmp_path: Path) -> None:
    with WriteAheadLog(log) as opened:
        collector = Collector(opened, lake)
        collector.accept(body(VISITOR, "a"), Arrival(3 * DAY), lambda _: None)
        collector.accept(body("bob", "b"), Arrival(3 * DAY), lambda _: None)
        opened.seal()
        pauses = Pauses(collector.drain)
        assert forgotten(lake, log, pauses=pauses).is_complete
    assert len(pauses.waited) == 1
    assert uuids(lake) == ["b"]
    assert holding(tmp_path, VISITOR) == []


def test_a_server_that_does_not_drain_makes_the_receipt_incomplete(lake: Lake, log: Path) -> None:
    with WriteAheadLog(log) as opened:
        collector = Collector(opened, lake)
        collector.accept(body(VISITOR, "a"), Arrival(3 * DAY), lambda _: None)
        opened.seal()
        receipt = forgotten(lake, log)
        assert receipt.waiting_segments == 1
        assert not receipt.is_complete
        assert "NOT YET ALL: 1 segments" in receipt.text
        collector.drain()
        assert uuids(lake) == []
        assert forgotten(lake, log).is_complete


def test_the_logs_of_workers_are_waited_for_too(lake: Lake, log: Path) -> None:
    with WriteAheadLog(log), WriteAheadLog(log / "worker-2") as second:
        collector = Collector(second, lake)
        collector.accept(body(VISITOR, "a"), Arrival(3 * DAY), lambda _: None)
        second.seal()
        (log / "worker-2" / "1.damaged").write_bytes(body(VISITOR, "b"))
        receipt = forgotten(lake, log, pauses=Pauses(collector.drain))
    assert (receipt.waiting_segments, receipt.damaged_segments) == (0, 1)
    assert holding(log, VISITOR) == []


def test_damaged_segments_that_mention_the_visitor_are_erased(
    lake: Lake, log: Path, tmp_path: Path
) -> None:
    accept(log, body("bob", "b"), body(VISITOR, "a"))
    (segment,) = [path for path in log.glob("*.log") if path.stat().st_size]
    damaged = bytearray(segment.read_bytes())
    damaged[damaged.index(b'"entity_id"') + 2] ^= 1
    damaged[damaged.rindex(b'"entity_id"') + 2] ^= 1
    segment.write_bytes(damaged)
    (log / "1.damaged").write_bytes(body("cy", "c"))
    drain_leftovers(log, lake)
    assert len(list(log.glob("*.damaged"))) == 2
    receipt = forgotten(lake, log)
    assert (receipt.damaged_segments, receipt.dead_letters) == (1, 1)
    assert [path.name for path in log.glob("*.damaged")] == ["1.damaged"]
    assert [("bob" in str(text)) for (text,) in rows(lake, "SELECT body FROM dead_letters")] == [
        True
    ]
    assert holding(tmp_path, VISITOR) == []


def test_files_that_a_killed_commit_left_are_erased_with_the_visitor_in_them(
    lake: Lake, log: Path
) -> None:
    commit_each(lake, [converted("a", VISITOR), converted("b", "bob")])
    live = {Path(file) for file in lake.files("conversions")}
    theirs = next(path for path in live if VISITOR.encode() in path.read_bytes())
    other = next(path for path in live if path != theirs)
    orphans = [theirs.with_name("part-0.parquet"), theirs.with_name("part-1.parquet#1")]
    orphans[0].write_bytes(theirs.read_bytes())
    orphans[1].write_bytes(theirs.read_bytes()[:-50])
    bobs = other.with_name("part-2.parquet")
    bobs.write_bytes(other.read_bytes())
    assert forgotten(lake, log).erased_files == 3
    assert bobs.exists()
    assert not any(path.exists() for path in (*orphans, theirs))


def test_a_commit_that_is_being_written_while_files_are_erased_loses_nothing(
    lake: Lake, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.commit([converted("a", VISITOR)], app_id="log", number=1)
    drained: list[str] = []

    def forget_meanwhile(*args: object, **more: object) -> None:
        if not drained:
            drained.append("once")
            forgotten(lake, log)
        write_deltalake(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tables, "write_deltalake", forget_meanwhile)
    late = [converted("b", "bob"), converted("c", VISITOR, NOW + 1), converted("d", VISITOR)]
    assert lake.commit(late, app_id="log", number=2).conversions == 2
    assert uuids(lake) == ["b", "c"]


def test_queries_are_given_time_before_the_files_they_read_are_erased(
    lake: Lake, log: Path
) -> None:
    lake.commit([converted("a", VISITOR), converted("b", "bob")], app_id="log", number=1)
    (file,) = lake.files("conversions")
    seen: list[tuple[bool, list[str]]] = []
    pauses = Pauses(lambda: seen.append((Path(file).exists(), uuids(lake))))
    forgotten(lake, log, pauses=pauses)
    assert pauses.waited == [30]
    assert seen == [(True, ["b"])]
    assert not Path(file).exists()
    unused = Pauses()
    assert forgotten(lake, log, "nobody", unused).erased_files == 0
    assert unused.waited == []


def test_the_receipt_tells_who_it_is_only_to_those_who_know(lake: Lake, log: Path) -> None:
    lake.commit([converted("a", VISITOR)], app_id="log", number=1)
    receipt = forgotten(lake, log)
    file = receipt.keep(log.parent)
    text = file.read_text("utf-8")
    assert VISITOR not in text + receipt.text + file.name
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = json.loads(text)
    expected = hashlib.blake2b(
        VISITOR.encode(), key=bytes.fromhex(kept["salt"]), digest_size=16
    ).hexdigest()
    assert kept == {
        "until": "1970-01-10T00:00:00.000Z",
        "finished": "1970-01-10T00:00:00.000Z",
        "visitor_hash": expected,
        "salt": kept["salt"],
        "decisions": 0,
        "conversions": 1,
        "dead_letters": 0,
        "erased_files": 1,
        "damaged_segments": 0,
        "waiting_segments": 0,
        "complete": True,
    }


def test_a_receipt_that_cannot_be_kept_is_a_storage_error(
    lake: Lake, log: Path, tmp_path: Path
) -> None:
    (tmp_path / "receipts").write_text("in the way")
    with pytest.raises(StorageError, match="cannot keep the receipt"):
        forgotten(lake, log).keep(tmp_path)


def test_a_visitor_nobody_has_seen_leaves_everything_as_it_is(lake: Lake, log: Path) -> None:
    lake.commit([converted("a", "bob"), refused("{")], app_id="log", number=1)
    before = everything(lake), lake.files("conversions")
    receipt = forgotten(lake, log)
    assert (receipt.conversions, receipt.erased_files) == (0, 0)
    assert (everything(lake), lake.files("conversions")) == before


@pytest.mark.parametrize("visitor", ["", "\udcff"])
def test_what_is_no_id_is_refused(lake: Lake, log: Path, visitor: str) -> None:
    with pytest.raises(ConfigError, match="visitor"):
        forgotten(lake, log, visitor)
    assert not Path(lake.uri).exists()


@pytest.mark.parametrize("visitor", ["o'hara", 'q"uo\\te', "é" * 300, "x" * 70_000, "%_", "😀"])
def test_ids_of_any_characters_and_length_are_forgotten_exactly(
    lake: Lake, log: Path, visitor: str
) -> None:
    like = [visitor + "x", visitor[:-1] + "~"]
    commit_each(lake, [converted(str(n), v) for n, v in enumerate([visitor, *like])])
    compact(lake.uri, CompactSettings(pause_s=0), now_ms=NOW)
    assert forgotten(lake, log, visitor).conversions == 1
    assert uuids(lake) == ["1", "2"]


def test_a_damaged_file_is_named_and_what_can_be_done_is_done_later(lake: Lake, log: Path) -> None:
    commit_each(lake, [converted("a", VISITOR), converted("b", "bob")])
    whole = {file: Path(file).read_bytes() for file in lake.files("conversions")}
    damaged = next(file for file, data in whole.items() if VISITOR.encode() not in data)
    Path(damaged).write_bytes(whole[damaged][:40])
    with pytest.raises(StorageError, match=Path(damaged).name):
        forgotten(lake, log)
    Path(damaged).write_bytes(whole[damaged])
    assert forgotten(lake, log).is_complete
    assert uuids(lake) == ["b"]
