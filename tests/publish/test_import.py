"""Importing a datafile: served as it is, its ids kept, its experiments known."""

from __future__ import annotations

import json

import pytest

from tallybook.errors import DatafileError, ImportDataError
from tallybook.publish import apply, import_datafile, plan
from tallybook.wire.datafile import read_datafile
from tallybook.wire.definition import read_definition

CONTROL, TREATMENT = "18802093142", "9802093142"


def rule(id_: str, key: str, arms: dict[str, str], **more: object) -> dict[str, object]:
    size = 10_000 // max(len(arms), 1)
    return {
        "id": id_,
        "key": key,
        "status": "Running",
        "layerId": f"9{id_}",
        "variations": [
            {"id": v, "key": k, "featureEnabled": True, "variables": []} for k, v in arms.items()
        ],
        "trafficAllocation": [
            {"entityId": v, "endOfRange": size * (i + 1)} for i, v in enumerate(arms.values())
        ],
        "audienceIds": [],
        "forcedVariations": {},
        **more,
    }


def datafile(**changes: object) -> str:
    """A datafile of elsewhere, indented as ours never is, with fields we do not know."""
    document = {
        "version": "4",
        "accountId": "1234",
        "projectId": "5678",
        "revision": "41",
        "sdkKey": "vendor-key",
        "environmentKey": "live",
        "somethingNew": {"a": [1]},
        "attributes": [{"id": "31", "key": "plan"}],
        "audiences": [],
        "typedAudiences": [],
        "events": [{"id": "32", "key": "purchase", "experimentIds": ["101"]}],
        "groups": [
            {
                "id": "51",
                "policy": "random",
                "trafficAllocation": [{"entityId": "103", "endOfRange": 10000}],
                "experiments": [rule("103", "grouped", {"a": "700000000001"})],
            }
        ],
        "experiments": [
            rule("101", "test", {"control": CONTROL, "treatment": TREATMENT}),
            rule("102", "legacy", {"x": "61"}, status="Archived"),
        ],
        "rollouts": [
            {
                "id": "71",
                "experiments": [
                    rule("72", "vip", {"treatment": "81"}),
                    rule("default-rollout-41-71", "default-rollout-41-71", {"off": "82"}),
                ],
            },
            {"id": "73", "experiments": []},
        ],
        "featureFlags": [
            {
                "id": "41",
                "key": "checkout",
                "rolloutId": "71",
                "experimentIds": ["101"],
                "variables": [{"id": "91", "key": "color", "type": "string", "defaultValue": "x"}],
            },
            {"id": "42", "key": "bare", "rolloutId": "73", "experimentIds": [], "variables": []},
            {"id": "43", "key": "none", "rolloutId": "", "experimentIds": [], "variables": []},
        ],
    }
    return json.dumps(document | changes, indent=3)


SAME_KEYS = """
project: "5678"
environments: {live: {}}
attributes: [plan, age]
events: [purchase]
flags:
  checkout:
    variables: {color: {type: string, default: red}}
    variations: {control: , treatment: , third: }
    rules:
      - {key: test, type: a/b, split: {control: 50%, treatment: 50%}}
      - {key: vip, type: targeted_delivery, variation: treatment}
"""


def test_a_datafile_is_served_byte_by_byte(catalog):
    text = datafile()
    done = import_datafile(catalog, text, now_ms=3000)
    served = catalog.datafile("vendor-key")
    assert served.body == text.encode()
    assert (served.revision, served.published_at_ms) == ("41", 3000)
    assert not served.access_token_required
    assert (done.project, done.environment, done.sdk_key) == ("5678", "live", "vendor-key")
    assert done.published
    assert done.text == (
        "project 5678, environment live\nrevision 41 published\n  SDK key: vendor-key\n"
        "  experiments: test, legacy, grouped"
    )


def test_importing_it_again_is_nothing_new(catalog):
    import_datafile(catalog, datafile(), now_ms=3000)
    again = import_datafile(catalog, datafile().encode(), now_ms=9000)
    assert not again.published
    assert "was published already" in again.text
    assert catalog.datafile("vendor-key").published_at_ms == 3000


def test_its_experiments_are_known_with_ids_arms_and_allocation(catalog):
    import_datafile(catalog, datafile(), now_ms=3000)
    found = catalog.find_experiment("test")
    assert found == catalog.find_experiment("101")
    assert (found.account_id, found.flag_key, found.status) == ("1234", "checkout", "running")
    assert list(found.arms.keys.items()) == [(CONTROL, "control"), (TREATMENT, "treatment")]
    assert found.arms.baseline_id == TREATMENT  # the smallest as a number, not as text
    assert found.metrics == ()
    (epoch,) = found.epochs
    assert (epoch.from_ms, epoch.revisions) == (3000, ("41",))
    assert epoch.weights == {CONTROL: 5000, TREATMENT: 5000}
    legacy = catalog.find_experiment("legacy")
    assert (legacy.flag_key, legacy.status) == (None, "concluded")
    assert catalog.event_keys() == ("purchase",)
    assert catalog.attribute_keys() == ("plan",)


def test_an_experiment_without_variations_is_left_out(catalog):
    empty = rule("1", "empty", {})
    words = {"b": "x9", "a": "x10"}
    experiments = [empty, rule("2", "words", words)]
    done = import_datafile(catalog, datafile(experiments=experiments, featureFlags=[]), now_ms=1)
    assert "empty" in done.experiments
    assert [e.key for e in catalog.experiments()] == ["grouped", "words"]
    assert catalog.find_experiment("words").arms.baseline_id == "x10"


def test_a_later_revision_is_another_epoch(catalog):
    import_datafile(catalog, datafile(), now_ms=1000)
    changed = rule("101", "test", {"control": CONTROL, "treatment": TREATMENT})
    changed["trafficAllocation"] = [{"entityId": CONTROL, "endOfRange": 1000}]
    text = datafile(revision="42", experiments=[changed])
    import_datafile(catalog, text, now_ms=2000)
    epochs = catalog.find_experiment("test").epochs
    assert [(e.revisions, dict(e.weights)) for e in epochs] == [
        (("41",), {CONTROL: 5000, TREATMENT: 5000}),
        (("42",), {CONTROL: 1000, TREATMENT: 0}),
    ]
    assert catalog.find_experiment("legacy").status == "removed"
    # The first file again is a way back.
    assert import_datafile(catalog, datafile(), now_ms=3000).published
    assert catalog.datafile("vendor-key").revision == "41"
    assert len(catalog.find_experiment("test").epochs) == 3


def test_one_revision_cannot_mean_two_things(catalog):
    import_datafile(catalog, datafile(), now_ms=1000)
    with pytest.raises(ImportDataError, match="revision 41 of 5678/live is published already"):
        import_datafile(catalog, datafile(anonymizeIP=True), now_ms=2000)
    assert catalog.datafile("vendor-key").published_at_ms == 1000


def test_a_definition_of_the_same_keys_keeps_the_ids(catalog):
    import_datafile(catalog, datafile(), now_ms=1000)
    definition = read_definition(SAME_KEYS)
    notes = plan(catalog, definition).notes
    (note,) = notes
    assert note.startswith("revision 41 was imported; the datafile made from the definition takes")
    done = apply(catalog, definition, 2000)
    assert (done.revision, done.sdk_keys) == ("42", {"live": "vendor-key"})
    assert done.plan.notes == notes
    project = read_datafile(catalog.datafile("vendor-key").body)
    assert (project.account_id, project.project_id) == ("1234", "5678")
    assert {a.key: a.id for a in project.attributes}["plan"] == "31"
    assert project.events[0].id == "32"
    flag = project.flag_by_key["checkout"]
    assert (flag.id, flag.rollout_id, flag.variables[0].id) == ("41", "71", "91")
    (experiment,) = flag.experiments
    assert (experiment.id, experiment.layer_id) == ("101", "9101")
    assert [v.id for v in experiment.variations] == [CONTROL, TREATMENT]
    vip, everyone_else = flag.rollout.rules
    # Elsewhere the variation had another id in each rule, and still has.
    assert (vip.id, vip.layer_id, vip.variations[0].id) == ("72", "972", "81")
    assert (everyone_else.id, everyone_else.variations[0].id) == ("default-rollout-41-71", "82")
    assert [e.revisions for e in catalog.find_experiment("test").epochs] == [("41", "42")]


def test_new_ids_step_around_imported_ones(catalog):
    import_datafile(catalog, datafile(), now_ms=1000)  # it brings 700000000001 along
    apply(catalog, read_definition("project: blog\nevents: [a]"), 2000)
    (key,) = (e for e in apply(catalog, read_definition("project: blog"), 3000).sdk_keys.values())
    project = read_datafile(catalog.datafile(key).body)
    assert project.account_id == "700000000002"
    assert project.project_id == "700000000003"


def test_applying_again_after_an_import_publishes_the_definition_again(catalog):
    import_datafile(catalog, datafile(), now_ms=1000)
    definition = read_definition(SAME_KEYS)
    apply(catalog, definition, 2000)
    import_datafile(catalog, datafile(revision="50"), now_ms=3000)
    done = apply(catalog, definition, 4000)
    assert (done.published, done.revision) == (True, "51")
    assert done.plan.changes == ()


def test_project_and_environment_may_be_named(catalog):
    done = import_datafile(catalog, datafile(), project="shop", environment="prod", now_ms=1)
    assert (done.project, done.environment) == ("shop", "prod")
    # A second environment of the same project id joins it without being told.
    more = datafile(sdkKey="other-key", environmentKey="staging")
    assert import_datafile(catalog, more, now_ms=2).project == "shop"
    assert catalog.find_experiment("test").environment_key == "prod"
    assert catalog.find_experiment("test", environment="staging").id == "101"


def test_audiences_keep_their_ids_by_name(catalog):
    gold = {
        "id": "21",
        "name": "gold",
        "conditions": [
            "or",
            {"name": "plan", "type": "custom_attribute", "match": "exact", "value": "gold"},
        ],
    }
    import_datafile(catalog, datafile(typedAudiences=[gold]), now_ms=1)
    apply(catalog, read_definition(SAME_KEYS + "audiences: {gold: {plan: {exact: gold}}}"), 2)
    (audience,) = read_datafile(catalog.datafile("vendor-key").body).audiences
    assert (audience.id, audience.name) == ("21", "gold")


def test_what_the_datafile_does_not_say_is_chosen(catalog):
    text = json.dumps(
        {k: v for k, v in json.loads(datafile()).items() if k not in {"sdkKey", "environmentKey"}}
    )
    first = import_datafile(catalog, text, now_ms=1)
    assert first.environment == "production"
    assert len(first.sdk_key) == 22
    assert import_datafile(catalog, text, now_ms=2) == type(first)(
        **{f: getattr(first, f) for f in type(first).__slots__} | {"published": False}
    )


def test_a_datafile_of_another_project_is_not_mixed_in(catalog):
    apply(catalog, read_definition("project: shop"), 1)
    with pytest.raises(ImportDataError, match="it is of project id 5678 in account 1234, but"):
        import_datafile(catalog, datafile(), project="shop", now_ms=2)


def test_an_sdk_key_of_another_environment_is_refused(catalog):
    apply(catalog, read_definition("project: shop\nenvironments: {a: {sdk_key: vendor-key}}"), 1)
    with pytest.raises(ImportDataError, match="`vendor-key` belongs to shop/a, not to 5678/live"):
        import_datafile(catalog, datafile(), now_ms=2)


def test_an_experiment_id_of_another_project_is_refused(catalog):
    import_datafile(catalog, datafile(), now_ms=1)
    other = datafile(sdkKey="k", projectId="9")
    with pytest.raises(ImportDataError, match=r"experiment id 10[123] belongs already to the proj"):
        import_datafile(catalog, other, now_ms=2)
    assert catalog.datafile("k") is None


def test_what_is_no_datafile_leaves_nothing_behind(catalog):
    with pytest.raises(DatafileError):
        import_datafile(catalog, "{}", now_ms=1)
    assert catalog.experiments() == ()
