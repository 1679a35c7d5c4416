"""Noun: what is remembered of a visitor from one call to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from tallybook.model.decision import Visitor
from tallybook.model.prediction import Prediction
from tallybook.model.project import Experiment

Predict = Callable[[Experiment, Visitor], Prediction]


class Profile(Struct):
    """Which variation a visitor keeps in which experiment, both by id.

    ``stored`` is what was known before the call; deciding notes in ``recorded`` what is new.
    """

    stored: Mapping[str, str] = field(default_factory=dict)
    recorded: dict[str, str] = field(default_factory=dict)

    def variation_id_in(self, experiment_id: str) -> str | None:
        """The variation to keep there, if any."""
        return self.recorded.get(experiment_id) or self.stored.get(experiment_id)


class Memory(Struct, frozen=True):
    """What deciding may know of a visitor besides their context.

    ``forced`` maps experiment ids to the ids of variations forced for this visitor on this client.
    Without a ``profile`` nothing is kept and nothing is recorded. ``predict`` asks the prediction
    service about a contextual bandit's experiment; it answers also when it fails, and never raises.
    """

    forced: Mapping[str, str] = field(default_factory=dict)
    profile: Profile | None = None
    predict: Predict | None = None


NO_MEMORY = Memory()
