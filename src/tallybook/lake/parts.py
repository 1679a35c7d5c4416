"""Parquet files of a table, written beside those it has, each page with a checksum."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from tallybook.lake.columns import PARTITION
from tallybook.lake.durable import force
from tallybook.lake.snapshot import LiveFile

TARGET_BYTES: Final = 128 * 2**20
_ROWS: Final = 65_536  # a row group; what readers skip or take as a whole


def write_parts(
    directory: Path, day: date, batches: Iterable[pa.RecordBatch], schema: pa.Schema
) -> list[LiveFile]:
    """Write rows to files of a day, and force them to the disk; the table does not know them yet.

    Args:
        directory: The table's.
        day: The partition, which the files do not say themselves.
        batches: The rows; what the schema does not name is left out.
        schema: Columns of the files.

    Raises:
        OSError: The disk refused; nothing is left behind.
    """
    folder = directory / f"{PARTITION}={day.isoformat()}"
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    rows: list[int] = []
    try:
        tables = (_uniform(batch, schema) for batch in batches if batch.num_rows)
        for first in tables:
            written.append(folder / f"part-{uuid.uuid4()}.zstd.parquet")
            rows.append(_write(written[-1], chain([first], tables), schema))
        for path in (*written, folder, directory):
            force(path)
    except BaseException:
        discard(written)
        raise
    return [
        LiveFile(str(path.relative_to(directory)), day, path.stat().st_size, count)
        for path, count in zip(written, rows, strict=True)
    ]


def discard(paths: Iterable[Path]) -> None:
    """Remove files that no table came to know; gone already is fine."""
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _uniform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    names = set(batch.schema.names)
    arrays = [
        batch.column(field.name).cast(field.type)
        if field.name in names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _write(path: Path, tables: Iterator[pa.Table], schema: pa.Schema) -> int:
    """Write one file, as many tables as make it large enough."""
    rows = 0
    with (
        path.open("xb") as file,
        pq.ParquetWriter(
            file, schema, compression="zstd", compression_level=3, write_page_checksum=True
        ) as writer,
    ):
        for table in tables:
            writer.write_table(table, row_group_size=_ROWS)
            rows += table.num_rows
            if file.tell() >= TARGET_BYTES:
                break
    return rows
