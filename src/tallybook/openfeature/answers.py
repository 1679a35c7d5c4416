"""What a decision answers in OpenFeature's words: a value of a type, its reason, its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeVar, cast

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, ParseError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason

from tallybook.client import Decision
from tallybook.decide.rules import EVERYONE_ELSE
from tallybook.model.reason import ReasonKind

SEPARATOR: Final = "."
_EXPLANATIONS: Final[Mapping[ReasonKind, Reason]] = {
    ReasonKind.FORCED_FOR_FLAG: Reason.TARGETING_MATCH,
    ReasonKind.FORCED_FOR_RULE: Reason.TARGETING_MATCH,
    ReasonKind.ALLOWLISTED: Reason.TARGETING_MATCH,
    ReasonKind.RULE_BUCKETED: Reason.TARGETING_MATCH,
}

_Value = TypeVar("_Value")


def require_variable(flag_key: str) -> None:
    """Refuse a key that names no variable, for the types that a flag by itself does not have."""
    if not flag_key.partition(SEPARATOR)[2]:
        raise TypeMismatchError(
            f"flag `{flag_key}` is no number: ask for a variable, `{flag_key}{SEPARATOR}NAME`"
        )


def variable(decision: Decision, key: str) -> object:
    """The value of a flag's variable."""
    if key not in decision.variables:
        raise FlagNotFoundError(f"flag `{decision.flag_key}` has no variable `{key}`")
    value = decision.variables[key]
    if value is None:
        raise ParseError(f"variable `{key}` of flag `{decision.flag_key}` has no readable value")
    return value


def checked(flag_key: str, value: object, kind: Callable[..., _Value]) -> _Value:
    """The value, if it has the type that was asked for."""
    # Exactly this type: a boolean would pass for an integer.
    if type(value) is not kind:
        expected = getattr(kind, "__name__", kind)
        raise TypeMismatchError(f"`{flag_key}` is a {type(value).__name__}, not a {expected}")
    return value  # type: ignore[return-value]  # it was just checked


def details(decision: Decision, value: _Value) -> FlagResolutionDetails[_Value]:
    """A value with what is known of how it came about."""
    metadata: dict[str, bool | int | float | str] = {
        "flag_key": decision.flag_key,
        "enabled": decision.enabled,
    }
    if decision.rule_key is not None:
        metadata["rule_key"] = decision.rule_key
    return FlagResolutionDetails(
        value=value,
        reason=_reason(decision),
        variant=decision.variation_key,
        flag_metadata=metadata,
    )


def _reason(decision: Decision) -> Reason:
    if decision.variation_key is None:
        return Reason.DEFAULT
    for step in decision.steps:
        if step.kind is ReasonKind.RULE_BUCKETED and step.values.get("rule") == EVERYONE_ELSE:
            return Reason.DEFAULT
        if step.kind in _EXPLANATIONS:
            return _EXPLANATIONS[step.kind]
    return Reason.SPLIT


def attributes(context: EvaluationContext) -> dict[str, object]:
    """The context's fields as a user's attributes; moments as RFC 3339 text."""
    return {
        key: cast("datetime", value).isoformat() if issubclass(type(value), datetime) else value
        for key, value in context.attributes.items()
    }
