from __future__ import annotations

import json
import math
from enum import IntEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.model.decision import DecisionSource, Verdict
from tallybook.model.event import ConversionEvent, DecisionEvent, Sender, VisitorAttribute
from tallybook.model.project import Attribute, EventType, Experiment, Project, Variation
from tallybook.wire.author import AuthorWriter
from tallybook.wire.batch_reader import read_batch
from tallybook.wire.batch_writer import (
    BATCH_CLOSING,
    conversion_frame,
    decision_item,
    impression_frame,
    write_event,
    write_opening,
)
from tallybook.wire.event_api import VisitorItem
from tallybook.wire.event_tags import Flaw, Remark, write_tags

UUID = b"11111111-2222-4333-8444-555555555555"
AT_MS = 1_760_000_000_123
SENDER = Sender("account", "project", "7", "tallybook-python", "0.1.0", anonymize_ip=False)
PROJECT = Project(
    account_id="account",
    project_id="project",
    revision="7",
    attributes=(Attribute("601", "plan"), Attribute("602", "$opt_odd")),
)
BUY = EventType("501", "buy")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def rule(layer_id: str = "91") -> Experiment:
    return Experiment("101", "test", "Running", layer_id, (), ())


def author(attributes: dict[Any, Any] | None = None, user_id: str = "user") -> bytes:
    return AuthorWriter(PROJECT).write(user_id, attributes or {})[0]


def rows(attributes: dict[Any, Any], project: Project = PROJECT) -> list[Any]:
    text, _ = AuthorWriter(project).write("user", attributes)
    return list(json.loads(b"{" + text)["attributes"])


def batch(*visitors: bytes) -> bytes:
    return write_opening(SENDER) + b",".join(visitors) + BATCH_CLOSING


def test_a_conversion_is_written_in_the_order_of_the_event_api() -> None:
    tags, _ = write_tags({"revenue": 1234, "value": 2, "kind": "shoes"})
    visitor = write_event(conversion_frame(BUY), UUID, AT_MS, tags, author({"plan": "gold"}))
    assert visitor == (
        b'{"snapshots":[{"events":[{"entity_id":"501","uuid":"11111111-2222-4333-8444-555555555555",'
        b'"key":"buy","timestamp":1760000000123,"revenue":1234,"value":2.0,'
        b'"tags":{"revenue":1234,"value":2,"kind":"shoes"}}]}],'
        b'"attributes":[{"entity_id":"601","key":"plan","type":"custom","value":"gold"}],'
        b'"visitor_id":"user"}'
    )


def test_an_impression_is_written_in_the_order_of_the_event_api() -> None:
    verdict = Verdict(rule(), Variation("201", "on", enabled=True), DecisionSource.FEATURE_TEST)
    decided = decision_item("flag", verdict, enabled=True)
    assert write_event(impression_frame(decided), UUID, AT_MS, b"", author()) == (
        b'{"snapshots":[{"events":[{"entity_id":"91","uuid":"11111111-2222-4333-8444-555555555555",'
        b'"key":"campaign_activated","timestamp":1760000000123}],"decisions":[{"campaign_id":"91",'
        b'"experiment_id":"101","variation_id":"201","metadata":{"flag_key":"flag","rule_key":"test",'
        b'"rule_type":"feature-test","variation_key":"on","enabled":true}}]}],'
        b'"attributes":[],"visitor_id":"user"}'
    )


def test_the_envelope_has_its_members_in_order_and_asks_for_enrichment() -> None:
    assert batch() == (
        b'{"account_id":"account","project_id":"project","revision":"7",'
        b'"client_name":"tallybook-python","client_version":"0.1.0","anonymize_ip":false,'
        b'"enrich_decisions":true,"visitors":[]}'
    )


@given(
    event=TEXT,
    user=TEXT,
    plan=TEXT,
    tags=st.dictionaries(TEXT, TEXT | st.integers(-(2**53), 2**53)),
)
def test_what_is_written_is_what_the_collector_reads(
    event: str, user: str, plan: str, tags: dict[str, Any]
) -> None:
    members, _ = write_tags(tags)
    frame = conversion_frame(EventType("5", event))
    visitor = write_event(frame, UUID, AT_MS, members, author({"plan": plan}, user))
    read = read_batch(batch(visitor))
    assert read.sender == SENDER
    assert read.dead_letters == ()
    (conversion,) = read.conversions
    assert isinstance(conversion, ConversionEvent)
    assert (conversion.uuid, conversion.at_ms) == (UUID.decode(), AT_MS)
    assert (conversion.visitor_id, conversion.entity_id, conversion.key) == (user, "5", event)
    assert conversion.attributes == (VisitorAttribute("601", "plan", plan),)
    assert conversion.tags == tags


@given(flag=TEXT, variation=st.from_regex(r"[0-9]{1,12}", fullmatch=True), enabled=st.booleans())
def test_an_impression_is_what_the_collector_reads(
    flag: str, variation: str, enabled: bool
) -> None:
    verdict = Verdict(rule(), Variation(variation, "on"), DecisionSource.ROLLOUT)
    frame = impression_frame(decision_item(flag, verdict, enabled=enabled))
    visitor = write_event(frame, UUID, AT_MS, b"", author())
    (decision,) = read_batch(batch(visitor)).decisions
    assert decision == DecisionEvent(
        uuid=UUID.decode(),
        at_ms=AT_MS,
        visitor_id="user",
        entity_id="91",
        campaign_id="91",
        experiment_id="101",
        variation_id=variation,
        flag_key=flag,
        rule_key="test",
        rule_type="rollout",
        variation_key="on",
        enabled=enabled,
    )


@given(TEXT, TEXT, st.lists(TEXT, max_size=3))
def test_pieces_make_the_same_shape_as_the_structs(event: str, user: str, plans: list[str]) -> None:
    frame = conversion_frame(EventType(event, event))
    visitors = [write_event(frame, UUID, AT_MS, b"", author({"plan": p}, user)) for p in plans]
    for visitor in visitors:
        item = msgspec.json.decode(visitor, type=VisitorItem)
        assert msgspec.json.encode(item) == visitor
    assert len(json.loads(batch(*visitors))["visitors"]) == len(plans)


@pytest.mark.parametrize("variation_id", ["", "abc", "12a", "²", "１２", "-1", " 1"])
def test_a_variation_id_that_is_not_ascii_digits_travels_as_null(variation_id: str) -> None:
    verdict = Verdict(rule(), Variation(variation_id, "on"), DecisionSource.FEATURE_TEST)
    assert decision_item("flag", verdict, enabled=True).variation_id is None


def test_a_rule_without_a_layer_is_its_own_campaign() -> None:
    item = decision_item("flag", Verdict(rule(""), None, DecisionSource.HOLDOUT), enabled=False)
    assert (item.campaign_id, item.experiment_id) == ("101", "101")


def test_without_a_rule_ids_are_empty_and_the_variation_is_null() -> None:
    item = decision_item("flag", Verdict(None, None, DecisionSource.ROLLOUT), enabled=False)
    visitor = json.loads(write_event(impression_frame(item), UUID, AT_MS, b"", author()))
    assert visitor["snapshots"][0]["events"][0]["entity_id"] == ""
    assert visitor["snapshots"][0]["decisions"] == [
        {
            "campaign_id": "",
            "experiment_id": "",
            "variation_id": None,
            "metadata": {
                "flag_key": "flag",
                "rule_key": "",
                "rule_type": "rollout",
                "variation_key": "",
                "enabled": False,
            },
        }
    ]


def test_a_flag_level_forced_decision_has_a_variation_but_no_rule() -> None:
    verdict = Verdict(None, Variation("401", "forced"), DecisionSource.FEATURE_TEST)
    item = decision_item("flag", verdict, enabled=True)
    assert (item.campaign_id, item.experiment_id, item.variation_id) == ("", "", "401")


@pytest.mark.parametrize("value", ["", "gold", True, False, 0, -3, 2**53, -(2**53), 1.5, 2.0**53])
def test_text_booleans_and_numbers_up_to_2_to_the_53_are_attributes(value: object) -> None:
    assert rows({"plan": value}) == [
        {"entity_id": "601", "key": "plan", "type": "custom", "value": value}
    ]


@pytest.mark.parametrize(
    "value", [None, [], {}, b"x", 2**53 + 1, -(2**60), 1e300, math.nan, math.inf, 1j, object()]
)
def test_other_values_are_left_out_without_a_word(value: object) -> None:
    assert AuthorWriter(PROJECT).write("user", {"plan": value}) == (
        b'"attributes":[],"visitor_id":"user"}',
        (),
    )


@pytest.mark.parametrize("key", [None, 1, ("plan",), b"plan"])
def test_keys_that_are_no_strings_are_left_out_without_a_word(key: object) -> None:
    assert AuthorWriter(PROJECT).write("user", {key: "gold"})[1] == ()
    assert rows({key: "gold"}) == []


def test_an_unknown_attribute_is_left_out_with_a_remark() -> None:
    text, remarks = AuthorWriter(PROJECT).write(
        "user", {"colour": "red", "plan": "gold", "\ud800": 1}
    )
    assert [row["key"] for row in json.loads(b"{" + text)["attributes"]] == ["plan"]
    assert remarks == (
        Remark(Flaw.ATTRIBUTE_UNKNOWN, "colour"),
        Remark(Flaw.ATTRIBUTE_UNKNOWN, "?"),
    )


def test_reserved_attributes_pass_under_their_own_name() -> None:
    assert rows({"$opt_user_agent": "agent", "$opt_bucketing_id": "b"}) == [
        {
            "entity_id": "$opt_user_agent",
            "key": "$opt_user_agent",
            "type": "custom",
            "value": "agent",
        },
        {
            "entity_id": "$opt_bucketing_id",
            "key": "$opt_bucketing_id",
            "type": "custom",
            "value": "b",
        },
    ]


def test_a_reserved_name_in_the_datafile_keeps_its_id_with_a_remark() -> None:
    text, remarks = AuthorWriter(PROJECT).write("user", {"$opt_odd": 1})
    assert json.loads(b"{" + text)["attributes"][0]["entity_id"] == "602"
    assert remarks == (Remark(Flaw.ATTRIBUTE_RESERVED, "$opt_odd"),)


@pytest.mark.parametrize("bot_filtering", [True, False])
def test_bot_filtering_is_the_last_attribute(bot_filtering: bool) -> None:
    project = Project("account", "project", "7", bot_filtering=bot_filtering)
    assert rows({}, project) == [
        {
            "entity_id": "$opt_bot_filtering",
            "key": "$opt_bot_filtering",
            "type": "custom",
            "value": bot_filtering,
        }
    ]


def test_an_attribute_that_is_no_text_costs_itself_alone() -> None:
    text, remarks = AuthorWriter(PROJECT).write(
        "user", {"plan": "\ud800", "$opt_a": 1, "$opt_\ud800": 1}
    )
    assert [row["key"] for row in json.loads(b"{" + text)["attributes"]] == ["$opt_a"]
    assert [remark.flaw for remark in remarks] == [Flaw.NOT_TEXT, Flaw.ATTRIBUTE_UNKNOWN]


def test_a_user_id_that_is_no_text_cannot_be_written() -> None:
    with pytest.raises(UnicodeEncodeError):
        AuthorWriter(PROJECT).write("\ud800", {})


class Number(float):
    """What numeric libraries hand out: a class derived from float."""


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "sent"),
    [(Number(1.5), 1.5), (Level.HIGH, 3), (Number("nan"), None), (Number("inf"), None)],
)
def test_numbers_of_derived_classes_are_attributes_like_any_other(
    value: object, sent: float | None
) -> None:
    assert [row["value"] for row in rows({"plan": value})] == ([] if sent is None else [sent])
