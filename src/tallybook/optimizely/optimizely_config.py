"""A datafile described for people and tools, in the official SDK's own classes.

Unlike the nouns they are made from, these can be changed, and ``vars()`` shows what is in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tallybook.model import optimizely_config as nouns
from tallybook.optimizely.project_config import ProjectConfig


class OptimizelyVariable:
    """A variable and its value as raw text."""

    def __init__(self, id: str, key: str, variable_type: str, value: Any) -> None:  # noqa: A002 - as official
        self.id = id
        self.key = key
        self.type = variable_type
        self.value = value


class OptimizelyVariation:
    """An arm; ``feature_enabled`` is ``None`` where the datafile does not say."""

    def __init__(
        self,
        id: str,  # noqa: A002 - as official
        key: str,
        feature_enabled: bool | None,
        variables_map: dict[str, OptimizelyVariable],
    ) -> None:
        self.id = id
        self.key = key
        self.feature_enabled = feature_enabled
        self.variables_map = variables_map


class OptimizelyExperiment:
    """A rule; ``audiences`` shows its audience conditions by name."""

    def __init__(
        self,
        id: str,  # noqa: A002 - as official
        key: str,
        variations_map: dict[str, OptimizelyVariation],
        audiences: str = "",
    ) -> None:
        self.id = id
        self.key = key
        self.variations_map = variations_map
        self.audiences = audiences


class OptimizelyFeature:
    """A flag; ``delivery_rules`` end with everyone else."""

    def __init__(
        self,
        id: str,  # noqa: A002 - as official
        key: str,
        experiments_map: dict[str, OptimizelyExperiment],
        variables_map: dict[str, OptimizelyVariable],
    ) -> None:
        self.id = id
        self.key = key
        self.experiments_map = experiments_map
        self.variables_map = variables_map
        self.delivery_rules: list[OptimizelyExperiment] = []
        self.experiment_rules: list[OptimizelyExperiment] = []


class OptimizelyAttribute:
    """An attribute of visitors."""

    def __init__(self, id: str, key: str) -> None:  # noqa: A002 - as official
        self.id = id
        self.key = key


class OptimizelyEvent:
    """An event that can be tracked, and the experiments that measure it."""

    def __init__(self, id: str, key: str, experiment_ids: list[str]) -> None:  # noqa: A002 - as official
        self.id = id
        self.key = key
        self.experiment_ids = experiment_ids


class OptimizelyAudience:
    """An audience; ``conditions`` is JSON text."""

    def __init__(
        self,
        id: str | None,  # noqa: A002 - as official
        name: str | None,
        conditions: list[Any] | str | None,
    ) -> None:
        self.id = id
        self.name = name
        self.conditions = conditions


class OptimizelyConfig:
    """Everything in a datafile, by key."""

    def __init__(  # noqa: PLR0913, PLR0917 - as the official one
        self,
        revision: str,
        experiments_map: dict[str, OptimizelyExperiment],
        features_map: dict[str, OptimizelyFeature],
        datafile: str | None = None,
        sdk_key: str | None = None,
        environment_key: str | None = None,
        attributes: list[OptimizelyAttribute] | None = None,
        events: list[OptimizelyEvent] | None = None,
        audiences: list[OptimizelyAudience] | None = None,
    ) -> None:
        self.revision = revision
        self.experiments_map = experiments_map
        self.features_map = features_map
        self._datafile = datafile
        self.sdk_key = sdk_key or ""
        self.environment_key = environment_key or ""
        self.attributes = attributes or []
        self.events = events or []
        self.audiences = audiences or []

    def get_datafile(self) -> str | None:
        """The datafile's text, as it came."""
        return self._datafile


class OptimizelyConfigService:
    """Describes a project's config."""

    def __init__(self, project_config: ProjectConfig, logger: object) -> None:
        self._project_config = project_config
        self.logger = logger

    def get_config(self) -> OptimizelyConfig | None:
        """The description; a new one each time."""
        return _Copier().config(self._project_config.description())


class _Copier:
    """Copies a description; a rule that stands in two places is one object in both."""

    def __init__(self) -> None:
        self._rules: dict[int, OptimizelyExperiment] = {}

    def config(self, of: nouns.OptimizelyConfig) -> OptimizelyConfig:
        return OptimizelyConfig(
            of.revision,
            {key: self._rule(rule) for key, rule in of.experiments_map.items()},
            {key: self._feature(feature) for key, feature in of.features_map.items()},
            of.datafile,
            of.sdk_key,
            of.environment_key,
            [OptimizelyAttribute(a.id, a.key) for a in of.attributes],
            [OptimizelyEvent(e.id, e.key, list(e.experiment_ids)) for e in of.events],
            [OptimizelyAudience(a.id, a.name, a.conditions) for a in of.audiences],
        )

    def _feature(self, of: nouns.OptimizelyFeature) -> OptimizelyFeature:
        rules = {key: self._rule(rule) for key, rule in of.experiments_map.items()}
        feature = OptimizelyFeature(of.id, of.key, rules, _variables(of.variables_map.values()))
        feature.delivery_rules = [self._rule(rule) for rule in of.delivery_rules]
        feature.experiment_rules = [self._rule(rule) for rule in of.experiment_rules]
        return feature

    def _rule(self, of: nouns.OptimizelyExperiment) -> OptimizelyExperiment:
        known = self._rules.get(id(of))
        if known is None:
            arms = {key: _variation(arm) for key, arm in of.variations_map.items()}
            known = self._rules[id(of)] = OptimizelyExperiment(of.id, of.key, arms, of.audiences)
        return known


def _variation(of: nouns.OptimizelyVariation) -> OptimizelyVariation:
    variables = _variables(of.variables_map.values())
    return OptimizelyVariation(of.id, of.key, of.feature_enabled, variables)


def _variables(of: Iterable[nouns.OptimizelyVariable]) -> dict[str, OptimizelyVariable]:
    return {v.key: OptimizelyVariable(v.id, v.key, v.type, v.value) for v in of}
