"""A :class:`Project` to a datafile's shapes, in the layout of version 4."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tallybook.model.project import (
    TOTAL_TRAFFIC,
    Experiment,
    Flag,
    Group,
    Holdout,
    Project,
    Range,
    Variable,
    Variation,
)
from tallybook.wire.datafile_conditions import explicit_expression
from tallybook.wire.datafile_shapes import (
    FEATURE_ROLLOUT,
    AttributeKeyItem,
    AudienceItem,
    CmabItem,
    DatafileItem,
    EventTypeItem,
    FlagItem,
    GroupItem,
    HoldoutItem,
    IntegrationItem,
    OverrideItem,
    RangeItem,
    RolloutItem,
    RuleItem,
    TypedAudienceItem,
    VariableItem,
    VariationItem,
)


def datafile_of(project: Project) -> DatafileItem:
    """The datafile that describes ``project``; reading it again gives an equal project.

    What a datafile cannot hold is how experiments of groups and of no group were mixed, and how
    plain and typed audiences were: those of no group and the plain ones come first.
    """
    return DatafileItem(
        version=project.version,
        account_id=project.account_id,
        project_id=project.project_id,
        revision=project.revision,
        sdk_key=project.sdk_key,
        environment_key=project.environment_key,
        region=project.region,
        anonymize_ip=project.anonymize_ip,
        bot_filtering=project.bot_filtering,
        send_flag_decisions=project.send_flag_decisions,
        attributes=tuple(AttributeKeyItem(id=a.id, key=a.key) for a in project.attributes),
        audiences=tuple(
            AudienceItem(id=a.id, name=a.name, conditions=_json_text(a.conditions))
            for a in project.audiences
            if not a.typed
        ),
        typed_audiences=tuple(
            TypedAudienceItem(id=a.id, name=a.name, conditions=a.conditions)
            for a in project.audiences
            if a.typed
        ),
        events=tuple(
            EventTypeItem(id=e.id, key=e.key, experiment_ids=e.experiment_ids)
            for e in project.events
        ),
        groups=tuple(_group(group, project) for group in project.groups),
        experiments=tuple(_experiment(e, project) for e in project.experiments if e.group is None),
        rollouts=tuple(
            RolloutItem(id=r.id, experiments=tuple(_rule(rule) for rule in r.rules))
            for r in project.rollouts
        ),
        feature_flags=tuple(_flag(flag) for flag in project.flags),
        holdouts=tuple(_holdout(h) for h in project.holdouts if h.rule_ids is None) or None,
        local_holdouts=(
            tuple(_holdout(h) for h in project.holdouts if h.rule_ids is not None) or None
        ),
        integrations=tuple(
            IntegrationItem(key=i.key, host=i.host, public_key=i.public_key)
            for i in project.integrations
        )
        or None,
    )


def _holdout(holdout: Holdout) -> HoldoutItem:
    rule = _rule(holdout.rule)
    return HoldoutItem(
        id=rule.id,
        key=rule.key,
        status=rule.status,
        variations=rule.variations,
        traffic_allocation=rule.traffic_allocation,
        audience_ids=rule.audience_ids,
        audience_conditions=rule.audience_conditions,
        included_rules=holdout.rule_ids,
        exclude_targeted_deliveries=holdout.spares_deliveries or None,
    )


def _group(group: Group, project: Project) -> GroupItem:
    return GroupItem(
        id=group.id,
        policy=group.policy,
        traffic_allocation=_ranges(group.allocation),
        experiments=tuple(
            _experiment(e, project)
            for e in project.experiments
            if e.group is not None and e.group.id == group.id
        ),
    )


def _experiment(experiment: Experiment, project: Project) -> RuleItem:
    item = _rule(experiment)
    if experiment.type != FEATURE_ROLLOUT:
        return item
    # Readers add everyone else's variation by themselves: what a reader added is taken off again.
    added = _everyone_else_arms(experiment, project.flags)
    kept = len(experiment.variations) - len(added)
    rest = tuple(Range(variation.id, TOTAL_TRAFFIC) for variation in added)
    if added and experiment.variations[kept:] == added:
        item.variations = item.variations[:kept]
        item.traffic_allocation = _ranges(_without_suffix(experiment.allocation, rest))
    return item


def _everyone_else_arms(experiment: Experiment, flags: Iterable[Flag]) -> tuple[Variation, ...]:
    return tuple(
        flag.rollout.rules[-1].variations[0]
        for flag in flags
        if flag.rollout and flag.rollout.rules and flag.rollout.rules[-1].variations
        for used in flag.experiments
        if used.id == experiment.id
    )


def _without_suffix(ranges: tuple[Range, ...], suffix: tuple[Range, ...]) -> tuple[Range, ...]:
    kept = len(ranges) - len(suffix)
    return ranges[:kept] if ranges[kept:] == suffix else ranges


def _rule(rule: Experiment) -> RuleItem:
    return RuleItem(
        id=rule.id,
        key=rule.key,
        status=rule.status,
        layer_id=rule.layer_id,
        type=rule.type,
        variations=tuple(_variation(variation) for variation in rule.variations),
        traffic_allocation=_ranges(rule.allocation),
        audience_ids=rule.audience_ids,
        audience_conditions=_audience_conditions(rule),
        forced_variations=dict(rule.allowlist),
        cmab=(
            None
            if rule.cmab is None
            else CmabItem(
                attribute_ids=rule.cmab.attribute_ids,
                traffic_allocation=rule.cmab.traffic,
            )
        ),
    )


def _audience_conditions(rule: Experiment) -> Any:
    if rule.expression is None:
        # Open to everyone, whatever the ids say: an empty expression goes before them.
        return [] if rule.audience_ids else None
    return explicit_expression(rule.expression)


def _variation(variation: Variation) -> VariationItem:
    return VariationItem(
        id=variation.id,
        key=variation.key,
        feature_enabled=variation.enabled,
        variables=tuple(
            OverrideItem(id=variable_id, value=value)
            for variable_id, value in sorted(variation.overrides.items())
        ),
    )


def _ranges(ranges: Sequence[Range]) -> tuple[RangeItem, ...]:
    return tuple(RangeItem(entity_id=r.entity_id, end_of_range=r.end_of_range) for r in ranges)


def _flag(flag: Flag) -> FlagItem:
    return FlagItem(
        id=flag.id,
        key=flag.key,
        rollout_id=flag.rollout_id,
        experiment_ids=tuple(experiment.id for experiment in flag.experiments),
        variables=tuple(_variable(variable) for variable in flag.variables),
    )


def _variable(variable: Variable) -> VariableItem:
    # Clients older than JSON variables read them as strings.
    is_json = variable.type == "json"
    return VariableItem(
        id=variable.id,
        key=variable.key,
        type="string" if is_json else variable.type,
        sub_type="json" if is_json else None,
        default_value=variable.default,
    )


def _json_text(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
