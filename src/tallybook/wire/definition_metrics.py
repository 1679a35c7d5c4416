"""Metrics of a definition file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from tallybook.errors import DefinitionError
from tallybook.model.metric import Aggregator, Metric, Scope, WinningDirection
from tallybook.wire.definition_shapes import MetricShape, fitted
from tallybook.wire.definition_values import checked_key, defined, one_of
from tallybook.wire.definition_yaml import join

# Part of the design, so that they are told apart from misspellings, but nothing computes them yet.
_AGGREGATORS_TO_COME: Final = ("ratio", "quantile", "retention", "funnel", "distinct")
_FIELDS_TO_COME: Final = (
    "window",
    "delay",
    "where",
    "cap",
    "numerator",
    "denominator",
    "quantile",
    "non_inferiority_margin",
)


def read_metrics(document: Mapping[str, object], events: Collection[str]) -> tuple[Metric, ...]:
    """Every metric of the document; each measures one of ``events``."""
    return tuple(_metric(key, value, events) for key, value in document.items())


def _metric(key: str, value: object, events: Collection[str]) -> Metric:
    path = join("metrics", key)
    checked_key(key, path)
    _refuse_what_is_to_come(value, path)
    shape = fitted(MetricShape, value, path)
    metric = Metric(
        key=key,
        event_key=defined("event", shape.event, events, join(path, "event")),
        aggregator=one_of(Aggregator, shape.aggregator, join(path, "aggregator")),
        field=shape.field,
        scope=one_of(Scope, shape.scope, join(path, "scope")),
        winning_direction=one_of(
            WinningDirection, shape.winning_direction, join(path, "winning_direction")
        ),
    )
    _check_parts_agree(metric, path)
    return metric


def _refuse_what_is_to_come(value: object, path: str) -> None:
    if not isinstance(value, dict):
        return
    aggregator = value.get("aggregator")
    if aggregator in _AGGREGATORS_TO_COME:
        raise DefinitionError(
            join(path, "aggregator"),
            f"`{aggregator}` is not built yet; this version computes: {', '.join(Aggregator)}",
        )
    for name in _FIELDS_TO_COME:
        if name in value:
            reason = "is not built yet; leave it out with this version"
            raise DefinitionError(join(path, name), reason)


def _check_parts_agree(metric: Metric, path: str) -> None:
    is_sum = metric.aggregator is Aggregator.SUM
    if is_sum and not metric.field:
        raise DefinitionError(
            path, "a sum needs a `field`: revenue, value, or the name of a numeric tag"
        )
    if not is_sum and metric.field is not None:
        reason = f"`{metric.aggregator}` takes no field; leave it out, or use aggregator: sum"
        raise DefinitionError(join(path, "field"), reason)
    if not is_sum and metric.scope is Scope.EVENT:
        reason = f"`{metric.aggregator}` is per visitor; scope: event is for aggregator: sum"
        raise DefinitionError(join(path, "scope"), reason)


def metric_value(metric: Metric) -> dict[str, object]:
    """The metric as a definition file writes it, without what is the default."""
    value: dict[str, object] = {"event": metric.event_key, "aggregator": str(metric.aggregator)}
    if metric.field is not None:
        value["field"] = metric.field
    if metric.scope is not Scope.VISITOR:
        value["scope"] = str(metric.scope)
    if metric.winning_direction is not WinningDirection.INCREASING:
        value["winning_direction"] = str(metric.winning_direction)
    return value
