"""From what happened to bytes in the outbox, and to what listeners are told of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import json

from tallybook.client.context import Guest, Written
from tallybook.client.faults import Faults
from tallybook.client.identities import Identities
from tallybook.client.revision import Revision
from tallybook.client.settings import ClientSettings
from tallybook.deliver.courier import HEADERS
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.tally import Refusal
from tallybook.notify import LogEvent, NotificationCenter, NotificationType
from tallybook.wire.batch_writer import EventHead, write_author, write_conversion, write_impression
from tallybook.wire.event_api import DecisionItem
from tallybook.wire.event_tags import Flaw, Remarks, write_tags

_POST: Final = "POST"
_SAYINGS: Final[Mapping[Flaw, tuple[int, str]]] = {
    Flaw.NOT_FINITE: (logging.WARNING, "Tag %r is left out: it is not a finite number"),
    Flaw.NOT_JSON: (logging.WARNING, "Tag %r is left out: its value cannot be written as JSON"),
    Flaw.NOT_TEXT: (logging.WARNING, "%r is left out: it holds a lone surrogate"),
    Flaw.TOO_DEEP: (logging.WARNING, "Tag %r is left out: it is nested too deep or in itself"),
    Flaw.TOO_LARGE: (logging.WARNING, "Tag %r is left out: it is too large"),
    Flaw.REVENUE_NOT_CENTS: (
        logging.WARNING,
        "Tag %r is kept but does not count as revenue: it must be an integer number of cents",
    ),
    Flaw.VALUE_NOT_NUMERIC: (
        logging.WARNING,
        "Tag %r is kept but does not count as the event's value: it must be a finite number",
    ),
    Flaw.ATTRIBUTE_UNKNOWN: (logging.ERROR, "Attribute %r is not in the datafile and not sent"),
    Flaw.ATTRIBUTE_RESERVED: (
        logging.WARNING,
        "Attribute %r of the datafile has a name that is reserved",
    ),
}


class Recorder:
    """Writes events of one client and hands them to its outbox."""

    def __init__(self, outbox: Outbox, settings: ClientSettings, faults: Faults) -> None:
        self._outbox = outbox
        self._faults = faults
        self._now_ms = settings.clock_ms
        self._new_uuid = _in_bytes(settings.new_uuid) if settings.new_uuid else Identities()

    def conversion(
        self, revision: Revision, guest: Guest, head: EventHead, tags: Mapping[str, object] | None
    ) -> bytes | None:
        """Record a conversion; what was recorded, or ``None`` if it cannot be."""
        author = self._author(revision, guest)
        if author is None:
            return None
        members = b""
        if tags is not None:
            members, remarks = write_tags(tags)
            if remarks:
                self._remark(remarks)
        item = write_conversion(head, self._new_uuid(), self._now_ms(), members, author)
        self._outbox.append(revision.envelope, item)
        return item

    def impression(self, revision: Revision, guest: Guest, decision: DecisionItem) -> bytes | None:
        """Record an impression; what was recorded, or ``None`` if it cannot be."""
        author = self._author(revision, guest)
        if author is None:
            return None
        item = write_impression(decision, self._new_uuid(), self._now_ms(), author)
        self._outbox.append(revision.envelope, item)
        return item

    def refuse(self, cause: Refusal) -> None:
        """Count an event that was not even recorded."""
        self._outbox.tally.refuse(cause)

    def _author(self, revision: Revision, guest: Guest) -> bytes | None:
        project, visitor = revision.project, guest.visitor
        written = guest.written
        if written is not None and written.visitor is visitor and written.project is project:
            if written.left_out:
                self._tell(written.left_out)
            return written.author
        try:
            author, remarks = write_author(project, visitor.user_id, visitor.attributes)
        except UnicodeEncodeError:
            self.refuse(Refusal.INVALID_ARGUMENT)
            self._outbox.log.say(
                logging.ERROR, "user_id", "An event is not sent: its user id has a lone surrogate"
            )
            return None
        self._remark(remarks)
        left_out = tuple(r.key for r in remarks if r.flaw is Flaw.ATTRIBUTE_UNKNOWN)
        guest.written = Written(project, visitor, author, left_out)
        self._tell(left_out)
        return author

    def _tell(self, left_out: tuple[str, ...]) -> None:
        for key in left_out:
            self._faults.tell("attribute", f"The datafile has no attribute {key!r}.")

    def _remark(self, remarks: Remarks) -> None:
        for remark in remarks:
            level, message = _SAYINGS[remark.flaw]
            self._outbox.tally.flaw(remark.flaw.value)
            self._outbox.log.say(level, remark.flaw.value, message, remark.key)


def told(revision: Revision, item: bytes) -> dict[str, Any]:
    """An event as listeners see it: the request it would be if it travelled alone."""
    envelope = revision.envelope
    return {
        "url": envelope.url,
        "params": json.decode(envelope.opening + item + envelope.closing),
        "http_verb": _POST,
        "headers": dict(HEADERS),
    }


def log_event_teller(notifications: NotificationCenter) -> Callable[[str, bytes], None]:
    """What tells listeners of a batch that is about to be sent."""

    def tell(url: str, body: bytes) -> None:
        if notifications.has_listeners(NotificationType.LOG_EVENT):
            event = LogEvent(url, json.decode(body), _POST, dict(HEADERS))
            notifications.send_notifications(NotificationType.LOG_EVENT, event)

    return tell


def _in_bytes(new_uuid: Callable[[], object]) -> Callable[[], bytes]:
    # As JSON without its quotes: a replay's ids may hold what JSON has to escape.
    return lambda: json.encode(str(new_uuid()))[1:-1]
