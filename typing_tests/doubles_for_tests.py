"""What users' own tests are written with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import assert_type

from tallybook import Client, ClientSettings, Decision
from tallybook.model.event import AttributeValue, ConversionEvent, DecisionEvent
from tallybook.testing import (
    DatafileBuilder,
    FixedClock,
    InMemoryClient,
    Letterbox,
    SentDecision,
    TrackedEvent,
)


def shop(client: Client) -> Decision:
    return client.create_user_context("user").decide("checkout")


def set_flags() -> None:
    assert_type(InMemoryClient(), InMemoryClient)
    assert_type(InMemoryClient(b"{}", settings=ClientSettings()), InMemoryClient)
    with InMemoryClient(events=["purchase"], attributes={"plan"}) as client:
        assert_type(client, InMemoryClient)
        client.set_flag("checkout")
        client.set_flag("checkout", "treatment", enabled=False)
        client.set_flag("checkout", variation="blue", variables={"size": 3}, users=["user123"])
        client.define_event("refund")
        assert_type(shop(client), Decision)
        assert_type(client.tracked(), list[TrackedEvent])
        assert_type(client.tracked("purchase", user_id="user123"), list[TrackedEvent])
        assert_type(client.decided(), list[SentDecision])
        assert_type(client.decided("checkout", user_id="user123"), list[SentDecision])
        assert_type(client.clock, FixedClock)
        assert_type(client.letterbox, Letterbox)
        client.forget()

        client.set_flag("checkout", True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        client.set_flag("checkout", variables=["size"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        client.set_flag("checkout", users=[5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
        client.define_event(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        client.tracked(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    InMemoryClient(events=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    InMemoryClient(sdk_key="key")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def look_at(event: TrackedEvent, decision: SentDecision) -> None:
    assert_type(event.event_key, str)
    assert_type(event.user_id, str)
    assert_type(event.attributes, Mapping[str, AttributeValue])
    assert_type(event.tags, Mapping[str, object])
    assert_type(event.revenue, int | None)
    assert_type(event.value, float | None)
    assert_type(event.at_ms, int)
    assert_type(event.uuid, str)
    assert_type(decision.flag_key, str | None)
    assert_type(decision.user_id, str)
    assert_type(decision.variation_key, str | None)
    assert_type(decision.rule_key, str | None)
    assert_type(decision.enabled, bool | None)
    assert_type(decision.attributes, Mapping[str, AttributeValue])
    assert_type(decision.at_ms, int)
    assert_type(decision.uuid, str)
    event.revenue = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def tell_the_time() -> None:
    clock = FixedClock(datetime(2026, 3, 1, tzinfo=UTC))
    clock.set(datetime(2026, 3, 2, tzinfo=UTC))
    clock.advance(timedelta(hours=1))
    assert_type(clock(), int)
    assert_type(clock.now, datetime)
    Client("{}", clock_ms=clock)

    clock.advance(3600)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    FixedClock("2026-03-01")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def build() -> None:
    builder = DatafileBuilder(events=["purchase"], attributes=["plan"])
    built = (
        builder.event("refund")
        .attribute("age")
        .flag(
            "checkout",
            variations={"off": {}, "treatment": {"color": "green"}},
            defaults={"color": "blue"},
            split={"off": 5_000, "treatment": 5_000},
            audience={"plan": "gold"},
        )
        .answer("search", "fast", enabled=True, variables={"limit": 10}, users=["user123"])
    )
    assert_type(built, DatafileBuilder)
    assert_type(built.build(), bytes)
    assert_type(built.event_keys, tuple[str, ...])
    Client(built.build(), http=Letterbox(status=503))

    builder.flag("checkout", split={"off": 0.5})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    builder.flag("checkout", variations=["off"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    builder.answer("search", enabled="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def read(letterbox: Letterbox) -> None:
    assert_type(letterbox.events(), tuple[list[DecisionEvent], list[ConversionEvent]])
    letterbox.status = 204
    letterbox.clear()
