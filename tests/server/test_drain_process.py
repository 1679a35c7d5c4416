"""Draining in a process of its own: what it is told, what it answers, and what its end costs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tallybook.collect import Collector, Drained
from tallybook.errors import StorageError
from tallybook.lake.tables import Lake
from tallybook.log.entry import pack
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.model.event import Arrival
from tallybook.server.drain_process import DrainProcess

BODY = (
    b'{"account_id":"1","visitors":[{"visitor_id":"ann","attributes":'
    b'[{"entity_id":"1","key":"plan","type":"custom","value":"gold"}],"snapshots":'
    b'[{"events":[{"entity_id":"7","uuid":"%b","timestamp":1,"key":"buy"}]}]}]}'
)


class House:
    def __init__(self, data: Path, lake: str) -> None:
        self.log = WriteAheadLog(data / "log")
        self.drains = DrainProcess(lake)
        self.collector = Collector(
            self.log, Lake(lake), promoted=lambda: ("plan",), bring=self.drains.bring
        )

    def keep(self, uuid: str) -> None:
        self.log.append(pack(Arrival(1), BODY % uuid.encode()), lambda _error: None)
        self.log.seal()

    def close(self) -> None:
        self.drains.close()
        self.log.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, str(tmp_path / "lake"))
    yield house
    house.close()


def conversions(data: Path) -> dict[str, str]:
    """The promoted attribute of each conversion in the lake, by its uuid."""
    table = DeltaTable(str(data / "lake" / "conversions")).to_pyarrow_table()
    assert len(set(table.column("uuid").to_pylist())) == table.num_rows
    return dict(
        zip(
            table.column("uuid").to_pylist(),
            table.column("attribute_plan").to_pylist(),
            strict=True,
        )
    )


def test_another_process_brings_segments_into_the_lake(house: House, tmp_path: Path) -> None:
    for uuid in ("a", "b"):
        house.keep(uuid)
    assert house.collector.drain() == Drained(segments=2, conversions=2)
    assert house.drains.pid not in (None, os.getpid())
    assert conversions(tmp_path) == {"a": '"gold"', "b": '"gold"'}
    assert house.log.sealed() == []


def test_when_it_is_killed_another_one_goes_on(house: House, tmp_path: Path) -> None:
    house.keep("a")
    house.collector.drain()
    killed = house.drains.pid
    assert killed
    os.kill(killed, signal.SIGKILL)
    house.keep("b")
    assert house.collector.drain() == Drained(segments=1, conversions=1)
    assert house.drains.pid not in (None, killed)
    assert conversions(tmp_path) == {"a": '"gold"', "b": '"gold"'}


def test_when_every_one_ends_that_is_said_and_the_segment_stays(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.keep("a")
    with monkeypatch.context() as context:
        context.setattr(sys, "executable", "/bin/false")
        with pytest.raises(StorageError, match=r"the process that drains the log ended \(status 1"):
            house.collector.drain()
        context.setattr(sys, "executable", str(tmp_path / "nothing"))
        with pytest.raises(StorageError, match="cannot start the process that drains the log"):
            house.collector.drain()
    assert house.collector.drain() == Drained(segments=1, conversions=1)
    assert conversions(tmp_path) == {"a": '"gold"'}


def test_signals_meant_for_the_server_do_not_end_it(house: House) -> None:
    house.keep("a")
    house.collector.drain()
    pid = house.drains.pid
    assert pid
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    house.keep("b")
    assert house.collector.drain() == Drained(segments=1, conversions=1)
    assert house.drains.pid == pid


def test_what_it_drained_already_counts_once(house: House, tmp_path: Path) -> None:
    house.keep("a")
    (number,) = house.log.sealed()
    segment = (house.log.path / f"{number:020}.log").read_bytes()
    house.collector.drain()
    # As if the server had been killed before it could remove the segment.
    (house.log.path / f"{number:020}.log").write_bytes(segment)
    assert house.collector.drain() == Drained(segments=1)
    assert list(conversions(tmp_path)) == ["a"]


def test_a_lake_that_refuses_is_said_and_the_segment_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    house = House(tmp_path, str(tmp_path / "file" / "lake"))
    house.keep("a")
    with pytest.raises(StorageError, match=r"lake table .*file/lake/conversions"):
        house.collector.drain()
    assert len(house.log.sealed()) == 1
    house.close()


def test_damage_is_told_apart_from_what_is_whole(house: House) -> None:
    house.keep("a")
    (segment,) = [p for p in house.log.path.glob("*.log") if p.stat().st_size]
    raw = bytearray(segment.read_bytes())
    raw[50] ^= 1
    segment.write_bytes(bytes(raw) + b"TBL")
    assert house.collector.drain() == Drained(
        segments=1, dead_letters=1, damaged_records=1, torn_bytes=3
    )
    assert segment.with_suffix(".damaged").exists()
