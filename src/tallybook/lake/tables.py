"""The lake: three Delta tables into which batches are committed exactly once.

A commit names its origin (``app_id``) and a ``number`` that grows with every commit from there.
Both travel in the Delta log as an application transaction, in the same atomic step as the rows: who
was stopped and commits again finds the number there and adds nothing. Two who commit the same
number at once collide in the log; the loser looks again and finds it done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from tallybook.errors import ConfigError, StorageError
from tallybook.lake.columns import (
    PARTITION,
    SCHEMAS,
    SQL_TYPES,
    TABLES,
    promotable,
    promoted_column,
)
from tallybook.lake.days import few_days_each
from tallybook.lake.durable import local_path, make_durable, refuse_cut_short
from tallybook.lake.rows import rows_by_table
from tallybook.model.event import Received

_ATTEMPTS: Final = 8
_FIRST_PAUSE_S: Final = 0.02  # doubled from attempt to attempt: 2.5 s in all
_UNADDRESSABLE: Final = frozenset("[]|\\^")  # delta-rs takes a path through a URL and back
_WRITING: Final = WriterProperties(compression="ZSTD", compression_level=3)


@dataclass(frozen=True, slots=True)
class Committed:
    """Rows that a commit added to the lake; ``repeated`` are tables that had its number already."""

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
        self.uri = uri.rstrip("/") or "/"
        self._options = dict(storage_options) if storage_options else None
        if "://" not in uri and (unquote(uri) != uri or _UNADDRESSABLE.intersection(uri)):
            raise ConfigError(
                f"lake {uri}: expected a path without [ ] | \\ ^ and without percent escapes"
            )

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
        """Return the Parquet files that make up a table now; none when it has no rows yet."""
        with self._refusing(table):
            found = self._open(table)
            uris = found.file_uris() if found is not None else []
        if local_path(self.uri) is None:
            return uris
        return [unquote(uri.removeprefix("file://")) for uri in uris]

    def columns(self, table: str) -> dict[str, str]:
        """Return a table's columns with their SQL types: the fixed ones, then promoted ones."""
        fixed = {field.name: SQL_TYPES[field.type] for field in SCHEMAS[table]}
        with self._refusing(table):
            found = self._open(table)
        names = _names(found) if found is not None else []
        return fixed | {name: "varchar" for name in names if name not in fixed}

    @property
    def is_empty(self) -> bool:
        """True when no table has a row."""
        return not any(self.files(table) for table in TABLES)

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
        with self._refusing(name):
            for place, part in enumerate(few_days_each(rows)):
                own = Transaction(f"{app_id}/{place}", number) if place else transaction
                append = partial(self._append_once, name, part, own, promoted)
                counts.append(_persistently(append))
        added = [count for count in counts if count is not None]
        return sum(added) if added else None

    def _append_once(
        self,
        name: str,
        rows: pa.Table,
        transaction: Transaction,
        promoted: Sequence[str],
    ) -> int | None:
        table = self._open(name) or self._create(name)
        known = table.transaction_version(transaction.app_id)
        if known is not None and known >= transaction.version:
            self._refuse_cut_short(name, table)
            self._make_durable(name, range(table.version(), table.version() + 1))
            return None
        kept = promotable(promoted, _names(table))
        unkept = {promoted_column(key) for key in promoted if key not in kept}
        rows = rows.drop_columns(list(unkept.intersection(rows.column_names)))
        before = table.version()
        write_deltalake(
            table,
            rows,
            mode="append",
            schema_mode="merge",
            writer_properties=_WRITING,
            commit_properties=CommitProperties(app_transactions=[transaction]),
        )
        self._make_durable(name, range(before, table.version() + 1))
        return int(rows.num_rows)

    def _open(self, name: str) -> DeltaTable | None:
        try:
            return DeltaTable(self._table_uri(name), storage_options=self._options)
        except TableNotFoundError:
            return None

    def _create(self, name: str) -> DeltaTable:
        return DeltaTable.create(
            self._table_uri(name),
            schema=SCHEMAS[name],
            mode="ignore",
            partition_by=[PARTITION],
            name=name,
            storage_options=self._options,
        )

    def _make_durable(self, name: str, versions: range) -> None:
        # Versions in between are other writers'; forcing those too does no harm.
        path = local_path(self._table_uri(name))
        if path is None:
            return
        for version in versions:
            make_durable(path, version)

    def _refuse_cut_short(self, name: str, table: DeltaTable) -> None:
        # Whoever commits again was stopped before, and removes what it commits from next.
        path = local_path(self._table_uri(name))
        if path is None:
            return
        files = pa.table(table.get_add_actions())
        paths, sizes = files["path"].to_pylist(), files["size_bytes"].to_pylist()
        refuse_cut_short(path, dict(zip(paths, sizes, strict=True)))

    def _table_uri(self, name: str) -> str:
        return f"{self.uri}/{name}"

    @contextmanager
    def _refusing(self, name: str) -> Iterator[None]:
        try:
            yield
        except (DeltaError, OSError) as error:
            reason = " ".join(str(error).split())
            raise StorageError(f"lake table {self._table_uri(name)}: {reason}") from error


def _names(table: DeltaTable) -> list[str]:
    return [field.name for field in table.schema().fields]


def _persistently(attempt: Callable[[], int | None]) -> int | None:
    """Try again as long as somebody else's commit came in between."""
    for turn in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except CommitFailedError:
            time.sleep(_FIRST_PAUSE_S * 2**turn)
    return attempt()
