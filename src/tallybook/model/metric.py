"""Noun: what to measure, and the question put to the lake."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Aggregator(StrEnum):
    """How a visitor's events become one number."""

    UNIQUE = "unique"
    COUNT = "count"
    SUM = "sum"


class Scope(StrEnum):
    """What the sum is divided by: visitors, or occurrences of the metric's own event."""

    VISITOR = "visitor"
    EVENT = "event"


class WinningDirection(StrEnum):
    """Which way is better."""

    INCREASING = "increasing"
    DECREASING = "decreasing"


class Tier(StrEnum):
    """How a metric's place in the list protects it from the others."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    MONITORING = "monitoring"


class SegmentRule(StrEnum):
    """Whose attribute makes a visitor part of a segment."""

    EXPOSURE = "exposure"
    OPTIMIZELY = "optimizely"


@dataclass(frozen=True, slots=True)
class Metric:
    """A named measure of one event; ``field`` is ``revenue``, ``value`` or a numeric tag's name."""

    key: str
    event_key: str
    aggregator: Aggregator
    field: str | None = None
    scope: Scope = Scope.VISITOR
    winning_direction: WinningDirection = WinningDirection.INCREASING


@dataclass(frozen=True, slots=True)
class Window:
    """Event times that count: ``[from_ms, to_ms)``, milliseconds since the epoch."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Question:
    """What attribution is asked about one experiment.

    ``segment_by`` names the attributes to slice by (none: one slice, everyone).
    """

    experiment_id: str
    window: Window
    segment_by: tuple[str, ...] = ()
    segment_rule: SegmentRule = SegmentRule.EXPOSURE
    account_id: str | None = None
