"""One visitor's rows in a Parquet file of the lake: how many there are, and all the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tallybook.errors import StorageError
from tallybook.lake.columns import DEAD_LETTERS
from tallybook.lake.forgotten import is_mentioned

_BATCH_ROWS: Final = 65_536


def count_rows(path: Path, table: str, visitor_id: str) -> int:
    """How many rows of a file are the visitor's, or mention the visitor if they are dead letters.

    Raises:
        StorageError: The file is no whole Parquet file.
    """
    column = _column(table)
    with _opened(path) as file:
        groups = [g for g in range(file.num_row_groups) if _may_hold(file, g, table, visitor_id)]
        batches = file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=[column])
        return sum(pc.sum(_theirs(b, table, visitor_id)).as_py() or 0 for b in batches)


def other_rows(path: Path, table: str, visitor_id: str) -> Iterator[pa.RecordBatch]:
    """Yield all rows but the visitor's, in order.

    Raises:
        StorageError: The file is no whole Parquet file.
    """
    with _opened(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            yield batch.filter(pc.invert(_theirs(batch, table, visitor_id)))


def _column(table: str) -> str:
    return "body" if table == DEAD_LETTERS else "visitor_id"


def _theirs(batch: pa.RecordBatch, table: str, visitor_id: str) -> pa.Array:
    values = batch.column(_column(table))
    if table == DEAD_LETTERS:
        mentioned = [body is not None and is_mentioned(visitor_id, body) for body in _texts(values)]
        return pa.array(mentioned, pa.bool_())
    return pc.fill_null(pc.equal(values.cast(pa.string()), visitor_id), fill_value=False)


def _texts(values: pa.Array) -> list[str | None]:
    texts: list[str | None] = values.to_pylist()
    return texts


def _may_hold(file: pq.ParquetFile, group: int, table: str, visitor_id: str) -> bool:
    """False when the file's statistics say that the visitor is not in a row group."""
    place = file.schema_arrow.get_field_index("visitor_id")
    if table == DEAD_LETTERS or place < 0:
        return True
    known = file.metadata.row_group(group).column(place).statistics
    if known is None or not known.has_min_max:
        return True
    # Bounds may be cut short: the upper one is then rounded up, as bytes and not as text.
    return _bytes(known.min) <= visitor_id.encode() <= _bytes(known.max) + b"\xff"


def _bytes(bound: str | bytes) -> bytes:
    return bound.encode() if isinstance(bound, str) else bound


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StorageError(f"lake: {path}: {' '.join(str(error).split())}") from error
