"""What is done to a lake besides adding to it: its files seen and tidied, visitors forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from tallybook.errors import ConfigError
from tallybook.lake.checksums import shorten
from tallybook.lake.columns import TABLES
from tallybook.lake.delta import DeltaTables, persistently
from tallybook.lake.durable import force
from tallybook.lake.forgotten import FORGOTTEN, MARK, Pseudonym, add_to_list
from tallybook.lake.snapshot import Snapshot


class Upkeep:
    """Care for the tables of a lake in a local directory, beside whoever reads and adds to them."""

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        """Nothing is read or written yet.

        Raises:
            ConfigError: The lake is in an object store, or its path cannot be addressed.
        """
        self._tables = DeltaTables(uri, storage_options)
        if self._tables.directory is None:
            raise ConfigError(f"lake {uri}: expected a directory, found an object store")
        self.directory: Path = self._tables.directory

    def snapshot(self, table: str) -> Snapshot | None:
        """Return a table's files as they are now; ``None`` when there is no such table yet.

        Raises:
            StorageError: The table cannot be read.
        """
        with self._tables.refusing(table):
            found = self._tables.open(table)
            return None if found is None else Snapshot(found, self.directory / table)

    def make_durable(self, table: str, versions: range) -> None:
        """Force commits to the disk.

        Raises:
            StorageError: The disk refused.
        """
        with self._tables.refusing(table):
            self._tables.make_durable(table, versions)

    def tidy(self, table: str, retention_hours: int) -> int:
        """Write a checkpoint, and remove files that have belonged to no version for that long.

        Args:
            table: Which one.
            retention_hours: Longer than any query reads, and any commit takes.

        Returns:
            How many files were removed.

        Raises:
            StorageError: The store refused.
        """
        with self._tables.refusing(table):
            found = self._tables.open(table)
            if found is None:
                return 0
            found.create_checkpoint()
            log = self.directory / table / "_delta_log"
            for path in (*log.iterdir(), log):
                force(path)
            removed = found.vacuum(
                retention_hours, dry_run=False, enforce_retention_duration=False, full=True
            )
            found.update_incremental()
            live = pa.table(found.get_add_actions())["path"].to_pylist()
            shorten(self.directory / table, set(live))
            return len(removed)

    def forget(self, visitor_id: str, at_ms: int) -> Pseudonym:
        """Keep from now on nothing that a visitor did up to a moment, however late it arrives.

        What the tables hold already stays. No commit that was begun before this ends well after it.

        Args:
            visitor_id: Who.
            at_ms: The moment, in milliseconds since the epoch.

        Returns:
            What stands for the visitor's id.

        Raises:
            StorageError: The store refused; it may be tried again.
        """
        uri, options = self._tables.uri_of(FORGOTTEN), self._tables.options
        with self._tables.refusing(FORGOTTEN):
            pseudonym, version = persistently(lambda: add_to_list(uri, options, visitor_id, at_ms))
            self._tables.make_durable(FORGOTTEN, range(version - 1, version + 1))
        for table in TABLES:
            self.fence(table)
        return pseudonym

    def fence(self, table: str) -> None:
        """Let no commit to a table that was begun before now end well; its author begins again.

        Raises:
            StorageError: The store refused.
        """
        with self._tables.refusing(table):
            persistently(lambda: self._mark(table))

    def _mark(self, name: str) -> None:
        table = self._tables.open(name) or self._tables.create(name)
        before = table.version()
        table.alter.set_table_properties({MARK: uuid.uuid4().hex}, raise_if_not_exists=False)
        table.update_incremental()
        self._tables.make_durable(name, range(before, table.version() + 1))
