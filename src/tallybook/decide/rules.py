"""Verb: walk through a flag's rules until one of them decides.

First what was forced for the flag, then the global holdouts, its experiments, its rollout. Each
rule may have been forced, or be held back by holdouts of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from tallybook.decide.bucketing import bucket, bucketing_id_of
from tallybook.decide.conditions import Asked, is_in_audience
from tallybook.decide.experiments import choose
from tallybook.decide.holdouts import held_from_rule, holdout_of_flag
from tallybook.model.decision import DecisionSource, Verdict, Visitor
from tallybook.model.memory import NO_MEMORY, Memory
from tallybook.model.project import Experiment, Flag, Holdout, Project, Variation
from tallybook.model.reason import DEBUG, WARNING, ReasonKind, Trace

EVERYONE_ELSE: Final = "Everyone Else"
TARGETED_DELIVERY: Final = "td"  # the type of an experiment rule that some holdouts spare
_EXPERIMENT: Final = DecisionSource.FEATURE_TEST  # looking up a member takes as long as two calls
_ROLLOUT: Final = DecisionSource.ROLLOUT


def decide_flag(
    project: Project, flag: Flag, visitor: Visitor, trace: Trace, memory: Memory = NO_MEMORY
) -> Verdict:
    """The rule and variation of ``flag`` for ``visitor``; steps taken are noted in ``trace``.

    What is to be kept for the next time is recorded in the profile of ``memory``. Never raises for
    data: what cannot be read, compared or found is noted and counts as unknown.
    """
    return _decided(flag, Asked(project, visitor, trace, memory))


def decide_flags(
    project: Project,
    flags: Iterable[Flag],
    visitor: Visitor,
    memory: Memory = NO_MEMORY,
    *,
    at_least: int = DEBUG,
) -> list[tuple[Flag, Verdict, Trace]]:
    """Each of ``flags`` with what :func:`decide_flag` makes of it, in their order.

    An audience that several flags ask about is evaluated once. Steps are kept from the level
    ``at_least`` on; each flag has a trace of its own.
    """
    flags = tuple(flags)
    answers: dict[str, bool | None] | None = {} if len(flags) > 1 else None
    asked = Asked(project, visitor, Trace(at_least), memory, answers)
    decided: list[tuple[Flag, Verdict, Trace]] = []
    for flag in flags:
        if decided:
            asked.trace = Trace(at_least)
        decided.append((flag, _decided(flag, asked), asked.trace))
    return decided


def decide_experiment(
    project: Project,
    experiment: Experiment,
    visitor: Visitor,
    trace: Trace,
    memory: Memory = NO_MEMORY,
) -> Variation | None:
    """The variation of one experiment for ``visitor``, forced decisions and holdouts aside."""
    verdict = choose(experiment, Asked(project, visitor, trace, memory))
    return verdict.variation if verdict else None


def _decided(flag: Flag, asked: Asked) -> Verdict:
    verdict = _forced_for_flag(flag, asked) if asked.visitor.forced else None
    if verdict is None:
        held = holdout_of_flag(flag, asked) if asked.project.running_holdouts else None
        if held is not None:
            verdict = _held_back(flag, held, asked)
        else:
            verdict = _by_experiments(flag, flag.experiments, asked) or _by_rollout(flag, asked)
    return verdict if verdict.prediction is None else _explained(flag, verdict, asked)


def _held_back(flag: Flag, held: tuple[Holdout, Verdict], asked: Asked) -> Verdict:
    holdout, verdict = held
    if not holdout.spares_deliveries:
        return verdict
    asked.trace.note(ReasonKind.HOLDOUT_SPARES_DELIVERIES, holdout=holdout.rule.key)
    spared = [e for e in flag.experiments if e.type == TARGETED_DELIVERY]
    decided = _by_experiments(flag, spared, asked)
    if decided is None:
        asked.trace.note(ReasonKind.DELIVERIES_NEXT, flag=flag.key, holdout=holdout.rule.key)
        decided = _by_rollout(flag, asked)
    return replace(decided, spared_by=verdict)


def _explained(flag: Flag, verdict: Verdict, asked: Asked) -> Verdict:
    """The verdict, with all of its steps in the trace if it is an error: they are shown unasked."""
    prediction, trace = verdict.prediction, asked.trace
    if prediction is None or not prediction.has_failed or trace.is_full:
        return verdict
    trace.begin_again()
    memory = replace(asked.memory, predict=lambda *_: prediction)
    return _decided(flag, Asked(asked.project, asked.visitor, trace, memory))


def _forced_for_flag(flag: Flag, asked: Asked) -> Verdict | None:
    forced = asked.visitor.forced.get((flag.key, None))
    if forced is None:
        return None
    variation = _variation_of(flag, forced)
    user_id = asked.visitor.user_id
    if variation is None:
        asked.trace.note(ReasonKind.FORCED_FOR_FLAG_UNKNOWN, flag=flag.key, user=user_id)
        return None
    asked.trace.note(
        ReasonKind.FORCED_FOR_FLAG, variation=variation.key, flag=flag.key, user=user_id
    )
    return Verdict(rule=None, variation=variation, source=_EXPERIMENT)


def _by_experiments(flag: Flag, experiments: Sequence[Experiment], asked: Asked) -> Verdict | None:
    for experiment in experiments:
        verdict = _beforehand(flag, experiment, _EXPERIMENT, asked)
        if verdict is None:
            verdict = choose(experiment, asked)
        if verdict is not None:
            return verdict
    return None


def _by_rollout(flag: Flag, asked: Asked) -> Verdict:
    verdict = _deliver(flag, asked)
    if asked.trace.level < WARNING:
        kind = ReasonKind.ROLLOUT_BUCKETED if verdict else ReasonKind.ROLLOUT_NOT_BUCKETED
        asked.trace.note(kind, flag=flag.key, user=asked.visitor.user_id)
    return verdict or Verdict(rule=None, variation=None, source=_ROLLOUT)


def _beforehand(
    flag: Flag, rule: Experiment, source: DecisionSource, asked: Asked
) -> Verdict | None:
    """What goes before a rule: what was forced for it, and the holdouts that hold back from it."""
    if asked.visitor.forced:
        forced = _forced_for_rule(flag, rule, asked)
        if forced is not None:
            return Verdict(rule, forced, source)
    return held_from_rule(rule, asked) if asked.project.running_holdouts_by_rule else None


def _forced_for_rule(flag: Flag, rule: Experiment, asked: Asked) -> Variation | None:
    forced = asked.visitor.forced.get((flag.key, rule.key))
    if forced is None:
        return None
    # Any variation of the flag will do, also one that this rule does not serve.
    variation = _variation_of(flag, forced)
    said = {"flag": flag.key, "rule": rule.key, "user": asked.visitor.user_id}
    if variation is None:
        asked.trace.note(ReasonKind.FORCED_FOR_RULE_UNKNOWN, **said)
        return None
    asked.trace.note(ReasonKind.FORCED_FOR_RULE, variation=variation.key, **said)
    return variation


def _variation_of(flag: Flag, key: str) -> Variation | None:
    return next((variation for variation in flag.variations if variation.key == key), None)


def _deliver(flag: Flag, asked: Asked) -> Verdict | None:
    rollout = flag.rollout
    if rollout is None:
        if flag.rollout_id:
            asked.trace.note(ReasonKind.ROLLOUT_UNKNOWN, flag=flag.key, rollout=flag.rollout_id)
        return None
    if not rollout.rules:
        asked.trace.note(ReasonKind.ROLLOUT_WITHOUT_RULES, rollout=rollout.id)
        return None
    targeted, everyone_else = rollout.rules[:-1], rollout.rules[-1]
    return _by_targeting(flag, targeted, asked) or _by_everyone_else(flag, everyone_else, asked)


def _by_targeting(flag: Flag, rules: Sequence[Experiment], asked: Asked) -> Verdict | None:
    for number, rule in enumerate(rules, 1):
        verdict = _beforehand(flag, rule, _ROLLOUT, asked)
        if verdict is not None:
            return verdict
        # Whom the first rule that is met does not bucket goes straight to everyone else.
        label = str(number)
        bucketing_id = bucketing_id_of(asked.visitor, asked.trace)
        if _meets(rule, label, asked):
            verdict = _bucketed_by(rule, label, bucketing_id, asked)
            if verdict is None and asked.trace.level < WARNING:
                user_id = asked.visitor.user_id
                asked.trace.note(ReasonKind.RULE_NOT_BUCKETED, user=user_id, rule=label)
            return verdict
    return None


def _by_everyone_else(flag: Flag, rule: Experiment, asked: Asked) -> Verdict | None:
    verdict = _beforehand(flag, rule, _ROLLOUT, asked)
    if verdict is not None:
        return verdict
    bucketing_id = bucketing_id_of(asked.visitor, asked.trace)
    if not _meets(rule, EVERYONE_ELSE, asked):
        return None
    return _bucketed_by(rule, EVERYONE_ELSE, bucketing_id, asked)


def _meets(rule: Experiment, label: str, asked: Asked) -> bool:
    is_met = is_in_audience(rule, asked, label)
    if asked.trace.level < WARNING:
        kind = ReasonKind.RULE_CONDITIONS_MET if is_met else ReasonKind.RULE_CONDITIONS_NOT_MET
        asked.trace.note(kind, user=asked.visitor.user_id, rule=label)
    return is_met


def _bucketed_by(rule: Experiment, label: str, bucketing_id: str, asked: Asked) -> Verdict | None:
    user_id, trace = asked.visitor.user_id, asked.trace
    variation = bucket(rule, user_id, bucketing_id, trace)
    if variation is None:
        return None
    if trace.level < WARNING:
        trace.note(ReasonKind.RULE_BUCKETED, user=user_id, rule=label)
    return Verdict(rule, variation, _ROLLOUT)
