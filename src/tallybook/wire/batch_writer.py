"""Verb: events as the Event API's bytes, one visitor object an event, in the API's own order.

An event is written once, where it happens. What stays the same between two events is written
before: an event type's opening (:class:`EventHead`), a visitor's attributes and id (the *author*),
and the batch's opening. So an event is a join of a few pieces and a batch a join of events, and
nothing one event holds can spoil another. The shapes are those of :mod:`tallybook.wire.event_api`.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, Final, NamedTuple

from msgspec import json

from tallybook.model.decision import DecisionSource, Verdict
from tallybook.model.event import ACTIVATION_KEY, Sender
from tallybook.model.project import EventType, Experiment, Project
from tallybook.wire.event_api import AttributeItem, BatchItem, DecisionItem, MetadataItem
from tallybook.wire.event_tags import Flaw, Remark, Remarks

BATCH_CLOSING: Final = b"]}"
BOT_FILTERING: Final = "$opt_bot_filtering"
RESERVED_PREFIX: Final = "$opt_"
MAX_NUMBER: Final = 2**53  # attributes beyond it are left out, in either sign

_encode: Final = json.Encoder().encode


class EventHead(NamedTuple):
    """What precedes an event's uuid, and what stands between it and the timestamp."""

    opening: bytes
    middle: bytes


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


def write_head(event: EventType) -> EventHead:
    """The constant pieces of every conversion of ``event``."""
    return _head(event.id, event.key)


def _head(entity_id: str, key: str) -> EventHead:
    return EventHead(
        opening=b'{"snapshots":[{"events":[{"entity_id":%b,"uuid":"' % _encode(entity_id),
        middle=b'","key":%b,"timestamp":' % _encode(key),
    )


def write_conversion(head: EventHead, uuid: bytes, at_ms: int, tags: bytes, author: bytes) -> bytes:
    """One conversion as a visitor object.

    Args:
        head: The event type's pieces, from :func:`write_head`.
        uuid: The event's identity, as text.
        at_ms: When it happened, milliseconds since the epoch.
        tags: From :func:`~tallybook.wire.event_tags.write_tags`, or empty.
        author: The visitor, from :func:`write_author`.
    """
    opening, middle = head
    return b"".join((opening, uuid, middle, b"%d" % at_ms, tags, b"}]}],", author))


def write_impression(decision: DecisionItem, uuid: bytes, at_ms: int, author: bytes) -> bytes:
    """One decision as a visitor object; the arguments are those of :func:`write_conversion`."""
    head = _head(decision.campaign_id or "", ACTIVATION_KEY)
    return b'%b%b%b%d}],"decisions":[%b]}],%b' % (
        head.opening,
        uuid,
        head.middle,
        at_ms,
        _encode(decision),
        author,
    )


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
        ),
    )


def _campaign_id(rule: Experiment | None) -> str:
    if rule is None:
        return ""
    return rule.layer_id or rule.id


def write_author(
    project: Project, user_id: str, attributes: Mapping[Any, object]
) -> tuple[bytes, Remarks]:
    """A visitor's attributes and id, closing the visitor object, and what was left out.

    Values that are no text, boolean or finite number within ±2^53 are left out without a remark, as
    the Event API's own clients do; keys unknown to the project with one.

    Raises:
        UnicodeEncodeError: ``user_id`` holds a lone surrogate, which no JSON text can carry.
    """
    rows: list[AttributeItem] = []
    remarks: list[Remark] = []
    for name, value in attributes.items():
        plain = _attribute_value(value)
        if plain is None or not isinstance(name, str):
            continue
        key = str.__str__(name)
        entity_id = _entity_id(project, key, remarks)
        if entity_id is None:
            continue
        if isinstance(plain, str) and not _is_text(plain):
            remarks.append(Remark(Flaw.NOT_TEXT, key))
            continue
        rows.append(AttributeItem(entity_id=entity_id, key=key, type="custom", value=plain))
    if isinstance(project.bot_filtering, bool):
        rows.append(_bot_filtering(value=project.bot_filtering))
    text = b'"attributes":%b,"visitor_id":%b}' % (_encode(rows), _encode(user_id))
    return text, tuple(remarks)


def _bot_filtering(*, value: bool) -> AttributeItem:
    return AttributeItem(entity_id=BOT_FILTERING, key=BOT_FILTERING, type="custom", value=value)


def _attribute_value(value: object) -> str | bool | int | float | None:
    """The value as one of JSON's own types, which classes derived from them are not."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return value
    if not isinstance(value, float | Integral):
        return None
    number = float.__float__(value) if isinstance(value, float) else int(value)
    return number if abs(number) <= MAX_NUMBER else None  # NaN is not within either


def _entity_id(project: Project, key: str, remarks: list[Remark]) -> str | None:
    attribute = project.attribute_by_key.get(key)
    is_reserved = key.startswith(RESERVED_PREFIX)
    if attribute is not None:
        if is_reserved:
            remarks.append(Remark(Flaw.ATTRIBUTE_RESERVED, key))
        return attribute.id
    if is_reserved and _is_text(key):
        return key
    remarks.append(Remark(Flaw.ATTRIBUTE_UNKNOWN, key.encode("utf-8", "replace").decode()))
    return None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
