from __future__ import annotations

import json
import os
import threading
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from stores import DAY, commit_each, converted, decided, refused, rows, uuids
from tallybook.errors import ConfigError
from tallybook.lake import tables
from tallybook.lake.checksums import checksum, remembered
from tallybook.lake.forgotten import is_mentioned
from tallybook.lake.parts import write_parts
from tallybook.lake.snapshot import LiveFile, OvertakenError, Snapshot
from tallybook.lake.tables import Committed, Lake
from tallybook.lake.upkeep import Upkeep

DAY_4 = date(1970, 1, 4)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def upkeep(lake: Lake) -> Upkeep:
    return Upkeep(lake.uri)


def seen(upkeep: Upkeep) -> Snapshot:
    snapshot = upkeep.snapshot("conversions")
    assert snapshot is not None
    return snapshot


def copied(snapshot: Snapshot) -> list[LiveFile]:
    """All rows of a snapshot, written to new files."""
    batches = [
        batch
        for file in snapshot.files
        for batch in pa.parquet.read_table(snapshot.location(file)).to_batches()
    ]
    return write_parts(snapshot.directory, DAY_4, batches, snapshot.schema)


def test_a_snapshot_knows_every_file_and_its_rows(lake: Lake, upkeep: Upkeep) -> None:
    assert upkeep.snapshot("conversions") is None
    commit_each(lake, [converted("a"), converted("b", at_ms=4 * DAY)])
    days = seen(upkeep).days()
    assert {str(day): [f.rows for f in files] for day, files in days.items()} == {
        "1970-01-04": [1],
        "1970-01-05": [1],
    }
    assert {str(seen(upkeep).location(f)) for f in seen(upkeep).files} == set(
        lake.files("conversions")
    )


def test_files_are_replaced_in_one_commit_that_keeps_the_numbers(
    lake: Lake, upkeep: Upkeep
) -> None:
    commit_each(lake, [converted("a"), converted("b")])
    before = seen(upkeep)
    versions = before.replace(before.files, copied(before), {"test": 1})
    upkeep.make_durable("conversions", versions)
    assert list(versions) == [before.version + 1]
    assert len(lake.files("conversions")) == 1
    assert uuids(lake) == ["a", "b"]
    assert lake.commit([converted("b")], app_id="log", number=2).repeated == ("conversions",)
    assert DeltaTable(f"{lake.uri}/conversions").history(1)[0]["tallybook"] == {"test": 1}


def test_rows_appended_meanwhile_stay(lake: Lake, upkeep: Upkeep) -> None:
    commit_each(lake, [converted("a"), converted("b")])
    before = seen(upkeep)
    added = copied(before)
    lake.commit([converted("c")], app_id="log", number=3)
    before.replace(before.files, added, {})
    assert uuids(lake) == ["a", "b", "c"]


def test_what_was_replaced_meanwhile_is_not_replaced_again(lake: Lake, upkeep: Upkeep) -> None:
    commit_each(lake, [converted("a"), converted("b")])
    before = seen(upkeep)
    added = copied(before)
    other = seen(upkeep)
    other.replace(other.files, copied(other), {})
    with pytest.raises(OvertakenError):
        before.replace(before.files, added, {})
    assert uuids(lake) == ["a", "b"]


def test_nothing_begun_before_a_fence_is_committed_after_it(lake: Lake, upkeep: Upkeep) -> None:
    commit_each(lake, [converted("a")])
    before = seen(upkeep)
    added = copied(before)
    upkeep.fence("conversions")
    with pytest.raises(OvertakenError):
        before.replace(before.files, added, {})


def test_a_forgotten_visitors_earlier_events_are_not_kept(lake: Lake, upkeep: Upkeep) -> None:
    upkeep.forget("ada", 3 * DAY)
    added = lake.commit(
        [
            converted("before", at_ms=3 * DAY),
            converted("after", at_ms=3 * DAY + 1),
            converted("other", "bob"),
            decided("before", at_ms=2 * DAY),
        ],
        app_id="log",
        number=1,
    )
    assert added == Committed(decisions=0, conversions=2)
    assert uuids(lake) == ["after", "other"]
    again = lake.commit([decided("before")], app_id="log", number=1)
    assert again.repeated == ("decisions",)


def test_the_last_time_a_visitor_was_forgotten_counts(lake: Lake, upkeep: Upkeep) -> None:
    first = upkeep.forget("ada", 5 * DAY)
    assert upkeep.forget("ada", 3 * DAY) == first
    assert upkeep.forget("bob", 3 * DAY) != first
    commit_each(lake, [converted("a", at_ms=4 * DAY), converted("b", "bob", at_ms=4 * DAY)])
    assert uuids(lake) == ["b"]


def test_visitors_forgotten_at_once_are_all_on_the_list(lake: Lake, upkeep: Upkeep) -> None:
    names = [f"v{n}" for n in range(4)]
    upkeep.forget("first", 3 * DAY)
    threads = [threading.Thread(target=upkeep.forget, args=(n, 3 * DAY)) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    commit_each(lake, [converted(n, n) for n in (*names, "first", "other")])
    assert uuids(lake) == ["other"]
    assert len(DeltaTable(f"{lake.uri}/forgotten").file_uris()) == 1
    assert upkeep.tidy("forgotten", 0) >= 5, "earlier versions stay"
    assert Lake(lake.uri).commit([converted("v1", "v1")], app_id="x", number=1).conversions == 0


def test_a_commit_under_way_when_a_visitor_is_forgotten_begins_again(
    lake: Lake, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_each(lake, [converted("old", "bob")])
    forgotten: list[object] = []

    def forget_first(*args: object, **more: object) -> None:
        if not forgotten:
            forgotten.append(upkeep.forget("ada", 4 * DAY))
        write_deltalake(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tables, "write_deltalake", forget_first)
    added = lake.commit([converted("a"), converted("b", "bob")], app_id="log", number=2)
    assert added.conversions == 1
    assert uuids(lake) == ["b", "old"]


def test_dead_letters_that_mention_a_forgotten_visitor_are_not_kept(
    lake: Lake, upkeep: Upkeep
) -> None:
    upkeep.forget("ada", 3 * DAY)
    letters = [refused('{"visitor_id": "ada"'), refused('{"visitor_id": "adam"}')]
    assert lake.commit(letters, app_id="log", number=1).dead_letters == 1
    assert rows(lake, "SELECT body FROM dead_letters") == [('{"visitor_id": "adam"}',)]


def test_neither_the_list_nor_the_tables_logs_tell_who_it_is(lake: Lake, upkeep: Upkeep) -> None:
    commit_each(lake, [converted("a", "ada-lovelace")])
    upkeep.forget("ada-lovelace", 3 * DAY)
    named = [p for p in Path(lake.uri).rglob("*") if p.is_file() and p.suffix != ".parquet"]
    assert named
    assert not any(b"ada-lovelace" in path.read_bytes() for path in named)
    listed = DeltaTable(f"{lake.uri}/forgotten").to_pyarrow_table().to_pylist()
    assert [entry["forgotten_at"] for entry in listed] == [3 * DAY]
    assert "ada-lovelace" not in json.dumps(listed)


@pytest.mark.parametrize(
    ("body", "is_there"),
    [
        ('{"visitor_id":"ada"}', True),
        ('{"user": {"id": "ada"', True),
        ('{"visitor_id":"\\u0061da"}', True),
        ('{"visitor_id":"adam"}', False),
        ('{"text":"ask ada"}', False),  # a short id counts as a whole string only
        ("", False),
    ],
)
def test_a_short_id_is_mentioned_as_a_string(body: str, is_there: bool) -> None:
    assert is_mentioned("ada", body) is is_there


@pytest.mark.parametrize(
    ("body", "is_there"),
    [
        ('{"visitor_id":4711123}', True),
        ("GET /users/4711123?x=1", True),
        ('{"visitor_id":47111234}', False),
    ],
)
def test_a_longer_id_is_mentioned_as_a_word(body: str, is_there: bool) -> None:
    assert is_mentioned("4711123", body) is is_there


@pytest.mark.parametrize("visitor", ['q"uo\\te', "été", "a b/c?d", "\x1f", "😀-user"])
def test_an_id_of_any_characters_is_found_however_json_writes_it(visitor: str) -> None:
    for ascii_only in (True, False):
        assert is_mentioned(visitor, json.dumps({"visitor_id": visitor}, ensure_ascii=ascii_only))


def test_tidying_removes_what_is_old_and_belongs_to_no_version(lake: Lake, upkeep: Upkeep) -> None:
    commit_each(lake, [converted("a"), converted("b")])
    before = seen(upkeep)
    before.replace(before.files, copied(before), {})
    folder = before.directory / "date=1970-01-04"
    old, young = folder / "part-old.parquet", folder / "part-young.parquet"
    for path in (old, young):
        path.write_bytes(b"half a file")
    os.utime(old, (0, 0))
    assert upkeep.tidy("conversions", 24) == 1
    assert not old.exists()
    assert young.exists()
    assert all(before.location(file).exists() for file in before.files)
    assert list((before.directory / "_delta_log").glob("*.checkpoint.parquet"))
    assert upkeep.tidy("conversions", 0) == 3
    assert uuids(lake) == ["a", "b"]
    assert lake.commit([converted("b")], app_id="log", number=2).repeated == ("conversions",)
    assert upkeep.tidy("decisions", 24) == 0


def test_checksums_are_noted_for_files_of_now_alone(lake: Lake, upkeep: Upkeep) -> None:
    commit_each(lake, [converted("a"), converted("b")])
    before = seen(upkeep)
    assert set(remembered(before.directory)) == {file.path for file in before.files}
    upkeep.make_durable("conversions", before.replace(before.files, copied(before), {}))
    assert len(remembered(before.directory)) == 3
    upkeep.tidy("conversions", 0)
    (file,) = seen(upkeep).files
    assert remembered(before.directory) == {file.path: checksum(before.location(file))}


def test_an_object_store_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a directory, found an object store"):
        Upkeep("s3://bucket/lake")
