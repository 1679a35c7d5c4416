"""A disk that gave back other bytes than it was given costs those bytes, and nobody else's."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from faults.server_load import Load, Tally, kept_uuids, open_shop
from faults.server_process import Ambush, Victim, until
from faults.server_table import everything, record
from servers import tallybook
from tallybook.engines.duckdb import DuckDB
from tallybook.lake.tables import Lake
from tallybook.log.record import HEADER_BYTES, scan

SEED = 20_261_126


@dataclass(frozen=True)
class Record:
    """Where a body stands in the log, and its events."""

    segment: Path
    start: int
    end: int
    uuids: frozenset[str]

    @property
    def number(self) -> int:
        return int(self.segment.stem)


def left_in_the_log(path: Path) -> tuple[Victim, Load, list[Record]]:
    """A server that died before anything of its log was in the lake."""
    server, load = Victim(path), Load(open_shop(path), SEED)
    server.start(Ambush("commit", 1, "before"))
    with load.on(server.url):
        server.await_death()
    return server, load, [r for file in segments(server.data) for r in records(file, load)]


def segments(data: Path) -> list[Path]:
    return sorted(Path(data, "log").glob("*.log"))


def records(segment: Path, load: Load) -> list[Record]:
    sent = (*load.acknowledged.values(), *load.unanswered, *load.given_up)
    known = {body.data: body for body in sent}
    found, start = [], 0
    for payload in scan(segment.read_bytes(), int(segment.stem)).payloads:
        end = start + HEADER_BYTES + len(payload)
        body = known.get(payload[payload.index(b'{"account_id"') :])
        found.append(Record(segment, start, end, frozenset(body.uuids if body else ())))
        start = end
    return found


def alone(found: list[Record]) -> list[Record]:
    """Records of bodies that were sent once, none beside another."""
    times = Counter(uuid for record in found for uuid in record.uuids)
    once = [r for r in found if r.uuids and all(times[uuid] == 1 for uuid in r.uuids)]
    return once[::2]


def flip(record: Record, chance: random.Random) -> None:
    content = bytearray(record.segment.read_bytes())
    content[chance.randrange(record.start, record.end)] ^= 1 << chance.randrange(8)
    record.segment.write_bytes(content)


def recovered(server: Victim, load: Load) -> Tally:
    """Start, wait until the log is in the lake, stop; then hold the books against the lake."""
    left = segments(server.data)
    server.start()
    until(lambda: not any(segment.exists() for segment in left))
    load.settle(server.url)
    server.stop()
    return load.tally(server.data)


def letters(data: Path) -> list[tuple[object, ...]]:
    with DuckDB(Lake(str(data / "lake"))) as engine:
        return engine.rows("SELECT path, reason FROM dead_letters ORDER BY path", {})


def test_a_flipped_byte_costs_the_record_it_is_in(tmp_path: Path) -> None:
    server, load, found = left_in_the_log(tmp_path)
    chance = random.Random(SEED)
    hit = chance.sample(alone(found), 50 if everything() else 5)
    for one in hit:
        flip(one, chance)
    lost = {uuid for one in hit for uuid in one.uuids}
    load.give_up()

    tally = recovered(server, load)
    assert tally.acknowledged - tally.counted == len(promised(load) & lost)
    assert not kept_uuids(server.data).keys() & lost
    assert tally.twice == 0
    assert letters(server.data) == sorted(
        (f"log segment {one.number}, byte {one.start}", reason(one)) for one in hit
    )
    assert "log segment damaged; see dead letters" in server.said
    damaged = {one.segment.with_suffix(".damaged") for one in hit}
    assert set(Path(server.data, "log").glob("*.damaged")) == damaged
    record(
        "byte flipped in a log segment",
        len(hit),
        tally,
        f"{len(hit)} records damaged: each a dead letter with its place; no other event lost",
    )


def promised(load: Load) -> set[str]:
    return {uuid for body in load.acknowledged.values() for uuid in body.uuids}


def reason(one: Record) -> str:
    return f"{one.end - one.start} bytes of the log were damaged on disk"


def test_a_truncated_segment_costs_what_was_cut_off(tmp_path: Path) -> None:
    server, load, found = left_in_the_log(tmp_path)
    load.give_up()
    chance = random.Random(SEED)
    times = 10 if everything() else 1
    tallies, cut_off = [], 0
    for number in range(times):
        data = tmp_path / str(number)
        shutil.copytree(server.data, data / "data")
        file = chance.choice(sorted({one.segment for one in found}))
        within = [one for one in found if one.segment == file]
        size = chance.randrange(within[-1].end)
        os.truncate(Path(data, "data", "log", file.name), size)
        gone = {u for one in within if one.end > size for u in one.uuids}
        gone -= {u for one in found if one not in within or one.end <= size for u in one.uuids}

        again = Victim(data)
        tally = recovered(again, load)
        assert promised(load) - kept_uuids(again.data).keys() == promised(load) & gone
        assert tally.twice == 0
        if size not in {0, *(one.end for one in within)}:
            assert "log segment ended in an unfinished write" in again.said
        cut_off += len(promised(load) & gone)
        tallies.append(tally)
    record("log segment truncated", times, added(tallies), f"{cut_off:,} events were cut off")


def added(tallies: list[Tally]) -> Tally:
    figures = zip(*((t.acknowledged, t.counted, t.twice, t.unsure) for t in tallies), strict=True)
    return Tally(*map(sum, figures))


def fed(path: Path) -> tuple[Victim, Load]:
    """A server that was fed, drained its log and ended."""
    server, load = Victim(path), Load(open_shop(path), SEED)
    feed(server, load)
    return server, load


def feed(server: Victim, load: Load) -> None:
    server.start()
    with load.on(server.url):
        enough = load.answers[204] + 50
        until(lambda: load.answers[204] >= enough)
    server.stop()


def parquet(data: Path) -> Path:
    return next(Path(data, "lake", "conversions").rglob("part-*.parquet"))


@pytest.mark.slow
def test_a_half_written_parquet_file_is_no_part_of_the_lake(tmp_path: Path) -> None:
    server, load = fed(tmp_path)
    whole = parquet(server.data)
    half = whole.read_bytes()[: whole.stat().st_size // 2]
    whole.with_name("part-00000-half.zstd.parquet").write_bytes(half)
    whole.with_name("part-00000-half.zstd.parquet#1").write_bytes(half)
    feed(server, load)
    tally = load.tally(server.data)
    assert tally.is_whole, tally
    assert tallybook("results", "checkout_test", data=server.data).returncode == 0
    record("half-written Parquet file in the lake", 1, tally, "not in the Delta log, so ignored")


@pytest.mark.slow
def test_a_truncated_parquet_file_is_named_and_events_are_taken_all_the_same(
    tmp_path: Path,
) -> None:
    server, load = fed(tmp_path)
    broken = parquet(server.data)
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    done = tallybook("results", "checkout_test", data=server.data)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert broken.name in done.stderr

    server.start()
    answer = httpx.get(server.url + "/api/v1/experiments/checkout_test/results", timeout=60)
    assert answer.status_code == 503
    assert broken.name in answer.json()["detail"]
    server.stop()
    feed(server, load)
    broken.write_bytes(whole)
    tally = load.tally(server.data)
    assert tally.is_whole, tally
    record(
        "committed Parquet file truncated",
        1,
        tally,
        "results name the file; events are taken; counted once it was put back",
    )


@pytest.mark.slow
def test_a_truncated_entry_of_the_delta_log_is_named_and_events_wait(tmp_path: Path) -> None:
    server, load = fed(tmp_path)
    broken = max(Path(server.data, "lake", "conversions", "_delta_log").glob("*.json"))
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    feed(server, load)  # what cannot be drained does not keep it from ending well
    assert segments(server.data)[:-1] or segments(server.data)[0].stat().st_size
    assert "drain failed; events wait in the log" in server.said
    done = tallybook("results", "checkout_test", data=server.data)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "lake/conversions" in done.stderr
    broken.write_bytes(whole)
    tally = load.tally(server.data)
    assert tally.is_whole, tally
    record(
        "Delta log entry truncated",
        1,
        tally,
        "the table is named; events wait in the log; counted once it was put back",
    )


@pytest.mark.slow
def test_what_a_power_cut_took_from_the_lake_is_not_removed_from_the_log(tmp_path: Path) -> None:
    """The commit was not synced: its entry reached the disk, its rows did not."""
    server, load = Victim(tmp_path), Load(open_shop(tmp_path), SEED)
    server.start(Ambush("remove", 1, "before"))
    with load.on(server.url):
        server.await_death()
    load.give_up()
    broken = parquet(server.data)
    whole = broken.read_bytes()
    broken.write_bytes(b"")
    feed(server, load)
    assert broken.name in server.said
    broken.write_bytes(whole)
    tally = load.tally(server.data)
    assert tally.is_whole, tally
    record(
        "power cut in the lake's commit",
        1,
        tally,
        "the file without its rows is named, the log segment stays; counted once it was put back",
    )
