"""Predictions for contextual bandits: kept for a while, and otherwise fetched.

What is kept of a user and a rule is good as long as the attributes that the rule looks at are the
same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from hashlib import md5
from typing import Any, Final, Protocol, TypedDict
from uuid import uuid4

from msgspec import Struct

from tallybook.client.errands import Errands
from tallybook.client.turns import Turns
from tallybook.deliver.predictions import FetchedPrediction
from tallybook.model.decision import DecideOption, Visitor
from tallybook.model.memory import Predict
from tallybook.model.prediction import Prediction
from tallybook.model.project import Experiment, Project
from tallybook.model.reason import Reason, ReasonKind
from tallybook.model.text import readable

THREAD_NAME: Final = "tallybook-predictions"

_ON_ITS_WAY: Final = "it was asked for and is not there"
_TOO_MANY: Final = "too many others are asked for, or the client was closed"
_NOT_KEPT: Final = "none may be kept, and the client does not wait for one"

Attributes = Sequence[tuple[str, object]]


class KeptPrediction(TypedDict):
    """What is kept of a prediction; the hash is of the attributes it was made for."""

    attributes_hash: str
    variation_id: str
    cmab_uuid: str


class PredictionCache(Protocol):
    """Where predictions are kept, by text."""

    def lookup(self, key: str) -> Any:
        """The value of a key, ``None`` if there is none."""
        ...

    def save(self, key: str, value: Any) -> object:
        """Keep a value."""
        ...

    def remove(self, key: str) -> object:
        """Forget a key."""
        ...

    def reset(self) -> object:
        """Forget everything."""
        ...


class FetchesPredictions(Protocol):
    """What asks the service; it logs what fails, and raises nothing."""

    def __call__(
        self, rule_id: str, user_id: str, attributes: Attributes, cmab_uuid: str
    ) -> FetchedPrediction:
        """Ask for a prediction, by attributes' ids and values."""
        ...


class _Wanted(Struct, frozen=True):
    """Whose prediction, and for which attributes."""

    rule_id: str
    user_id: str
    attributes: Attributes
    attributes_hash: str

    @property
    def key(self) -> str:
        return f"{len(self.user_id)}-{self.user_id}-{self.rule_id}"


class PredictionService:
    """Predicts for one client. Thread-safe: two threads that want one prediction fetch it once.

    Args:
        fetch: Asks for a prediction.
        cache: Keeps them.
        logger: Told what was tried where a prediction fails in the end.
        errands: Does the fetching, so that nobody waits for it; without, who asks waits.
        new_uuid: Names a prediction; randomly, unless given.
    """

    def __init__(
        self,
        fetch: FetchesPredictions,
        cache: PredictionCache,
        logger: logging.Logger,
        *,
        errands: Errands | None = None,
        new_uuid: Callable[[], object] = uuid4,
    ) -> None:
        self._fetch = fetch
        self._cache = cache
        self._logger = logger
        self._errands = errands
        self._new_uuid = new_uuid
        self._turns = Turns()

    def predictor(self, project: Project, options: Collection[str]) -> Predict:
        """What predicts for the users of a project, as the options of a call want it."""
        return lambda experiment, visitor: self.predict(project, experiment, visitor, options)

    def predict(
        self, project: Project, experiment: Experiment, visitor: Visitor, options: Collection[str]
    ) -> Prediction:
        """A prediction, or why there is none; nothing is raised."""
        steps: list[Reason] = []
        try:
            wanted = _wanted(project, experiment, visitor)
            with self._turns.of(wanted.key) if self._errands is None else nullcontext():
                prediction = self._kept(wanted, options, steps) or self._new(wanted, options, steps)
        except Exception as error:  # noqa: BLE001 - attributes' and caches' own code runs here
            cause = readable(f"{type(error).__name__}: {error}")
            prediction = Prediction(None, cause=cause)
        if prediction.has_failed:
            for step in steps:  # which are not among the decision's reasons then
                self._logger.log(step.level, "%s", step.text)
        return prediction

    def close(self, timeout_s: float | None) -> None:
        """Fetch nothing more in the background."""
        if self._errands is not None:
            self._errands.close(timeout_s)

    def _kept(
        self, wanted: _Wanted, options: Collection[str], steps: list[Reason]
    ) -> Prediction | None:
        if DecideOption.IGNORE_CMAB_CACHE in options:
            _note(steps, ReasonKind.CMAB_CACHE_IGNORED, wanted)
            return None
        if DecideOption.RESET_CMAB_CACHE in options:
            _note(steps, ReasonKind.CMAB_CACHE_RESET, wanted)
            self._cache.reset()
        if DecideOption.INVALIDATE_USER_CMAB_CACHE in options:
            _note(steps, ReasonKind.CMAB_CACHE_INVALIDATED, wanted)
            self._cache.remove(wanted.key)
        kept = self._cache.lookup(wanted.key)
        if not kept:
            _note(steps, ReasonKind.CMAB_CACHE_MISS, wanted)
            return None
        if kept["attributes_hash"] == wanted.attributes_hash:
            _note(steps, ReasonKind.CMAB_CACHE_HIT, wanted)
            return Prediction(kept["variation_id"], kept["cmab_uuid"], tuple(steps))
        _note(steps, ReasonKind.CMAB_CACHE_MISMATCH, wanted)
        self._cache.remove(wanted.key)
        return None

    def _new(self, wanted: _Wanted, options: Collection[str], steps: list[Reason]) -> Prediction:
        may_keep = DecideOption.IGNORE_CMAB_CACHE not in options
        if self._errands is not None:
            if not may_keep:
                return Prediction(None, cause=_NOT_KEPT)
            return self._later(self._errands, wanted)
        prediction = self._fetched(wanted, may_keep=may_keep)
        if may_keep and not prediction.has_failed:
            values = {"variation": prediction.variation_id, "cmab_uuid": prediction.cmab_uuid}
            _note(steps, ReasonKind.CMAB_PREDICTED, wanted, **values)
        return Prediction(
            prediction.variation_id, prediction.cmab_uuid, tuple(steps), prediction.cause
        )

    def _later(self, errands: Errands, wanted: _Wanted) -> Prediction:
        if errands.run(wanted.key, lambda: self._fetched(wanted, may_keep=True)):
            return Prediction(None, cause=_ON_ITS_WAY, is_pending=True)
        return Prediction(None, cause=_TOO_MANY)

    def _fetched(self, wanted: _Wanted, *, may_keep: bool) -> Prediction:
        cmab_uuid = str(self._new_uuid())
        fetched = self._fetch(wanted.rule_id, wanted.user_id, wanted.attributes, cmab_uuid)
        variation_id = fetched.variation_id
        if variation_id is None:
            return Prediction(None, cause=readable(next(reversed(fetched.failures), "no answer")))
        if may_keep:
            kept = KeptPrediction(
                attributes_hash=wanted.attributes_hash,
                variation_id=variation_id,
                cmab_uuid=cmab_uuid,
            )
            self._cache.save(wanted.key, kept)
        return Prediction(variation_id, cmab_uuid)


def _wanted(project: Project, experiment: Experiment, visitor: Visitor) -> _Wanted:
    seen = experiment.cmab.attribute_ids if experiment.cmab else ()
    keys = {attribute.id: attribute.key for attribute in project.attributes}
    known = visitor.attributes
    attributes = {id_: known[keys[id_]] for id_ in seen if id_ in keys and keys[id_] in known}
    # A fingerprint that other SDKs make alike, so that they can share a cache.
    text = json.dumps(attributes, sort_keys=True)
    digest = md5(text.encode(), usedforsecurity=False).hexdigest()
    return _Wanted(experiment.id, visitor.user_id, tuple(attributes.items()), digest)


def _note(steps: list[Reason], kind: ReasonKind, wanted: _Wanted, **values: object) -> None:
    steps.append(Reason(kind, {"user": wanted.user_id, "rule": wanted.rule_id, **values}))
