"""The JSON form: the documented keys in the documented order, and nothing that is not a number."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tallybook.model.estimate import NoEstimate
from tallybook.model.report import EpochReport, Report, Slice
from tallybook.report import FORMATS


def document(report: Report) -> Any:
    return json.loads(FORMATS["json"](report))


def test_the_document_is_what_the_contract_shows(report: Report) -> None:
    found = document(report)
    metrics = found.pop("metrics")
    assert list(found) == [
        "experiment_key", "experiment_id", "start_time", "end_time", "method", "confidence_level",
        "segment", "reach", "health",
    ]  # fmt: skip
    assert found == {
        "experiment_key": "checkout_test",
        "experiment_id": "9300",
        "start_time": "2020-09-14T00:00:00.000Z",
        "end_time": "2020-09-15T00:00:00.007Z",
        "method": "sequential",
        "confidence_level": 0.95,
        "segment": None,
        "reach": {
            "total_count": 6633,
            "variations": {
                "treatment": {"variation_id": "12", "count": 3329},
                "control": {"variation_id": "11", "count": 3304},
            },
        },
        "health": {
            "sample_ratio": {
                "p_value": 0.8,
                "mismatch": False,
                "expected": {"treatment": 0.5, "control": 0.5},
                "epochs": 1,
            },
            "switched_visitors": 3,
            "duplicate_events": 1234,
            "dead_letters": 2,
        },
    }
    assert [metric["key"] for metric in metrics] == ["purchase_rate", "revenue"]


def test_a_metric_shows_its_definition_and_every_variation(report: Report) -> None:
    metric = document(report)["metrics"][0]
    results = metric.pop("results")
    assert list(metric.items()) == [
        ("key", "purchase_rate"),
        ("event_key", "purchase"),
        ("aggregator", "unique"),
        ("field", None),
        ("scope", "visitor"),
        ("winning_direction", "increasing"),
        ("tier", "primary"),
    ]
    lift = results["treatment"].pop("lift")
    assert results == {
        "treatment": {
            "is_baseline": False,
            "samples": 3329,
            "value": 223,
            "rate": 223 / 3329,
            "variance": 0.0625,
        },
        "control": {
            "is_baseline": True,
            "samples": 3304,
            "value": 163,
            "rate": 163 / 3304,
            "variance": 0.0469,
            "lift": None,
        },
    }
    assert list(lift.items()) == [
        ("absolute", 0.0176),
        ("relative", 0.357824),
        ("confidence_interval", [-0.055199, 0.770847]),
        ("absolute_confidence_interval", [-0.003, 0.038]),
        ("p_value", 0.143187),
        ("adjusted_p_value", 0.2),
        ("is_significant", False),
        ("lift_status", "equal"),
        ("visitors_remaining", 2289),
    ]


def test_counts_and_money_are_whole_numbers_and_doubles_are_whole_doubles(report: Report) -> None:
    text = FORMATS["json"](report)
    assert '"value": 15151022,' in text
    assert f'"rate": {163 / 3304!r},' in text
    assert text.endswith("}\n")


def test_what_is_not_available_has_a_reason_instead_of_a_number(report: Report) -> None:
    arm = document(report)["metrics"][1]["results"]["treatment"]
    reason = {"not_available": "a variation has fewer than two visitors"}
    assert (arm["lift"], arm["rate"], arm["variance"]) == (reason, reason, reason)
    assert (arm["samples"], arm["value"]) == (0, 0)
    unknown = replace(report.health, sample_ratio=NoEstimate("no allocation known"))
    health = document(replace(report, health=unknown))["health"]
    assert health["sample_ratio"] == {"not_available": "no allocation known"}


def test_slices_have_their_own_reach_and_metrics_and_typed_values(
    report: Report, segment: Slice
) -> None:
    found = document(replace(report, segments=(segment,)))["segments"][0]
    assert list(found) == ["segment", "reach", "metrics"]
    assert found["segment"] == {"plan": "gold", "age": 7, "country": None}
    assert found["reach"]["total_count"] == 9
    lift = found["metrics"][0]["results"]["treatment"]["lift"]
    assert (lift["lift_status"], lift["visitors_remaining"]) == ("better", 0)
    assert "segments" not in document(report)


def test_known_epochs_are_listed_with_their_allocation(
    report: Report, epochs: tuple[EpochReport, ...]
) -> None:
    health = replace(report.health, allocation_epochs=epochs)
    found = document(replace(report, health=health))["health"]
    assert found["allocation_epochs"][0] == {
        "from": "2020-09-14T00:00:00.000Z",
        "revisions": ["1", "2"],
        "allocation": {"control": 0.5, "treatment": 0.5},
    }


def test_a_number_that_is_none_never_reaches_the_document(report: Report) -> None:
    control = replace(report.everyone.metrics[0].results["control"], rate=float("nan"))
    metric = replace(report.everyone.metrics[0], results={"control": control})
    broken = replace(report, everyone=replace(report.everyone, metrics=(metric,)))
    with pytest.raises(ValueError, match="not JSON compliant"):
        FORMATS["json"](broken)
