"""Measurements → what each metric says of each variation, within its family of comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tallybook.analyse.request import Request
from tallybook.analyse.subject import Subject
from tallybook.errors import NotEnoughDataError
from tallybook.model.estimate import Lift, NoEstimate
from tallybook.model.metric import Aggregator, Metric, Tier, WinningDirection
from tallybook.model.moments import Arm, Measurement, Moments, Reach, Segment
from tallybook.model.report import ArmReach, ArmResult, Comparison, LiftStatus, MetricResult, Slice
from tallybook.stats.effect import sample
from tallybook.stats.lift import Difference, Pair, difference
from tallybook.stats.multiplicity import benjamini_hochberg
from tallybook.stats.remaining import visitors_remaining

SECONDARY_METRICS = 4  # after the first, primary one; the rest are for monitoring
NOBODY = Arm(value=0, samples=0, moments=Moments(0, 0.0, 0.0))

Place = tuple[int, str]  # (place of the metric, variation id)


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric and what was measured of it in one segment."""

    metric: Metric
    measurement: Measurement


def tier(place: int) -> Tier:
    """Return the tier of the metric at ``place`` (from 0) of the list.

    >>> [str(tier(place)) for place in (0, 1, 4, 5)]
    ['primary', 'secondary', 'secondary', 'monitoring']
    """
    if place == 0:
        return Tier.PRIMARY
    return Tier.SECONDARY if place <= SECONDARY_METRICS else Tier.MONITORING


def slice_of(
    subject: Subject,
    request: Request,
    *,
    segment: Segment,
    reach: Reach | None,
    measured: Sequence[Measured],
) -> Slice:
    """Return one segment's visitors and results; everyone's when ``segment`` is empty.

    p-values are adjusted within the slice: a tier's metrics times the variations that have a lift.
    """
    differences = {
        (place, identity): _difference(subject, request, part, identity)
        for place, part in enumerate(measured)
        for identity in subject.arms
        if identity != subject.baseline_id
    }
    lifts = _lifts(request, measured, differences)
    return Slice(
        segment=segment,
        reach=_reach(subject, reach),
        metrics=tuple(
            _metric_result(subject, place, part, lifts) for place, part in enumerate(measured)
        ),
    )


def _reach(subject: Subject, reach: Reach | None) -> Mapping[str, ArmReach]:
    visitors = reach.visitors if reach is not None else {}
    return {
        key: ArmReach(identity, visitors.get(identity, 0)) for identity, key in subject.arms.items()
    }


def _difference(
    subject: Subject, request: Request, part: Measured, identity: str
) -> Difference | NoEstimate:
    looks = [
        Pair(
            control=look.arms.get(subject.baseline_id, NOBODY).moments,
            treatment=look.arms.get(identity, NOBODY).moments,
        )
        for look in part.measurement.looks
    ]
    binary = part.metric.aggregator is Aggregator.UNIQUE
    try:
        return difference(looks, request.way, alpha=request.alpha, binary=binary)
    except NotEnoughDataError as reason:
        return NoEstimate(str(reason))


def _lifts(
    request: Request,
    measured: Sequence[Measured],
    differences: Mapping[Place, Difference | NoEstimate],
) -> Mapping[Place, Comparison | NoEstimate | None]:
    lifts: dict[Place, Comparison | NoEstimate | None] = {}
    families: dict[Tier, list[tuple[Place, Difference]]] = {}
    for place, found in differences.items():
        if isinstance(found, NoEstimate):
            lifts[place] = found
        else:
            families.setdefault(tier(place[0]), []).append((place, found))
    for family in families.values():
        adjusted = benjamini_hochberg([found.relative.p_value for _, found in family])
        for (place, found), p_value in zip(family, adjusted, strict=True):
            metric = measured[place[0]].metric
            lifts[place] = _comparison(request, metric, found, p_value)
    return lifts


def _comparison(
    request: Request, metric: Metric, found: Difference, adjusted_p_value: float
) -> Comparison:
    is_significant = adjusted_p_value <= request.alpha
    remaining = 0 if is_significant else _remaining(request, found, adjusted_p_value)
    return Comparison(
        lift=Lift(found.absolute, found.relative, remaining),
        adjusted_p_value=adjusted_p_value,
        is_significant=is_significant,
        status=_status(metric, found.relative.effect) if is_significant else LiftStatus.EQUAL,
    )


def _remaining(request: Request, found: Difference, adjusted_p_value: float) -> int | NoEstimate:
    # What the p-value itself must fall to for the adjusted one to reach alpha, the family as it is.
    level = request.alpha * found.relative.p_value / adjusted_p_value
    half_width = request.way.half_width
    return visitors_remaining(found.current, half_width, alpha=request.alpha, level=level)


def _status(metric: Metric, effect: float) -> LiftStatus:
    if effect == 0.0:
        return LiftStatus.EQUAL
    rising_wins = metric.winning_direction is WinningDirection.INCREASING
    return LiftStatus.BETTER if (effect > 0.0) == rising_wins else LiftStatus.WORSE


def _metric_result(
    subject: Subject,
    place: int,
    part: Measured,
    lifts: Mapping[Place, Comparison | NoEstimate | None],
) -> MetricResult:
    arms = part.measurement.looks[-1].arms if part.measurement.looks else {}
    return MetricResult(
        metric=part.metric,
        tier=tier(place),
        results={
            key: ArmResult(
                is_baseline=identity == subject.baseline_id,
                samples=arms.get(identity, NOBODY).samples,
                value=_finite(arms.get(identity, NOBODY).value),
                rate=_rate(arms.get(identity, NOBODY)),
                variance=_variance(part.metric, arms.get(identity, NOBODY)),
                lift=lifts.get((place, identity)),
            )
            for identity, key in subject.arms.items()
        },
    )


def _finite(number: float) -> int | float | NoEstimate:
    return number if math.isfinite(number) else NoEstimate("the sum is beyond what a double holds")


def _rate(arm: Arm) -> float | NoEstimate:
    if not arm.samples:
        return NoEstimate("nothing to divide by: no samples yet")
    rate = arm.value / arm.samples
    return rate if math.isfinite(rate) else NoEstimate("the sum is beyond what a double holds")


def _variance(metric: Metric, arm: Arm) -> float | NoEstimate:
    try:
        variance = sample(arm.moments, binary=metric.aggregator is Aggregator.UNIQUE).variance
    except NotEnoughDataError as reason:
        return NoEstimate(str(reason))
    return variance if math.isfinite(variance) else NoEstimate("the values are too large")
