"""What a user is given without being bucketed: the place, and the variation there."""

from __future__ import annotations

from msgspec import Struct


class DecisionContext(Struct, frozen=True):
    """What a forced decision is for: a flag, or one rule of it."""

    flag_key: str
    rule_key: str | None = None


class ForcedDecision(Struct, frozen=True):
    """The variation that is forced."""

    variation_key: str
