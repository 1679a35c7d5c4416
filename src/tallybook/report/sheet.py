"""Verb: report → CSV for spreadsheets: one row per metric, variation and segment.

The columns follow the order of the commercial product's export, with ours in between.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from io import StringIO

from tallybook.model.estimate import NoEstimate
from tallybook.model.report import ArmResult, Comparison, MetricResult, Report, Slice
from tallybook.report.times import rfc3339

Cell = str | int | float | bool | None

COLUMNS = (
    "Start time (UTC)",
    "End time (UTC)",
    "Experiment Key",
    "Segment",
    "Variation Name",
    "Variation ID",
    "Is Baseline Variation",
    "Metric Key",
    "Metric Event Key",
    "Metric Numerator Type",
    "Metric Field",
    "Metric Denominator Type",
    "Metric Winning Direction",
    "Metric Tier",
    "Numerator Value",
    "Denominator Value",
    "Metric Value",
    "Metric Variance",
    "Improvement Status from Baseline",
    "Improvement Value from Baseline",
    "Statistical Significance",
    "P Value",
    "Adjusted P Value",
    "Is Improvement Significant",
    "Confidence Interval - Low",
    "Confidence Interval - High",
    "Absolute Improvement from Baseline",
    "Absolute Confidence Interval - Low",
    "Absolute Confidence Interval - High",
    "Samples Remaining to Significance",
    "Not Available",
)


def to_csv(report: Report) -> str:
    """Return the result document's metrics as CSV with a header.

    Significance is one minus the adjusted p-value. What is not available is an empty cell, and its
    reason stands in the last column. Text that a spreadsheet would run as a formula gets a leading
    apostrophe: event keys come from whoever may send events.
    """
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for part in (report.everyone, *(report.segments or ())):
        for row in _rows(report, part):
            writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def _rows(report: Report, part: Slice) -> Iterator[Mapping[str, Cell]]:
    whole: dict[str, Cell] = {
        "Start time (UTC)": rfc3339(report.window.from_ms),
        "End time (UTC)": rfc3339(report.window.to_ms),
        "Experiment Key": report.experiment_key,
        "Segment": json.dumps(dict(part.segment), ensure_ascii=False) if part.segment else None,
    }
    for metric in part.metrics:
        for key, arm in metric.results.items():
            variation: dict[str, Cell] = {
                "Variation Name": key,
                "Variation ID": part.reach[key].variation_id,
            }
            yield whole | variation | _metric(metric) | _numbers(arm) | _lift(arm.lift)


def _metric(result: MetricResult) -> dict[str, Cell]:
    metric = result.metric
    return {
        "Metric Key": metric.key,
        "Metric Event Key": metric.event_key,
        "Metric Numerator Type": metric.aggregator.value,
        "Metric Field": metric.field,
        "Metric Denominator Type": metric.scope.value,
        "Metric Winning Direction": metric.winning_direction.value,
        "Metric Tier": result.tier.value,
    }


def _numbers(arm: ArmResult) -> dict[str, Cell]:
    return {
        "Is Baseline Variation": arm.is_baseline,
        "Numerator Value": _known(arm.value),
        "Denominator Value": arm.samples,
        "Metric Value": _known(arm.rate),
        "Metric Variance": _known(arm.variance),
    }


def _lift(found: Comparison | NoEstimate | None) -> dict[str, Cell]:
    if found is None:
        return {}
    if isinstance(found, NoEstimate):
        return {"Not Available": found.reason}
    absolute, relative = found.lift.absolute, found.lift.relative
    return {
        "Improvement Status from Baseline": found.status.value,
        "Improvement Value from Baseline": relative.effect,
        "Statistical Significance": 1.0 - found.adjusted_p_value,
        "P Value": relative.p_value,
        "Adjusted P Value": found.adjusted_p_value,
        "Is Improvement Significant": found.is_significant,
        "Confidence Interval - Low": relative.low,
        "Confidence Interval - High": relative.high,
        "Absolute Improvement from Baseline": absolute.effect,
        "Absolute Confidence Interval - Low": absolute.low,
        "Absolute Confidence Interval - High": absolute.high,
        "Samples Remaining to Significance": _known(found.lift.visitors_remaining),
    }


def _known(found: float | NoEstimate) -> Cell:
    return None if isinstance(found, NoEstimate) else found


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    return repr(value)
