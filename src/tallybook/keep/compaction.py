"""Compaction: small files merged and sorted, old days and further copies removed, the rest tidied.

It runs beside a server, and may be stopped at any moment and run again. One day of one table is one
commit, and what is being sorted spills to the disk, so memory is bounded however large a day is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Final

import pyarrow as pa

from tallybook.attribution import texts
from tallybook.engines.duckdb import DuckDB
from tallybook.keep.rewriting import Plan, rewrite
from tallybook.lake.columns import DEAD_LETTERS, SCHEMAS, SQL_TYPES, TABLES
from tallybook.lake.forgotten import FORGOTTEN
from tallybook.lake.parts import TARGET_BYTES
from tallybook.lake.snapshot import LiveFile, Snapshot
from tallybook.lake.upkeep import Upkeep
from tallybook.model.time import DAY_MS, EPOCH

MEMORY_BYTES: Final = 2**30
PAUSE_S: Final = 0.5
SMALL_BYTES: Final = TARGET_BYTES // 2  # a file below this is merged with others of its day
_BATCH_ROWS: Final = 65_536

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CompactSettings:
    """How to compact.

    Attributes:
        retention_hours: Files that belong to no version are removed when they are that old. No
            query and no commit may take longer.
        keep_days: Days of events that are kept, whole UTC days of event time; ``None``: all.
        drop_copies: Whether further copies of an event are removed, and counted in the first.
        memory_bytes: What sorting may take before it spills to the disk.
        pause_s: Seconds of rest after each commit. One that a server has under way then has to be
            made again, and must find the time for it.
    """

    retention_hours: int = 24
    keep_days: int | None = None
    drop_copies: bool = False
    memory_bytes: int = MEMORY_BYTES
    pause_s: float = PAUSE_S


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did."""

    merged_files: int = 0
    written_files: int = 0
    removed_copies: int = 0
    expired_rows: int = 0
    tidied_files: int = 0

    def __add__(self, other: Compacted) -> Compacted:
        """Both together."""
        return Compacted(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def text(self) -> str:
        """One line for people."""
        said = f"merged {self.merged_files:,} files into {self.written_files:,}"
        if self.removed_copies:
            said += f", removed {self.removed_copies:,} further copies"
        if self.expired_rows:
            said += f", removed {self.expired_rows:,} rows of days past keeping"
        return f"{said}; {self.tidied_files:,} files of earlier versions are gone"


def _untold(_done: int, _total: int) -> None:
    return


def compact(
    lake_uri: str, settings: CompactSettings, *, now_ms: int, progress: Progress = _untold
) -> Compacted:
    """Compact every table of a lake.

    Args:
        lake_uri: Where it is.
        settings: How.
        now_ms: The time, in milliseconds since the epoch.
        progress: Told the days done and the days in all, after each.

    Raises:
        ConfigError: The lake is in an object store.
        StorageError: The lake refused; running it again goes on where it stopped.
    """
    upkeep = Upkeep(lake_uri)
    done = Compacted()
    if settings.keep_days is not None:
        first = _first_kept(settings.keep_days, now_ms)
        done = sum((_expire(upkeep, table, first) for table in TABLES), done)
    work = [(table, day) for table in TABLES for day in _days(upkeep, table)]
    for number, (table, day) in enumerate(work, start=1):
        done += _compact_day(upkeep, table, day, settings)
        progress(number, len(work))
    tidied = sum(upkeep.tidy(name, settings.retention_hours) for name in (*TABLES, FORGOTTEN))
    return done + Compacted(tidied_files=tidied)


def _days(upkeep: Upkeep, table: str) -> Iterable[date]:
    snapshot = upkeep.snapshot(table)
    return list(snapshot.days()) if snapshot is not None else []


def _first_kept(keep_days: int, now_ms: int) -> date:
    """The earliest day of which something is younger than ``keep_days`` times 24 hours."""
    return date.fromordinal(EPOCH.toordinal() + max(0, now_ms // DAY_MS - keep_days))


def _expire(upkeep: Upkeep, table: str, first: date) -> Compacted:
    """Remove the days before the first one that is kept."""

    def plan(snapshot: Snapshot) -> Plan | None:
        files = [file for file in snapshot.files if file.day < first]
        return Plan(files, 0, lambda: (), {"first_kept": str(first)}) if files else None

    done = rewrite(upkeep, table, plan)
    return Compacted(expired_rows=done.rows_removed if done is not None else 0)


def _compact_day(upkeep: Upkeep, table: str, day: date, settings: CompactSettings) -> Compacted:
    done = rewrite(upkeep, table, lambda snapshot: _plan(snapshot, table, day, settings))
    if done is None:
        return Compacted()
    time.sleep(settings.pause_s)
    return Compacted(len(done.removed), len(done.added), done.rows_removed)


def _plan(snapshot: Snapshot, table: str, day: date, settings: CompactSettings) -> Plan | None:
    files = snapshot.days().get(day, ())
    if settings.drop_copies and table != DEAD_LETTERS:
        chosen = _Chosen(snapshot, table, files)
        if copies := _copies(chosen, settings):
            return _written(chosen, f"merged_{table}", settings, copies)
    small = [file for file in files if file.size < SMALL_BYTES]
    if len(small) < 2:  # noqa: PLR2004 - one file has nothing to be merged with
        return None
    return _written(_Chosen(snapshot, table, small), f"sorted_{table}", settings)


def _written(chosen: _Chosen, text: str, settings: CompactSettings, copies: int = 0) -> Plan:
    def batches() -> Iterator[pa.RecordBatch]:
        with DuckDB(chosen, memory_bytes=settings.memory_bytes) as engine:
            yield from engine.batches(texts.plain(text).sql, {}, _BATCH_ROWS)

    rows = sum(file.rows for file in chosen.chosen) - copies
    return Plan(chosen.chosen, rows, batches, {"compacted": str(chosen.chosen[0].day)})


def _copies(chosen: _Chosen, settings: CompactSettings) -> int:
    with DuckDB(chosen, memory_bytes=settings.memory_bytes) as engine:
        ((copies,),) = engine.rows(texts.plain(f"repeated_{chosen.table}").sql, {})
    return int(str(copies))


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Some files of a table, as an engine reads them."""

    snapshot: Snapshot
    table: str
    chosen: Sequence[LiveFile]

    def files(self, table: str) -> list[str]:
        return [str(self.snapshot.location(f)) for f in self.chosen] if table == self.table else []

    def columns(self, table: str) -> Mapping[str, str]:
        schema = self.snapshot.schema if table == self.table else SCHEMAS[table]
        return {field.name: SQL_TYPES.get(field.type, "varchar") for field in schema}
