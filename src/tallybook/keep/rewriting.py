"""Files of a table rewritten: read, put in order or cut down, replaced in one atomic commit.

Nothing is lost or doubled wherever this stops. Before the commit there are files that no table
knows, which tidying removes; after it the old ones belong to earlier versions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from tallybook.errors import StorageError
from tallybook.lake.checksums import verify
from tallybook.lake.parts import discard, write_parts
from tallybook.lake.snapshot import LiveFile, OvertakenError, Snapshot
from tallybook.lake.upkeep import Upkeep

_ATTEMPTS: Final = 20

Batches = Iterable[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of some files.

    Attributes:
        files: Which ones; of several days only if nothing is to be left of them.
        rows: How many rows are to be left of them.
        batches: Reads these rows.
        note: What the table's history says of it.
    """

    files: Sequence[LiveFile]
    rows: int
    batches: Callable[[], Batches]
    note: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Files and rows before and after."""

    removed: Sequence[LiveFile]
    added: Sequence[LiveFile]

    @property
    def rows_removed(self) -> int:
        """Rows that are there no more."""
        return sum(f.rows for f in self.removed) - sum(f.rows for f in self.added)


def rewrite(
    upkeep: Upkeep, table: str, plan: Callable[[Snapshot], Plan | None]
) -> Rewritten | None:
    """Carry out what a snapshot makes necessary, again where somebody else's commit came first.

    Args:
        upkeep: The lake.
        table: Which of its tables.
        plan: Looks at a snapshot and says what is to be done, or ``None`` for nothing.

    Raises:
        StorageError: The lake refused, or others' commits came first every time.
    """
    for attempt in range(_ATTEMPTS):
        snapshot = upkeep.snapshot(table)
        wanted = plan(snapshot) if snapshot is not None else None
        if snapshot is None or wanted is None:
            return None
        try:
            return _carried_out(upkeep, table, snapshot, wanted)
        except OvertakenError:
            if attempt == _ATTEMPTS - 1:
                raise
    return None


def _carried_out(upkeep: Upkeep, table: str, snapshot: Snapshot, plan: Plan) -> Rewritten:
    added: Sequence[LiveFile] = ()
    if plan.rows:
        verify(snapshot.directory, [file.path for file in plan.files])
        day = plan.files[0].day
        added = write_parts(snapshot.directory, day, plan.batches(), snapshot.schema)
    try:
        _check(snapshot, plan, sum(file.rows for file in added))
        versions = snapshot.replace(plan.files, added, plan.note)
    except StorageError:
        discard(map(snapshot.location, added))
        raise
    upkeep.make_durable(table, versions)
    return Rewritten(plan.files, added)


def _check(snapshot: Snapshot, plan: Plan, rows: int) -> None:
    """Refuse to commit what would lose or double a row."""
    if rows != plan.rows:
        raise StorageError(
            f"{snapshot.directory}: rewriting {plan.files[0].day} gave {rows:,} rows where "
            f"{plan.rows:,} were expected; nothing was changed"
        )
