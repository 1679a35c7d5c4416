"""Verb: an estimate at each look → what all looks so far say together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from tallybook.errors import NotEnoughDataError
from tallybook.model.estimate import Estimate


def over_looks(estimates: Sequence[Estimate]) -> Estimate:
    """Return the last look's effect with the smallest p-value and the intersected interval.

    Only for always-valid estimates: all their looks hold together, so what one look has excluded
    stays excluded. The intersection is empty only by bad luck (rarer than alpha) or because the
    effect moved; then the current look's own interval stands and intersecting starts anew from
    it. The p-value is not reset: it speaks of "never any effect".

    Args:
        estimates: One estimate a look, in order of time, of the same effect.

    Raises:
        NotEnoughDataError: There is no look.

    Source:
        Johari, Pekelis, Walsh, "Always Valid Inference", arXiv 1512.04922 (running minimum of p);
        Darling, Robbins (1967), PNAS 58(1), 66-68 (sequences of intervals that hold together). The
        restart after an empty intersection is ours.
    """
    if not estimates:
        raise NotEnoughDataError("no look has enough data")
    return reduce(_sharpen, estimates)


def _sharpen(before: Estimate, now: Estimate) -> Estimate:
    low, high = max(before.low, now.low), min(before.high, now.high)
    if low > high:
        low, high = now.low, now.high
    return Estimate(now.effect, now.standard_error, low, high, min(before.p_value, now.p_value))
