"""The client by its official names: every test is asked of the official package and of ours."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from both_sdks import Dispatcher, Sdk, Spoken
from shop import datafile

TEXT = json.dumps(datafile())
LOGGER = logging.getLogger("shop")
NOTHING = object()
ORDER = (  # in which plugs are looked at
    *("config_manager", "event_dispatcher", "logger", "error_handler", "notification_center"),
    "event_processor",
)
METHODS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "activate": (("test", "user"), None),
    "get_variation": (("test", "user"), None),
    "track": (("purchase", "user"), None),
    "is_feature_enabled": (("tested", "user"), False),
    "get_enabled_features": (("user",), []),
    "set_forced_variation": (("test", "user", "test_on"), False),
    "get_forced_variation": (("test", "user"), None),
    "get_optimizely_config": ((), None),
    "send_odp_event": (("bought", {"id": "user"}), None),
}


class Handler:
    """An error handler that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def handle_error(self, error: Exception) -> None:
        self.told.append(type(error).__name__)


class Client:
    """A client of one package, and what its events dispatcher was given."""

    def __init__(self, sdk: Sdk, text: Any = TEXT, **options: Any) -> None:
        self.dispatcher = Dispatcher()
        options.setdefault("event_processor", sdk.ForwardingEventProcessor(self.dispatcher))
        options.setdefault("logger", LOGGER)
        self.made = sdk.module("optimizely").Optimizely(text, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.made, name)


@pytest.fixture
def client(sdk: Sdk) -> Iterator[Client]:
    client = Client(sdk)
    yield client
    client.close()


@pytest.mark.parametrize(
    "plugs",
    [
        {"config_manager": NOTHING},
        {"event_dispatcher": NOTHING},
        {"logger": NOTHING},
        {"error_handler": NOTHING},
        {"notification_center": NOTHING},
        {"event_processor": NOTHING},
        {"event_processor": NOTHING, "notification_center": NOTHING, "logger": NOTHING},
        {"config_manager": NOTHING, "error_handler": NOTHING},
        {"event_dispatcher": NOTHING, "error_handler": NOTHING},
        {"error_handler": NOTHING, "notification_center": NOTHING},
    ],
    ids=" ".join,
)
def test_what_cannot_be_plugged_in_makes_a_client_that_answers_nothing(
    sdk: Sdk, plugs: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    first = min(plugs, key=ORDER.index)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda _: None)  # the official one's thread dies
        client = Client(sdk, **plugs)

    assert client.is_valid is False
    assert client.logger.name.endswith("optimizely.optimizely.Optimizely")
    assert client.logger.level == logging.INFO
    assert [type(handler) for handler in client.logger.handlers] == [logging.StreamHandler]
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR and r.exc_info]
    assert record.exc_info is not None
    assert type(record.exc_info[1]).__name__ == "InvalidInputException"
    assert first in str(record.exc_info[1])
    for method, (arguments, answer) in METHODS.items():
        assert getattr(client, method)(*arguments) == answer, method
    user = client.create_user_context("user", {"plan": "gold"})
    message = sdk.module("decision.optimizely_decision_message").OptimizelyDecisionMessage
    assert user.decide("tested").reasons == [message.SDK_NOT_READY]
    assert user.decide("tested").variation_key is None
    assert user.decide_for_keys(["tested"]) == user.decide_all() == {}
    assert user.track_event("purchase") is None


@pytest.mark.parametrize(
    ("name", "plug"),
    [
        ("odp_segments_cache", NOTHING),
        ("odp_segment_manager", NOTHING),
        ("odp_event_manager", NOTHING),
    ],
)
def test_settings_are_checked_too(sdk: Sdk, name: str, plug: object) -> None:
    settings = sdk.module("helpers.sdk_settings").OptimizelySdkSettings(**{name: plug})
    assert Client(sdk, settings=settings).is_valid is False


@pytest.mark.parametrize("settings", [7, "text", object()])
def test_settings_of_another_type_are_the_usual_ones(sdk: Sdk, settings: object) -> None:
    client = Client(sdk, settings=settings)
    assert client.is_valid
    assert type(client.sdk_settings).__name__ == "OptimizelySdkSettings"
    client.close()


def test_default_options_are_a_copy_of_a_list_and_of_nothing_else(sdk: Sdk) -> None:
    given = ["INCLUDE_REASONS"]
    client = Client(sdk, default_decide_options=given)
    given.append("EXCLUDE_VARIABLES")
    decision = client.create_user_context("user").decide("tested")
    assert client.default_decide_options == ["INCLUDE_REASONS"]
    assert (bool(decision.reasons), bool(decision.variables)) == (True, True)
    for other in (("INCLUDE_REASONS",), "INCLUDE_REASONS", {"INCLUDE_REASONS": 1}, None):
        client = Client(sdk, default_decide_options=other)
        assert client.default_decide_options == []
        assert client.create_user_context("user").decide("tested").reasons == []


@pytest.mark.parametrize("text", ["{", "", None, 5, b"[]", json.dumps({"version": "4"})])
def test_without_a_datafile_a_client_is_valid_and_answers_nothing(sdk: Sdk, text: Any) -> None:
    client = Client(sdk, text)
    assert client.is_valid is True
    assert client.config_manager.get_config() is None
    for method, (arguments, answer) in METHODS.items():
        assert getattr(client, method)(*arguments) == answer, method
    assert client.get_feature_variable("tested", "colour", "user") is None
    assert client.get_all_feature_variables("tested", "user") is None
    user = client.create_user_context("user", {"plan": "gold"})
    message = sdk.module("decision.optimizely_decision_message").OptimizelyDecisionMessage
    assert user.decide("tested").reasons == [message.SDK_NOT_READY]
    assert user.decide_for_keys(["tested"]) == user.decide_all() == {}
    client.close()


def test_a_datafile_may_be_bytes(sdk: Sdk) -> None:
    client = Client(sdk, TEXT.encode())
    assert client.activate("test", "user") == "test_on"


def test_an_error_handler_may_be_an_object_or_a_class(sdk: Sdk) -> None:
    class Kept(Handler):
        told: list[str] = []  # noqa: RUF012 - shared is what it is to be

        @classmethod
        def handle_error(cls, error: Exception) -> None:  # type: ignore[override] # as a class
            cls.told.append(type(error).__name__)

    handler = Handler()
    for plug in (handler, Kept):
        client = Client(sdk, error_handler=plug)
        client.activate("unknown", "user")
        client.track("unknown", "user")
        client.track("purchase", "user", {"unknown": "attribute"})
        client.track("purchase", "user", None, "tags")
        client.get_variation("test", "user", "attributes")
    assert handler.told == Kept.told
    assert handler.told == [
        "InvalidExperimentException",
        "InvalidEventException",
        "InvalidAttributeException",
        "InvalidEventTagException",
        "InvalidAttributeException",
    ]


@pytest.mark.parametrize("as_class", [True, False])
def test_an_error_handler_that_raises_raises_out_of_the_call(sdk: Sdk, as_class: bool) -> None:
    handler, exceptions = sdk.module("error_handler"), sdk.module("exceptions")
    raising = handler.RaiseExceptionErrorHandler
    client = Client(sdk, error_handler=raising if as_class else raising())
    with pytest.raises(exceptions.InvalidExperimentException):
        client.activate("unknown", "user")
    with pytest.raises(exceptions.InvalidEventException):
        client.create_user_context("user").track_event("unknown")
    with pytest.raises(exceptions.UnsupportedDatafileVersionException):
        Client(sdk, json.dumps(datafile(version="5")), error_handler=raising)


def test_error_handlers_that_do_nothing_are_quiet(sdk: Sdk) -> None:
    handler = sdk.module("error_handler")
    for plug in (handler.BaseErrorHandler, handler.NoOpErrorHandler()):
        assert plug.handle_error(ValueError()) is None
        assert Client(sdk, error_handler=plug).activate("unknown", "user") is None


@pytest.mark.parametrize(
    ("user_id", "attributes"),
    [(None, None), (7, None), (b"user", {}), ("user", []), ("user", ""), ("user", 0)],
)
def test_a_user_context_wants_text_and_a_dictionary(
    client: Client, user_id: Any, attributes: Any
) -> None:
    assert client.create_user_context(user_id, attributes) is None


def test_a_user_context_has_the_official_parts(sdk: Sdk, client: Client) -> None:
    kind = sdk.module("optimizely_user_context").OptimizelyUserContext
    attributes = {"plan": "gold"}
    user = client.create_user_context("user", attributes)
    attributes["plan"] = "none"

    assert type(user) is kind
    assert user.client is client.made
    assert user.logger is LOGGER
    assert user.user_id == "user"
    assert user.get_user_attributes() == {"plan": "gold"}
    assert user.as_json() == {"user_id": "user", "attributes": {"plan": "gold"}}
    with user.lock:
        assert user.forced_decisions_map == {}
    user.user_id = "another"
    assert user.as_json()["user_id"] == "another"
    user.set_attribute("plan", "silver")
    assert user.get_user_attributes() == {"plan": "silver"}


def test_a_user_context_can_be_made_by_itself(sdk: Sdk, client: Client) -> None:
    kind = sdk.module("optimizely_user_context").OptimizelyUserContext
    user = kind(client.made, LOGGER, "user", {"plan": "gold"}, False)
    assert user.decide("for_gold").variation_key == "gold_only_on"
    assert kind(client.made, LOGGER, "user").get_user_attributes() == {}


def test_forced_decisions_are_kept_by_flag_and_rule(client: Client) -> None:
    user = client.create_user_context("user")
    place, other = user.OptimizelyDecisionContext("tested", "test"), ("tested", None)
    decision = user.OptimizelyForcedDecision("test_on")

    assert place == user.OptimizelyDecisionContext("tested", "test")
    assert place != user.OptimizelyDecisionContext(*other)
    assert hash(place) == hash(user.OptimizelyDecisionContext("tested", "test"))
    assert (place.flag_key, place.rule_key) == ("tested", "test")
    assert user.OptimizelyDecisionContext("tested").rule_key is None
    assert user.set_forced_decision(place, decision) is True
    assert user.get_forced_decision(place).variation_key == "test_on"
    assert user.find_forced_decision(place).variation_key == "test_on"
    assert type(user.find_forced_decision(place)) is user.OptimizelyForcedDecision
    assert [
        (c.flag_key, c.rule_key, d.variation_key) for c, d in user.forced_decisions_map.items()
    ] == [("tested", "test", "test_on")]
    assert user.get_forced_decision(user.OptimizelyDecisionContext(*other)) is None
    assert user.remove_forced_decision(user.OptimizelyDecisionContext(*other)) is False
    assert user.remove_forced_decision(place) is True
    assert user.remove_forced_decision(place) is False
    user.set_forced_decision(place, decision)
    assert user.remove_all_forced_decisions() is True
    assert user.forced_decisions_map == {}


def test_segments_are_what_was_set(client: Client) -> None:
    user = client.create_user_context("user")
    assert user.get_qualified_segments() is None
    assert user.is_qualified_for("loyal") is False
    user.set_qualified_segments(["loyal"])
    assert user.get_qualified_segments() == ["loyal"]
    assert user.is_qualified_for("loyal") is True
    user.set_qualified_segments(None)
    assert user.get_qualified_segments() is None


def test_a_decision_is_of_the_official_class(sdk: Sdk, client: Client) -> None:
    kind = sdk.module("decision.optimizely_decision").OptimizelyDecision
    user = client.create_user_context("user", {"plan": "gold"})
    decision = user.decide("tested")

    assert type(decision) is kind
    assert {name: value for name, value in vars(decision).items() if name != "user_context"} == {
        "variation_key": "test_on",
        "enabled": True,
        "variables": {"colour": "red", "size": 3},
        "rule_key": "test",
        "flag_key": "tested",
        "reasons": [],
    }
    assert type(decision.user_context) is type(user)
    assert decision.user_context is not user
    assert decision.user_context.client is client.made
    assert decision.user_context.logger is user.logger
    user.set_attribute("plan", "none")
    assert list(decision.as_json()) == list(vars(kind()))
    assert decision.as_json()["user_context"] == {
        "user_id": "user",
        "attributes": {"plan": "gold"},
    }
    decision.enabled = False  # it is the caller's
    assert decision.enabled is False


def test_a_decision_can_be_made_by_hand(sdk: Sdk, client: Client) -> None:
    kind = sdk.module("decision.optimizely_decision").OptimizelyDecision
    assert vars(kind()) == {
        "variation_key": None,
        "enabled": False,
        "variables": {},
        "rule_key": None,
        "flag_key": None,
        "user_context": None,
        "reasons": [],
    }
    assert kind().as_json()["user_context"] is None
    user = client.create_user_context("user")
    failed = kind.new_error_decision("flag", user, ["why"])
    assert (failed.flag_key, failed.user_context, failed.reasons) == ("flag", user, ["why"])
    assert (failed.variation_key, failed.enabled, failed.variables) == (None, False, {})


def test_unknown_flags_are_undecided_and_named(sdk: Sdk, client: Client) -> None:
    user = client.create_user_context("user")
    message = sdk.module("decision.optimizely_decision_message").OptimizelyDecisionMessage
    assert user.decide("unknown").reasons == [message.FLAG_KEY_INVALID.format("unknown")]
    assert user.decide_for_keys(["unknown"])["unknown"].reasons == []


def test_the_config_is_described_by_objects_that_show_what_is_in_them(client: Client) -> None:
    config = client.get_optimizely_config()
    shown = json.loads(json.dumps(config, default=vars))
    rule = {
        "id": "100",
        "key": "test",
        "variations_map": {
            "test_on": {
                "id": "101",
                "key": "test_on",
                "feature_enabled": True,
                "variables_map": {
                    "colour": {"id": "801", "key": "colour", "type": "string", "value": "red"},
                    "size": {"id": "802", "key": "size", "type": "integer", "value": "3"},
                },
            }
        },
        "audiences": "",
    }
    assert set(shown) == {
        *("revision", "experiments_map", "features_map", "_datafile", "sdk_key"),
        *("environment_key", "attributes", "events", "audiences"),
    }
    assert shown["experiments_map"]["test"] == rule
    assert shown["features_map"]["tested"]["experiment_rules"] == [rule]
    assert shown["attributes"][0] == {"id": "601", "key": "plan"}
    assert shown["audiences"][0]["name"] == "gold"
    assert config.get_datafile() == TEXT
    feature = config.features_map["tested"]
    assert feature.experiment_rules[0] is config.experiments_map["test"]
    assert client.get_optimizely_config() is config
    assert client.config_manager.optimizely_config is config


def test_a_config_manager_of_ones_own_needs_no_more_than_its_config(sdk: Sdk) -> None:
    class Manager(sdk.module("config_manager").BaseConfigManager):  # type: ignore[misc]
        config: Any = None

        def get_config(self) -> Any:
            return self.config

        def get_sdk_key(self) -> Any:
            return "key"

    manager, handler = Manager(), sdk.module("error_handler").NoOpErrorHandler
    client = Client(sdk, None, config_manager=manager)
    assert client.activate("test", "user") is None
    assert client.get_optimizely_config() is None
    made = sdk.module("project_config").ProjectConfig
    manager.config = made(TEXT, LOGGER, handler)
    assert client.activate("test", "user") == "test_on"
    assert client.get_optimizely_config().revision == "7"
    manager.config = made(json.dumps(datafile(revision="8")), LOGGER, handler)
    client.track("purchase", "user")
    assert [event.params["revision"] for event in client.dispatcher.events] == ["7", "8"]


def test_listeners_are_told_of_a_static_datafile(sdk: Sdk) -> None:
    told = []
    center = sdk.NotificationCenter(LOGGER)
    kind = sdk.NotificationTypes.OPTIMIZELY_CONFIG_UPDATE
    center.add_notification_listener(kind, lambda *args: told.append(args))
    client = Client(sdk, notification_center=center)
    assert client.notification_center is center
    assert told == [()]


def test_events_go_out_one_by_one_unless_told_otherwise(sdk: Sdk) -> None:
    sizes = []
    for options in (None, {"batch_size": 2, "flush_interval": 20}):
        dispatcher = Dispatcher()
        client = Client(
            sdk,
            event_processor=None,
            event_dispatcher=dispatcher,
            event_processor_options=options,
        )
        assert isinstance(client.event_processor, sdk.BatchEventProcessor)
        assert client.event_processor.is_running
        for _ in range(2):
            client.track("purchase", "user")
        client.close()
        sizes.append([len(batch) for batch in dispatcher.batches])
    assert sizes == [[1, 1], [2]]


def test_closing_stops_what_was_plugged_in(sdk: Sdk) -> None:
    stopped = []

    class Processor(sdk.BaseEventProcessor):  # type: ignore[misc]
        def process(self, user_event: Any) -> None:
            pass

        def stop(self) -> None:
            stopped.append("processor")

    class Manager(sdk.module("config_manager").StaticConfigManager):  # type: ignore[misc]
        def stop(self) -> None:
            stopped.append("manager")

    manager = Manager(TEXT)
    Client(sdk, config_manager=manager, event_processor=Processor()).close()
    assert stopped == ["processor", "manager"]
    Client(sdk).close()  # neither of the usual ones can be stopped


@pytest.mark.parametrize(
    "arguments",
    [("", {"id": "1"}), (None, {"id": "1"}), ("bought", {}), ("bought", None), ("bought", "text")],
)
def test_an_event_for_the_customer_data_platform_needs_an_action_and_a_user(
    sdk: Sdk, arguments: tuple[Any, Any]
) -> None:
    spoken = Spoken()
    client = Client(sdk, logger=spoken)
    spoken.records.clear()
    assert client.send_odp_event(*arguments) is None
    assert spoken.levels() == ["error"]


def test_without_a_customer_data_platform_no_segments_are_known(client: Client) -> None:
    user = client.create_user_context("user")
    user.set_qualified_segments(["loyal"])
    assert user.fetch_qualified_segments() is False
    assert user.get_qualified_segments() is None
    answers: list[bool] = []
    thread = user.fetch_qualified_segments(answers.append, ["IGNORE_CACHE"])
    thread.join(10)
    assert thread.name == "FetchQualifiedSegmentsThread"
    assert thread.daemon is False
    assert answers == [False]


def test_a_config_shows_what_the_datafile_says(sdk: Sdk) -> None:
    changes = {"sdkKey": "key", "environmentKey": "production", "botFiltering": True}
    text = json.dumps(datafile(region="EU", **changes))
    config = Client(sdk, text).config_manager.get_config()
    assert {name: getattr(config, name) for name in SHOWN} == SHOWN
    assert {name: getattr(config, name)() for name in ASKED} == ASKED
    assert config.to_datafile() == text
    assert config.feature_flags == datafile()["featureFlags"]
    for section in ("experiments", "rollouts", "events", "attributes", "groups", "audiences"):
        assert getattr(config, section) == datafile()[section]
    assert config.integrations == []
    assert list(config.feature_key_map) == ["tested", "switched_off", "delivered", "for_gold"]
    assert list(config.event_key_map) == ["purchase", "my_purchase_event_key"]
    assert config.attribute_key_map["plan"].id == "601"
    assert config.get_attribute_id("plan") == "601"
    assert config.experiment_key_map["test"].layerId == "110"
    assert config.experiment_id_map["100"].key == "test"
    assert config.get_experiment_from_key("test").id == "100"
    assert config.get_experiment_from_id("100").variations[0]["key"] == "test_on"
    assert config.get_feature_from_key("tested").variables["colour"].defaultValue == "blue"
    assert config.get_event("purchase").experimentIds == ["100"]
    assert (config.is_feature_experiment("100"), config.is_feature_experiment("9")) == (True, False)
    for unknown in ("get_experiment_from_key", "get_experiment_from_id", "get_feature_from_key"):
        assert getattr(config, unknown)("unknown") is None
    assert config.get_event("unknown") is config.get_attribute_id("unknown") is None


SHOWN = {
    "version": "4",
    "revision": "7",
    "account_id": "account",
    "project_id": "project",
    "sdk_key": "key",
    "environment_key": "production",
    "anonymize_ip": True,
    "bot_filtering": True,
    "send_flag_decisions": False,
    "region": "EU",
}
ASKED = {
    "get_version": "4",
    "get_revision": "7",
    "get_account_id": "account",
    "get_project_id": "project",
    "get_sdk_key": "key",
    "get_environment_key": "production",
    "get_anonymize_ip_value": True,
    "get_bot_filtering_value": True,
    "get_send_flag_decisions_value": False,
}
