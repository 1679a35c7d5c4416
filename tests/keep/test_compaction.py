from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histories import histories, metrics, questions
from stores import DAY, commit_each, converted, decided, everything, refused, rows, uuids
from tallybook.attribution.ask import exposures, measure
from tallybook.engines.duckdb import DuckDB
from tallybook.errors import StorageError
from tallybook.keep import rewriting
from tallybook.keep.compaction import Compacted, CompactSettings, compact
from tallybook.keep.rewriting import Plan, rewrite
from tallybook.lake.snapshot import LiveFile, Snapshot
from tallybook.lake.tables import Lake
from tallybook.lake.upkeep import Upkeep
from tallybook.model.event import Received
from tallybook.model.metric import Metric, Question

NOW = 20 * DAY


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def compacted(lake: Lake, **settings: Any) -> Compacted:
    return compact(lake.uri, CompactSettings(pause_s=0, **settings), now_ms=NOW)


def test_a_days_small_files_become_one_with_the_same_rows(lake: Lake) -> None:
    commit_each(
        lake,
        [batch for n in range(5) for batch in (converted(f"c{n}"), decided(f"d{n}"))]
        + [converted("next day", at_ms=4 * DAY), refused("{}"), refused("[]")],
    )
    before = everything(lake)
    assert compacted(lake) == Compacted(merged_files=12, written_files=3)
    assert everything(lake) == before
    assert [len(lake.files(t)) for t in ("decisions", "conversions", "dead_letters")] == [1, 2, 1]
    assert compacted(lake) == Compacted()


def test_compacting_an_empty_lake_does_nothing(lake: Lake) -> None:
    assert compacted(lake) == Compacted()
    assert not Path(lake.uri).exists()


def test_an_events_rows_stand_together_by_visitor(lake: Lake) -> None:
    commit_each(lake, [converted(f"{n}", f"v{n * 7 % 10}") for n in range(10)])
    compacted(lake)
    (file,) = lake.files("conversions")
    assert pq.read_table(file)["visitor_id"].to_pylist() == [f"v{n}" for n in range(10)]


def test_promoted_columns_survive_where_only_some_files_have_them(lake: Lake) -> None:
    lake.commit([converted("a")], app_id="log", number=1)
    lake.commit([converted("b")], app_id="log", number=2, promoted=["plan"])
    before = everything(lake)
    compacted(lake)
    assert everything(lake) == before
    assert "attribute_plan" in lake.columns("conversions")


def test_further_copies_are_removed_and_counted_in_the_first(lake: Lake) -> None:
    copies = [converted("a", late_ms=late) for late in (9, 3, 7)]
    commit_each(lake, [*copies, converted("b"), converted("a", "bob", late_ms=1)])
    done = compacted(lake, drop_copies=True)
    assert done == Compacted(merged_files=5, written_files=1, removed_copies=2)
    kept = "SELECT uuid, visitor_id, arrived_at - occurred_at, copies FROM conversions ORDER BY ALL"
    assert rows(lake, kept) == [("a", "ada", 3, 3), ("a", "bob", 1, None), ("b", "ada", 5, None)]
    lake.commit([converted("a", late_ms=20)], app_id="log", number=9)
    assert compacted(lake, drop_copies=True).removed_copies == 1
    assert rows(lake, kept)[0] == ("a", "ada", 3, 4)
    assert compacted(lake, drop_copies=True) == Compacted()


def test_copies_stay_unless_they_are_to_be_removed(lake: Lake) -> None:
    commit_each(lake, [converted("a"), converted("a"), refused("{}"), refused("{}")])
    assert compacted(lake).removed_copies == 0
    assert uuids(lake) == ["a", "a"]
    assert compacted(lake, drop_copies=True).removed_copies == 1
    assert len(everything(lake)["dead_letters"]) == 2


def answers(lake: Lake, question: Question, metric: Metric) -> tuple[object, object]:
    with DuckDB(lake) as engine:
        return exposures(engine, question), measure(engine, question, metric)


@settings(deadline=None, max_examples=6)
@given(histories, questions, metrics, st.integers(0, 3))
def test_no_answer_changes_whatever_is_compacted_and_arrives_again(
    tmp_path_factory: pytest.TempPathFactory,
    history: Sequence[Received],
    question: Question,
    metric: Metric,
    again: int,
) -> None:
    plain = Lake(str(tmp_path_factory.mktemp("plain")))
    kept = Lake(str(tmp_path_factory.mktemp("kept")))
    portions = [history[n::3] for n in range(3)] + [history[:again]]
    for number, portion in enumerate(portions, start=1):
        plain.commit(portion, app_id="log", number=number)
        kept.commit(portion, app_id="log", number=number)
        if number != 3:
            compacted(kept, drop_copies=number != 2)
    assert answers(kept, question, metric) == answers(plain, question, metric)


def test_days_past_keeping_are_removed_as_a_whole(lake: Lake) -> None:
    moments = (17 * DAY - 1, 17 * DAY, 18 * DAY)
    commit_each(lake, [converted(str(at), at_ms=at) for at in moments])
    commit_each(lake, [refused("{}", 16 * DAY), decided("d", at_ms=16 * DAY)], app_id="more")
    assert compacted(lake, keep_days=3).expired_rows == 3
    assert uuids(lake) == [str(17 * DAY), str(18 * DAY)]
    assert everything(lake)["dead_letters"] == []
    assert lake.commit([converted("x")], app_id="log", number=1).repeated == ("conversions",)


def test_nothing_is_past_keeping_when_more_days_are_kept_than_there_ever_were(lake: Lake) -> None:
    commit_each(lake, [converted("a", at_ms=0)])
    assert compacted(lake, keep_days=10_000) == Compacted()


def test_a_commit_that_comes_in_between_is_neither_lost_nor_in_the_way(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_each(lake, [converted("a"), converted("b")])
    write = rewriting.write_parts
    numbers = iter(range(100, 200))

    def write_slowly(*args: Any) -> list[LiveFile]:
        number = next(numbers)
        lake.commit([converted(f"late {number}")], app_id="log", number=number)
        return write(*args)

    monkeypatch.setattr(rewriting, "write_parts", write_slowly)
    compacted(lake)
    assert uuids(lake) == ["a", "b", "late 100"]


def test_of_two_compactions_at_once_one_begins_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_each(lake, [converted("a"), converted("b")])
    write = rewriting.write_parts
    overtaken: list[Compacted] = []

    def overtake(*args: Any) -> list[LiveFile]:
        if not overtaken:
            overtaken.append(Compacted())
            overtaken.append(compacted(lake))
        return write(*args)

    monkeypatch.setattr(rewriting, "write_parts", overtake)
    assert compacted(lake) == Compacted()
    assert overtaken[1].merged_files == 2
    assert uuids(lake) == ["a", "b"]
    folder = Path(lake.files("conversions")[0]).parent
    assert len(list(folder.iterdir())) == 3, "what was written in vain is left behind"


def test_a_rewrite_that_would_lose_a_row_is_refused(lake: Lake) -> None:
    commit_each(lake, [converted("a"), converted("b")])

    def plan(snapshot: Snapshot) -> Plan:
        return Plan(snapshot.files, 2, lambda: (), {})

    with pytest.raises(StorageError, match="gave 0 rows where 2 were expected"):
        rewrite(Upkeep(lake.uri), "conversions", plan)
    assert uuids(lake) == ["a", "b"]


def test_a_damaged_file_stops_the_compaction_and_costs_nothing(lake: Lake) -> None:
    commit_each(lake, [converted("a"), converted("b")])
    first, second = (Path(file) for file in lake.files("conversions"))
    second.write_bytes(second.read_bytes()[:100])
    with pytest.raises(StorageError, match=second.name):
        compacted(lake)
    assert len(lake.files("conversions")) == 2
    assert set(first.parent.iterdir()) == {first, second}


def test_a_day_larger_than_the_memory_is_compacted_all_the_same(lake: Lake) -> None:
    many = 40_000

    def portion(number: int) -> Iterable[Received]:
        return (
            converted(f"{n % many:032}", f"visitor-{n % many * 7919 % many}", late_ms=number)
            for n in range(many)
        )

    for number in (1, 2):
        lake.commit(portion(number), app_id="log", number=number)
    done = compacted(lake, drop_copies=True, memory_bytes=48 * 2**20)
    assert done.removed_copies == many
    assert rows(
        lake,
        "SELECT COUNT(*), COUNT(DISTINCT uuid), MAX(arrived_at - occurred_at) FROM conversions",
    ) == [(many, many, 1)]


def test_progress_is_told_day_by_day(lake: Lake) -> None:
    commit_each(lake, [converted("a"), converted("b", at_ms=5 * DAY)])
    told: list[tuple[int, int]] = []
    compact(
        lake.uri, CompactSettings(pause_s=0), now_ms=NOW, progress=lambda *done: told.append(done)
    )
    assert told == [(1, 2), (2, 2)]


def test_the_first_day_kept_is_the_one_in_which_something_is_young_enough(lake: Lake) -> None:
    commit_each(lake, [converted("a", at_ms=17 * DAY)])
    compact(lake.uri, CompactSettings(keep_days=3, pause_s=0), now_ms=21 * DAY - 1)
    assert rows(lake, "SELECT DISTINCT date FROM conversions") == [(date(1970, 1, 18),)]
    compact(lake.uri, CompactSettings(keep_days=3, pause_s=0), now_ms=21 * DAY)
    assert rows(lake, "SELECT COUNT(*) FROM conversions") == [(0,)]
