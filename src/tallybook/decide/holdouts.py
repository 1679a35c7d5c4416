"""Who is held back, from a flag or from one of its rules."""

from __future__ import annotations

from collections.abc import Iterable

from tallybook.decide.bucketing import bucket, bucketing_id_of
from tallybook.decide.conditions import Asked, is_in_audience
from tallybook.model.decision import DecisionSource, Verdict
from tallybook.model.project import Experiment, Flag, Holdout, Variation
from tallybook.model.reason import WARNING, ReasonKind


def holdout_of_flag(flag: Flag, asked: Asked) -> tuple[Holdout, Verdict] | None:
    """The first global holdout that holds the visitor, and its verdict."""
    for holdout, verdict in _holding(asked.project.running_holdouts, asked):
        said = {"holdout": holdout.rule.key, "user": asked.visitor.user_id}
        asked.trace.note(ReasonKind.HELD_FROM_FLAG, flag=flag.key, **said)
        return holdout, verdict
    return None


def held_from_rule(rule: Experiment, asked: Asked) -> Verdict | None:
    """The verdict of the first local holdout that holds the visitor back from ``rule``."""
    by_rule = asked.project.running_holdouts_by_rule
    for holdout, verdict in _holding(by_rule.get(rule.id, ()), asked) if by_rule else ():
        said = {"holdout": holdout.rule.key, "user": asked.visitor.user_id}
        asked.trace.note(ReasonKind.HELD_FROM_RULE, rule=rule.key, **said)
        return verdict
    return None


def _holding(holdouts: Iterable[Holdout], asked: Asked) -> Iterable[tuple[Holdout, Verdict]]:
    for holdout in holdouts:
        variation = _variation_in(holdout.rule, asked)
        if variation is not None:
            yield holdout, Verdict(holdout.rule, variation, DecisionSource.HOLDOUT)


def _variation_in(rule: Experiment, asked: Asked) -> Variation | None:
    bucketing_id = bucketing_id_of(asked.visitor, asked.trace)
    is_met = is_in_audience(rule, asked)
    variation = None
    if is_met:
        variation = bucket(rule, asked.visitor.user_id, bucketing_id, asked.trace)
    if asked.trace.level < WARNING:
        _note_outcome(rule, asked, variation, is_met=is_met)
    return variation


def _note_outcome(
    rule: Experiment, asked: Asked, variation: Variation | None, *, is_met: bool
) -> None:
    note, said = asked.trace.note, {"holdout": rule.key, "user": asked.visitor.user_id}
    if variation is not None:
        note(ReasonKind.HELD_IN_VARIATION, variation=variation.key, **said)
    else:
        note(ReasonKind.NOT_HELD if is_met else ReasonKind.HOLDOUT_CONDITIONS_NOT_MET, **said)
