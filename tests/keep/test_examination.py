from __future__ import annotations

import os
import shutil
import sqlite3
from collections import namedtuple
from pathlib import Path

import pytest

from servers import READY, tallybook
from stores import commit_each, converted, decided, refused
from tallybook.catalog.store import open_catalog
from tallybook.collect import Collector, drain_leftovers
from tallybook.keep.compaction import CompactSettings, compact
from tallybook.keep.examination import examine
from tallybook.keep.finding import Finding, State, is_healthy
from tallybook.keep.place import Place, place
from tallybook.lake.tables import Lake
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.model.event import Arrival

BODY = b'{"account_id": "1", "visitors": []}'


@pytest.fixture
def kept(tmp_path: Path) -> Place:
    """A healthy installation: a log, a catalog and a lake with rows in every table."""
    kept = place(tmp_path / "data", {})
    with WriteAheadLog(kept.log):
        pass
    open_catalog(kept.catalog_url).close()
    commit_each(
        Lake(kept.lake_uri),
        [converted("a"), converted("b"), converted("c"), decided("d"), refused("{}")],
    )
    return kept


def found(kept: Place, part: str, subject: str, *, is_quick: bool = False) -> Finding:
    (finding,) = [
        f for f in examine(kept, is_quick=is_quick) if (f.part, f.subject) == (part, subject)
    ]
    return finding


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


def leave(log: Path, count: int = 1) -> Path:
    """Have a log take bodies that nobody drains; return the segment."""
    with WriteAheadLog(log) as opened:
        for _ in range(count):
            Collector(opened, Lake("unused")).accept(BODY, Arrival(0), lambda _: None)
    (segment,) = [path for path in log.glob("*.log") if path.stat().st_size]
    return segment


def test_what_is_healthy_is_found_so_and_left_as_it_is(kept: Place) -> None:
    before = contents(kept.data)
    findings = list(examine(kept))
    assert contents(kept.data) == before
    assert is_healthy(findings)
    assert {f.state for f in findings if f.part != "disk"} == {State.OK}
    assert [f.subject for f in findings if f.part == "lake"] == [
        "decisions",
        "conversions",
        "dead_letters",
    ]
    assert found(kept, "lake", "conversions").found.startswith("3 rows in 3 files, ")
    assert found(kept, "log", "owner").found == "no server runs"


def test_a_place_with_nothing_in_it_is_healthy(tmp_path: Path) -> None:
    findings = list(examine(place(tmp_path, {})))
    assert is_healthy(findings)
    assert list(tmp_path.iterdir()) == []


def test_a_log_in_use_is_told_with_its_owner(kept: Place) -> None:
    with WriteAheadLog(kept.log) as opened:
        Collector(opened, Lake("unused")).accept(BODY, Arrival(0), lambda _: None)
        opened.seal()
        assert found(kept, "log", "owner").found == f"held by process {os.getpid()}"
        segments = found(kept, "log", "segments")
    assert segments.state is State.OK
    assert segments.found.startswith("1 batches in 1 segments, ")


def test_segments_that_a_server_left_are_to_be_drained(kept: Place) -> None:
    segment = leave(kept.log, 2)
    with segment.open("ab") as file:
        file.write(b"TBL1\0")
    finding = found(kept, "log", "segments")
    assert finding.state is State.WARN
    assert "2 batches in 1 segments" in finding.found
    assert "5 bytes of an unfinished write" in finding.found
    drain_leftovers(kept.log, Lake(kept.lake_uri))
    assert found(kept, "log", "segments").found == "nothing waits for the lake"


def test_a_damaged_segment_is_broken_and_one_set_aside_wants_attention(kept: Place) -> None:
    segment = leave(kept.log, 2)
    data = bytearray(segment.read_bytes())
    data[data.index(b"visitors")] ^= 1
    segment.write_bytes(data)
    finding = found(kept, "log", "segments")
    assert finding.state is State.BAD
    assert f"1 records damaged, the first in {segment.name} at byte 0" in finding.found
    drain_leftovers(kept.log, Lake(kept.lake_uri))
    assert found(kept, "log", "segments").state is State.OK
    assert found(kept, "log", "set aside").state is State.WARN


def test_the_logs_of_workers_are_looked_at_too(kept: Place) -> None:
    leave(kept.log / "worker-2")
    assert found(kept, "log", "worker-2, segments").state is State.WARN
    assert found(kept, "log", "segments").state is State.OK


def test_a_log_without_its_name_is_broken(kept: Place) -> None:
    (kept.log / "app-id").write_text("nobody\n")
    assert found(kept, "log", "app-id").state is State.BAD


def test_a_file_that_is_cut_short_or_missing_is_broken(kept: Place) -> None:
    first, second, _ = (Path(file) for file in Lake(kept.lake_uri).files("conversions"))
    first.write_bytes(first.read_bytes()[:-9])
    finding = found(kept, "lake", "conversions", is_quick=True)
    assert finding.state is State.BAD
    assert "1 files are damaged" in finding.found
    assert first.name in finding.found
    second.unlink()
    assert "2 files are damaged" in found(kept, "lake", "conversions").found


@pytest.mark.parametrize("is_compacted", [False, True], ids=["drained", "compacted"])
def test_a_changed_byte_is_found_wherever_it_is(kept: Place, is_compacted: bool) -> None:
    if is_compacted:
        compact(kept.lake_uri, CompactSettings(pause_s=0), now_ms=0)
    path = Path(Lake(kept.lake_uri).files("conversions")[0])
    whole = path.read_bytes()
    for offset in range(0, len(whole), len(whole) // 20):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 4]) + whole[offset + 1 :])
        finding = found(kept, "lake", "conversions")
        assert finding.state is State.BAD, offset
        assert path.name in finding.found
    path.write_bytes(whole)
    assert found(kept, "lake", "conversions").state is State.OK


def test_a_file_whose_checksum_nobody_noted_is_read_all_the_same(kept: Place) -> None:
    for noted in Path(kept.lake_uri).rglob("_checksums"):
        noted.write_text("cut sh\n" + "\0" * 8 + " x\nzzzzzzzz date=1970-01-04/part")
    assert is_healthy(list(examine(kept)))
    path = Path(Lake(kept.lake_uri).files("conversions")[0])
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert found(kept, "lake", "conversions").state is State.BAD


def test_a_file_with_other_rows_than_the_table_says_is_broken(kept: Place) -> None:
    lake = Lake(kept.lake_uri)
    lake.commit([converted("x"), converted("y")], app_id="more", number=1)
    files = sorted(map(Path, lake.files("conversions")), key=lambda path: path.stat().st_size)
    shutil.copy(files[-1], files[0])
    finding = found(kept, "lake", "conversions", is_quick=True)
    assert finding.state is State.BAD
    assert "and 2 rows, expected" in finding.found


def test_a_table_whose_log_is_damaged_is_broken(kept: Place) -> None:
    for entry in Path(kept.lake_uri, "decisions", "_delta_log").glob("*.json"):
        entry.write_text("{")
    assert found(kept, "lake", "decisions").state is State.BAD
    assert found(kept, "lake", "conversions").state is State.OK


def test_many_small_files_are_to_be_compacted(kept: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallybook.keep.lake_examination._MANY_FILES", 2)
    monkeypatch.setattr("tallybook.keep.lake_examination._MANY_COMMITS", 2)
    assert found(kept, "lake", "conversions, files").advice == "run tallybook compact"
    assert found(kept, "lake", "conversions, log").found.startswith("3 commits")
    compact(kept.lake_uri, CompactSettings(pause_s=0), now_ms=0)
    subjects = [f.subject for f in examine(kept)]
    assert not [s for s in subjects if s.startswith("conversions, ")]


def test_files_that_belong_to_no_version_are_to_be_removed(kept: Place) -> None:
    orphan = Path(Lake(kept.lake_uri).files("conversions")[0]).with_name("part-0.parquet")
    orphan.write_bytes(b"half")
    assert not [f for f in examine(kept) if f.subject == "conversions, earlier files"]
    os.utime(orphan, (0, 0))
    finding = found(kept, "lake", "conversions, earlier files")
    assert finding.state is State.WARN
    assert finding.found == "1 files, 4 bytes, belong to no version of now"


def test_a_damaged_catalog_is_broken(kept: Place) -> None:
    path = kept.data / "catalog.sqlite3"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    assert found(kept, "catalog", "database").state is State.BAD
    path.write_bytes(b"no database at all" * 100)
    assert found(kept, "catalog", "database").state is State.BAD


def test_a_catalog_of_a_newer_version_is_broken(kept: Place) -> None:
    with sqlite3.connect(kept.data / "catalog.sqlite3") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    finding = found(kept, "catalog", "database")
    assert finding.state is State.BAD
    assert "step 9999" in finding.found


@pytest.mark.parametrize(
    ("free", "state"), [(50, State.OK), (5, State.WARN), (0, State.BAD)], ids=str
)
def test_a_full_disk_is_broken(
    kept: Place, monkeypatch: pytest.MonkeyPatch, free: int, state: State
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil has it
    total = 100 * 2**30
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(total, 0, total * free // 100))
    assert found(kept, "disk", str(kept.data)).state is state


def test_a_lake_in_an_object_store_is_not_looked_at(kept: Place) -> None:
    far = Place(kept.data, "s3://bucket/lake", kept.catalog_url)
    assert found(far, "lake", "tables").state is State.WARN


def test_the_commands_say_what_they_did_and_doctor_ends_with_its_verdict(kept: Place) -> None:
    healthy = tallybook("doctor", data=kept.data)
    assert healthy.returncode == 0, healthy.stderr
    assert healthy.stdout.rstrip().endswith("healthy: 0 bad, 0 to look at")
    done = tallybook("compact", "--keep-days", "1", data=kept.data)
    assert done.stdout.startswith("merged 0 files into 0, removed 5 rows"), done.stderr
    forgotten = tallybook("forget", "ada", "--grace-s", "0", data=kept.data)
    assert forgotten.returncode == 0, forgotten.stderr
    assert forgotten.stdout.startswith("removed 0 decisions")
    leave(kept.log).write_bytes(b"TBL1" + b"x" * 100)
    broken = tallybook("doctor", "--format", "json", data=kept.data)
    assert broken.returncode == 1
    assert '"healthy": false' in broken.stdout
    assert "Traceback" not in broken.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("compact", "--keep-days", "0"),
        ("compact", "--retention-hours", "0"),
        ("compact", "--keep-days", "soon"),
        ("forget",),
        ("forget", ""),
        ("doctor", "--format", "xml"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_one_line_and_status_2(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = tallybook(*arguments, data=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert READY not in done.stdout


def test_a_data_directory_that_is_not_there_is_status_2(tmp_path: Path) -> None:
    for command in (("doctor",), ("compact",), ("forget", "ada")):
        done = tallybook(*command, data=tmp_path / "missing")
        assert done.returncode == 2
        assert not (tmp_path / "missing").exists()
