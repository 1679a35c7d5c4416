"""Is this visitor in this rule's audience? A tree of conditions, answered with three values.

Operands are evaluated left to right and no further than needed. An answer that stays unknown keeps
the visitor out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from tallybook.decide.matchers import MATCHERS, value_for
from tallybook.model.condition import (
    And,
    AudienceRef,
    Comparison,
    Condition,
    Malformed,
    Not,
    Or,
)
from tallybook.model.decision import Visitor
from tallybook.model.memory import NO_MEMORY, Memory
from tallybook.model.project import Experiment, Project
from tallybook.model.reason import ReasonKind, Trace

_TYPES: Final = frozenset({"custom_attribute", "third_party_dimension"})
_RESULTS: Final[Mapping[bool | None, str]] = {True: "TRUE", False: "FALSE", None: "UNKNOWN"}


class Asked(NamedTuple):
    """Who is asked about, and where the audiences stand, for one walk through the rules."""

    project: Project
    visitor: Visitor
    trace: Trace
    memory: Memory = NO_MEMORY


def is_in_audience(rule: Experiment, asked: Asked, *, what: str, name: str) -> bool:
    """True when the visitor may take part in ``rule``; reasons call it ``what`` ``name``."""
    note = asked.trace.note
    shown = rule.expression if rule.expression is not None else []
    note(ReasonKind.AUDIENCE_CHECKING, what=what, name=name, expression=shown)
    is_in = rule.audience is None or evaluate(rule.audience, asked) is True
    note(ReasonKind.AUDIENCE_CHECKED, what=what, name=name, result=_RESULTS[is_in])
    return is_in


def evaluate(condition: Condition, asked: Asked) -> bool | None:
    """True, false, or ``None`` where nothing can be known."""
    return _EVALUATORS[type(condition)](condition, asked)


def _and(condition: And, asked: Asked) -> bool | None:
    result: bool | None = True
    for operand in condition.operands:
        answer = _EVALUATORS[type(operand)](operand, asked)
        if answer is False:
            return False
        if answer is None:
            result = None
    return result


def _or(condition: Or, asked: Asked) -> bool | None:
    result: bool | None = False
    for operand in condition.operands:
        answer = _EVALUATORS[type(operand)](operand, asked)
        if answer is True:
            return True
        if answer is None:
            result = None
    return result


def _not(condition: Not, asked: Asked) -> bool | None:
    if condition.operand is None:
        return None
    answer = evaluate(condition.operand, asked)
    return None if answer is None else not answer


def _audience(condition: AudienceRef, asked: Asked) -> bool | None:
    note = asked.trace.note
    audience = asked.project.audience_by_id.get(condition.audience_id)
    if audience is None:
        note(ReasonKind.AUDIENCE_UNKNOWN, audience=condition.audience_id)
        return None
    note(ReasonKind.AUDIENCE_STARTED, audience=audience.id, conditions=audience.conditions)
    answer = None if audience.tree is None else evaluate(audience.tree, asked)
    note(ReasonKind.AUDIENCE_ANSWERED, audience=audience.id, result=_RESULTS[answer])
    return answer


def _malformed(condition: Malformed, asked: Asked) -> None:
    asked.trace.note(ReasonKind.CONDITION_MALFORMED, value=condition.value)


def _comparison(condition: Comparison, asked: Asked) -> bool | None:
    if condition.type not in _TYPES:
        asked.trace.note(
            ReasonKind.CONDITION_TYPE_UNKNOWN, attribute=condition.name, type=condition.type
        )
        return None
    match = "exact" if condition.match is None else condition.match
    matcher = MATCHERS.get(match)
    if matcher is None:
        asked.trace.note(ReasonKind.MATCH_UNKNOWN, attribute=condition.name, match=match)
        return None
    answer = matcher(condition, asked.visitor)
    if isinstance(answer, bool):
        return answer
    asked.trace.note(
        answer,
        attribute=condition.name,
        match=match,
        expected=condition.value,
        got=type(value_for(condition, asked.visitor)).__name__,
    )
    return None


_EVALUATORS: Final[Mapping[type, Callable[[Any, Asked], bool | None]]] = {
    And: _and,
    Or: _or,
    Not: _not,
    AudienceRef: _audience,
    Comparison: _comparison,
    Malformed: _malformed,
}
