"""What ``decide`` answers."""

from __future__ import annotations

from typing import Any, Self

from tallybook.client.context import UserContext


class OptimizelyDecision:
    """What a user gets for one flag.

    ``user_context`` is a copy, as it was when the decision was made. ``reasons`` are sentences;
    there are none unless ``INCLUDE_REASONS`` was asked for or nothing could be decided.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as the official one
        self,
        variation_key: str | None = None,
        enabled: bool = False,
        variables: dict[str, Any] | None = None,
        rule_key: str | None = None,
        flag_key: str | None = None,
        user_context: UserContext | None = None,
        reasons: list[str] | None = None,
    ) -> None:
        self.variation_key = variation_key
        self.enabled = enabled
        self.variables = variables or {}
        self.rule_key = rule_key
        self.flag_key = flag_key
        self.user_context = user_context
        self.reasons = reasons or []

    def as_json(self) -> dict[str, Any]:
        """The decision as JSON values."""
        user = self.user_context
        return {**vars(self), "user_context": user.as_json() if user else None}

    @classmethod
    def new_error_decision(cls, key: str, user: UserContext, reasons: list[str]) -> Self:
        """A decision that could not be made, and why."""
        return cls(flag_key=key, user_context=user, reasons=reasons)
