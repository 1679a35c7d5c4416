"""What the calls by user id are passed: checked one by one, in the order each call documents."""

from __future__ import annotations

import logging
from typing import Any, Final

from tallybook.client.context import Guest
from tallybook.client.faults import Faults
from tallybook.model.decision import Visitor

_logger: Final = logging.getLogger("tallybook")


def is_key(name: str, value: object) -> bool:
    """True for text that is not empty; anything else is logged."""
    if isinstance(value, str) and value:
        return True
    _logger.error("%s must be a string that is not empty, not %s.", name, _shown(value))
    return False


def is_user_id(value: object) -> bool:
    """True for text, also empty; anything else is logged."""
    if isinstance(value, str):
        return True
    _logger.error("The user id must be a string, not %s.", _shown(value))
    return False


def are_attributes(value: object, faults: Faults) -> bool:
    """True for a plain dictionary and for anything empty; anything else is logged and told."""
    if is_dict_or_empty(value):
        return True
    message = f"Attributes must be a dict, not {_shown(value)}."
    _logger.error("%s", message)
    faults.tell("attributes", message)
    return False


def is_dict_or_empty(value: object) -> bool:
    """True for a plain dictionary and for what passes for none: anything empty."""
    if value is None or type(value) is dict:
        return True
    try:
        return not value
    except Exception:  # noqa: BLE001 - arrays, and whatever else has no truth of its own
        return False


def not_ready(what: str) -> None:
    """Log that ``what`` has to wait for a datafile."""
    _logger.error("%s: there is no valid datafile yet.", what)


def guest_of(user_id: object, attributes: object) -> Guest:
    """A guest of whom nothing was written yet, with attributes of their own."""
    known: dict[str, Any] = dict(attributes) if isinstance(attributes, dict) else {}
    return Guest(Visitor(plain(user_id), known))


def plain(text: object) -> str:
    """Text that passed as itself: what a class derived from ``str`` (an enum's) shows is not it."""
    return str.__str__(text) if isinstance(text, str) else str(text)


def _shown(value: object) -> str:
    return '""' if isinstance(value, str) and not value else type(value).__name__
