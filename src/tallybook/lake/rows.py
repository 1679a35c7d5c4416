"""Batches → Arrow tables, column by column.

Every column is one comprehension over the events: a row object a event would cost several times as
much, and draining the log must keep up with taking it in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tallybook.lake.columns import (
    CONVERSIONS,
    COPIES,
    DEAD_LETTERS,
    DECISIONS,
    PARTITION,
    SCHEMAS,
    promoted_column,
)
from tallybook.model.event import (
    AttributeValue,
    ConversionEvent,
    DecisionEvent,
    Event,
    Received,
    VisitorAttribute,
)
from tallybook.model.time import DAY_MS

_INT64: Final = 2**63

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def json_text(value: object) -> str:
    """Return compact JSON with sorted keys; numbers that JSON has no word for become null.

    Example:
        >>> json_text({"b": True, "a": "x"})
        '{"a":"x","b":true}'
    """
    return _encode(value).decode()


def canonical(value: AttributeValue) -> AttributeValue:
    """Return the value, whole floats as integers, so that 3 and 3.0 are one value.

    Example:
        >>> canonical(3.0), canonical(3.5), canonical(True), canonical("3.0")
        (3, 3.5, True, '3.0')
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < _INT64:
        return int(value)
    return value


@dataclass(frozen=True, slots=True)
class _Attributes:
    """The attributes of one event as the lake holds them."""

    text: str
    ids: str
    promoted: tuple[str | None, ...]


_NO_ATTRIBUTES: Final = "{}"

Rows = Sequence[tuple[Event, Received]]


def decision_rows(received: Iterable[Received], promoted: Sequence[str] = ()) -> pa.Table:
    """Return the decisions as a table of the lake, with a column for each promoted attribute."""
    rows = [(event, batch) for batch in received for event in batch.batch.decisions]
    events: list[DecisionEvent] = [event for event, _ in rows]
    columns: dict[str, list[object]] = {
        "campaign_id": [e.campaign_id for e in events],
        "experiment_id": [e.experiment_id for e in events],
        "variation_id": [e.variation_id for e in events],
        "is_holdback": [e.is_holdback for e in events],
        "flag_key": [e.flag_key for e in events],
        "rule_key": [e.rule_key for e in events],
        "rule_type": [e.rule_type for e in events],
        "variation_key": [e.variation_key for e in events],
        "enabled": [e.enabled for e in events],
        "cmab_uuid": [e.cmab_uuid for e in events],
    }
    return _table(DECISIONS, columns | _shared(rows), _carried(events, promoted))


def conversion_rows(received: Iterable[Received], promoted: Sequence[str] = ()) -> pa.Table:
    """Return the conversions as a table of the lake, with a column for each promoted attribute."""
    rows = [(event, batch) for batch in received for event in batch.batch.conversions]
    events: list[ConversionEvent] = [event for event, _ in rows]
    columns: dict[str, list[object]] = {
        "event_key": [e.key for e in events],
        "event_type": [e.event_type for e in events],
        "revenue": [e.revenue for e in events],
        "value": [e.value for e in events],
        "quantity": [e.quantity for e in events],
        "tags": [None if e.tags is None else json_text(e.tags) for e in events],
        "properties": [None if e.properties is None else json_text(e.properties) for e in events],
    }
    return _table(CONVERSIONS, columns | _shared(rows), _carried(events, promoted))


def dead_letter_rows(received: Iterable[Received], _promoted: Sequence[str] = ()) -> pa.Table:
    """Return the dead letters as a table of the lake; they have no attributes to promote."""
    rows = [(letter, batch) for batch in received for letter in batch.batch.dead_letters]
    letters = [letter for letter, _ in rows]
    senders = [batch.batch.sender for _, batch in rows]
    columns: dict[str, list[object]] = {
        "arrived_at": [batch.arrival.at_ms for _, batch in rows],
        "path": [letter.path for letter in letters],
        "reason": [letter.reason for letter in letters],
        "body": [letter.body for letter in letters],
        "account_id": [s.account_id for s in senders],
        "client_name": [s.client_name for s in senders],
        "client_version": [s.client_version for s in senders],
    }
    return _table(DEAD_LETTERS, columns, {}, dated_by="arrived_at")


ROWS: Final[Mapping[str, Callable[[Iterable[Received], Sequence[str]], pa.Table]]] = {
    DECISIONS: decision_rows,
    CONVERSIONS: conversion_rows,
    DEAD_LETTERS: dead_letter_rows,
}


def _shared(rows: Rows) -> dict[str, list[object]]:
    """Columns that decisions and conversions have in common, attributes apart."""
    events = [event for event, _ in rows]
    arrivals = [batch.arrival for _, batch in rows]
    senders = [batch.batch.sender for _, batch in rows]
    return {
        "uuid": [e.uuid for e in events],
        "occurred_at": [e.at_ms for e in events],
        "arrived_at": [a.at_ms for a in arrivals],
        "visitor_id": [e.visitor_id for e in events],
        "session_id": [e.session_id for e in events],
        "account_id": [s.account_id for s in senders],
        "project_id": [s.project_id for s in senders],
        "entity_id": [e.entity_id for e in events],
        "user_ip": [a.user_ip for a in arrivals],
        "user_agent": [a.user_agent for a in arrivals],
        "referer": [a.referer for a in arrivals],
        "revision": [s.revision for s in senders],
        "client_name": [s.client_name for s in senders],
        "client_version": [s.client_version for s in senders],
    }


def _carried(events: Sequence[Event], promoted: Sequence[str]) -> dict[str, list[object]]:
    """Columns of attributes; events of one visitor share the tuple, so each is written out once."""
    known: dict[int, _Attributes] = {}
    carried = []
    for event in events:
        found = known.get(id(event.attributes))
        if found is None:
            found = known[id(event.attributes)] = _attributes(event.attributes, promoted)
        carried.append(found)
    columns: dict[str, list[object]] = {
        "attributes": [c.text for c in carried],
        "attribute_ids": [c.ids for c in carried],
    }
    for place, key in enumerate(promoted):
        columns[promoted_column(key)] = [c.promoted[place] for c in carried]
    return columns


def _attributes(attributes: tuple[VisitorAttribute, ...], promoted: Sequence[str]) -> _Attributes:
    if not attributes:
        return _Attributes(_NO_ATTRIBUTES, _NO_ATTRIBUTES, (None,) * len(promoted))
    values = {a.key: canonical(a.value) for a in attributes}
    ids = {a.key: a.entity_id for a in attributes if a.entity_id is not None}
    return _Attributes(
        text=json_text(values),
        ids=json_text(ids),
        promoted=tuple([json_text(values[k]) if k in values else None for k in promoted]),
    )


def _table(
    name: str,
    columns: Mapping[str, list[object]],
    carried: Mapping[str, list[object]],
    *,
    dated_by: str = "occurred_at",
) -> pa.Table:
    columns = {**columns, **carried}
    days = pc.divide(pa.array(columns[dated_by], pa.int64()), DAY_MS)
    schema = SCHEMAS[name]
    given = {
        PARTITION: days.cast(pa.int32()).cast(pa.date32()),
        COPIES: pa.nulls(len(days), pa.int64()),  # what arrives stands for itself alone
    }
    arrays = {
        field.name: given[field.name]
        if field.name in given
        else pa.array(columns[field.name], field.type)
        for field in schema
    }
    extra = {n: pa.array(columns[n], pa.string()) for n in columns if n not in schema.names}
    return pa.table({**arrays, **extra})
