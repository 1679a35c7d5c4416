"""From a client's calls to whatever processor it was given: the same on both packages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from both_sdks import Dispatcher, Sdk, Spoken
from shop import URL, datafile, rule

ATTRIBUTES = {"plan": "gold", "logged_in": True, "unknown": 1, "$opt_user_agent": "x"}
TAGS = {"revenue": 4200, "value": "7", "tuple": (1, 2), "nothing": None}
HOLDOUT = {
    "id": "900",
    "key": "nobody",
    "status": "Running",
    "audienceIds": [],
    "trafficAllocation": [{"entityId": "901", "endOfRange": 10_000}],
    "variations": [{"id": "901", "key": "held", "featureEnabled": False, "variables": []}],
}


class Keeper:
    """An event processor of somebody's own."""

    def __init__(self, then: Callable[[Any], object] = bool) -> None:
        self.events: list[Any] = []
        self.then = then

    def process(self, event: Any) -> None:
        self.events.append(event)
        self.then(event)


def client(sdk: Sdk, processor: Any, logger: Any = None, **changes: Any) -> Any:
    text = json.dumps(datafile(botFiltering=True, **changes))
    return sdk.module("optimizely").Optimizely(text, logger=logger, event_processor=processor)


def told_by(sdk: Sdk, found: Any) -> list[Any]:
    """What listeners of conversions and impressions are told."""
    told: list[Any] = []
    for kind in (sdk.NotificationTypes.TRACK, sdk.NotificationTypes.ACTIVATE):
        found.notification_center.add_notification_listener(
            kind, lambda *args: told.append(args[-1])
        )
    return told


def visit(found: Any) -> None:
    """Calls of every kind that leads to an event."""
    user = found.create_user_context("user", dict(ATTRIBUTES))
    user.decide("tested")
    user.decide("for_gold")
    user.track_event("purchase", dict(TAGS))
    user.track_event("purchase")
    user.track_event("purchase", {})
    found.track("purchase", "", None, {"a": 1})
    found.activate("test", "user", {"plan": "silver"})
    found.create_user_context("nobody").decide("for_gold")


def plain(value: Any) -> Any:
    """An event object as data, without what differs by design or from call to call."""
    if isinstance(value, dict):
        return {
            key: plain(item)
            for key, item in value.items()
            if key not in ("uuid", "timestamp", "client_name", "client_version")
        }
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "__dict__"):
        return plain(vars(value))
    return value


@pytest.mark.parametrize("changes", [{"sendFlagDecisions": True}, {"holdouts": [HOLDOUT]}])
def test_a_processor_of_ones_own_is_handed_the_official_objects(
    official: Sdk, ours: Sdk, changes: dict[str, Any]
) -> None:
    handed = []
    for sdk in (official, ours):
        keeper = Keeper()
        visit(client(sdk, keeper, **changes))
        handed.append(keeper.events)
    expected, found = handed
    assert any(getattr(e, "rule_type", "") == "holdout" for e in expected) == (
        "holdouts" in changes
    )
    assert [type(e).__name__ for e in found] == [type(e).__name__ for e in expected]
    for one, other in zip(found, expected, strict=True):
        assert vars(one).keys() == vars(other).keys()
        shown = [type(getattr(event, "variation", None)).__name__ for event in (one, other)]
        assert shown[0] == shown[1]
        left, right = plain(one), plain(other)
        for event in (left, right):  # which of an experiment's facts are there is not compared
            rule = event.pop("experiment", None)
            event["rule"] = rule and {k: rule.get(k) for k in ("id", "key", "status")}
        assert left == right


def test_a_rule_is_handed_on_under_the_official_names(official: Sdk, ours: Sdk) -> None:
    grouped = {**rule(6, "grouped"), "audienceConditions": ["or", "a1"], "type": "ab"}
    group = {
        "id": "g",
        "policy": "random",
        "trafficAllocation": [{"entityId": "600", "endOfRange": 10_000}],
        "experiments": [grouped],
    }
    for_gold = {**rule(7, "by_id"), "audienceIds": ["a1"], "forcedVariations": {"x": "by_id_on"}}
    changes = {"groups": [group], "experiments": [rule(1, "test"), rule(2, "off"), for_gold]}
    rules = []
    for sdk in (official, ours):
        keeper = Keeper()
        found = client(sdk, keeper, **changes)
        for key in ("test", "grouped", "by_id"):
            found.activate(key, "user", {"plan": "gold"})
        rules.append([plain(event.experiment) for event in keeper.events])
    assert rules[1] == rules[0]
    assert [each["key"] for each in rules[0]] == ["test", "grouped", "by_id"]


def test_listeners_are_told_of_the_event_that_the_processor_got(sdk: Sdk) -> None:
    keeper = Keeper()
    found = client(sdk, keeper, sendFlagDecisions=True)
    told = told_by(sdk, found)
    visit(found)
    sent = [told_event["params"]["visitors"][0] for told_event in told]
    assert [(v["snapshots"][0]["events"][0]["uuid"], v["visitor_id"]) for v in sent] == [
        (event.uuid, event.user_id) for event in keeper.events
    ]
    times = [visitor["snapshots"][0]["events"][0]["timestamp"] for visitor in sent]
    assert times == [event.timestamp for event in keeper.events]
    requests = [sdk.EventFactory.create_log_event(event, Spoken()) for event in keeper.events]
    assert [request.params for request in requests] == [event["params"] for event in told]
    assert {event["url"] for event in told} == {"https://logx.optimizely.com/v1/events"}


def test_listeners_are_told_of_what_a_processor_changed(sdk: Sdk) -> None:
    def forget_tags(event: Any) -> None:
        event.event_tags = {"kept": 1}

    found = client(sdk, Keeper(forget_tags))
    told = told_by(sdk, found)
    found.track("purchase", "user", None, {"secret": 1})
    (event,) = told[0]["params"]["visitors"][0]["snapshots"][0]["events"]
    assert event["tags"] == {"kept": 1}


def test_a_processor_may_hand_on_to_a_batch_processor(sdk: Sdk, dispatcher: Dispatcher) -> None:
    batch = sdk.BatchEventProcessor(dispatcher, batch_size=100, start_on_init=True)
    keeper = Keeper(batch.process)
    found = client(sdk, keeper, sendFlagDecisions=True)
    visit(found)
    batch.stop()
    assert dispatcher.visitors == [event.user_id for event in keeper.events]


def uuids(dispatcher: Dispatcher) -> list[str]:
    return [
        visitor["snapshots"][0]["events"][0]["uuid"]
        for event in dispatcher.events
        for visitor in event.params["visitors"]
    ]


@pytest.mark.parametrize("kind", ["Batch", "Forwarding", "BatchOfOnesOwn"])
def test_every_processor_sends_the_same(official: Sdk, ours: Sdk, kind: str) -> None:
    sent = []
    for sdk in (official, ours):
        dispatcher = Dispatcher()
        if kind == "Forwarding":
            processor = sdk.ForwardingEventProcessor(dispatcher)
        else:
            base = sdk.BatchEventProcessor
            made = base if kind == "Batch" else type("Own", (base,), {"process": handing_on(base)})
            processor = made(dispatcher, start_on_init=True, batch_size=1)
        found = client(sdk, processor, sendFlagDecisions=True)
        told = told_by(sdk, found)
        visit(found)
        found.close()
        requests = [(event.url, event.params) for event in dispatcher.events]
        sent.append(plain_requests(requests))
        assert [t["params"]["visitors"] for t in told] == [p["visitors"] for _, p in requests]
    assert sent[1] == sent[0]


def handing_on(base: Any) -> Callable[[Any, Any], None]:
    def process(self: Any, user_event: Any) -> None:
        base.process(self, user_event)

    return process


def plain_requests(requests: list[Any]) -> Any:
    return [(url, plain(params)) for url, params in requests]


def test_a_batch_processors_process_may_be_replaced_for_a_while(
    sdk: Sdk, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tests do, to see what a client would send."""
    processor = sdk.BatchEventProcessor(dispatcher, batch_size=1, start_on_init=True)
    found = client(sdk, processor)
    user, got = found.create_user_context("user"), []
    for _ in range(3):  # the way of a user's first events is another than that of the later ones
        user.track_event("purchase")
    with monkeypatch.context() as patched:
        patched.setattr(sdk.BatchEventProcessor, "process", lambda _, event: got.append(event))
        found.track("purchase", "class")
        user.track_event("purchase")
    with monkeypatch.context() as patched:
        patched.setattr(processor, "process", got.append)
        found.track("purchase", "object")
        user.track_event("purchase")
    found.track("purchase", "neither")
    user.track_event("purchase")
    found.close()
    assert [event.user_id for event in got] == ["class", "user", "object", "user"]
    assert dispatcher.visitors == ["user"] * 3 + ["neither", "user"]


def test_a_batch_processor_gets_bytes_and_no_objects(
    ours: Sdk, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_is_made(*args: object) -> None:
        raise AssertionError

    monkeypatch.setattr(ours.module("event.user_event").UserEvent, "__init__", none_is_made)
    found = client(ours, ours.BatchEventProcessor(dispatcher, batch_size=100))
    visit(found)
    found.close()
    assert len(dispatcher.visitors) == 6


def test_a_processor_that_is_started_again_takes_the_clients_events(
    sdk: Sdk, dispatcher: Dispatcher
) -> None:
    processor = sdk.BatchEventProcessor(dispatcher, batch_size=1, start_on_init=True)
    found = client(sdk, processor)
    user = found.create_user_context("user")
    for _ in range(2):
        found.track("purchase", "first")
        for _ in range(3):
            user.track_event("purchase")
        processor.stop()
        processor.start()
    processor.stop()
    assert dispatcher.visitors == ["first", "user", "user", "user"] * 2


def test_what_a_processor_raises_goes_no_further(ours: Sdk, spoken: Spoken) -> None:
    def fail(event: Any) -> None:
        raise RuntimeError("down")

    found = client(ours, Keeper(fail), spoken)
    told = told_by(ours, found)
    found.track("purchase", "user")
    assert found.create_user_context("user").decide("tested").enabled
    assert spoken.levels().count("exception") == 2
    assert told == []


def test_a_user_that_json_cannot_name_is_refused(ours: Sdk, spoken: Spoken) -> None:
    keeper = Keeper()
    found = client(ours, keeper, spoken)
    found.track("purchase", "\ud800")
    assert keeper.events == []
    assert spoken.levels().count("error") == 1


@pytest.mark.parametrize("kind", ["bytes", "objects", "Forwarding"])
def test_events_go_where_the_settings_say(ours: Sdk, dispatcher: Dispatcher, kind: str) -> None:
    batch = ours.BatchEventProcessor(dispatcher)
    processors = {
        "bytes": batch,
        "objects": Keeper(batch.process),
        "Forwarding": ours.ForwardingEventProcessor(dispatcher),
    }
    settings = ours.module("helpers.sdk_settings").OptimizelySdkSettings(event_url=URL)
    found = ours.module("optimizely").Optimizely(
        json.dumps(datafile()), event_processor=processors[kind], settings=settings
    )
    found.track("purchase", "user")
    batch.stop()
    assert [event.url for event in dispatcher.events] == [URL]
