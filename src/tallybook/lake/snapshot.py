"""A table as it is at one version: its files, and replacing some of them in one atomic commit.

The commit fails when any of those files was replaced meanwhile, or when the table's properties
changed. Rows that others append meanwhile stay: their files are none of those that are replaced.
Commits say that they change data even where they only merge files, because delta-rs overlooks that
two commits remove one file when the first says it does not change data.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from tallybook.errors import StorageError
from tallybook.lake.columns import PARTITION

NOTE: Final = "tallybook"


class OvertakenError(StorageError):
    """Somebody else's commit came first; look at the table again."""


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A Parquet file of a table: its path inside the table's directory, its day, bytes, rows."""

    path: str
    day: date
    size: int
    rows: int


class Snapshot:
    """The files of one version of a table in a local directory."""

    def __init__(self, table: DeltaTable, directory: Path) -> None:
        self.directory = directory
        self.version = table.version()
        self._table = table
        self.files = tuple(sorted(_files(table), key=lambda file: (file.day, file.path)))

    @property
    def schema(self) -> pa.Schema:
        """Columns as they are in the files, which hold all but the partition's."""
        fields = pa.schema(self._table.schema().to_arrow())
        return pa.schema([field for field in fields if field.name != PARTITION])

    def location(self, file: LiveFile) -> Path:
        """Where a file is."""
        return self.directory / file.path

    def days(self) -> Mapping[date, Sequence[LiveFile]]:
        """The files of each day, days ascending."""
        days: dict[date, list[LiveFile]] = {}
        for file in self.files:
            days.setdefault(file.day, []).append(file)
        return days

    def replace(
        self, removed: Sequence[LiveFile], added: Sequence[LiveFile], note: Mapping[str, Any]
    ) -> range:
        """Replace files by others, which lie there already.

        Args:
            removed: Files of this snapshot.
            added: Files with what is to be kept of the removed ones.
            note: What the table's history says of it.

        Returns:
            The versions since this snapshot, the commit's among them.

        Raises:
            OvertakenError: A removed file is no longer there, or the table's properties changed.
        """
        now_ms = time.time_ns() // 1_000_000
        actions: list[AddAction | RemoveAction] = [
            *(RemoveAction(f.path, True, now_ms, f.size, _values(f)) for f in removed),
            *(AddAction(f.path, f.size, _values(f), now_ms, True, _stats(f)) for f in added),
        ]
        try:
            self._table.create_write_transaction(
                actions,
                "append",
                self._table.schema(),
                [PARTITION],
                commit_properties=CommitProperties(custom_metadata={NOTE: dict(note)}),
            )
        except CommitFailedError as error:
            raise OvertakenError(f"{self.directory}: changed by another commit") from error
        self._table.update_incremental()
        return range(self.version + 1, self._table.version() + 1)


def _files(table: DeltaTable) -> list[LiveFile]:
    actions = pa.table(table.get_add_actions(flatten=False)).to_pylist()
    return [
        LiveFile(a["path"], a["partition"][PARTITION], a["size_bytes"], a["num_records"])
        for a in actions
    ]


def _values(file: LiveFile) -> dict[str, str | None]:
    return {PARTITION: file.day.isoformat()}


def _stats(file: LiveFile) -> str:
    return json.dumps({"numRecords": file.rows})
