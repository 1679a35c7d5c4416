"""The CSV form: a row per metric, variation and segment, safe to open."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO

from tallybook.model.report import Report, Slice
from tallybook.report import FORMATS
from tallybook.report.sheet import COLUMNS


def rows(report: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(FORMATS["csv"](report))))


def test_there_is_a_row_for_each_metric_variation_and_segment(
    report: Report, segment: Slice
) -> None:
    found = rows(replace(report, segments=(segment,)))
    assert [(r["Metric Key"], r["Variation Name"], r["Segment"]) for r in found] == [
        ("purchase_rate", "treatment", ""),
        ("purchase_rate", "control", ""),
        ("revenue", "treatment", ""),
        ("revenue", "control", ""),
        ("purchase_rate", "treatment", '{"plan": "gold", "age": 7, "country": null}'),
        ("purchase_rate", "control", '{"plan": "gold", "age": 7, "country": null}'),
    ]
    assert tuple(found[0]) == COLUMNS


def test_a_row_tells_what_the_document_tells(report: Report) -> None:
    treatment, control, unknown, _ = rows(report)
    assert {name: text for name, text in treatment.items() if text} == {
        "Start time (UTC)": "2020-09-14T00:00:00.000Z",
        "End time (UTC)": "2020-09-15T00:00:00.007Z",
        "Experiment Key": "checkout_test",
        "Variation Name": "treatment",
        "Variation ID": "12",
        "Is Baseline Variation": "false",
        "Metric Key": "purchase_rate",
        "Metric Event Key": "purchase",
        "Metric Numerator Type": "unique",
        "Metric Denominator Type": "visitor",
        "Metric Winning Direction": "increasing",
        "Metric Tier": "primary",
        "Numerator Value": "223",
        "Denominator Value": "3329",
        "Metric Value": repr(223 / 3329),
        "Metric Variance": "0.0625",
        "Improvement Status from Baseline": "equal",
        "Improvement Value from Baseline": "0.357824",
        "Statistical Significance": "0.8",
        "P Value": "0.143187",
        "Adjusted P Value": "0.2",
        "Is Improvement Significant": "false",
        "Confidence Interval - Low": "-0.055199",
        "Confidence Interval - High": "0.770847",
        "Absolute Improvement from Baseline": "0.0176",
        "Absolute Confidence Interval - Low": "-0.003",
        "Absolute Confidence Interval - High": "0.038",
        "Samples Remaining to Significance": "2289",
    }
    assert control["Improvement Value from Baseline"] == ""
    assert unknown["Metric Value"] == unknown["P Value"] == ""
    assert unknown["Not Available"] == "a variation has fewer than two visitors"


def test_text_that_a_spreadsheet_would_run_is_only_text(report: Report) -> None:
    keyed = replace(report, experiment_key='=HYPERLINK("http://x")')
    assert rows(keyed)[0]["Experiment Key"] == '\'=HYPERLINK("http://x")'
