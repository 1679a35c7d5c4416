"""Noun: what was decided for one visitor and one flag, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from msgspec import Struct, field

from tallybook.model.prediction import Prediction
from tallybook.model.project import Experiment, Variation


class DecideOption(StrEnum):
    """What a caller may ask of a decide call."""

    DISABLE_DECISION_EVENT = "DISABLE_DECISION_EVENT"
    ENABLED_FLAGS_ONLY = "ENABLED_FLAGS_ONLY"
    IGNORE_USER_PROFILE_SERVICE = "IGNORE_USER_PROFILE_SERVICE"
    INCLUDE_REASONS = "INCLUDE_REASONS"
    EXCLUDE_VARIABLES = "EXCLUDE_VARIABLES"
    IGNORE_CMAB_CACHE = "IGNORE_CMAB_CACHE"
    RESET_CMAB_CACHE = "RESET_CMAB_CACHE"
    INVALIDATE_USER_CMAB_CACHE = "INVALIDATE_USER_CMAB_CACHE"


class DecisionSource(StrEnum):
    """Which kind of rule decided."""

    EXPERIMENT = "experiment"
    FEATURE_TEST = "feature-test"
    ROLLOUT = "rollout"
    HOLDOUT = "holdout"


class Visitor(Struct, frozen=True):
    """Who is asking: a user id, attributes, and what was forced for this context.

    ``forced`` maps ``(flag_key, rule_key or None)`` to a variation key; ``segments`` is ``None``
    until qualified segments have been fetched or set.
    """

    user_id: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    forced: Mapping[tuple[str, str | None], str] = field(default_factory=dict)
    segments: Collection[str] | None = None


class Verdict(Struct, frozen=True, gc=False):  # one a decision: made in no time, no cycle
    """The outcome of deciding one flag: the rule and variation, if any, and the source.

    ``rule`` is ``None`` for a flag-level forced decision and when nothing matched. ``spared_by`` is
    the verdict of a holdout that holds the visitor, but not where targeted deliveries decide.
    ``prediction`` is what a contextual bandit's rule was told.
    """

    rule: Experiment | None
    variation: Variation | None
    source: DecisionSource
    spared_by: Verdict | None = None
    prediction: Prediction | None = None

    @property
    def cmab_uuid(self) -> str | None:
        """The name of the prediction that decided, if one did."""
        return self.prediction.cmab_uuid if self.prediction else None

    @property
    def is_error(self) -> bool:
        """True when a prediction failed: nothing is decided, and no other rule is asked."""
        return self.prediction is not None and self.prediction.has_failed
