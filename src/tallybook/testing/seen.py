"""What a test sees of the events that were sent."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from tallybook.model.event import AttributeValue, ConversionEvent, DecisionEvent


class TrackedEvent(Struct, frozen=True):
    """A conversion as it reached the server; ``revenue`` is in cents, ``at_ms`` since the epoch."""

    event_key: str
    user_id: str
    attributes: Mapping[str, AttributeValue]
    tags: Mapping[str, object]
    revenue: int | None
    value: float | None
    at_ms: int
    uuid: str


class SentDecision(Struct, frozen=True):
    """A decision event as it reached the server."""

    flag_key: str | None
    user_id: str
    variation_key: str | None
    rule_key: str | None
    enabled: bool | None
    attributes: Mapping[str, AttributeValue]
    at_ms: int
    uuid: str


def tracked_event(event: ConversionEvent) -> TrackedEvent:
    """A conversion, for people."""
    return TrackedEvent(
        event_key=event.key,
        user_id=event.visitor_id,
        attributes=_attributes(event),
        tags=dict(event.tags or {}),
        revenue=event.revenue,
        value=event.value,
        at_ms=event.at_ms,
        uuid=event.uuid,
    )


def sent_decision(event: DecisionEvent) -> SentDecision:
    """A decision event, for people."""
    return SentDecision(
        flag_key=event.flag_key,
        user_id=event.visitor_id,
        variation_key=event.variation_key,
        rule_key=event.rule_key,
        enabled=event.enabled,
        attributes=_attributes(event),
        at_ms=event.at_ms,
        uuid=event.uuid,
    )


def _attributes(event: ConversionEvent | DecisionEvent) -> dict[str, AttributeValue]:
    # Rows without an entity id are the SDK's own notes, such as the bot filter's.
    return {a.key: a.value for a in event.attributes if a.entity_id is not None}
