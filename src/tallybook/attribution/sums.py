"""Exact sums over visitors → moments.

The engine sums whole numbers only, so nothing is rounded and no order matters until the last step
here, which rounds once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from tallybook.attribution.metrics import Recipe
from tallybook.model.moments import Arm, Moments

_PART: Final = 10**13  # a numerator is high * _PART + low
_ZERO: Final = Fraction(0)


@dataclass(frozen=True, slots=True)
class Sums:
    """Visitors, and sums over them of the numerator x and the denominator d."""

    n: int = 0
    x: Fraction = _ZERO
    xx: Fraction = _ZERO
    d: int = 0
    dd: int = 0
    xd: Fraction = _ZERO

    def __add__(self, other: Sums) -> Sums:
        """Sums over both."""
        return Sums(
            n=self.n + other.n,
            x=self.x + other.x,
            xx=self.xx + other.xx,
            d=self.d + other.d,
            dd=self.dd + other.dd,
            xd=self.xd + other.xd,
        )


def read_sums(scale: int, columns: Iterable[object]) -> Sums:
    """Return the sums in one row of ``moments.sql``, from ``visitors`` on."""
    n, x, high_high, high_low, low_low, d, dd, high_d, low_d = (int(str(c)) for c in columns)
    unit = Fraction(1, 2) ** scale
    return Sums(
        n=n,
        x=x * unit,
        xx=(high_high * _PART**2 + 2 * high_low * _PART + low_low) * unit**2,
        d=d,
        dd=dd,
        xd=(high_d * _PART + low_d) * unit,
    )


def arm(sums: Sums, recipe: Recipe) -> Arm:
    """Return one variation's result; what is beyond the range of a double is infinite."""
    return Arm(
        value=int(sums.x) if recipe.is_whole else rounded(sums.x),
        samples=sums.n if recipe.denominator is None else sums.d,
        moments=moments(sums, recipe),
    )


def moments(sums: Sums, recipe: Recipe) -> Moments:
    """Return the centred moments of at least one visitor, each rounded once."""
    n = sums.n
    plain = Moments(n, rounded(sums.x / n), rounded(sums.xx - sums.x**2 / n))
    if recipe.denominator is None:
        return plain
    return Moments(
        n,
        plain.mean,
        plain.m2,
        denominator_mean=rounded(Fraction(sums.d, n)),
        denominator_m2=rounded(sums.dd - Fraction(sums.d**2, n)),
        cross=rounded(sums.xd - sums.x * sums.d / n),
    )


def rounded(exact: Fraction) -> float:
    """Return the nearest double, infinite beyond the largest.

    Example:
        >>> rounded(Fraction(1, 3)), rounded(Fraction(-(10**400)))
        (0.3333333333333333, -inf)
    """
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
