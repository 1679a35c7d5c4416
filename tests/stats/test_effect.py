"""Laws of effects: what they equal, when they refuse, how they scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.errors import NotEnoughDataError
from tallybook.model.moments import Moments
from tallybook.stats.effect import Sample, absolute, relative, sample

values = st.lists(st.integers(-1000, 1000), min_size=2, max_size=30)


def moments_of(numerators: list[int], denominators: list[int] | None = None) -> Moments:
    m = np.array(numerators, dtype=float)
    d = np.array(denominators or [1] * len(m), dtype=float)
    return Moments(
        n=len(m),
        mean=float(m.mean()),
        m2=float(((m - m.mean()) ** 2).sum()),
        denominator_mean=float(d.mean()),
        denominator_m2=float(((d - d.mean()) ** 2).sum()),
        cross=float(((m - m.mean()) * (d - d.mean())).sum()),
    )


@given(values)
def test_without_a_denominator_a_sample_is_the_mean_and_sample_variance(numbers: list[int]) -> None:
    found = sample(moments_of(numbers))
    assert found.mean == pytest.approx(np.mean(numbers))
    assert found.variance == pytest.approx(np.var(numbers, ddof=1), abs=1e-9)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 9)), min_size=2, max_size=30))
def test_a_ratios_variance_is_that_of_its_residuals(pairs: list[tuple[int, int]]) -> None:
    m, d = np.array(pairs, dtype=float).T
    ratio = m.sum() / d.sum()
    residuals = (m - ratio * d) / d.mean()
    found = sample(moments_of([a for a, _ in pairs], [b for _, b in pairs]))
    assert found.mean == pytest.approx(ratio, abs=1e-12)
    assert found.variance == pytest.approx(np.var(residuals, ddof=1), rel=1e-9, abs=1e-9)


@given(st.lists(st.booleans(), min_size=2, max_size=40))
def test_a_proportions_variance_is_m_times_one_minus_m(converted: list[bool]) -> None:
    found = sample(moments_of([int(c) for c in converted]), binary=True)
    assert found.variance == found.mean * (1 - found.mean)


@given(values, values)
def test_swapping_the_variations_turns_the_absolute_effect_around(
    a: list[int], b: list[int]
) -> None:
    control, treatment = sample(moments_of(a)), sample(moments_of(b))
    if control.variance == treatment.variance == 0:
        return
    forth, back = absolute(control, treatment), absolute(treatment, control)
    assert forth.value == -back.value
    assert forth.variance == pytest.approx(back.variance)
    assert forth.df == pytest.approx(back.df)


@given(values, values, st.sampled_from([0.01, 3.0, 1e6]))
def test_a_relative_effect_knows_no_unit(a: list[int], b: list[int], unit: float) -> None:
    control, treatment = sample(moments_of(a)), sample(moments_of(b))
    if abs(control.mean) < 1e-6 or control.variance + treatment.variance == 0:
        return
    if treatment.mean == 0 and treatment.variance == 0:
        return

    def rescaled(s: Sample) -> Sample:
        return Sample(s.n, s.mean * unit, s.variance * unit * unit)

    one = relative(control, treatment)
    other = relative(rescaled(control), rescaled(treatment))
    assert other.value == pytest.approx(one.value, abs=1e-12)
    assert other.variance == pytest.approx(one.variance)


def test_a_rise_from_a_negative_baseline_is_a_rise() -> None:
    assert relative(Sample(10, -10.0, 1.0), Sample(10, -5.0, 1.0)).value == 0.5


def test_degrees_of_freedom_lie_between_the_smaller_sample_and_both() -> None:
    effect = absolute(Sample(10, 0.0, 4.0), Sample(30, 0.0, 1.0))
    assert 9 <= effect.df <= 38
    assert absolute(Sample(10, 0.0, 1.0), Sample(10, 1.0, 1.0)).df == pytest.approx(18)


def test_more_visitors_of_the_same_kind_shrink_the_variance_in_proportion() -> None:
    effect = absolute(Sample(10, 0.0, 4.0), Sample(30, 1.0, 1.0))
    grown = effect.at(400)
    assert grown.value == effect.value
    assert grown.variance == pytest.approx(effect.variance / 10)
    assert grown.df == pytest.approx(effect.df * 10)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_visitors_are_no_sample(n: int) -> None:
    with pytest.raises(NotEnoughDataError, match="fewer than two visitors"):
        sample(Moments(n=n, mean=1.0, m2=0.0))


def test_a_ratio_without_a_denominator_is_no_sample() -> None:
    with pytest.raises(NotEnoughDataError, match="denominator"):
        sample(Moments(n=5, mean=0.0, m2=0.0, denominator_mean=0.0))


@pytest.mark.parametrize("kind", [absolute, relative])
def test_values_that_never_vary_have_no_effect(kind: object) -> None:
    with pytest.raises(NotEnoughDataError, match="do not vary"):
        kind(Sample(10, 1.0, 0.0), Sample(10, 2.0, 0.0))  # type: ignore[operator]


def test_a_zero_baseline_has_no_relative_effect_but_an_absolute_one() -> None:
    control, treatment = Sample(10, 0.0, 0.0), Sample(10, 0.5, 0.25)
    assert absolute(control, treatment).value == 0.5
    with pytest.raises(NotEnoughDataError, match="baseline's mean is zero"):
        relative(control, treatment)


def test_a_treatment_that_is_always_zero_is_not_certainly_minus_one() -> None:
    with pytest.raises(NotEnoughDataError, match="every value of the variation is zero"):
        relative(Sample(10, 0.5, 0.25), Sample(10, 0.0, 0.0))


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        (Sample(10, 1e-200, 1e-300), Sample(10, 1e200, 1e300)),
        (Sample(10, math.inf, 1.0), Sample(10, 1.0, 1.0)),
        (Sample(10, 1.0, math.inf), Sample(10, 1.0, 1.0)),
        (Sample(10, 1.0, math.nan), Sample(10, 1.0, 1.0)),
        (Sample(10, 1e-200, 5e-324), Sample(10, 1e-200, 0.0)),
        (Sample(10, 1e-160, 1e150), Sample(10, 1.0, 1e150)),
    ],
)
def test_numbers_beyond_arithmetic_are_refused(control: Sample, treatment: Sample) -> None:
    with pytest.raises(NotEnoughDataError, match="the values are too large"):
        relative(control, treatment)


def test_what_rounding_left_in_an_arm_of_zeros_is_not_certainty() -> None:
    # An arm in which nobody did anything, as sums of deviations from a common mean leave it.
    nobody = sample(Moments(n=3329, mean=0.0, m2=4.67e-13))
    control = sample(Moments(n=3304, mean=0.0493, m2=154.96))
    with pytest.raises(NotEnoughDataError, match="every value of the variation is zero"):
        relative(control, nobody)
    effect = absolute(control, nobody)
    assert effect.variance == control.variance / control.n
    assert effect.df == pytest.approx(3303)
    assert absolute(nobody, control).variance == effect.variance


def test_a_proportion_is_a_count_over_a_count_whatever_was_rounded() -> None:
    everyone = Moments(n=3, mean=1.0 + 3e-16, m2=0.0)
    assert sample(everyone, binary=True) == Sample(3, 1.0, 0.0)


def test_rounding_dust_is_not_variation() -> None:
    assert sample(Moments(n=1000, mean=0.1, m2=1e-21)).variance == 0.0
    doubled = Moments(3, 2.2, 2.42, denominator_mean=1.1, denominator_m2=0.605, cross=1.21)
    assert sample(doubled).variance == 0.0
