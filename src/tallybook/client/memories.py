"""What a client remembers of its visitors: variations forced here, and profiles kept elsewhere.

Forced variations live in this process. Profiles are the user profile service's: one lookup before
a call decides, one save after it if somebody was bucketed anew.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final, Protocol

from msgspec import Struct, field

from tallybook.client.diagnostics import Diagnostics
from tallybook.deliver.process import tell_of_forks
from tallybook.model.memory import NO_MEMORY, Memory, Profile
from tallybook.model.text import is_text, plain

_USER_ID: Final = "user_id"
_BUCKETS: Final = "experiment_bucket_map"
_VARIATION_ID: Final = "variation_id"


class UserProfileService(Protocol):
    """Where profiles are kept.

    A profile is ``{"user_id": …, "experiment_bucket_map": {id: {"variation_id": …}}}``. Both are
    called on the thread that decides.
    """

    def lookup(self, user_id: str) -> Mapping[str, Any] | None:
        """The profile of a user, or ``None``."""
        ...

    def save(self, user_profile: dict[str, Any]) -> object:
        """Keep a profile in the place of what was kept of that user."""
        ...


class Recollection(Struct, frozen=True):
    """What is remembered of one visitor during one call; ``kept`` is their profile as it came."""

    memory: Memory
    user_id: str = ""
    kept: Mapping[str, Any] = field(default_factory=dict)


_NOTHING: Final = Recollection(NO_MEMORY)


class Memories:
    """Remembers for one client. Thread-safe; forced variations are replaced, never changed."""

    def __init__(self, service: UserProfileService | None, diagnostics: Diagnostics) -> None:
        self._service = service
        self._logger = diagnostics.logger
        self._forced: dict[str, Mapping[str, str]] = {}
        self.begin_in_child()
        tell_of_forks(self)

    def begin_in_child(self) -> None:
        """Have a lock of its own: the parent's may be held for ever."""
        self._lock = threading.Lock()

    def forced_of(self, user_id: str) -> Mapping[str, str] | None:
        """Variation ids by experiment id, ``None`` if nothing was ever forced for that user."""
        return self._forced.get(user_id)

    def force(self, user_id: str, experiment_id: str, variation_id: str | None) -> None:
        """Force a variation of an experiment, or with ``None`` none any more."""
        with self._lock:
            forced = dict(self._forced.get(user_id, {}))
            forced.pop(experiment_id, None)
            if variation_id is not None:
                forced[experiment_id] = variation_id
                self._forced[user_id] = forced
            elif user_id in self._forced:
                self._forced[user_id] = forced

    def recall(self, user_id: str, *, with_profile: bool = True) -> Recollection:
        """What is known of a visitor, before deciding."""
        forced = self._forced.get(user_id)
        if self._service is None or not with_profile:
            return Recollection(Memory(forced)) if forced else _NOTHING
        kept, stored = self._look_up(self._service, user_id)
        return Recollection(Memory(forced or {}, Profile(stored=stored)), user_id, kept)

    def keep(self, recollection: Recollection) -> None:
        """Save the profile, if deciding recorded something in it."""
        profile = recollection.memory.profile
        if self._service is None or profile is None or not profile.recorded:
            return
        recorded = {key: {_VARIATION_ID: id_} for key, id_ in profile.recorded.items()}
        try:
            buckets = {**(recollection.kept.get(_BUCKETS) or {}), **recorded}
            user_id = recollection.kept.get(_USER_ID, recollection.user_id)
            self._service.save({_USER_ID: user_id, _BUCKETS: buckets})
        except Exception as error:  # noqa: BLE001 - somebody else's code; deciding goes on
            self._logger.warning("A user profile is not saved: %s", error)

    def _look_up(
        self, service: UserProfileService, user_id: str
    ) -> tuple[Mapping[str, Any], dict[str, str]]:
        """A user's profile as it came, and its variations by experiment."""
        try:
            kept = _usable(service.lookup(user_id))
            return kept, _stored(kept.get(_BUCKETS) or {})
        except Exception:
            self._logger.exception("A user profile cannot be looked up.")
            return {}, {}


def _usable(found: object) -> Mapping[str, Any]:
    if not isinstance(found, Mapping) or not isinstance(found.get(_BUCKETS), Mapping):
        return {}
    return found if _USER_ID in found else {}


def _stored(buckets: Mapping[str, Any]) -> dict[str, str]:
    entries = ((key, entry) for key, entry in buckets.items() if isinstance(entry, Mapping))
    found = ((key, entry.get(_VARIATION_ID)) for key, entry in entries)
    return {key: _text(variation_id) for key, variation_id in found if variation_id}


def _text(variation_id: object) -> str:
    # An id that is no text is none that a datafile could have.
    return plain(variation_id) if is_text(variation_id) else f"<{type(variation_id).__name__}>"
