from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import pytest

from shop import Shop
from tallybook import DecisionContext, ForcedDecision

FLAG, RULE = DecisionContext("tested"), DecisionContext("tested", "test")
ON, OFF = ForcedDecision("test_on"), ForcedDecision("nonsense")


@pytest.mark.parametrize("user_id", [None, 7, b"user", []])
def test_a_user_id_must_be_text(
    shop: Shop, user_id: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert shop.client.create_user_context(user_id) is None
    assert len(caplog.records) == 1


@pytest.mark.parametrize("attributes", [[], "", 0, "text", OrderedDict(a=1)])
def test_attributes_must_be_a_plain_dict_or_none(
    shop: Shop, attributes: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert shop.client.create_user_context("user", attributes) is None
    assert len(caplog.records) == 1


def test_attributes_are_copied_in_and_out(shop: Shop) -> None:
    given = {"plan": "gold"}
    user = shop.client.create_user_context("user", given)
    given["plan"] = "changed"
    user.get_user_attributes()["plan"] = "changed"
    assert user.as_json() == {"user_id": "user", "attributes": {"plan": "gold"}}
    assert user.user_id == "user"


@pytest.mark.parametrize("key", [None, 7, []])
def test_an_attributes_key_must_be_text(
    shop: Shop, key: Any, caplog: pytest.LogCaptureFixture
) -> None:
    user = shop.client.create_user_context("user", {"plan": "gold"})
    user.set_attribute(key, 1)
    assert user.get_user_attributes() == {"plan": "gold"}
    assert len(caplog.records) == 1


def test_attributes_set_by_many_threads_are_all_there(shop: Shop) -> None:
    user = shop.client.create_user_context("user")

    def set_some(start: int) -> None:
        for number in range(start, start + 100):
            user.set_attribute(str(number), number)

    threads = [threading.Thread(target=set_some, args=[start]) for start in range(0, 800, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(user.get_user_attributes()) == 800


def test_a_forced_decision_holds_until_it_is_removed(shop: Shop) -> None:
    user = shop.client.create_user_context("user")
    assert user.get_forced_decision(DecisionContext("delivered")) is None
    assert user.set_forced_decision(DecisionContext("for_gold"), ForcedDecision("gold_only_on"))
    assert user.get_forced_decision(DecisionContext("for_gold")) == ForcedDecision("gold_only_on")
    decision = user.decide("for_gold")
    assert (decision.variation_key, decision.rule_key) == ("gold_only_on", None)
    assert user.remove_forced_decision(DecisionContext("for_gold"))
    assert not user.remove_forced_decision(DecisionContext("for_gold"))
    assert user.decide("for_gold").variation_key is None


def test_a_rule_and_its_flag_are_forced_apart(shop: Shop) -> None:
    user = shop.client.create_user_context("user")
    user.set_forced_decision(RULE, ON)
    user.set_forced_decision(FLAG, OFF)
    assert (user.get_forced_decision(RULE), user.get_forced_decision(FLAG)) == (ON, OFF)
    assert user.decide("tested").rule_key == "test", "an unknown variation is passed over"
    assert user.remove_all_forced_decisions()
    assert user.get_forced_decision(RULE) is user.get_forced_decision(FLAG) is None


def test_what_is_forced_later_does_not_reach_an_earlier_decisions_context(shop: Shop) -> None:
    user = shop.client.create_user_context("user")
    context = user.decide("tested").user_context
    user.set_forced_decision(FLAG, ON)
    assert context.get_forced_decision(FLAG) is None


@pytest.mark.parametrize(
    ("context", "decision"),
    [
        (None, ON),
        ("tested", ON),
        (FLAG, None),
        (FLAG, "test_on"),
        (DecisionContext(7), ON),
        (FLAG, ForcedDecision(7)),
    ],  # type: ignore[arg-type]
)
def test_forcing_with_the_wrong_types_is_logged_and_false(
    shop: Shop, context: Any, decision: Any, caplog: pytest.LogCaptureFixture
) -> None:
    user = shop.client.create_user_context("user")
    assert user.set_forced_decision(context, decision) is False
    assert len(caplog.records) == 1


@pytest.mark.parametrize("context", [None, 7, DecisionContext([], "x")])  # type: ignore[arg-type]
def test_asking_with_the_wrong_types_finds_nothing(shop: Shop, context: Any) -> None:
    user = shop.client.create_user_context("user")
    assert user.get_forced_decision(context) is None
    assert user.remove_forced_decision(context) is False


def test_segments_are_kept_as_a_copy_and_asked_by_audiences() -> None:
    condition = {
        "type": "third_party_dimension",
        "name": "odp.audiences",
        "match": "qualified",
        "value": "loyal",
    }
    audience = {"id": "a1", "name": "loyal", "conditions": ["or", condition]}
    user = Shop({"typedAudiences": [audience]}).client.create_user_context("user")
    assert user.get_qualified_segments() is None
    assert not user.is_qualified_for("loyal")
    assert user.decide("for_gold").rule_key is None
    segments = ["new", "loyal"]
    user.set_qualified_segments(segments)
    segments.clear()
    assert user.get_qualified_segments() == ["new", "loyal"]
    assert user.is_qualified_for("loyal")
    assert user.decide("for_gold").rule_key == "gold_only"
    user.set_qualified_segments("loyal")
    assert user.get_qualified_segments() == ["new", "loyal"]
    user.set_qualified_segments(None)
    assert user.get_qualified_segments() is None
