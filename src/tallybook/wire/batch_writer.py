"""Verb: events as the Event API's bytes, one visitor object an event, in the API's own order.

An event is written once, where it happens. What stays the same between two events is written
before: what frames an event (:class:`EventFrame`), a visitor's attributes and id (the *author*),
and the batch's opening. So an event is a join of a few pieces and a batch a join of events, and
nothing one event holds can spoil another. The shapes are those of :mod:`tallybook.wire.event_api`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import json

from tallybook.model.decision import DecisionSource, Verdict
from tallybook.model.event import ACTIVATION_KEY, Sender
from tallybook.model.project import EventType, Experiment
from tallybook.wire.event_api import BatchItem, DecisionItem, MetadataItem

BATCH_CLOSING: Final = b"]}"

_encode: Final = json.Encoder().encode


class EventFrame(NamedTuple):
    """The constant pieces of an event: before its uuid, before its timestamp, before its author."""

    opening: bytes
    middle: bytes
    closing: bytes


def write_opening(sender: Sender) -> bytes:
    """The batch up to its first visitor; visitors joined by commas and ``BATCH_CLOSING`` follow."""
    batch = BatchItem(
        account_id=sender.account_id,
        project_id=sender.project_id,
        revision=sender.revision,
        client_name=sender.client_name,
        client_version=sender.client_version,
        anonymize_ip=sender.anonymize_ip,
        enrich_decisions=True,
        visitors=[],
    )
    return _encode(batch)[: -len(BATCH_CLOSING)]


def conversion_frame(event: EventType) -> EventFrame:
    """The constant pieces of every conversion of ``event``."""
    return _frame(event.id, event.key, b"}]}],")


def impression_frame(decision: DecisionItem) -> EventFrame:
    """The constant pieces of every impression of ``decision``."""
    closing = b'}],"decisions":[%b]}],' % _encode(decision)
    return _frame(decision.campaign_id or "", ACTIVATION_KEY, closing)


def _frame(entity_id: str, key: str, closing: bytes) -> EventFrame:
    opening = b'{"snapshots":[{"events":[{"entity_id":%b,"uuid":"' % _encode(entity_id)
    middle = b'","key":%b,"timestamp":' % _encode(key)
    return EventFrame(opening, middle, closing)


def write_event(frame: EventFrame, uuid: bytes, at_ms: int, tags: bytes, author: bytes) -> bytes:
    """One event as a visitor object.

    Args:
        frame: From :func:`conversion_frame` or :func:`impression_frame`.
        uuid: The event's identity, as text.
        at_ms: When it happened, milliseconds since the epoch.
        tags: From :func:`~tallybook.wire.event_tags.write_tags`, or empty.
        author: The visitor, from :class:`~tallybook.wire.author.AuthorWriter`.
    """
    opening, middle, closing = frame
    return b"".join((opening, uuid, middle, b"%d" % at_ms, tags, closing, author))


def decision_item(flag_key: str, verdict: Verdict, *, enabled: bool) -> DecisionItem:
    """What an impression says was decided; ids are empty where no rule decided.

    A variation id that is not all ASCII digits travels as null, and a rule without a layer is its
    own campaign.
    """
    rule, variation = verdict.rule, verdict.variation
    variation_id = variation.id if variation else ""
    return DecisionItem(
        campaign_id=_campaign_id(rule),
        experiment_id=rule.id if rule else "",
        variation_id=variation_id if variation_id.isascii() and variation_id.isdigit() else None,
        metadata=MetadataItem(
            flag_key=flag_key,
            rule_key=rule.key if rule else "",
            rule_type=DecisionSource(verdict.source).value,
            variation_key=variation.key if variation else "",
            enabled=enabled,
            cmab_uuid=verdict.cmab_uuid or None,
        ),
    )


def _campaign_id(rule: Experiment | None) -> str:
    if rule is None:
        return ""
    return rule.layer_id or rule.id
