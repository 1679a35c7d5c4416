"""The matches a condition may ask for, as one table: a line a match.

A match is shown the condition once, and gives the test that visitors are put to, or the answer at
once where the condition alone tells. An answer is true, false, or why it cannot be known; none of
them raises for odd data.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from numbers import Integral
from typing import Final, TypeGuard

from tallybook.decide.versions import order_of, version_of
from tallybook.model.condition import Comparison
from tallybook.model.decision import Visitor
from tallybook.model.reason import ReasonKind
from tallybook.model.text import is_text, plain

Answer = bool | ReasonKind  # a kind says why the answer is unknown
Test = Callable[[Visitor], Answer]
Matcher = Callable[[Comparison], Test | Answer]
_ValueTest = Callable[[object], Answer]  # of an attribute's value, once there is one

_LARGEST_NUMBER = 2**53  # beyond it a double no longer holds every integer
_VERSIONS_KEPT: Final = 64  # a condition: at any time, most users have one of a few
_LONGEST_VERSION_KEPT: Final = 64  # characters

_UNUSABLE: Final = ReasonKind.CONDITION_VALUE_UNUSABLE
_UNEXPECTED: Final = ReasonKind.ATTRIBUTE_TYPE_UNEXPECTED


def value_for(condition: Comparison, visitor: Visitor) -> object:
    """The visitor's value of the attribute that ``condition`` names; ``None`` without one."""
    return None if condition.name is None else visitor.attributes.get(condition.name)


def _exact(expected: object) -> _ValueTest:
    if isinstance(expected, str):
        return _equals_text(expected)
    if isinstance(expected, bool):
        return lambda actual: actual is expected if isinstance(actual, bool) else _UNEXPECTED
    return _equals(expected)


def _equals_text(expected: str) -> _ValueTest:
    def test(actual: object) -> Answer:
        if type(actual) is str:
            return actual == expected
        # A class derived from text may answer with something that is no boolean.
        return plain(actual) == expected if is_text(actual) else _UNEXPECTED

    return test


def _substring(expected: object) -> _ValueTest:
    if not isinstance(expected, str):
        return _unusable
    return lambda actual: expected in actual if isinstance(actual, str) else _UNEXPECTED


def _exists(condition: Comparison) -> Test:
    return lambda visitor: value_for(condition, visitor) is not None


def _qualified(condition: Comparison) -> Test | Answer:
    segment = condition.value
    if not isinstance(segment, str):
        return _UNUSABLE
    return lambda visitor: is_in_segment(visitor, segment)


def is_in_segment(visitor: Visitor, segment: str) -> bool:
    """True when the visitor is known to be in that segment."""
    segments = visitor.segments or ()
    try:
        return segment in segments
    except Exception:  # noqa: BLE001 - of what is no text among them, the code that compares
        return any(type(one) is str and one == segment for one in segments)


def _unusable(_: object) -> Answer:
    return _UNUSABLE


def _is_number(value: object) -> TypeGuard[float]:
    if type(value) is int or type(value) is float:  # spares the slow question below
        return True
    return isinstance(value, (Integral, float)) and not isinstance(value, bool)


def _is_finite(number: float) -> bool:
    # NaN fails the comparison.
    return abs(number) <= _LARGEST_NUMBER


def _number(holds: Callable[[float, float], bool]) -> Callable[[object], _ValueTest]:
    def test_against(expected: object) -> _ValueTest:
        if not _is_number(expected) or not _is_finite(expected):
            return _unusable

        def test(actual: object) -> Answer:
            if not _is_number(actual):
                return _UNEXPECTED
            if not _is_finite(actual):
                return ReasonKind.ATTRIBUTE_OUT_OF_RANGE
            return bool(holds(actual, expected))  # other numbers may answer with their own booleans

        return test

    return test_against


def _version(holds: Callable[[int, int], bool]) -> Callable[[object], _ValueTest]:
    def test_against(expected: object) -> _ValueTest:
        if not isinstance(expected, str):
            return _unusable
        target = version_of(expected)

        def compare(actual: str) -> Answer:
            order = order_of(version_of(actual), target)
            return ReasonKind.VERSION_INVALID if order is None else holds(order, 0)

        known = lru_cache(_VERSIONS_KEPT)(compare)

        def test(actual: object) -> Answer:
            if not isinstance(actual, str):
                return _UNEXPECTED
            return known(actual) if len(actual) <= _LONGEST_VERSION_KEPT else compare(actual)

        return test

    return test_against


def _on_value(test_against: Callable[[object], _ValueTest]) -> Matcher:
    def match(condition: Comparison) -> Test | Answer:
        name, test = condition.name, test_against(condition.value)
        if name is None:
            return ReasonKind.ATTRIBUTE_ABSENT

        def test_visitor(visitor: Visitor) -> Answer:
            actual = visitor.attributes.get(name)
            if actual is not None:
                try:
                    return test(actual)
                except Exception:  # noqa: BLE001 - the value's own code, which may raise anything
                    return _UNEXPECTED
            is_null = name in visitor.attributes
            return ReasonKind.ATTRIBUTE_NULL if is_null else ReasonKind.ATTRIBUTE_ABSENT

        return test_visitor

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
