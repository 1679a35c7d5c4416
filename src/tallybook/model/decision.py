"""Noun: what was decided for one visitor and one flag, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is asking: a user id, attributes, and what was forced for this context.

    ``forced`` maps ``(flag_key, rule_key or None)`` to a variation key; ``segments`` is ``None``
    until qualified segments have been fetched or set.
    """

    user_id: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    forced: Mapping[tuple[str, str | None], str] = field(default_factory=dict)
    segments: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of deciding one flag: the rule and variation, if any, and the source.

    ``rule`` is ``None`` for a flag-level forced decision and when nothing matched. ``spared_by`` is
    the verdict of a holdout that holds the visitor, but not where targeted deliveries decide.
    """

    rule: Experiment | None
    variation: Variation | None
    source: DecisionSource
    spared_by: Verdict | None = None
