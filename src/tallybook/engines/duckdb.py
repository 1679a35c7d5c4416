"""The embedded engine: DuckDB, in this process, over the lake's Parquet files.

The files are listed once, when the engine is made: all queries of one report see the same events,
whatever is committed meanwhile. An engine may be used from several threads; each query has a cursor
of its own.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import duckdb
import pyarrow as pa

from tallybook.engines.base import LakeFiles
from tallybook.errors import StorageError

TABLES: Final = ("decisions", "conversions", "dead_letters")
_SETTINGS: Final[Mapping[str, str | bool]] = {
    # What is needed is built in; nothing may be fetched from the network.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_OUR_OWN_FAULT: Final = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
_WILDCARD: Final = re.compile(r"[*?\[]")


class DuckDB:
    """Queries over one lake as it was when this was made; close it, or use it in a ``with``."""

    def __init__(self, lake: LakeFiles, *, memory_bytes: int | None = None) -> None:
        """List the files.

        Args:
            lake: Where they are.
            memory_bytes: What queries may take before they spill to the disk; ``None``: most of it.

        Raises:
            StorageError: A table or one of its files cannot be read.
        """
        # Queries larger than memory spill here, and not into the working directory.
        spill = Path(tempfile.gettempdir(), f"tallybook-spill-{os.getpid()}")
        self._database = duckdb.connect(config={**_SETTINGS, "temp_directory": str(spill)})
        self._database.execute("SET parquet_metadata_cache = true")
        if memory_bytes is not None:
            self._database.execute(f"SET memory_limit = '{memory_bytes // 2**10}KiB'")
        with _refusing():
            for table in TABLES:
                self._database.execute(_view(table, lake.columns(table), lake.files(table)))

    def rows(self, text: str, parameters: Mapping[str, object]) -> list[tuple[object, ...]]:
        """Return the rows of a query over the lake's tables.

        Args:
            text: SQL that reads any of the views ``decisions``, ``conversions``, ``dead_letters``.
            parameters: What each ``$name`` in the text stands for, no more and no less.

        Raises:
            StorageError: A file of the lake cannot be read.
        """
        with _refusing(), self._database.cursor() as cursor:
            return cursor.execute(text, dict(parameters)).fetchall()

    def batches(
        self, text: str, parameters: Mapping[str, object], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query in order, as Arrow batches of about ``rows`` rows.

        Raises:
            StorageError: A file of the lake cannot be read.
        """
        with _refusing(), self._database.cursor() as cursor:
            yield from cursor.sql(text, params=dict(parameters) or None).to_arrow_reader(rows)

    def close(self) -> None:
        """Give back memory and files; no query may follow."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except _OUR_OWN_FAULT:
        raise
    except duckdb.Error as error:  # a damaged file raises nearly every kind of error there is
        raise StorageError(f"lake: {' '.join(str(error).split())}") from error


def _view(table: str, columns: Mapping[str, str], files: Sequence[str]) -> str:
    if not files:
        return f"CREATE VIEW {table} AS {_nothing(columns)}"
    listed = ", ".join(_literal(_WILDCARD.sub(r"[\g<0>]", file)) for file in files)
    # The first, empty part has every column: the files may lack those that were promoted later.
    parquet = (
        f"read_parquet([{listed}], hive_partitioning = true, union_by_name = true, "
        "hive_types = {'date': DATE})"
    )
    empty = _nothing(columns)
    return f"CREATE VIEW {table} AS {empty} UNION ALL BY NAME SELECT * FROM {parquet}"  # noqa: S608


def _nothing(columns: Mapping[str, str]) -> str:
    empty = ", ".join(f"CAST(NULL AS {kind}) AS {_name(name)}" for name, kind in columns.items())
    return f"SELECT {empty} WHERE false"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
