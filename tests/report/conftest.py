"""A report with one of everything, for the tests of its forms."""

from __future__ import annotations

import pytest

from tallybook.model.estimate import Estimate, Lift, NoEstimate, SampleRatio
from tallybook.model.metric import Aggregator, Metric, Scope, Tier, Window
from tallybook.model.report import (
    ArmReach,
    ArmResult,
    Comparison,
    EpochReport,
    Health,
    LiftStatus,
    MetricResult,
    Report,
    Slice,
)

PURCHASE_RATE = Metric("purchase_rate", "purchase", Aggregator.UNIQUE)
REVENUE = Metric("revenue", "purchase", Aggregator.SUM, field="revenue", scope=Scope.EVENT)


def _comparison(remaining: int | NoEstimate, *, significant: bool) -> Comparison:
    return Comparison(
        lift=Lift(
            absolute=Estimate(0.0176, 0.0057, -0.003, 0.038, 0.14),
            relative=Estimate(0.357824, 0.135892, -0.055199, 0.770847, 0.143187),
            visitors_remaining=remaining,
        ),
        adjusted_p_value=0.2,
        is_significant=significant,
        status=LiftStatus.BETTER if significant else LiftStatus.EQUAL,
    )


@pytest.fixture
def report() -> Report:
    lift = _comparison(2289, significant=False)
    rate = {
        "treatment": ArmResult(False, 3329, 223, 223 / 3329, 0.0625, lift),
        "control": ArmResult(True, 3304, 163, 163 / 3304, 0.0469, None),
    }
    nothing = NoEstimate("a variation has fewer than two visitors")
    revenue = {
        "treatment": ArmResult(False, 0, 0, nothing, nothing, nothing),
        "control": ArmResult(True, 326, 15_151_022, 15_151_022 / 326, 9.5, None),
    }
    reach = {"treatment": ArmReach("12", 3329), "control": ArmReach("11", 3304)}
    metrics = (
        MetricResult(PURCHASE_RATE, Tier.PRIMARY, rate),
        MetricResult(REVENUE, Tier.SECONDARY, revenue),
    )
    expected = {"treatment": 0.5, "control": 0.5}
    return Report(
        experiment_key="checkout_test",
        experiment_id="9300",
        window=Window(1_600_041_600_000, 1_600_128_000_007),
        method="sequential",
        confidence_level=0.95,
        everyone=Slice((), reach, metrics),
        health=Health(SampleRatio(0.8, False, expected, 1), 3, 1234, 2),
    )


@pytest.fixture
def segment() -> Slice:
    """Five and four visitors of the gold plan, aged 7, without a country; the lift is significant."""
    lift = _comparison(0, significant=True)
    results = {
        "treatment": ArmResult(False, 5, 2, 0.4, 0.24, lift),
        "control": ArmResult(True, 4, 1, 0.25, 0.1875, None),
    }
    reach = {"treatment": ArmReach("12", 5), "control": ArmReach("11", 4)}
    values = (("plan", "gold"), ("age", 7), ("country", None))
    return Slice(values, reach, (MetricResult(PURCHASE_RATE, Tier.PRIMARY, results),))


@pytest.fixture
def epochs() -> tuple[EpochReport, ...]:
    return (
        EpochReport(1_600_041_600_000, ("1", "2"), {"control": 0.5, "treatment": 0.5}),
        EpochReport(1_600_070_000_000, ("3",), {"control": 0.9, "treatment": 0.1}),
    )
