from __future__ import annotations

import datetime as dt
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tallybook.engines.duckdb import DuckDB
from tallybook.errors import ImportDataError, StorageError
from tallybook.keep import events_import
from tallybook.keep.events_import import ImportSummary, import_events
from tallybook.keep.export_schema import DECISIONS, EVENTS
from tallybook.lake.tables import Lake

AT = dt.datetime(2020, 9, 14, 12, tzinfo=dt.UTC)
AT_MS = 1_600_084_800_000
LATER = AT + dt.timedelta(milliseconds=86_400_001)
DECISION: Mapping[str, Any] = {
    "uuid": "d1",
    "timestamp": AT,
    "process_timestamp": LATER,
    "visitor_id": "ada",
    "session_id": "s",
    "account_id": "1",
    "campaign_id": "L",
    "experiment_id": "E",
    "variation_id": "V",
    "attributes": [
        {"id": "900", "name": "plan", "type": "custom", "value": "gold"},
        {"id": None, "name": "attribution/captured", "type": "metadata", "value": "true"},
        {"id": None, "name": None, "type": "custom", "value": "nameless"},
        {"id": "901", "name": "empty", "type": "custom", "value": None},
        {"id": None, "name": "idless", "type": "custom", "value": "x"},
    ],
    "user_ip": "192.0.2.7",
    "user_agent": "requests",
    "referer": None,
    "is_holdback": None,
    "revision": "91",
    "client_engine": "python-sdk",
    "client_version": "3.5.2",
}
EVENT: Mapping[str, Any] = {
    **{n: DECISION[n] for n in DECISION if n not in {"campaign_id", "experiment_id"}},
    "uuid": "c1",
    "experiments": [],
    "entity_id": "10",
    "attributes": None,
    "event_type": None,
    "event_name": "purchase",
    "revenue": 0,
    "value": 1.5,
    "quantity": None,
    "tags": [("price", "39.95"), ("nothing", None)],
}


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return tmp_path / "export"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def decisions(export: Path, *rows: Mapping[str, Any], schema: pa.Schema = DECISIONS) -> Path:
    return write(export / "type=decisions/date=2020-09-15/experiment=E/part.parquet", rows, schema)


def events(export: Path, *rows: Mapping[str, Any], schema: pa.Schema = EVENTS) -> Path:
    return write(export / "type=events/date=2020-09-15/event=purchase/part.parquet", rows, schema)


def write(path: Path, rows: tuple[Mapping[str, Any], ...], schema: pa.Schema) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), path)
    return path


def rows(lake: Lake, text: str) -> list[tuple[object, ...]]:
    with DuckDB(lake) as engine:
        return engine.rows(text, {})


def without(schema: pa.Schema, *names: str) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in names])


def with_type(schema: pa.Schema, name: str, kind: pa.DataType) -> pa.Schema:
    return schema.set(schema.get_field_index(name), pa.field(name, kind))


def test_a_decision_keeps_its_ids_and_times(export: Path, lake: Lake) -> None:
    decisions(export, DECISION)
    assert import_events(export, lake) == ImportSummary(1, 1, 0, 0)
    assert rows(
        lake,
        "SELECT uuid, occurred_at, arrived_at, visitor_id, session_id, account_id, project_id,"
        " entity_id, campaign_id, experiment_id, variation_id, is_holdback, attributes,"
        " attribute_ids, user_ip, user_agent, referer, revision, client_name, client_version"
        " FROM decisions",
    ) == [
        (
            *("d1", AT_MS, AT_MS + 86_400_001, "ada", "s", "1", None, "L", "L", "E", "V", False),
            '{"attribution/captured":"true","idless":"x","plan":"gold"}',
            '{"idless":"","plan":"900"}',
            *("192.0.2.7", "requests", None, "91", "python-sdk", "3.5.2"),
        )
    ]


def test_a_conversion_keeps_its_zero_of_revenue_and_its_tags_of_text(
    export: Path, lake: Lake
) -> None:
    events(export, EVENT, {**EVENT, "uuid": "c2", "value": math.nan, "tags": [], "revenue": None})
    assert import_events(export, lake).conversions == 2
    text = "SELECT event_key, entity_id, revenue, value, tags, attributes FROM conversions"
    assert rows(lake, text + " ORDER BY uuid") == [
        ("purchase", "10", 0, 1.5, '{"price":"39.95"}', "{}"),
        ("purchase", "10", None, None, None, "{}"),
    ]


def test_importing_again_under_whatever_name_adds_nothing(export: Path, lake: Lake) -> None:
    path = decisions(export, DECISION)
    import_events(export, lake)
    path.rename(path.with_name("renamed.parquet"))
    again = import_events(export, lake)
    assert again == ImportSummary(1, 0, 0, 1)
    assert again.text == ("imported 0 decisions and 0 conversions from 1 files (1 imported before)")


def test_an_interrupted_import_goes_on_where_it_stopped(
    export: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_import, "PORTION", 2)
    decisions(export, *({**DECISION, "uuid": f"d{n}"} for n in range(5)))

    def stop(done: int, total: int) -> None:
        assert total == 5
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_events(export, lake, progress=stop)
    assert import_events(export, lake).decisions == 1
    assert rows(lake, "SELECT count(*), count(DISTINCT uuid) FROM decisions") == [(5, 5)]


def test_attributes_that_are_defined_get_columns(export: Path, lake: Lake) -> None:
    decisions(export, DECISION)
    import_events(export, lake, promoted=["plan"])
    assert rows(lake, "SELECT attribute_plan FROM decisions") == [('"gold"',)]


def test_what_older_and_newer_exports_lack_is_empty(export: Path, lake: Lake) -> None:
    decisions(export, DECISION, schema=without(DECISIONS, "session_id", "is_holdback", "referer"))
    events(export, EVENT, schema=without(EVENTS, "experiments", "tags", "quantity", "attributes"))
    assert import_events(export, lake) == ImportSummary(2, 1, 1, 0)
    assert rows(lake, "SELECT session_id, is_holdback FROM decisions") == [(None, False)]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("timestamp", pa.timestamp("us")),
        ("timestamp", pa.timestamp("ns", tz="UTC")),
        ("visitor_id", pa.large_string()),
        ("visitor_id", pa.dictionary(pa.int32(), pa.string())),
        ("revenue", pa.int32()),
        ("value", pa.float32()),
        ("session_id", pa.null()),
    ],
)
def test_other_writers_types_of_the_same_meaning_are_read(
    export: Path, lake: Lake, column: str, kind: pa.DataType
) -> None:
    row = {**EVENT, "timestamp": AT.replace(tzinfo=None)} if kind == pa.timestamp("us") else EVENT
    row = {**row, "session_id": None} if column == "session_id" else row
    events(export, row, schema=with_type(EVENTS, column, kind))
    import_events(export, lake)
    text = "SELECT occurred_at, visitor_id, revenue, value FROM conversions"
    assert rows(lake, text) == [(AT_MS, "ada", 0, 1.5)]


@pytest.mark.parametrize(
    ("column", "kind", "value", "said"),
    [
        ("timestamp", pa.int64(), 5, "column timestamp is int64; expected timestamp[ms, tz=UTC]"),
        ("revenue", pa.string(), "5", "column revenue is string; expected int64"),
        ("revenue", pa.float64(), 5.5, "column revenue is double; expected int64"),
        ("tags", pa.string(), "{}", "column tags is string; expected map<string, string>"),
        ("tags", pa.map_(pa.string(), pa.int64()), [("a", 1)], "column tags is map<string, int64"),
        ("attributes", pa.list_(pa.string()), ["a"], "column attributes is list<element: string>"),
    ],
)
def test_a_column_of_another_type_is_named_with_its_file(
    export: Path, lake: Lake, column: str, kind: pa.DataType, value: object, said: str
) -> None:
    path = events(export, {**EVENT, column: value}, schema=with_type(EVENTS, column, kind))
    with pytest.raises(ImportDataError) as refusal:
        import_events(export, lake)
    assert str(refusal.value).startswith(f"{path}: {said}")


@pytest.mark.parametrize("column", ["uuid", "timestamp", "entity_id", "event_name"])
def test_a_missing_column_is_named_with_its_file(export: Path, lake: Lake, column: str) -> None:
    path = events(export, EVENT, schema=without(EVENTS, column))
    with pytest.raises(ImportDataError, match=f"^{path}: column {column} is missing$"):
        import_events(export, lake)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("uuid", None, "is empty in 1 rows"),
        ("visitor_id", "", "is empty in 1 rows"),
        ("process_timestamp", None, "is empty in 1 rows"),
        ("timestamp", AT.replace(year=1969), "has times outside the years 1970 to 9999"),
    ],
)
def test_a_value_that_makes_no_event_is_refused_before_anything_is_kept(
    export: Path, lake: Lake, column: str, value: object, said: str
) -> None:
    decisions(export, DECISION)
    path = events(export, EVENT, {**EVENT, column: value})
    with pytest.raises(ImportDataError, match=f"^{path}: column {column} {said}$"):
        import_events(export, lake)
    assert lake.is_empty


def test_what_is_no_parquet_is_refused(export: Path, lake: Lake) -> None:
    path = decisions(export, DECISION)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ImportDataError, match=f"^{path}: not a readable Parquet file: ") as refusal:
        import_events(export, lake)
    assert "\n" not in str(refusal.value)


def test_a_directory_without_an_export_is_refused(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(ImportDataError, match="no such directory"):
        import_events(tmp_path / "nowhere", lake)
    (tmp_path / "other.parquet").touch()
    with pytest.raises(ImportDataError, match="found none"):
        import_events(tmp_path, lake)


def test_unfinished_and_foreign_files_are_left_alone(export: Path, lake: Lake) -> None:
    path = decisions(export, DECISION)
    unfinished = export / "type=decisions/_temporary/0/part.parquet"
    unfinished.parent.mkdir(parents=True)
    shutil.copy(path, unfinished)
    (export / "_SUCCESS").touch()
    assert import_events(export, lake).files == 1


def test_half_of_an_export_can_be_imported_from_its_own_folder(export: Path, lake: Lake) -> None:
    decisions(export, DECISION)
    events(export, EVENT)
    assert import_events(export / "type=events", lake) == ImportSummary(1, 0, 1, 0)


def test_a_lake_that_refuses_is_a_storage_error(export: Path) -> None:
    decisions(export, DECISION)
    with pytest.raises(StorageError):
        import_events(export, Lake("/proc/lake"))
