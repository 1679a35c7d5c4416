"""A look at a lake's tables and files that changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from tallybook.errors import StorageError
from tallybook.keep.compaction import SMALL_BYTES
from tallybook.keep.finding import Finding, State
from tallybook.lake.checksums import checksum, remembered
from tallybook.lake.columns import TABLES
from tallybook.lake.snapshot import LiveFile, Snapshot
from tallybook.lake.upkeep import Upkeep

_PART: Final = "lake"
_MANY_FILES: Final = 200  # that could be merged; beyond this queries feel it
_MANY_COMMITS: Final = 1_000  # since the last checkpoint
_OLD_S: Final = 24 * 3600
_BATCH_ROWS: Final = 65_536

Read = Callable[[Path], int]


def examine_lake(uri: str, *, is_quick: bool = False) -> Iterator[Finding]:
    """Look at every table and every file it names.

    Args:
        uri: The lake's directory.
        is_quick: Read only the files' ends instead of every page.

    Raises:
        ConfigError: The lake is in an object store.
    """
    upkeep = Upkeep(uri)
    for table in TABLES:
        try:
            snapshot = upkeep.snapshot(table)
        except StorageError as error:
            yield Finding(
                _PART, table, State.BAD, str(error), "restore the table's _delta_log from a backup"
            )
            continue
        if snapshot is None:
            yield Finding(_PART, table, State.OK, "no rows yet")
            continue
        yield _files(table, snapshot, _footer_rows if is_quick else _all_rows)
        yield from _upkeep(table, snapshot)


def _files(table: str, snapshot: Snapshot, read: Read) -> Finding:
    known = {} if read is _footer_rows else remembered(snapshot.directory)
    faults = [fault for file in snapshot.files if (fault := _fault(snapshot, file, read, known))]
    rows = sum(file.rows for file in snapshot.files)
    size = sum(file.size for file in snapshot.files)
    seen = f"{rows:,} rows in {len(snapshot.files):,} files, {size:,} bytes"
    if not faults:
        return Finding(_PART, table, State.OK, seen)
    return Finding(
        _PART,
        table,
        State.BAD,
        f"{seen}; {len(faults):,} files are damaged: {faults[0]}",
        "restore these files from a backup; results may fail until then",
    )


def _fault(snapshot: Snapshot, file: LiveFile, read: Read, known: Mapping[str, int]) -> str | None:
    path = snapshot.location(file)
    try:
        if file.path in known and checksum(path) != known[file.path]:
            return f"{file.path} is not what was written"
        size, rows = path.stat().st_size, read(path)
    except FileNotFoundError:
        return f"{file.path} is missing"
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"{file.path}: {' '.join(str(error).split())}"
    if (size, rows) != (file.size, file.rows):
        return (
            f"{file.path} has {size:,} bytes and {rows:,} rows, "
            f"expected {file.size:,} and {file.rows:,}"
        )
    return None


def _footer_rows(path: Path) -> int:
    with pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def _all_rows(path: Path) -> int:
    rows = 0
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            batch.validate(full=True)
            rows += batch.num_rows
    return rows


def _upkeep(table: str, snapshot: Snapshot) -> Iterator[Finding]:
    small = sum(
        len(found)
        for files in snapshot.days().values()
        if len(found := [file for file in files if file.size < SMALL_BYTES]) > 1
    )
    if small > _MANY_FILES:
        yield Finding(
            _PART, f"{table}, files", State.WARN, f"{small:,} small files", "run tallybook compact"
        )
    commits = snapshot.version - _last_checkpoint(snapshot.directory)
    if commits > _MANY_COMMITS:
        yield Finding(
            _PART,
            f"{table}, log",
            State.WARN,
            f"{commits:,} commits since the last checkpoint",
            "run tallybook compact",
        )
    old = _forsaken(snapshot)
    if old:
        yield Finding(
            _PART,
            f"{table}, earlier files",
            State.WARN,
            f"{len(old):,} files, {sum(old):,} bytes, belong to no version of now",
            "run tallybook compact, which removes those that nobody may read any more",
        )


def _last_checkpoint(directory: Path) -> int:
    found = (directory / "_delta_log").glob("*.checkpoint*.parquet")
    return max((int(path.name.partition(".")[0]) for path in found), default=0)


def _forsaken(snapshot: Snapshot) -> list[int]:
    """Sizes of files older than a day that the table does not name."""
    live = {snapshot.location(file) for file in snapshot.files}
    sizes = []
    for path in snapshot.directory.glob("date=*/*"):
        try:
            known = path.stat()
        except FileNotFoundError:  # removed since it was listed
            continue
        if path not in live and time.time() - known.st_mtime > _OLD_S:
            sizes.append(known.st_size)
    return sizes
