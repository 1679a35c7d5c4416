"""Verb: walk through a flag's rules until one of them decides.

The order is a table, ``_STEPS``: what was forced for the flag, its experiments, its rollout. A step
answers with a verdict or passes; a new kind of rule is one function and its line in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tallybook.decide.bucketing import bucket, bucketing_id_of
from tallybook.decide.conditions import Asked, is_in_audience
from tallybook.model.decision import DecisionSource, Verdict, Visitor
from tallybook.model.project import RUNNING, Experiment, Flag, Project, Variation
from tallybook.model.reason import ReasonKind, Trace

EVERYONE_ELSE: Final = "Everyone Else"


def decide_flag(project: Project, flag: Flag, visitor: Visitor, trace: Trace) -> Verdict:
    """The rule and variation of ``flag`` for ``visitor``; steps taken are noted in ``trace``.

    Never raises for data: what cannot be read, compared or found is noted and counts as unknown.
    """
    asked = Asked(project, visitor, trace)
    for step in _STEPS:
        verdict = step(flag, asked)
        if verdict is not None:
            return verdict
    return Verdict(rule=None, variation=None, source=DecisionSource.ROLLOUT)


def decide_experiment(
    project: Project, experiment: Experiment, visitor: Visitor, trace: Trace
) -> Variation | None:
    """The variation of one experiment for ``visitor``, forced decisions aside; ``None`` if none."""
    return _choose(experiment, Asked(project, visitor, trace))


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


def _by_experiments(flag: Flag, asked: Asked) -> Verdict | None:
    for experiment in flag.experiments:
        variation = _forced_for_rule(flag, experiment, asked) or _choose(experiment, asked)
        if variation is not None:
            return Verdict(experiment, variation, DecisionSource.FEATURE_TEST)
    return None


def _by_rollout(flag: Flag, asked: Asked) -> Verdict | None:
    verdict = _deliver(flag, asked)
    kind = ReasonKind.ROLLOUT_BUCKETED if verdict else ReasonKind.ROLLOUT_NOT_BUCKETED
    asked.trace.note(kind, flag=flag.key, user=asked.visitor.user_id)
    return verdict


_STEPS: Final[tuple[Callable[[Flag, Asked], Verdict | None], ...]] = (
    _forced_for_flag,
    _by_experiments,
    _by_rollout,
)


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


def _choose(experiment: Experiment, asked: Asked) -> Variation | None:
    if experiment.status != RUNNING:
        asked.trace.note(ReasonKind.NOT_RUNNING, experiment=experiment.key)
        return None
    return _allowlisted(experiment, asked) or _bucketed(experiment, asked)


def _allowlisted(experiment: Experiment, asked: Asked) -> Variation | None:
    user_id = asked.visitor.user_id
    wanted = experiment.allowlist.get(user_id)
    if wanted is None:
        return None
    # Found by the experiment's key: of several experiments with one key, all use the last one's
    # variations, as the other SDKs do.
    named = asked.project.experiment_by_key.get(experiment.key, experiment)
    variation = named.variation_by_key.get(wanted)
    if variation is None:
        asked.trace.note(
            ReasonKind.ALLOWLISTED_UNKNOWN, experiment=experiment.key, variation=wanted
        )
        return None
    asked.trace.note(ReasonKind.ALLOWLISTED, user=user_id, variation=variation.key)
    return variation


def _bucketed(experiment: Experiment, asked: Asked) -> Variation | None:
    note, user_id = asked.trace.note, asked.visitor.user_id
    if not is_in_audience(experiment, asked, what="experiment", name=experiment.key):
        note(ReasonKind.CONDITIONS_NOT_MET, user=user_id, experiment=experiment.key)
        return None
    bucketing_id = bucketing_id_of(asked.visitor, asked.trace)
    variation = bucket(experiment, user_id, bucketing_id, asked.trace)
    if variation is None:
        note(ReasonKind.IN_NO_VARIATION, user=user_id, experiment=experiment.key)
        return None
    note(
        ReasonKind.IN_VARIATION,
        user=user_id,
        variation=variation.key,
        experiment=experiment.key,
    )
    return variation


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
