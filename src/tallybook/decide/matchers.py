"""The matches a condition may ask for, as one table: a line a match.

A match answers true or false, or says why it cannot know. None of them raises for odd data.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Final, TypeGuard

from tallybook.decide.versions import compare_versions
from tallybook.model.condition import Comparison
from tallybook.model.decision import Visitor
from tallybook.model.reason import ReasonKind

Answer = bool | ReasonKind  # a kind says why the answer is unknown
Matcher = Callable[[Comparison, Visitor], Answer]

_LARGEST_NUMBER = 2**53  # beyond it a double no longer holds every integer


_UNUSABLE: Final = ReasonKind.CONDITION_VALUE_UNUSABLE
_UNEXPECTED: Final = ReasonKind.ATTRIBUTE_TYPE_UNEXPECTED


def value_for(condition: Comparison, visitor: Visitor) -> object:
    """The visitor's value of the attribute that ``condition`` names; ``None`` without one."""
    return None if condition.name is None else visitor.attributes.get(condition.name)


def _exact(actual: object, expected: object) -> Answer:
    if isinstance(expected, str):
        return actual == expected if isinstance(actual, str) else _UNEXPECTED
    if isinstance(expected, bool):
        return actual is expected if isinstance(actual, bool) else _UNEXPECTED
    return _equals(actual, expected)


def _substring(actual: object, expected: object) -> Answer:
    if not isinstance(expected, str):
        return _UNUSABLE
    return expected in actual if isinstance(actual, str) else _UNEXPECTED


def _exists(condition: Comparison, visitor: Visitor) -> Answer:
    return value_for(condition, visitor) is not None


def _qualified(condition: Comparison, visitor: Visitor) -> Answer:
    if not isinstance(condition.value, str):
        return _UNUSABLE
    return visitor.segments is not None and condition.value in visitor.segments


def _is_number(value: object) -> TypeGuard[float]:
    if type(value) is int or type(value) is float:  # spares the slow question below
        return True
    return isinstance(value, (Integral, float)) and not isinstance(value, bool)


def _is_finite(number: float) -> bool:
    # NaN fails the comparison.
    return abs(number) <= _LARGEST_NUMBER


def _number(holds: Callable[[float, float], bool]) -> Callable[[object, object], Answer]:
    def compare(actual: object, expected: object) -> Answer:
        if not _is_number(expected) or not _is_finite(expected):
            return _UNUSABLE
        if not _is_number(actual):
            return _UNEXPECTED
        if not _is_finite(actual):
            return ReasonKind.ATTRIBUTE_OUT_OF_RANGE
        return bool(holds(actual, expected))  # other numbers may answer with their own booleans

    return compare


def _version(holds: Callable[[int, int], bool]) -> Callable[[object, object], Answer]:
    def compare(actual: object, expected: object) -> Answer:
        if not isinstance(expected, str):
            return _UNUSABLE
        if not isinstance(actual, str):
            return _UNEXPECTED
        order = compare_versions(actual, expected)
        return ReasonKind.VERSION_INVALID if order is None else holds(order, 0)

    return compare


def _on_value(compare: Callable[[object, object], Answer]) -> Matcher:
    def match(condition: Comparison, visitor: Visitor) -> Answer:
        actual = value_for(condition, visitor)
        if actual is not None:
            return compare(actual, condition.value)
        is_null = condition.name in visitor.attributes
        return ReasonKind.ATTRIBUTE_NULL if is_null else ReasonKind.ATTRIBUTE_ABSENT

    return match


_equals: Final = _number(operator.eq)

MATCHERS: Final[Mapping[str, Matcher]] = {
    "exact": _on_value(_exact),
    "substring": _on_value(_substring),
    "exists": _exists,
    "qualified": _qualified,
    "gt": _on_value(_number(operator.gt)),
    "ge": _on_value(_number(operator.ge)),
    "lt": _on_value(_number(operator.lt)),
    "le": _on_value(_number(operator.le)),
    "semver_eq": _on_value(_version(operator.eq)),
    "semver_gt": _on_value(_version(operator.gt)),
    "semver_ge": _on_value(_version(operator.ge)),
    "semver_lt": _on_value(_version(operator.lt)),
    "semver_le": _on_value(_version(operator.le)),
}
