"""Verb: an effect → its fixed-horizon estimate (Welch's t-test): one look, planned beforehand."""

from __future__ import annotations

from scipy.special import stdtr, stdtrit

from tallybook.model.estimate import Estimate
from tallybook.stats.effect import Effect


def welch(effect: Effect, alpha: float = 0.05) -> Estimate:
    """Return the two-sided interval and p-value of an effect looked at once.

    Args:
        effect: Treatment minus control, absolute or relative.
        alpha: Two-sided error rate in (0, 1); the interval covers with ``1 - alpha``.

    Source:
        Welch (1947), Biometrika 34(1-2), 28-35.

    Example:
        Student's sleep data (1908), as printed by R's ``t.test(extra ~ group, sleep)``:

        >>> from tallybook.model.moments import Moments
        >>> from tallybook.stats.effect import absolute, sample
        >>> drug_1 = sample(Moments(n=10, mean=0.75, m2=28.805))
        >>> drug_2 = sample(Moments(n=10, mean=2.33, m2=36.081))
        >>> e = welch(absolute(drug_2, drug_1))
        >>> f"{e.effect:.2f} [{e.low:.4f}, {e.high:.4f}] p={e.p_value:.5f}"
        '-1.58 [-3.3655, 0.2055] p=0.07939'
    """
    half = half_width(effect, alpha, alpha)
    p_value = 2.0 * float(stdtr(effect.df, -abs(effect.value) / effect.standard_error))
    return Estimate(
        effect=effect.value,
        standard_error=effect.standard_error,
        low=effect.value - half,
        high=effect.value + half,
        p_value=min(1.0, p_value),
    )


def half_width(effect: Effect, alpha: float, level: float) -> float:
    """Return half the interval's width at ``level``; ``alpha`` tunes nothing here.

    Source:
        Welch (1947), Biometrika 34(1-2), 28-35.
    """
    del alpha
    return -float(stdtrit(effect.df, level / 2.0)) * effect.standard_error
