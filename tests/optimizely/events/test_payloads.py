"""The same event is the same request, whichever package makes it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from both_sdks import Sdk, Spoken

Making = Callable[[Sdk], Any]

CONVERSIONS: dict[str, Any] = {
    "none": None,
    "empty": {},
    "plain": {"colour": "blue", "count": 3, "share": 0.5, "new": True, "nothing": None},
    "text": {"städte": "日本 \u2028 \x07", "quote": '"\\/'},
    "nested": {"list": [1, [2, {"a": None}]], "tuple": (1, 2), "dict": {"value": None, "b": 1}},
    "vanishing": {"revenue": None, "value": None, "tags": None, "decisions": None, "other": None},
    **{
        f"revenue {revenue!r}": {"revenue": revenue}
        for revenue in (0, 1, -7, 2**60, True, 10.0, "10", [1])
    },
    **{
        f"value {value!r}": {"value": value}
        for value in (0, 7, -1.5, "1_000", " 7 ", "1e3", "x", True, [1], "nan", "inf", 10**20)
    },
    "both": {"revenue": 4200, "value": 42, "sku": "abc"},
}
IMPRESSIONS: dict[str, Making] = {
    "usual": lambda sdk: sdk.impression(),
    "off": lambda sdk: sdk.impression(enabled=False),
    "no rule": lambda sdk: sdk.impression(
        experiment=sdk.experiment(id="", key="", layerId=""), variation=None, rule_key=""
    ),
    "no experiment": lambda sdk: sdk.impression(experiment=None, variation=None),
    "no layer": lambda sdk: sdk.impression(experiment=sdk.experiment(layerId="")),
    "variation id is a word": lambda sdk: sdk.impression(variation=sdk.Variation("on", "on")),
    "variation id has other digits": lambda sdk: sdk.impression(variation=sdk.Variation("²", "on")),
    "variation as in the datafile": lambda sdk: sdk.impression(
        variation={"id": "5", "key": "held", "featureEnabled": False, "variables": []},
        rule_type="holdout",
    ),
    "bandit": lambda sdk: sdk.impression(cmab_uuid="prediction"),
    "empty bandit": lambda sdk: sdk.impression(cmab_uuid=""),
    "legacy": lambda sdk: sdk.impression(flag_key="", rule_type="experiment"),
}
CONTEXTS: dict[str, dict[str, Any]] = {
    "not anonymous": {"anonymize_ip": False},
    "region EU": {"region": "EU"},
    "region eu": {"region": "eu"},
    "region elsewhere": {"region": "MARS"},
    "other project": {"account_id": "ünï", "project_id": "2", "revision": "8"},
}
ATTRIBUTES = [
    ("601", "plan", "custom", "gold"),
    ("602", "age", "custom", 33),
    ("603", "share", "custom", 0.25),
    ("604", "vip", "custom", False),
    ("$opt_bot_filtering", "$opt_bot_filtering", "custom", True),
]


def sent(sdk: Sdk, events: Any) -> Any:
    """The request for events, without what differs by design."""
    for number, event in enumerate(events if isinstance(events, list) else [events]):
        if event is not None:
            event.uuid, event.timestamp = f"uuid-{number}", 1_700_000_000_000 + number
    log_event = sdk.EventFactory.create_log_event(events, logging.getLogger("quiet"))
    if log_event is None:
        return None
    params = {
        k: v for k, v in log_event.params.items() if k not in ("client_name", "client_version")
    }
    return log_event.url, log_event.http_verb, log_event.headers, params


def is_same(official: Sdk, ours: Sdk, making: Making) -> bool:
    expected, found = sent(official, making(official)), sent(ours, making(ours))
    assert found == expected
    return expected is not None


@pytest.mark.parametrize("tags", CONVERSIONS.values(), ids=CONVERSIONS)
def test_a_conversion_is_sent_as_by_the_official_sdk(official: Sdk, ours: Sdk, tags: Any) -> None:
    assert is_same(official, ours, lambda sdk: sdk.conversion(tags=tags))


@pytest.mark.parametrize("making", IMPRESSIONS.values(), ids=IMPRESSIONS)
def test_an_impression_is_sent_as_by_the_official_sdk(
    official: Sdk, ours: Sdk, making: Making
) -> None:
    assert is_same(official, ours, making)


@pytest.mark.parametrize("changes", CONTEXTS.values(), ids=CONTEXTS)
def test_the_context_says_whose_events_they_are_and_where_they_go(
    official: Sdk, ours: Sdk, changes: dict[str, Any]
) -> None:
    assert is_same(official, ours, lambda sdk: sdk.conversion(context=sdk.context(**changes)))


def test_attributes_travel_in_their_order(official: Sdk, ours: Sdk) -> None:
    assert is_same(official, ours, lambda sdk: sdk.conversion("", attributes=ATTRIBUTES))


def test_several_events_make_one_request_as_the_first_one_says(official: Sdk, ours: Sdk) -> None:
    def making(sdk: Sdk) -> list[Any]:
        other = sdk.context(region="EU", revision="8", account_id="other")
        return [
            sdk.conversion("a", {"revenue": 1}),
            sdk.impression("b"),
            sdk.conversion("a", context=other),
            sdk.conversion("c", event=None),
        ]

    assert is_same(official, ours, making)


@pytest.mark.parametrize("nothing", [None, [], [None], "text", ["text"], 7])
def test_of_nothing_no_request_is_made(sdk: Sdk, nothing: Any, spoken: Spoken) -> None:
    assert sdk.EventFactory.create_log_event(nothing, spoken) is None
    assert set(spoken.levels()) <= {"error"}


def test_an_event_of_no_kind_makes_no_request(sdk: Sdk, spoken: Spoken) -> None:
    event = sdk.UserEvent(sdk.context(), "user", [])
    assert sdk.EventFactory.create_log_event(event, spoken) is None
    assert spoken.levels() == ["error"]


def test_a_request_can_be_changed_on_its_way(sdk: Sdk) -> None:
    request = sdk.LogEvent("http://there/", {"a": 1})
    assert (request.http_verb, request.headers) == ("POST", None)
    request.url = "http://elsewhere/"
    assert "http://elsewhere/" in str(request)


def test_events_know_when_they_happened_and_have_an_identity(sdk: Sdk) -> None:
    before = time.time() * 1000 - 1
    events = [sdk.conversion(), sdk.impression()]
    after = time.time() * 1000 + 1
    assert all(before <= event.timestamp <= after for event in events)
    assert len({event.uuid for event in events}) == 2
    assert vars(events[0].event_context).keys() == {
        "account_id",
        "project_id",
        "revision",
        "client_name",
        "client_version",
        "anonymize_ip",
        "region",
    }


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


POISON = [object(), Unprintable(), print, float("nan"), float("-inf"), "\ud800", [{"a": object()}]]


@pytest.mark.parametrize("poison", POISON, ids=[type(p).__name__ for p in POISON])
def test_a_poisonous_tag_costs_itself_alone(ours: Sdk, poison: Any, spoken: Spoken) -> None:
    events = [ours.conversion("a", {"bad": poison, "good": 1}), ours.conversion("b")]
    log_event = ours.EventFactory.create_log_event(events, spoken)
    first, second = log_event.params["visitors"]
    assert first["snapshots"][0]["events"][0]["tags"] == {"good": 1}
    assert second["visitor_id"] == "b"
    assert [(level, "bad" in message) for level, message in spoken.records] == [("warning", True)]


@pytest.mark.parametrize(
    "poison", [*POISON, None, [1], {"a": 1}, 10**400], ids=lambda p: type(p).__name__
)
def test_a_poisonous_attribute_costs_itself_alone(ours: Sdk, poison: Any, spoken: Spoken) -> None:
    attributes = [("1", "bad", "custom", poison), ("2", "good", "custom", 1)]
    log_event = ours.EventFactory.create_log_event(ours.conversion(attributes=attributes), spoken)
    assert [row["key"] for row in log_event.params["visitors"][0]["attributes"]] == ["good"]
    assert spoken.levels() == ["warning"]


SPOILT: dict[str, Making] = {
    "nothing": lambda _: None,
    "a user id that is no text": lambda sdk: sdk.conversion(object()),
    "a lone surrogate": lambda sdk: sdk.conversion("\ud800"),
    "no context": lambda sdk: sdk.ConversionEvent(None, sdk.Event("1", "a", []), "u", [], None),
    "no list of attributes": lambda sdk: sdk.ConversionEvent(
        sdk.context(), sdk.Event("1", "a", []), "u", None, None
    ),
    "tags that are no dict": lambda sdk: sdk.conversion(tags=[1]),
}


@pytest.mark.parametrize("making", SPOILT.values(), ids=SPOILT)
def test_an_event_that_cannot_be_written_costs_no_other(
    ours: Sdk, making: Making, spoken: Spoken
) -> None:
    events = [making(ours), ours.conversion("b")]
    log_event = ours.EventFactory.create_log_event(events, spoken)
    assert [visitor["visitor_id"] for visitor in log_event.params["visitors"]] == ["b"]
    assert spoken.levels() == ["error"]
