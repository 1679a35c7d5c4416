"""Attributes, tags and user ids that are odd: sent in one batch with good ones, and read back.

An event arrives with exactly what of it is sane, and the events beside it arrive whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

from shop import datafile
from tallybook import Client, DecideOption
from tallybook.client import DeliverySettings
from tallybook.deliver.answer import Reply
from tallybook.model.event import Batch, ConversionEvent
from tallybook.openfeature import TallybookProvider
from tallybook.testing import Letterbox
from tallybook.wire.batch_reader import read_batch
from wrong_values import MEGABYTE, TEXTS, WRONG, by_name

TEXT = json.dumps(datafile())
LEFT_OUT = object()
# What a server reads of each value that JSON can say.
SAID: Mapping[str, Any] = {
    "none": None,
    "true": True,
    "zero": 0,
    "fraction": 1.5,
    "2^60": 2**60,
    "empty text": "",
    "empty list": [],
    "empty dict": {},
    "list": ["user"],
    "tuple": ["user"],
    "dict": {"user": 1},
    "text of a class": "user of a class",
    "hostile text": "user",
    "text member": "red",
    "dict of a class": {"user": 1},
    "long": "x" * MEGABYTE,
}
ATTRIBUTES = frozenset({"true", "zero", "fraction", *TEXTS}) - {"surrogate"}
CENTS = frozenset({"zero", "2^60"})
AMOUNTS = frozenset({"zero", "fraction", "2^60"})
VANISHING = frozenset({"revenue", "value"})
GOOD_TAGS = {"revenue": 4200, "kind": "shoes", "sizes": [1, {"of": 2}]}
MATCHES: Mapping[str, Any] = {
    "exact": "gold",
    "substring": "gold",
    "exists": None,
    "gt": 1,
    "ge": 1,
    "lt": 1,
    "le": 1,
    "semver_eq": "1.0",
    "semver_gt": "1.0",
    "semver_ge": "1.0",
    "semver_lt": "1.0",
    "semver_le": "1.0",
}


class Bodies(Letterbox):
    """Keeps what is sent to be read."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        self.batches.append(read_batch(body))
        return super().post(url, body, headers)


class Bench:
    """A client that sends one batch when it is asked to, and no sooner."""

    def __init__(self, text: str = TEXT) -> None:
        self.bodies = Bodies()
        patient = DeliverySettings(flush_interval_s=1_000, batch_size=1_000, max_batch_bytes=2**30)
        self.client = Client(text, http=self.bodies, delivery=patient)

    def between(self, name: str, tags: Any = None, user_id: Any = "user", **of: Any) -> Any:
        """What arrives of a conversion between two good ones; ``None`` if nothing does."""
        self.good("before")
        self.client.track("purchase", user_id, of, tags)
        self.good("after")
        before, *arrived, after = self.read().conversions
        for event in (before, after):
            assert (event.revenue, event.tags) == (4200, GOOD_TAGS), name
            assert attributes_of(event) == {"plan": "gold"}, name
        assert (before.visitor_id, after.visitor_id) == ("before", "after"), name
        return arrived[0] if arrived else None

    def good(self, user_id: str) -> None:
        self.client.track("purchase", user_id, {"plan": "gold"}, GOOD_TAGS)

    def read(self) -> Batch:
        """The one batch that was sent, in which nothing is beyond understanding."""
        assert self.client.flush(10)
        (batch,) = self.bodies.batches
        assert batch.dead_letters == ()
        self.client.close(5)
        return batch


def attributes_of(event: ConversionEvent) -> dict[str, Any]:
    return {row.key: row.value for row in event.attributes}


def expected(key: str, name: str) -> dict[str, Any]:
    """What a tag leaves of itself: nothing, where it is none of JSON's own or vanishes."""
    said = SAID.get(name, LEFT_OUT)
    return {} if said is LEFT_OUT or (said is None and key in VANISHING) else {key: said}


def same(actual: Any, due: Any) -> bool:
    """Equal as JSON: 1 is not true."""
    return json.dumps(actual) == json.dumps(due)


def test_a_tag_costs_itself_alone() -> None:
    for name, value in by_name(WRONG):
        event = Bench().between(name, {"good": 1, "odd": value, "more": [True]})
        assert same(event.tags, {"good": 1, **expected("odd", name), "more": [True]}), name
        assert (event.revenue, event.value) == (None, None)


@pytest.mark.parametrize("wrap", [list, dict], ids=["in a list", "in a dict"])
def test_what_is_inside_a_tag_costs_that_tag_alone(wrap: type) -> None:
    for name, value in by_name(WRONG):
        nested: Any = [1, [value]] if wrap is list else {"a": 1, "b": {"odd": value}}
        said = SAID.get(name, LEFT_OUT)
        due = [1, [said]] if wrap is list else {"a": 1, "b": {"odd": said}}
        event = Bench().between(name, {"nested": nested, "good": 1})
        assert same(event.tags, {"good": 1} if said is LEFT_OUT else {"nested": due, "good": 1})


@pytest.mark.parametrize("key", ["revenue", "value"])
def test_a_reserved_tag_counts_where_it_can_be_counted(key: str) -> None:
    counted = CENTS if key == "revenue" else AMOUNTS
    for name, value in by_name(WRONG):
        event = Bench().between(name, {key: value, "good": 1})
        assert same(event.tags, {**expected(key, name), "good": 1}), name
        assert getattr(event, key) == (SAID[name] if name in counted else None), name


def test_a_key_of_a_tag_costs_that_tag_alone() -> None:
    for name, value in by_name(WRONG):
        try:
            tags = {value: 1, "good": 1}
        except Exception:  # noqa: BLE001, S112 - such a key cannot even be passed
            continue
        event = Bench().between(name, tags)
        assert event.tags["good"] == 1
        assert len(event.tags) <= 2, name


def test_an_attribute_costs_itself_alone() -> None:
    for name, value in by_name(WRONG):
        event = Bench().between(name, {"good": 1}, plan=value, logged_in=True)
        due = {"plan": SAID[name]} if name in ATTRIBUTES else {}
        assert same(attributes_of(event), {**due, "logged_in": True}), name
        assert event.tags == {"good": 1}


def test_a_user_id_costs_its_own_event_alone() -> None:
    for name, value in by_name(WRONG):
        bench = Bench()
        event = bench.between(name, {"good": 1}, value)
        if name in TEXTS - {"surrogate"}:
            assert event.visitor_id == SAID[name]
        else:
            assert event is None, name
            assert sum(bench.client.delivery_stats().refused.values()) == 1, name


def test_a_user_context_sends_the_sane_remainder_again_and_again() -> None:
    for name, value in by_name(WRONG):
        bench = Bench()
        user = bench.client.create_user_context("user", {"plan": value, "logged_in": True})
        for _ in range(4):  # the last ones go the short way
            user.track_event("purchase", {"odd": value if name != "long" else "long", "good": 1})
        events = bench.read().conversions
        due = {"odd": "long"} if name == "long" else expected("odd", name)
        assert [same(event.tags, {**due, "good": 1}) for event in events] == [True] * 4, name
        plan = {"plan": SAID[name]} if name in ATTRIBUTES else {}
        assert same([attributes_of(e) for e in events], [{**plan, "logged_in": True}] * 4), name


def test_an_attribute_that_cannot_be_compared_keeps_nobody_from_other_flags() -> None:
    rules, flags, audiences = [], [], []
    template = datafile()["experiments"][0]
    for number, (match, value) in enumerate(MATCHES.items(), 10):
        condition = {"type": "custom_attribute", "name": "plan", "match": match, "value": value}
        audiences.append({"id": f"a{number}", "name": match, "conditions": ["and", condition]})
        rule = {**template, "id": f"{number}00", "key": match, "audienceConditions": [f"a{number}"]}
        rules.append(rule)
        flag = {**datafile()["featureFlags"][0], "id": f"f{number}", "key": match}
        flags.append({**flag, "experimentIds": [rule["id"]], "variables": []})
    text = json.dumps(
        datafile(
            typedAudiences=audiences,
            experiments=[*datafile()["experiments"], *rules],
            featureFlags=[*datafile()["featureFlags"], *flags],
        )
    )
    for name, value in by_name(WRONG):
        for key in ("plan", "$opt_bucketing_id"):
            bench = Bench(text)
            user = bench.client.create_user_context("user", {key: value, "logged_in": True})
            decisions = user.decide_all([DecideOption.INCLUDE_REASONS])
            assert decisions["tested"].variation_key is not None, name
            exists = decisions["exists"].variation_key is not None
            assert exists == (key == "plan" and name != "none"), name
            assert all(decision.reasons for decision in decisions.values()), name
            bench.client.close(5)


def test_calls_by_user_id_answer_whatever_an_attribute_is() -> None:
    for name, value in by_name(WRONG):
        client = Client(TEXT, http=Letterbox())
        attributes = {"plan": value, "logged_in": True}
        assert client.activate("test", "user", attributes) == "test_on", name
        assert client.is_feature_enabled("tested", "user", attributes), name
        assert client.get_enabled_features("user", attributes) == ["tested", "delivered"], name
        assert client.get_feature_variable("tested", "colour", "user", attributes) == "red", name
        assert client.close(5) == 0
        assert client.delivery_stats().delivered == 4, name


def test_a_context_of_openfeature_costs_no_more() -> None:
    for name, value in by_name(WRONG):
        bench = Bench()
        provider = TallybookProvider(bench.client)
        user = EvaluationContext("user", {"plan": value, "logged_in": True})
        assert provider.resolve_boolean_details("tested", False, user).value, name
        details = TrackingEventDetails(2.5, {"odd": value, "good": 1})
        provider.track("purchase", user, details)
        (event,) = bench.read().conversions
        due = {**expected("odd", name), "good": 1, "value": 2.5}
        assert (event.value, same(event.tags, due)) == (2.5, True), name


def test_a_segment_of_any_kind_hides_no_other() -> None:
    condition = {"type": "third_party_dimension", "name": "odp", "match": "qualified"}
    loyal = {"id": "a1", "name": "loyal", "conditions": ["and", {**condition, "value": "loyal"}]}
    first, second = datafile()["experiments"]
    rules = [{**first, "audienceConditions": ["a1"]}, second]
    text = json.dumps(datafile(typedAudiences=[loyal], experiments=rules))
    client = Client(text, http=Letterbox())
    for name, value in by_name(WRONG):
        user = client.create_user_context("user")
        user.set_qualified_segments([value])
        assert user.decide("tested").variation_key is None, name
        assert not user.is_qualified_for("loyal"), name
        user.set_qualified_segments([value, "loyal"])
        assert user.decide("tested").variation_key == "test_on", name
        assert user.is_qualified_for("loyal"), name
        assert len(user.get_qualified_segments() or ()) == 2
    assert client.close(5) == 0


@pytest.mark.parametrize("wrong", WRONG)
def test_a_profile_of_any_kind_counts_as_none(wrong: str) -> None:
    for kept in (
        WRONG[wrong],
        lambda: {"user_id": "user", "experiment_bucket_map": WRONG[wrong]()},
        lambda: {"user_id": "user", "experiment_bucket_map": {"100": WRONG[wrong]()}},
        lambda: {
            "user_id": "user",
            "experiment_bucket_map": {"100": {"variation_id": WRONG[wrong]()}},
        },
    ):

        class Profiles:
            def __init__(self, made: Any) -> None:
                self.saved: list[Any] = []
                self.lookup = lambda _: made()
                self.save = self.saved.append

        profiles = Profiles(kept)
        client = Client(TEXT, http=Letterbox(), user_profile_service=profiles)
        user = client.create_user_context("user")
        assert user.decide("tested").variation_key == "test_on"
        assert client.activate("test", "user") == "test_on"
        assert profiles.saved[-1]["experiment_bucket_map"]["100"] == {"variation_id": "101"}
        assert client.close(5) == 0
