"""The calls by user id; that they equal the official SDK's is held in ``tests/differential``."""

from __future__ import annotations

import json
import logging
from enum import Enum
from typing import Any

import pytest

from shop import Shop, datafile, flag, rule
from tallybook import InputError, NotificationType, TallybookError

Told = list[tuple[Any, ...]]

JSON_VARIABLE = {"id": "803", "key": "layout", "type": "json", "defaultValue": '{"columns": 2}'}
OTHERS = [
    JSON_VARIABLE,
    {"id": "804", "key": "fast", "type": "boolean", "defaultValue": "true"},
    {"id": "805", "key": "ratio", "type": "double", "defaultValue": "0.5"},
]
HOLDOUT = {
    "id": "h1",
    "key": "holdout",
    "status": "Running",
    "audienceIds": [],
    "variations": [{"id": "901", "key": "held", "featureEnabled": True}],
    "trafficAllocation": [{"entityId": "901", "endOfRange": 10_000}],
}


def listen(shop: Shop, kind: NotificationType = NotificationType.DECISION) -> Told:
    told: Told = []
    shop.client.notifications.add_notification_listener(kind, lambda *args: told.append(args))
    return told


def test_activate_answers_a_variation_and_sends_an_impression_without_a_flag(shop: Shop) -> None:
    told = listen(shop)
    assert shop.client.activate("test", "user", {"plan": "gold"}) == "test_on"
    (visitor,) = shop.sent()
    (decision,) = visitor["snapshots"][0]["decisions"]
    assert decision["metadata"] == {
        "flag_key": "",
        "rule_key": "test",
        "rule_type": "experiment",
        "variation_key": "test_on",
        "enabled": True,
    }
    info = {"experiment_key": "test", "variation_key": "test_on"}
    assert told == [("feature-test", "user", {"plan": "gold"}, info)]


def test_an_experiment_of_no_flag_is_an_ab_test(shop: Shop) -> None:
    told = listen(shop)
    assert shop.client.activate("gold_only", "user") is None
    assert shop.client.get_variation("gold_only", "user", {"plan": "gold"}) == "gold_only_on"
    assert [(kind, info["variation_key"]) for kind, _, _, info in told] == [
        ("ab-test", None),
        ("ab-test", "gold_only_on"),
    ]
    assert shop.sent() == []


def test_a_forced_variation_is_given_until_it_is_taken_back(shop: Shop) -> None:
    client = shop.client
    assert client.set_forced_variation("gold_only", "user", "gold_only_on")
    assert client.get_forced_variation("gold_only", "user") == "gold_only_on"
    assert client.get_forced_variation("test", "user") is None
    assert client.get_forced_variation("gold_only", "other") is None
    assert client.get_variation("gold_only", "user") == "gold_only_on"
    assert client.set_forced_variation("gold_only", "user", None)
    assert client.set_forced_variation("gold_only", "other", None)
    assert client.get_variation("gold_only", "user") is None


def test_a_variation_forced_in_an_older_datafile_is_told_and_forgotten(shop: Shop) -> None:
    shop.client.set_forced_variation("test", "user", "test_on")
    other = rule(1, "test")
    other["variations"][0]["id"] = other["trafficAllocation"][0]["entityId"] = "199"
    changed = datafile(revision="8", experiments=[other, rule(2, "off_test")])
    assert shop.client._revisions.offer(json.dumps(changed).encode())
    assert shop.client.get_forced_variation("test", "user") is None
    assert shop.client.get_variation("test", "user") == "test_on"


@pytest.mark.parametrize("variation", ["", 7, "unknown", ["test_on"]])
def test_what_is_no_variation_cannot_be_forced(shop: Shop, variation: Any) -> None:
    assert shop.client.set_forced_variation("test", "user", variation) is False
    assert shop.client.get_forced_variation("test", "user") is None


def test_a_flag_is_enabled_where_its_variation_is(shop: Shop) -> None:
    client = shop.client
    assert client.is_feature_enabled("tested", "user")
    assert not client.is_feature_enabled("switched_off", "user")
    assert client.get_enabled_features("user", {"plan": "gold"}) == [
        "tested",
        "delivered",
        "for_gold",
    ]
    rule_types = [
        visitor["snapshots"][0]["decisions"][0]["metadata"]["rule_key"] for visitor in shop.sent()
    ]
    assert rule_types == ["test", "off_test", "test", "off_test"]


def test_a_holdout_sends_no_impression_of_its_own_by_user_id() -> None:
    shop = Shop({"holdouts": [HOLDOUT], "sendFlagDecisions": True})
    told = listen(shop)
    assert shop.client.is_feature_enabled("tested", "user")
    assert shop.sent() == []
    assert told[0][3]["source"] == "holdout"
    assert shop.client.get_feature_variable("tested", "colour", "user") is None
    held = {"experiment_key": "holdout", "variation_key": "held"}
    assert told[1][3]["source_info"] == held


def test_decisions_by_user_context_tell_of_the_holdout_that_spares_deliveries() -> None:
    shop = Shop({"holdouts": [HOLDOUT | {"excludeTargetedDeliveries": True}]})
    told = listen(shop)
    assert shop.client.create_user_context("user").decide("delivered").enabled
    (visitor,) = shop.sent()
    assert visitor["snapshots"][0]["decisions"][0]["metadata"]["rule_type"] == "holdout"
    assert told[0][3]["decision_event_dispatched"] is True
    assert told[0][3]["rule_key"] == "delivery"


def with_variables() -> Shop:
    tested = flag("tested", experiments=["100"], variables=True)
    tested["variables"] += OTHERS
    return Shop({"featureFlags": [tested]})


def test_variables_have_their_own_types() -> None:
    client = with_variables().client
    assert client.get_feature_variable("tested", "colour", "user") == "red"
    assert client.get_feature_variable_string("tested", "colour", "user") == "red"
    assert client.get_feature_variable_integer("tested", "size", "user") == 3
    assert client.get_feature_variable_double("tested", "ratio", "user") == 0.5
    assert client.get_feature_variable_boolean("tested", "fast", "user") is True
    assert client.get_feature_variable_json("tested", "layout", "user") == {"columns": 2}
    assert client.get_feature_variable_integer("tested", "colour", "user") is None
    assert client.get_all_feature_variables("tested", "user") == {
        "colour": "red",
        "size": 3,
        "layout": {"columns": 2},
        "fast": True,
        "ratio": 0.5,
    }


def test_variables_are_told_to_listeners_and_recorded_nowhere(shop: Shop) -> None:
    told = listen(shop)
    shop.client.get_feature_variable("tested", "size", "user")
    shop.client.get_all_feature_variables("for_gold", "user")
    assert told[0][0] == "feature-variable"
    assert told[0][3] == {
        "feature_key": "tested",
        "feature_enabled": True,
        "source": "feature-test",
        "variable_key": "size",
        "variable_value": 3,
        "variable_type": "integer",
        "source_info": {"experiment_key": "test", "variation_key": "test_on"},
    }
    assert told[1][3]["source_info"] == {}
    assert shop.sent() == []


CALLS: list[tuple[str, tuple[Any, ...], Any]] = [
    *((name, ("", "user"), None) for name in ("activate", "get_variation")),
    *((name, ("test", None), None) for name in ("activate", "get_variation")),
    *((name, ("test", "user", [1]), None) for name in ("activate", "get_variation")),
    *((name, ("unknown", "user"), None) for name in ("activate", "get_variation")),
    ("set_forced_variation", ("unknown", "user", "test_on"), False),
    ("set_forced_variation", ("test", 7, "test_on"), False),
    ("get_forced_variation", (None, "user"), None),
    ("is_feature_enabled", (None, "user"), False),
    ("is_feature_enabled", ("unknown", "user"), False),
    ("is_feature_enabled", ("tested", None), False),
    ("is_feature_enabled", ("tested", "user", "gold"), False),
    ("get_enabled_features", (None,), []),
    ("get_feature_variable", ("unknown", "colour", "user"), None),
    ("get_feature_variable", ("tested", "unknown", "user"), None),
    ("get_feature_variable", ("tested", "", "user"), None),
    ("get_feature_variable", ("tested", "colour", None), None),
    ("get_all_feature_variables", ("", "user"), None),
    ("get_all_feature_variables", ("unknown", "user"), None),
]


@pytest.mark.parametrize(("name", "arguments", "answer"), CALLS)
def test_what_cannot_be_answered_is_logged_once_and_answered_as_documented(
    shop: Shop, caplog: pytest.LogCaptureFixture, name: str, arguments: tuple[Any, ...], answer: Any
) -> None:
    told = listen(shop)
    with caplog.at_level(logging.WARNING, "tallybook"):
        assert getattr(shop.client, name)(*arguments) == answer
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert told == []
    assert shop.sent() == []


def complaints(call: str, *arguments: Any, **changes: Any) -> list[str]:
    errors: list[TallybookError] = []
    shop = Shop(changes, error_handler=errors.append)
    getattr(shop.client, call)(*arguments)
    shop.sent()
    assert all(isinstance(error, InputError) and str(error) for error in errors)
    return [error.subject for error in errors if isinstance(error, InputError)]


def test_the_error_handler_gets_what_could_not_be_used() -> None:
    lost = rule(1, "test") | {"forcedVariations": {"user": "gone"}, "audienceIds": ["gone"]}
    lost = {"experiments": [lost, rule(2, "off_test")]}
    assert complaints("get_variation", "test", "user", **lost) == ["variation", "audience"]
    assert complaints("get_variation", "unknown", "user") == ["experiment"]
    assert complaints("is_feature_enabled", "tested", "user", [1]) == ["attributes"]
    assert complaints("track", "unknown", "user") == ["event"]
    assert complaints("track", "purchase", "user", {"a": 1, "b": 2}) == ["attribute", "attribute"]
    assert complaints("track", "purchase", "user", [1]) == ["attributes"]
    assert complaints("track", "purchase", "user", {}, [1]) == ["event_tags"]
    assert complaints("track", "", "user") == []


def test_an_unknown_attribute_is_told_with_every_event_of_a_user() -> None:
    errors: list[TallybookError] = []
    shop = Shop(error_handler=errors.append)
    user = shop.client.create_user_context("user", {"unknown": 1})
    user.decide("tested")
    user.track_event("purchase")
    assert len(errors) == 2


class Profiles:
    """A user profile service that remembers what it was asked."""

    def __init__(self, profile: Any = None, *, is_broken: bool = False) -> None:
        self.profile = profile
        self.is_broken = is_broken
        self.asked: list[str] = []

    def lookup(self, user_id: str) -> Any:
        self.asked.append("lookup")
        if self.is_broken:
            raise OSError("no database")
        return self.profile

    def save(self, user_profile: dict[str, Any]) -> None:
        self.asked.append("save")
        if self.is_broken:
            raise OSError("no database")
        self.profile = user_profile


def test_a_call_looks_a_profile_up_once_and_saves_it_once() -> None:
    profiles = Profiles()
    user = Shop(user_profile_service=profiles).client.create_user_context("user")
    user.decide_all()
    assert profiles.asked == ["lookup", "save"]
    assert profiles.profile == {
        "user_id": "user",
        "experiment_bucket_map": {"100": {"variation_id": "101"}, "200": {"variation_id": "201"}},
    }
    user.decide_all()
    assert profiles.asked == ["lookup", "save", "lookup"]
    user.decide("tested", ["IGNORE_USER_PROFILE_SERVICE"])
    assert len(profiles.asked) == 3


def test_what_else_a_profile_holds_is_kept_when_it_is_saved() -> None:
    kept = {"1": {"variation_id": "2", "since": 3}, "200": {"variation_id": 201}, "300": {}}
    profiles = Profiles({"user_id": "somebody", "experiment_bucket_map": kept})
    shop = Shop(user_profile_service=profiles)
    shop.client.create_user_context("user").decide_for_keys(["tested", "switched_off"])
    assert profiles.profile == {
        "user_id": "somebody",
        "experiment_bucket_map": kept
        | {"100": {"variation_id": "101"}, "200": {"variation_id": "201"}},
    }


@pytest.mark.parametrize("profile", [5, "text", [], {"user_id": "user"}, {"user_id": 1, "x": {}}])
def test_a_profile_that_is_none_counts_as_empty(profile: Any) -> None:
    profiles = Profiles(profile)
    assert Shop(user_profile_service=profiles).client.get_variation("test", "user") == "test_on"
    assert profiles.profile["user_id"] == "user"


def test_a_broken_profile_service_is_logged_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop(user_profile_service=Profiles(is_broken=True))
    with caplog.at_level(logging.WARNING, "tallybook"):
        assert shop.client.get_variation("test", "user") == "test_on"
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_what_a_datafile_says_of_holdouts_in_vain_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "tallybook"):
        Shop({"localHoldouts": [HOLDOUT]})
    assert ["holdout" in record.getMessage() for record in caplog.records] == [True]


def test_an_impression_names_no_variation_of_another_experiment_with_the_same_key() -> None:
    first = rule(1, "test") | {"forcedVariations": {"user": "twin"}}
    second = rule(2, "test")
    second["variations"][0]["key"] = "twin"
    shop = Shop({"experiments": [first, second]})
    assert shop.client.create_user_context("user").decide("tested").variation_key == "twin"
    (visitor,) = shop.sent()
    (decision,) = visitor["snapshots"][0]["decisions"]
    assert (decision["experiment_id"], decision["variation_id"]) == ("100", None)


class Word(str, Enum):  # noqa: UP042 - the older way, whose str() has the class's name
    """What people name their keys by."""

    TEST = "test"
    TESTED = "tested"
    COLOUR = "colour"
    USER = "user"


def test_names_of_classes_derived_from_text_are_what_they_say(shop: Shop) -> None:
    client = shop.client
    assert client.activate(Word.TEST, Word.USER) == "test_on"
    assert client.is_feature_enabled(Word.TESTED, Word.USER)
    assert client.get_feature_variable(Word.TESTED, Word.COLOUR, Word.USER) == "red"
    assert client.set_forced_variation(Word.TEST, Word.USER, "test_on")
    assert client.get_forced_variation("test", "user") == "test_on"
    assert [visitor["visitor_id"] for visitor in shop.sent()] == ["user"] * 2
