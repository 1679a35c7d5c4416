"""Noun: what a contextual bandit's prediction service answers for one visitor."""

from __future__ import annotations

from msgspec import Struct

from tallybook.model.reason import Reason


class Prediction(Struct, frozen=True):
    """The variation a service predicts to do best, or why there is none.

    ``variation_id`` is ``None`` where the prediction failed, and ``cause`` then says why, as words
    that end a sentence; with ``is_pending`` it is on its way, for the next time. ``cmab_uuid``
    names the prediction in the events that follow from it. ``steps`` are what the service did, in
    its order: reasons of the decision unless there is no variation.
    """

    variation_id: str | None
    cmab_uuid: str | None = None
    steps: tuple[Reason, ...] = ()
    cause: str = ""
    is_pending: bool = False

    @property
    def has_failed(self) -> bool:
        """True when there is no variation to decide for."""
        return self.variation_id is None


NO_SERVICE = Prediction(None, cause="there is no prediction service")
