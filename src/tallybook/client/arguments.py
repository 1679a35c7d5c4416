"""What calls are passed: checked one by one, in the order each call documents."""

from __future__ import annotations

from typing import Any, TypeGuard, cast

from tallybook.client.diagnostics import Diagnostics
from tallybook.deliver.settings import LONGEST_S
from tallybook.model.text import is_text, plain


def is_key(name: str, value: object, diagnostics: Diagnostics) -> bool:
    """True for text that is not empty; anything else is logged."""
    if is_text(value) and plain(value):
        return True
    diagnostics.logger.error("%s must be a string that is not empty, not %s.", name, shown(value))
    return False


def is_user_id(value: object, diagnostics: Diagnostics) -> bool:
    """True for text, also empty; anything else is logged."""
    if is_text(value):
        return True
    diagnostics.logger.error("The user id must be a string, not %s.", shown(value))
    return False


def is_user(user_id: object, attributes: object, diagnostics: Diagnostics) -> bool:
    """True for whom a context can be made: text and a plain dictionary or ``None``."""
    if not is_text(user_id):
        name = type(user_id).__name__
        diagnostics.logger.error("No user context: the user id must be a string, not %s.", name)
        return False
    if attributes is not None and type(attributes) is not dict:
        name = type(attributes).__name__
        diagnostics.logger.error("No user context: attributes must be a dict, not %s.", name)
        return False
    return True


def are_attributes(value: object, diagnostics: Diagnostics) -> bool:
    """True for a plain dictionary and for anything empty; anything else is logged and told."""
    if is_dict_or_empty(value):
        return True
    diagnostics.refuse("attributes", f"Attributes must be a dict, not {shown(value)}.")
    return False


def is_dict_or_empty(value: object) -> bool:
    """True for a plain dictionary and for what passes for none: anything empty."""
    if value is None or type(value) is dict:
        return True
    try:
        return not value
    except Exception:  # noqa: BLE001 - arrays, and whatever else has no truth of its own
        return False


def is_dict(value: object) -> TypeGuard[dict[Any, Any]]:
    """True for a dictionary that can be read, also one of a class derived from ``dict``."""
    try:
        return issubclass(type(value), dict) and dict(cast("dict[Any, Any]", value)) is not None
    except Exception:  # noqa: BLE001 - a class's own code runs here and may raise anything
        return False


def seconds(call: str, value: object, diagnostics: Diagnostics) -> float | None:
    """How long ``call`` may wait, ``None`` for ever; what is no number is logged and no time."""
    if value is None:
        return None
    number = number_of(value)
    if number is None or number != number:  # noqa: PLR0124 - only NaN is not equal to itself
        name = "nan" if number is not None else type(value).__name__
        diagnostics.logger.error("%s: timeout_s must be a number of seconds, not %s.", call, name)
        return 0.0
    return float(min(max(number, 0), LONGEST_S))


def number_of(value: object) -> float | None:
    """A number as the built-in type, whatever a class derived from it answers; ``None`` if none."""
    if issubclass(type(value), int):
        return int.__int__(value)  # type: ignore[arg-type]  # it is one
    if issubclass(type(value), float):
        return float.__float__(value)  # type: ignore[arg-type]  # it is one
    return None


def shown(value: object) -> str:
    """What was found where text was expected."""
    return '""' if is_text(value) and not plain(value) else type(value).__name__


def place_of(context: Any) -> tuple[str, str | None] | None:
    """The flag's key and the rule's, or none, that a decision is forced for; ``None`` if unsaid."""
    try:
        flag_key, rule_key = context.flag_key, getattr(context, "rule_key", None)
    except Exception:  # noqa: BLE001 - something else, which may raise whatever it is asked
        return None
    if not is_text(flag_key) or not (rule_key is None or is_text(rule_key)):
        return None
    return plain(flag_key), None if rule_key is None else plain(rule_key)


def variation_of(decision: Any) -> str | None:
    """The key of the variation that is forced; ``None`` if that is not said in text."""
    try:
        variation_key = decision.variation_key
    except Exception:  # noqa: BLE001 - as above
        return None
    return plain(variation_key) if is_text(variation_key) else None


def segments_of(given: object) -> tuple[Any, ...] | None:
    """A copy of a list or a tuple; ``None`` of anything else."""
    try:
        known = tuple(given) if isinstance(given, list | tuple) else None
    except Exception:  # noqa: BLE001 - one of somebody's own making
        return None
    return known and tuple(plain(one) if is_text(one) else one for one in known)
