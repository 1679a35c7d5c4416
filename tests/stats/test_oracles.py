"""Held against statsmodels on random samples, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from tallybook.model.moments import Moments
from tallybook.stats.effect import absolute, sample
from tallybook.stats.multiplicity import benjamini_hochberg
from tallybook.stats.welch import welch

weightstats = pytest.importorskip(
    "statsmodels.stats.weightstats", reason="the oracle statsmodels is not installed"
)
multitest = pytest.importorskip("statsmodels.stats.multitest")


@pytest.mark.parametrize("seed", range(20))
def test_welch_agrees_with_statsmodels(seed: int) -> None:
    random = np.random.default_rng(seed)
    control = random.lognormal(1, 1, random.integers(3, 400))
    treatment = random.lognormal(1.2, 2, random.integers(3, 400))

    def moments(x: np.ndarray) -> Moments:
        return Moments(len(x), float(x.mean()), float(((x - x.mean()) ** 2).sum()))

    ours = welch(absolute(sample(moments(control)), sample(moments(treatment))), 0.1)
    oracle = weightstats.CompareMeans.from_data(treatment, control)
    _, p_value, _ = oracle.ttest_ind(usevar="unequal")
    low, high = oracle.tconfint_diff(alpha=0.1, usevar="unequal")
    assert ours.p_value == pytest.approx(p_value, rel=1e-9)
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_adjusted_p_values_agree_with_statsmodels(seed: int) -> None:
    p_values = np.random.default_rng(seed).uniform(0, 1, 30) ** 3
    oracle = multitest.multipletests(p_values, method="fdr_bh")[1]
    assert benjamini_hochberg(list(p_values)) == pytest.approx(oracle, rel=1e-12)
