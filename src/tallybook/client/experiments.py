"""Experiments asked for by their own key, and variations forced in them."""

from __future__ import annotations

from typing import Final

from tallybook.client.arguments import are_attributes, is_key, is_user_id
from tallybook.client.decision_service import DecisionService
from tallybook.client.impressions import Shown
from tallybook.client.revision import Revision
from tallybook.client.user_state import state_of
from tallybook.model.decision import DecisionSource, Verdict
from tallybook.model.project import Experiment, Variation
from tallybook.model.text import excerpt, plain

_AB_TEST: Final = "ab-test"  # the types of decision, as listeners know them
_FEATURE_TEST: Final = "feature-test"


class Experiments:
    """Answers for one client's experiments. Whatever is wrong is logged and answered ``None``."""

    def __init__(self, service: DecisionService) -> None:
        self._service = service
        self._diagnostics = service.diagnostics
        self._logger = service.logger

    def activate(self, experiment_key: object, user_id: object, attributes: object) -> str | None:
        """The variation's key, after an impression of it was sent."""
        revision = self._revision("activate", experiment_key, user_id)
        found = self._decide(revision, experiment_key, user_id, attributes)
        if revision is None:
            return None
        if found is None:
            message = "User %s is not activated in experiment %s."
            self._logger.info(message, excerpt(user_id), excerpt(experiment_key))
            return None
        experiment, variation = found
        # Shown is what has the key that is answered: everyone else's variation, which a feature
        # rollout has besides its own, may have the same.
        shown = experiment.variation_by_key.get(variation.key, variation)
        verdict = Verdict(experiment, shown, DecisionSource.EXPERIMENT)
        state, activated = state_of(user_id, attributes), Shown(None, verdict, enabled=True)
        self._service.impressions.send(revision, state, activated, attributes)
        return variation.key

    def get_variation(
        self, experiment_key: object, user_id: object, attributes: object
    ) -> str | None:
        """The variation's key; no impression is sent."""
        revision = self._revision("get_variation", experiment_key, user_id)
        found = self._decide(revision, experiment_key, user_id, attributes)
        return found[1].key if found else None

    def set_forced(self, experiment_key: object, user_id: object, variation_key: object) -> bool:
        """Force a variation for a user, or with ``None`` none any more; true if that was done."""
        revision = self._revision("set_forced_variation", experiment_key, user_id)
        experiment = self._experiment(revision, experiment_key)
        if revision is None or experiment is None:
            return False
        if variation_key is None:
            self._service.memories.force(plain(user_id), experiment.id, None)
            return True
        if not is_key("variation_key", variation_key, self._diagnostics):
            return False
        variation = experiment.variation_by_key.get(plain(variation_key))
        if variation is None:
            self._unknown("variation", plain(variation_key))
            return False
        self._service.memories.force(plain(user_id), experiment.id, variation.id)
        return True

    def get_forced(self, experiment_key: object, user_id: object) -> str | None:
        """The key of the variation that is forced for a user."""
        revision = self._revision("get_forced_variation", experiment_key, user_id)
        forced = self._service.memories.forced_of(plain(user_id)) if revision else None
        if forced is None:
            return None
        experiment = self._experiment(revision, experiment_key)
        variation_id = forced.get(experiment.id) if experiment else None
        if experiment is None or variation_id is None:
            return None
        variation = experiment.variation_by_id.get(variation_id)
        if variation is None:
            self._unknown("variation", variation_id)
        return variation.key if variation else None

    def _revision(self, call: str, experiment_key: object, user_id: object) -> Revision | None:
        if not is_key("experiment_key", experiment_key, self._diagnostics):
            return None
        if not is_user_id(user_id, self._diagnostics):
            return None
        return self._service.revision_for(call)

    def _experiment(self, revision: Revision | None, key: object) -> Experiment | None:
        if revision is None:
            return None
        experiment = revision.project.experiment_by_key.get(plain(key))
        if experiment is None:
            self._unknown("experiment", plain(key))
        return experiment

    def _unknown(self, subject: str, name: str) -> None:
        self._diagnostics.refuse(subject, f"The datafile has no {subject} {excerpt(name)}.")

    def _decide(
        self, revision: Revision | None, key: object, user_id: object, attributes: object
    ) -> tuple[Experiment, Variation] | None:
        experiment = self._experiment(revision, key)
        if revision is None or experiment is None:
            return None
        if not are_attributes(attributes, self._diagnostics):
            return None
        visitor = state_of(user_id, attributes).visitor
        variation = self._service.decide_experiment(revision, visitor, experiment)
        is_of_flag = experiment.id in revision.project.flag_experiment_ids
        self._service.tell_decision(
            _FEATURE_TEST if is_of_flag else _AB_TEST,
            visitor,
            {"experiment_key": key, "variation_key": variation.key if variation else None},
        )
        return (experiment, variation) if variation else None
