"""Contextual bandits: which variation of an experiment a prediction service gives a visitor.

Their traffic is bucketed as any experiment's, but who is in it is not bucketed further: the service
is asked. Deciding reaches no network: whoever calls brings along how to ask (``Memory.predict``).
"""

from __future__ import annotations

from tallybook.decide.bucketing import is_in_traffic
from tallybook.decide.conditions import Asked
from tallybook.model.decision import DecisionSource, Verdict
from tallybook.model.prediction import NO_SERVICE
from tallybook.model.project import Experiment
from tallybook.model.reason import ReasonKind


def predicted(experiment: Experiment, bucketing_id: str, asked: Asked) -> Verdict | None:
    """What is predicted for a visitor in the bandit's traffic, ``None`` for all others.

    Nothing is recorded: the next prediction may be another. A failed one is a verdict as well, one
    that is an error; one of a variation that is not there is none.
    """
    trace, user_id, key = asked.trace, asked.visitor.user_id, experiment.key
    if not is_in_traffic(experiment, user_id, bucketing_id, trace):
        trace.note(ReasonKind.CMAB_NOT_ALLOCATED, user=user_id, experiment=key)
        trace.note(ReasonKind.CMAB_NOT_STORED, experiment=key)
        return None
    predict = asked.memory.predict
    prediction = predict(experiment, asked.visitor) if predict else NO_SERVICE
    if prediction.variation_id is None:
        kind = ReasonKind.CMAB_PENDING if prediction.is_pending else ReasonKind.CMAB_FAILED
        trace.note(kind, experiment=key, cause=prediction.cause)
        return Verdict(experiment, None, DecisionSource.FEATURE_TEST, prediction=prediction)
    trace.repeat(prediction.steps)
    trace.note(ReasonKind.CMAB_NOT_STORED, experiment=key)
    known = asked.namesake_of(experiment).variation_by_id
    variation = known.get(prediction.variation_id)
    if variation is None:
        wrong = prediction.variation_id
        if wrong:  # a service may also say that there is none for this visitor
            trace.note(ReasonKind.CMAB_VARIATION_UNKNOWN, experiment=key, variation=wrong)
        return None
    return Verdict(experiment, variation, DecisionSource.FEATURE_TEST, prediction=prediction)
