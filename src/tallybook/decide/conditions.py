"""Is this visitor in this rule's audience? A tree of conditions, answered with three values.

Operands are evaluated left to right and no further than needed. An answer that stays unknown keeps
the visitor out.

A tree is turned into a function once, the first time it is asked: what follows from the conditions
alone, such as which match they want and whether their value suits it, is then settled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import force_setattr

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
from tallybook.model.project import Audience, Experiment, Project
from tallybook.model.reason import WARNING, ReasonKind, Trace

_AUDIENCES_KEPT: Final = 1_024  # one check for all the rules that ask for the same audience
_TYPES: Final = frozenset({"custom_attribute", "third_party_dimension"})
_RESULTS: Final[Mapping[bool | None, str]] = {True: "TRUE", False: "FALSE", None: "UNKNOWN"}


class Asked(Struct, gc=False):
    """Who is asked about, and where the audiences stand, for one walk through the rules.

    ``answers`` keeps, for further walks, what audiences answered with nothing to note.
    """

    project: Project
    visitor: Visitor
    trace: Trace
    memory: Memory = NO_MEMORY
    answers: dict[str, bool | None] | None = None

    def namesake_of(self, experiment: Experiment) -> Experiment:
        """The experiment whose variations are meant where one is written down by key or by id.

        It is found by the experiment's key: of several experiments with one key, all use the last
        one's variations, as the other SDKs do.
        """
        return self.project.experiment_by_key.get(experiment.key, experiment)


Check = Callable[[Asked], bool | None]


def is_in_audience(rule: Experiment, asked: Asked, delivery: str | None = None) -> bool:
    """True when the visitor may take part in ``rule``.

    Reasons call it an experiment, or the delivery rule ``delivery`` where that is given.
    """
    trace = asked.trace
    if trace.level >= WARNING:
        return (rule.audience_check or _prepared_for(rule))(asked) is True
    what, name = ("delivery rule", delivery) if delivery else ("experiment", rule.key)
    shown = rule.expression if rule.expression is not None else []
    trace.note(ReasonKind.AUDIENCE_CHECKING, what=what, name=name, expression=shown)
    is_in = (rule.audience_check or _prepared_for(rule))(asked) is True
    trace.note(ReasonKind.AUDIENCE_CHECKED, what=what, name=name, result=_RESULTS[is_in])
    return is_in


def evaluate(condition: Condition, asked: Asked) -> bool | None:
    """True, false, or ``None`` where nothing can be known."""
    return _check_of(condition)(asked)


def _prepared_for(rule: Experiment) -> Check:
    check = _everyone if rule.audience is None else _check_of(rule.audience)
    force_setattr(rule, "audience_check", check)
    return check


def _prepared(audience: Audience) -> Check:
    check = _unknown if audience.tree is None else _check_of(audience.tree)
    force_setattr(audience, "check", check)
    return check


def _check_of(condition: Condition) -> Check:
    return _CHECKS[type(condition)](condition)


def _everyone(_: Asked) -> bool:
    return True


def _unknown(_: Asked) -> None:
    return None


def _and(condition: And) -> Check:
    operands = [_check_of(operand) for operand in condition.operands]

    def check(asked: Asked) -> bool | None:
        result: bool | None = True
        for operand in operands:
            answer = operand(asked)
            if answer is False:
                return False
            if answer is None:
                result = None
        return result

    return check


def _or(condition: Or) -> Check:
    operands = [_check_of(operand) for operand in condition.operands]

    def check(asked: Asked) -> bool | None:
        result: bool | None = False
        for operand in operands:
            answer = operand(asked)
            if answer is True:
                return True
            if answer is None:
                result = None
        return result

    return check


def _not(condition: Not) -> Check:
    if condition.operand is None:
        return _unknown
    operand = _check_of(condition.operand)

    def check(asked: Asked) -> bool | None:
        answer = operand(asked)
        return None if answer is None else not answer

    return check


def _audience(condition: AudienceRef) -> Check:
    return _check_of_audience(condition.audience_id)


@lru_cache(_AUDIENCES_KEPT)
def _check_of_audience(audience_id: str) -> Check:
    def check(asked: Asked) -> bool | None:
        answers = asked.answers
        if answers is not None and audience_id in answers:
            return answers[audience_id]
        audience = asked.project.audience_by_id.get(audience_id)
        if audience is None:
            asked.trace.note(ReasonKind.AUDIENCE_UNKNOWN, audience=audience_id)
            return None
        if asked.trace.level < WARNING:
            return _explained(audience, asked)
        answer = (audience.check or _prepared(audience))(asked)
        if answers is not None and asked.trace.is_empty:
            answers[audience_id] = answer
        return answer

    return check


def _explained(audience: Audience, asked: Asked) -> bool | None:
    note, shown = asked.trace.note, audience.conditions
    note(ReasonKind.AUDIENCE_STARTED, audience=audience.id, conditions=shown)
    answer = (audience.check or _prepared(audience))(asked)
    note(ReasonKind.AUDIENCE_ANSWERED, audience=audience.id, result=_RESULTS[answer])
    return answer


def _malformed(condition: Malformed) -> Check:
    return _noted(ReasonKind.CONDITION_MALFORMED, value=condition.value)


def _comparison(condition: Comparison) -> Check:
    name = condition.name
    if condition.type not in _TYPES:
        return _noted(ReasonKind.CONDITION_TYPE_UNKNOWN, attribute=name, type=condition.type)
    match = "exact" if condition.match is None else condition.match
    matcher = MATCHERS.get(match)
    if matcher is None:
        return _noted(ReasonKind.MATCH_UNKNOWN, attribute=name, match=match)
    found = matcher(condition)
    test = found if callable(found) else lambda _: found

    def check(asked: Asked) -> bool | None:
        answer = test(asked.visitor)
        if answer is True or answer is False:
            return answer
        if asked.trace.keeps(answer):
            _note_unknown(answer, condition, match, asked)
        return None

    return check


def _noted(kind: ReasonKind, **values: object) -> Check:
    def check(asked: Asked) -> None:
        asked.trace.note(kind, **values)

    return check


def _note_unknown(kind: ReasonKind, condition: Comparison, match: str, asked: Asked) -> None:
    asked.trace.note(
        kind,
        attribute=condition.name,
        match=match,
        expected=condition.value,
        got=type(value_for(condition, asked.visitor)).__name__,
    )


_CHECKS: Final[Mapping[type, Callable[[Any], Check]]] = {
    And: _and,
    Or: _or,
    Not: _not,
    AudienceRef: _audience,
    Comparison: _comparison,
    Malformed: _malformed,
}
