"""Laws of the methods: intervals and p-values agree, evidence is kept, tails stay numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tallybook.errors import ConfigError, NotEnoughDataError
from tallybook.model.estimate import Estimate, NoEstimate
from tallybook.model.moments import Moments
from tallybook.stats.effect import Effect
from tallybook.stats.lift import Pair, difference
from tallybook.stats.looks import over_looks
from tallybook.stats.methods import METHODS, Method, method_named
from tallybook.stats.remaining import visitors_remaining
from tallybook.stats.sequential import confidence_sequence, log_likelihood_ratio, mixture_variance
from tallybook.stats.welch import welch

effects = st.builds(
    Effect,
    value=st.floats(-10, 10),
    variance=st.floats(1e-6, 10),
    n=st.integers(4, 10**7),
    df=st.floats(1.5, 10**7),
)
alphas = st.sampled_from([0.001, 0.05, 0.1, 0.2])


@given(effects, alphas)
@pytest.mark.parametrize("one_look", [welch, confidence_sequence])
def test_a_p_value_is_below_alpha_exactly_when_the_interval_excludes_zero(
    one_look: object, effect: Effect, alpha: float
) -> None:
    estimate = one_look(effect, alpha)  # type: ignore[operator]
    assume(abs(estimate.p_value - alpha) > 1e-9 * alpha)
    assert (estimate.p_value < alpha) == (estimate.low > 0 or estimate.high < 0)
    assert estimate.low < estimate.effect < estimate.high
    assert 0 <= estimate.p_value <= 1


@given(effects, alphas)
def test_looking_whenever_one_likes_is_never_narrower_than_looking_once(
    effect: Effect, alpha: float
) -> None:
    once, always = welch(Effect(effect.value, effect.variance, effect.n, 1e9), alpha), None
    always = confidence_sequence(effect, alpha)
    assert always.high - always.low > once.high - once.low
    assert always.p_value >= once.p_value


def test_overwhelming_evidence_is_a_tiny_number_not_a_missing_one() -> None:
    # 10 % against 12 % at 100,000 visitors a side.
    variance = (0.1 * 0.9 + 0.12 * 0.88) / 100_000
    effect = Effect(0.02, variance, 200_000, 199_000.0)
    assert 1e-48 < welch(effect).p_value < 1e-44
    assert 1e-46 < confidence_sequence(effect).p_value < 1e-40
    beyond = Effect(1e6, 1e-6, 200_000, 199_000.0)
    assert welch(beyond).p_value == 0.0
    assert confidence_sequence(beyond).p_value == 0.0
    assert math.isfinite(log_likelihood_ratio(beyond, mixture_variance(0.05)))


estimates = st.builds(
    lambda middle, half, p: Estimate(middle, 1.0, middle - half, middle + half, p),
    st.floats(-5, 5),
    st.floats(0.01, 5),
    st.floats(0, 1),
)


@given(st.lists(estimates, min_size=1, max_size=12))
def test_looks_only_ever_sharpen(looks: list[Estimate]) -> None:
    together = over_looks(looks)
    assert together.p_value == min(look.p_value for look in looks)
    assert together.low >= looks[-1].low
    assert together.high <= looks[-1].high
    assert together.low <= together.high
    assert together.effect == looks[-1].effect
    low, high = max(look.low for look in looks), min(look.high for look in looks)
    if low <= high:
        assert (together.low, together.high) == (low, high)


def test_without_a_look_there_is_no_estimate() -> None:
    with pytest.raises(NotEnoughDataError, match="no look"):
        over_looks([])


@given(effects, alphas)
@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_remaining_visitors_are_the_fewest_that_suffice(
    method: Method, effect: Effect, alpha: float
) -> None:
    missing = visitors_remaining(effect, method.half_width, alpha=alpha, level=alpha)
    if isinstance(missing, NoEstimate):
        assert missing.reason
        return

    def rejects(n: int) -> bool:
        return method.half_width(effect.at(n), alpha, alpha) <= abs(effect.value)

    assert rejects(effect.n + missing)
    assert missing == 0 or not rejects(effect.n + missing - 1)


def test_no_difference_has_no_number_of_visitors() -> None:
    half_width = METHODS["sequential"].half_width
    none = visitors_remaining(Effect(0.0, 1.0, 100, 98.0), half_width, alpha=0.05, level=0.05)
    assert isinstance(none, NoEstimate)
    assert "no difference" in none.reason
    tiny = visitors_remaining(Effect(1e-9, 1.0, 100, 98.0), half_width, alpha=0.05, level=0.05)
    assert tiny == NoEstimate("more than 100,000,000 visitors at the difference observed")


@pytest.mark.parametrize("name", ["bayesian", "group_sequential"])
def test_a_planned_method_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}.*not compute it yet; expected one of seq"):
        method_named(name)


def test_an_unknown_method_is_refused_with_what_would_be_right() -> None:
    with pytest.raises(ConfigError, match=r"'magic': no such method; .*sequential, fixed"):
        method_named("magic")
    assert method_named("fixed") is METHODS["fixed"]


def moments(n: int, converted: int) -> Moments:
    mean = converted / n if n else 0.0
    return Moments(n, mean, converted * (1 - mean))


def test_early_looks_too_small_to_tell_are_passed_over() -> None:
    early = Pair(moments(1, 0), moments(0, 0))
    now = Pair(moments(3304, 163), moments(3329, 223))
    alone = difference([now], METHODS["sequential"], alpha=0.05, binary=True)
    assert difference([early, now], METHODS["sequential"], alpha=0.05, binary=True) == alone
    assert alone.relative.p_value == pytest.approx(0.143187, abs=1e-6)
    assert alone.absolute.effect == pytest.approx(223 / 3329 - 163 / 3304)


def test_the_fixed_method_looks_only_at_the_end() -> None:
    first = Pair(moments(1000, 100), moments(1000, 200))
    now = Pair(moments(3304, 163), moments(3329, 223))
    fixed = difference([first, now], METHODS["fixed"], alpha=0.05, binary=True)
    assert fixed == difference([now], METHODS["fixed"], alpha=0.05, binary=True)
    sequential = difference([first, now], METHODS["sequential"], alpha=0.05, binary=True)
    assert sequential.relative.p_value < fixed.relative.p_value
    assert sequential.current == fixed.current


def test_a_present_that_cannot_tell_says_why_whatever_the_past() -> None:
    with pytest.raises(NotEnoughDataError, match="no visitors yet"):
        difference([], METHODS["fixed"], alpha=0.05)
    with pytest.raises(NotEnoughDataError, match="baseline's mean is zero"):
        difference([Pair(moments(10, 0), moments(10, 3))], METHODS["fixed"], alpha=0.05)
