"""Rows → parts of few days each: who writes a commit holds a file open for every day in it.

Clients say when their events happened, so a body of a megabyte can name ten thousand days. In one
commit those would take gigabytes, and whoever drains them would be stopped by it again and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tallybook.lake.columns import PARTITION

MAX_DAYS: Final = 100  # half a megabyte each


def few_days_each(rows: pa.Table, max_days: int = MAX_DAYS) -> Iterator[pa.Table]:
    """Split rows by their days; the same rows are always split the same way."""
    days = rows[PARTITION].unique().sort()
    if len(days) <= max_days:
        yield rows
        return
    for start in range(0, len(days), max_days):
        yield rows.filter(pc.is_in(rows[PARTITION], days.slice(start, max_days)))
