"""Batches → parts of few days each: who writes a commit holds a file open for every day in it.

Clients say when their events happened, so a body of a megabyte can name ten thousand days. In one
commit those would take gigabytes, and whoever drains them would be stopped by it again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallybook.lake.columns import DEAD_LETTERS
from tallybook.model.event import Batch, ConversionEvent, DecisionEvent, Received
from tallybook.model.time import DAY_MS

MAX_DAYS: Final = 100  # half a megabyte each


def few_days_each(
    name: str, batches: Sequence[Received], max_days: int = MAX_DAYS
) -> Sequence[Sequence[Received]]:
    """Split what is to go into one table; the same batches are always split the same way."""
    if name == DEAD_LETTERS:  # they lie by the day they arrived, which nobody else says
        return (batches,)
    days = sorted({e.at_ms // DAY_MS for received in batches for e in _events(name, received)})
    if len(days) <= max_days:
        return (batches,)
    part_of = {day: place // max_days for place, day in enumerate(days)}
    parts: list[list[Received]] = [[] for _ in range(part_of[days[-1]] + 1)]
    for received in batches:
        split: dict[int, list[ConversionEvent | DecisionEvent]] = {}
        for event in _events(name, received):
            split.setdefault(part_of[event.at_ms // DAY_MS], []).append(event)
        for place, events in split.items():
            alone = Batch(received.batch.sender, (), ())
            batch = msgspec.structs.replace(alone, **{name: tuple(events)})
            parts[place].append(Received(received.arrival, batch))
    return parts


def _events(name: str, received: Received) -> Sequence[ConversionEvent | DecisionEvent]:
    events: Sequence[ConversionEvent | DecisionEvent] = getattr(received.batch, name)
    return events
