"""Applying a definition: what is published, what stays, and what people are told."""

from __future__ import annotations

import json
import re

import pytest

from tallybook.errors import DefinitionError
from tallybook.publish import apply, plan
from tallybook.wire.datafile import read_datafile, write_datafile
from tallybook.wire.definition import read_definition

SHOP = """
project: shop
environments:
  production: {sdk_key: prod-key}
  staging: {sdk_key: staging-key}
attributes: [plan, country]
events: [purchase, view]
audiences:
  gold: {plan: {exact: gold}}
  bots: {not: {country: {exists: true}}}
metrics:
  rate: {event: purchase, aggregator: unique}
  basket: {event: purchase, aggregator: sum, field: revenue}
  views: {event: view, aggregator: count}
flags:
  checkout:
    variables: {color: {type: string, default: blue}}
    variations: {control: {}, treatment: {color: green}}
    rules:
      - key: checkout_test
        type: a/b
        audience: {and: [gold, {not: bots}]}
        split: {control: 50%, treatment: 50%}
        metrics: [rate, basket]
        allowlist: {treatment: [anna]}
        baseline: treatment
      - {key: everyone, type: targeted_delivery, variation: control, traffic: 20%}
    default: treatment
  search:
    variations: {"on": {}, "off": {}}
    rules: [{key: search_test, type: multi_armed_bandit, split: equal, metrics: [views]}]
    environments: {staging: {enabled: false}}
"""


def edited(old: str, new: str, text: str = SHOP) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def applied(catalog, text: str = SHOP, now_ms: int = 1000):
    return apply(catalog, read_definition(text), now_ms)


def published(catalog, sdk_key: str = "prod-key"):
    return read_datafile(catalog.datafile(sdk_key).body)


def experiment(project, key: str = "checkout_test"):
    return project.experiment_by_key[key]


def ids_in(document: object) -> list[str]:
    """Every value of a field ``id`` of a JSON document."""
    if isinstance(document, list):
        return [id_ for item in document for id_ in ids_in(item)]
    if not isinstance(document, dict):
        return []
    own = [document["id"]] if "id" in document else []
    return own + [id_ for item in document.values() for id_ in ids_in(item)]


def lines(catalog, text: str) -> list[str]:
    return [line.strip() for line in plan(catalog, read_definition(text)).lines()]


def test_every_environment_gets_the_same_first_revision(catalog):
    done = applied(catalog, now_ms=5000)
    production, staging = catalog.datafile("prod-key"), catalog.datafile("staging-key")
    assert done.published
    assert done.revision == production.revision == staging.revision == "1"
    assert production.published_at_ms == 5000
    assert production.body != staging.body
    project = published(catalog)
    assert (project.version, project.revision, project.region) == ("4", "1", "US")
    assert (project.sdk_key, project.environment_key) == ("prod-key", "production")
    assert (project.anonymize_ip, project.bot_filtering) == (True, False)
    assert project.send_flag_decisions


def test_applying_the_same_file_twice_changes_nothing(catalog):
    first = applied(catalog)
    before = catalog.datafile("prod-key")
    again = applied(catalog, "# a comment\n" + SHOP, now_ms=9000)
    assert (again.published, again.revision, again.sdk_keys) == (False, "1", first.sdk_keys)
    assert again.plan.changes == ()
    assert again.text.startswith("project shop: nothing to change\nrevision 1 stays")
    assert catalog.datafile("prod-key") == before


def test_ids_stay_when_the_rest_changes(catalog):
    applied(catalog)
    before = json.loads(catalog.datafile("prod-key").body)
    text = edited("attributes: [plan, country]", "attributes: [age, country, plan]")
    text = edited("traffic: 20%", "traffic: 30%", text)
    assert applied(catalog, text).revision == "2"
    after = json.loads(catalog.datafile("prod-key").body)
    assert set(ids_in(before)) < set(ids_in(after))
    assert len(set(ids_in(after)) - set(ids_in(before))) == 1


def test_going_back_to_an_earlier_file_gives_its_datafile_but_for_the_revision(catalog):
    applied(catalog)
    first = catalog.datafile("prod-key")
    applied(catalog, "project: shop\nenvironments: {production: {sdk_key: prod-key}}")
    assert applied(catalog).revision == "3"
    third = catalog.datafile("prod-key")
    assert third.body == first.body.replace(b'"revision":"1"', b'"revision":"3"')


def test_generated_ids_are_decimal_and_unique_in_the_account(catalog):
    applied(catalog)
    other = edited("project: shop", "project: blog")
    other = edited("sdk_key: prod-key", "sdk_key: blog-key", other)
    applied(catalog, edited("{sdk_key: staging-key}", "{}", other))
    kinds = ("attributes", "events", "typedAudiences", "experiments", "rollouts", "featureFlags")
    seen: list[str] = []
    for sdk_key in ("prod-key", "blog-key"):
        document = json.loads(catalog.datafile(sdk_key).body)
        ids = {id_ for kind in kinds for id_ in ids_in(document[kind])}
        ids |= {document["projectId"]} | {e["layerId"] for e in document["experiments"]}
        generated = {id_ for id_ in ids if not id_.startswith("default-rollout-")}
        assert all(re.fullmatch("7000000000[0-9]{2}", id_) for id_ in generated)
        assert len(ids - generated) == 2  # one for each flag, for everyone else
        seen += generated
    assert len(seen) == len(set(seen))


def test_environments_share_what_is_the_projects_and_not_what_is_measured(catalog):
    applied(catalog)
    production, staging = published(catalog), published(catalog, "staging-key")
    assert (production.project_id, production.account_id) == (
        staging.project_id,
        staging.account_id,
    )
    assert production.attributes == staging.attributes
    assert production.audiences == staging.audiences
    assert {e.id for e in production.experiments}.isdisjoint(e.id for e in staging.experiments)
    variations = [
        {v.id for e in project.experiments for v in e.variations}
        for project in (production, staging)
    ]
    assert variations[0] == variations[1]


def test_an_experiment_is_written_as_defined(catalog):
    applied(catalog)
    project = published(catalog)
    rule = experiment(project)
    gold, bots = project.audiences
    control, treatment = rule.variations
    assert (rule.status, rule.type) == ("Running", "ab")
    assert rule.layer_id
    assert [(v.key, v.enabled) for v in rule.variations] == [("control", True), ("treatment", True)]
    assert [r.end_of_range for r in rule.allocation] == [5000, 10_000]
    assert [r.entity_id for r in rule.allocation] == [control.id, treatment.id]
    assert rule.expression == ["and", gold.id, ["not", bots.id]]
    assert rule.allowlist == {"anna": "treatment"}
    assert treatment.overrides == {project.flags[0].variables[0].id: "green"}
    assert gold.conditions == [
        "or",
        {"name": "plan", "type": "custom_attribute", "match": "exact", "value": "gold"},
    ]
    assert bots.conditions == [
        "not",
        {"name": "country", "type": "custom_attribute", "match": "exists"},
    ]
    assert experiment(project, "search_test").type == "mab"
    purchase, view = project.events
    assert purchase.experiment_ids == (rule.id,)
    assert view.experiment_ids == (experiment(project, "search_test").id,)


def test_everyone_else_gets_the_default_variation_or_off(catalog):
    applied(catalog)
    checkout, search = published(catalog).flags
    delivery, everyone_else = checkout.rollout.rules
    assert (delivery.key, delivery.type) == ("everyone", "td")
    assert [(r.entity_id, r.end_of_range) for r in delivery.allocation] == [
        (delivery.variations[0].id, 2000),
        ("", 10_000),
    ]
    assert everyone_else.id == everyone_else.key
    assert everyone_else.key == f"default-rollout-{checkout.id}-{checkout.rollout_id}"
    assert everyone_else.variations[0].id == experiment(published(catalog)).variations[1].id
    (off,) = search.rollout.rules[-1].variations
    assert (off.key, off.enabled) == ("off", False)
    assert off.id in {v.id for v in search.experiments[0].variations}


def test_a_disabled_flag_is_off_for_everyone_and_its_experiments_are_paused(catalog):
    applied(catalog, edited("  checkout:\n", "  checkout:\n    enabled: false\n"))
    flag = published(catalog).flag_by_key["checkout"]
    assert [e.status for e in flag.experiments] == ["Paused"]
    (everyone_else,) = flag.rollout.rules
    assert (everyone_else.variations[0].key, everyone_else.variations[0].enabled) == ("off", False)
    assert catalog.find_experiment("checkout_test").status == "paused"
    assert catalog.find_experiment("search_test").status == "running"
    assert catalog.find_experiment("search_test", environment="staging").status == "paused"


@pytest.mark.parametrize(
    ("status", "written"),
    [("draft", "Not started"), ("paused", "Paused"), ("concluded", "Archived")],
)
def test_a_rule_that_does_not_run_decides_nothing(catalog, status, written):
    text = edited("baseline: treatment", f"status: {status}")
    text = edited("traffic: 20%", f"status: {status}", text)
    text = edited("  checkout:\n", "  checkout:\n    enabled: false\n", text)
    for each in (text, text.replace("    enabled: false\n", "")):
        applied(catalog, each)
        assert experiment(published(catalog)).status == written
        assert len(published(catalog).flags[0].rollout.rules) == 1
        assert catalog.find_experiment("checkout_test").status == status


def test_rules_that_exclude_each_other_stand_in_a_group(catalog):
    groups = "groups: {pages: {rules: {checkout_test: 30%, search_test: 40%}}}\n"
    only_here = "    environments: {staging: {rules: []}}\n    default: treatment\n"
    text = edited("    default: treatment\n", only_here) + groups
    applied(catalog, text)
    project = published(catalog)
    (group,) = project.groups
    ids = [experiment(project, key).id for key in ("checkout_test", "search_test")]
    assert group.policy == "random"
    assert [(r.entity_id, r.end_of_range) for r in group.allocation] == [
        (ids[0], 3000),
        (ids[1], 7000),
    ]
    assert all(e.group == group for e in project.experiments)
    staging = published(catalog, "staging-key")
    (there,) = staging.groups
    assert there.id != group.id
    assert [(r.entity_id, r.end_of_range) for r in there.allocation] == [
        ("", 3000),
        (staging.experiments[0].id, 7000),
    ]


def test_a_group_none_of_whose_rules_is_here_is_left_out(catalog):
    text = edited("    environments: {staging: {enabled: false}}\n", "")
    text = edited(
        "rules: [{key: search_test",
        "environments: {staging: {rules: []}}\n    rules: [{key: search_test",
        text,
    )
    applied(catalog, text + "groups: {pages: {rules: {search_test: 40%}}}\n")
    assert len(published(catalog).groups) == 1
    assert published(catalog, "staging-key").groups == ()


def test_the_catalog_knows_experiments_metrics_and_vocabulary(catalog):
    applied(catalog, now_ms=7000)
    found = catalog.find_experiment("checkout_test")
    rule = experiment(published(catalog))
    assert found.id == rule.id
    assert list(found.arms.keys.values()) == ["control", "treatment"]
    assert found.arms.baseline_id == rule.variation_by_key["treatment"].id
    assert [m.key for m in found.metrics] == ["rate", "basket"]
    (epoch,) = found.epochs
    assert (epoch.from_ms, epoch.revisions) == (7000, ("1",))
    assert list(epoch.weights.values()) == [5000, 5000]
    assert len(catalog.experiments()) == 4
    assert catalog.event_keys() == ("purchase", "view")
    assert catalog.attribute_keys() == ("country", "plan")
    assert catalog.find_metric("views").event_key == "view"


def test_lowering_and_raising_traffic_makes_epochs(catalog):
    applied(catalog, now_ms=1000)
    low = edited(
        "        split: {control: 50%", "        traffic: 10%\n        split: {control: 50%"
    )
    applied(catalog, low, 2000)
    applied(catalog, edited("default: blue", "default: red", low), 3000)
    applied(catalog, SHOP, 4000)
    epochs = catalog.find_experiment("checkout_test").epochs
    assert [(e.from_ms, e.revisions, sorted(set(e.weights.values()))) for e in epochs] == [
        (1000, ("1",), [5000]),
        (2000, ("2", "3"), [500]),
        (4000, ("4",), [5000]),
    ]


def test_a_pause_serves_nobody_and_is_an_epoch_of_its_own(catalog):
    applied(catalog, now_ms=1000)
    paused = edited(
        "        split: {control: 50%", "        status: paused\n        split: {control: 50%"
    )
    applied(catalog, paused, 2000)
    applied(catalog, SHOP, 3000)
    epochs = catalog.find_experiment("checkout_test").epochs
    assert [(e.from_ms, sum(e.weights.values())) for e in epochs] == [
        (1000, 10_000),
        (2000, 0),
        (3000, 10_000),
    ]


def test_an_sdk_key_is_generated_once(catalog):
    text = edited("{sdk_key: staging-key}", "{}")
    first = applied(catalog, text).sdk_keys
    assert re.fullmatch("[0-9a-f]{22}", first["staging"])
    assert applied(catalog, edited("default: blue", "default: red", text)).sdk_keys == first
    assert catalog.datafile(first["staging"]) is not None
    # Another environment takes it over: this one is given a new one.
    taken = text.replace("sdk_key: prod-key", f"sdk_key: {first['staging']}")
    second = applied(catalog, taken).sdk_keys
    assert second["production"] == first["staging"] != second["staging"]


def test_an_access_token_is_shown_once_and_kept_until_it_is_no_longer_asked_for(catalog):
    secure = edited("sdk_key: staging-key}", "sdk_key: staging-key, access_token: true}")
    done = applied(catalog, secure)
    token = done.access_tokens["staging"]
    assert f"access token of staging: {token} (shown this once" in done.text
    assert catalog.token_matches("staging-key", token)
    assert catalog.datafile("staging-key").access_token_required
    again = applied(catalog, edited("default: blue", "default: red", secure))
    assert again.access_tokens == {}
    assert catalog.token_matches("staging-key", token)
    assert token not in again.text
    applied(catalog, SHOP)
    assert not catalog.datafile("staging-key").access_token_required
    assert applied(catalog, secure).access_tokens["staging"] != token


def test_an_sdk_key_of_another_project_is_refused(catalog):
    applied(catalog)
    other = read_definition("project: blog\nenvironments: {live: {sdk_key: prod-key}}")
    for act in (lambda: plan(catalog, other), lambda: apply(catalog, other, 1)):
        with pytest.raises(DefinitionError) as error:
            act()
        assert str(error.value) == (
            "environments.live.sdk_key: `prod-key` belongs to shop/production; choose another"
        )


def test_a_plan_says_what_is_created_and_writes_nothing(catalog):
    assert lines(catalog, "project: new\nevents: [a]\nanonymize_ip: false") == [
        "project new",
        "~ setting anonymize_ip: true → false",
        "+ environment production",
        "+ event a",
    ]
    assert lines(catalog, SHOP)[-2:] == ["+ rule search/search_test", "+ flag search in staging"]
    assert catalog.experiments() == ()


CHANGES = [
    ("traffic: 20%", "traffic: 25.5%", "~ rule checkout/everyone: traffic 20% → 25.5%"),
    (
        "split: {control: 50%, treatment: 50%}",
        "split: {control: 40%, treatment: 60%}",
        "~ rule checkout/checkout_test: split (control 50%, treatment 50%) → (control 40%, treatment 60%); a new allocation epoch of its results",
    ),
    ("{color: green}", "{color: lime}", "~ variation checkout/treatment: values changed"),
    ("{plan: {exact: gold}}", "{plan: {exact: 1}}", "~ audience gold: condition changed"),
    ("default: blue", "default: red", "~ variable checkout/color: default blue → red"),
    ("    default: treatment\n", "", "~ flag checkout: default treatment → none"),
    ("attributes: [plan, country]", "attributes: [country, plan]", "~ attribute order: country, plan"),
    ("{enabled: false}}", "{enabled: true}}", "~ flag search in staging: enabled false → true"),
    ("{enabled: false}}", "{rules: []}}", "~ flag search in staging: enabled false → none"),
    ("sdk_key: staging-key", "sdk_key: other", "~ environment staging: sdk key changed"),
    ("  views: {event: view, aggregator: count}\n", "", None),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line"), CHANGES)
def test_a_plan_says_what_changes(catalog, old, new, line):
    applied(catalog)
    text = edited(old, new)
    if line is None:
        text, line = text.replace(", metrics: [views]", ""), "- metric views"
    assert line in lines(catalog, text)


def test_a_plan_lists_a_rule_of_one_environment_with_its_place(catalog):
    applied(catalog)
    rule = "{key: other, type: a/b, split: equal}"
    text = edited("{enabled: false}}", f"{{enabled: false, rules: [{rule}]}}}}")
    text = text.replace("environments: {staging", "default: on\n    environments: {staging")
    assert lines(catalog, text + "groups: {g: {rules: {other: 5%}}}") == [
        "project shop",
        "~ flag search: default none → on",
        "+ rule search/other in staging",
        "+ group g",
    ]


def test_true_and_one_are_not_the_same(catalog):
    applied(catalog, edited("{exact: gold}", "{exact: true}"))
    assert applied(catalog, edited("{exact: gold}", "{exact: 1}")).revision == "2"
    conditions = published(catalog).audiences[0].conditions
    assert repr(conditions[1]["value"]) == "1"


def test_what_is_published_reads_and_writes_as_itself(catalog):
    applied(catalog)
    body = catalog.datafile("prod-key").body
    assert write_datafile(read_datafile(body)) == body
