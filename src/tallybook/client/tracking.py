"""Conversions: check what was passed, record it, tell the listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from msgspec import Struct

from tallybook.client.arguments import is_dict_or_empty, shown
from tallybook.client.diagnostics import Diagnostics
from tallybook.client.revision import Revision, RevisionSource
from tallybook.client.told import told
from tallybook.client.user_state import UserState, Written, state_of
from tallybook.deliver.tally import Refusal
from tallybook.model.project import EventType
from tallybook.model.text import excerpt, is_text, plain
from tallybook.notify import NotificationCenter, NotificationType

_TRACK: Final = NotificationType.TRACK.value  # a plain string hashes four times as fast


class RecordsConversions(Protocol):
    """What takes conversions on their way."""

    def conversion(
        self,
        revision: Revision,
        state: UserState,
        event: EventType,
        tags: Mapping[str, object] | None,
        *,
        is_told: bool,
    ) -> bytes | None:
        """Record a conversion; what was recorded, if somebody is to be told and it could be."""
        ...

    def shortcut(
        self, written: Written, revisions: RevisionSource, notifications: NotificationCenter
    ) -> Callable[[str, object], bool] | None:
        """The short way for further conversions of a user, ``None`` where none can be taken."""
        ...

    def refuse(self, cause: Refusal) -> None:
        """Count an event that was not even recorded."""
        ...


class Tracker:
    """Tracks events of one client. Everything that is refused is counted and logged."""

    def __init__(
        self,
        revisions: RevisionSource,
        recorder: RecordsConversions,
        notifications: NotificationCenter,
        diagnostics: Diagnostics,
    ) -> None:
        self._revisions = revisions
        self._recorder = recorder
        self._notifications = notifications
        self._diagnostics = diagnostics

    def track_event(self, state: UserState, event_key: str, event_tags: object) -> None:
        """Record a conversion of a user context; listeners get a copy of its attributes."""
        fault = _fault(event_key, event_tags)
        if fault is not None:
            self._refuse_argument(fault)
            return
        written = state.written
        recorded = self._record(state, event_key, event_tags)
        if recorded is not None:
            attributes = dict(state.visitor.attributes)
            self._tell(event_key, state.visitor.user_id, attributes, event_tags, recorded)
        if written is not None and written.revision is self._revisions.newest:
            # Not before the second event: many users have but one.
            shortcut = self._recorder.shortcut(written, self._revisions, self._notifications)
            state.track_again = shortcut

    def track(self, event_key: Any, user_id: Any, attributes: object, event_tags: object) -> None:
        """Record a conversion of a user known by id only; listeners get what was passed."""
        fault = _fault(event_key, event_tags, user_id, attributes)
        if fault is not None:
            self._refuse_argument(fault)
            return
        state = state_of(user_id, attributes)
        recorded = self._record(state, event_key, event_tags)
        if recorded is not None:
            self._tell(event_key, state.visitor.user_id, attributes, event_tags, recorded)

    def _record(self, state: UserState, event_key: str, event_tags: object) -> _Recorded | None:
        """Record a conversion; what listeners are told of it, ``None`` if none listens."""
        revision = self._revisions.newest
        if revision is None:
            message = "Event %s is not tracked: there is no valid datafile yet."
            self._refuse(Refusal.NOT_READY, message, excerpt(event_key))
            return None
        event = revision.project.event_by_key.get(plain(event_key))
        if event is None:
            message = "Event %s is not tracked: the datafile does not define it."
            self._refuse(Refusal.UNKNOWN_EVENT, message, excerpt(event_key))
            self._diagnostics.tell("event", f"The datafile has no event {excerpt(event_key)}.")
            return None
        tags = event_tags if isinstance(event_tags, dict) else None
        is_told = self._notifications.has_listeners(_TRACK)
        item = self._recorder.conversion(revision, state, event, tags, is_told=is_told)
        return None if item is None or not is_told else _Recorded(revision, item)

    def _tell(
        self,
        event_key: str,
        user_id: str,
        attributes: object,
        event_tags: object,
        recorded: _Recorded,
    ) -> None:
        event = told(recorded.revision, recorded.item)
        self._notifications.send_notifications(
            _TRACK, event_key, user_id, attributes, event_tags, event
        )

    def _refuse_argument(self, fault: _Fault) -> None:
        self._refuse(Refusal.INVALID_ARGUMENT, "The event is not tracked: %s.", fault.message)
        if fault.subject is not None:
            self._diagnostics.tell(fault.subject, fault.message)

    def _refuse(self, cause: Refusal, message: str, value: str) -> None:
        self._recorder.refuse(cause)
        self._diagnostics.logger.error(message, value)


class _Recorded(Struct, frozen=True):
    """An event as it was recorded, and the revision it is of."""

    revision: Revision
    item: bytes


class _Fault(Struct, frozen=True):
    """What is wrong, and what of it the error handler is told as."""

    message: str
    subject: str | None = None


def _fault(
    event_key: object, event_tags: object, user_id: object = "", attributes: object = None
) -> _Fault | None:
    """What is wrong with the arguments, in the order in which the official SDK looks.

    Attributes and tags must be plain dictionaries; anything empty passes for none.
    """
    if not is_text(event_key) or not plain(event_key):
        return _Fault(f"its key must be a string that is not empty, not {shown(event_key)}")
    if not is_text(user_id):
        return _Fault(f"the user id must be a string, not {type(user_id).__name__}")
    if not is_dict_or_empty(attributes):
        return _Fault(f"attributes must be a dict, not {type(attributes).__name__}", "attributes")
    if not is_dict_or_empty(event_tags):
        return _Fault(f"event tags must be a dict, not {type(event_tags).__name__}", "event_tags")
    return None
