from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafiles import DatafileMaker
from tallybook.errors import DatafileError
from tallybook.model.condition import And, AudienceRef, Comparison, Malformed, Not, Or
from tallybook.model.deferred import DeferredExperiment
from tallybook.model.project import (
    Audience,
    Cmab,
    EventType,
    Experiment,
    Group,
    Project,
    Range,
    Variable,
    Variation,
)
from tallybook.wire.datafile import read_datafile, write_datafile

CONFORMANCE = Path(__file__).parents[1] / "conformance/decisions.json"
SEEDS = st.integers(0, 10**6)


def datafile() -> Any:
    return json.loads(CONFORMANCE.read_text("utf-8"))["datafile"]


def changed(change: Callable[[Any], object]) -> Project:
    data = datafile()
    change(data)
    return read_datafile(json.dumps(data))


def rule(**fields: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "key": "rule",
        "status": "Running",
        "layerId": "2",
        "variations": [{"id": "3", "key": "on"}],
        "trafficAllocation": [{"entityId": "3", "endOfRange": 10_000}],
        "audienceIds": [],
        "forcedVariations": {},
        **fields,
    }


def minimal(**fields: Any) -> str:
    lists = ("groups", "experiments", "events", "audiences", "attributes")
    empty: dict[str, Any] = {name: [] for name in lists}
    ids = {"projectId": "1", "accountId": "2", "version": "4", "revision": "3"}
    return json.dumps({**ids, **empty, **fields})


# Reading


def test_a_datafile_may_hold_only_what_is_required() -> None:
    assert read_datafile(minimal()) == Project("2", "1", "3")


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_versions_2_to_4_are_read(version: str) -> None:
    assert read_datafile(minimal(version=version)).version == version


def test_switches_are_read_and_null_is_the_default() -> None:
    project = read_datafile(
        minimal(
            sdkKey="key",
            environmentKey="production",
            anonymizeIP=True,
            botFiltering=False,
            sendFlagDecisions=True,
            region="EU",
            events=[{"id": "7", "key": "purchase", "experimentIds": ["1"]}],
        )
    )
    nothing = read_datafile(
        minimal(sdkKey=None, anonymizeIP=None, botFiltering=None, sendFlagDecisions=None, region="")
    )

    assert project == Project(
        account_id="2",
        project_id="1",
        revision="3",
        sdk_key="key",
        environment_key="production",
        anonymize_ip=True,
        bot_filtering=False,
        send_flag_decisions=True,
        region="EU",
        events=(EventType("7", "purchase", ("1",)),),
    )
    assert nothing == Project("2", "1", "3")


def test_bytes_with_a_byte_order_mark_are_read() -> None:
    assert read_datafile(b"\xef\xbb\xbf" + minimal().encode()) == read_datafile(minimal())


def test_fields_nothing_here_uses_are_ignored() -> None:
    project = read_datafile(minimal(plugins=[7], experiments=[rule(percentageIncluded=3)]))

    assert project.experiment_by_id["1"].key == "rule"


def test_an_experiment_is_read_whole() -> None:
    item = rule(
        type="cmab",
        cmab={"attributeIds": ["10"], "trafficAllocation": 5000},
        forcedVariations={"alice": "on"},
        audienceIds=["20"],
        trafficAllocation=[
            {"entityId": "3", "endOfRange": 5000},
            {"entityId": "3", "endOfRange": None},
        ],
        variations=[
            {
                "id": "3",
                "key": "on",
                "featureEnabled": True,
                "variables": [{"id": "8", "value": "x"}],
            }
        ],
    )

    assert read_datafile(minimal(experiments=[item])).experiments == (
        Experiment(
            id="1",
            key="rule",
            status="Running",
            layer_id="2",
            variations=(Variation("3", "on", enabled=True, overrides={"8": "x"}),),
            allocation=(Range("3", 5000),),
            expression=["20"],
            audience=AudienceRef("20"),
            allowlist={"alice": "on"},
            type="cmab",
            cmab=Cmab(("10",), 5000),
            audience_ids=("20",),
        ),
    )


def test_a_bandit_without_anything_is_none() -> None:
    assert read_datafile(minimal(experiments=[rule(cmab={})])).experiments[0].cmab is None


@pytest.mark.parametrize("half", [{"attributeIds": []}, {"trafficAllocation": 5000}])
def test_half_a_bandit_is_a_fault(half: dict[str, object]) -> None:
    with pytest.raises(DatafileError, match=r"\$\.experiments\[0\]\.cmab: .*one of them"):
        read_datafile(minimal(experiments=[rule(cmab=half)]))


def test_reading_checks_rules_and_makes_none() -> None:
    project = read_datafile(json.dumps(datafile()))
    delivery = [rule for rollout in project.rollouts for rule in rollout.rules]

    assert {type(rule) for rule in (*project.experiments, *delivery)} == {DeferredExperiment}


def test_experiments_of_a_group_know_their_group() -> None:
    item = {"id": "5", "policy": "random", "trafficAllocation": [], "experiments": [rule()]}
    project = read_datafile(minimal(groups=[item]))

    assert project.groups == (Group("5", "random", ()),)
    assert project.experiment_by_id["1"].group == project.groups[0]


@pytest.mark.parametrize(
    ("variable", "type_name"),
    [
        ({"type": "string", "subType": "json"}, "json"),
        ({"type": "json"}, "json"),
        ({"type": "integer", "subType": "json"}, "integer"),
        ({"type": "string", "subType": None}, "string"),
    ],
)
def test_a_string_of_subtype_json_is_a_json_variable(
    variable: dict[str, Any], type_name: str
) -> None:
    item = {"id": "8", "key": "v", "defaultValue": "{}", **variable}
    flag = {"id": "9", "key": "f", "rolloutId": "", "experimentIds": [], "variables": [item]}
    project = read_datafile(minimal(featureFlags=[flag]))

    assert project.flags[0].variables == (Variable("8", "v", type_name, "{}"),)


def test_typed_audiences_go_before_plain_ones_with_the_same_id() -> None:
    condition = {"name": "plan", "value": "gold", "type": "custom_attribute", "match": "exact"}
    leaf = Comparison("plan", "gold", "custom_attribute", "exact")
    project = read_datafile(
        minimal(
            audiences=[
                {"id": "20", "name": "overridden", "conditions": "no JSON, but nobody looks"},
                {"id": "21", "name": "plain", "conditions": json.dumps(["not", condition])},
            ],
            typedAudiences=[{"id": "20", "name": "typed", "conditions": condition}],
        )
    )

    assert project.audiences == (
        Audience("21", "plain", ["not", condition], Not(leaf), typed=False),
        Audience("20", "typed", condition, leaf),
    )


@pytest.mark.parametrize(
    ("fields", "expression", "tree"),
    [
        ({}, None, None),
        ({"audienceIds": ["1", "2"]}, ["1", "2"], Or((AudienceRef("1"), AudienceRef("2")))),
        ({"audienceIds": ["1"], "audienceConditions": None}, ["1"], AudienceRef("1")),
        ({"audienceIds": ["1"], "audienceConditions": []}, None, None),
        ({"audienceConditions": "1"}, "1", AudienceRef("1")),
        ({"audienceConditions": "", "audienceIds": ["1"]}, "", AudienceRef("")),
        ({"audienceConditions": ["and"]}, ["and"], And(())),
        ({"audienceConditions": ["not"]}, ["not"], Not(None)),
        ({"audienceConditions": ["not", "1", "2"]}, ["not", "1", "2"], Not(AudienceRef("1"))),
        (
            {"audienceConditions": ["and", "1", ["AND", []]]},
            ["and", "1", ["AND", []]],
            And((AudienceRef("1"), Or((AudienceRef("AND"), Malformed([]))))),
        ),
        ({"audienceConditions": ["or", 7]}, ["or", 7], Malformed(7)),
    ],
)
def test_audience_expressions_become_trees(
    fields: dict[str, Any], expression: object, tree: object
) -> None:
    experiment = read_datafile(minimal(experiments=[rule(**fields)])).experiments[0]

    assert (experiment.expression, experiment.audience) == (expression, tree)


@pytest.mark.parametrize(
    ("condition", "leaf"),
    [
        ({}, Comparison(None, None, None, None)),
        ({"name": 7, "type": 7, "match": [7]}, Comparison(None, None, "7", "[7]")),
        ("text", Malformed("text")),
        ([], Malformed([])),
        (None, Malformed(None)),
    ],
)
def test_odd_conditions_are_kept_as_what_they_are(condition: object, leaf: object) -> None:
    item = {"id": "20", "name": "odd", "conditions": condition}

    assert read_datafile(minimal(typedAudiences=[item])).audiences[0].tree == leaf


def test_a_feature_rollout_ends_with_everyone_elses_variation() -> None:
    remainder = read_datafile(json.dumps(datafile())).experiment_by_key["remainder"]
    everyone_else = datafile()["rollouts"][0]["experiments"][-1]["variations"][0]["id"]

    assert remainder.variations[-1].id == everyone_else
    assert remainder.allocation[-1] == Range(everyone_else, 10_000)


def test_a_feature_rollout_without_everyone_else_stays_as_it_is() -> None:
    def empty_the_last_rule(data: Any) -> None:
        data["rollouts"][0]["experiments"][-1]["variations"] = []

    assert len(changed(empty_the_last_rule).experiment_by_key["remainder"].variations) == 2


def test_a_variation_id_has_the_values_of_its_last_entry() -> None:
    one, other = (
        rule(
            id=id_, variations=[{"id": "3", "key": "on", "variables": [{"id": "8", "value": id_}]}]
        )
        for id_ in ("1", "2")
    )
    project = read_datafile(minimal(experiments=[one, other]))

    assert [e.variations[0].overrides for e in project.experiments] == [{"8": "2"}, {"8": "2"}]


def test_of_delivery_rules_with_one_id_the_last_counts_in_the_firsts_place() -> None:
    rules = [rule(id="1", key="a"), rule(id="2", key="b"), rule(id="1", key="c")]
    project = read_datafile(minimal(rollouts=[{"id": "6", "experiments": rules}]))

    assert [r.key for r in project.rollouts[0].rules] == ["c", "b"]


# Faults


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected a JSON object"),
        ("{", "expected a JSON object"),
        (b"\xff", "expected a JSON object"),
        ('{"version": "\ud800"}', "expected a JSON object"),
        ('{"typedAudiences": [{"conditions": ' + "[" * 10**5, "expected a JSON object"),
        ("[]", "expected object, got array"),
        ('"4"', "expected object, got str"),
    ],
)
def test_what_is_no_json_object_is_refused(text: str | bytes, reason: str) -> None:
    with pytest.raises(DatafileError) as caught:
        read_datafile(text)

    assert caught.value.path == "$"
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize("version", ["1", "5", "", "4.0"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(DatafileError) as caught:
        read_datafile(minimal(version=version))

    assert str(caught.value) == f'$.version: expected one of "2", "3", "4", got "{version}"'


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("$.version", 4, "expected str, got int"),
        ("$.revision", None, "expected str, got null"),
        ("$.experiments", {}, "expected array, got object"),
        ("$.experiments[0].variations[1].id", 7, "expected str, got int"),
        ("$.experiments[0].variations[1].featureEnabled", "yes", "expected bool | null, got str"),
        ("$.experiments[0].trafficAllocation[0].endOfRange", "1", "expected int | null, got str"),
        ("$.experiments[0].forcedVariations", [], "expected object, got array"),
        ("$.groups[0].experiments[1].audienceIds[0]", 7, "expected str, got int"),
        ("$.rollouts[0].experiments[3].layerId", 7, "expected str, got int"),
        ("$.featureFlags[1].variables[0].defaultValue", 7, "expected str, got int"),
        ("$.featureFlags[1].experimentIds[1]", "404", 'no experiment has the id "404"'),
        ("$.featureFlags[1].rolloutId", "404", 'no rollout has the id "404"'),
        ("$.anonymizeIP", 1, "expected bool | null, got int"),
    ],
)
def test_a_fault_has_the_path_of_its_place(path: str, value: object, message: str) -> None:
    def put(data: Any) -> None:
        *steps, last = _steps(path)
        for step in steps:
            data = data[step]
        if isinstance(last, int) and last == len(data):
            data.append(value)
        else:
            data[last] = value

    with pytest.raises(DatafileError) as caught:
        changed(put)

    assert (caught.value.path, caught.value.reason) == (path, message)


@pytest.mark.parametrize(
    "path",
    [
        "$.projectId",
        "$.accountId",
        "$.version",
        "$.revision",
        "$.groups",
        "$.experiments",
        "$.events",
        "$.audiences",
        "$.attributes",
        "$.attributes[0].key",
        "$.typedAudiences[0].conditions",
        "$.groups[0].policy",
        "$.groups[0].trafficAllocation",
        "$.experiments[0].id",
        "$.experiments[0].key",
        "$.experiments[0].status",
        "$.experiments[0].layerId",
        "$.experiments[0].variations",
        "$.experiments[0].trafficAllocation",
        "$.experiments[0].audienceIds",
        "$.experiments[0].forcedVariations",
        "$.experiments[0].variations[0].key",
        "$.experiments[0].variations[0].variables[0].value",
        "$.experiments[0].trafficAllocation[0].entityId",
        "$.rollouts[0].id",
        "$.rollouts[0].experiments[1].forcedVariations",
        "$.featureFlags[0].rolloutId",
        "$.featureFlags[0].experimentIds",
        "$.featureFlags[0].variables",
        "$.featureFlags[0].variables[0].type",
    ],
)
def test_a_required_field_that_is_missing_is_named(path: str) -> None:
    def remove(data: Any) -> None:
        *steps, last = _steps(path)
        for step in steps:
            data = data[step]
        del data[last]

    with pytest.raises(DatafileError) as caught:
        changed(remove)

    assert str(caught.value) == f"{path}: is required"


def _steps(path: str) -> list[str | int]:
    parts = path.removeprefix("$.").replace("[", ".").replace("]", "").split(".")
    return [int(part) if part.isdigit() else part for part in parts]


def test_a_plain_audience_whose_text_is_no_json_is_refused() -> None:
    with pytest.raises(DatafileError) as caught:
        read_datafile(minimal(audiences=[{"id": "20", "name": "n", "conditions": "["}]))

    assert caught.value.path == "$.audiences[0].conditions"


def nested(depth: int) -> object:
    value: object = "20"
    for _ in range(depth):
        value = ["or", value]
    return value


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        (
            {"experiments": [rule(audienceConditions=nested(102))]},
            "experiments[0].audienceConditions",
        ),
        (
            {
                "groups": [
                    {
                        "id": "5",
                        "policy": "random",
                        "trafficAllocation": [],
                        "experiments": [rule(), rule(audienceConditions=nested(101))],
                    }
                ]
            },
            "groups[0].experiments[1].audienceConditions",
        ),
        (
            {"rollouts": [{"id": "6", "experiments": [rule(audienceConditions=nested(101))]}]},
            "rollouts[0].experiments[0].audienceConditions",
        ),
        (
            {"holdouts": [rule(), rule(audienceConditions=nested(101))]},
            "holdouts[1].audienceConditions",
        ),
        (
            {"localHoldouts": [rule(audienceConditions=nested(101), includedRules=[])]},
            "localHoldouts[0].audienceConditions",
        ),
        (
            {"typedAudiences": [{"id": "1", "name": "n", "conditions": nested(102)}]},
            "typedAudiences[0].conditions",
        ),
        (
            {"audiences": [{"id": "1", "name": "n", "conditions": json.dumps(nested(102))}]},
            "audiences[0].conditions",
        ),
        (
            {"audiences": [{"id": "1", "name": "n", "conditions": "[" * 10**5}]},
            "audiences[0].conditions",
        ),
    ],
)
def test_conditions_deeper_than_anyone_writes_are_refused(
    fields: dict[str, Any], path: str
) -> None:
    with pytest.raises(DatafileError) as caught:
        read_datafile(minimal(**fields))

    assert caught.value.path == f"$.{path}"


def test_conditions_may_be_a_hundred_lists_deep() -> None:
    experiment = read_datafile(minimal(experiments=[rule(audienceConditions=nested(100))]))

    assert experiment.experiments[0].audience == AudienceRef("20")


# Writing


@given(SEEDS)
def test_reading_what_was_written_gives_the_same_project(seed: int) -> None:
    project = read_datafile(json.dumps(DatafileMaker(Random(seed)).datafile()))

    assert read_datafile(write_datafile(project)) == project


@given(SEEDS)
def test_equal_projects_give_equal_bytes(seed: int) -> None:
    project = read_datafile(json.dumps(DatafileMaker(Random(seed)).datafile()))
    written = write_datafile(project)

    assert write_datafile(read_datafile(written)) == written


def test_the_order_of_a_mapping_does_not_show() -> None:
    one, other = (
        read_datafile(minimal(experiments=[rule(forcedVariations=allowlist)]))
        for allowlist in ({"a": "on", "b": "on"}, {"b": "on", "a": "on"})
    )

    assert write_datafile(one) == write_datafile(other)


def test_a_datafile_is_written_in_the_layout_of_version_4() -> None:
    project = read_datafile(json.dumps(datafile()))
    written = json.loads(write_datafile(project))

    assert [e["key"] for e in written["experiments"]] == [
        e["key"] for e in datafile()["experiments"]
    ]
    assert written["groups"][0]["experiments"][0]["key"] == "first_of_group"
    assert written["typedAudiences"] == datafile()["typedAudiences"]
    assert written["audiences"] == []
    assert written["anonymizeIP"] is False
    assert written["region"] == "US"
    assert "sdkKey" not in written


def test_json_variables_are_written_for_older_clients_too() -> None:
    item = {"id": "8", "key": "v", "type": "json", "defaultValue": "{}"}
    flag = {"id": "9", "key": "f", "rolloutId": "", "experimentIds": [], "variables": [item]}
    written = json.loads(write_datafile(read_datafile(minimal(featureFlags=[flag]))))

    assert written["featureFlags"][0]["variables"] == [
        {"id": "8", "key": "v", "type": "string", "subType": "json", "defaultValue": "{}"}
    ]


def test_plain_audiences_are_written_as_text() -> None:
    item = {"id": "20", "name": "plain", "conditions": '["or", {"name": "plan"}]'}
    written = json.loads(write_datafile(read_datafile(minimal(audiences=[item]))))

    assert json.loads(written["audiences"][0]["conditions"]) == ["or", {"name": "plan"}]
    assert written["typedAudiences"] == []


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        (["1", "2"], ["1", "2"]),
        ("1", "1"),
        ([["1", "2"]], ["or", ["1", "2"]]),
        (["and", [["not", "1"], "2"]], ["and", ["or", ["not", "1"], "2"]]),
    ],
)
def test_an_or_that_the_official_sdk_needs_is_written_out(
    expression: object, written: object
) -> None:
    project = read_datafile(minimal(experiments=[rule(audienceConditions=expression)]))

    assert json.loads(write_datafile(project))["experiments"][0]["audienceConditions"] == written


def test_a_rule_that_is_open_in_spite_of_its_audience_ids_stays_open() -> None:
    project = read_datafile(minimal(experiments=[rule(audienceIds=["20"], audienceConditions=[])]))
    again = read_datafile(write_datafile(project))

    assert again == project
    assert again.experiments[0].audience is None


def test_a_feature_rollout_is_written_without_what_readers_add() -> None:
    project = read_datafile(json.dumps(datafile()))
    written = json.loads(write_datafile(project))
    remainder = next(e for e in written["experiments"] if e["key"] == "remainder")

    assert [v["key"] for v in remainder["variations"]] == ["on", "off"]
    assert remainder["trafficAllocation"] == [{"entityId": "9101", "endOfRange": 0}]


def test_a_feature_rollout_nobody_read_is_written_whole() -> None:
    def detach(data: Any) -> None:
        data["featureFlags"] = []

    project = changed(detach)
    written = json.loads(write_datafile(project))
    remainder = next(e for e in written["experiments"] if e["key"] == "remainder")

    assert len(remainder["variations"]) == 2
