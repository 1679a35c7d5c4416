"""The double for users' tests: flags answer as told, and what is tracked can be seen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

import shop
from tallybook import Client, ClientSettings, ConfigError, DecideOption, NotFoundError
from tallybook.notify import NotificationType
from tallybook.testing import DatafileBuilder, FixedClock, InMemoryClient, Letterbox


@pytest.fixture
def client() -> Iterator[InMemoryClient]:
    with InMemoryClient(events=["purchase", "signup"], attributes=["plan"]) as client:
        yield client


def decide(client: Client, flag: str, user_id: str = "user123", **attributes: object):
    return client.create_user_context(user_id, attributes).decide(flag)


def test_it_is_a_client_and_ready_at_once(client: InMemoryClient) -> None:
    assert isinstance(client, Client)
    assert client.is_ready


def test_a_flag_answers_what_was_set(client: InMemoryClient) -> None:
    variables = {"color": "green", "size": 3, "ratio": 0.5, "bold": True, "more": {"a": [1, None]}}
    client.set_flag("checkout", variation="treatment", variables=variables)

    decision = decide(client, "checkout")

    assert (decision.variation_key, decision.enabled) == ("treatment", True)
    assert decision.variables == variables
    assert decision.rule_key == "checkout_test"


def test_a_flag_without_a_variation_is_on(client: InMemoryClient) -> None:
    client.set_flag("checkout")
    assert decide(client, "checkout").variation_key == "on"


def test_a_flag_that_is_off_answers_its_variables_all_the_same(client: InMemoryClient) -> None:
    client.set_flag("checkout", enabled=False, variables={"color": "blue"})
    decision = decide(client, "checkout")
    assert (decision.variation_key, decision.enabled) == ("off", False)
    assert decision.variables == {"color": "blue"}


def test_the_last_answer_counts_for_users_that_are_there_already(client: InMemoryClient) -> None:
    user = client.create_user_context("user123")
    client.set_flag("checkout", variation="treatment", variables={"color": "green"})
    before = user.decide("checkout")
    client.set_flag("checkout", variation="control")
    after = user.decide("checkout")
    assert (before.variation_key, after.variation_key) == ("treatment", "control")
    assert after.variables == {"color": ""}


def test_some_users_can_get_another_answer(client: InMemoryClient) -> None:
    client.set_flag("checkout", variation="control")
    client.set_flag("checkout", variation="treatment", users=["vip"])
    assert decide(client, "checkout", "vip").variation_key == "treatment"
    assert decide(client, "checkout", "else").variation_key == "control"
    client.set_flag("checkout", variation="other")
    assert decide(client, "checkout", "vip").variation_key == "treatment"
    assert decide(client, "checkout", "else").variation_key == "other"


def test_a_flag_for_some_users_alone_has_no_answer_for_others(client: InMemoryClient) -> None:
    client.set_flag("checkout", variation="treatment", users=["vip"])
    assert decide(client, "checkout", "else").variation_key is None


def test_a_flag_nobody_set_is_unknown_as_in_production(client: InMemoryClient) -> None:
    decision = client.create_user_context("user123").decide("chekout")
    assert [kind.value for kind in decision.reason_kinds] == ["flag_unknown"]


def test_whoever_listens_hears_of_a_changed_flag(client: InMemoryClient) -> None:
    heard = []
    client.notifications.add_notification_listener(
        NotificationType.OPTIMIZELY_CONFIG_UPDATE, lambda: heard.append(1)
    )
    client.set_flag("checkout")
    client.set_flag("checkout")
    assert len(heard) == 2


def test_what_was_tracked_is_seen_as_a_server_sees_it(client: InMemoryClient) -> None:
    user = client.create_user_context("user123", {"plan": "gold", "unknown": 1})
    user.track_event("purchase", {"revenue": 4200, "value": 1.5, "category": "shoes"})
    client.clock.advance(timedelta(minutes=1))
    client.track("signup", "somebody")

    purchase, signup = client.tracked()

    assert (purchase.event_key, purchase.user_id) == ("purchase", "user123")
    assert purchase.attributes == {"plan": "gold"}
    assert purchase.tags == {"revenue": 4200, "value": 1.5, "category": "shoes"}
    assert (purchase.revenue, purchase.value) == (4200, 1.5)
    assert signup.at_ms - purchase.at_ms == 60_000
    assert purchase.uuid != signup.uuid
    assert client.tracked("signup") == [signup]
    assert client.tracked(user_id="user123") == [purchase]


def test_asking_for_an_event_that_cannot_be_tracked_is_a_mistake_in_the_test(client) -> None:
    with pytest.raises(NotFoundError, match=r"`purchas` is not defined.*purchase, signup"):
        client.tracked("purchas")


def test_an_event_can_be_defined_later(client: InMemoryClient) -> None:
    client.track("refund", "user123")
    assert client.delivery_stats().refused == {"unknown_event": 1}
    client.define_event("refund")
    client.track("refund", "user123")
    assert len(client.tracked("refund")) == 1


def test_decisions_are_seen_unless_they_were_not_to_be_sent(client: InMemoryClient) -> None:
    client.set_flag("checkout", variation="treatment")
    user = client.create_user_context("user123", {"plan": "gold"})
    user.decide("checkout")
    user.decide("checkout", [DecideOption.DISABLE_DECISION_EVENT])

    (sent,) = client.decided("checkout")

    assert (sent.flag_key, sent.variation_key, sent.enabled) == ("checkout", "treatment", True)
    assert (sent.rule_key, sent.user_id) == ("checkout_test", "user123")
    assert sent.attributes == {"plan": "gold"}
    assert client.decided("other") == client.decided(user_id="other") == []


def test_what_is_forgotten_is_not_seen_again(client: InMemoryClient) -> None:
    client.track("purchase", "before")
    client.forget()
    client.track("purchase", "after")
    assert [event.user_id for event in client.tracked()] == ["after"]


def test_an_outage_can_be_played(client: InMemoryClient) -> None:
    client.letterbox.status = 503
    client.track("purchase", "user123")
    assert client.tracked("purchase") == []
    assert client.delivery_stats().waiting_events == 1
    client.letterbox.status = 204
    assert client.flush(10)
    assert len(client.tracked("purchase")) == 1


def test_compressed_bodies_are_read_too() -> None:
    settings = ClientSettings()
    gzipped = {"gzip": True, "batch_size": 7}
    settings = ClientSettings(delivery=type(settings.delivery)(**gzipped))
    with InMemoryClient(events=["purchase"], settings=settings) as client:
        client.track("purchase", "user123")
        assert len(client.tracked("purchase")) == 1


def test_it_closes_like_any_client() -> None:
    async def serve() -> InMemoryClient:
        async with InMemoryClient(events=["purchase"]) as client:
            client.track("purchase", "user123")
        return client

    client = asyncio.run(serve())
    assert len(client.tracked("purchase")) == 1


def test_a_copy_of_production_answers_until_told_otherwise() -> None:
    with InMemoryClient(json.dumps(shop.datafile())) as client:
        assert decide(client, "tested").variables == {"colour": "red", "size": 3}
        client.set_flag("tested", variation="test_on", variables={"size": 9})
        assert decide(client, "tested").variables == {"colour": "red", "size": 9}
        client.set_flag("delivered", variation="special", users=["vip"])
        assert decide(client, "delivered", "vip").variation_key == "special"
        assert decide(client, "delivered", "else").variation_key == "delivery_on"
        client.track("purchase", "user123")
        assert len(client.tracked("purchase")) == 1


def test_a_holdout_keeps_nobody_from_a_flag_that_was_set() -> None:
    holdout = {**shop.rule(9, "nobody"), "variations": [{"id": "901", "key": "off"}]}
    with InMemoryClient(json.dumps(shop.datafile(holdouts=[holdout]))) as client:
        assert decide(client, "tested").variation_key == "off"
        client.set_flag("tested", variation="test_on")
        assert decide(client, "tested").variation_key == "test_on"


def test_a_value_of_another_type_than_the_variable_is_refused() -> None:
    with InMemoryClient(json.dumps(shop.datafile())) as client:
        with pytest.raises(
            ConfigError, match=r"`size` of flag `tested`.*type integer, found 'big'"
        ):
            client.set_flag("tested", variables={"size": "big"})
        with pytest.raises(ConfigError, match="expected a bool, int"):
            client.set_flag("tested", variables={"new": None})
        assert decide(client, "tested").variation_key == "test_on"


def test_a_whole_number_is_a_double_where_the_variable_is_one() -> None:
    with InMemoryClient() as client:
        client.set_flag("checkout", variation="a", variables={"ratio": 0.5})
        client.set_flag("checkout", variation="b", variables={"ratio": 2})
        assert decide(client, "checkout").variables == {"ratio": 2.0}


def test_a_split_gives_each_variation_its_share() -> None:
    builder = DatafileBuilder().flag(
        "checkout", variations={"control": {}, "treatment": {"color": "green"}, "off": {}}
    )
    with Client(builder.build(), http=Letterbox()) as client:
        keys = [decide(client, "checkout", f"user{n}").variation_key for n in range(300)]
        assert {key: keys.count(key) > 60 for key in set(keys)} == {
            "control": True,
            "treatment": True,
            "off": True,
        }
        decisions = [decide(client, "checkout", f"user{n}") for n in range(30)]
        assert {d.enabled for d in decisions if d.variation_key == "off"} == {False}


def test_defaults_and_audiences_are_kept() -> None:
    builder = DatafileBuilder().flag(
        "checkout",
        variations={"control": {}, "treatment": {"color": "green"}},
        defaults={"color": "blue"},
        split={"control": 10_000},
        audience={"plan": "gold", "age": 18},
    )
    with Client(builder.build(), http=Letterbox()) as client:
        assert decide(client, "checkout", plan="gold", age=18).variables == {"color": "blue"}
        assert decide(client, "checkout", plan="gold").variation_key is None


@pytest.mark.parametrize("split", [{"treatment": 1}, {"on": 10_001}, {"on": -1}])
def test_a_split_that_cannot_be_is_refused(split: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="split of flag `checkout`"):
        DatafileBuilder().flag("checkout", split=split)


def test_every_build_is_a_revision_of_its_own() -> None:
    builder = DatafileBuilder(events=["purchase"]).event("purchase").attribute("plan")
    revisions = [json.loads(builder.attribute("plan").build())["revision"] for _ in range(2)]
    assert revisions == ["test-1", "test-2"]
    assert builder.event_keys == ("purchase",)


def test_a_fixed_clock_says_what_it_was_told() -> None:
    clock = FixedClock(datetime(2026, 1, 1))  # noqa: DTZ001 - what people write
    assert clock() == 1_767_225_600_000
    clock.set(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now == datetime(2026, 1, 1, tzinfo=UTC)


def test_the_letterbox_gives_no_datafile(client: InMemoryClient) -> None:
    assert client.letterbox.get("http://x", {}).status == 404
