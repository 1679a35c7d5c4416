"""Events for tests of the store, and what a lake counts of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tallybook.engines.duckdb import DuckDB
from tallybook.lake.tables import Lake
from tallybook.model.event import (
    Arrival,
    Batch,
    ConversionEvent,
    DeadLetter,
    DecisionEvent,
    Received,
    Sender,
)

DAY = 86_400_000
SENDER = Sender("1", "2", "42", "python-sdk", "5.7.0")
COUNTED = """
SELECT uuid, COUNT(*) FROM (
    SELECT DISTINCT uuid, account_id, entity_id, occurred_at FROM conversions
) AS events GROUP BY uuid
"""


def converted(uuid: str, visitor: str = "ada", at_ms: int = 3 * DAY, late_ms: int = 5) -> Received:
    event = ConversionEvent(uuid, at_ms, visitor, "10", "buy", revenue=4200)
    return Received(Arrival(at_ms + late_ms), Batch(SENDER, (), (event,)))


def decided(uuid: str, visitor: str = "ada", at_ms: int = 3 * DAY, late_ms: int = 5) -> Received:
    event = DecisionEvent(uuid, at_ms, visitor, "L", "L", "E", "V")
    return Received(Arrival(at_ms + late_ms), Batch(SENDER, (event,), ()))


def refused(body: str, at_ms: int = 3 * DAY) -> Received:
    return Received(Arrival(at_ms), Batch(SENDER, (), (), (DeadLetter("$", "no", body),)))


def commit_each(lake: Lake, received: Iterable[Received], app_id: str = "log") -> None:
    """A commit for every batch, as small segments make them."""
    for number, batch in enumerate(received, start=1):
        lake.commit([batch], app_id=app_id, number=number)


def rows(lake: Lake, text: str) -> list[tuple[object, ...]]:
    with DuckDB(lake) as engine:
        return engine.rows(text, {})


def everything(lake: Lake) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, in an order of its own."""
    with DuckDB(lake) as engine:
        return {
            table: engine.rows(f"SELECT * FROM {table} ORDER BY ALL", {})
            for table in ("decisions", "conversions", "dead_letters")
        }


def uuids(lake: Lake) -> list[str]:
    """The uuid of every conversion's row, sorted."""
    return [str(uuid) for (uuid,) in rows(lake, "SELECT uuid FROM conversions ORDER BY uuid")]


def holding(folder: Path, text: str) -> list[Path]:
    """Files below a folder whose bytes hold a text."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]
