"""Laws of the sample-ratio test and of adjusting p-values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.stats.multiplicity import benjamini_hochberg
from tallybook.stats.sample_ratio import Split, log_bayes_factor, sample_ratio_p

HALVES = (0.5, 0.5)
p_values = st.lists(st.floats(0, 1), max_size=20)


@given(p_values)
def test_adjusting_never_makes_a_p_value_smaller_or_changes_the_order(ps: list[float]) -> None:
    adjusted = benjamini_hochberg(ps)
    assert all(a >= p for a, p in zip(adjusted, ps, strict=True))
    assert all(a <= 1 for a in adjusted)
    ranked = [a for _, a in sorted(zip(ps, adjusted, strict=True))]
    assert ranked == sorted(ranked)


@given(st.floats(0, 1))
def test_a_family_of_one_is_left_alone(p: float) -> None:
    assert benjamini_hochberg([p]) == (p,)


@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
def test_adjusted_p_values_reject_what_the_step_up_procedure_rejects(
    ps: list[float], level: float
) -> None:
    m, ranked = len(ps), sorted(ps)
    within = [i for i, p in enumerate(ranked, 1) if p * m / i <= level]
    rejections = max(within, default=0)
    assert sum(a <= level for a in benjamini_hochberg(ps)) == rejections


def test_an_even_split_speaks_for_the_intended_one() -> None:
    assert log_bayes_factor(Split((5000, 5000), HALVES)) < 0
    assert sample_ratio_p([[Split((5000, 5000), HALVES)]]) == 1.0


def test_without_visitors_or_looks_there_is_no_evidence() -> None:
    assert sample_ratio_p([]) == 1.0
    assert sample_ratio_p([[]]) == 1.0
    assert log_bayes_factor(Split((0, 0), HALVES)) == 0.0


def test_evidence_once_seen_is_kept() -> None:
    looks = [[Split((5300, 4700), HALVES)], [Split((9700, 9300), HALVES)]]
    assert sample_ratio_p(looks) == sample_ratio_p(looks[:1])
    assert sample_ratio_p(looks) < sample_ratio_p(looks[1:])


def test_epochs_multiply_their_evidence() -> None:
    first, second = Split((5200, 4800), HALVES), Split((900, 300), (0.7, 0.3))
    together = log_bayes_factor(first) + log_bayes_factor(second)
    assert together > 0
    assert -1.0 * together == pytest.approx(_log(sample_ratio_p([[first, second]])))


def test_a_changed_allocation_is_no_mismatch_when_each_epoch_is_as_intended() -> None:
    epochs = [Split((5000, 5000), HALVES), Split((9000, 1000), (0.9, 0.1))]
    pooled = Split((14_000, 6_000), HALVES)
    assert sample_ratio_p([epochs]) > 0.9
    assert sample_ratio_p([[pooled]]) < 1e-100


def test_visitors_forced_into_an_arm_without_traffic_are_no_mismatch() -> None:
    assert log_bayes_factor(Split((500, 500, 7), (0.5, 0.5, 0.0))) == pytest.approx(
        log_bayes_factor(Split((500, 500), HALVES))
    )
    assert log_bayes_factor(Split((500, 7), (1.0, 0.0))) == 0.0


@given(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6)))
def test_only_proportions_of_the_expected_split_matter(counts: tuple[int, int, int]) -> None:
    shares = log_bayes_factor(Split(counts, (0.5, 0.3, 0.2)))
    weights = log_bayes_factor(Split(counts, (5000.0, 3000.0, 2000.0)))
    assert weights == pytest.approx(shares, rel=1e-6, abs=1e-6)


def test_overwhelming_imbalance_is_zero_and_not_missing() -> None:
    assert sample_ratio_p([[Split((10**8, 0), HALVES)]]) == 0.0


def _log(x: float) -> float:
    import math

    return math.log(x)
