"""A datafile's shapes to a :class:`Project`: ids resolved, conditions parsed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from tallybook.errors import DatafileError
from tallybook.model.project import (
    TOTAL_TRAFFIC,
    Attribute,
    Audience,
    Cmab,
    EventType,
    Experiment,
    Flag,
    Group,
    Project,
    Range,
    Rollout,
    Variable,
    Variation,
)
from tallybook.wire.datafile_conditions import audience_tree, expression_tree
from tallybook.wire.datafile_shapes import (
    FEATURE_ROLLOUT,
    AudienceItem,
    DatafileItem,
    FlagItem,
    GroupItem,
    RangeItem,
    RuleItem,
    VariableItem,
    VariationItem,
)

DEFAULT_REGION: Final = "US"


def project_of(item: DatafileItem) -> Project:
    """The project that ``item`` describes.

    Raises:
        DatafileError: An id refers to nothing, or an audience's conditions are no JSON or too deep.
    """
    arms = _Arms(_overrides(item), _everyone_else_arms(item))
    ungrouped = _experiments(item.experiments, "$.experiments", arms)
    rollouts = tuple(_rollouts(item, arms))
    groups = tuple(Group(g.id, g.policy, _ranges(g.traffic_allocation)) for g in item.groups)
    grouped = tuple(_grouped_experiments(item.groups, groups, arms))
    rules = chain(ungrouped, *(rollout.rules for rollout in rollouts), grouped)
    known = _Known({rule.id: rule for rule in rules}, {rollout.id: rollout for rollout in rollouts})
    return Project(
        account_id=item.account_id,
        project_id=item.project_id,
        revision=item.revision,
        version=item.version,
        sdk_key=item.sdk_key,
        environment_key=item.environment_key,
        anonymize_ip=item.anonymize_ip or False,
        bot_filtering=item.bot_filtering,
        send_flag_decisions=item.send_flag_decisions or False,
        region=item.region or DEFAULT_REGION,
        experiments=ungrouped + grouped,
        groups=groups,
        rollouts=rollouts,
        flags=tuple(
            _flag(flag, f"$.featureFlags[{index}]", known)
            for index, flag in enumerate(item.feature_flags or ())
        ),
        events=tuple(EventType(e.id, e.key, tuple(e.experiment_ids)) for e in item.events),
        attributes=tuple(Attribute(a.id, a.key) for a in item.attributes),
        audiences=tuple(_audiences(item)),
    )


class _Arms(NamedTuple):
    """What a rule's own entry does not say about its variations.

    ``overrides`` are by variation id and ``everyone_else`` by the id of a feature rollout.
    """

    overrides: Mapping[str, Mapping[str, str]]
    everyone_else: Mapping[str, Sequence[VariationItem]]


class _Known(NamedTuple):
    """What flags may refer to, by id."""

    rules: Mapping[str, Experiment]
    rollouts: Mapping[str, Rollout]


def _overrides(item: DatafileItem) -> dict[str, dict[str, str]]:
    # A variation id stands for one set of values: where rules disagree, the last entry counts.
    rules = chain(
        item.experiments,
        *(rollout.experiments for rollout in item.rollouts or ()),
        *(group.experiments for group in item.groups),
    )
    return {
        variation.id: {used.id: used.value for used in variation.variables or ()}
        for rule in rules
        for variation in rule.variations
    }


def _everyone_else_arms(item: DatafileItem) -> dict[str, list[VariationItem]]:
    """What visitors outside a feature rollout's allocation get, by the id of the experiment."""
    last_rules = {r.id: r.experiments[-1] for r in item.rollouts or () if r.experiments}
    arms: dict[str, list[VariationItem]] = {}
    for flag in item.feature_flags or ():
        rule = last_rules.get(flag.rollout_id)
        if rule is None or not rule.variations:
            continue
        for experiment_id in flag.experiment_ids:
            arms.setdefault(experiment_id, []).append(rule.variations[0])
    return arms


def _experiments(items: Sequence[RuleItem], path: str, arms: _Arms) -> tuple[Experiment, ...]:
    return tuple(
        _rule(item, f"{path}[{index}]", arms, added=_added_to(item, arms))
        for index, item in enumerate(items)
    )


def _added_to(item: RuleItem, arms: _Arms) -> Sequence[VariationItem]:
    return arms.everyone_else.get(item.id, ()) if item.type == FEATURE_ROLLOUT else ()


def _grouped_experiments(
    items: Sequence[GroupItem], groups: Sequence[Group], arms: _Arms
) -> Iterator[Experiment]:
    for group_index, (item, group) in enumerate(zip(items, groups, strict=True)):
        for index, rule in enumerate(item.experiments):
            path = f"$.groups[{group_index}].experiments[{index}]"
            yield _rule(rule, path, arms, added=_added_to(rule, arms), group=group)


def _rollouts(item: DatafileItem, arms: _Arms) -> Iterator[Rollout]:
    for rollout_index, rollout in enumerate(item.rollouts or ()):
        rules: dict[
            str, Experiment
        ] = {}  # of rules with one id the last counts, in the first's place
        for index, rule in enumerate(rollout.experiments):
            path = f"$.rollouts[{rollout_index}].experiments[{index}]"
            rules[rule.id] = _rule(rule, path, arms)
        yield Rollout(rollout.id, tuple(rules.values()))


def _rule(
    item: RuleItem,
    path: str,
    arms: _Arms,
    *,
    added: Sequence[VariationItem] = (),
    group: Group | None = None,
) -> Experiment:
    expression = _expression(item)
    rest = tuple(Range(variation.id, TOTAL_TRAFFIC) for variation in added)
    return Experiment(
        id=item.id,
        key=item.key,
        status=item.status,
        layer_id=item.layer_id,
        variations=tuple(_variation(v, arms) for v in chain(_distinct(item.variations), added)),
        allocation=_ranges(item.traffic_allocation) + rest,
        expression=expression,
        audience=(
            None
            if expression is None
            else expression_tree(expression, f"{path}.audienceConditions")
        ),
        allowlist=item.forced_variations,
        group=group,
        type=item.type,
        cmab=(
            None
            if item.cmab is None
            else Cmab(tuple(item.cmab.attribute_ids), item.cmab.traffic_allocation)
        ),
        audience_ids=tuple(item.audience_ids),
    )


def _expression(item: RuleItem) -> Any:
    # Even an empty expression goes before the ids; empty or absent, the rule is open to everyone.
    given = item.audience_ids if item.audience_conditions is None else item.audience_conditions
    return None if given == [] else given


def _distinct(items: Sequence[VariationItem]) -> Iterable[VariationItem]:
    # Of variations of a rule with one key the last one counts.
    return {variation.key: variation for variation in items}.values()


def _variation(item: VariationItem, arms: _Arms) -> Variation:
    return Variation(item.id, item.key, item.feature_enabled or False, arms.overrides[item.id])


def _ranges(items: Sequence[RangeItem]) -> tuple[Range, ...]:
    return tuple(Range(r.entity_id, r.end_of_range) for r in items if r.end_of_range is not None)


def _flag(item: FlagItem, path: str, known: _Known) -> Flag:
    for index, experiment_id in enumerate(item.experiment_ids):
        if experiment_id not in known.rules:
            raise DatafileError(
                f"{path}.experimentIds[{index}]", f'no experiment has the id "{experiment_id}"'
            )
    if item.rollout_id and item.rollout_id not in known.rollouts:
        raise DatafileError(f"{path}.rolloutId", f'no rollout has the id "{item.rollout_id}"')
    return Flag(
        id=item.id,
        key=item.key,
        experiments=tuple(known.rules[experiment_id] for experiment_id in item.experiment_ids),
        rollout_id=item.rollout_id,
        rollout=known.rollouts.get(item.rollout_id) if item.rollout_id else None,
        variables=tuple(_variable(variable) for variable in item.variables),
    )


def _variable(item: VariableItem) -> Variable:
    is_json = item.type == "string" and item.sub_type == "json"
    return Variable(item.id, item.key, "json" if is_json else item.type, item.default_value)


def _audiences(item: DatafileItem) -> Iterator[Audience]:
    typed = {audience.id for audience in item.typed_audiences or ()}
    for index, plain in enumerate(item.audiences):
        if plain.id not in typed:
            yield _plain_audience(plain, f"$.audiences[{index}].conditions")
    for index, audience in enumerate(item.typed_audiences or ()):
        tree = audience_tree(audience.conditions, f"$.typedAudiences[{index}].conditions")
        yield Audience(audience.id, audience.name, audience.conditions, tree)


def _plain_audience(item: AudienceItem, path: str) -> Audience:
    try:
        conditions = msgspec.json.decode(item.conditions)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DatafileError(path, f"expected JSON in the text: {error}") from error
    tree = audience_tree(conditions, path)
    return Audience(item.id, item.name, conditions, tree, typed=False)
