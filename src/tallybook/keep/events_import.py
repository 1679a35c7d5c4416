"""Import of raw events: files of an Optimizely export → received batches → lake.

Ids, timestamps and arrival times are kept as they are. A file is known to the lake by the hash of
its content and is committed in numbered portions. So importing it again, under whatever name, adds
nothing, and importing after an interruption adds the rest.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tallybook.keep.export_files import SCHEMAS, ExportFile, export_files, in_ms
from tallybook.keep.export_schema import DECISIONS_FOLDER, MOMENT
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

PORTION: Final = 50_000  # rows a commit
_CUSTOM: Final = "custom"

Row = Mapping[str, Any]  # one row of Parquet, as pyarrow gives it
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import brought; ``repeated_files`` had been imported before and added nothing."""

    files: int
    decisions: int
    conversions: int
    repeated_files: int

    @property
    def text(self) -> str:
        """One line for people."""
        before = f" ({self.repeated_files:,} imported before)" if self.repeated_files else ""
        return (
            f"imported {self.decisions:,} decisions and {self.conversions:,} conversions "
            f"from {self.files:,} files{before}"
        )


def import_events(
    directory: Path,
    lake: Lake,
    *,
    promoted: Sequence[str] = (),
    progress: Progress | None = None,
) -> ImportSummary:
    """Bring an Optimizely raw export into the lake; every file is checked before the first is kept.

    Args:
        directory: Holds ``type=decisions`` and ``type=events``, at whatever depth.
        lake: Where the events go.
        promoted: Keys of attributes that get a column of their own.
        progress: Told the rows done and the rows in all, after every portion.

    Raises:
        ImportDataError: There is no export, or a file is not what it should be.
        StorageError: The lake refused; importing again goes on where it stopped.
    """
    files = export_files(directory)
    total = sum(file.rows for file in files)
    done = decisions = conversions = repeated = 0
    for file in files:
        added = 0
        app_id = f"import:{_digest(file.path)}"
        for number, rows in enumerate(_portions(file), start=1):
            received = [_received(file.folder, row) for row in rows]
            kept = lake.commit(received, app_id=app_id, number=number, promoted=promoted)
            decisions += kept.decisions
            conversions += kept.conversions
            added += kept.decisions + kept.conversions
            done += len(received)
            if progress is not None:
                progress(done, total)
        repeated += added == 0 and file.rows > 0
    return ImportSummary(len(files), decisions, conversions, repeated)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _portions(file: ExportFile) -> Iterator[Sequence[Row]]:
    """Rows in portions that are the same at every reading, whoever reads."""
    with pq.ParquetFile(file.path) as parquet:
        for group in range(parquet.num_row_groups):
            table = _uniform(parquet.read_row_group(group), SCHEMAS[file.folder])
            for start in range(0, table.num_rows, PORTION):
                yield table.slice(start, PORTION).to_pylist()


def _uniform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns that are needed, times in milliseconds, texts as plain texts."""
    columns = {}
    for field in schema:
        if field.name not in table.column_names:
            columns[field.name] = pa.nulls(table.num_rows, field.type)
        elif field.type == MOMENT:
            columns[field.name] = in_ms(table.column(field.name))
        elif pa.types.is_nested(field.type):
            columns[field.name] = table.column(field.name)
        else:
            columns[field.name] = table.column(field.name).cast(field.type)
    columns.pop("experiments", None)  # attribution is worked out anew
    return pa.table(columns)


def _received(folder: str, row: Row) -> Received:
    is_decision = folder == DECISIONS_FOLDER
    return Received(
        Arrival(row["process_timestamp"], row["user_ip"], row["user_agent"], row["referer"]),
        Batch(
            Sender(
                account_id=row["account_id"] or "",
                project_id=None,
                revision=row["revision"],
                client_name=row["client_engine"],
                client_version=row["client_version"],
                anonymize_ip=False,
            ),
            decisions=(_decision(row),) if is_decision else (),
            conversions=() if is_decision else (_conversion(row),),
        ),
    )


def _decision(row: Row) -> DecisionEvent:
    campaign_id = row["campaign_id"] or ""
    return DecisionEvent(
        uuid=row["uuid"],
        at_ms=row["timestamp"],
        visitor_id=row["visitor_id"],
        entity_id=campaign_id,
        campaign_id=campaign_id,
        experiment_id=row["experiment_id"] or "",
        variation_id=row["variation_id"],
        attributes=_attributes(row),
        is_holdback=bool(row["is_holdback"]),
        session_id=row["session_id"],
    )


def _conversion(row: Row) -> ConversionEvent:
    value = row["value"]
    return ConversionEvent(
        uuid=row["uuid"],
        at_ms=row["timestamp"],
        visitor_id=row["visitor_id"],
        entity_id=row["entity_id"],
        key=row["event_name"],
        attributes=_attributes(row),
        revenue=row["revenue"],
        value=value if value is not None and math.isfinite(value) else None,
        quantity=row["quantity"],
        tags={name: text for name, text in row["tags"] or () if text is not None} or None,
        event_type=row["event_type"],
        session_id=row["session_id"],
    )


def _attributes(row: Row) -> tuple[VisitorAttribute, ...]:
    return tuple(
        VisitorAttribute(
            entity_id=(given.get("id") or "") if given.get("type") == _CUSTOM else None,
            key=given["name"],
            value=given["value"],
        )
        for given in row["attributes"] or ()
        if given and given.get("name") and given.get("value") is not None
    )
