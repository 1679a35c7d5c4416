"""What our client sends and tells, held against the official SDK for the same calls."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from optimizely.event.event_processor import ForwardingEventProcessor
from optimizely.helpers.enums import NotificationTypes
from optimizely.optimizely import Optimizely
from optimizely.optimizely_user_context import OptimizelyUserContext

from shop import datafile
from sinks import Mailbox
from tallybook import Client, DecisionContext, ForcedDecision, NotificationType

VARYING = ("uuid", "timestamp", "client_name", "client_version")


class Pair:
    """The same project on both SDKs, and what each sent and told."""

    def __init__(self, **changes: Any) -> None:
        text = json.dumps(datafile(**changes))
        self.official_bodies: list[Any] = []
        self.official = Optimizely(
            text, event_processor=ForwardingEventProcessor(self), logger=_silent()
        )
        self.mailbox = Mailbox()
        self.ours = Client(text, http=self.mailbox)
        self.official_told: list[Any] = []
        self.ours_told: list[Any] = []
        for kind in (NotificationType.TRACK, NotificationType.DECISION, NotificationType.ACTIVATE):
            theirs = getattr(NotificationTypes, kind.name)
            assert theirs == kind.value
            self.official.notification_center.add_notification_listener(
                theirs, _record(self.official_told, kind)
            )
            self.ours.notifications.add_notification_listener(kind, _record(self.ours_told, kind))

    def dispatch_event(self, event: Any) -> None:
        self.official_bodies.append((event.url, event.params))

    def users(self, user_id: str, attributes: dict[str, Any] | None) -> tuple[Any, Any]:
        return (
            self.official.create_user_context(user_id, attributes),
            self.ours.create_user_context(user_id, attributes),
        )

    def assert_equal(self) -> None:
        assert self.ours.flush(10)
        ours = [
            body | {"visitors": [visitor]}
            for body in self.mailbox.bodies
            for visitor in body["visitors"]
        ]
        official = [body for _, body in self.official_bodies]
        assert [canonical(body) for body in ours] == [canonical(body) for body in official]
        assert set(self.mailbox.urls) == {url for url, _ in self.official_bodies}
        assert [canonical(call) for call in self.ours_told] == [
            canonical(call) for call in self.official_told
        ]


def canonical(value: Any) -> str:
    """The value as text, in its own order, without what differs from call to call."""
    return json.dumps(_without_varying(value))


def _without_varying(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: "*" if k in VARYING else _without_varying(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_varying(item) for item in value]
    return value


def _record(told: list[Any], kind: NotificationType) -> Callable[..., None]:
    def listener(*args: Any) -> None:
        if kind is NotificationType.ACTIVATE:
            rule, user_id, attributes, variation, event = args
            place = (rule.id, rule.key, rule.status)
            shown = (variation.id, variation.key) if variation else None
            args = (place, user_id, attributes, shown, event)
        told.append([kind.name, *args])

    return listener


def _silent() -> logging.Logger:
    logger = logging.getLogger("official")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    return logger


@pytest.fixture
def pair() -> Iterator[Pair]:
    opened = Pair()
    yield opened
    opened.ours.close(5)
    opened.official.close()


TAGS: list[Any] = [
    None,
    {},
    {"category": "shoes", "purchase_count": 2},
    {"text": 'ünï \u2028 "quoted" \\ \x00 </script>', "yes": True, "no": False, "none": None},
    {
        "whole": -3,
        "half": 0.5,
        "tiny": 5e-324,
        "huge": 1.7e308,
        "negative_zero": -0.0,
        "big": 2**70,
    },
    {"nested": {"list": [1, [2, {"deep": "x"}]], "empty": {}, "pair": (1, 2)}},
    {1: "one", 2.5: "two and a half", False: "false", None: "null"},
    {"revenue": None, "value": None, "tags": None, "decisions": None, "other": None},
    {
        "inner": {
            "revenue": None,
            "value": 1,
            "tags": None,
            "list": [{"decisions": None, "kept": None}],
        }
    },
    *({"revenue": value} for value in (0, 1234, -5, 2**60, 10.0, "10", True, [], {})),
    *(
        {"value": value}
        for value in (
            0,
            7,
            12.5,
            -1.5,
            1e22,
            "7",
            " 7 ",
            "1_000",
            "1e3",
            "nan",
            "inf",
            "x",
            "",
            True,
            [],
            2**60,
        )
    ),
    {"revenue": 1, "value": "2", "zebra": 1, "apple": 2},
]

ATTRIBUTES: list[Any] = [
    None,
    {},
    {"plan": "gold", "logged_in": True},
    {"logged_in": False, "plan": 0},
    {"plan": 2**53, "logged_in": -(2.0**53)},
    {"plan": 2**53 + 1, "logged_in": float("inf")},
    {"plan": None, "logged_in": [1], "colour": "unknown", 7: "key"},
    {
        "$opt_user_agent": "agent",
        "$opt_bucketing_id": "other",
        "$opt_own": "own",
        "$opt_bot_filtering": 1,
    },
]


@pytest.mark.parametrize("tags", TAGS, ids=lambda tags: str(tags)[:40])
def test_conversions_are_the_same_for_every_kind_of_tag(pair: Pair, tags: Any) -> None:
    for user in pair.users("user ünï", {"plan": "gold"}):
        assert user.track_event("purchase", tags) is None
    pair.assert_equal()
    assert len(pair.official_bodies) == 1


@pytest.mark.parametrize("attributes", ATTRIBUTES, ids=lambda attributes: str(attributes)[:40])
def test_conversions_and_impressions_are_the_same_for_every_kind_of_attribute(
    pair: Pair, attributes: Any
) -> None:
    for user in pair.users("user", attributes):
        user.track_event("purchase")
        user.decide("tested")
    pair.assert_equal()


@pytest.mark.parametrize("attributes", ATTRIBUTES[:3])
@pytest.mark.parametrize("tags", TAGS[:3])
def test_the_clients_own_track_is_the_same(pair: Pair, attributes: Any, tags: Any) -> None:
    for client in (pair.official, pair.ours):
        client.track("purchase", "", attributes, tags)
        client.track("unknown", "user", attributes, tags)
        client.track("purchase", "user", "attributes", tags)
        client.track("purchase", "user", attributes, "tags")
        client.track("", "user")
        client.track("purchase", None)
    pair.assert_equal()
    assert len(pair.official_bodies) == 1


CHANGES: list[dict[str, Any]] = [
    {},
    {"sendFlagDecisions": True},
    {"botFiltering": True, "anonymizeIP": False, "region": "EU"},
    {"botFiltering": False, "sendFlagDecisions": True, "region": "eu"},
]
OPTIONS: list[list[str] | None] = [
    None,
    [],
    ["DISABLE_DECISION_EVENT"],
    ["ENABLED_FLAGS_ONLY"],
    ["EXCLUDE_VARIABLES", "UNKNOWN"],
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("attributes", [{}, {"plan": "gold"}], ids=str)
def test_decisions_impressions_and_notifications_are_the_same(
    changes: dict[str, Any], options: list[str] | None, attributes: dict[str, Any]
) -> None:
    pair = Pair(**changes)
    official, ours = pair.users("user", attributes)
    flags = ["tested", "switched_off", "delivered", "for_gold"]
    for key in [*flags, "unknown"]:
        theirs, mine = official.decide(key, options).as_json(), ours.decide(key, options).as_json()
        assert bool(mine.pop("reasons")) == bool(theirs.pop("reasons"))
        assert mine == theirs
    for ask in (
        lambda user: user.decide_for_keys(["for_gold", "unknown", "tested", "tested"], options),
        lambda user: user.decide_all(options),
    ):
        theirs, mine = ask(official), ask(ours)
        assert {k: d.as_json() for k, d in mine.items()} == {
            k: d.as_json() for k, d in theirs.items()
        }
    pair.assert_equal()
    pair.ours.close(5)
    pair.official.close()


@pytest.mark.parametrize(
    "place",
    [("for_gold", None), ("for_gold", "gold_only"), ("tested", "test"), ("delivered", None)],
)
@pytest.mark.parametrize(
    "variation", ["gold_only_on", "test_on", "delivery_on", "nobody_on", "nonsense"]
)
def test_forced_decisions_are_the_same(
    pair: Pair, place: tuple[str, str | None], variation: str
) -> None:
    official, ours = pair.users("user", {})
    context = OptimizelyUserContext.OptimizelyDecisionContext(*place)
    official.set_forced_decision(context, OptimizelyUserContext.OptimizelyForcedDecision(variation))
    ours.set_forced_decision(DecisionContext(*place), ForcedDecision(variation))
    theirs, mine = official.decide(place[0]).as_json(), ours.decide(place[0]).as_json()
    assert mine == theirs
    pair.assert_equal()


def test_ids_that_are_no_digits_and_layers_that_are_empty_are_the_same() -> None:
    from shop import rule

    odd = rule(1, "test")
    odd["layerId"] = ""
    odd["variations"][0]["id"] = odd["trafficAllocation"][0]["entityId"] = "variation-1"
    pair = Pair(experiments=[odd, rule(2, "off_test")])
    for user in pair.users("user", {}):
        user.decide("tested")
    pair.assert_equal()
    decision = pair.mailbox.visitors[0]["snapshots"][0]["decisions"][0]
    assert (decision["campaign_id"], decision["variation_id"]) == ("100", None)
    pair.ours.close(5)
    pair.official.close()
