"""A datafile's shapes to a :class:`Project`: ids resolved, conditions parsed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

import msgspec
from msgspec import Struct

from tallybook.errors import DatafileError
from tallybook.model.project import (
    Attribute,
    Audience,
    EventType,
    Experiment,
    Flag,
    Group,
    Integration,
    Project,
    Rollout,
    Variable,
)
from tallybook.wire.datafile_conditions import audience_tree, check_nesting
from tallybook.wire.datafile_rules import (
    Arms,
    experiments_of,
    grouped_experiments_of,
    holdouts_of,
    ranges_of,
    remarks_on_holdouts,
    rollouts_of,
)
from tallybook.wire.datafile_shapes import (
    AudienceItem,
    DatafileItem,
    FlagItem,
    VariableItem,
)

DEFAULT_REGION: Final = "US"


def project_of(item: DatafileItem) -> Project:
    """The project that ``item`` describes.

    Raises:
        DatafileError: An id refers to nothing, or an audience's conditions are no JSON or too deep.
    """
    arms = Arms.of(item)
    ungrouped = experiments_of(item.experiments, "$.experiments", arms)
    rollouts = tuple(rollouts_of(item, arms))
    groups = tuple(Group(g.id, g.policy, ranges_of(g.traffic_allocation)) for g in item.groups)
    grouped = tuple(grouped_experiments_of(item.groups, groups, arms))
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
        events=tuple([EventType(e.id, e.key, e.experiment_ids) for e in item.events]),
        attributes=tuple([Attribute(a.id, a.key) for a in item.attributes]),
        audiences=tuple(_audiences(item)),
        holdouts=tuple(holdouts_of(item, arms)),
        integrations=tuple(
            Integration(i.key, i.host, i.public_key) for i in item.integrations or ()
        ),
        remarks=tuple(remarks_on_holdouts(item)),
    )


class _Known(Struct, frozen=True):
    """What flags may refer to, by id."""

    rules: Mapping[str, Experiment]
    rollouts: Mapping[str, Rollout]


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
        check_nesting(audience.conditions, f"$.typedAudiences[{index}].conditions")
        tree = audience_tree(audience.conditions)
        yield Audience(audience.id, audience.name, audience.conditions, tree)


def _plain_audience(item: AudienceItem, path: str) -> Audience:
    try:
        conditions = msgspec.json.decode(item.conditions)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DatafileError(path, f"expected JSON in the text: {error}") from error
    check_nesting(conditions, path)
    tree = audience_tree(conditions)
    return Audience(item.id, item.name, conditions, tree, typed=False)
