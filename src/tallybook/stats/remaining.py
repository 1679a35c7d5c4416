"""Verb: an effect that is not significant yet → how many visitors more it would take."""

from __future__ import annotations

from collections.abc import Callable

from tallybook.model.estimate import NoEstimate
from tallybook.stats.effect import Effect

MOST_VISITORS = 100_000_000  # ours: beyond this the answer is "not in this experiment"

HalfWidth = Callable[
    [Effect, float, float], float
]  # (effect, alpha, level) → half the interval's width


def visitors_remaining(
    effect: Effect, half_width: HalfWidth, *, alpha: float, level: float
) -> int | NoEstimate:
    """Return how many visitors, both arms together, are missing until the interval excludes zero.

    The effect and the visitors' variance are held as observed, and the boundary is that of the
    method in use, so that 0 means the method rejects at this look.

    Args:
        effect: The effect whose interval is to exclude zero.
        half_width: The method's boundary.
        alpha: Error rate the method is tuned for.
        level: Error rate to be reached, smaller than ``alpha`` within a family of comparisons.

    Source:
        Ours, by inverting the boundary of ``half_width`` in the number of visitors.
    """
    if effect.value == 0.0:
        return NoEstimate("no difference is observed, so no number of visitors would show one")

    def excludes_zero(n: int) -> bool:
        return half_width(effect.at(n), alpha, level) <= abs(effect.value)

    if excludes_zero(effect.n):
        return 0
    enough, short = MOST_VISITORS + effect.n, effect.n
    if not excludes_zero(enough):
        return NoEstimate(f"more than {MOST_VISITORS:,} visitors at the difference observed")
    while enough - short > 1:
        middle = (enough + short) // 2
        enough, short = (middle, short) if excludes_zero(middle) else (enough, middle)
    return enough - effect.n
