"""Condition trees as the nested lists a datafile holds."""

from __future__ import annotations

from collections.abc import Callable

from tallybook.model.condition import And, AudienceRef, Comparison, Condition, Malformed, Not, Or


def with_ids(condition: Condition, id_of: Callable[[str], str]) -> Condition:
    """The tree of a rule with audience ids where the definition has audience keys."""
    if isinstance(condition, AudienceRef):
        return AudienceRef(id_of(condition.audience_id))
    if isinstance(condition, Not):
        return Not(with_ids(condition.operand, id_of) if condition.operand else None)
    if isinstance(condition, And | Or):
        return type(condition)(tuple(with_ids(o, id_of) for o in condition.operands))
    return condition


def nested_lists(condition: Condition) -> object:
    """The tree as JSON with every operator written out; the whole is always a list."""
    lists = _node(condition)
    return lists if isinstance(lists, list) else ["or", lists]


def _node(condition: Condition) -> object:
    if isinstance(condition, Comparison):
        return _leaf(condition)
    if isinstance(condition, AudienceRef):
        return condition.audience_id
    if isinstance(condition, Not):
        return ["not", _node(condition.operand)] if condition.operand else ["not"]
    if isinstance(condition, Malformed):
        return condition.value
    operator = "and" if isinstance(condition, And) else "or"
    return [operator, *(_node(operand) for operand in condition.operands)]


def _leaf(comparison: Comparison) -> dict[str, object]:
    leaf: dict[str, object] = {
        "name": comparison.name,
        "type": comparison.type,
        "match": comparison.match,
    }
    return leaf if comparison.match == "exists" else leaf | {"value": comparison.value}
