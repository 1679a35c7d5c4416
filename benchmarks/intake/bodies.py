"""The bodies that are sent: ten events each, as the SDK writes them, no two events alike."""

from __future__ import annotations

import random
from typing import Final

import msgspec

from tallybook.model.event import ACTIVATION_KEY
from tallybook.wire.event_api import (
    AttributeItem,
    BatchItem,
    DecisionItem,
    EventItem,
    MetadataItem,
    SnapshotItem,
    VisitorItem,
)

EVENTS_A_BODY: Final = 10
PLACE: Final = b"########"  # where each copy of a body gets a number of its own

_VISITORS: Final = 20_000
_NOW_MS: Final = 1_790_000_000_000
_HOUR_MS: Final = 3_600_000
_SEED: Final = 20_261_124


def bodies(count: int, now_ms: int = _NOW_MS) -> list[bytes]:
    """``count`` different bodies; half their events are decisions, half conversions."""
    chance = random.Random(_SEED)
    return [_body(chance, now_ms) for _ in range(count)]


def numbered(template: bytes, number: int) -> bytes:
    """The body with uuids that no other number has."""
    return template.replace(PLACE, b"%08x" % number)


def _body(chance: random.Random, now_ms: int) -> bytes:
    batch = BatchItem(
        account_id="10001",
        project_id="20002",
        revision="42",
        client_name="tallybook-python",
        client_version="0.1.0",
        anonymize_ip=True,
        enrich_decisions=True,
        visitors=[
            msgspec.Raw(msgspec.json.encode(_visitor(chance, now_ms, number)))
            for number in range(EVENTS_A_BODY)
        ],
    )
    return msgspec.json.encode(batch)


def _visitor(chance: random.Random, now_ms: int, number: int) -> VisitorItem:
    snapshot = _decided(chance, now_ms) if number % 2 else _bought(chance, now_ms)
    return VisitorItem(
        snapshots=[snapshot],
        attributes=[
            AttributeItem(
                entity_id="30001",
                key="plan",
                type="custom",
                value=chance.choice(["free", "gold", "team"]),
            )
        ],
        visitor_id=f"visitor-{chance.randrange(_VISITORS)}",
    )


def _decided(chance: random.Random, now_ms: int) -> SnapshotItem:
    variation = chance.choice(["control", "treatment"])
    decision = DecisionItem(
        campaign_id="40001",
        experiment_id="50001",
        variation_id="60001" if variation == "control" else "60002",
        metadata=MetadataItem(
            flag_key="checkout",
            rule_key="checkout_test",
            rule_type="experiment",
            variation_key=variation,
            enabled=True,
        ),
    )
    event = EventItem(
        entity_id="40001",
        uuid=_uuid(chance),
        key=ACTIVATION_KEY,
        timestamp=now_ms - chance.randrange(_HOUR_MS),
    )
    return SnapshotItem(events=[event], decisions=[decision])


def _bought(chance: random.Random, now_ms: int) -> SnapshotItem:
    cents = chance.randrange(100, 100_000)
    event = EventItem(
        entity_id="70001",
        uuid=_uuid(chance),
        key="purchase",
        timestamp=now_ms - chance.randrange(_HOUR_MS),
        revenue=cents,
        tags={"category": "shoes", "revenue": cents},
    )
    return SnapshotItem(events=[event])


def _uuid(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(96):024x}"
    return f"{PLACE.decode()}-{digits[:4]}-{digits[4:8]}-{digits[8:12]}-{digits[12:]}"
