"""Contextual bandits, tried on the official package and ours against the same service."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Iterator
from typing import Any
from unittest import mock
from uuid import UUID

import pytest

from both_sdks import OFFICIAL, OURS, Dispatcher, Sdk
from remote import (
    IGNORE,
    INVALIDATE,
    REASONS,
    RESET,
    RULE,
    VARIATION,
    Platform,
    Said,
    bandit,
    heard,
    predicted,
)
from sinks import Answer

FLAG = "tested"
KNOWN = {"plan": "gold", "logged_in": True, "other": 1}
SENT = [
    {"id": "602", "value": True, "type": "custom_attribute"},
    {"id": "601", "value": "gold", "type": "custom_attribute"},
]
BROKEN = {
    "5xx": Answer(500, b"no"),
    "4xx": Answer(404, b"no"),
    "no JSON": Answer(200, b"no"),
    "another shape": Answer(200, b'{"predictions": []}'),
    "cut": Answer(cut=True),
}


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform() as started:
        yield started


class Bench:
    """A client of one package, whose bandit asks the platform."""

    def __init__(self, sdk: Sdk, platform: Platform, logger: Any = None, **options: Any) -> None:
        self.dispatcher = Dispatcher()
        settings = sdk.module("helpers.sdk_settings").OptimizelySdkSettings(
            odp_disabled=True, cmab_prediction_endpoint=platform.endpoint
        )
        processor = sdk.ForwardingEventProcessor(self.dispatcher)
        self.client = sdk.module("optimizely").Optimizely(
            json.dumps(options.pop("document", None) or bandit()),
            logger=logger,
            event_processor=processor,
            settings=settings,
            **options,
        )

    def user(self, user_id: str = "ann", attributes: Any = KNOWN) -> Any:
        return self.client.create_user_context(user_id, dict(attributes))

    def decide(self, *options: str, user_id: str = "ann", attributes: Any = KNOWN) -> Any:
        return self.user(user_id, attributes).decide(FLAG, [REASONS, *options])

    def shown(self) -> list[Any]:
        """What impressions say of the decision."""
        visitors = [v for event in self.dispatcher.events for v in event.params["visitors"]]
        return [visitor["snapshots"][0]["decisions"][0]["metadata"] for visitor in visitors]


def test_a_prediction_decides_and_is_named_in_the_impression(sdk: Sdk, platform: Platform) -> None:
    bench = Bench(sdk, platform)
    decision = bench.decide()
    assert (decision.variation_key, decision.rule_key, decision.enabled) == (
        "test_on",
        "test",
        True,
    )
    assert decision.variables["colour"] == "red"
    assert len(decision.reasons) == 5  # the audience twice, none kept, what was predicted, the end

    [asked] = platform.predictions()
    assert (asked["visitorId"], asked["experimentId"]) == ("ann", RULE)
    assert asked["attributes"] == SENT
    assert str(UUID(asked["cmabUUID"])) == asked["cmabUUID"]
    [request] = platform.at("/predict")
    assert request.path == f"/predict/{RULE}"
    assert request.headers["content-type"] == "application/json"
    [shown] = bench.shown()
    assert shown["cmab_uuid"] == asked["cmabUUID"]


STEPS: list[tuple[list[str], Any, int, bool]] = [
    ([], KNOWN, 4, False),  # kept
    ([], KNOWN | {"other": 2}, 4, False),  # of an attribute that does not count
    ([], KNOWN | {"plan": "silver"}, 5, True),
    ([IGNORE], KNOWN | {"plan": "silver"}, 4, True),
    ([], KNOWN | {"plan": "silver"}, 4, False),
    ([INVALIDATE], KNOWN | {"plan": "silver"}, 6, True),
    ([RESET], KNOWN | {"plan": "silver"}, 6, True),
    ([RESET, INVALIDATE], KNOWN | {"plan": "silver"}, 7, True),
    ([RESET, INVALIDATE, IGNORE], KNOWN | {"plan": "silver"}, 4, True),
    ([], KNOWN | {"plan": "silver"}, 4, False),
    ([], {}, 5, True),
]


def test_predictions_are_kept_while_what_counts_is_the_same(sdk: Sdk, platform: Platform) -> None:
    bench = Bench(sdk, platform)
    assert bench.decide(attributes=KNOWN).variation_key == "test_on"
    for options, attributes, reasons, is_asked in STEPS:
        before = len(platform.predictions())
        decision = bench.decide(*options, attributes=attributes)
        assert (len(decision.reasons), decision.variation_key) == (reasons, "test_on"), options
        assert len(platform.predictions()) - before == is_asked, options
    uuids = [shown["cmab_uuid"] for shown in bench.shown()]
    fetched = [asked["cmabUUID"] for asked in platform.predictions()]
    assert len(set(fetched)) == len(fetched)
    assert set(uuids) == set(fetched)
    assert uuids[:3] == [fetched[0]] * 3
    assert uuids[5] == uuids[3] == fetched[1] != uuids[4]  # what was asked past the cache stays out


def test_reset_forgets_everybody_and_invalidate_one(sdk: Sdk, platform: Platform) -> None:
    bench = Bench(sdk, platform)
    for user_id in ("ann", "bob"):
        bench.decide(user_id=user_id)
    bench.decide(INVALIDATE, user_id="ann")
    bench.decide(user_id="bob")
    assert len(platform.predictions()) == 3
    bench.decide(RESET, user_id="ann")
    bench.decide(user_id="bob")
    assert len(platform.predictions()) == 5


def test_a_kept_prediction_has_the_same_key_and_fingerprint(platform: Platform) -> None:
    kept: list[dict[str, Any]] = []
    for sdk in map(Sdk, (OFFICIAL, OURS)):
        saved: dict[str, Any] = {}
        cache = mock.Mock(lookup=saved.get, save=saved.__setitem__)
        service = sdk.module("cmab.cmab_service").DefaultCmabService
        client = sdk.module("cmab.cmab_client").DefaultCmabClient
        asking = client(prediction_endpoint=platform.endpoint)
        bench = Bench(sdk, platform, cmab_service=service(cache, asking))
        for attributes in (KNOWN, {}, {"plan": "gr\u00fcn \U0001f600", "logged_in": None}):
            bench.decide(user_id=f"ann {len(saved)}", attributes=attributes)
        assert all(value.pop("cmab_uuid") for value in saved.values())
        kept.append(saved)
    assert kept[0] == kept[1]
    assert list(kept[1]) == ["5-ann 0-100", "5-ann 1-100", "5-ann 2-100"]


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_failed_prediction_is_asked_for_once_more(
    sdk: Sdk, platform: Platform, broken: Answer
) -> None:
    with heard() as (logger, said):
        bench = Bench(sdk, platform, logger)
        platform.answers = [broken]
        said.records.clear()
        assert bench.decide().variation_key == "test_on"
        assert said.levels(logging.WARNING) == {"ERROR": 2}  # the attempt, and an attribute
    asked = platform.predictions()
    assert len(asked) == 2
    assert asked[0] == asked[1]


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_decision_whose_prediction_failed_is_an_error(
    sdk: Sdk, platform: Platform, broken: Answer
) -> None:
    document = bandit()
    document["featureFlags"][0]["rolloutId"] = "r3"  # which would have had a variation
    with heard() as (logger, said):
        bench = Bench(sdk, platform, logger, document=document)
        platform.answers = [broken, broken]
        told: list[Any] = []
        bench.client.notification_center.add_notification_listener(
            sdk.NotificationTypes.DECISION, lambda *args: told.append(args)
        )
        said.records.clear()
        decision = bench.user().decide(FLAG)
        assert said.levels(logging.WARNING) == {"ERROR": 4}
    assert (decision.variation_key, decision.rule_key, decision.enabled) == (None, None, False)
    assert (decision.variables, len(decision.reasons)) == ({}, 3)
    assert len(platform.predictions()) == 2
    assert (told, bench.shown()) == ([], [])

    platform.answers = [broken, broken]
    only_enabled = bench.user().decide_all(["ENABLED_FLAGS_ONLY"])
    assert FLAG in only_enabled
    assert "switched_off" not in only_enabled


def test_old_calls_answer_that_there_is_nothing_where_a_prediction_fails(
    sdk: Sdk, platform: Platform
) -> None:
    platform.prediction = Answer(500)
    client = Bench(sdk, platform).client
    assert client.get_variation("test", "ann") is None
    assert client.activate("test", "ann") is None
    assert client.is_feature_enabled(FLAG, "ann") is False
    assert client.get_feature_variable(FLAG, "colour", "ann") == "blue"
    assert len(platform.predictions()) == 8


def test_old_calls_ask_too_and_share_what_is_kept(sdk: Sdk, platform: Platform) -> None:
    bench = Bench(sdk, platform)
    assert bench.client.get_variation("test", "ann", KNOWN) == "test_on"
    assert bench.client.activate("test", "ann", KNOWN) == "test_on"
    assert bench.client.is_feature_enabled(FLAG, "ann", KNOWN) is True
    assert bench.client.get_all_feature_variables(FLAG, "ann", KNOWN)["colour"] == "red"
    assert len(platform.predictions()) == 1
    assert ["cmab_uuid" in shown for shown in bench.shown()] == [False, True]


def test_a_variation_that_is_not_there_is_none(sdk: Sdk, platform: Platform) -> None:
    document = bandit()
    document["featureFlags"][0]["rolloutId"] = "r3"
    with heard() as (logger, said):
        bench = Bench(sdk, platform, logger, document=document)
        platform.prediction = predicted("nowhere")
        said.records.clear()
        decision = bench.decide(attributes={})
        assert said.levels(logging.WARNING) == {"ERROR": 1}
    assert (decision.variation_key, decision.rule_key) == ("delivery_on", "delivery")


def test_whom_the_traffic_misses_is_not_asked_about(sdk: Sdk, platform: Platform) -> None:
    bench = Bench(sdk, platform, document=bandit(traffic=0))
    assert bench.decide().variation_key is None
    assert platform.requests == []


def test_an_attribute_that_json_cannot_say_costs_the_decision(sdk: Sdk, platform: Platform) -> None:
    bench = Bench(sdk, platform)
    decision = bench.decide(attributes={"plan": object()})
    assert (decision.variation_key, len(decision.reasons)) == (None, 3)
    assert platform.requests == []


def test_a_number_that_is_none_is_not_sent(platform: Platform) -> None:
    asked = []
    for sdk in map(Sdk, (OFFICIAL, OURS)):
        before = len(platform.requests)
        Bench(sdk, platform).decide(attributes={"plan": float("nan")})
        asked.append([request.body for request in platform.requests[before:]])
    assert b"NaN" in asked[0][0]
    assert asked[1] == []


class Service:
    """A service of somebody's own."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def get_decision(self, config: Any, user: Any, rule_id: str, options: list[str]) -> Any:
        self.asked.append((config, user, rule_id, set(options)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "variation", "reasons", "uuids"),
    [
        (({"variation_id": VARIATION, "cmab_uuid": "u1"}, ["why", "so"]), "test_on", 5, ["u1"]),
        (({"variation_id": VARIATION, "cmab_uuid": None}, []), "test_on", 3, [None]),
        (({"variation_id": "nowhere", "cmab_uuid": "u1"}, ["why"]), None, 4, []),
        (({"variation_id": None, "cmab_uuid": None}, ["why"]), None, 4, []),
        ((None, ["why"]), None, 4, []),
        (None, None, 3, []),
        (ValueError("none"), None, 3, []),
    ],
    ids=str,
)
def test_a_service_of_ones_own_decides(
    sdk: Sdk, platform: Platform, answer: Any, variation: Any, reasons: int, uuids: list[Any]
) -> None:
    service = Service(answer)
    bench = Bench(sdk, platform, cmab_service=service)
    user = bench.user()
    context = user.OptimizelyDecisionContext("other", None)
    assert user.set_forced_decision(context, user.OptimizelyForcedDecision("forced"))
    decision = user.decide(FLAG, [REASONS, IGNORE])
    assert (decision.variation_key, len(decision.reasons)) == (variation, reasons)
    assert [shown.get("cmab_uuid") for shown in bench.shown()] == uuids
    assert platform.requests == []

    [(config, asker, rule_id, options)] = service.asked
    assert (config.get_project_id(), rule_id) == ("project", RULE)
    assert options == {REASONS, IGNORE}
    assert (asker.user_id, asker.get_user_attributes()) == ("ann", KNOWN)
    assert asker.get_forced_decision(context).variation_key == "forced"
    assert asker is not user


@pytest.mark.parametrize("answer", [None, {"variation_id": None, "cmab_uuid": None}], ids=str)
def test_a_service_may_say_that_there_is_no_variation(
    sdk: Sdk, platform: Platform, answer: Any
) -> None:
    with heard() as (logger, said):
        bench = Bench(sdk, platform, logger, cmab_service=Service((answer, [])))
        said.records.clear()
        assert bench.decide(attributes={}).variation_key is None
        assert said.levels(logging.WARNING) == {}


def test_a_service_that_gives_no_uuid_decides_all_the_same(platform: Platform) -> None:
    service = Service(({"variation_id": VARIATION}, []))
    with pytest.raises(KeyError):
        Bench(Sdk(OFFICIAL), platform, cmab_service=service).decide()
    bench = Bench(Sdk(OURS), platform, cmab_service=service)
    assert bench.decide().variation_key == "test_on"
    assert "cmab_uuid" not in bench.shown()[0]


def test_what_is_put_in_the_services_place_is_asked(sdk: Sdk, platform: Platform) -> None:
    bench = Bench(sdk, platform)
    decided = ({"variation_id": VARIATION, "cmab_uuid": "u9"}, [])
    with mock.patch.object(bench.client.cmab_service, "get_decision", return_value=decided):
        assert bench.decide().variation_key == "test_on"
    assert (bench.shown()[0]["cmab_uuid"], platform.requests) == ("u9", [])


def service_of(sdk: Sdk, platform: Platform, logger: Any, retries: int | None = None) -> Any:
    made = sdk.module("cmab.cmab_client")
    config = None if retries is None else made.CmabRetryConfig(retries, initial_backoff=0.001)
    client = made.DefaultCmabClient(None, config, logger, platform.endpoint)
    cache = sdk.module("odp.lru_cache").LRUCache(10, 60)
    return sdk.module("cmab.cmab_service").DefaultCmabService(cache, client, logger)


def test_the_service_can_be_asked_without_a_client(sdk: Sdk, platform: Platform) -> None:
    with heard() as (logger, said):
        bench = Bench(sdk, platform)
        service = service_of(sdk, platform, logger)
        config = bench.client.config_manager.get_config()
        first, why_first = service.get_decision(config, bench.user(), RULE, [])
        assert said.levels() == {"DEBUG": 2}
        second, why_second = service.get_decision(config, bench.user(), RULE, [])
        assert said.levels() == {"DEBUG": 3}
    assert first == second
    assert (first["variation_id"], len(why_first), len(why_second)) == (VARIATION, 2, 1)
    assert first["cmab_uuid"] == platform.predictions()[0]["cmabUUID"]


def failure(sdk: Sdk, service: Any, bench: Bench) -> str:
    config = bench.client.config_manager.get_config()
    with pytest.raises(sdk.module("exceptions").CmabError) as raised:
        service.get_decision(config, bench.user(), RULE, [])
    return type(raised.value).__name__


def levels(said: Said) -> dict[str, int]:
    found = dict(said.levels())
    said.records.clear()
    return found


def test_what_fails_is_raised_and_logged_as_loud(sdk: Sdk, platform: Platform) -> None:
    with heard() as (logger, said):
        bench = Bench(sdk, platform)
        platform.prediction = Answer(503)
        assert failure(sdk, service_of(sdk, platform, logger), bench) == "CmabFetchError"
        assert levels(said) == {"DEBUG": 1, "ERROR": 1}
        failure(sdk, service_of(sdk, platform, logger, 2), bench)
        assert levels(said) == {"DEBUG": 1, "ERROR": 4, "INFO": 2}
    assert len(platform.predictions()) == 4


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(500), "CmabFetchError"),
        (Answer(cut=True), "CmabFetchError"),
        (Answer(200, b"{}"), "CmabInvalidResponseError"),
        (Answer(200, b"no"), "CmabInvalidResponseError"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_client_raises_what_went_wrong(
    sdk: Sdk, platform: Platform, answer: Answer, error: str
) -> None:
    platform.prediction = answer
    client = sdk.module("cmab.cmab_client").DefaultCmabClient(prediction_endpoint=platform.endpoint)
    with pytest.raises(sdk.module("exceptions").CmabError) as raised:
        client.fetch_decision("r", "ann", {"1": "a"}, "u")
    assert type(raised.value).__name__ == error
    assert len(platform.requests) == 1


def test_the_client_is_no_more_patient_than_told(sdk: Sdk, platform: Platform) -> None:
    platform.prediction = Answer(200, predicted().body, after_s=0.5)
    client = sdk.module("cmab.cmab_client").DefaultCmabClient(prediction_endpoint=platform.endpoint)
    with pytest.raises(sdk.module("exceptions").CmabFetchError):
        client.fetch_decision("r", "ann", {}, "u", timeout=0.05)


def test_questions_can_travel_by_a_session_of_ones_own(sdk: Sdk, platform: Platform) -> None:
    requests = importlib.import_module("requests")
    session = requests.Session()
    session.headers["x-own"] = "yes"
    client = sdk.module("cmab.cmab_client").DefaultCmabClient(
        session, None, None, platform.endpoint
    )
    assert client.fetch_decision("r s", "ann", {"1": "a"}, "u") == VARIATION
    [request] = platform.requests
    assert request.headers["x-own"] == "yes"
    assert request.json["instances"][0]["attributes"] == [
        {"id": "1", "value": "a", "type": "custom_attribute"}
    ]


def test_the_factory_keeps_predictions_as_told(sdk: Sdk) -> None:
    factory = sdk.module("optimizely_factory").OptimizelyFactory
    cache = mock.Mock()
    made = []
    settings = sdk.module("helpers.sdk_settings").OptimizelySdkSettings(
        odp_disabled=True, cmab_prediction_endpoint="http://127.0.0.1:9/{}"
    )
    with mock.patch.multiple(
        factory, cmab_cache_size=None, cmab_cache_ttl=None, cmab_custom_cache=None
    ):
        factory.set_cmab_cache_size(7)
        factory.set_cmab_cache_ttl(8.9)
        made.append(factory.custom_instance("key", json.dumps(bandit()), settings=settings))
        factory.set_cmab_custom_cache(cache)
        made.append(factory.custom_instance("key", json.dumps(bandit())))
    for client in made:
        client.close()
    own, given = (client.cmab_service for client in made)
    assert (own.cmab_cache.capacity, own.cmab_cache.timeout) == (7, 8)
    assert given.cmab_cache is cache
    usual = sdk.module("cmab.cmab_client").DEFAULT_PREDICTION_ENDPOINT
    assert own.cmab_client.prediction_endpoint == usual


def test_a_cache_of_ones_own_that_raises_costs_the_decision(sdk: Sdk, platform: Platform) -> None:
    cache = mock.Mock(lookup=mock.Mock(side_effect=OSError("cut")))
    made = sdk.module("cmab.cmab_service").DefaultCmabService(cache, mock.Mock())
    decision = Bench(sdk, platform, cmab_service=made).decide()
    assert (decision.variation_key, len(decision.reasons)) == (None, 3)
