"""The server's table of the reliability page: every fault has its row, whoever tried it when."""

from __future__ import annotations

import os
import re
from typing import Final

from faults.server_load import Tally
from reliability import PAGE, write_table

HEADS: Final = ("fault", "tries", "acknowledged", "counted", "twice", "note")
FAULTS: Final = (
    "killed in a request",
    "killed in a write to the log",
    "killed before the fsync",
    "killed between fsync and reply",
    "killed before the lake's commit",
    "killed in the lake's commit",
    "killed before the commit is synced",
    "killed before the segment is removed",
    "killed after the segment is removed",
    "killed at any moment",
    "SIGTERM under load",
    "no file may grow",
    "disk full",
    "SIGTERM on a full disk",
    "byte flipped in a log segment",
    "log segment truncated",
    "half-written Parquet file in the lake",
    "committed Parquet file truncated",
    "power cut in the lake's commit",
    "Delta log entry truncated",
    "two servers on one directory",
    "slow connections",
    "slow connections with large bodies",
    "endless headers",
    "one body of 10,000 days",
    "body of 10 MB",
    "gzip bomb",
    "hostile bodies",
    "mutations of valid bodies, in process",
    "mutations of valid bodies, over HTTP",
    "schemathesis, positive cases",
    "schemathesis, negative cases",
    "path traversal",
    "header injection",
)
NONE: Final = "–"


def everything() -> bool:
    """True when all faults are asked for, however long they take."""
    return os.getenv("TALLYBOOK_FAULTS") == "all"


def record(fault: str, tries: int, tally: Tally | None, note: str = "") -> None:
    """Put a fault's row into the table, beside those that other runs put there."""
    assert fault in FAULTS, fault
    figures = (tally.acknowledged, tally.counted, tally.twice) if tally else (NONE,) * 3
    rows = {**_rows(), fault: (fault, f"{tries:,}", *map(_shown, figures), note)}
    write_table("server", HEADS, [rows[name] for name in FAULTS if name in rows])


def _shown(figure: int | str) -> str:
    return figure if isinstance(figure, str) else f"{figure:,}"


def _rows() -> dict[str, tuple[str, ...]]:
    section = PAGE.read_text("utf-8").partition("<!-- server -->")[2]
    lines = section.partition("<!-- end of server -->")[0].splitlines()
    cells = [tuple(map(str.strip, re.split(r"(?<!\\)\|", line)[1:-1])) for line in lines]
    return {row[0]: row for row in cells if len(row) == len(HEADS) and row[0] in FAULTS}
