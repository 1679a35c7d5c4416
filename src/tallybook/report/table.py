"""Verb: report → text for people at a terminal, readable without color."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tallybook.model.estimate import Estimate, NoEstimate, SampleRatio
from tallybook.model.metric import Aggregator, Metric, Scope
from tallybook.model.report import ArmResult, Comparison, Health, MetricResult, Report, Slice
from tallybook.report.layout import aligned, average, count, p_value, percent, plain
from tallybook.report.times import rfc3339

INDENT = "  "


def to_table(report: Report) -> str:
    """Return the report as aligned plain text, the baseline first in every metric."""
    lines = [*_heading(report), *_metrics(report, report.everyone), *_health(report.health)]
    for part in report.segments or ():
        lines += ["", f"segment {_segment(part)}", *_reach(part), *_metrics(report, part)]
    return "\n".join(lines) + "\n"


def _heading(report: Report) -> Iterator[str]:
    key, identity = plain(report.experiment_key), plain(report.experiment_id)
    yield key if key == identity else f"{key} ({identity})"
    window = report.window
    yield f"{rfc3339(window.from_ms)} to {rfc3339(window.to_ms)}"
    level = f"{100 * report.confidence_level:.10g} %"
    yield f"method {report.method}, intervals of the relative lift at {level}"
    yield from _reach(report.everyone)


def _reach(part: Slice) -> Iterator[str]:
    yield f"{count(part.total_count)} visitors"
    if not part.metrics:
        rows = [(INDENT + plain(key), count(arm.count)) for key, arm in part.reach.items()]
        yield from aligned(rows)


def _segment(part: Slice) -> str:
    values = (f"{name} = {'(none)' if v is None else v}" for name, v in part.segment)
    return plain(", ".join(values))


def _metrics(report: Report, part: Slice) -> Iterator[str]:
    for result in part.metrics:
        yield ""
        yield _title(result)
        yield from aligned([_head(report, result.metric), *_arms(result)])
        yield from _reasons(result)


def _title(result: MetricResult) -> str:
    metric = result.metric
    measured = f"{metric.aggregator} of {metric.field} in" if metric.field else metric.aggregator
    of = f"{measured} {metric.event_key} per {metric.scope}"
    title = f"{metric.key}: {of}, {metric.winning_direction} wins, {result.tier}"
    return plain(title)


def _head(report: Report, metric: Metric) -> Sequence[str]:
    samples = "visitors" if metric.scope is Scope.VISITOR else "events"
    level = f"{100 * report.confidence_level:.10g} % interval"
    head = (samples, "value", "rate", "lift", level, "p", "adjusted", "verdict", "still needed")
    return (f"{INDENT}variation", *head)


def _arms(result: MetricResult) -> Iterator[Sequence[str]]:
    baseline_first = sorted(result.results.items(), key=lambda item: not item[1].is_baseline)
    for key, arm in baseline_first:
        name = f"{INDENT}{plain(key)}{' (baseline)' if arm.is_baseline else ''}"
        value = "-" if isinstance(arm.value, NoEstimate) else count(arm.value)
        numbers = (count(arm.samples), value, _rate(result.metric, arm))
        yield (name, *numbers, *_lift(arm.lift))


def _reasons(result: MetricResult) -> Iterator[str]:
    for key, arm in result.results.items():
        if isinstance(arm.lift, NoEstimate):
            yield f"{INDENT}{plain(key)} has no lift: {arm.lift.reason}"


def _rate(metric: Metric, arm: ArmResult) -> str:
    if isinstance(arm.rate, NoEstimate):
        return "-"
    return percent(arm.rate) if metric.aggregator is Aggregator.UNIQUE else average(arm.rate)


def _lift(found: Comparison | NoEstimate | None) -> Sequence[str]:
    if found is None:
        return ("",) * 6
    if isinstance(found, NoEstimate):
        return ("not available", *("",) * 5)
    relative = found.lift.relative
    verdict = f"significantly {found.status}" if found.is_significant else "not significant"
    return (
        percent(relative.effect, sign=True),
        _interval(relative),
        p_value(relative.p_value),
        p_value(found.adjusted_p_value),
        verdict,
        _remaining(found.lift.visitors_remaining),
    )


def _interval(found: Estimate) -> str:
    return f"{percent(found.low, sign=True)} to {percent(found.high, sign=True)}"


def _remaining(found: int | NoEstimate) -> str:
    if isinstance(found, NoEstimate):
        return "unknown"
    return f"{count(found)} visitors" if found else "-"


def _health(health: Health) -> Iterator[str]:
    yield ""
    yield "health"
    yield from aligned(
        [
            (f"{INDENT}sample ratio", _sample_ratio(health.sample_ratio)),
            (f"{INDENT}switched visitors", count(health.switched_visitors)),
            (f"{INDENT}duplicate events", f"{count(health.duplicate_events)} (counted once)"),
            (f"{INDENT}dead letters", count(health.dead_letters)),
        ],
        text_columns=2,
    )
    yield from _epochs(health)


def _sample_ratio(found: SampleRatio | NoEstimate) -> str:
    if isinstance(found, NoEstimate):
        return f"not available: {found.reason}"
    says = "MISMATCH, do not trust the lifts" if found.mismatch else "as intended"
    shares = ", ".join(f"{plain(k)} {percent(share)}" for k, share in found.expected.items())
    return f"{says} (p = {p_value(found.p_value)}; expected {shares})"


def _epochs(health: Health) -> Iterator[str]:
    epochs = health.allocation_epochs or ()
    if len(epochs) < 2:  # noqa: PLR2004  one allocation throughout is nothing to tell
        return
    yield f"{INDENT}allocation changed while running; shares of all traffic:"
    for epoch in epochs:
        shares = ", ".join(f"{plain(k)} {percent(share)}" for k, share in epoch.allocation.items())
        yield f"{INDENT * 2}from {rfc3339(epoch.from_ms)}: {shares}"
