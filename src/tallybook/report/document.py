"""Verb: report → the result document, as JSON that two people compute alike, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tallybook.model.estimate import NoEstimate, SampleRatio
from tallybook.model.report import (
    ArmResult,
    Comparison,
    EpochReport,
    Health,
    MetricResult,
    Report,
    Slice,
)
from tallybook.report.times import rfc3339

Document = dict[str, object]


def to_json(report: Report) -> str:
    """Return the result document as indented JSON, with a line feed at the end."""
    return json.dumps(document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def document(report: Report) -> Document:
    """Return the result document as JSON values; keys stand in the documented order."""
    found: Document = {
        "experiment_key": report.experiment_key,
        "experiment_id": report.experiment_id,
        "start_time": rfc3339(report.window.from_ms),
        "end_time": rfc3339(report.window.to_ms),
        "method": report.method,
        "confidence_level": report.confidence_level,
        "segment": None,
        "reach": _reach(report.everyone),
        "health": _health(report.health),
        "metrics": [_metric(metric) for metric in report.everyone.metrics],
    }
    if report.segments is not None:
        found["segments"] = [_slice(part) for part in report.segments]
    return found


def _slice(part: Slice) -> Document:
    return {
        "segment": dict(part.segment),
        "reach": _reach(part),
        "metrics": [_metric(metric) for metric in part.metrics],
    }


def _reach(part: Slice) -> Document:
    variations = {
        key: {"variation_id": arm.variation_id, "count": arm.count}
        for key, arm in part.reach.items()
    }
    return {"total_count": part.total_count, "variations": variations}


def _health(health: Health) -> Document:
    found: Document = {
        "sample_ratio": _sample_ratio(health.sample_ratio),
        "switched_visitors": health.switched_visitors,
        "duplicate_events": health.duplicate_events,
        "dead_letters": health.dead_letters,
    }
    if health.allocation_epochs is not None:
        found["allocation_epochs"] = [_epoch(epoch) for epoch in health.allocation_epochs]
    return found


def _sample_ratio(found: SampleRatio | NoEstimate) -> Document:
    if isinstance(found, NoEstimate):
        return _not_available(found)
    return {
        "p_value": found.p_value,
        "mismatch": found.mismatch,
        "expected": dict(found.expected),
        "epochs": found.epochs,
    }


def _epoch(epoch: EpochReport) -> Document:
    return {
        "from": rfc3339(epoch.from_ms),
        "revisions": list(epoch.revisions),
        "allocation": dict(epoch.allocation),
    }


def _metric(result: MetricResult) -> Document:
    metric = result.metric
    return {
        "key": metric.key,
        "event_key": metric.event_key,
        "aggregator": metric.aggregator.value,
        "field": metric.field,
        "scope": metric.scope.value,
        "winning_direction": metric.winning_direction.value,
        "tier": result.tier.value,
        "results": _arms(result.results),
    }


def _arms(results: Mapping[str, ArmResult]) -> Document:
    return {key: _arm(arm) for key, arm in results.items()}


def _arm(arm: ArmResult) -> Document:
    return {
        "is_baseline": arm.is_baseline,
        "samples": arm.samples,
        "value": _number(arm.value),
        "rate": _number(arm.rate),
        "variance": _number(arm.variance),
        "lift": _lift(arm.lift),
    }


def _lift(found: Comparison | NoEstimate | None) -> Document | None:
    if found is None:
        return None
    if isinstance(found, NoEstimate):
        return _not_available(found)
    absolute, relative = found.lift.absolute, found.lift.relative
    return {
        "absolute": absolute.effect,
        "relative": relative.effect,
        "confidence_interval": [relative.low, relative.high],
        "absolute_confidence_interval": [absolute.low, absolute.high],
        "p_value": relative.p_value,
        "adjusted_p_value": found.adjusted_p_value,
        "is_significant": found.is_significant,
        "lift_status": found.status.value,
        "visitors_remaining": _number(found.lift.visitors_remaining),
    }


def _number(found: float | NoEstimate) -> object:
    return _not_available(found) if isinstance(found, NoEstimate) else found


def _not_available(found: NoEstimate) -> Document:
    return {"not_available": found.reason}
