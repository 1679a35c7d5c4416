"""Noun: a datafile described for people and tools, in the shape the official SDK describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct


class OptimizelyVariable(Struct, frozen=True):
    """A variable and its value as raw text: a flag's default, or what a variation has."""

    id: str
    key: str
    type: str
    value: str


class OptimizelyVariation(Struct, frozen=True):
    """An arm; ``feature_enabled`` is ``None`` where the datafile does not say."""

    id: str
    key: str
    feature_enabled: bool | None
    variables_map: Mapping[str, OptimizelyVariable]


class OptimizelyExperiment(Struct, frozen=True):
    """A rule; ``audiences`` shows its audience conditions by name."""

    id: str
    key: str
    variations_map: Mapping[str, OptimizelyVariation]
    audiences: str


class OptimizelyFeature(Struct, frozen=True):
    """A flag; ``delivery_rules`` end with everyone else."""

    id: str
    key: str
    experiments_map: Mapping[str, OptimizelyExperiment]
    variables_map: Mapping[str, OptimizelyVariable]
    delivery_rules: Sequence[OptimizelyExperiment]
    experiment_rules: Sequence[OptimizelyExperiment]


class OptimizelyAttribute(Struct, frozen=True):
    """An attribute of visitors."""

    id: str
    key: str


class OptimizelyEvent(Struct, frozen=True):
    """An event that can be tracked, and the experiments that measure it."""

    id: str
    key: str
    experiment_ids: Sequence[str]


class OptimizelyAudience(Struct, frozen=True):
    """An audience; ``conditions`` is JSON text."""

    id: str
    name: str
    conditions: str


class OptimizelyConfig(Struct, frozen=True):
    """Everything in a datafile, by key; ``datafile`` is its text."""

    revision: str
    experiments_map: Mapping[str, OptimizelyExperiment]
    features_map: Mapping[str, OptimizelyFeature]
    datafile: str
    sdk_key: str
    environment_key: str
    attributes: Sequence[OptimizelyAttribute]
    events: Sequence[OptimizelyEvent]
    audiences: Sequence[OptimizelyAudience]

    def get_datafile(self) -> str:
        """The datafile's text, as it came."""
        return self.datafile
