"""The Delta tables of one lake: opened, made, forced to the disk, their errors in one line each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from tallybook.errors import ConfigError, StorageError
from tallybook.lake.columns import PARTITION, SCHEMAS, SUMMARISED
from tallybook.lake.durable import local_path, make_durable, refuse_cut_short

_ATTEMPTS: Final = 8
_FIRST_PAUSE_S: Final = 0.02  # doubled from attempt to attempt: 2.5 s in all
_UNADDRESSABLE: Final = frozenset("[]|\\^")  # delta-rs takes a path through a URL and back
_STATISTICS: Final = "delta.dataSkippingStatsColumns"

Result = TypeVar("Result")


class DeltaTables:
    """The tables under one directory or object-store prefix."""

    def __init__(self, uri: str, options: Mapping[str, str] | None = None) -> None:
        """Nothing is read or written yet.

        Raises:
            ConfigError: The path holds characters that the storage layer cannot address.
        """
        self.uri = uri.rstrip("/") or "/"
        self.options = dict(options) if options else None
        if "://" not in uri and (unquote(uri) != uri or _UNADDRESSABLE.intersection(uri)):
            raise ConfigError(
                f"lake {uri}: expected a path without [ ] | \\ ^ and without percent escapes"
            )

    @property
    def directory(self) -> Path | None:
        """Where they are on this machine; ``None`` in an object store."""
        return local_path(self.uri)

    def uri_of(self, name: str) -> str:
        """Where one table is."""
        return f"{self.uri}/{name}"

    def open(self, name: str) -> DeltaTable | None:
        """A table as it is now, or ``None`` when there is none."""
        try:
            return DeltaTable(self.uri_of(name), storage_options=self.options)
        except TableNotFoundError:
            return None

    def create(self, name: str) -> DeltaTable:
        """A table of events, made unless somebody else was quicker."""
        return DeltaTable.create(
            self.uri_of(name),
            schema=SCHEMAS[name],
            mode="ignore",
            partition_by=[PARTITION],
            name=name,
            configuration={_STATISTICS: ",".join(SUMMARISED[name])},
            storage_options=self.options,
        )

    def make_durable(self, name: str, versions: range) -> None:
        """Force committed versions to the disk; those of others in between do no harm."""
        path = local_path(self.uri_of(name))
        if path is None:
            return
        for version in versions:
            make_durable(path, version)

    def refuse_cut_short(self, name: str, table: DeltaTable) -> None:
        """Make sure that a table's files have the sizes they were committed with.

        Whoever commits again was stopped before, and removes what it commits from next.

        Raises:
            StorageError: One has not.
        """
        path = local_path(self.uri_of(name))
        if path is None:
            return
        files = pa.table(table.get_add_actions())
        paths, sizes = files["path"].to_pylist(), files["size_bytes"].to_pylist()
        refuse_cut_short(path, dict(zip(paths, sizes, strict=True)))

    @contextmanager
    def refusing(self, name: str) -> Iterator[None]:
        """Turn what the store says inside the block into a :class:`StorageError`."""
        try:
            yield
        except (DeltaError, OSError) as error:
            reason = " ".join(str(error).split())
            raise StorageError(f"lake table {self.uri_of(name)}: {reason}") from error


def persistently(attempt: Callable[[], Result]) -> Result:
    """Try again as long as somebody else's commit came in between."""
    for turn in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except CommitFailedError:
            time.sleep(_FIRST_PAUSE_S * 2**turn)
    return attempt()
