"""Rows of the reference: what arrived, whose it is, and which of several copies stays."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tallybook.model.event import Arrival, ConversionEvent, DecisionEvent, Sender
from tallybook.model.moments import SegmentValue

Person = tuple[str, str]  # (account id, visitor id)


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as it arrived."""

    event: DecisionEvent
    sender: Sender
    arrival: Arrival


@dataclass(frozen=True, slots=True)
class Converted:
    """A conversion as it arrived."""

    event: ConversionEvent
    sender: Sender
    arrival: Arrival


Row = TypeVar("Row", Decided, Converted)


def person(row: Decided | Converted) -> Person:
    """Whose row it is: visitor ids mean something within an account."""
    return row.sender.account_id, row.event.visitor_id


def once(rows: Iterable[Row]) -> Sequence[Row]:
    """Keep one row of every identity: the earliest to arrive, then the smallest."""
    kept: dict[tuple[object, ...], Row] = {}
    for row in sorted(rows, key=_precedence):
        kept.setdefault(identity(row), row)
    return list(kept.values())


def identity(row: Decided | Converted) -> tuple[object, ...]:
    """What makes an event the same event, however often it is sent."""
    return row.sender.account_id, row.event.entity_id, row.event.uuid, row.event.at_ms


def _precedence(row: Decided | Converted) -> tuple[object, ...]:
    event, attributes = row.event, _json({a.key: canonical(a.value) for a in row.event.attributes})
    own: tuple[object, ...]
    if isinstance(event, DecisionEvent):
        own = (event.is_holdback, _absent_first(event.variation_id))
        return (
            row.arrival.at_ms,
            event.visitor_id,
            *own,
            _absent_first(row.sender.revision),
            attributes,
        )
    tags = None if event.tags is None else _json(event.tags)
    own = (event.key, *map(_absent_first, (event.revenue, event.value, tags)))
    return (row.arrival.at_ms, event.visitor_id, *own, attributes)


def _absent_first(value: object) -> tuple[bool, object]:
    return value is not None, "" if value is None else value


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def canonical(value: SegmentValue) -> SegmentValue:
    """A whole number as an integer: 3 and 3.0 are one value."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def copies_by_person(rows: Sequence[Decided] | Sequence[Converted]) -> Counter[Person]:
    """How many copies of their own events each person has, beyond the first of each."""
    identities = {(person(row), identity(row)) for row in rows}
    return Counter(map(person, rows)) - Counter(somebody for somebody, _ in identities)
