"""Does one piece of work on a store, and kills itself at a given step of it.

Run as a program: ``store_work.py DATA WORK STEP``, where STEP 0 is never. Steps are what touches the
disk: files that Python opens, renames and removes, and the calls into the libraries that write.
It prints ``begun`` before the first step, and after the last one how many there were, and which of
them stood before or after a commit.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.table import TableAlterer

from tallybook.collect import drain_leftovers
from tallybook.keep.compaction import CompactSettings, compact
from tallybook.keep.forgetting import Holdings, Patience, forget
from tallybook.lake import forgotten
from tallybook.lake.tables import Lake

NOW_MS = 1_760_000_000_000
VISITOR = "visitor-to-forget"
KEEP_DAYS = 3
_TOUCHING = frozenset(["open", "os.remove", "os.rename", "os.mkdir", "os.truncate", "os.listdir"])
_CALLS = (
    (DeltaTable, "create_write_transaction"),
    (DeltaTable, "create_checkpoint"),
    (DeltaTable, "vacuum"),
    (DeltaTable, "update_incremental"),
    (TableAlterer, "set_table_properties"),
    (pq.ParquetWriter, "write_table"),
    (pq.ParquetWriter, "close"),
    (forgotten, "write_deltalake"),
    (os, "fsync"),
)

_COMMITS = ("create_write_transaction", "set_table_properties", "write_deltalake")


class Steps:
    """Counts steps, and ends the process at one of them as a power cut would."""

    def __init__(self, data: Path, last: int) -> None:
        self.taken = 0
        self.of_commits: list[int] = []
        self._data = str(data)
        self._last = last
        sys.addaudithook(self._heard)
        for owner, name in _CALLS:
            setattr(owner, name, self._around(getattr(owner, name)))

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _TOUCHING and str(arguments[0]).startswith(self._data):
            self._take()

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **more: Any) -> Any:
            self._take(is_commit=call.__name__ in _COMMITS)
            try:
                return call(*args, **more)
            finally:
                self._take(is_commit=call.__name__ in _COMMITS)

        return counted

    def _take(self, *, is_commit: bool = False) -> None:
        self.taken += 1
        if is_commit:
            self.of_commits.append(self.taken)
        if self.taken == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def work(name: str, data: Path) -> None:
    lake, log = str(data / "lake"), data / "log"
    if name == "forget":
        holdings = Holdings(lake, log, lambda: drain_leftovers(log, Lake(lake)))
        forget(holdings, VISITOR, clock_ms=lambda: NOW_MS, patience=Patience(60, 0, 0))
    else:
        keep_days = KEEP_DAYS if name == "retention" else None
        settings = CompactSettings(1, keep_days, drop_copies=name == "drop copies", pause_s=0)
        compact(lake, settings, now_ms=NOW_MS)


if __name__ == "__main__":
    place, wanted, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    steps = Steps(place, last)
    print("begun", flush=True)
    work(wanted, place)
    print(steps.taken, *steps.of_commits, flush=True)
