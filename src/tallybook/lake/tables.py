"""The lake: three Delta tables into which batches are committed exactly once.

A commit names its origin (``app_id``) and a ``number`` that grows with every commit from there.
Both travel in the Delta log as an application transaction, in the same atomic step as the rows: who
was stopped and commits again finds the number there and adds nothing. Two who commit the same
number at once collide in the log; the loser looks again and finds it done.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)

from tallybook.lake.checksums import verify
from tallybook.lake.columns import SCHEMAS, SQL_TYPES, TABLES, promotable, promoted_column
from tallybook.lake.days import few_days_each
from tallybook.lake.delta import DeltaTables, persistently
from tallybook.lake.durable import local_path
from tallybook.lake.forgotten import FORGOTTEN, MARK, Forgotten, read_list
from tallybook.lake.rows import rows_by_table
from tallybook.model.event import Received

_WRITING: Final = WriterProperties(compression="ZSTD", compression_level=3)


@dataclass(frozen=True, slots=True)
class Committed:
    """Rows that a commit added to the lake; ``repeated`` are tables that had its number already.

    What visitors did who are to be forgotten is not among them.
    """

    decisions: int = 0
    conversions: int = 0
    dead_letters: int = 0
    repeated: tuple[str, ...] = ()


class Lake:
    """The tables under one directory or object-store prefix; made on the first commit.

    Safe to use from several threads and processes at once.
    """

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        """Nothing is read or written yet.

        Args:
            uri: A directory, or an object store's address such as ``s3://bucket/prefix``.
            storage_options: What the object store wants to know, as ``deltalake`` calls it.

        Raises:
            ConfigError: The path holds characters that the storage layer cannot address.
        """
        self._tables = DeltaTables(uri, storage_options)
        self.uri = self._tables.uri
        self._verified: set[str] = set()
        self._forgotten: tuple[str, Forgotten] | None = None  # with the mark it was read under

    def commit(
        self,
        received: Iterable[Received],
        *,
        app_id: str,
        number: int,
        promoted: Sequence[str] = (),
    ) -> Committed:
        """Add batches, each table in one atomic step, unless it has this ``number`` already.

        Events of more than a hundred days take further steps, each of which happens once too.

        Args:
            received: The batches; the same ones whenever the same number is committed.
            app_id: Whose numbers these are, such as a log's name.
            number: Larger than any number committed from ``app_id`` before, or one of them again.
            promoted: Keys of attributes that get a column of their own (``attribute_<key>``).

        Raises:
            StorageError: The store refused; what was committed before that stays, and committing
                again adds the rest.
        """
        keys = [key for key in dict.fromkeys(promoted) if promotable([key], ())]
        rows = rows_by_table(received, keys)
        added = {
            name: self._append(name, rows[name], Transaction(app_id, number), keys)
            for name in TABLES
        }
        repeated = tuple(name for name, rows in added.items() if rows is None)
        return Committed(**{name: rows or 0 for name, rows in added.items()}, repeated=repeated)

    def files(self, table: str) -> list[str]:
        """Return the Parquet files that make up a table now; none when it has no rows yet.

        Raises:
            StorageError: The table cannot be read, or a file is not what was written.
        """
        with self._tables.refusing(table):
            found = self._tables.open(table)
            uris = found.file_uris() if found is not None else []
        directory = local_path(self._tables.uri_of(table))
        if directory is None:
            return uris
        files = [unquote(uri.removeprefix("file://")) for uri in uris]
        self._verify(directory, files)
        return files

    def columns(self, table: str) -> dict[str, str]:
        """Return a table's columns with their SQL types: the fixed ones, then promoted ones."""
        fixed = {field.name: SQL_TYPES[field.type] for field in SCHEMAS[table]}
        with self._tables.refusing(table):
            found = self._tables.open(table)
        names = _names(found) if found is not None else []
        return fixed | {name: "varchar" for name in names if name not in fixed}

    @property
    def is_empty(self) -> bool:
        """True when no table has a row."""
        return not any(self.files(table) for table in TABLES)

    def _verify(self, table: Path, files: Sequence[str]) -> None:
        """Compare files with their checksums, each once: a file never changes."""
        fresh = set(files) - self._verified
        verify(table, [os.path.relpath(file, table) for file in fresh])
        self._verified = set(files) | {f for f in self._verified if not f.startswith(f"{table}/")}

    def _to_forget(self, table: DeltaTable) -> Forgotten | None:
        mark = table.metadata().configuration.get(MARK)
        if mark is None:
            return None
        if self._forgotten is None or self._forgotten[0] != mark:
            self._forgotten = mark, read_list(self._tables.uri_of(FORGOTTEN), self._tables.options)
        return self._forgotten[1]

    def _append(
        self,
        name: str,
        rows: pa.Table,
        transaction: Transaction,
        promoted: Sequence[str],
    ) -> int | None:
        """Add the rows of one table; return how many, or ``None`` when they are there already."""
        if not rows.num_rows:
            return 0
        app_id, number = transaction.app_id, transaction.version
        counts = []
        with self._tables.refusing(name):
            for place, part in enumerate(few_days_each(rows)):
                own = Transaction(f"{app_id}/{place}", number) if place else transaction
                append = partial(self._append_once, name, part, own, promoted)
                counts.append(persistently(append))
        added = [count for count in counts if count is not None]
        return sum(added) if added else None

    def _append_once(
        self,
        name: str,
        rows: pa.Table,
        transaction: Transaction,
        promoted: Sequence[str],
    ) -> int | None:
        table = self._tables.open(name) or self._tables.create(name)
        known = table.transaction_version(transaction.app_id)
        if known is not None and known >= transaction.version:
            self._tables.refuse_cut_short(name, table)
            self._tables.make_durable(name, range(table.version(), table.version() + 1))
            return None
        kept = promotable(promoted, _names(table))
        unkept = {promoted_column(key) for key in promoted if key not in kept}
        rows = rows.drop_columns(list(unkept.intersection(rows.column_names)))
        if (forgotten := self._to_forget(table)) is not None:
            rows = forgotten.without(name, rows)
        before = table.version()
        write_deltalake(
            table,
            rows,
            mode="append",
            schema_mode="merge",
            writer_properties=_WRITING,
            commit_properties=CommitProperties(app_transactions=[transaction]),
        )
        self._tables.make_durable(name, range(before, table.version() + 1))
        return int(rows.num_rows)


def _names(table: DeltaTable) -> list[str]:
    return [field.name for field in table.schema().fields]
