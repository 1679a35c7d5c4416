"""A user has attributes, decisions, forced decisions and segments, and tracks events."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, assert_type

from tallybook import (
    Client,
    DecideOption,
    Decision,
    DecisionContext,
    ForcedDecision,
    UserContext,
)
from tallybook.model.reason import Reason, ReasonKind


def make(client: Client, anything: object, perhaps: str | None) -> None:
    assert_type(client.create_user_context("user"), UserContext)
    assert_type(client.create_user_context("user", None), UserContext)
    assert_type(client.create_user_context("user", {"logged_in": True, "age": 30}), UserContext)
    assert_type(client.create_user_context(user_id="user", attributes={}), UserContext)
    assert_type(client.create_user_context(anything), UserContext | None)
    assert_type(client.create_user_context(perhaps), UserContext | None)
    assert_type(client.create_user_context("user", anything), UserContext | None)
    assert_type(client.create_user_context("user", ["logged_in"]), UserContext | None)

    assert_type(
        client.create_user_context("user", MappingProxyType({"age": 30})), UserContext | None
    )
    client.create_user_context()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.create_user_context(anything).decide("flag")  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]


def know(user: UserContext) -> None:
    assert_type(user.user_id, str)
    assert_type(user.get_user_attributes(), dict[str, Any])
    assert_type(user.as_json(), dict[str, Any])
    user.set_attribute("age", 31)
    user.set_attribute(key="plan", value=None)

    user.set_attribute(5, "gold")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    user.set_attribute("plan")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    user.user_id = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def decide(user: UserContext) -> None:
    options = [DecideOption.INCLUDE_REASONS, DecideOption.DISABLE_DECISION_EVENT]
    assert_type(user.decide("flag"), Decision)
    assert_type(user.decide("flag", None), Decision)
    assert_type(user.decide("flag", options), Decision)
    assert_type(user.decide("flag", ["INCLUDE_REASONS"]), Decision)
    assert_type(user.decide(key="flag", options=[DecideOption.EXCLUDE_VARIABLES]), Decision)
    assert_type(user.decide_for_keys(["flag", "other"]), dict[str, Decision])
    assert_type(user.decide_for_keys(("flag",), options), dict[str, Decision])
    assert_type(user.decide_for_keys(keys=["flag"], options=options), dict[str, Decision])
    assert_type(user.decide_all(), dict[str, Decision])
    assert_type(user.decide_all(options=[DecideOption.ENABLED_FLAGS_ONLY]), dict[str, Decision])

    user.decide(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    user.decide(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    user.decide("flag", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    user.decide("flag", ("INCLUDE_REASONS",))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    user.decide("flag", {"INCLUDE_REASONS"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    DecideOption.INCLUDE_ALL  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    user.decide_for_keys([5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    user.decide_for_keys()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    user.decide_all([], [])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    user.decide_all(True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def look_at(decision: Decision) -> None:
    assert_type(decision.variation_key, str | None)
    assert_type(decision.enabled, bool)
    assert_type(decision.variables, Mapping[str, Any])
    assert_type(decision.rule_key, str | None)
    assert_type(decision.flag_key, str)
    assert_type(decision.user_context, UserContext)
    assert_type(decision.reasons, list[str])
    assert_type(decision.reason_kinds, list[ReasonKind])
    assert_type(decision.steps, tuple[Reason, ...])
    assert_type(decision.as_json(), dict[str, Any])
    for step in decision.steps:
        assert_type(step.kind, ReasonKind)
        assert_type(step.text, str)
        assert_type(step.level, int)
        assert_type(step.is_reason, bool)
        assert_type(step.values, Mapping[str, object])
    size: int = decision.variables["size"]
    print(size, ReasonKind.AUDIENCE_UNKNOWN in decision.reason_kinds)

    decision.enabled = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    decision.variables["size"] = 3  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    decision.variation_key.upper()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    decision.variation  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    ReasonKind.NO_SUCH_KIND  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def force(user: UserContext) -> None:
    place = DecisionContext("flag", "rule")
    assert_type(place.flag_key, str)
    assert_type(place.rule_key, str | None)
    assert_type(DecisionContext("flag"), DecisionContext)
    assert_type(ForcedDecision("treatment").variation_key, str)
    assert_type(user.set_forced_decision(place, ForcedDecision("treatment")), bool)
    assert_type(user.get_forced_decision(place), ForcedDecision | None)
    assert_type(user.remove_forced_decision(place), bool)
    assert_type(user.remove_all_forced_decisions(), bool)

    DecisionContext(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    DecisionContext("flag", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ForcedDecision(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    user.set_forced_decision("flag", "treatment")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    user.set_forced_decision(place)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    user.get_forced_decision("flag")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    user.remove_forced_decision("flag")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    place.flag_key = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def qualify(user: UserContext) -> None:
    user.set_qualified_segments(["has_cart"])
    user.set_qualified_segments(None)
    assert_type(user.get_qualified_segments(), list[str] | None)
    assert_type(user.is_qualified_for("has_cart"), bool)

    user.set_qualified_segments([5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    user.is_qualified_for(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def track(user: UserContext) -> None:
    user.track_event("purchase")
    user.track_event("purchase", None)
    user.track_event("purchase", {"revenue": 4200, "value": 1.5, "category": "shoes", "new": True})
    user.track_event(event_key="purchase", event_tags={"items": ["a", "b"]})

    user.track_event(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    user.track_event()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    user.track_event("purchase", {5: "revenue"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    user.track_event("purchase", [("revenue", 4200)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    user.track_event("purchase", revenue=4200)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
