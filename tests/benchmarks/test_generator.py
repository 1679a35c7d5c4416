"""The benchmark's datafiles, visitors and tags are what the results say they are."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from benchmarks.contenders import NATIVE, NO_EVENT, OFFICIAL, contender
from benchmarks.datafiles import LARGE, SMALL, Shape, datafile
from benchmarks.visitors import event_tags, visitors

SHAPES = pytest.mark.parametrize("shape", [SMALL, LARGE], ids=["small", "large"])
BYTES = {
    SMALL: "88b21062dedf30fff50899de53f5edcf5e27bc65fc09ff9e26f8f1687ed34819",
    LARGE: "4431868f7e5d40558a4358db677f1a76bf5771c4688ff3086bf5162e523451f4",
}


def leaves(conditions: Any) -> Iterator[dict[str, Any]]:
    if isinstance(conditions, dict):
        yield conditions
        return
    for operand in conditions[1:]:
        yield from leaves(operand)


def outcome(rule_key: str) -> str:
    """Which of a flag's kinds of rule it is, by its key."""
    kinds = ("exp", "delivery", "everyone_else")
    return next(kind for kind in kinds if f"_{kind}" in rule_key)


@SHAPES
def test_everyone_measures_on_the_same_bytes(shape: Shape) -> None:
    text = datafile(shape).encode()
    assert hashlib.sha256(text).hexdigest() == BYTES[shape]
    assert len(text) == shape.size


def test_another_seed_makes_another_datafile() -> None:
    assert datafile(SMALL, seed=1) != datafile(SMALL)


@pytest.mark.parametrize(
    ("shape", "experiments", "rollout_rules"), [(SMALL, 10, 20), (LARGE, 1_000, 1_500)]
)
def test_the_sizes_are_those_that_are_stated(
    shape: Shape, experiments: int, rollout_rules: int
) -> None:
    data = json.loads(datafile(shape))
    flags = data["featureFlags"]
    assert len(flags) == shape.flags
    assert {len(flag["variables"]) for flag in flags} == {5}
    assert len(data["experiments"]) == experiments
    assert sum(len(rollout["experiments"]) for rollout in data["rollouts"]) == rollout_rules
    assert len(data["typedAudiences"]) == shape.audiences
    assert len(data["events"]) == shape.events
    assert len(data["attributes"]) == shape.attributes


@SHAPES
def test_audiences_use_many_matches_and_every_attribute_of_the_visitors(shape: Shape) -> None:
    audiences = json.loads(datafile(shape))["typedAudiences"]
    found = [leaf for audience in audiences for leaf in leaves(audience["conditions"])]
    wanted = {"exact", "substring", "exists", "ge", "gt", "lt", "semver_ge"}
    assert {leaf["match"] for leaf in found} == wanted
    assert {leaf["name"] for leaf in found} >= set(visitors(1)[0].attributes)


@SHAPES
def test_both_sdks_take_it_and_decide_alike_by_every_kind_of_rule(shape: Shape) -> None:
    official, ours = (contender(name).plain(datafile(shape)) for name in (OFFICIAL, NATIVE))
    outcomes: Counter[str] = Counter()
    for visitor in visitors(10_000 // shape.flags // 5):
        users = (setup.user(visitor.user_id, visitor.attributes) for setup in (official, ours))
        theirs, mine = (
            {
                key: (decision.rule_key, decision.variation_key, decision.variables)
                for key, decision in user.decide_all(NO_EVENT).items()
            }
            for user in users
        )
        assert mine == theirs
        outcomes.update(outcome(rule_key) for rule_key, _, _ in mine.values())
    decisions = outcomes.total()
    assert decisions >= 2_000
    assert set(outcomes) == {"exp", "delivery", "everyone_else"}
    assert min(outcomes.values()) > decisions / 50
    official.client.close()
    ours.client.close()


def test_visitors_differ_and_come_again() -> None:
    some = visitors(50)
    assert visitors(50) == some
    assert len({visitor.user_id for visitor in some}) == 50
    assert {len(visitor.attributes) for visitor in some} == {6}


def test_each_event_has_five_tags_of_its_own() -> None:
    tags = event_tags(20)
    assert {len(its) for its in tags} == {5}
    assert len({id(its) for its in tags}) == len({json.dumps(its) for its in tags}) == 20
