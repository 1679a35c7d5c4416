"""Audience conditions of a definition file, as trees and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

from tallybook.errors import DefinitionError
from tallybook.model.condition import And, AudienceRef, Comparison, Condition, Malformed, Not, Or
from tallybook.model.definition import DefinedAudience
from tallybook.wire.definition_shapes import mapping
from tallybook.wire.definition_values import checked_key, defined, hint, is_number, shown
from tallybook.wire.definition_yaml import join

_Leaf = Callable[[str, object, str], Condition]

_OPERATORS: Final = ("and", "or", "not")
_NUMERIC: Final = ("gt", "ge", "lt", "le")
_SEMVER: Final = ("semver_eq", "semver_gt", "semver_ge", "semver_lt", "semver_le")
_MATCHES: Final = ("exact", "substring", "exists", *_NUMERIC, *_SEMVER, "qualified")
_VERSION: Final = re.compile(r"\d+(\.\d+){0,2}([-+]\S+)?\Z", re.ASCII)

_ATTRIBUTE: Final = "custom_attribute"
_SEGMENT: Final = "third_party_dimension"
_SEGMENTS: Final = "odp.audiences"  # the one name that `qualified` asks about


def read_audiences(
    document: Mapping[str, object], attributes: Collection[str]
) -> tuple[DefinedAudience, ...]:
    """Every audience of the document; conditions may name only ``attributes``."""

    def comparisons(name: str, value: object, path: str) -> Condition:
        if not name.startswith("$opt_") and name != _SEGMENTS:
            defined("attribute", name, attributes, path)
        return _comparisons(name, value, path)

    return tuple(
        DefinedAudience(
            key=checked_key(key, join("audiences", key)),
            condition=_tree(value, join("audiences", key), comparisons),
        )
        for key, value in document.items()
    )


def read_rule_audience(value: object, path: str, audiences: Collection[str]) -> Condition | None:
    """A rule's audience: a key, or a tree of keys; ``None`` is everyone."""
    if value is None:
        return None
    if isinstance(value, str):
        return AudienceRef(defined("audience", value, audiences, path))
    content = mapping(value, path, expected="with and, or or not, or the key of an audience")
    if len(content) == 1 and next(iter(content)) in _OPERATORS:
        return _operation(content, path, lambda v, p: _required_rule(v, p, audiences))
    raise DefinitionError(
        path,
        f"found {shown(value)}; expected the key of an audience or a tree such as "
        "{and: [gold, {not: bots}]}; conditions on attributes stand under `audiences`",
    )


def _required_rule(value: object, path: str, audiences: Collection[str]) -> Condition:
    condition = read_rule_audience(value, path, audiences)
    if condition is None:
        raise DefinitionError(path, "found nothing; expected the key of an audience")
    return condition


def _tree(value: object, path: str, leaf: _Leaf) -> Condition:
    content = mapping(value, path, expected="such as {plan: {exact: gold}}, or and, or, not")
    operators = [name for name in content if name in _OPERATORS]
    if not operators:
        return _all(tuple(leaf(n, v, join(path, n)) for n, v in content.items()), path)
    if len(content) > 1:
        reason = f"`{operators[0]}` stands beside other keys; put them into one {{and: […]}}"
        raise DefinitionError(path, reason)
    return _operation(content, path, lambda v, p: _tree(v, p, leaf))


def _operation(
    content: Mapping[str, object], path: str, operand: Callable[[object, str], Condition]
) -> Condition:
    ((operator, value),) = content.items()
    at = join(path, operator)
    if operator == "not":
        return Not(operand(value, at))
    if not isinstance(value, list) or not value:
        raise DefinitionError(at, f"found {shown(value)}; expected a list of conditions")
    operands = tuple(operand(item, f"{at}[{i}]") for i, item in enumerate(value))
    return And(operands) if operator == "and" else Or(operands)


def _all(conditions: tuple[Condition, ...], path: str) -> Condition:
    if not conditions:
        raise DefinitionError(path, "is empty; expected a condition such as {plan: {exact: gold}}")
    return conditions[0] if len(conditions) == 1 else And(conditions)


def _comparisons(name: str, value: object, path: str) -> Condition:
    matches = mapping(value, path, expected="of a match and its value, such as {exact: gold}")
    for match in matches:
        if match not in _MATCHES:
            raise DefinitionError(join(path, match), f"is no match{hint(match, _MATCHES)}")
    return _all(tuple(_comparison(name, m, v, join(path, m)) for m, v in matches.items()), path)


def _comparison(name: str, match: str, value: object, path: str) -> Comparison:
    expected = _fault(match, value)
    if expected:
        raise DefinitionError(path, f"found {shown(value)}; expected {expected}")
    if match == "qualified":
        if name != _SEGMENTS:
            raise DefinitionError(path, f"`qualified` asks only about `{_SEGMENTS}`")
        return Comparison(name, value, _SEGMENT, match)
    return Comparison(name, None if match == "exists" else value, _ATTRIBUTE, match)


def _fault(match: str, value: object) -> str | None:
    """What ``value`` should have been, if it is not."""
    if match == "exists":
        fits = value is None or value is True
        return None if fits else "true; for the opposite use {not: …}"
    if match == "exact":
        fits = isinstance(value, str | bool) or is_number(value)
        return None if fits else "text, true, false or a number up to 2^53"
    if match in _NUMERIC:
        return None if is_number(value) else "a number up to 2^53"
    if not isinstance(value, str):
        return "text (in quotes, if it looks like something else)"
    if match in _SEMVER and not _VERSION.match(value):
        return "a version such as 2.1.0 or 2.1.0-beta"
    return None


def audience_value(condition: Condition) -> object:
    """The tree as a definition file writes it; of references, the keys."""
    if isinstance(condition, AudienceRef):
        return condition.audience_id
    if isinstance(condition, Comparison):
        value = True if condition.match == "exists" else condition.value
        return {str(condition.name): {str(condition.match): value}}
    if isinstance(condition, Not):
        return {"not": audience_value(condition.operand) if condition.operand else None}
    if isinstance(condition, Malformed):  # only datafiles have them
        return condition.value
    operator = "and" if isinstance(condition, And) else "or"
    return {operator: [audience_value(operand) for operand in condition.operands]}
