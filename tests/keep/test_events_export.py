from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from histories import histories
from tallybook.attribution import ask
from tallybook.engines.duckdb import DuckDB
from tallybook.errors import ConfigError, StorageError
from tallybook.keep.events_export import ExportSummary, export_events
from tallybook.keep.events_import import import_events
from tallybook.keep.export_schema import DECISIONS, EVENTS, partition_name
from tallybook.lake.tables import Lake
from tallybook.model.event import (
    Arrival,
    Batch,
    ConversionEvent,
    DecisionEvent,
    Received,
    Sender,
    VisitorAttribute,
)
from tallybook.model.metric import Aggregator, Metric, Question, Scope, Window
from tallybook.model.time import DAY_MS

SENDER = Sender("1", "2", "42", "python-sdk", "1.0")
PLAN = VisitorAttribute("900", "plan", "gold")
PAID = VisitorAttribute("901", "paid", True)
META = VisitorAttribute(None, "captured", "true")
DECISION = DecisionEvent("d", DAY_MS, "ada", "L", "L", "E", "V", (PLAN, PAID, META))
CONVERSION = ConversionEvent("c", DAY_MS + 5, "ada", "10", "buy", (PLAN,))


def kept(*events: DecisionEvent | ConversionEvent, arrived: int = 3 * DAY_MS) -> Received:
    return Received(
        Arrival(arrived, "192.0.2.0", "agent", "https://example.com"),
        Batch(
            SENDER,
            tuple(e for e in events if isinstance(e, DecisionEvent)),
            tuple(e for e in events if isinstance(e, ConversionEvent)),
        ),
    )


def filled(path: Path, *received: Received) -> Lake:
    lake = Lake(str(path))
    for number, batch in enumerate(received, start=1):
        lake.commit([batch], app_id="test", number=number)
    return lake


def exported(directory: Path, kind: str) -> list[dict]:
    files = sorted((directory / f"type={kind}").rglob("*.parquet"))
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def test_files_have_the_vendors_schema_and_places(tmp_path: Path) -> None:
    lake = filled(tmp_path / "lake", kept(DECISION, CONVERSION))
    summary = export_events(lake, tmp_path / "out")
    assert summary == ExportSummary(2, 1, 1, tmp_path / "out")
    assert summary.text.startswith("exported 1 decisions and 1 conversions to 2 files in ")
    written = {
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert written == {
        "type=decisions/_SUCCESS",
        "type=decisions/date=1970-01-04/_SUCCESS",
        "type=decisions/date=1970-01-04/experiment=E/part-00000-1970-01-02.snappy.parquet",
        "type=events/_SUCCESS",
        "type=events/date=1970-01-04/_SUCCESS",
        "type=events/date=1970-01-04/event=buy/part-00000-1970-01-02.snappy.parquet",
    }
    for kind, schema in (("decisions", DECISIONS), ("events", EVENTS)):
        (file,) = (tmp_path / "out" / f"type={kind}").rglob("*.parquet")
        assert pq.read_schema(file).equals(schema)


def test_the_schema_is_that_of_a_real_export(shared_data: Path) -> None:
    for kind, schema in (("decisions", DECISIONS), ("events", EVENTS)):
        for file in (shared_data / "optimizely-labs" / f"type={kind}").rglob("*.parquet"):
            theirs = pq.read_schema(file)
            assert theirs.names == schema.names
            for field in theirs:
                assert str(schema.field(field.name).type).replace(
                    "map<string, string>", "map<string, string ('tags')>"
                ).replace("list<item:", "list<element:") == str(field.type)


def test_texts_and_zeros_stand_where_the_vendor_has_them(tmp_path: Path) -> None:
    tags = {"n": 1.5, "b": False, "s": "x", "none": None, "deep": {"a": [1]}}
    bare = replace(CONVERSION, uuid="c2", attributes=())
    lake = filled(tmp_path / "lake", kept(DECISION, replace(CONVERSION, tags=tags), bare))
    export_events(lake, tmp_path / "out")
    first, second = exported(tmp_path / "out", "events")
    assert (first["revenue"], first["value"], first["experiments"]) == (0, None, None)
    assert first["tags"] == [("b", "false"), ("deep", '{"a":[1]}'), ("n", "1.5"), ("s", "x")]
    assert (second["tags"], second["attributes"]) == ([], [])
    (decision,) = exported(tmp_path / "out", "decisions")
    assert decision["attributes"] == [
        {"id": None, "name": "captured", "type": "metadata", "value": "true"},
        {"id": "901", "name": "paid", "type": "custom", "value": "true"},
        {"id": "900", "name": "plan", "type": "custom", "value": "gold"},
    ]


def test_copies_are_left_out_and_the_earliest_stays(tmp_path: Path) -> None:
    late = replace(CONVERSION, revenue=7)
    received = [kept(late, arrived=9 * DAY_MS), kept(CONVERSION), kept(CONVERSION)]
    export_events(filled(tmp_path / "lake", *received), tmp_path / "out")
    (row,) = exported(tmp_path / "out", "events")
    assert row["revenue"] == 0


def test_keys_of_any_characters_have_a_folder(tmp_path: Path) -> None:
    keys = ["a/b", "..", "ä b", "x" * 300, "x" * 301]
    conversions = [replace(CONVERSION, key=key, uuid=key) for key in keys]
    ruleless = replace(DECISION, experiment_id="", variation_id=None)
    lake = filled(tmp_path / "lake", kept(ruleless, *conversions))
    export_events(lake, tmp_path / "out")
    again = Lake(str(tmp_path / "again"))
    import_events(tmp_path / "out", again)
    with DuckDB(again) as engine:
        found = engine.rows("SELECT event_key FROM conversions", {})
        assert sorted(key for (key,) in found) == sorted(keys)
        assert engine.rows("SELECT experiment_id, variation_id FROM decisions", {}) == [("", None)]
    assert partition_name("event", "x" * 300) != partition_name("event", "x" * 301)


def test_an_empty_lake_gives_an_empty_export(tmp_path: Path) -> None:
    summary = export_events(Lake(str(tmp_path / "lake")), tmp_path / "out")
    assert (summary.files, summary.decisions, summary.conversions) == (0, 0, 0)
    assert (tmp_path / "out" / "type=events" / "_SUCCESS").exists()


def test_an_export_is_never_mixed_with_another(tmp_path: Path) -> None:
    lake = filled(tmp_path / "lake", kept(DECISION))
    export_events(lake, tmp_path / "out")
    with pytest.raises(ConfigError, match="expected a directory without an export"):
        export_events(lake, tmp_path / "out")


def test_a_place_that_nobody_may_write_is_a_storage_error(tmp_path: Path) -> None:
    lake = filled(tmp_path / "lake", kept(DECISION))
    with pytest.raises(StorageError, match="/proc/out: cannot write the export"):
        export_events(lake, Path("/proc/out"))


METRICS = [
    Metric("u", "buy", Aggregator.UNIQUE),
    Metric("r", "buy", Aggregator.SUM, "revenue", Scope.EVENT),
    Metric("v", "buy", Aggregator.SUM, "value"),
    Metric("t", "buy", Aggregator.SUM, "load time"),
]


@settings(deadline=None, max_examples=3)
@given(histories)
def test_exporting_and_importing_changes_no_result(
    tmp_path_factory: pytest.TempPathFactory, history: Sequence[Received]
) -> None:
    path = tmp_path_factory.mktemp("round")
    # What has no campaign and entity in common no SDK sends, and the vendor's schema cannot hold.
    sent = [
        replace(
            r,
            batch=replace(
                r.batch,
                decisions=tuple(replace(d, campaign_id=d.entity_id) for d in r.batch.decisions),
            ),
        )
        for r in history
    ]
    lake, again = filled(path / "lake", *sent), Lake(str(path / "again"))
    summary = export_events(lake, path / "out")
    imported = import_events(path / "out", again)
    assert (imported.decisions, imported.conversions) == (summary.decisions, summary.conversions)
    question = Question("x", Window(0, 30_000 * DAY_MS))
    with DuckDB(lake) as one, DuckDB(again) as other:
        for metric in METRICS:
            assert ask.measure(one, question, metric) == ask.measure(other, question, metric)
        assert ask.attributed_events(one, question) == ask.attributed_events(other, question)
