from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from shop import URL, Shop, datafile
from tallybook import Client, DecideOption, DecisionContext, ForcedDecision, NotificationType
from tallybook.model.reason import ReasonKind
from tallybook.wire.author import AuthorWriter

Calls = list[tuple[Any, ...]]


def listen(shop: Shop, kind: NotificationType) -> Calls:
    calls: Calls = []
    shop.client.notifications.add_notification_listener(kind, lambda *args: calls.append(args))
    return calls


def test_a_decision_says_what_the_user_gets(shop: Shop) -> None:
    user = shop.client.create_user_context("user", {"plan": "gold"})
    decision = user.decide("tested")
    assert decision.as_json() == {
        "variation_key": "test_on",
        "enabled": True,
        "variables": {"colour": "red", "size": 3},
        "rule_key": "test",
        "flag_key": "tested",
        "user_context": {"user_id": "user", "attributes": {"plan": "gold"}},
        "reasons": [],
    }
    assert decision.reason_kinds == []


def test_an_experiment_sends_an_impression(shop: Shop) -> None:
    shop.client.create_user_context("user").decide("tested")
    (visitor,) = shop.sent()
    (snapshot,) = visitor["snapshots"]
    assert [event["key"] for event in snapshot["events"]] == ["campaign_activated"]
    assert snapshot["decisions"] == [
        {
            "campaign_id": "110",
            "experiment_id": "100",
            "variation_id": "101",
            "metadata": {
                "flag_key": "tested",
                "rule_key": "test",
                "rule_type": "feature-test",
                "variation_key": "test_on",
                "enabled": True,
            },
        }
    ]


@pytest.mark.parametrize(
    ("flag", "send_flag_decisions", "sent"),
    [
        ("tested", False, True),
        ("switched_off", False, True),
        ("delivered", False, False),
        ("delivered", True, True),
        ("for_gold", False, False),
        ("for_gold", True, True),
    ],
)
def test_impressions_are_sent_under_the_documented_conditions(
    flag: str, send_flag_decisions: bool, sent: bool
) -> None:
    shop = Shop({"sendFlagDecisions": send_flag_decisions})
    told = listen(shop, NotificationType.DECISION)
    user = shop.client.create_user_context("user")
    user.decide(flag)
    assert len(shop.sent()) == sent
    assert told[0][3]["decision_event_dispatched"] is sent
    user.decide(flag, [DecideOption.DISABLE_DECISION_EVENT])
    assert len(shop.sent()) == sent
    assert told[1][3]["decision_event_dispatched"] is False
    shop.client.close(5)


def test_a_decision_without_a_rule_sends_empty_ids(shop: Shop) -> None:
    shop = Shop({"sendFlagDecisions": True})
    assert shop.client.create_user_context("user").decide("for_gold").variation_key is None
    (decision,) = shop.sent()[0]["snapshots"][0]["decisions"]
    assert (decision["campaign_id"], decision["experiment_id"]) == ("", "")
    assert decision["variation_id"] is None
    assert decision["metadata"]["rule_type"] == "rollout"
    shop.client.close(5)


def test_listeners_get_the_decision_as_the_vendor_promises(shop: Shop) -> None:
    told = listen(shop, NotificationType.DECISION)
    shop.client.create_user_context("user", {"plan": "gold"}).decide("tested")
    assert told == [
        (
            "flag",
            "user",
            {"plan": "gold"},
            {
                "flag_key": "tested",
                "enabled": True,
                "variables": {"colour": "red", "size": 3},
                "variation_key": "test_on",
                "rule_key": "test",
                "reasons": [],
                "decision_event_dispatched": True,
                "experiment_id": "100",
                "variation_id": "101",
            },
        )
    ]


def test_without_a_variation_listeners_get_none_for_it() -> None:
    shop = Shop()
    told = listen(shop, NotificationType.DECISION)
    shop.client.create_user_context("user").decide("for_gold")
    info = told[0][3]
    absent = ("variation_key", "rule_key", "experiment_id", "variation_id")
    assert [info[name] for name in absent] == [None] * 4
    shop.client.close(5)


def test_activate_listeners_get_the_rule_the_variation_and_the_request(shop: Shop) -> None:
    told = listen(shop, NotificationType.ACTIVATE)
    user = shop.client.create_user_context("user", {"plan": "gold"})
    user.decide("tested")
    user.set_forced_decision(DecisionContext("delivered"), ForcedDecision("delivery_on"))
    user.decide("delivered")
    user.decide("tested", ["DISABLE_DECISION_EVENT"])
    first, second = told
    rule, user_id, attributes, variation, event = first
    assert (rule.key, user_id, attributes, variation.key) == (
        "test",
        "user",
        {"plan": "gold"},
        "test_on",
    )
    assert list(event) == ["url", "params", "http_verb", "headers"]
    assert event["url"] == URL
    assert event["params"]["visitors"] == shop.sent()[:1]
    assert (second[0].id, second[0].key, second[3].key) == ("", "", "delivery_on")


def test_exclude_variables_leaves_them_out(shop: Shop) -> None:
    user = shop.client.create_user_context("user")
    assert user.decide("tested", ["EXCLUDE_VARIABLES"]).variables == {}


def test_variables_of_a_flag_that_is_off_are_the_defaults() -> None:
    shop = Shop(
        {
            "experiments": [
                {**datafile()["experiments"][0], "status": "Paused"},
                datafile()["experiments"][1],
            ]
        }
    )
    decision = shop.client.create_user_context("user").decide("tested")
    assert (decision.enabled, decision.variables) == (False, {"colour": "blue", "size": 3})
    shop.client.close(5)


def test_reasons_are_sentences_for_people_and_steps_for_programs(shop: Shop) -> None:
    told = listen(shop, NotificationType.DECISION)
    user = shop.client.create_user_context("user")
    decision = user.decide("tested", [DecideOption.INCLUDE_REASONS])
    assert ReasonKind.IN_VARIATION in decision.reason_kinds
    assert any("test_on" in reason for reason in decision.reasons)
    assert all(step.is_reason for step in decision.steps)
    assert told[0][3]["reasons"] == decision.reasons


def test_decide_answers_for_flags_that_are_off_too(shop: Shop) -> None:
    user = shop.client.create_user_context("user")
    for options in (["ENABLED_FLAGS_ONLY"], ["ENABLED_FLAGS_ONLY", "ENABLED_FLAGS_ONLY"]):
        decision = user.decide("switched_off", options)
        assert (decision.enabled, decision.variation_key) == (False, "off_test_on")


def test_decide_all_has_every_flag_in_the_order_of_the_datafile(shop: Shop) -> None:
    decisions = shop.client.create_user_context("user").decide_all()
    assert list(decisions) == ["tested", "switched_off", "delivered", "for_gold"]
    assert [d.enabled for d in decisions.values()] == [True, False, True, False]


def test_enabled_flags_only_leaves_out_what_is_off_but_still_tells_of_it(shop: Shop) -> None:
    told = listen(shop, NotificationType.DECISION)
    user = shop.client.create_user_context("user")
    assert list(user.decide_all(["ENABLED_FLAGS_ONLY"])) == ["tested", "delivered"]
    assert [call[3]["flag_key"] for call in told] == [
        "tested",
        "switched_off",
        "delivered",
        "for_gold",
    ]
    keys = [v["snapshots"][0]["decisions"][0]["metadata"]["flag_key"] for v in shop.sent()]
    assert keys == ["tested", "switched_off"]


def test_default_options_join_those_of_the_call() -> None:
    shop = Shop(default_decide_options=[DecideOption.ENABLED_FLAGS_ONLY, "EXCLUDE_VARIABLES"])
    user = shop.client.create_user_context("user")
    for _ in range(2):  # the defaults are not used up
        assert user.decide("switched_off").flag_key == "switched_off"
        decisions = user.decide_all(["DISABLE_DECISION_EVENT"])
        assert list(decisions) == ["tested", "delivered"]
        assert decisions["tested"].variables == {}
    assert len(shop.sent()) == 2
    shop.client.close(5)


@pytest.mark.parametrize(
    "options", ["EXCLUDE_VARIABLES", ("EXCLUDE_VARIABLES",), {"EXCLUDE_VARIABLES": 1}, 7]
)
def test_options_that_are_no_list_are_passed_over(shop: Shop, options: Any) -> None:
    assert shop.client.create_user_context("user").decide("tested", options).variables


def test_options_nobody_knows_are_passed_over(shop: Shop) -> None:
    user = shop.client.create_user_context("user")
    assert user.decide("tested", ["UNKNOWN", 7, None, []]).variables  # type: ignore[list-item]


def test_an_unknown_flag_is_undecided_with_its_reason(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    decision = shop.client.create_user_context("user").decide("unknown")
    assert (decision.flag_key, decision.enabled, decision.variation_key) == ("unknown", False, None)
    assert decision.reason_kinds == [ReasonKind.FLAG_UNKNOWN]
    assert "unknown" in decision.reasons[0]
    assert caplog.records[0].levelno == logging.ERROR
    assert shop.sent() == []


@pytest.mark.parametrize("key", [None, 7, [], {}, b"tested"])
def test_a_key_that_is_no_text_is_undecided(shop: Shop, key: Any) -> None:
    decision = shop.client.create_user_context("user").decide(key)
    assert decision.reason_kinds == [ReasonKind.FLAG_UNKNOWN]
    assert decision.flag_key is key


def test_keys_that_nobody_knows_are_undecided_without_a_reason(shop: Shop) -> None:
    told = listen(shop, NotificationType.DECISION)
    decisions = shop.client.create_user_context("user").decide_for_keys(
        ["unknown", "tested", "tested"]
    )
    assert {key: decision.reasons for key, decision in decisions.items()} == {
        "unknown": [],
        "tested": [],
    }
    assert decisions["tested"].enabled
    assert not decisions["unknown"].enabled
    assert len(told) == len(shop.sent()) == 2, "a flag is decided as often as it is named"


@pytest.mark.parametrize("keys", [None, "tested", 7, [7, None]])
def test_keys_of_the_wrong_type_decide_nothing(shop: Shop, keys: Any) -> None:
    assert shop.client.create_user_context("user").decide_for_keys(keys) == {}
    assert shop.sent() == []


def test_all_flags_are_decided_before_the_first_is_told(shop: Shop) -> None:
    user = shop.client.create_user_context("user")

    def meddle(*args: object) -> None:
        user.set_forced_decision(DecisionContext("delivered"), ForcedDecision("nonsense"))
        user.set_attribute("plan", "gold")

    shop.client.notifications.add_notification_listener(NotificationType.DECISION, meddle)
    assert not user.decide_all()["for_gold"].enabled
    assert user.decide("for_gold").enabled


def test_a_client_without_a_datafile_answers_not_ready_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client(sdk_key="key", http=Shop().mailbox)
    user = client.create_user_context("user")
    decision = user.decide("tested")
    assert decision.reason_kinds == [ReasonKind.NOT_READY]
    assert len(decision.reasons) == 1
    assert user.decide_all() == user.decide_for_keys(["tested"]) == {}
    assert user.decide(7).reason_kinds == [ReasonKind.FLAG_UNKNOWN]  # type: ignore[arg-type]
    client.close(1)


def test_a_decisions_context_stays_as_it_was(shop: Shop) -> None:
    user = shop.client.create_user_context("user", {"plan": "free"})
    decision = user.decide("tested")
    user.set_attribute("plan", "gold")
    assert decision.user_context.get_user_attributes() == {"plan": "free"}
    decision.user_context.set_attribute("plan", "other")
    assert user.get_user_attributes() == {"plan": "gold"}


def test_steps_are_logged_as_loud_as_they_are(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="tallybook")
    shop.client.create_user_context("user").decide("tested")
    assert {record.levelno for record in caplog.records} >= {logging.DEBUG, logging.INFO}
    caplog.clear()
    caplog.set_level(logging.WARNING, logger="tallybook")
    shop.client.create_user_context("user", {"plan": 7}).decide("for_gold")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_deciding_goes_on_after_close(shop: Shop) -> None:
    shop.client.close(5)
    assert shop.client.create_user_context("user").decide("tested").enabled


def test_json_of_a_decision_is_json(shop: Shop) -> None:
    assert json.loads(
        json.dumps(shop.client.create_user_context("user").decide("tested").as_json())
    )


def test_keys_may_be_any_collection(shop: Shop) -> None:
    user = shop.client.create_user_context("user")
    wanted: Any = {"tested": 1, "delivered": 2}.keys()
    assert list(user.decide_for_keys(wanted)) == ["tested", "delivered"]


def test_a_key_that_cannot_even_be_printed_is_undecided(shop: Shop) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise ValueError

        __repr__ = __str__

    key: Any = Unprintable()
    decision = shop.client.create_user_context("user").decide(key)
    assert decision.reason_kinds == [ReasonKind.FLAG_UNKNOWN]
    assert "Unprintable" in decision.reasons[0]


def test_a_visitor_is_written_once_for_all_their_decisions_and_conversions(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[object] = []

    write = AuthorWriter.write

    def counted(*args: Any) -> Any:
        written.append(args)
        return write(*args)

    monkeypatch.setattr(AuthorWriter, "write", counted)
    user = shop.client.create_user_context("user", {"plan": "gold"})
    for _ in range(3):
        user.decide("tested")
    user.track_event("purchase")
    user.set_attribute("plan", "blue")
    user.decide("tested")
    assert len(written) == 2
    plans = [visitor["attributes"][0]["value"] for visitor in shop.sent()]
    assert plans == ["gold"] * 4 + ["blue"]
