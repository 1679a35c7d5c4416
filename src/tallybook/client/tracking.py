"""Conversions: check what was passed, record it, tell the listeners."""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

from tallybook.client.arguments import is_dict_or_empty
from tallybook.client.context import Guest
from tallybook.client.faults import Faults
from tallybook.client.recording import Recorder, told
from tallybook.client.revision import Revisions
from tallybook.deliver.tally import Refusal
from tallybook.model.decision import Visitor
from tallybook.notify import NotificationCenter, NotificationType

_TRACK: Final = NotificationType.TRACK.value  # a plain string hashes four times as fast

_logger: Final = logging.getLogger("tallybook")


class Tracker:
    """Tracks events of one client. Everything that is refused is counted and logged."""

    def __init__(
        self,
        revisions: Revisions,
        recorder: Recorder,
        notifications: NotificationCenter,
        faults: Faults,
    ) -> None:
        self._revisions = revisions
        self._recorder = recorder
        self._notifications = notifications
        self._faults = faults

    def track_event(self, guest: Guest, event_key: str, event_tags: object) -> None:
        """Record a conversion of a user context; listeners get a copy of its attributes."""
        fault = _fault(event_key, event_tags)
        if fault is not None:
            self._refuse_argument(fault)
            return
        self._track(guest, event_key, event_tags, guest.visitor.attributes)

    def track(
        self, event_key: object, user_id: object, attributes: object, event_tags: object
    ) -> None:
        """Record a conversion of a user known by id only; listeners get what was passed."""
        fault = _fault(event_key, event_tags, user_id, attributes)
        if fault is not None:
            self._refuse_argument(fault)
            return
        known = dict(attributes) if isinstance(attributes, dict) else {}
        guest = Guest(Visitor(str(user_id), known))
        self._track(guest, str(event_key), event_tags, attributes)

    def _track(self, guest: Guest, event_key: str, event_tags: object, attributes: object) -> None:
        revision = self._revisions.newest
        if revision is None:
            message = "Event %r is not tracked: there is no valid datafile yet."
            self._refuse(Refusal.NOT_READY, message, event_key)
            return
        head = revision.heads.get(event_key)
        if head is None:
            message = "Event %r is not tracked: the datafile does not define it."
            self._refuse(Refusal.UNKNOWN_EVENT, message, event_key)
            self._faults.tell("event", f"The datafile has no event {event_key!r}.")
            return
        tags = event_tags if isinstance(event_tags, dict) else None
        item = self._recorder.conversion(revision, guest, head, tags)
        if item is None or not self._notifications.has_listeners(_TRACK):
            return
        self._notifications.send_notifications(
            _TRACK,
            event_key,
            guest.visitor.user_id,
            dict(attributes) if attributes is guest.visitor.attributes else attributes,
            event_tags,
            told(revision, item),
        )

    def _refuse_argument(self, fault: _Fault) -> None:
        self._refuse(Refusal.INVALID_ARGUMENT, "The event is not tracked: %s.", fault.message)
        if fault.subject is not None:
            self._faults.tell(fault.subject, fault.message)

    def _refuse(self, cause: Refusal, message: str, value: str) -> None:
        self._recorder.refuse(cause)
        _logger.error(message, value)


class _Fault(NamedTuple):
    """What is wrong, and what of it the error handler is told as."""

    message: str
    subject: str | None = None


def _fault(
    event_key: object, event_tags: object, user_id: object = "", attributes: object = None
) -> _Fault | None:
    """What is wrong with the arguments, in the order in which the official SDK looks.

    Attributes and tags must be plain dictionaries; anything empty passes for none.
    """
    if not isinstance(event_key, str) or not event_key:
        return _Fault(f"its key must be a string that is not empty, not {type(event_key).__name__}")
    if not isinstance(user_id, str):
        return _Fault(f"the user id must be a string, not {type(user_id).__name__}")
    if not is_dict_or_empty(attributes):
        return _Fault(f"attributes must be a dict, not {type(attributes).__name__}", "attributes")
    if not is_dict_or_empty(event_tags):
        return _Fault(f"event tags must be a dict, not {type(event_tags).__name__}", "event_tags")
    return None
