"""Verb: one decoded item of an Event API body → the value we keep, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tallybook.model.event import (
    ACTIVATION_KEY,
    AttributeValue,
    ConversionEvent,
    DecisionEvent,
    Sender,
    VisitorAttribute,
)
from tallybook.wire.event_api import AttributeItem, DecisionItem, Envelope, EventItem, MetadataItem
from tallybook.wire.irregular import IrregularError, child

# Values that are no strings may travel as strings after this mark (Event API 1.3.0).
TYPED_MARK: Final = "\ue000"
# Tags nest two or three levels in practice; whoever reads them later recurses, so there is a bound.
MAX_NESTING: Final = 32
_INT64: Final = 2**63
_NO_METADATA: Final = MetadataItem()


@dataclass(frozen=True, slots=True)
class Who:
    """The visitor an event belongs to."""

    visitor_id: str
    session_id: str | None
    attributes: tuple[VisitorAttribute, ...]


def sender_of(envelope: Envelope) -> Sender:
    """Whose project, which datafile and which client the batch is from."""
    return Sender(
        account_id=envelope.account_id,
        project_id=envelope.project_id,
        revision=envelope.revision,
        client_name=envelope.client_name,
        client_version=envelope.client_version,
        anonymize_ip=envelope.anonymize_ip is not False,  # null is the default, which is to do it
    )


def is_activation(item: EventItem) -> bool:
    """True for an impression: the event that makes the decisions beside it count."""
    return ACTIVATION_KEY in (item.key, item.type)


def attribute_of(item: AttributeItem) -> VisitorAttribute:
    """The attribute; rows of other types than ``custom`` are known by their key, or by their type.

    Raises:
        IrregularError: ``entity_id``, ``key`` or a usable value is missing.
    """
    value = _attribute_value(item.value)
    if item.type != "custom":
        return VisitorAttribute(None, item.key or item.type, value)
    if item.entity_id is None:
        raise IrregularError(".entity_id", "required for an attribute of type custom, but missing")
    if not item.key:
        raise IrregularError(".key", "required for an attribute of type custom, but missing")
    return VisitorAttribute(item.entity_id, item.key, value)


def conversion_of(item: EventItem, who: Who) -> ConversionEvent:
    """The conversion; its key and id need not be known to anybody yet.

    Raises:
        IrregularError: Key or id is missing, or a tag cannot be kept.
    """
    if not item.key:
        raise IrregularError(".key", "required for a conversion, but missing or empty")
    if item.entity_id is None:
        raise IrregularError(".entity_id", "expected a string, found null")
    return ConversionEvent(
        item.uuid,
        item.timestamp,
        who.visitor_id,
        item.entity_id,
        item.key,
        who.attributes,
        item.revenue,
        item.value,
        item.quantity,
        None if item.tags is None else _plain(item.tags, ".tags"),
        None if item.properties is None else _plain(item.properties, ".properties"),
        item.type,
        who.session_id,
    )


def decisions_of(
    item: EventItem, decisions: Sequence[DecisionItem], who: Who
) -> list[DecisionEvent]:
    """The decisions that an activation puts into effect: those of the campaign it names.

    Empty ids and a null variation are kept: decisions outside experiments are sent so.

    Raises:
        IrregularError: No decision beside the activation belongs to its campaign.
    """
    campaign_id = item.entity_id or ""
    matching = [d for d in decisions if (d.campaign_id or "") == campaign_id]
    if not matching:
        raise IrregularError(
            ".entity_id",
            "no decision of this snapshot has this campaign_id, so nothing was activated",
        )
    return [_decision(item, campaign_id, decision, who) for decision in matching]


def _decision(item: EventItem, campaign_id: str, decision: DecisionItem, who: Who) -> DecisionEvent:
    metadata = decision.metadata or _NO_METADATA
    return DecisionEvent(
        item.uuid,
        item.timestamp,
        who.visitor_id,
        campaign_id,
        campaign_id,
        decision.experiment_id or "",
        decision.variation_id,
        who.attributes,
        metadata.flag_key,
        metadata.rule_key,
        metadata.rule_type,
        metadata.variation_key,
        metadata.enabled,
        metadata.cmab_uuid,
        bool(decision.is_campaign_holdback),
        who.session_id,
    )


def _attribute_value(value: AttributeValue | None) -> AttributeValue:
    if value is None:
        raise IrregularError(".value", "expected a string, a number, true or false, found null")
    if isinstance(value, str) and value.startswith(TYPED_MARK):
        value = _carried(value, ".value")
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise IrregularError(".value", "an integer beyond 64 bits")
    return value


def _plain(tags: dict[str, Any], where: str) -> Mapping[str, object]:
    for value in tags.values():
        kind = type(value)
        if kind is dict or kind is list or (kind is str and value.startswith(TYPED_MARK)):
            return {name: _tag(value, child(where, name)) for name, value in tags.items()}
    return tags


def _tag(value: object, where: str) -> object:
    if isinstance(value, str) and value.startswith(TYPED_MARK):
        return _carried(value, where)
    if _depth_exceeds(value, MAX_NESTING):
        raise IrregularError(where, f"nested deeper than {MAX_NESTING} levels")
    return value


def _carried(text: str, where: str) -> bool | int | float:
    try:
        return msgspec.json.decode(text[len(TYPED_MARK) :], type=bool | int | float)
    except (msgspec.DecodeError, UnicodeEncodeError):
        reason = "text after U+E000 must be a number, true or false"
        raise IrregularError(where, reason) from None


def _depth_exceeds(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    members = value.values() if isinstance(value, dict) else value
    return any(_depth_exceeds(member, levels - 1) for member in members)
