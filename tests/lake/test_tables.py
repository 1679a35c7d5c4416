from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from histories import histories
from tallybook.engines.duckdb import DuckDB
from tallybook.errors import ConfigError, StorageError
from tallybook.lake import tables
from tallybook.lake.durable import local_path, make_durable
from tallybook.lake.tables import Committed, Lake
from tallybook.model.event import (
    Arrival,
    Batch,
    ConversionEvent,
    DeadLetter,
    DecisionEvent,
    Received,
    Sender,
    VisitorAttribute,
)

DAY = 86_400_000
SENDER = Sender("1", "2", "42", "python-sdk", "5.7.0")
PLAN = VisitorAttribute("900", "plan", "gold")


def decided(uuid: str = "d1", at_ms: int = 3 * DAY, *attributes: VisitorAttribute) -> Received:
    event = DecisionEvent(uuid, at_ms, "ada", "L", "L", "E", "V", attributes)
    return Received(Arrival(at_ms + 5), Batch(SENDER, (event,), ()))


def converted(uuid: str = "c1", at_ms: int = 3 * DAY, **more: object) -> Received:
    event = ConversionEvent(uuid, at_ms, "ada", "10", "buy", **more)  # type: ignore[arg-type]
    return Received(Arrival(at_ms + 5), Batch(SENDER, (), (event,)))


def refused(at_ms: int = 3 * DAY) -> Received:
    letter = DeadLetter("$.visitors[0]", "no snapshots", "{}")
    return Received(Arrival(at_ms), Batch(SENDER, (), (), (letter,)))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def rows(lake: Lake, text: str) -> list[tuple[object, ...]]:
    return DuckDB(lake).rows(text, {})


def test_a_lake_is_empty_and_touches_nothing_until_the_first_commit(lake: Lake) -> None:
    assert lake.is_empty
    assert lake.files("decisions") == []
    assert lake.columns("conversions")["revenue"] == "bigint"
    assert lake.commit([], app_id="log", number=1) == Committed()
    assert not Path(lake.uri).exists()


def test_each_kind_goes_to_its_table_with_every_column(lake: Lake) -> None:
    added = lake.commit([decided(), converted(), refused()], app_id="log", number=1)
    assert added == Committed(decisions=1, conversions=1, dead_letters=1)
    assert not lake.is_empty
    for table in ("decisions", "conversions", "dead_letters"):
        delta = DeltaTable(f"{lake.uri}/{table}")
        assert [field.name for field in delta.schema().fields] == list(lake.columns(table))
        assert delta.metadata().partition_columns == ["date"]


def test_a_conversion_is_kept_as_it_was_sent(lake: Lake) -> None:
    event = converted(
        tags={"b": True, "a": [1, {"é": None}], "n": 2**70, "x": float("nan")},
        attributes=(PLAN, VisitorAttribute(None, "meta", 3.0), VisitorAttribute("9", "f", 2.5)),
        revenue=-(2**63),
        value=0.1,
        quantity=2,
        properties={"size": "L"},
        event_type="other",
        session_id="s",
    )
    lake.commit([event], app_id="log", number=1)
    (row,) = rows(lake, "SELECT * EXCLUDE (uuid) FROM conversions")
    assert row == (
        *(3 * DAY, 3 * DAY + 5, "ada", "s", "1", "2", "10", "buy", "other"),
        *(-(2**63), 0.1, 2, '{"a":[1,{"é":null}],"b":true,"n":1180591620717411303424,"x":null}'),
        *('{"size":"L"}', '{"f":2.5,"meta":3,"plan":"gold"}', '{"f":"9","plan":"900"}'),
        *(None, None, None, "42", "python-sdk", "5.7.0", None, date(1970, 1, 4)),
    )


def test_events_lie_by_their_own_day_and_dead_letters_by_their_arrival(lake: Lake) -> None:
    late = decided(at_ms=DAY - 1)
    lake.commit([late, decided("d2", DAY), refused(9 * DAY)], app_id="log", number=1)
    folders = {Path(file).parent.name for file in lake.files("decisions")}
    assert folders == {"date=1970-01-01", "date=1970-01-02"}
    assert Path(lake.files("dead_letters")[0]).parent.name == "date=1970-01-10"


def test_a_number_is_committed_once_per_origin(lake: Lake) -> None:
    assert lake.commit([decided()], app_id="log", number=7).decisions == 1
    again = Lake(lake.uri).commit([decided()], app_id="log", number=7)
    assert again == Committed(repeated=("decisions",))
    assert lake.commit([decided("d0")], app_id="log", number=6).repeated == ("decisions",)
    assert lake.commit([decided("d2")], app_id="other", number=7).decisions == 1
    assert lake.commit([decided("d3")], app_id="log", number=8).decisions == 1
    assert rows(lake, "SELECT count(*) FROM decisions") == [(3,)]


def test_a_commit_stopped_between_tables_is_completed_by_repeating_it(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    batch = [decided(), converted(), refused()]
    with monkeypatch.context() as patched:
        turns = iter([tables.write_deltalake, stop])

        def write(*args: object, **more: object) -> None:
            next(turns)(*args, **more)  # type: ignore[operator]

        patched.setattr(tables, "write_deltalake", write)
        with pytest.raises(KeyboardInterrupt):
            lake.commit(batch, app_id="log", number=1)
    added = lake.commit(batch, app_id="log", number=1)
    assert added == Committed(conversions=1, dead_letters=1, repeated=("decisions",))


@settings(deadline=None, max_examples=5)
@given(histories, st.lists(st.integers(0, 5), max_size=6))
def test_replaying_any_commits_in_any_order_adds_nothing(
    tmp_path_factory: pytest.TempPathFactory, history: Sequence[Received], replays: list[int]
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    portions = [history[n::3] for n in range(3)]
    for number, portion in enumerate(portions):
        lake.commit(portion, app_id="log", number=number)
        for replayed in replays:
            if replayed <= number:
                lake.commit(portions[replayed], app_id="log", number=replayed)
    expected = sum(len(r.batch.decisions) for r in history)
    assert rows(lake, "SELECT count(*) FROM decisions") == [(expected,)]


def test_two_who_commit_the_same_number_at_once_add_it_once(lake: Lake) -> None:
    lake.commit([decided("d0")], app_id="log", number=1)
    both = threading.Barrier(2)
    added = []

    def commit() -> None:
        both.wait()
        added.append(lake.commit([decided()], app_id="log", number=2).decisions)

    threads = [threading.Thread(target=commit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [0, 1]
    assert rows(lake, "SELECT count(*) FROM decisions") == [(2,)]


def test_a_lost_race_is_tried_again_and_found_done(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.commit([decided("d0")], app_id="log", number=1)
    overtaken: list[bool] = []

    def overtake(*args: object, **more: object) -> None:
        if not overtaken:
            overtaken.append(True)
            Lake(lake.uri).commit([decided()], app_id="log", number=2)
        write_deltalake(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tables, "write_deltalake", overtake)
    assert lake.commit([decided()], app_id="log", number=2) == Committed(repeated=("decisions",))
    assert rows(lake, "SELECT count(*) FROM decisions") == [(2,)]


COMMIT_FIVE = """
import sys
from tallybook.lake.tables import Lake
from tallybook.model.event import *

uri, app_id = sys.argv[1:]
for number in range(1, 6):
    event = DecisionEvent(f"{app_id}-{number}", 0, "ada", "L", "L", "E", "V")
    batch = Batch(Sender("1", None, None, None, None), (event,), ())
    Lake(uri).commit([Received(Arrival(0), batch)], app_id=app_id, number=number)
"""


def test_several_processes_commit_at_once_and_nothing_is_lost(lake: Lake) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", COMMIT_FIVE, lake.uri, app], env=environment)
        for app in ("a", "b")
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert rows(lake, "SELECT count(*), count(DISTINCT uuid) FROM decisions") == [(10, 10)]


def test_promoted_attributes_get_columns_that_keep_the_values_type(lake: Lake) -> None:
    lake.commit([decided("d1", DAY, PLAN)], app_id="log", number=1)
    seats = VisitorAttribute("901", "seats", 3.0)
    lake.commit(
        [decided("d2", DAY, PLAN, seats)], app_id="log", number=2, promoted=["plan", "seats"]
    )
    assert list(lake.columns("decisions"))[-2:] == ["attribute_plan", "attribute_seats"]
    text = "SELECT uuid, attribute_plan, attribute_seats FROM decisions ORDER BY uuid"
    assert rows(lake, text) == [("d1", None, None), ("d2", '"gold"', "3")]
    lake.commit([decided("d3", DAY, seats)], app_id="log", number=3, promoted=["seats"])
    assert rows(lake, text)[-1] == ("d3", None, "3")


def test_an_attribute_that_cannot_name_a_column_stays_in_the_text_alone(lake: Lake) -> None:
    names = ["ids", "a b", "plan", "Plan", "", "x" * 101, "é"]
    lake.commit([decided("d1", DAY, PLAN)], app_id="log", number=1, promoted=names)
    promoted = [c for c in lake.columns("decisions") if c.startswith("attribute_")]
    assert promoted == ["attribute_ids", "attribute_plan"]
    assert rows(lake, "SELECT attribute_ids FROM decisions") == [('{"plan":"900"}',)]
    lake.commit([decided("d2", DAY, PLAN)], app_id="log", number=2, promoted=["Plan", "plan"])
    assert rows(lake, "SELECT attribute_plan FROM decisions") == [('"gold"',), ('"gold"',)]


@pytest.mark.parametrize("name", ["with blank", "o'clock", "stra ße", "a*b?", "100%", "x{y},z;#"])
def test_a_lake_may_lie_in_a_directory_of_almost_any_name(tmp_path: Path, name: str) -> None:
    lake = Lake(str(tmp_path / name / "lake"))
    lake.commit([decided()], app_id="log", number=1)
    assert lake.commit([decided()], app_id="log", number=1).repeated == ("decisions",)
    assert all(Path(file).is_file() for file in lake.files("decisions"))
    assert rows(lake, "SELECT count(*) FROM decisions") == [(1,)]


@pytest.mark.parametrize("name", ["a[b]", "a|b", "a%20b", "a^b", "a\\b"])
def test_a_directory_the_storage_layer_cannot_address_is_refused_at_once(name: str) -> None:
    with pytest.raises(ConfigError, match="expected a path without"):
        Lake(f"/srv/{name}")


def test_what_is_no_lake_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "decisions").write_text("a file where a table should be")
    with pytest.raises(StorageError) as refusal:
        Lake(str(tmp_path)).commit([decided()], app_id="log", number=1)
    assert str(refusal.value).startswith(f"lake table {tmp_path}/decisions: ")
    assert "\n" not in str(refusal.value)


def test_a_place_that_nobody_may_write_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match=r"^lake table /proc/lake/decisions: "):
        Lake("/proc/lake").commit([decided()], app_id="log", number=1)


def test_a_commit_is_forced_to_the_disk_file_by_file(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        forced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    lake.commit([decided(), converted()], app_id="log", number=1)
    for table in ("decisions", "conversions"):
        assert set(lake.files(table)) <= set(forced)
        assert f"{lake.uri}/{table}/_delta_log/{1:020d}.json" in forced
        assert f"{lake.uri}/{table}" in forced


def test_events_of_many_days_go_in_in_steps_that_each_happen_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [*(converted(f"c{n}", n * DAY) for n in range(250)), *(decided(f"d{n}") for n in (1, 2))]
    stopping = Stopping(after=2)
    with monkeypatch.context() as patched:
        patched.setattr(tables, "write_deltalake", stopping)
        with pytest.raises(KeyboardInterrupt):
            lake.commit(many, app_id="log", number=1)
    added = lake.commit(many, app_id="log", number=1)
    assert added == Committed(conversions=150, repeated=("decisions",))
    again = lake.commit(many, app_id="log", number=1)
    assert again == Committed(repeated=("decisions", "conversions"))
    assert rows(lake, "SELECT count(*), count(DISTINCT uuid) FROM conversions") == [(250, 250)]
    files = lake.files("conversions")
    assert len(files) == 250


class Stopping:
    """Writes a few times, then is stopped."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, *arguments: object, **named: object) -> None:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        write_deltalake(*arguments, **named)  # type: ignore[call-overload]


@pytest.mark.parametrize("kept", [b"", None])
def test_a_commit_that_a_power_cut_took_the_rows_of_is_no_commit(
    lake: Lake, kept: bytes | None
) -> None:
    lake.commit([decided()], app_id="log", number=1)
    (file,) = map(Path, lake.files("decisions"))
    whole = file.read_bytes()
    file.unlink()
    if kept is not None:
        file.write_bytes(kept)
    with pytest.raises(StorageError, match=f"{file}: expected {len(whole)} bytes, found 0"):
        lake.commit([decided()], app_id="log", number=1)
    file.write_bytes(whole)
    assert lake.commit([decided()], app_id="log", number=1).repeated == ("decisions",)


def test_a_version_that_was_tidied_away_meanwhile_needs_no_forcing(lake: Lake) -> None:
    lake.commit([decided()], app_id="log", number=1)
    Path(lake.files("decisions")[0]).unlink()
    make_durable(Path(lake.uri) / "decisions", 1)
    make_durable(Path(lake.uri) / "decisions", 99)


def test_an_object_store_is_no_local_path() -> None:
    assert local_path("s3://bucket/lake") is None
    assert Lake("s3://bucket/lake/", {"region": "eu-west-1"}).uri == "s3://bucket/lake"
