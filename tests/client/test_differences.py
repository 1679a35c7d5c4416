"""Where this SDK differs from the official one on purpose: ``docs/reference/differences.md``."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from both_sdks import OFFICIAL, Dispatcher, Sdk
from official import OfficialSide, OurSide
from remote import Platform, bandit, predicted
from shop import Shop, datafile, rule
from sinks import Answer, Captured
from tallybook import Client, DatafileError, TallybookError
from tallybook.client import CmabSettings
from tallybook.model.reason import ReasonKind

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "differences.md"
BY_OFFICIAL_NAMES = Path(__file__).parents[1] / "optimizely"


class Service:
    """Keeps profiles as they are given."""

    def __init__(self, profile: Any) -> None:
        self.profile = profile

    def lookup(self, user_id: str) -> Any:
        return self.profile

    def save(self, user_profile: dict[str, Any]) -> None:
        self.profile = user_profile


def official(options: list[str] | None = None, **changes: Any) -> Any:
    return OfficialSide(json.dumps(datafile(**changes)), None, options or []).client


def audience(conditions: Any) -> dict[str, Any]:
    """The project with these conditions in place of its audience's."""
    return {"typedAudiences": [{"id": "a1", "name": "gold", "conditions": conditions}]}


def custom(match: str, value: object) -> list[Any]:
    return [{"type": "custom_attribute", "name": "plan", "match": match, "value": value}]


def test_the_page_names_every_test_of_this_file_and_only_tests_there_are() -> None:
    named = re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8"))
    here = {name for name in globals() if name.startswith("test_")}
    here -= {"test_the_page_names_every_test_of_this_file_and_only_tests_there_are"}
    texts = [path.read_text("utf-8") for path in BY_OFFICIAL_NAMES.rglob("test_*.py")]
    elsewhere = {
        name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    }
    assert len(named) == len(set(named))
    assert here <= set(named) <= here | elsewhere


@pytest.mark.parametrize("odd", [[], "text", None])
def test_malformed_conditions_are_unknown(odd: Any) -> None:
    conditions = ["or", odd]
    with pytest.raises((IndexError, TypeError)):
        official(**audience(conditions)).create_user_context("user", {}).decide("for_gold")
    shop = Shop(audience(conditions))
    assert shop.client.create_user_context("user").decide("for_gold").variation_key is None


def test_versions_that_cannot_be_compared_are_unknown() -> None:
    conditions = custom("semver_gt", "2.0.0-beta")
    attributes = {"plan": "2.0.0-1"}
    user = official(**audience(conditions)).create_user_context("user", attributes)
    with pytest.raises(ValueError, match="invalid literal"):
        user.decide("for_gold")
    shop = Shop(audience(conditions))
    assert shop.client.create_user_context("user", attributes).decide("for_gold").rule_key is None


def test_every_reason_is_given_once() -> None:
    changes = {"experiments": [rule(1, "test", traffic=0), rule(2, "off_test", traffic=0)]}
    changes["featureFlags"] = [
        flag | {"experimentIds": ["100", "200"]} for flag in datafile()["featureFlags"]
    ]
    theirs = (
        official(**changes).create_user_context("user", {}).decide("tested", ["INCLUDE_REASONS"])
    )
    ours = Shop(changes).client.create_user_context("user").decide("tested", ["INCLUDE_REASONS"])
    assert len(theirs.reasons) == 12
    assert (
        ours.reason_kinds
        == [
            ReasonKind.AUDIENCE_CHECKING,
            ReasonKind.AUDIENCE_CHECKED,
            ReasonKind.EMPTY_TRAFFIC_RANGE,
            ReasonKind.IN_NO_VARIATION,
        ]
        * 2
    )


def test_default_options_outlive_options_that_are_no_list() -> None:
    counts = []
    shop = Shop(default_decide_options=["ENABLED_FLAGS_ONLY"])
    for client in (official(["ENABLED_FLAGS_ONLY"]), shop.client):
        user = client.create_user_context("user", {})
        before = len(user.decide_all())
        user.decide("tested", "no list")
        counts.append((before, len(user.decide_all())))
    assert counts == [(2, 4), (2, 2)]


def test_enabled_flags_only_twice_is_once() -> None:
    user = official(["ENABLED_FLAGS_ONLY"]).create_user_context("user", {})
    with pytest.raises(KeyError):
        user.decide("switched_off", ["ENABLED_FLAGS_ONLY"])
    shop = Shop(default_decide_options=["ENABLED_FLAGS_ONLY"])
    decision = shop.client.create_user_context("user").decide(
        "switched_off", ["ENABLED_FLAGS_ONLY"]
    )
    assert decision.variation_key == "off_test_on"


@pytest.mark.parametrize("keys", [None, "tested"])
def test_keys_that_are_no_list_decide_nothing(keys: Any, shop: Shop) -> None:
    assert shop.client.create_user_context("user").decide_for_keys(keys) == {}


def test_decisions_stand_in_the_order_asked(shop: Shop) -> None:
    keys = ["tested", "unknown"]
    assert list(official().create_user_context("user", {}).decide_for_keys(keys)) == keys[::-1]
    assert list(shop.client.create_user_context("user").decide_for_keys(keys)) == keys


def test_a_holdout_takes_no_variations_away_from_its_namesake() -> None:
    holdout = {
        key: value
        for key, value in rule(9, "test", traffic=0).items()
        if key not in ("layerId", "forcedVariations")
    }
    shop = Shop({"holdouts": [holdout]})
    assert shop.client.set_forced_variation("test", "user", "test_on")
    assert shop.client.get_variation("test", "user") == "test_on"


def test_profile_entries_that_are_no_mapping_do_not_count() -> None:
    profile = {"user_id": "user", "experiment_bucket_map": {"100": "101", "200": {"x": 1}}}
    service = Service(profile)
    shop = Shop(user_profile_service=service)
    assert shop.client.get_variation("test", "user") == "test_on"
    assert service.profile["experiment_bucket_map"]["100"] == {"variation_id": "101"}
    theirs = OfficialSide(json.dumps(datafile()), {"user": profile}, [])
    with pytest.raises(AttributeError):
        theirs.client.get_variation("test", "user")


def test_a_new_user_is_no_reason_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop(user_profile_service=Service(None))
    with caplog.at_level(logging.WARNING, "tallybook"):
        assert shop.client.get_variation("test", "user") == "test_on"
    assert caplog.records == []


def test_an_error_handler_that_raises_does_not_end_polling(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(error: TallybookError) -> None:
        raise error

    shop = Shop(error_handler=refuse)
    revisions = shop.client._revisions
    with caplog.at_level(logging.CRITICAL, "tallybook"):
        assert not revisions.offer(b"{")
    assert revisions.offer(json.dumps(datafile(revision="8")).encode())
    with pytest.raises(TallybookError, match="no such"):  # whoever calls is told
        shop.client.activate("no such", "user")


def test_a_bad_datafile_is_refused_at_once() -> None:
    with pytest.raises(DatafileError, match=r"\$\.revision"):
        Client('{"version": "4", "accountId": "1", "projectId": "2"}')


@pytest.mark.parametrize("tags", [[], "", 0, ()])
def test_empty_tags_that_are_no_dict_are_left_out(tags: Any) -> None:
    theirs, ours = (
        OfficialSide(json.dumps(datafile()), None, []),
        OurSide(json.dumps(datafile()), None, []),
    )
    for side in (theirs, ours):
        side.client.track("purchase", "user", None, tags)
    (_, official_body), (_, body) = (side.take()["sent"][0] for side in (theirs, ours))
    assert "tags" in official_body["visitors"][0]["snapshots"][0]["events"][0]
    assert "tags" not in body["visitors"][0]["snapshots"][0]["events"][0]
    ours.close()


def test_a_tag_that_json_cannot_say_costs_only_itself(shop: Shop) -> None:
    shop.client.track("purchase", "user", None, {"bad": object(), "good": 1})
    assert [event["tags"] for event in shop.events()] == [{"good": 1}]


def test_nothing_waits_for_the_first_datafile() -> None:
    client = Client(
        sdk_key="key", event_url="http://127.0.0.1:9/", datafile_url="http://127.0.0.1:9/"
    )
    began = time.monotonic()
    assert client.activate("test", "user") is None
    assert client.get_variation("test", "user") is None
    assert client.set_forced_variation("test", "user", "test_on") is False
    assert client.get_forced_variation("test", "user") is None
    assert client.is_feature_enabled("tested", "user") is False
    assert client.get_enabled_features("user") == []
    assert client.get_feature_variable("tested", "colour", "user") is None
    assert client.get_all_feature_variables("tested", "user") is None
    assert client.get_optimizely_config() is None
    assert time.monotonic() - began < 5
    client.close(1)


def test_a_datafile_is_described_once_somebody_asks(shop: Shop) -> None:
    config = shop.client.get_optimizely_config()
    assert config is not None
    assert config is shop.client.get_optimizely_config()
    assert config.get_datafile() == json.dumps(datafile())
    assert list(config.features_map) == ["tested", "switched_off", "delivered", "for_gold"]


def audiences_of(expression: Any, client: Any = None) -> str:
    changes = {"experiments": [rule(1, "test") | {"audienceConditions": expression}, rule(2, "b")]}
    client = client or Shop(changes).client
    return str(client.get_optimizely_config().experiments_map["test"].audiences)


def test_a_bare_audience_id_is_shown_by_its_name() -> None:
    changes = {"experiments": [rule(1, "test") | {"audienceConditions": "a1"}, rule(2, "b")]}
    assert audiences_of("a1") == '"gold"'
    assert audiences_of("a1", official(**changes)) == '"a" OR "1"'


def test_an_expression_of_one_nested_list_is_shown() -> None:
    expression = [["or", "a1", "a2"]]
    changes = {
        "experiments": [rule(1, "test") | {"audienceConditions": expression}, rule(2, "off_test")]
    }
    with pytest.raises(TypeError):
        official(**changes)
    assert audiences_of(expression) == 'OR ("gold" OR "a2")'


def test_nothing_waits_for_a_prediction() -> None:
    text, release = json.dumps(bandit()), threading.Event()

    def answer_late(_: Captured) -> Answer:
        release.wait(20)
        return predicted()

    with Platform() as platform:
        sdk = Sdk(OFFICIAL)
        settings = sdk.module("helpers.sdk_settings").OptimizelySdkSettings(
            odp_disabled=True, cmab_prediction_endpoint=platform.endpoint
        )
        theirs = sdk.module("optimizely").Optimizely(
            text, event_processor=sdk.ForwardingEventProcessor(Dispatcher()), settings=settings
        )
        assert theirs.create_user_context("user", {}).decide("tested").variation_key == "test_on"

        platform.otherwise = answer_late
        cmab = CmabSettings(endpoint=platform.endpoint)
        with Client(text, event_url=platform.url, cmab=cmab) as client:
            user = client.create_user_context("user")
            decision = user.decide("tested")
            assert decision.reason_kinds[-1] is ReasonKind.CMAB_PENDING
            release.set()
            deadline = time.monotonic() + 20
            while decision.variation_key is None and time.monotonic() < deadline:
                decision = user.decide("tested", ["DISABLE_DECISION_EVENT"])
    assert decision.variation_key == "test_on"
