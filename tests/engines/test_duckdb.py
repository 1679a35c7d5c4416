from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from tallybook.engines import ENGINES, Engine
from tallybook.engines.duckdb import DuckDB
from tallybook.errors import StorageError
from tallybook.lake.tables import Lake
from tallybook.model.event import Arrival, Batch, DecisionEvent, Received, Sender

DAY = 86_400_000


@dataclass
class Listed:
    """A lake of which nothing is known but a list of files."""

    paths: list[str]

    def files(self, table: str) -> list[str]:
        return self.paths

    def columns(self, table: str) -> Mapping[str, str]:
        return {"uuid": "varchar", "occurred_at": "bigint", "new": "double", "date": "date"}


def decided(uuid: str, at_ms: int = DAY) -> Received:
    event = DecisionEvent(uuid, at_ms, "ada", "L", "L", "E", "V")
    return Received(Arrival(at_ms), Batch(Sender("1", None, None, None, None), (event,), ()))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_an_empty_lake_has_all_tables_and_columns_and_no_rows(lake: Lake) -> None:
    engine: Engine = ENGINES["duckdb"](lake)
    for table in ("decisions", "conversions", "dead_letters"):
        assert engine.rows(f"SELECT * FROM {table}", {}) == []
        described = {row[0]: row[1] for row in engine.rows(f"DESCRIBE {table}", {})}
        assert {n: str(t).lower() for n, t in described.items()} == lake.columns(table)


def test_an_engine_answers_for_the_moment_it_was_made(lake: Lake) -> None:
    text = "SELECT count(*) FROM decisions"
    for number in range(3):
        with DuckDB(lake) as engine:
            lake.commit([decided(f"d{number}")], app_id="log", number=number)
            assert engine.rows(text, {}) == [(number,)]
    assert DuckDB(lake).rows(text, {}) == [(3,)]


def test_parameters_are_values_and_never_text(lake: Lake) -> None:
    lake.commit([decided("it's")], app_id="log", number=1)
    engine = DuckDB(lake)
    text = "SELECT count(*) FROM decisions WHERE uuid = $uuid"
    assert engine.rows(text, {"uuid": "it's"}) == [(1,)]
    assert engine.rows(text, {"uuid": "x' OR 'a' = 'a"}) == [(0,)]


def test_dates_are_dates_and_prune_files(lake: Lake) -> None:
    lake.commit([decided("d1", DAY), decided("d2", 2 * DAY)], app_id="log", number=1)
    text = "SELECT uuid FROM decisions WHERE date >= CAST($day AS DATE)"
    assert DuckDB(lake).rows(text, {"day": "1970-01-03"}) == [("d2",)]
    (plan,) = DuckDB(lake).rows("EXPLAIN ANALYZE " + text, {"day": "1970-01-03"})
    assert "Files Read: 1" in str(plan[1]) or "1/2" in str(plan[1])


def test_files_without_a_column_have_nulls_in_it(tmp_path: Path) -> None:
    (tmp_path / "date=1970-01-02").mkdir()
    old = tmp_path / "date=1970-01-02" / "old.parquet"
    duckdb.sql("SELECT 'u' AS uuid, 1::BIGINT AS occurred_at").write_parquet(str(old))
    rows = DuckDB(Listed([str(old)])).rows('SELECT uuid, "new", date::varchar FROM decisions', {})
    assert rows == [("u", None, "1970-01-02")]


def test_a_missing_or_broken_file_is_a_storage_error_of_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "date=1970-01-02"
    broken.write_bytes(b"not parquet at all")
    for path in (broken, tmp_path / "gone.parquet"):
        with pytest.raises(StorageError) as refusal:
            DuckDB(Listed([str(path)])).rows("SELECT * FROM decisions", {})
        assert path.name in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_nothing_is_fetched_from_the_network(lake: Lake) -> None:
    (settings,) = DuckDB(lake).rows(
        "SELECT current_setting('autoinstall_known_extensions'), "
        "current_setting('autoload_known_extensions')",
        {},
    )
    assert settings == (False, False)


def test_several_threads_may_ask_at_once(lake: Lake) -> None:
    lake.commit([decided("d1")], app_id="log", number=1)
    engine = DuckDB(lake)
    text = "SELECT count(*) FROM decisions WHERE uuid = $uuid"
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda _: engine.rows(text, {"uuid": "d1"}), range(12))
        assert list(found) == [[(1,)]] * 12
