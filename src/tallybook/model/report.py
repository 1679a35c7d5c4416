"""Noun: the result document, what an experiment has shown so far and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tallybook.model.estimate import Lift, NoEstimate, SampleRatio
from tallybook.model.metric import Metric, Tier, Window
from tallybook.model.moments import Segment


class LiftStatus(StrEnum):
    """How a variation differs, after the winning direction; equal until significant."""

    BETTER = "better"
    WORSE = "worse"
    EQUAL = "equal"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A variation's lift over the baseline, and what it is worth within its family."""

    lift: Lift
    adjusted_p_value: float
    is_significant: bool
    status: LiftStatus


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One metric of one variation; ``lift`` is ``None`` for the baseline alone.

    ``value`` is the numerator and ``samples`` the denominator; ``variance`` that of one visitor.
    """

    is_baseline: bool
    samples: int | float
    value: int | float | NoEstimate
    rate: float | NoEstimate
    variance: float | NoEstimate
    lift: Comparison | NoEstimate | None


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One metric of every variation, by variation key, in the experiment's order."""

    metric: Metric
    tier: Tier
    results: Mapping[str, ArmResult]


@dataclass(frozen=True, slots=True)
class ArmReach:
    """How many visitors were given a variation first."""

    variation_id: str
    count: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Everyone (an empty segment) or one segment's visitors: who they are and what they did."""

    segment: Segment
    reach: Mapping[str, ArmReach]
    metrics: tuple[MetricResult, ...]

    @property
    def total_count(self) -> int:
        """Visitors of all variations together."""
        return sum(arm.count for arm in self.reach.values())


@dataclass(frozen=True, slots=True)
class EpochReport:
    """A stretch of unchanged allocation, as each variation's share of all traffic."""

    from_ms: int
    revisions: tuple[str, ...]
    allocation: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Health:
    """What could make the result untrue; ``allocation_epochs`` is ``None`` where none are known.

    ``sample_ratio`` has its expected shares by variation key.
    """

    sample_ratio: SampleRatio | NoEstimate
    switched_visitors: int
    duplicate_events: int
    dead_letters: int
    allocation_epochs: tuple[EpochReport, ...] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Results of one experiment; ``segments`` is ``None`` unless slices were asked for."""

    experiment_key: str
    experiment_id: str
    window: Window
    method: str
    confidence_level: float
    everyone: Slice
    health: Health
    segments: tuple[Slice, ...] | None = None
