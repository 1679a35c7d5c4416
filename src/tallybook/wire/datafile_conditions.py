"""Audience conditions: JSON to trees, and back to JSON that every SDK can walk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tallybook.errors import DatafileError
from tallybook.model.condition import And, AudienceRef, Comparison, Condition, Malformed, Not, Or

_DEEPEST: Final = 100  # lists in lists; evaluation recurses as deep
_OPERATORS: Final = ("and", "or", "not")


def check_nesting(conditions: Any, path: str, deepest: int = _DEEPEST) -> None:
    """Refuse conditions that could not be evaluated; only what passes may be made a tree.

    Raises:
        DatafileError: Lists are nested in more than ``deepest`` lists.
    """
    if not isinstance(conditions, list) or not conditions:
        return
    if deepest == 0:
        raise DatafileError(path, f"conditions may be nested at most {_DEEPEST} lists deep")
    for operand in conditions:
        if isinstance(operand, list):
            check_nesting(operand, path, deepest - 1)


def expression_tree(expression: Any) -> Condition:
    """A rule's audience expression, whose leaves are audience ids, as a tree."""
    return _node(expression, _audience_leaf)


def audience_tree(conditions: Any) -> Condition:
    """An audience's conditions, whose leaves are comparisons, as a tree."""
    return _node(conditions, _comparison_leaf)


def explicit_expression(expression: Any) -> Any:
    """``expression`` with the implicit ``or`` written out before a nested list.

    The official SDK understands a list that begins with a list when it decides, but not when it
    describes the datafile, and refuses the whole of it.
    """
    if not isinstance(expression, list):
        return expression
    operands = [explicit_expression(operand) for operand in expression]
    return ["or", *operands] if operands and isinstance(operands[0], list) else operands


def _node(value: Any, leaf: Callable[[Any], Condition]) -> Condition:
    if not isinstance(value, list):
        return leaf(value)
    if not value:
        return Malformed(value)
    has_operator = isinstance(value[0], str) and value[0] in _OPERATORS
    operator, rest = (value[0], value[1:]) if has_operator else ("or", value)
    operands = tuple([_node(operand, leaf) for operand in rest])
    if operator == "not":
        return Not(operands[0] if operands else None)
    if len(operands) == 1:  # the application wraps every condition in several of these
        return operands[0]
    return And(operands) if operator == "and" else Or(operands)


def _audience_leaf(value: Any) -> Condition:
    return AudienceRef(value) if isinstance(value, str) else Malformed(value)


def _comparison_leaf(value: Any) -> Condition:
    if not isinstance(value, dict):
        return Malformed(value)
    name = value.get("name")
    return Comparison(
        name=name if isinstance(name, str) else None,
        value=value.get("value"),
        type=_text(value.get("type")),
        match=_text(value.get("match")),
    )


def _text(value: Any) -> str | None:
    # What is neither text nor null is kept as JSON text: it names no type and no match.
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
