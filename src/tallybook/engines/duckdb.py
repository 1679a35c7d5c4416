"""The embedded engine: DuckDB, in this process, over the lake's Parquet files.

The files are listed anew for every query, so that what was committed a moment ago is counted. One
engine may be used from several threads: each query has a cursor and views of its own.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import duckdb

from tallybook.engines.base import LakeFiles
from tallybook.errors import StorageError

TABLES: Final = ("decisions", "conversions", "dead_letters")
_SETTINGS: Final[Mapping[str, str | bool]] = {
    # What is needed is built in; nothing may be fetched from the network.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_WILDCARD: Final = re.compile(r"[*?\[]")


class DuckDB:
    """Queries over one lake."""

    def __init__(self, lake: LakeFiles) -> None:
        self._lake = lake
        # Queries larger than memory spill here, and not into the working directory.
        spill = Path(tempfile.gettempdir(), f"tallybook-spill-{os.getpid()}")
        self._database = duckdb.connect(config={**_SETTINGS, "temp_directory": str(spill)})
        self._database.execute("SET parquet_metadata_cache = true")

    def rows(self, text: str, parameters: Mapping[str, object]) -> list[tuple[object, ...]]:
        """Return the rows of a query over the lake's tables as they are now.

        Args:
            text: SQL that reads any of the views ``decisions``, ``conversions``, ``dead_letters``.
            parameters: What each ``$name`` in the text stands for, no more and no less.

        Raises:
            StorageError: A file of the lake cannot be read.
        """
        try:
            with self._database.cursor() as cursor:
                for table in TABLES:
                    if table in text:
                        cursor.execute(self._view(table))
                return cursor.execute(text, dict(parameters)).fetchall()
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise StorageError(f"lake: {' '.join(str(error).split())}") from error

    def _view(self, table: str) -> str:
        columns = self._lake.columns(table)
        files = self._lake.files(table)
        if not files:
            return f"CREATE TEMP VIEW {table} AS {_nothing(columns)}"
        listed = ", ".join(_literal(_WILDCARD.sub(r"[\g<0>]", file)) for file in files)
        # The first, empty part has every column: the files may lack those that were promoted later.
        parquet = (
            f"read_parquet([{listed}], hive_partitioning = true, union_by_name = true, "
            "hive_types = {'date': DATE})"
        )
        empty = _nothing(columns)
        return f"CREATE TEMP VIEW {table} AS {empty} UNION ALL BY NAME SELECT * FROM {parquet}"  # noqa: S608


def _nothing(columns: Mapping[str, str]) -> str:
    empty = ", ".join(f"CAST(NULL AS {kind}) AS {_name(name)}" for name, kind in columns.items())
    return f"SELECT {empty} WHERE false"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
