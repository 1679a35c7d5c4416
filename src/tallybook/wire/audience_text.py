"""Audience expressions as people read them, exactly as the official SDK writes them down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_OPERATORS: Final = ("and", "or", "not")
_DEFAULT: Final = "or"


def audience_text(expression: Any, names: Mapping[str, str]) -> str:
    """An expression over audience ids with ``names`` in the ids' place.

    Example:
        >>> audience_text(["and", "1", ["or", "2", "3"]], {"1": "us", "2": "young", "3": "new"})
        '"us" AND ("young" OR "new")'
    """
    if not isinstance(expression, list):
        return _named(expression, names) if expression else ""
    has_operator = bool(expression) and _is_operator(expression[0])
    operator = expression[0] if has_operator else _DEFAULT
    operands = expression[1:] if has_operator else expression
    if not operands:
        return ""
    if len(operands) == 1 and not isinstance(operands[0], list):
        prefix = "NOT " if operator == "not" else ""
        return prefix + _named(operands[0], names)
    return "".join(
        _placed(operands, index, operator.upper(), names) for index in range(len(operands))
    )


def _placed(operands: list[Any], index: int, operator: str, names: Mapping[str, str]) -> str:
    # The operator stands before the last operand and after ids that are neither last nor next to
    # last; so between two nested lists it is missing, as it is in the official SDK.
    operand = operands[index]
    to_come = len(operands) - 1 - index
    is_nested = isinstance(operand, list)
    text = f"({audience_text(operand, names)})" if is_nested else _named(operand, names)
    if to_come == 0:
        return f"{operator} {text}"
    return f"{text} " if is_nested or to_come == 1 else f"{text} {operator} "


def _is_operator(value: Any) -> bool:
    return isinstance(value, str) and value in _OPERATORS


def _named(audience_id: Any, names: Mapping[str, str]) -> str:
    return f'"{names.get(audience_id, audience_id)}"'
