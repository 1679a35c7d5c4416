"""Rules of a datafile, wherever they stand: experiments, delivery rules, holdouts.

All of a rule that could be wrong is checked at once; the rule is made when it is first looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Self

from msgspec import Struct

from tallybook.model.deferred import DeferredExperiment
from tallybook.model.project import (
    TOTAL_TRAFFIC,
    Cmab,
    Experiment,
    Group,
    Holdout,
    Range,
    Rollout,
    Variation,
)
from tallybook.wire.datafile_conditions import check_nesting, expression_tree
from tallybook.wire.datafile_shapes import (
    FEATURE_ROLLOUT,
    DatafileItem,
    GroupItem,
    HoldoutItem,
    RangeItem,
    RuleItem,
    VariationItem,
)


class Arms(Struct, frozen=True):
    """What a rule's own entry does not say about its variations.

    ``described`` are by variation id and ``everyone_else`` by the id of a feature rollout.
    """

    described: Mapping[str, VariationItem]
    everyone_else: Mapping[str, Sequence[VariationItem]]

    @classmethod
    def of(cls, item: DatafileItem) -> Self:
        """Gather them from a datafile."""
        return cls(_described(item), everyone_else_arms(item))


def _described(item: DatafileItem) -> dict[str, VariationItem]:
    # A variation id stands for one set of values: where rules disagree, the last entry counts.
    rules = chain(
        item.experiments,
        *(rollout.experiments for rollout in item.rollouts or ()),
        *(group.experiments for group in item.groups),
    )
    return {variation.id: variation for rule in rules for variation in rule.variations}


def everyone_else_arms(item: DatafileItem) -> dict[str, list[VariationItem]]:
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


def experiments_of(items: Sequence[RuleItem], path: str, arms: Arms) -> tuple[Experiment, ...]:
    """Experiments of no group."""
    make = partial(_experiment, arms=arms, group=None)
    return tuple(_rule(item, f"{path}[{index}]", make) for index, item in enumerate(items))


def grouped_experiments_of(
    items: Sequence[GroupItem], groups: Sequence[Group], arms: Arms
) -> Iterator[Experiment]:
    """Experiments of groups, group by group."""
    for group_index, (item, group) in enumerate(zip(items, groups, strict=True)):
        make = partial(_experiment, arms=arms, group=group)
        for index, rule in enumerate(item.experiments):
            yield _rule(rule, f"$.groups[{group_index}].experiments[{index}]", make, group)


def rollouts_of(item: DatafileItem, arms: Arms) -> Iterator[Rollout]:
    """Rollouts with their delivery rules."""
    make = partial(_made, arms=arms)
    for rollout_index, rollout in enumerate(item.rollouts or ()):
        path = f"$.rollouts[{rollout_index}].experiments"
        # Of rules with one id the last counts, in the first's place.
        rules = {
            rule.id: _rule(rule, f"{path}[{index}]", make)
            for index, rule in enumerate(rollout.experiments)
        }
        yield Rollout(rollout.id, tuple(rules.values()))


def _rule(
    item: RuleItem, path: str, make: Callable[[RuleItem], Experiment], group: Group | None = None
) -> Experiment:
    check_nesting(item.audience_conditions, f"{path}.audienceConditions")
    return DeferredExperiment.of(item.id, item.key, group, make, item, _cmab(item))


def _cmab(item: RuleItem) -> Cmab | None:
    cmab = item.cmab
    if cmab is None or cmab.attribute_ids is None or cmab.traffic_allocation is None:
        return None
    return Cmab(cmab.attribute_ids, cmab.traffic_allocation)


def _experiment(item: RuleItem, arms: Arms, group: Group | None) -> Experiment:
    return _made(item, arms, _added_to(item, arms), group)


def _added_to(item: RuleItem, arms: Arms) -> Sequence[VariationItem]:
    return arms.everyone_else.get(item.id, ()) if item.type == FEATURE_ROLLOUT else ()


def _made(
    item: RuleItem,
    arms: Arms,
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
        allocation=ranges_of(item.traffic_allocation) + rest,
        expression=expression,
        audience=None if expression is None else expression_tree(expression),
        allowlist=item.forced_variations,
        group=group,
        type=item.type,
        cmab=_cmab(item),
        audience_ids=item.audience_ids,
    )


def _expression(item: RuleItem) -> Any:
    # Even an empty expression goes before the ids; empty or absent, the rule is open to everyone.
    written = item.audience_conditions
    expression = list(item.audience_ids) if written is None else written
    return None if expression == [] else expression


def _distinct(items: Sequence[VariationItem]) -> Iterable[VariationItem]:
    # Of variations of a rule with one key the last one counts.
    return {variation.key: variation for variation in items}.values()


def _variation(item: VariationItem, arms: Arms) -> Variation:
    described = arms.described.get(item.id)
    return Variation(
        id=item.id,
        key=item.key,
        enabled=item.feature_enabled or False,
        overrides={used.id: used.value for used in described.variables or ()} if described else {},
        is_described=described is not None,
    )


def ranges_of(items: Sequence[RangeItem]) -> tuple[Range, ...]:
    """An allocation, without the entries that have no end."""
    return tuple(Range(r.entity_id, r.end_of_range) for r in items if r.end_of_range is not None)


def holdouts_of(item: DatafileItem, arms: Arms) -> Iterator[Holdout]:
    """Holdouts, the global ones first; a local one has to say for which rules it is."""
    for index, holdout in enumerate(item.holdouts or ()):
        yield _holdout(holdout, f"$.holdouts[{index}]", arms, rule_ids=None)
    for index, holdout in enumerate(item.local_holdouts or ()):
        if holdout.included_rules is not None:
            yield _holdout(
                holdout, f"$.localHoldouts[{index}]", arms, rule_ids=holdout.included_rules
            )


def remarks_on_holdouts(item: DatafileItem) -> Iterator[str]:
    """What of the holdouts is not used, as sentences."""
    for holdout in item.holdouts or ():
        if holdout.included_rules is not None:
            yield f'Holdout "{holdout.key}" is for all rules; its includedRules are not used.'
    for holdout in item.local_holdouts or ():
        if holdout.included_rules is None:
            yield f'Local holdout "{holdout.key}" names no includedRules and is not used.'


def _holdout(
    item: HoldoutItem, path: str, arms: Arms, *, rule_ids: tuple[str, ...] | None
) -> Holdout:
    rule = RuleItem(
        id=item.id,
        key=item.key,
        status=item.status,
        layer_id="",
        variations=item.variations,
        traffic_allocation=item.traffic_allocation,
        audience_ids=item.audience_ids,
        audience_conditions=item.audience_conditions,
        forced_variations={},
    )
    deferred = _rule(rule, path, partial(_made, arms=arms))
    return Holdout(deferred, rule_ids, item.exclude_targeted_deliveries or False)
