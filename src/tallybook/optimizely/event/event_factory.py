"""From user events to the request that carries them."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from msgspec import json

from tallybook.client.addresses import Addresses
from tallybook.deliver.courier import HEADERS
from tallybook.deliver.journal import Envelope
from tallybook.model.event import ACTIVATION_KEY, Sender
from tallybook.optimizely._logging import adapted
from tallybook.optimizely.event.log_event import LogEvent
from tallybook.optimizely.event.user_event import (
    ConversionEvent,
    EventContext,
    ImpressionEvent,
    UserEvent,
)
from tallybook.optimizely.logger import BaseLogger
from tallybook.wire.batch_writer import BATCH_CLOSING, write_opening
from tallybook.wire.event_api import (
    AttributeItem,
    DecisionItem,
    EventItem,
    MetadataItem,
    SnapshotItem,
    VisitorItem,
)
from tallybook.wire.event_tags import Flaw, Remark, Remarks, write_tags

FLAWED: Final = "%r is left out of an event, or does not count: %s"

_KNOWN_CONTEXTS: Final = 256  # projects and revisions whose envelope is written once
_ADDRESSES: Final = Addresses()


class Written(NamedTuple):
    """An event as bytes, the envelope it travels in, and what it goes without."""

    envelope: Envelope
    item: bytes
    remarks: Remarks


class EventFactory:
    """Makes requests of events."""

    EVENT_ENDPOINTS: Final = {region: _ADDRESSES.for_events(region) for region in ("US", "EU")}
    HTTP_VERB: Final = "POST"
    HTTP_HEADERS: Final = dict(HEADERS)
    ACTIVATE_EVENT_KEY: Final = ACTIVATION_KEY

    @classmethod
    def create_log_event(
        cls,
        user_events: Sequence[UserEvent | None] | UserEvent | None,
        logger: logging.Logger | BaseLogger,
    ) -> LogEvent | None:
        """The request that carries one event or several.

        The first one says whose events they are. One that cannot be written is logged and left out.

        Returns:
            The request; ``None`` if there is nothing to send.
        """
        log = adapted(logger)
        events = user_events if isinstance(user_events, list | tuple) else [user_events]
        written = [found for event in events if (found := write(event, log)) is not None]
        if not written:
            return None
        for remark in itertools.chain.from_iterable(each.remarks for each in written):
            log.warning(FLAWED, remark.key, remark.flaw.value)
        envelope = written[0].envelope
        body = envelope.opening + b",".join(each.item for each in written) + envelope.closing
        return request(envelope.url, body)


def request(url: str, body: bytes) -> LogEvent:
    """A request as dispatchers and listeners are given it."""
    return LogEvent(url, json.decode(body), "POST", dict(HEADERS))


def write(event: object, log: logging.Logger) -> Written | None:
    """An event as bytes; ``None``, and a line in the log, if that cannot be."""
    try:
        remarks: list[Remark] = []
        snapshot = _snapshot(event, remarks)
        if snapshot is None or not isinstance(event, UserEvent):
            log.error("An event is not sent: it is neither an impression nor a conversion.")
            return None
        attributes = list(_attributes(event.visitor_attributes, remarks))
        visitor = VisitorItem(snapshots=[snapshot], attributes=attributes, visitor_id=event.user_id)
        return Written(_envelope(event.event_context), json.encode(visitor), tuple(remarks))
    except Exception as error:  # noqa: BLE001 - an event is made by somebody else's code
        log.error("An event is not sent: it cannot be written: %s", type(error).__name__)  # noqa: TRY400 - one line
        return None


def _snapshot(event: object, remarks: list[Remark]) -> SnapshotItem | None:
    if isinstance(event, ImpressionEvent):
        decision = _decision(event)
        item = EventItem(
            entity_id=decision.campaign_id,
            uuid=event.uuid,
            key=ACTIVATION_KEY,
            timestamp=event.timestamp,
        )
        return SnapshotItem(events=[item], decisions=[decision])
    if isinstance(event, ConversionEvent) and event.event is not None:
        item = EventItem(
            entity_id=event.event.id,
            uuid=event.uuid,
            key=event.event.key,
            timestamp=event.timestamp,
            **_tags(event.event_tags, remarks),
        )
        return SnapshotItem(events=[item])
    return None


def _tags(tags: dict[str, Any] | None, remarks: list[Remark]) -> dict[str, Any]:
    """``revenue``, ``value`` and ``tags``, without what cannot be sent."""
    if tags is None:
        return {}
    members, flawed = write_tags(tags)
    remarks += flawed
    found: dict[str, Any] = json.decode(b"{%b}" % members[1:])
    return found


def _decision(event: ImpressionEvent) -> DecisionItem:
    experiment_id = _text(event.experiment, "id")
    variation_id = _text(event.variation, "id")
    return DecisionItem(
        campaign_id=_text(event.experiment, "layerId") or experiment_id,
        experiment_id=experiment_id,
        variation_id=variation_id if variation_id.isascii() and variation_id.isdigit() else None,
        metadata=MetadataItem(
            flag_key=event.flag_key,
            rule_key=event.rule_key,
            rule_type=event.rule_type,
            variation_key=_text(event.variation, "key"),
            enabled=event.enabled,
            cmab_uuid=event.cmab_uuid or None,
        ),
    )


def _text(entity: object, name: str) -> str:
    """What an entity or a mapping has there, if it is text."""
    value = entity.get(name) if isinstance(entity, dict) else getattr(entity, name, None)
    return value if isinstance(value, str) else ""


def _attributes(rows: Iterable[Any], remarks: list[Remark]) -> Iterable[AttributeItem]:
    for row in rows:
        item = AttributeItem(entity_id=row.entity_id, key=row.key, type=row.type, value=row.value)
        if _is_sendable(item):
            yield item
        else:
            remarks.append(Remark(Flaw.NOT_JSON, str(row.key)))


def _is_sendable(item: AttributeItem) -> bool:
    value = item.value
    try:
        is_finite = math.isfinite(value) if isinstance(value, int | float) else True
        json.encode(item)
    except (TypeError, ValueError, OverflowError):  # a lone surrogate is among them
        return False
    return is_finite and isinstance(value, str | int | float)


def _envelope(context: EventContext) -> Envelope:
    sender = Sender(
        account_id=context.account_id,
        project_id=context.project_id,
        revision=context.revision,
        client_name=context.client_name,
        client_version=context.client_version,
        anonymize_ip=context.anonymize_ip,
    )
    return _envelope_of(sender, context.event_url or _ADDRESSES.for_events(context.region))


@lru_cache(_KNOWN_CONTEXTS)
def _envelope_of(sender: Sender, url: str) -> Envelope:
    return Envelope(url, write_opening(sender), BATCH_CLOSING)
