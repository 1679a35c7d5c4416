"""The Event API's JSON as typed shapes, one definition for the sending and the receiving end.

Field order is wire order. Optional fields have a default and are left out again when written.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw, Struct

from tallybook.model.event import LATEST_MS

# From 1970 to 9999: what lies outside is another unit (nanoseconds) or a broken clock.
TimestampMs = Annotated[int, Meta(ge=0, le=LATEST_MS)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Identifier = Annotated[str, Meta(min_length=1)]

NOTHING = Raw(b"null")  # what an absent optional part reads as where it is not decoded yet


class EventItem(Struct, kw_only=True, omit_defaults=True):
    """``visitors[].snapshots[].events[]``: an activation or a conversion."""

    entity_id: str | None
    uuid: Identifier
    key: str | None = None
    timestamp: TimestampMs
    revenue: Int64 | None = None
    value: float | None = None
    tags: dict[str, Any] | None = None
    quantity: Int64 | None = None
    properties: dict[str, Any] | None = None
    type: str | None = None


class MetadataItem(Struct, kw_only=True, omit_defaults=True):
    """``decisions[].metadata``: which flag and rule decided."""

    flag_key: str | None = None
    rule_key: str | None = None
    rule_type: str | None = None
    variation_key: str | None = None
    enabled: bool | None = None
    cmab_uuid: str | None = None


class DecisionItem(Struct, kw_only=True, omit_defaults=True):
    """``visitors[].snapshots[].decisions[]``: the variation a visitor was given."""

    campaign_id: str | None
    experiment_id: str | None
    variation_id: str | None
    metadata: MetadataItem | None = None
    is_campaign_holdback: bool | None = False


class AttributeItem(Struct, kw_only=True, omit_defaults=True):
    """``visitors[].attributes[]``; rows of type ``custom`` carry ``entity_id`` and ``key``."""

    entity_id: str | None = None
    key: str | None = None
    type: str
    value: str | bool | int | float | None = None


class SnapshotItem(Struct, kw_only=True, omit_defaults=True):
    """``visitors[].snapshots[]``: what happened in one moment."""

    events: list[EventItem]
    decisions: list[DecisionItem] | None = None


class VisitorItem(Struct, kw_only=True, omit_defaults=True):
    """``visitors[]``: one visitor's snapshots."""

    snapshots: list[SnapshotItem]
    attributes: list[AttributeItem] | None = None
    visitor_id: str  # the SDKs allow an empty one
    session_id: str | None = None


class Envelope(Struct, kw_only=True):
    """The body without its ``visitors``: whose project, which datafile, which client."""

    account_id: Identifier
    project_id: str | None = None
    revision: str | None = None
    client_name: str | None = None
    client_version: str | None = None
    anonymize_ip: bool | None = True
    enrich_decisions: bool | None = False


class BatchItem(Envelope, kw_only=True):
    """The body; ``visitors`` stay undecoded so that one bad visitor costs no other."""

    visitors: list[Raw]


class WholeBatchItem(Envelope, kw_only=True):
    """The body when all of it is as it should be, decoded at once."""

    visitors: list[VisitorItem]


class LooseSnapshotItem(Struct, kw_only=True):
    """A snapshot one level deep: its items are still to be looked at one by one."""

    decisions: Raw = NOTHING
    events: list[Raw]


class LooseVisitorItem(Struct, kw_only=True):
    """A visitor one level deep, for when something inside is not as it should be."""

    snapshots: list[Raw]
    attributes: Raw = NOTHING
    visitor_id: str  # the SDKs allow an empty one
    session_id: Raw = NOTHING
