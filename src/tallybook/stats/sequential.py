"""Verb: an effect → its always-valid estimate: look as often as you like, stop when you like.

One formula under two names: the asymptotic confidence sequence with a normal mixture, and the
mixture sequential probability ratio test (mSPRT). With ``V`` the variance of the effect after ``N``
visitors, ``rho² = tau² / (V N)`` turns one into the other. Everything is computed in logarithms, so
that no evidence is too strong to be written down.
"""

from __future__ import annotations

import math

from tallybook.model.estimate import Estimate
from tallybook.stats.effect import Effect

TUNING_VISITORS = 5_000  # N*: where the interval is about narrowest; GrowthBook's default, and ours


def confidence_sequence(
    effect: Effect, alpha: float = 0.05, tuning: int = TUNING_VISITORS
) -> Estimate:
    """Return the interval and p-value of an effect, valid at every look at once.

    Args:
        effect: Treatment minus control, absolute or relative.
        alpha: Error rate in (0, 1) over all looks together.
        tuning: Visitors of both arms at which the interval is tightest; the same at every look.

    Source:
        Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), "Time-uniform central limit theory and
        asymptotic confidence sequences", Annals of Statistics; the p-value is the reciprocal of the
        mixture likelihood ratio of Johari, Pekelis, Walsh (arXiv 1512.04922).

    Example:
        >>> e = confidence_sequence(Effect(value=0.3578, variance=0.1359**2, n=6633, df=6500.0))
        >>> f"[{e.low:.3f}, {e.high:.3f}] p={e.p_value:.3f}"
        '[-0.055, 0.771] p=0.143'
    """
    half = half_width(effect, alpha, alpha, tuning)
    log_e = log_likelihood_ratio(effect, mixture_variance(alpha, tuning))
    return Estimate(
        effect=effect.value,
        standard_error=effect.standard_error,
        low=effect.value - half,
        high=effect.value + half,
        p_value=math.exp(-max(0.0, log_e)),
    )


def half_width(effect: Effect, alpha: float, level: float, tuning: int = TUNING_VISITORS) -> float:
    """Return half the width of the confidence sequence at ``level``, tuned for ``alpha``.

    Source:
        Waudby-Smith et al. (2024), Annals of Statistics.
    """
    rho2 = mixture_variance(alpha, tuning)
    weight = effect.n * rho2
    squared = 2.0 * (weight + 1.0) / weight * (0.5 * math.log1p(weight) - math.log(level))
    return effect.standard_error * math.sqrt(squared)


def mixture_variance(alpha: float, tuning: int = TUNING_VISITORS) -> float:
    """Return rho², the variance of the mixture that suits ``tuning`` visitors best.

    Source:
        The closed approximation to the optimum of Waudby-Smith et al. (2024), Annals of Statistics.
    """
    doubled = -2.0 * math.log(alpha)
    return (doubled + math.log(doubled + 1.0)) / tuning


def log_likelihood_ratio(effect: Effect, rho2: float) -> float:
    """Return the logarithm of the mixture likelihood ratio (e-value) against "no effect".

    Reject at ``level`` once it exceeds ``log(1 / level)``; that happens exactly when the confidence
    sequence of the same ``rho2`` excludes zero.

    Source:
        Johari, Pekelis, Walsh, "Always Valid Inference", arXiv 1512.04922; Robbins (1970), Annals
        of Mathematical Statistics 41(5), 1397-1409.
    """
    weight = effect.n * rho2
    standardised = effect.value / effect.standard_error
    return 0.5 * standardised * standardised * (weight / (weight + 1.0)) - 0.5 * math.log1p(weight)
