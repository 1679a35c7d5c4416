"""Which variation of one experiment a visitor gets, flags and holdouts aside.

What was forced or remembered goes before the audience; whoever is bucketed anew is recorded in the
visitor's profile.
"""

from __future__ import annotations

from tallybook.decide.bucketing import bucket, bucketing_id_of
from tallybook.decide.conditions import Asked, is_in_audience
from tallybook.model.project import RUNNING, Experiment, Variation
from tallybook.model.reason import ReasonKind


def choose(experiment: Experiment, asked: Asked) -> Variation | None:
    """The variation of ``experiment``, or ``None``; forced decisions are the flag's affair."""
    if experiment.status != RUNNING:
        asked.trace.note(ReasonKind.NOT_RUNNING, experiment=experiment.key)
        return None
    return (
        _forced(experiment, asked)
        or _allowlisted(experiment, asked)
        or _stored(experiment, asked)
        or _bucketed(experiment, asked)
    )


def _forced(experiment: Experiment, asked: Asked) -> Variation | None:
    if not asked.memory.forced:
        return None
    named = _namesake(experiment, asked)
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
    variation = _namesake(experiment, asked).variation_by_key.get(wanted)
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
    variation = _namesake(experiment, asked).variation_by_id.get(variation_id)
    if variation is None:
        asked.trace.note(ReasonKind.STORED_VARIATION_UNKNOWN, variation=variation_id, **said)
        return None
    asked.trace.note(ReasonKind.STORED_VARIATION, variation=variation.key, **said)
    return variation


def _namesake(experiment: Experiment, asked: Asked) -> Experiment:
    # What was written down by key or by id is found by the experiment's key: of several experiments
    # with one key, all use the last one's variations, as the other SDKs do.
    return asked.project.experiment_by_key.get(experiment.key, experiment)


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
    if asked.memory.profile is not None:
        asked.memory.profile.recorded[experiment.id] = variation.id
    return variation
