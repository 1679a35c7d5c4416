"""Noun: what the data say about treatment minus control, or why they say nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """An effect with its two-sided interval.

    ``effect``, ``standard_error``, ``low`` and ``high`` are in one unit: the metric's own for an
    absolute estimate, a proportion of the baseline's magnitude for a relative one.
    """

    effect: float
    standard_error: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class NoEstimate:
    """There is no number, and this is why, in a sentence for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lift:
    """A treatment against the baseline, absolute and relative, after every look.

    ``visitors_remaining`` counts both arms together; it is 0 once significance is reached.
    """

    absolute: Estimate
    relative: Estimate
    visitors_remaining: int | NoEstimate


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether visitors were split as intended; ``expected`` are proportions by variation id."""

    p_value: float
    mismatch: bool
    expected: dict[str, float]
    epochs: int
