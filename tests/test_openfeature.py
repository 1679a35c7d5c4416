"""The OpenFeature provider, asked by OpenFeature's own client."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails

import shop
from sinks import Mailbox
from tallybook import Client, ClientSettings, DecideOption
from tallybook.client import PollingSettings
from tallybook.openfeature import TallybookProvider
from tallybook.testing import DatafileBuilder, InMemoryClient, Letterbox

USER = EvaluationContext("user123", {"plan": "gold", "age": 30})
VARIABLES = {"color": "green", "size": 3, "ratio": 0.5, "bold": True, "more": {"a": [1]}, "l": [1]}


@pytest.fixture
def client() -> Iterator[InMemoryClient]:
    with InMemoryClient(events=["purchase"], attributes=["plan", "age", "since"]) as client:
        client.set_flag("checkout", variation="treatment", variables=VARIABLES)
        client.set_flag("dark", enabled=False)
        yield client


@pytest.fixture
def flags(client: InMemoryClient) -> Iterator[Any]:
    api.set_provider_and_wait(TallybookProvider(client))
    yield api.get_client()
    api.clear_providers()


def use(datafile: str | bytes) -> Client:
    client = Client(datafile, http=Letterbox())
    api.set_provider_and_wait(TallybookProvider(client))
    return client


@pytest.fixture(autouse=True)
def afterwards() -> Iterator[None]:
    yield
    api.clear_providers()


class Heard:
    """What a handler of provider events was told, in order."""

    def __init__(self, *events: ProviderEvent) -> None:
        self.told: list[tuple[str, EventDetails]] = []
        self._arrived = threading.Condition()
        self._handlers = [(event, self._handler(event)) for event in events]

    def _handler(self, event: ProviderEvent):
        def hear(details: EventDetails) -> None:
            if details.provider_name != "Tallybook":
                return  # whoever listens for READY hears of the provider before, too
            with self._arrived:
                self.told.append((event.value, details))
                self._arrived.notify_all()

        return hear

    def __enter__(self):
        for event, handler in self._handlers:
            api.add_handler(event, handler)
        return self

    def __exit__(self, *error: object) -> None:
        for event, handler in self._handlers:
            api.remove_handler(event, handler)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def wait_for(self, name: str, count: int = 1) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: self.names.count(name) >= count, 10)


def test_a_flag_is_a_boolean_a_string_and_an_object(flags) -> None:
    assert flags.get_boolean_value("checkout", False, USER) is True
    assert flags.get_boolean_value("dark", True, USER) is False
    assert flags.get_string_value("checkout", "none", USER) == "treatment"
    assert flags.get_object_value("checkout", {}, USER) == VARIABLES


def test_variables_are_asked_for_by_name_and_type(flags) -> None:
    assert flags.get_string_value("checkout.color", "blue", USER) == "green"
    assert flags.get_integer_value("checkout.size", 1, USER) == 3
    assert flags.get_float_value("checkout.ratio", 1.0, USER) == 0.5
    assert flags.get_float_value("checkout.size", 1.0, USER) == 3.0
    assert flags.get_boolean_value("checkout.bold", False, USER) is True
    assert flags.get_object_value("checkout.more", {}, USER) == {"a": [1]}
    assert flags.get_object_value("checkout.l", [], USER) == [1]


def test_coroutines_get_the_same(flags) -> None:
    async def ask() -> tuple[bool, float]:
        return (
            await flags.get_boolean_value_async("checkout", False, USER),
            await flags.get_float_value_async("checkout.ratio", 1.0, USER),
        )

    assert asyncio.run(ask()) == (True, 0.5)


def test_details_say_which_variation_and_which_rule(flags) -> None:
    details = flags.get_boolean_details("checkout", False, USER)
    assert details.variant == "treatment"
    assert details.reason == Reason.SPLIT
    assert details.flag_metadata == {
        "flag_key": "checkout",
        "rule_key": "checkout_test",
        "enabled": True,
    }
    assert details.error_code is None


def test_the_reason_says_how_a_variation_came_about(client, flags) -> None:
    client.set_flag("checkout", variation="treatment", users=["vip"])
    vip = flags.get_string_details("checkout", "none", EvaluationContext("vip"))
    assert vip.reason == Reason.TARGETING_MATCH


def test_deliveries_and_everyone_else_have_reasons_of_their_own() -> None:
    changes = {
        "rollouts": [
            {
                "id": "r4",
                "experiments": [
                    {**shop.rule(4, "gold_only"), "audienceConditions": ["a1"]},
                    shop.rule(5, "all"),
                ],
            },
            {"id": "r5", "experiments": [shop.rule(6, "nobody", traffic=0)]},
        ],
        "featureFlags": [shop.flag("for_gold", rollout="r4"), shop.flag("none", rollout="r5")],
    }
    with use(json.dumps(shop.datafile(**changes))):
        flags = api.get_client()
        gold = flags.get_string_details("for_gold", "?", EvaluationContext("u", {"plan": "gold"}))
        other = flags.get_string_details("for_gold", "?", EvaluationContext("u"))
        nobody = flags.get_string_details("none", "?", EvaluationContext("u"))
        off = flags.get_boolean_details("none", True, EvaluationContext("u"))
    assert (gold.value, gold.reason) == ("gold_only_on", Reason.TARGETING_MATCH)
    assert (other.value, other.reason) == ("all_on", Reason.DEFAULT)
    assert (nobody.value, nobody.reason, nobody.variant) == ("?", Reason.DEFAULT, None)
    assert "rule_key" not in nobody.flag_metadata
    assert (off.value, off.reason) == (False, Reason.DEFAULT)


@pytest.mark.parametrize(
    ("kind", "key", "default", "code"),
    [
        ("boolean", "chekout", True, ErrorCode.FLAG_NOT_FOUND),
        ("boolean", "checkout.nothing", True, ErrorCode.FLAG_NOT_FOUND),
        ("boolean", "checkout.color", True, ErrorCode.TYPE_MISMATCH),
        ("string", "checkout.size", "d", ErrorCode.TYPE_MISMATCH),
        ("integer", "checkout", 7, ErrorCode.TYPE_MISMATCH),
        ("integer", "checkout.bold", 7, ErrorCode.TYPE_MISMATCH),
        ("integer", "checkout.ratio", 7, ErrorCode.TYPE_MISMATCH),
        ("float", "checkout", 7.0, ErrorCode.TYPE_MISMATCH),
        ("float", "checkout.bold", 7.0, ErrorCode.TYPE_MISMATCH),
        ("object", "checkout.color", {"d": 1}, ErrorCode.TYPE_MISMATCH),
    ],
)
def test_an_error_gives_the_default_and_its_code(flags, kind, key, default, code) -> None:
    details = getattr(flags, f"get_{kind}_details")(key, default, USER)
    assert (details.value, details.error_code) == (default, code)
    assert details.reason == Reason.ERROR
    assert key.partition(".")[0] in details.error_message


def test_a_number_that_a_flag_is_not_shows_nothing_to_the_user(client, flags) -> None:
    flags.get_integer_value("checkout", 7, USER)
    assert client.decided() == []


def test_a_variable_that_cannot_be_read_is_a_parse_error() -> None:
    datafile = shop.datafile()
    datafile["experiments"][0]["variations"][0]["variables"] = [{"id": "802", "value": "many"}]
    with use(json.dumps(datafile)):
        details = api.get_client().get_integer_details("tested.size", 1, USER)
    assert (details.value, details.error_code) == (1, ErrorCode.PARSE_ERROR)


@pytest.mark.parametrize("context", [None, EvaluationContext(), EvaluationContext("")])
def test_without_a_user_there_is_no_answer(flags, context) -> None:
    details = flags.get_boolean_details("checkout", False, context)
    assert (details.value, details.error_code) == (False, ErrorCode.TARGETING_KEY_MISSING)


def test_a_user_who_is_no_text_is_an_invalid_context(flags) -> None:
    details = flags.get_boolean_details("checkout", False, EvaluationContext(7))  # type: ignore[arg-type]
    assert details.error_code == ErrorCode.INVALID_CONTEXT


def test_the_context_becomes_the_user_and_the_attributes(client, flags) -> None:
    since = datetime(2026, 1, 2, tzinfo=UTC)
    api.set_evaluation_context(EvaluationContext(attributes={"plan": "gold", "since": since}))
    try:
        flags.get_boolean_value("checkout", False, EvaluationContext("user123", {"age": 30}))
    finally:
        api.set_evaluation_context(EvaluationContext())
    (sent,) = client.decided("checkout")
    assert sent.user_id == "user123"
    assert sent.attributes == {"plan": "gold", "age": 30, "since": "2026-01-02T00:00:00+00:00"}


def test_no_decision_event_is_sent_where_the_client_is_told_so() -> None:
    settings = ClientSettings(default_decide_options=[DecideOption.DISABLE_DECISION_EVENT])
    with InMemoryClient(settings=settings) as client:
        client.set_flag("checkout")
        api.set_provider_and_wait(TallybookProvider(client))
        assert api.get_client().get_boolean_value("checkout", False, USER)
        assert client.decided() == []


def test_tracking_maps_value_and_fields_and_keeps_reserved_tags(client, flags) -> None:
    details = TrackingEventDetails(99.5, {"revenue": 4200, "category": "shoes", "value": 1})
    flags.track("purchase", USER, details)
    (event,) = client.tracked("purchase")
    assert event.user_id == "user123"
    assert event.attributes == {"plan": "gold", "age": 30}
    assert event.tags == {"revenue": 4200, "category": "shoes", "value": 99.5}
    assert (event.revenue, event.value) == (4200, 99.5)


def test_tracking_needs_neither_details_nor_a_value(client, flags) -> None:
    flags.track("purchase", USER)
    flags.track("purchase", USER, TrackingEventDetails(attributes={"value": 2}))
    assert [event.value for event in client.tracked("purchase")] == [None, 2]


def test_an_event_without_a_user_is_refused_and_counted(client, flags) -> None:
    flags.track("purchase")
    assert client.tracked() == []
    assert client.delivery_stats().refused == {"invalid_argument": 1}


def test_the_provider_has_a_name_and_shows_its_client(client) -> None:
    provider = TallybookProvider(client)
    assert provider.get_metadata().name == "Tallybook"
    assert provider.get_provider_hooks() == []
    assert provider.client is client


def test_ready_and_configuration_changed_are_each_told_once(client) -> None:
    names = (ProviderEvent.PROVIDER_READY, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    with Heard(*names) as heard:
        api.set_provider_and_wait(TallybookProvider(client))
        client.set_flag("checkout", variation="control")
        assert heard.wait_for("PROVIDER_CONFIGURATION_CHANGED")
        assert heard.names == ["PROVIDER_READY", "PROVIDER_CONFIGURATION_CHANGED"]
        assert api.get_client().get_string_value("checkout", "", USER) == "control"


def test_after_shutdown_nothing_is_told_and_the_caller_s_client_goes_on(client) -> None:
    provider = TallybookProvider(client)
    api.set_provider_and_wait(provider)
    api.get_client().track("purchase", USER)
    api.clear_providers()
    assert client.delivery_stats().waiting_events == 0
    with Heard(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED) as heard:
        client.set_flag("checkout")
        assert heard.names == []
    client.track("purchase", "user123")
    assert len(client.tracked("purchase")) == 2


def connected(host: Mailbox, **options: Any) -> TallybookProvider:
    settings = ClientSettings(
        http=host, polling=PollingSettings(interval_s=0.01, backoff_base_s=0.001)
    )
    return TallybookProvider.connect("key", "http://tallybook", settings=settings, **options)


def test_a_connected_provider_is_ready_goes_stale_and_recovers() -> None:
    datafile = DatafileBuilder().flag("checkout").build()
    host = Mailbox(datafile)
    names = (ProviderEvent.PROVIDER_READY, ProviderEvent.PROVIDER_STALE)
    with Heard(*names) as heard:
        api.set_provider_and_wait(connected(host))
        flags = api.get_client()
        host.datafile = b""
        assert heard.wait_for("PROVIDER_STALE")
        assert flags.get_provider_status() == ProviderStatus.STALE
        assert flags.get_boolean_value("checkout", False, USER) is True
        host.datafile = datafile
        assert heard.wait_for("PROVIDER_READY", 2)
        assert flags.get_provider_status() == ProviderStatus.READY


def test_a_provider_without_a_datafile_is_in_error_until_one_comes() -> None:
    host = Mailbox()
    provider = connected(host, ready_within_s=0.01)
    flags = api.get_client()
    with Heard(ProviderEvent.PROVIDER_ERROR, ProviderEvent.PROVIDER_READY) as heard:
        with pytest.raises(ProviderNotReadyError):
            api.set_provider_and_wait(provider)
        assert heard.wait_for("PROVIDER_ERROR")
        details = flags.get_boolean_details("checkout", False, USER)
        assert (details.value, details.error_code) == (False, ErrorCode.PROVIDER_NOT_READY)
        host.datafile = DatafileBuilder().flag("checkout").build()
        assert heard.wait_for("PROVIDER_READY")
        assert heard.names == ["PROVIDER_ERROR", "PROVIDER_READY"]
    assert flags.get_boolean_value("checkout", False, USER) is True


def test_a_connected_provider_closes_its_client_when_it_is_shut_down() -> None:
    host = Mailbox(DatafileBuilder(events=["purchase"]).flag("checkout").build())
    provider = connected(host)
    api.set_provider_and_wait(provider)
    api.get_client().track("purchase", USER, TrackingEventDetails(2.5))
    api.clear_providers()
    (visitor,) = host.visitors
    assert visitor["snapshots"][0]["events"][0]["value"] == 2.5
    api.get_client().track("purchase", USER)
    provider.client.track("purchase", "user123")
    assert provider.client.delivery_stats().refused == {"closed": 1}
