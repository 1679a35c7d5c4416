"""Noun: something that happened to a visitor, a decision or a conversion, and who reported it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

AttributeValue = str | bool | int | float

ACTIVATION_KEY = "campaign_activated"
LATEST_MS = 253_402_300_799_999  # the end of the year 9999, where readers' calendars end


class VisitorAttribute(Struct, frozen=True):
    """An attribute as it travels with an event; ``entity_id`` is ``None`` for metadata rows."""

    entity_id: str | None
    key: str
    value: AttributeValue


class Sender(Struct, frozen=True):
    """The envelope of the events of one batch: whose project, which datafile, which client."""

    account_id: str
    project_id: str | None
    revision: str | None
    client_name: str | None
    client_version: str | None
    anonymize_ip: bool = True


class Arrival(Struct, frozen=True):
    """When (``at_ms``, milliseconds since the epoch) and from where a batch reached us."""

    at_ms: int
    user_ip: str | None = None
    user_agent: str | None = None
    referer: str | None = None


class DecisionEvent(Struct, frozen=True):
    """A visitor was given a variation at ``at_ms`` (milliseconds since the epoch, UTC)."""

    uuid: str
    at_ms: int
    visitor_id: str
    entity_id: str
    campaign_id: str
    experiment_id: str
    variation_id: str | None
    attributes: tuple[VisitorAttribute, ...] = ()
    flag_key: str | None = None
    rule_key: str | None = None
    rule_type: str | None = None
    variation_key: str | None = None
    enabled: bool | None = None
    cmab_uuid: str | None = None
    is_holdback: bool = False
    session_id: str | None = None


class ConversionEvent(Struct, frozen=True):
    """A visitor did something that counts; ``revenue`` is in cents, tags are as they were given."""

    uuid: str
    at_ms: int
    visitor_id: str
    entity_id: str
    key: str
    attributes: tuple[VisitorAttribute, ...] = ()
    revenue: int | None = None
    value: float | None = None
    quantity: int | None = None
    tags: Mapping[str, object] | None = None
    properties: Mapping[str, object] | None = None
    event_type: str | None = None
    session_id: str | None = None


Event = DecisionEvent | ConversionEvent


class DeadLetter(Struct, frozen=True):
    """An item that could not be kept: where it stood in the body, why, and its JSON text."""

    path: str
    reason: str
    body: str


class Batch(Struct, frozen=True):
    """One Event API body, read: the events that are kept and the items that are not."""

    sender: Sender
    decisions: tuple[DecisionEvent, ...]
    conversions: tuple[ConversionEvent, ...]
    dead_letters: tuple[DeadLetter, ...] = ()


class Received(Struct, frozen=True):
    """A batch together with its arrival: what the log holds and the lake keeps."""

    arrival: Arrival
    batch: Batch
