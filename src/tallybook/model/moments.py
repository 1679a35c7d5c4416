"""Noun: the sufficient statistics of a sample of visitors, centred, mergeable with ``+``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SegmentValue = str | bool | int | float | None
Segment = tuple[tuple[str, SegmentValue], ...]  # (attribute, value) pairs; () is everyone


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, means and centred second moments of a value, or of numerator and denominator.

    There is one value a visitor. Without a denominator that is the constant 1 for everyone, so that
    a plain mean and a ratio are one shape. ``m2`` is the sum of squared deviations from the mean,
    ``cross`` the sum of products of deviations of numerator and denominator.

    Source:
        Chan, Golub, LeVeque (1983), The American Statistician 37(3), 242-247: merging centred sums.
    """

    n: int
    mean: float
    m2: float
    denominator_mean: float = 1.0
    denominator_m2: float = 0.0
    cross: float = 0.0

    def __add__(self, other: Moments) -> Moments:
        """Moments of both samples together."""
        n = self.n + other.n
        if n == 0:
            return self
        weight = self.n * other.n / n
        step = other.mean - self.mean
        denominator_step = other.denominator_mean - self.denominator_mean
        share = other.n / n
        return Moments(
            n=n,
            mean=self.mean + step * share,
            m2=self.m2 + other.m2 + step * step * weight,
            denominator_mean=self.denominator_mean + denominator_step * share,
            denominator_m2=self.denominator_m2
            + other.denominator_m2
            + denominator_step * denominator_step * weight,
            cross=self.cross + other.cross + step * denominator_step * weight,
        )


@dataclass(frozen=True, slots=True)
class Arm:
    """One variation of one metric at one look.

    ``value`` is the numerator's total, ``samples`` the denominator's; counts and cents are exact.
    """

    value: int | float
    samples: int | float
    moments: Moments


@dataclass(frozen=True, slots=True)
class Look:
    """What was known at ``at_ms``: every variation's arm, by variation id."""

    at_ms: int
    arms: Mapping[str, Arm]


@dataclass(frozen=True, slots=True)
class Reach:
    """Visitors at one look, by variation id, and by the revision that first exposed them.

    ``by_revision`` maps ``(revision or None, variation_id)`` to visitors.
    """

    at_ms: int
    visitors: Mapping[str, int]
    by_revision: Mapping[tuple[str | None, str], int]


@dataclass(frozen=True, slots=True)
class Exposures:
    """Who took part in one segment: cumulative reach look by look, and what was odd about it."""

    segment: Segment
    looks: tuple[Reach, ...]
    switched_visitors: int
    duplicate_events: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One metric in one segment, look by look, cumulative; the last look is the result."""

    segment: Segment
    looks: tuple[Look, ...]
