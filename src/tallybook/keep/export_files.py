"""The files of a raw export that is to be imported: found, and checked before anything is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tallybook.errors import ImportDataError
from tallybook.keep.export_schema import (
    DECISIONS,
    DECISIONS_FOLDER,
    EVENTS,
    EVENTS_FOLDER,
    MOMENT,
)
from tallybook.model.event import LATEST_MS

SCHEMAS: Final[Mapping[str, pa.Schema]] = {DECISIONS_FOLDER: DECISIONS, EVENTS_FOLDER: EVENTS}

# Columns without which an event is none; the others may be missing and are then empty.
_MOMENTS: Final = ("timestamp", "process_timestamp")
_FILLED: Final = {
    DECISIONS_FOLDER: ("uuid", "visitor_id"),
    EVENTS_FOLDER: ("uuid", "visitor_id", "entity_id", "event_name"),
}
_PRESENT: Final = {
    DECISIONS_FOLDER: ("campaign_id", "experiment_id", "variation_id"),
    EVENTS_FOLDER: (),
}


def _is_text(found: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        found = found.value_type
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found))


def _is_number(found: pa.DataType) -> bool:
    return bool(pa.types.is_integer(found) or pa.types.is_floating(found))


def _is_list_of_structs(found: pa.DataType) -> bool:
    is_list = pa.types.is_list(found) or pa.types.is_large_list(found)
    return bool(is_list and pa.types.is_struct(found.value_type))


def _is_map_of_texts(found: pa.DataType) -> bool:
    if not pa.types.is_map(found):
        return False
    return _is_text(found.key_type) and _is_text(found.item_type)


_ACCEPTED: Final[Mapping[int, Callable[[pa.DataType], bool]]] = {
    pa.string().id: _is_text,
    pa.int64().id: pa.types.is_integer,
    pa.float64().id: _is_number,
    pa.bool_().id: pa.types.is_boolean,
    MOMENT.id: pa.types.is_timestamp,
    pa.list_(pa.null()).id: _is_list_of_structs,
    pa.map_(pa.string(), pa.string()).id: _is_map_of_texts,
}


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One Parquet file of an export; ``folder`` says what its rows are."""

    path: Path
    folder: str
    rows: int


def export_files(directory: Path) -> tuple[ExportFile, ...]:
    """Return the files of an export in a fixed order, each checked.

    Raises:
        ImportDataError: There is no export, or a file is not what it should be; the message names
            the file and the column.
    """
    if not directory.is_dir():
        raise ImportDataError(f"{directory}: no such directory; expected an export's folder")
    found = tuple(_checked(path, folder) for path, folder in _parquet_files(directory))
    if not found:
        raise ImportDataError(
            f"{directory}: expected Parquet files under {DECISIONS_FOLDER} or {EVENTS_FOLDER}, "
            "found none"
        )
    return found


def _parquet_files(directory: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(directory.absolute().rglob("*.parquet")):
        folder = next((name for name in SCHEMAS if name in path.parts), None)
        inside = path.relative_to(directory.absolute()).parts
        # Writers keep unfinished files under names that begin so.
        if folder is not None and not any(part.startswith(("_", ".")) for part in inside):
            yield path, folder


def _checked(path: Path, folder: str) -> ExportFile:
    try:
        with pq.ParquetFile(path) as file:
            _check_schema(path, folder, file.schema_arrow)
            _check_values(path, folder, file)
            return ExportFile(path, folder, file.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise ImportDataError(f"{path}: not a readable Parquet file: {reason}") from error


def _check_schema(path: Path, folder: str, schema: pa.Schema) -> None:
    for name in (*_FILLED[folder], *_MOMENTS, *_PRESENT[folder]):
        if name not in schema.names:
            raise ImportDataError(f"{path}: column {name} is missing")
    for expected in SCHEMAS[folder]:
        if expected.name not in schema.names:
            continue
        found = schema.field(expected.name).type
        if not pa.types.is_null(found) and not _ACCEPTED[expected.type.id](found):
            raise ImportDataError(
                f"{path}: column {expected.name} is {found}; expected {expected.type}"
            )


def _check_values(path: Path, folder: str, file: pq.ParquetFile) -> None:
    for name in _FILLED[folder]:
        texts = file.read([name]).column(name).cast(pa.string())
        empty = pc.sum(pc.equal(pc.fill_null(texts, ""), "")).as_py()
        if empty:
            raise ImportDataError(f"{path}: column {name} is empty in {empty:,} rows")
    for name in _MOMENTS:
        times = in_ms(file.read([name]).column(name))
        if times.null_count:
            raise ImportDataError(f"{path}: column {name} is empty in {times.null_count:,} rows")
        bounds = pc.min_max(times).as_py()
        if times and not 0 <= bounds["min"] <= bounds["max"] <= LATEST_MS:
            raise ImportDataError(f"{path}: column {name} has times outside the years 1970 to 9999")


def in_ms(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return timestamps of any unit as milliseconds since the epoch; without a zone: UTC."""
    return times.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64())
