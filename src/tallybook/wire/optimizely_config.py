"""A datafile's text to an :class:`OptimizelyConfig`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from msgspec.structs import replace

from tallybook.model.optimizely_config import (
    OptimizelyAttribute,
    OptimizelyAudience,
    OptimizelyConfig,
    OptimizelyEvent,
    OptimizelyExperiment,
    OptimizelyFeature,
    OptimizelyVariable,
    OptimizelyVariation,
)
from tallybook.wire.audience_text import audience_text
from tallybook.wire.datafile import parse_datafile
from tallybook.wire.datafile_rules import everyone_else_arms
from tallybook.wire.datafile_shapes import (
    FEATURE_ROLLOUT,
    DatafileItem,
    FlagItem,
    RuleItem,
    VariableItem,
    VariationItem,
)

_PLACEHOLDER: Final = "$opt_dummy_audience"


def describe_datafile(text: str | bytes) -> OptimizelyConfig:
    """What a datafile holds, by key.

    Raises:
        DatafileError: As for :func:`~tallybook.wire.datafile.read_datafile`.
    """
    item = parse_datafile(text)
    audiences, flags = list(_audiences(item)), item.feature_flags or ()
    known = _Known(
        names={a.id: a.name for a in audiences},
        everyone_else=everyone_else_arms(item),
        flag_of={i: flag for flag in flags for i in flag.experiment_ids},
    )
    rules = {rule.id: rule for rule in _experiment_rules(item)}
    experiments = {rule_id: _experiment(rule, known) for rule_id, rule in rules.items()}
    rollouts = {rollout.id: rollout.experiments for rollout in item.rollouts or ()}
    return OptimizelyConfig(
        revision=item.revision,
        sdk_key=item.sdk_key or "",
        environment_key=item.environment_key or "",
        experiments_map={e.key: e for e in experiments.values()},
        features_map={
            flag.key: _feature(flag, experiments, rollouts.get(flag.rollout_id, ()), known)
            for flag in flags
        },
        attributes=[OptimizelyAttribute(a.id, a.key) for a in item.attributes],
        events=[OptimizelyEvent(e.id, e.key, list(e.experiment_ids)) for e in item.events],
        audiences=audiences,
        datafile=text if isinstance(text, str) else text.decode("utf-8-sig"),
    )


class _Known(NamedTuple):
    """What a rule's description needs besides the rule."""

    names: Mapping[str, str]
    everyone_else: Mapping[str, Sequence[VariationItem]]
    flag_of: Mapping[str, FlagItem]


def _audiences(item: DatafileItem) -> Iterator[OptimizelyAudience]:
    typed = {audience.id for audience in item.typed_audiences or ()}
    for audience in item.typed_audiences or ():
        yield OptimizelyAudience(audience.id, audience.name, json.dumps(audience.conditions))
    for plain in item.audiences:
        if plain.id not in typed and plain.id != _PLACEHOLDER:
            yield OptimizelyAudience(plain.id, plain.name, plain.conditions)


def _experiment_rules(item: DatafileItem) -> Iterator[RuleItem]:
    return chain(item.experiments, *(group.experiments for group in item.groups))


def _experiment(rule: RuleItem, known: _Known) -> OptimizelyExperiment:
    flag = known.flag_of.get(rule.id)
    added = known.everyone_else.get(rule.id, ()) if rule.type == FEATURE_ROLLOUT else ()
    return OptimizelyExperiment(
        id=rule.id,
        key=rule.key,
        variations_map={
            v.key: _variation(v, flag, with_own_values=True)
            for v in (*rule.variations, *map(_said, added))
        },
        audiences=audience_text(rule.audience_conditions, known.names),
    )


def _said(added: VariationItem) -> VariationItem:
    return replace(added, feature_enabled=added.feature_enabled or False)


def _feature(
    flag: FlagItem,
    experiments: Mapping[str, OptimizelyExperiment],
    delivery: Sequence[RuleItem],
    known: _Known,
) -> OptimizelyFeature:
    own = [experiments[i] for i in flag.experiment_ids if i in experiments]
    return OptimizelyFeature(
        id=flag.id,
        key=flag.key,
        experiments_map={experiment.key: experiment for experiment in own},
        variables_map=_variables(flag, {}),
        experiment_rules=own,
        delivery_rules=[_delivery_rule(rule, flag, known) for rule in delivery],
    )


def _delivery_rule(rule: RuleItem, flag: FlagItem, known: _Known) -> OptimizelyExperiment:
    return OptimizelyExperiment(
        id=rule.id,
        key=rule.key,
        variations_map={v.key: _variation(v, flag, with_own_values=False) for v in rule.variations},
        audiences=audience_text(rule.audience_conditions, known.names),
    )


def _variation(
    item: VariationItem, flag: FlagItem | None, *, with_own_values: bool
) -> OptimizelyVariation:
    values: dict[str, str] = {}
    if with_own_values and item.feature_enabled:
        values = {used.id: used.value for used in item.variables or ()}
    variables = _variables(flag, values) if flag else {}
    return OptimizelyVariation(item.id, item.key, item.feature_enabled, variables)


def _variables(flag: FlagItem, values: Mapping[str, str]) -> dict[str, OptimizelyVariable]:
    return {
        v.key: OptimizelyVariable(v.id, v.key, _type(v), values.get(v.id, v.default_value))
        for v in flag.variables
    }


def _type(item: VariableItem) -> str:
    return "json" if item.type == "string" and item.sub_type == "json" else item.type
