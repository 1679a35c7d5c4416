"""Which variation of one experiment a visitor gets, flags and holdouts aside.

What was forced or remembered goes before the audience; whoever is bucketed anew is recorded in the
visitor's profile. In a contextual bandit's experiment a prediction takes the bucket's place.
"""

from __future__ import annotations

from typing import Final

from tallybook.decide.bandits import predicted
from tallybook.decide.bucketing import bucket, bucketing_id_of
from tallybook.decide.conditions import Asked, is_in_audience
from tallybook.model.decision import DecisionSource, Verdict
from tallybook.model.memory import NO_MEMORY
from tallybook.model.project import RUNNING, Experiment, Variation
from tallybook.model.reason import WARNING, ReasonKind

_EXPERIMENT: Final = DecisionSource.FEATURE_TEST  # looking up a member takes as long as two calls


def choose(experiment: Experiment, asked: Asked) -> Verdict | None:
    """What ``experiment`` decides, or ``None``; forced decisions are the flag's affair."""
    trace = asked.trace
    if experiment.status != RUNNING:
        if trace.level < WARNING:
            trace.note(ReasonKind.NOT_RUNNING, experiment=experiment.key)
        return None
    if experiment.allowlist or asked.memory is not NO_MEMORY:
        known = (
            _forced(experiment, asked)
            or _allowlisted(experiment, asked)
            or _stored(experiment, asked)
        )
        if known is not None:
            return Verdict(experiment, known, _EXPERIMENT)
    is_in = is_in_audience(experiment, asked)
    verdict = _chosen_anew(experiment, asked) if is_in else None
    if trace.level < WARNING:
        _note_outcome(experiment, verdict, asked, is_in=is_in)
    return verdict


def _forced(experiment: Experiment, asked: Asked) -> Variation | None:
    if not asked.memory.forced:
        return None
    named = asked.namesake_of(experiment)
    variation_id = asked.memory.forced.get(named.id)
    if variation_id is None:
        return None
    variation = named.variation_by_id.get(variation_id)
    if variation is None:
        asked.trace.note(
            ReasonKind.FORCED_VARIATION_UNKNOWN, experiment=experiment.key, variation=variation_id
        )
        return None
    asked.trace.note(
        ReasonKind.FORCED_VARIATION,
        user=asked.visitor.user_id,
        variation=variation.key,
        experiment=experiment.key,
    )
    return variation


def _allowlisted(experiment: Experiment, asked: Asked) -> Variation | None:
    user_id = asked.visitor.user_id
    wanted = experiment.allowlist.get(user_id)
    if wanted is None:
        return None
    variation = asked.namesake_of(experiment).variation_by_key.get(wanted)
    if variation is None:
        asked.trace.note(
            ReasonKind.ALLOWLISTED_UNKNOWN, experiment=experiment.key, variation=wanted
        )
        return None
    asked.trace.note(ReasonKind.ALLOWLISTED, user=user_id, variation=variation.key)
    return variation


def _stored(experiment: Experiment, asked: Asked) -> Variation | None:
    profile = asked.memory.profile
    variation_id = profile.variation_id_in(experiment.id) if profile else None
    if not variation_id:
        return None
    said = {"experiment": experiment.key, "user": asked.visitor.user_id}
    variation = asked.namesake_of(experiment).variation_by_id.get(variation_id)
    if variation is None:
        asked.trace.note(ReasonKind.STORED_VARIATION_UNKNOWN, variation=variation_id, **said)
        return None
    asked.trace.note(ReasonKind.STORED_VARIATION, variation=variation.key, **said)
    return variation


def _chosen_anew(experiment: Experiment, asked: Asked) -> Verdict | None:
    visitor, trace = asked.visitor, asked.trace
    bucketing_id = bucketing_id_of(visitor, trace)
    if experiment.cmab is not None:
        return predicted(experiment, bucketing_id, asked)
    variation = bucket(experiment, visitor.user_id, bucketing_id, trace)
    if variation is None:
        return None
    if asked.memory.profile is not None:
        asked.memory.profile.recorded[experiment.id] = variation.id
    return Verdict(experiment, variation, _EXPERIMENT)


def _note_outcome(
    experiment: Experiment, verdict: Verdict | None, asked: Asked, *, is_in: bool
) -> None:
    note, said = asked.trace.note, {"user": asked.visitor.user_id, "experiment": experiment.key}
    if verdict is None:
        note(ReasonKind.IN_NO_VARIATION if is_in else ReasonKind.CONDITIONS_NOT_MET, **said)
    elif verdict.variation is not None:
        note(ReasonKind.IN_VARIATION, variation=verdict.variation.key, **said)
