"""Verb: the p-values of one family → p-values that keep the false discovery rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return adjusted p-values, in the order given; reject those at or below the wanted rate.

    Args:
        p_values: The family: every comparison that has a p-value. Those without one are left out.

    Source:
        Benjamini, Hochberg (1995), Journal of the Royal Statistical Society B 57(1), 289-300; in
        the adjusted form of R's ``p.adjust(p, "BH")``.

    Example:
        >>> benjamini_hochberg([0.01, 0.02, 0.5])
        (0.03, 0.03, 0.5)
    """
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, dtype=np.float64)[order] * m / np.arange(1, m + 1)
    monotone = np.minimum.accumulate(scaled[::-1])[::-1]
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(monotone, 1.0)
    # Rounding in p * m / m must not make an adjusted p smaller than the p it came from.
    return tuple(max(float(a), p) for a, p in zip(adjusted, p_values, strict=True))
