"""Noun: what one visitor was shown and did, and for each of it why it counted or did not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Because(StrEnum):
    """Why a decision or a conversion counts in an experiment, or why it does not."""

    FIRST_EXPOSURE = "first exposure: the visitor belongs to this variation"
    SEEN_AGAIN = "seen again after the first exposure"
    SWITCHED = "another variation than the first: the visitor stays with the first"
    HOLDBACK = "held back: no exposure"
    NO_VARIATION = "no variation: no exposure"
    COUNTED = "at or after the first exposure"
    NO_METRIC = "attributed, but no metric of the experiment uses this event"
    BEFORE_EXPOSURE = "before the first exposure"
    NEVER_EXPOSED = "the visitor was never exposed"
    OUTSIDE_WINDOW = "outside the experiment's window"
    DUPLICATE = "a duplicate: sent before, counted once"
    OTHER_ACCOUNT = "of another account"

    @property
    def counts(self) -> bool:
        """True when the event makes a difference to the experiment's results."""
        return self in {Because.FIRST_EXPOSURE, Because.COUNTED}


@dataclass(frozen=True, slots=True)
class Judged:
    """One decision (``what``: the variation) or conversion (``what``: the event key), judged.

    ``metrics`` are the keys of those it counts in.
    """

    at_ms: int
    what: str
    because: Because
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Participation:
    """A visitor in one experiment; ``variation`` is ``None`` where nothing exposed them.

    The window is ``[from_ms, to_ms)``; either end may be open.
    """

    experiment_key: str
    experiment_id: str
    from_ms: int | None
    to_ms: int | None
    variation: str | None
    decisions: tuple[Judged, ...]
    conversions: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything known of one visitor, experiment by experiment.

    ``without_rule`` counts decisions that belong to no experiment, ``conversions`` are all that the
    visitor did, duplicates left out.
    """

    visitor_id: str
    participations: tuple[Participation, ...]
    without_rule: int
    conversions: int
