"""Verb: one decoded item of an Event API body → the value we keep, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

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
_ROW_CHARS: Final = 2_000  # what a row takes in memory even if its texts are empty
_NO_METADATA: Final = MetadataItem()


class Who(Struct, frozen=True):
    """The visitor an event belongs to; ``chars`` are written out with each event of theirs."""

    visitor_id: str
    session_id: str | None
    attributes: tuple[VisitorAttribute, ...]
    chars: int


class Campaign(Struct):
    """A snapshot's decisions of one campaign; ``chars`` are written out by each activation."""

    decisions: list[DecisionItem]
    chars: int = 0


Campaigns = Mapping[str, Campaign]
NO_CAMPAIGNS: Final[Campaigns] = {}


def who(
    visitor_id: str, session_id: str | None, attributes: tuple[VisitorAttribute, ...] = ()
) -> Who:
    """The visitor, measured."""
    chars = len(visitor_id) + len(session_id or "")
    for attribute in attributes:
        value = attribute.value
        chars += len(attribute.key) + (len(value) if isinstance(value, str) else 0)
    return Who(visitor_id, session_id, attributes, chars)


def campaigns_of(decisions: Iterable[DecisionItem]) -> Campaigns:
    """A snapshot's decisions by the campaign that activates them."""
    campaigns: dict[str, Campaign] = {}
    for decision in decisions:
        campaign_id = decision.campaign_id or ""
        campaign = campaigns.get(campaign_id)
        if campaign is None:
            campaign = campaigns[campaign_id] = Campaign([])
        campaign.decisions.append(decision)
        campaign.chars += _ROW_CHARS + _chars(decision)
    return campaigns


def _chars(decision: DecisionItem) -> int:
    about = decision.metadata or _NO_METADATA
    return (
        len(decision.campaign_id or "")
        + len(decision.experiment_id or "")
        + len(decision.variation_id or "")
        + len(about.flag_key or "")
        + len(about.rule_key or "")
        + len(about.rule_type or "")
        + len(about.variation_key or "")
        + len(about.cmab_uuid or "")
    )


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
    value = item.value
    if value.__class__ is not str or value.startswith(TYPED_MARK):
        value = _attribute_value(value)
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


def activated_by(item: EventItem, campaigns: Campaigns) -> Campaign:
    """The decisions that an activation puts into effect: those of the campaign it names.

    Raises:
        IrregularError: No decision beside the activation belongs to its campaign.
    """
    campaign = campaigns.get(item.entity_id or "")
    if campaign is None:
        raise IrregularError(
            ".entity_id",
            "no decision of this snapshot has this campaign_id, so nothing was activated",
        )
    return campaign


def decision_of(item: EventItem, decision: DecisionItem, who: Who) -> DecisionEvent:
    """The decision as an activation put it into effect.

    Empty ids and a null variation are kept: decisions outside experiments are sent so.
    """
    campaign_id = item.entity_id or ""
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
