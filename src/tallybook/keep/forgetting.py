"""Forgetting a visitor: gone from the tables, their earlier versions, and the log.

First the lake is told, and keeps nothing of the visitor's from then on; so what still waits in a
log, or is sent again later, does not come back. Then what is there is removed, a day a commit.
Stopped at any moment and run again it does the rest. Others' rows are copied to new files, which
replace the old ones in the same commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final

import pyarrow as pa

from tallybook.errors import ConfigError, StorageError
from tallybook.keep.receipt import Receipt
from tallybook.keep.rewriting import Plan, rewrite
from tallybook.keep.visitor_rows import count_rows, other_rows
from tallybook.lake.columns import CONVERSIONS, DEAD_LETTERS, DECISIONS, TABLES
from tallybook.lake.durable import force
from tallybook.lake.forgotten import is_mentioned
from tallybook.lake.snapshot import LiveFile, Snapshot
from tallybook.lake.upkeep import Upkeep

_DAMAGED: Final = "*.damaged"
_SEGMENTS: Final = "*.log"
_LOOK_EVERY_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for others, in seconds, and how.

    Attributes:
        drain_s: For a running server to bring its log into the lake.
        grace_s: For queries that may still read the files that are to be erased.
        pause_s: After each commit, so that a server's own finds time.
        sleep: Waits so many seconds.
    """

    drain_s: float = 60.0
    grace_s: float = 30.0
    pause_s: float = 0.5
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Holdings:
    """Where a visitor's traces may be.

    Attributes:
        lake_uri: The lake.
        log: The log's directory, with those of workers below it.
        drain: Brings into the lake what a server that is gone left in the log.
    """

    lake_uri: str
    log: Path
    drain: Callable[[], object]


def forget(
    holdings: Holdings,
    visitor_id: str,
    *,
    clock_ms: Callable[[], int],
    patience: Patience | None = None,
) -> Receipt:
    """Remove everything there is of a visitor.

    Raises:
        ConfigError: The id is empty or no text, or the lake is in an object store.
        StorageError: Lake or log refused; running it again does the rest.
    """
    _check(visitor_id)
    patience = patience or Patience()
    upkeep = Upkeep(holdings.lake_uri)
    until_ms = clock_ms()
    pseudonym = upkeep.forget(visitor_id, until_ms)
    waiting = _drain(holdings, patience)
    removed = {table: _remove(upkeep, table, visitor_id, patience) for table in TABLES}
    doomed = [path for table in TABLES for path in _doomed(upkeep, table, visitor_id)]
    if doomed:
        patience.sleep(patience.grace_s)
    _erase(doomed)
    damaged = _erase_damaged(holdings.log, visitor_id)
    return Receipt(
        visitor_hash=pseudonym.hash,
        salt=pseudonym.salt,
        until_ms=until_ms,
        finished_ms=clock_ms(),
        decisions=removed[DECISIONS],
        conversions=removed[CONVERSIONS],
        dead_letters=removed[DEAD_LETTERS],
        erased_files=len(doomed),
        damaged_segments=damaged,
        waiting_segments=waiting,
    )


def _check(visitor_id: str) -> None:
    try:
        visitor_id.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"visitor {visitor_id!r}: expected text in UTF-8") from None
    if not visitor_id:
        raise ConfigError("the visitor's id is empty; expected an id as it was sent")


def _drain(holdings: Holdings, patience: Patience) -> int:
    """Have the log drained, by a server if one runs; return how many segments of now are left."""
    holdings.drain()
    segments = [path for path in holdings.log.rglob(_SEGMENTS) if _size(path)]
    turns = int(patience.drain_s / _LOOK_EVERY_S)
    while (segments := [path for path in segments if path.exists()]) and turns > 0:
        patience.sleep(_LOOK_EVERY_S)
        turns -= 1
    return len(segments)


def _remove(upkeep: Upkeep, table: str, visitor_id: str, patience: Patience) -> int:
    """Take the visitor's rows out of a table, a day a commit; return how many there were."""
    counts: dict[str, int] = {}
    removed = 0
    while done := rewrite(upkeep, table, lambda s: _plan(s, table, visitor_id, counts)):
        removed += done.rows_removed
        patience.sleep(patience.pause_s)
    return removed


def _plan(snapshot: Snapshot, table: str, visitor_id: str, counts: dict[str, int]) -> Plan | None:
    """What is to be done for the first day that has rows of the visitor's."""
    for _, files in groupby(snapshot.files, key=lambda file: file.day):
        theirs = [f for f in files if _count(snapshot, f, table, visitor_id, counts)]
        if theirs:
            found = sum(counts[file.path] for file in theirs)
            rows = sum(file.rows for file in theirs) - found
            note = {"forgotten_rows": found}
            return Plan(theirs, rows, partial(_others, snapshot, theirs, table, visitor_id), note)
    return None


def _count(
    snapshot: Snapshot, file: LiveFile, table: str, visitor_id: str, counts: dict[str, int]
) -> int:
    # A file never changes, so it is looked at once, however often the table is.
    if file.path not in counts:
        counts[file.path] = count_rows(snapshot.location(file), table, visitor_id)
    return counts[file.path]


def _others(
    snapshot: Snapshot, files: Sequence[LiveFile], table: str, visitor_id: str
) -> Iterator[pa.RecordBatch]:
    for file in files:
        yield from other_rows(snapshot.location(file), table, visitor_id)


def _doomed(upkeep: Upkeep, table: str, visitor_id: str) -> list[Path]:
    """Files that hold rows of the visitor's and belong to no version of now or later."""
    present = set((upkeep.directory / table).glob("date=*/*"))
    # What was being written when these were listed does not get into the table any more.
    upkeep.fence(table)
    snapshot = upkeep.snapshot(table)
    live = {snapshot.location(file) for file in snapshot.files} if snapshot is not None else set()
    return [path for path in sorted(present - live) if _is_theirs(path, table, visitor_id)]


def _erase(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        force(folder)


def _is_theirs(path: Path, table: str, visitor_id: str) -> bool:
    try:
        return count_rows(path, table, visitor_id) > 0
    except StorageError:
        return path.exists()  # an unfinished file; nobody can tell what it holds


def _erase_damaged(log: Path, visitor_id: str) -> int:
    """Erase segments set aside that mention the visitor.

    What was readable in them is in the lake, what was not is among the dead letters.
    """
    erased = 0
    for path in log.rglob(_DAMAGED):
        text = path.read_bytes().decode("utf-8", errors="replace")
        if is_mentioned(visitor_id, text):
            path.unlink(missing_ok=True)
            force(path.parent)
            erased += 1
    return erased


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):  # drained since it was listed
        return path.stat().st_size
    return 0
