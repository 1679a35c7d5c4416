"""Export of raw events: lake → Parquet files in the schema of an Optimizely raw export.

Copies are left out. The vendor's schema has texts where ours has types: tags and attributes become
texts, revenue is 0 where there was none, and what it has no column for stays behind (flag and rule
keys, properties, project ids).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tallybook.attribution.kept import kept_conversions, kept_decisions
from tallybook.engines.duckdb import DuckDB
from tallybook.errors import ConfigError, StorageError
from tallybook.keep.export_schema import (
    DECISIONS,
    DECISIONS_FOLDER,
    EVENTS,
    EVENTS_FOLDER,
    SUCCESS,
    partition_name,
)
from tallybook.lake.tables import Lake
from tallybook.model.time import date_of

_FOLDERS: Final = (DECISIONS_FOLDER, EVENTS_FOLDER)

Row = tuple[Any, ...]
Days = Iterable[tuple[str, list[Row]]]


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote."""

    files: int
    decisions: int
    conversions: int
    directory: Path

    @property
    def text(self) -> str:
        """One line for people."""
        return (
            f"exported {self.decisions:,} decisions and {self.conversions:,} conversions "
            f"to {self.files:,} files in {self.directory}"
        )


@dataclass(frozen=True, slots=True)
class _Kind:
    """One half of an export: where it lies, what it looks like, how a lake's row becomes one."""

    folder: str
    schema: pa.Schema
    partition: str
    key: str
    read: Callable[[Row], dict[str, Any]]


def export_events(lake: Lake, directory: Path) -> ExportSummary:
    """Write every event of the lake once, and ``_SUCCESS`` when all of it is written.

    Raises:
        ConfigError: The directory holds an export already.
        StorageError: The disk or the lake refused.
    """
    for folder in _FOLDERS:
        if (directory / folder).exists():
            raise ConfigError(
                f"{directory / folder} exists; expected a directory without an export"
            )
    try:
        with DuckDB(lake) as engine:
            decisions = list(_write(directory, _DECISIONS, kept_decisions(engine)))
            conversions = list(_write(directory, _EVENTS, kept_conversions(engine)))
        _mark(directory)
    except OSError as error:
        raise StorageError(f"{directory}: cannot write the export: {error.strerror}") from error
    return ExportSummary(
        len(decisions) + len(conversions), sum(decisions), sum(conversions), directory
    )


def _write(directory: Path, kind: _Kind, days: Days) -> Iterator[int]:
    """Write a file for each day of events, day of arrival and key; yield how many rows each has."""
    for day, kept in days:
        rows = (kind.read(row) for row in kept)
        for (arrived, key), of_file in groupby(rows, key=lambda row: _place(kind, row)):
            table = pa.Table.from_pylist(list(of_file), schema=kind.schema)
            folder = (
                directory / kind.folder / f"date={arrived}" / partition_name(kind.partition, key)
            )
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, folder / f"part-00000-{day}.snappy.parquet", compression="snappy")
            yield table.num_rows


def _mark(directory: Path) -> None:
    for folder in (directory / name for name in _FOLDERS):
        folder.mkdir(parents=True, exist_ok=True)
        for place in (*folder.glob("date=*"), folder):
            (place / SUCCESS).touch()


def _place(kind: _Kind, row: dict[str, Any]) -> tuple[str, str]:
    return date_of(row["process_timestamp"]), row[kind.key]


def _decision(row: Row) -> dict[str, Any]:
    names = [name for name in DECISIONS.names if name != "attributes"]
    return _named(names, row[:9] + row[11:], row[9:11])


def _event(row: Row) -> dict[str, Any]:
    names = [name for name in EVENTS.names if name not in {"attributes", "experiments"}]
    named = _named(names, row[:7] + row[9:], row[7:9])
    named["revenue"] = named["revenue"] or 0
    named["tags"] = _tags(named["tags"])
    return named


def _named(names: Sequence[str], values: Row, attributes: tuple[str, str]) -> dict[str, Any]:
    return dict(zip(names, values, strict=True)) | {"attributes": _attributes(*attributes)}


@lru_cache(maxsize=4096)
def _attributes(values: str, ids: str) -> list[dict[str, str | None]]:
    given, identities = json.loads(values), json.loads(ids)
    return [
        {
            "id": identities.get(name) or None,
            "name": name,
            "type": "custom" if name in identities else "metadata",
            "value": _text(value),
        }
        for name, value in given.items()
    ]


def _tags(text: str | None) -> list[tuple[str, str]]:
    tags = json.loads(text) if text is not None else {}
    return [(name, _text(value)) for name, value in tags.items() if value is not None]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_DECISIONS: Final = _Kind(DECISIONS_FOLDER, DECISIONS, "experiment", "experiment_id", _decision)
_EVENTS: Final = _Kind(EVENTS_FOLDER, EVENTS, "event", "event_name", _event)
