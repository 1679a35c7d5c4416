"""From measurements to verdicts: families, directions, arms without visitors, looks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tallybook.analyse.request import Request
from tallybook.analyse.slices import Measured, slice_of
from tallybook.analyse.subject import Subject
from tallybook.model.estimate import NoEstimate
from tallybook.model.metric import Aggregator, Metric, Tier, WinningDirection
from tallybook.model.moments import Arm, Look, Measurement, Moments, Reach
from tallybook.model.report import ArmReach, Comparison, LiftStatus, Slice
from tallybook.stats.multiplicity import benjamini_hochberg

SUBJECT = Subject(
    id="9",
    key="checkout_test",
    account_id="1",
    project_key="shop",
    arms={"11": "control", "12": "treatment", "13": "bold"},
    baseline_id="11",
)
FIXED = Request(experiment="checkout_test", method="fixed")
REACH = Reach(10, {"11": 3304, "12": 3329}, {})


def metric(place: int = 0, **changes: object) -> Metric:
    return Metric(f"m{place}", "purchase", Aggregator.UNIQUE, **changes)  # type: ignore[arg-type]


def converted(visitors: int, converters: int) -> Arm:
    mean = converters / visitors
    return Arm(converters, visitors, Moments(visitors, mean, converters * (1 - mean)))


def measured(arms: dict[str, Arm], *earlier: dict[str, Arm], of: Metric) -> Measured:
    looks = tuple(Look(day, arms) for day, arms in enumerate([*earlier, arms]))
    return Measured(of, Measurement((), looks))


def sliced(parts: Sequence[Measured], asked: Request = FIXED) -> Slice:
    return slice_of(SUBJECT, asked, segment=(), reach=REACH, measured=parts)


def lift(part: Slice, place: int = 0, key: str = "treatment") -> Comparison:
    found = part.metrics[place].results[key].lift
    assert isinstance(found, Comparison)
    return found


BETTER = {"11": converted(3304, 163), "12": converted(3329, 223)}
SAME = {"11": converted(3304, 163), "12": converted(3304, 163)}


def test_every_arm_of_the_definition_is_shown_even_without_visitors() -> None:
    found = sliced([measured(BETTER, of=metric())])
    assert found.reach == {
        "control": ArmReach("11", 3304),
        "treatment": ArmReach("12", 3329),
        "bold": ArmReach("13", 0),
    }
    bold = found.metrics[0].results["bold"]
    assert (bold.value, bold.samples, bold.is_baseline) == (0, 0, False)
    assert isinstance(bold.rate, NoEstimate)
    assert bold.lift == NoEstimate("a variation has fewer than two visitors")
    assert found.metrics[0].results["control"].lift is None


def test_nobody_at_all_is_a_slice_of_zeros_with_reasons() -> None:
    empty = Measured(metric(), Measurement((), ()))
    found = slice_of(SUBJECT, FIXED, segment=(), reach=None, measured=[empty])
    assert found.total_count == 0
    assert found.metrics[0].results["treatment"].lift == NoEstimate("no visitors yet")


def test_the_lift_is_the_relative_one_of_the_published_example() -> None:
    found = lift(sliced([measured(BETTER, of=metric())]))
    assert found.lift.relative.effect == pytest.approx(0.357824, abs=1e-6)
    assert found.lift.relative.p_value == pytest.approx(0.008480, abs=1e-6)
    assert found.is_significant
    assert found.status is LiftStatus.BETTER
    assert found.lift.visitors_remaining == 0


def test_winning_may_mean_falling() -> None:
    falling = metric(winning_direction=WinningDirection.DECREASING)
    assert lift(sliced([measured(BETTER, of=falling)])).status is LiftStatus.WORSE
    swapped = {"11": BETTER["12"], "12": BETTER["11"]}
    assert lift(sliced([measured(swapped, of=falling)])).status is LiftStatus.BETTER
    assert lift(sliced([measured(swapped, of=metric())])).status is LiftStatus.WORSE


def test_what_is_not_significant_is_equal_and_says_how_many_are_missing() -> None:
    asked = Request(experiment="checkout_test")
    found = lift(sliced([measured(BETTER, of=metric())], asked))
    assert not found.is_significant
    assert found.status is LiftStatus.EQUAL
    assert found.lift.visitors_remaining == 2289


def test_no_difference_at_all_has_no_number_of_visitors() -> None:
    found = lift(sliced([measured(SAME, of=metric())]))
    assert found.lift.relative.effect == 0
    assert isinstance(found.lift.visitors_remaining, NoEstimate)


def test_evidence_of_an_earlier_look_with_no_effect_left_names_no_winner() -> None:
    earlier = {"11": converted(1000, 100), "12": converted(1000, 300)}
    asked = Request(experiment="checkout_test")
    found = lift(sliced([measured(SAME, earlier, of=metric())], asked))
    assert found.is_significant
    assert found.status is LiftStatus.EQUAL


def test_tiers_follow_the_place_and_p_values_are_adjusted_inside_each() -> None:
    arms = [
        {
            "11": converted(2000, 200),
            "12": converted(2000, 200 + 8 * place),
            "13": converted(2000, 230),
        }
        for place in range(7)
    ]
    found = sliced([measured(arm, of=metric(place)) for place, arm in enumerate(arms)])
    assert [m.tier for m in found.metrics] == [
        Tier.PRIMARY, *[Tier.SECONDARY] * 4, *[Tier.MONITORING] * 2
    ]  # fmt: skip
    for places in ([0], [1, 2, 3, 4], [5, 6]):
        family = [lift(found, place, key) for place in places for key in ("treatment", "bold")]
        adjusted = benjamini_hochberg([c.lift.relative.p_value for c in family])
        assert tuple(c.adjusted_p_value for c in family) == adjusted


def test_a_comparison_without_a_p_value_is_no_member_of_its_family() -> None:
    with_bold = measured({**BETTER, "13": converted(3000, 0)}, of=metric())
    found = sliced([with_bold])
    assert isinstance(found.metrics[0].results["bold"].lift, NoEstimate)
    assert lift(found).adjusted_p_value == lift(found).lift.relative.p_value


def test_missing_visitors_are_those_the_adjusted_p_value_needs() -> None:
    asked = Request(experiment="checkout_test")
    two = {**BETTER, "13": converted(3367, 169)}
    alone = lift(sliced([measured(BETTER, of=metric())], asked)).lift.visitors_remaining
    together = lift(sliced([measured(two, of=metric())], asked))
    assert together.adjusted_p_value == pytest.approx(2 * together.lift.relative.p_value)
    assert alone == 2289
    assert together.lift.visitors_remaining == 3757


def test_sums_beyond_a_double_are_not_available() -> None:
    revenue = Metric("r", "purchase", Aggregator.SUM, field="value")
    huge = Arm(float("inf"), 10, Moments(10, float("inf"), float("inf")))
    fine = Arm(12.5, 10, Moments(10, 1.25, 3.0))
    found = sliced([measured({"11": fine, "12": huge}, of=revenue)]).metrics[0].results
    treatment = found["treatment"]
    assert isinstance(treatment.value, NoEstimate)
    assert isinstance(treatment.rate, NoEstimate)
    assert isinstance(treatment.variance, NoEstimate)
    assert isinstance(treatment.lift, NoEstimate)
    assert found["control"].variance == pytest.approx(3.0 / 9)
