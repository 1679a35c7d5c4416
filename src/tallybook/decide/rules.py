"""Verb: walk through a flag's rules until one of them decides.

First what was forced for the flag, then the global holdouts, its experiments, its rollout. Each
rule may have been forced, or be held back by holdouts of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tallybook.decide.bucketing import bucket, bucketing_id_of
from tallybook.decide.conditions import Asked, is_in_audience
from tallybook.decide.experiments import choose
from tallybook.decide.holdouts import held_from_rule, holdout_of_flag
from tallybook.model.decision import DecisionSource, Verdict, Visitor
from tallybook.model.memory import NO_MEMORY, Memory
from tallybook.model.project import Experiment, Flag, Project, Variation
from tallybook.model.reason import ReasonKind, Trace

EVERYONE_ELSE: Final = "Everyone Else"
TARGETED_DELIVERY: Final = "td"  # the type of an experiment rule that some holdouts spare


def decide_flag(
    project: Project, flag: Flag, visitor: Visitor, trace: Trace, memory: Memory = NO_MEMORY
) -> Verdict:
    """The rule and variation of ``flag`` for ``visitor``; steps taken are noted in ``trace``.

    What is to be kept for the next time is recorded in the profile of ``memory``. Never raises for
    data: what cannot be read, compared or found is noted and counts as unknown.
    """
    asked = Asked(project, visitor, trace, memory)
    forced = _forced_for_flag(flag, asked)
    if forced is not None:
        return forced
    held = holdout_of_flag(flag, asked) if project.running_holdouts else None
    if held is None:
        return _by_experiments(flag, flag.experiments, asked) or _by_rollout(flag, asked)
    holdout, verdict = held
    if not holdout.spares_deliveries:
        return verdict
    trace.note(ReasonKind.HOLDOUT_SPARES_DELIVERIES, holdout=holdout.rule.key)
    spared = [e for e in flag.experiments if e.type == TARGETED_DELIVERY]
    decided = _by_experiments(flag, spared, asked)
    if decided is None:
        trace.note(ReasonKind.DELIVERIES_NEXT, flag=flag.key, holdout=holdout.rule.key)
        decided = _by_rollout(flag, asked)
    return replace(decided, spared_by=verdict)


def decide_experiment(
    project: Project,
    experiment: Experiment,
    visitor: Visitor,
    trace: Trace,
    memory: Memory = NO_MEMORY,
) -> Variation | None:
    """The variation of one experiment for ``visitor``, forced decisions and holdouts aside."""
    return choose(experiment, Asked(project, visitor, trace, memory))


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
    return Verdict(rule=None, variation=variation, source=DecisionSource.FEATURE_TEST)


def _by_experiments(flag: Flag, experiments: Sequence[Experiment], asked: Asked) -> Verdict | None:
    for experiment in experiments:
        variation = _forced_for_rule(flag, experiment, asked)
        if variation is None:
            held = held_from_rule(experiment, asked)
            if held is not None:
                return held
            variation = choose(experiment, asked)
        if variation is not None:
            return Verdict(experiment, variation, DecisionSource.FEATURE_TEST)
    return None


def _by_rollout(flag: Flag, asked: Asked) -> Verdict:
    verdict = _deliver(flag, asked)
    kind = ReasonKind.ROLLOUT_BUCKETED if verdict else ReasonKind.ROLLOUT_NOT_BUCKETED
    asked.trace.note(kind, flag=flag.key, user=asked.visitor.user_id)
    return verdict or Verdict(rule=None, variation=None, source=DecisionSource.ROLLOUT)


def _forced_for_rule(flag: Flag, rule: Experiment, asked: Asked) -> Variation | None:
    if not asked.visitor.forced:
        return None
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
    *targeted, everyone_else = rollout.rules
    return _by_targeting(flag, targeted, asked) or _by_everyone_else(flag, everyone_else, asked)


def _by_targeting(flag: Flag, rules: Sequence[Experiment], asked: Asked) -> Verdict | None:
    for number, rule in enumerate(rules, 1):
        forced = _forced_for_rule(flag, rule, asked)
        if forced is not None:
            return Verdict(rule, forced, DecisionSource.ROLLOUT)
        held = held_from_rule(rule, asked)
        if held is not None:
            return held
        # Whom the first rule that is met does not bucket goes straight to everyone else.
        label = str(number)
        bucketing_id = bucketing_id_of(asked.visitor, asked.trace)
        if _meets(rule, label, asked):
            verdict = _bucketed_by(rule, label, bucketing_id, asked)
            if verdict is None:
                asked.trace.note(
                    ReasonKind.RULE_NOT_BUCKETED, user=asked.visitor.user_id, rule=label
                )
            return verdict
    return None


def _by_everyone_else(flag: Flag, rule: Experiment, asked: Asked) -> Verdict | None:
    forced = _forced_for_rule(flag, rule, asked)
    if forced is not None:
        return Verdict(rule, forced, DecisionSource.ROLLOUT)
    held = held_from_rule(rule, asked)
    if held is not None:
        return held
    bucketing_id = bucketing_id_of(asked.visitor, asked.trace)
    if not _meets(rule, EVERYONE_ELSE, asked):
        return None
    return _bucketed_by(rule, EVERYONE_ELSE, bucketing_id, asked)


def _meets(rule: Experiment, label: str, asked: Asked) -> bool:
    is_met = is_in_audience(rule, asked, what="delivery rule", name=label)
    kind = ReasonKind.RULE_CONDITIONS_MET if is_met else ReasonKind.RULE_CONDITIONS_NOT_MET
    asked.trace.note(kind, user=asked.visitor.user_id, rule=label)
    return is_met


def _bucketed_by(rule: Experiment, label: str, bucketing_id: str, asked: Asked) -> Verdict | None:
    user_id = asked.visitor.user_id
    variation = bucket(rule, user_id, bucketing_id, asked.trace)
    if variation is None:
        return None
    asked.trace.note(ReasonKind.RULE_BUCKETED, user=user_id, rule=label)
    return Verdict(rule, variation, DecisionSource.ROLLOUT)
