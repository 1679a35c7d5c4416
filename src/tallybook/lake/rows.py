"""Batches → Arrow tables, column by column.

Draining the log must keep up with taking it in, so there is no work in Python for each value: the
events' fields are turned into columns at once, and what a batch's events share is looked up once a
batch. Text that is JSON stays the bytes it is encoded to; it is UTF-8 either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import astuple

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
_EVENTS_AT_ONCE: Final = 500  # fewer, and each column's own cost shows

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def canonical(value: AttributeValue) -> AttributeValue:
    """Return the value, whole floats as integers, so that 3 and 3.0 are one value.

    Example:
        >>> canonical(3.0), canonical(3.5), canonical(True), canonical("3.0")
        (3, 3.5, True, '3.0')
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < _INT64:
        return int(value)
    return value


_NO_ATTRIBUTES: Final = b"{}"

Columns = Mapping[str, Sequence[object]]


def decision_rows(received: Iterable[Received], promoted: Sequence[str] = ()) -> pa.Table:
    """Return the decisions as a table of the lake, with a column for each promoted attribute."""
    batches = tuple(received)
    events = [event for b in batches for event in b.batch.decisions]
    columns = _fields(DecisionEvent, events) | _origins(
        batches, [len(b.batch.decisions) for b in batches]
    )
    return _table(DECISIONS, columns, _carried(events, promoted))


def conversion_rows(received: Iterable[Received], promoted: Sequence[str] = ()) -> pa.Table:
    """Return the conversions as a table of the lake, with a column for each promoted attribute."""
    batches = tuple(received)
    events = [event for b in batches for event in b.batch.conversions]
    columns = _fields(ConversionEvent, events) | _origins(
        batches, [len(b.batch.conversions) for b in batches]
    )
    columns["event_key"] = columns.pop("key")
    for name in ("tags", "properties"):
        columns[name] = [None if value is None else _encode(value) for value in columns[name]]
    return _table(CONVERSIONS, columns, _carried(events, promoted))


def dead_letter_rows(received: Iterable[Received], _promoted: Sequence[str] = ()) -> pa.Table:
    """Return the dead letters as a table of the lake; they have no attributes to promote."""
    rows = [(letter, batch) for batch in received for letter in batch.batch.dead_letters]
    letters = [letter for letter, _ in rows]
    senders = [batch.batch.sender for _, batch in rows]
    columns: dict[str, Sequence[object]] = {
        "arrived_at": [batch.arrival.at_ms for _, batch in rows],
        "path": [letter.path for letter in letters],
        "reason": [letter.reason for letter in letters],
        "body": [letter.body for letter in letters],
        "account_id": [s.account_id for s in senders],
        "client_name": [s.client_name for s in senders],
        "client_version": [s.client_version for s in senders],
    }
    return _table(DEAD_LETTERS, columns, {}, dated_by="arrived_at")


_ROWS: Final[Mapping[str, Callable[[Sequence[Received], Sequence[str]], pa.Table]]] = {
    DECISIONS: decision_rows,
    CONVERSIONS: conversion_rows,
    DEAD_LETTERS: dead_letter_rows,
}


def rows_by_table(received: Iterable[Received], promoted: Sequence[str]) -> dict[str, pa.Table]:
    """Return what each table is to be given, with a column for every attribute that can have one.

    Batches are taken a few at a time, so that an iterator's are not all in memory at once, and
    what was just decoded is turned into columns while the processor still has it at hand.
    """
    parts: dict[str, list[pa.Table]] = {name: [make([], promoted)] for name, make in _ROWS.items()}
    for batches in _by_events(received, _EVENTS_AT_ONCE):
        for name, make in _ROWS.items():
            if any(getattr(b.batch, name) for b in batches):
                parts[name].append(make(batches, promoted))
    return {name: pa.concat_tables(tables).combine_chunks() for name, tables in parts.items()}


def _by_events(received: Iterable[Received], count: int) -> Iterator[Sequence[Received]]:
    """The batches in order, grouped so that each group has at least ``count`` events if it can."""
    group: list[Received] = []
    events = 0
    for batch in received:
        group.append(batch)
        events += len(batch.batch.decisions) + len(batch.batch.conversions)
        if events >= count or len(group) >= count:
            yield group
            group, events = [], 0
    if group:
        yield group


def _fields(
    kind: type[DecisionEvent | ConversionEvent], events: Iterable[Event]
) -> dict[str, Sequence[object]]:
    """The events' own columns; ``occurred_at`` is what they call ``at_ms``."""
    names = ["occurred_at" if name == "at_ms" else name for name in kind.__struct_fields__]
    rows = [astuple(event) for event in events]
    return dict(zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True))


def _origins(batches: Sequence[Received], counts: Sequence[int]) -> dict[str, Sequence[object]]:
    """Columns that a batch's events share, each batch's value as often as it has events."""
    arrivals = [b.arrival for b in batches]
    senders = [b.batch.sender for b in batches]
    places = pa.array(np.repeat(np.arange(len(batches)), counts))
    texts = {
        "account_id": [s.account_id for s in senders],
        "project_id": [s.project_id for s in senders],
        "user_ip": [a.user_ip for a in arrivals],
        "user_agent": [a.user_agent for a in arrivals],
        "referer": [a.referer for a in arrivals],
        "revision": [s.revision for s in senders],
        "client_name": [s.client_name for s in senders],
        "client_version": [s.client_version for s in senders],
    }
    arrays = {name: pa.array(values, pa.string()) for name, values in texts.items()}
    arrays["arrived_at"] = pa.array([a.at_ms for a in arrivals], pa.int64())
    return {name: array.take(places) for name, array in arrays.items()}


def _carried(events: Iterable[Event], promoted: Sequence[str]) -> dict[str, Sequence[object]]:
    """Columns of attributes; events of one visitor share the tuple, so each is written out once."""
    known: dict[int, tuple[bytes | None, ...]] = {}
    carried = []
    for event in events:
        attributes = event.attributes
        found = known.get(id(attributes))
        if found is None:
            found = known[id(attributes)] = _attributes(attributes, promoted)
        carried.append(found)
    names = ["attributes", "attribute_ids", *map(promoted_column, promoted)]
    return dict(
        zip(names, zip(*carried, strict=True) if carried else [()] * len(names), strict=True)
    )


def _attributes(
    attributes: tuple[VisitorAttribute, ...], promoted: Sequence[str]
) -> tuple[bytes | None, ...]:
    """The attributes' values, their ids, and each promoted value, as JSON."""
    if not attributes:
        return (_NO_ATTRIBUTES, _NO_ATTRIBUTES, *[None] * len(promoted))
    values, ids = {}, {}
    for entity_id, key, value in map(astuple, attributes):
        values[key] = canonical(value) if value.__class__ is float else value
        if entity_id is not None:
            ids[key] = entity_id
    texts = [_encode(values[key]) if key in values else None for key in promoted]
    return (_encode(values), _encode(ids), *texts)


def _table(
    name: str,
    columns: Columns,
    carried: Columns,
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
