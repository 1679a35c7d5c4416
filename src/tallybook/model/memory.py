"""Noun: what is remembered of a visitor from one call to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Profile:
    """Which variation a visitor keeps in which experiment, both by id.

    ``stored`` is what was known before the call; deciding notes in ``recorded`` what is new.
    """

    stored: Mapping[str, str] = field(default_factory=dict)
    recorded: dict[str, str] = field(default_factory=dict)

    def variation_id_in(self, experiment_id: str) -> str | None:
        """The variation to keep there, if any."""
        return self.recorded.get(experiment_id) or self.stored.get(experiment_id)


@dataclass(frozen=True, slots=True)
class Memory:
    """What deciding may know of a visitor besides their context.

    ``forced`` maps experiment ids to the ids of variations forced for this visitor on this client.
    Without a ``profile`` nothing is kept and nothing is recorded.
    """

    forced: Mapping[str, str] = field(default_factory=dict)
    profile: Profile | None = None


NO_MEMORY = Memory()
