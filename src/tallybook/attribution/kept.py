"""Every event once, day by day: what the lake holds when copies are left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tallybook.attribution import texts
from tallybook.attribution.ask import Engine

Row = tuple[Any, ...]


def kept_decisions(engine: Engine) -> Iterator[tuple[str, list[Row]]]:
    """Yield each UTC day (ISO 8601) with its decisions; columns: ``kept_decisions.sql``."""
    return _kept(engine, "decisions")


def kept_conversions(engine: Engine) -> Iterator[tuple[str, list[Row]]]:
    """Yield each UTC day (ISO 8601) with its conversions; columns: ``kept_conversions.sql``."""
    return _kept(engine, "conversions")


def _kept(engine: Engine, table: str) -> Iterator[tuple[str, list[Row]]]:
    # Copies of an event have its timestamp, so no day has a copy of another's.
    for (date,) in engine.rows(texts.plain(f"days_of_{table}").sql, {}):
        text = texts.plain(f"kept_{table}", day=str(date))
        yield str(date), engine.rows(text.sql, text.parameters)
