"""The official SDK, as a black box, accepts what is published and decides as it is meant."""

from __future__ import annotations

from collections import Counter

import pytest
from optimizely import optimizely

from tallybook.publish import apply
from tallybook.wire.definition import read_definition

DEFINITION = """
project: shop
environments: {production: {sdk_key: prod-key}}
attributes: [plan, age]
events: [purchase]
audiences:
  gold: {plan: {exact: gold}, age: {exists: true}}
  minors: {age: {lt: 18}}
metrics: {rate: {event: purchase, aggregator: unique}}
flags:
  checkout:
    variables:
      color: {type: string, default: blue}
      size: {type: integer, default: 1}
      price: {type: double, default: 9.5}
      fast: {type: boolean, default: false}
      texts: {type: json, default: {hello: [world]}}
    variations:
      control:
      treatment: {color: green, size: 2, price: 10, fast: true, texts: {}}
      third: {enabled: false}
    rules:
      - key: checkout_test
        type: a/b
        audience: {and: [gold, {not: minors}]}
        traffic: TRAFFIC
        split: {control: 50%, treatment: 30%, third: 20%}
        metrics: [rate]
        allowlist: {third: [anna]}
      - {key: minors_only, type: targeted_delivery, variation: treatment, audience: minors}
    default: control
  one: {variations: {a: , b: }, rules: [{key: one_test, type: a/b, split: equal}]}
  two: {variations: {a: , b: }, rules: [{key: two_test, type: multi_armed_bandit, split: equal}]}
  dark: {variations: {a: , b: }, enabled: false, default: a, rules: [{key: dark_test, type: a/b, split: equal}]}
groups: {pages: {rules: {one_test: 40%, two_test: 30%}}}
"""
GOLD = {"plan": "gold", "age": 40}


@pytest.fixture
def decided(catalog):
    """Decide with the official SDK under the definition as published with some traffic."""
    clients = []

    def client(traffic: str = "100%") -> optimizely.Optimizely:
        apply(catalog, read_definition(DEFINITION.replace("TRAFFIC", traffic)), 1)
        clients.append(optimizely.Optimizely(datafile=catalog.datafile("prod-key").body.decode()))
        return clients[-1]

    yield client
    for each in clients:
        each.close()


def decide(client: optimizely.Optimizely, flag: str, user: str, attributes: dict[str, object]):
    return client.create_user_context(user, attributes).decide(flag, ["DISABLE_DECISION_EVENT"])


def test_it_is_valid_and_describes_itself(decided):
    client = decided()
    assert client.is_valid
    config = client.get_optimizely_config()
    assert (config.environment_key, config.sdk_key, config.revision) == (
        "production",
        "prod-key",
        "1",
    )
    assert sorted(config.features_map) == ["checkout", "dark", "one", "two"]
    assert sorted(config.experiments_map) == ["checkout_test", "dark_test", "one_test", "two_test"]
    assert [a.name for a in config.audiences] == ["gold", "minors"]
    assert [e.key for e in config.events] == ["purchase"]


def test_rules_decide_as_they_are_written(decided):
    client = decided()
    listed = decide(client, "checkout", "anna", {})
    assert (listed.variation_key, listed.rule_key, listed.enabled) == (
        "third",
        "checkout_test",
        False,
    )
    minor = decide(client, "checkout", "ben", {"age": 12})
    assert (minor.variation_key, minor.rule_key) == ("treatment", "minors_only")
    assert minor.variables == {
        "color": "green",
        "size": 2,
        "price": 10.0,
        "fast": True,
        "texts": {},
    }
    other = decide(client, "checkout", "carl", {"plan": "gold"})
    assert other.variation_key == "control"
    assert other.rule_key.startswith("default-rollout-")
    assert other.enabled
    assert other.variables["texts"] == {"hello": ["world"]}
    dark = decide(client, "dark", "dora", {})
    assert (dark.variation_key, dark.enabled) == ("off", False)


def test_visitors_are_split_as_defined_and_stay_when_traffic_changes(decided):
    users = [f"user-{i}" for i in range(1000)]

    def variations(traffic: str) -> dict[str, str]:
        client = decided(traffic)
        made = {user: decide(client, "checkout", user, GOLD) for user in users}
        return {u: d.variation_key for u, d in made.items() if d.rule_key == "checkout_test"}

    full, low, again = variations("100%"), variations("25%"), variations("60%")
    assert len(full) == len(users)
    shares = Counter(full.values())
    assert 450 < shares["control"] < 550
    assert 250 < shares["treatment"] < 350
    assert 200 < len(low) < 300
    assert low.items() < again.items() < full.items()


def test_grouped_experiments_exclude_each_other(decided):
    client = decided()
    rules = Counter(
        tuple(
            decide(client, flag, f"user-{i}", {}).rule_key.startswith("default-")
            for flag in ("one", "two")
        )
        for i in range(400)
    )
    assert (False, False) not in rules
    assert 120 < rules[False, True] < 200
    assert 80 < rules[True, False] < 160
