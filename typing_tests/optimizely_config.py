"""The datafile described: every field, down to a variation's variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_type

from tallybook import Client
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


def look_at(client: Client) -> None:
    config = client.get_optimizely_config()
    assert_type(config, OptimizelyConfig | None)
    config.revision  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    if config is None:
        return
    assert_type(config.revision, str)
    assert_type(config.sdk_key, str)
    assert_type(config.environment_key, str)
    assert_type(config.datafile, str)
    assert_type(config.get_datafile(), str)
    assert_type(config.experiments_map, Mapping[str, OptimizelyExperiment])
    assert_type(config.features_map, Mapping[str, OptimizelyFeature])
    assert_type(config.attributes, Sequence[OptimizelyAttribute])
    assert_type(config.events, Sequence[OptimizelyEvent])
    assert_type(config.audiences, Sequence[OptimizelyAudience])
    assert_type(config.attributes[0].key, str)
    assert_type(config.events[0].experiment_ids, Sequence[str])
    assert_type(config.audiences[0].conditions, str)
    config.revision = "8"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def look_into(feature: OptimizelyFeature) -> None:
    assert_type(feature.id, str)
    assert_type(feature.key, str)
    assert_type(feature.variables_map, Mapping[str, OptimizelyVariable])
    assert_type(feature.experiments_map, Mapping[str, OptimizelyExperiment])
    assert_type(feature.experiment_rules, Sequence[OptimizelyExperiment])
    assert_type(feature.delivery_rules, Sequence[OptimizelyExperiment])
    for experiment in feature.experiment_rules:
        assert_type(experiment.audiences, str)
        assert_type(experiment.variations_map, Mapping[str, OptimizelyVariation])
        for variation in experiment.variations_map.values():
            assert_type(variation.feature_enabled, bool | None)
            assert_type(variation.variables_map, Mapping[str, OptimizelyVariable])
            assert_type(variation.variables_map["color"].value, str)
            assert_type(variation.variables_map["color"].type, str)
    feature.rules  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
