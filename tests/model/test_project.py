from __future__ import annotations

from tallybook.model.project import (
    Audience,
    Experiment,
    Flag,
    Group,
    Project,
    Rollout,
    Variable,
    Variation,
)


def rule(
    rule_id: str, *variations: Variation, key: str = "", group: Group | None = None
) -> Experiment:
    return Experiment(rule_id, key or rule_id, "Running", "1", variations, (), group=group)


def test_variations_of_a_rule_are_found_by_id_and_by_key() -> None:
    on, off = Variation("1", "on"), Variation("2", "off")
    experiment = rule("e", on, off)

    assert experiment.variation_by_id == {"1": on, "2": off}
    assert experiment.variation_by_key == {"on": on, "off": off}


def test_a_flag_lists_the_variations_of_its_experiments_then_of_its_rollout_each_id_once() -> None:
    on, off, same_id = Variation("1", "on"), Variation("2", "off"), Variation("1", "other")
    blue = Variation("3", "blue")
    flag = Flag(
        id="f",
        key="f",
        experiments=(rule("e1", on), rule("e2", same_id, off)),
        rollout_id="r",
        rollout=Rollout("r", (rule("d", same_id, blue),)),
        variables=(),
    )

    assert flag.variations == (on, off, blue)


def test_where_an_id_repeats_within_a_rule_its_last_variation_counts() -> None:
    first, last = Variation("1", "on"), Variation("1", "off")
    flag = Flag("f", "f", (rule("e", first, last),), "", None, ())

    assert flag.variations == (last,)


def test_a_flags_variables_are_found_by_key() -> None:
    color = Variable("8", "color", "string", "blue")

    assert Flag("f", "f", (), "", None, (color,)).variable_by_key == {"color": color}


def test_of_rules_with_one_key_grouped_ones_go_before_delivery_before_the_rest() -> None:
    group = Group("g", "random", ())
    ungrouped, delivery, grouped = (
        rule("1", key="k"),
        rule("2", key="k"),
        rule("3", key="k", group=group),
    )
    project = Project(
        "1",
        "2",
        "3",
        experiments=(grouped, ungrouped),
        groups=(group,),
        rollouts=(Rollout("r", (delivery,)),),
    )

    assert project.experiment_by_key["k"] is grouped
    assert project.experiment_by_id == {"1": ungrouped, "2": delivery, "3": grouped}


def test_of_audiences_with_one_id_the_last_counts() -> None:
    plain, typed = Audience("20", "plain", [], None, typed=False), Audience("20", "typed", [], None)

    assert Project("1", "2", "3", audiences=(plain, typed)).audience_by_id == {"20": typed}


def test_projects_that_hold_the_same_are_equal() -> None:
    one, other = (
        Project("1", "2", "3", experiments=(rule("e", Variation("1", "on")),)) for _ in "ab"
    )

    assert one == other
