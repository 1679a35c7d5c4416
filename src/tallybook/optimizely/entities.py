"""What a datafile holds, under the official names, for those who are handed some of it."""

# ruff: noqa: A002, ARG002, N803, PLR0913, PLR0917 - names and arguments as official
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tallybook.model import project


class Event:
    """An event that may be tracked."""

    def __init__(self, id: str, key: str, experimentIds: list[str], **kwargs: Any) -> None:
        self.id = id
        self.key = key
        self.experimentIds = experimentIds


class Attribute:
    """An attribute of users."""

    def __init__(self, id: str, key: str, **kwargs: Any) -> None:
        self.id = id
        self.key = key


class Variable:
    """A variable of a flag; ``defaultValue`` is text."""

    def __init__(self, id: str, key: str, type: str, defaultValue: Any, **kwargs: Any) -> None:
        self.id = id
        self.key = key
        self.type = type
        self.defaultValue = defaultValue


class FeatureFlag:
    """A flag, its variables by key."""

    def __init__(
        self,
        id: str,
        key: str,
        experimentIds: list[str],
        rolloutId: str,
        variables: dict[str, Variable],
        groupId: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.id = id
        self.key = key
        self.experimentIds = experimentIds
        self.rolloutId = rolloutId
        self.variables = variables
        self.groupId = groupId


class Variation:
    """One arm of a rule; ``variables`` are mappings of ``id`` and ``value``."""

    def __init__(
        self,
        id: str,
        key: str,
        featureEnabled: bool = False,
        variables: list[dict[str, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.id = id
        self.key = key
        self.featureEnabled = featureEnabled
        self.variables = variables or []


class Experiment:
    """A rule that buckets users; its variations and ranges are mappings, as in the datafile."""

    def __init__(
        self,
        id: str,
        key: str,
        status: str,
        audienceIds: list[str],
        variations: list[dict[str, Any]],
        forcedVariations: dict[str, str],
        trafficAllocation: list[dict[str, Any]],
        layerId: str,
        audienceConditions: object = None,
        groupId: str | None = None,
        groupPolicy: str | None = None,
        cmab: Mapping[str, Any] | None = None,
        type: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.id = id
        self.key = key
        self.status = status
        self.audienceIds = audienceIds
        self.audienceConditions = audienceConditions
        self.variations = variations
        self.forcedVariations = forcedVariations
        self.trafficAllocation = trafficAllocation
        self.layerId = layerId
        self.groupId = groupId
        self.groupPolicy = groupPolicy
        self.cmab = cmab
        self.type = type


def event(event: project.EventType) -> Event:
    """An event of the datafile."""
    return Event(event.id, event.key, list(event.experiment_ids))


def attribute(attribute: project.Attribute) -> Attribute:
    """An attribute of the datafile."""
    return Attribute(attribute.id, attribute.key)


def feature_flag(flag: project.Flag) -> FeatureFlag:
    """A flag of the datafile."""
    variables = {v.key: Variable(v.id, v.key, v.type, v.default) for v in flag.variables}
    experiment_ids = [experiment.id for experiment in flag.experiments]
    return FeatureFlag(flag.id, flag.key, experiment_ids, flag.rollout_id, variables)


def variation(variation: project.Variation) -> Variation:
    """A variation of the datafile."""
    return Variation(**_variation(variation))


def experiment(rule: project.Experiment) -> Experiment:
    """A rule of the datafile, or the empty one that stands where no rule decided."""
    ids = list(rule.audience_ids)
    is_open = not rule.id or (ids and rule.expression is None)  # whatever the ids say
    conditions = [] if is_open else None if rule.expression == ids else rule.expression
    return Experiment(
        id=rule.id,
        key=rule.key,
        status=rule.status,
        audienceIds=ids,
        variations=[_variation(each) for each in rule.variations],
        forcedVariations=dict(rule.allowlist),
        trafficAllocation=[_range(part) for part in rule.allocation],
        layerId=rule.layer_id,
        audienceConditions=conditions,
        groupId=rule.group.id if rule.group else None,
        groupPolicy=rule.group.policy if rule.group else None,
        cmab=_cmab(rule.cmab) if rule.cmab else None,
        type=rule.type,
    )


def _variation(variation: project.Variation) -> dict[str, Any]:
    variables = [{"id": key, "value": value} for key, value in variation.overrides.items()]
    return {
        "id": variation.id,
        "key": variation.key,
        "featureEnabled": variation.enabled,
        "variables": variables,
    }


def _range(part: project.Range) -> dict[str, Any]:
    return {"entityId": part.entity_id, "endOfRange": part.end_of_range}


def _cmab(cmab: project.Cmab) -> dict[str, Any]:
    return {"attributeIds": list(cmab.attribute_ids), "trafficAllocation": cmab.traffic}
