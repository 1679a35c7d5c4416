"""From what happened to bytes in the outbox."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import json

from tallybook.client.diagnostics import Diagnostics
from tallybook.client.identities import Identities
from tallybook.client.impressions import Shown
from tallybook.client.revision import Revision, RevisionSource
from tallybook.client.shortcut import SMALL, shortcut
from tallybook.client.user_state import UserState, Written
from tallybook.deliver.journal import Item, Origin
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.tally import Refusal
from tallybook.model.project import EventType
from tallybook.model.text import excerpt
from tallybook.notify import NotificationCenter
from tallybook.wire.batch_writer import EventFrame, write_event
from tallybook.wire.event_tags import Flaw, Remarks, members_of_all, text_of, write_tags

_NS_PER_MS: Final = 1_000_000
_AROUND: Final = 200  # bytes of an event beside its author and its tags

_SAYINGS: Final[Mapping[Flaw, tuple[int, str]]] = {
    Flaw.NOT_FINITE: (logging.WARNING, "Tag %s is left out: it is not a finite number"),
    Flaw.NOT_JSON: (logging.WARNING, "Tag %s is left out: its value cannot be written as JSON"),
    Flaw.NOT_TEXT: (logging.WARNING, "%s is left out: it holds a lone surrogate"),
    Flaw.TOO_DEEP: (logging.WARNING, "Tag %s is left out: it is nested too deep or in itself"),
    Flaw.TOO_LARGE: (logging.WARNING, "Tag %s is left out: it is too large"),
    Flaw.REVENUE_NOT_CENTS: (
        logging.WARNING,
        "Tag %s is kept but does not count as revenue: it must be an integer number of cents",
    ),
    Flaw.VALUE_NOT_NUMERIC: (
        logging.WARNING,
        "Tag %s is kept but does not count as the event's value: it must be a finite number",
    ),
    Flaw.ATTRIBUTE_UNKNOWN: (logging.ERROR, "Attribute %s is not in the datafile and not sent"),
    Flaw.ATTRIBUTE_RESERVED: (
        logging.WARNING,
        "Attribute %s of the datafile has a name that is reserved",
    ),
}


class Recorder:
    """Writes events of one client and hands them to its outbox.

    Args:
        outbox: Where they go.
        diagnostics: Who is told of attributes the datafile does not have.
        now_ns: The present, in nanoseconds since the epoch.
        new_uuid: A new event's identity, as text; random ones unless given.
    """

    def __init__(
        self,
        outbox: Outbox,
        diagnostics: Diagnostics,
        now_ns: Callable[[], int],
        new_uuid: Callable[[], str] | None = None,
    ) -> None:
        self._outbox = outbox
        self._diagnostics = diagnostics
        self._now_ns = now_ns
        self._identities = Identities()
        self._new_uuid = self._next_identity if new_uuid is None else _in_bytes(new_uuid)
        outbox.write_with(self._write)
        self._may_write_later = new_uuid is None  # what is given may count, in the order of calls

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
        origin = self._origin(revision, state)
        if origin is None:
            return None
        frame = revision.frame_of(event)
        if not is_told and self._leave(origin, frame, tags):
            return None
        members = b"" if tags is None else self._members(*write_tags(tags))
        item = self._append(origin, frame, members)
        return item if is_told else None

    def shortcut(
        self, written: Written, revisions: RevisionSource, notifications: NotificationCenter
    ) -> Callable[[str, object], bool] | None:
        """The short way for further conversions of a user, ``None`` where none can be taken."""
        if written.left_out or len(written.origin.author) > SMALL or not self._may_write_later:
            return None
        return shortcut(written, revisions, notifications, self._outbox, self._now_ns)

    def _leave(self, origin: Origin, frame: EventFrame, tags: Mapping[str, object] | None) -> bool:
        """Leave the writing for later, where tags and author are small and plain."""
        text = b"" if tags is None else text_of(tags)
        if text is None or len(text) + len(origin.author) > SMALL or not self._may_write_later:
            return False
        outbox = self._outbox
        outbox.journal.keep(Item(origin, text, frame, self._now_ns()))
        if len(outbox.drafts) >= outbox.until_due:
            outbox.attend()
        return True

    def _write(self, drafts: Sequence[Item]) -> Sequence[bytes]:
        try:
            return self._write_all(drafts)
        except Exception as error:  # noqa: BLE001 - one event must not stand in all others' way
            if len(drafts) > 1:
                return [item for draft in drafts for item in self._write([draft])]
            self.refuse(Refusal.INVALID_ARGUMENT)
            name = type(error).__name__
            message = "An event cannot be written and is not sent: %s"  # which may quote the event
            self._outbox.log.say(logging.ERROR, "write", message, name)
            return [b""]

    def _write_all(self, drafts: Sequence[Item]) -> list[bytes]:
        members, remarks = members_of_all([draft.text for draft in drafts])
        are_named = [draft for draft in drafts if draft.position or draft.identity]
        identities = (
            [self._identity_of(draft) for draft in drafts]
            if are_named
            else self._identities.take(len(drafts))
        )
        items = [
            write_event(draft.frame, uuid, draft.at_ns // _NS_PER_MS, tags, draft.origin.author)
            for draft, uuid, tags in zip(drafts, identities, members, strict=True)
        ]
        self._remark(remarks)
        return items

    def _identity_of(self, draft: Item) -> bytes:
        if draft.position:
            return self._outbox.identity(draft.position)
        return draft.identity or self._next_identity()

    def _next_identity(self) -> bytes:
        return self._identities.take(1)[0]

    def _members(self, members: bytes, remarks: Remarks) -> bytes:
        if remarks:
            self._remark(remarks)
        return members

    def impression(self, revision: Revision, state: UserState, shown: Shown) -> bytes | None:
        """Record an impression; what was recorded, or ``None`` if it cannot be."""
        origin = self._origin(revision, state)
        if origin is None:
            return None
        flag_key = shown.flag.key if shown.flag else ""
        frame = revision.frame_of_decision(flag_key, shown.verdict, enabled=shown.enabled)
        return self._append(origin, frame, b"")

    def refuse(self, cause: Refusal) -> None:
        """Count an event that was not even recorded."""
        self._outbox.tally.refuse(cause)

    def _append(self, origin: Origin, frame: EventFrame, members: bytes) -> bytes:
        at_ms = self._now_ns() // _NS_PER_MS
        item = write_event(frame, self._new_uuid(), at_ms, members, origin.author)
        self._outbox.append(origin.envelope, item)
        return item

    def _origin(self, revision: Revision, state: UserState) -> Origin | None:
        """Where events of the user come from, ``None`` if there can be none."""
        written = state.written
        if written is not None and written.revision is revision:
            if written.left_out:
                self._tell(written.left_out)
            return written.origin
        visitor = state.visitor
        try:
            author, remarks = revision.authors.write(visitor.user_id, visitor.attributes)
        except UnicodeEncodeError:
            self.refuse(Refusal.INVALID_ARGUMENT)
            self._outbox.log.say(
                logging.ERROR, "user_id", "An event is not sent: its user id has a lone surrogate"
            )
            return None
        self._remark(remarks)
        left_out = tuple(r.key for r in remarks if r.flaw is Flaw.ATTRIBUTE_UNKNOWN)
        origin = Origin(revision.envelope, author, len(author) + _AROUND)
        state.written = Written(revision, origin, left_out)
        self._tell(left_out)
        return origin

    def _tell(self, left_out: tuple[str, ...]) -> None:
        for key in left_out:
            self._diagnostics.tell("attribute", f"The datafile has no attribute {excerpt(key)}.")

    def _remark(self, remarks: Remarks) -> None:
        for remark in remarks:
            level, message = _SAYINGS[remark.flaw]
            self._outbox.tally.flaw(remark.flaw.value)
            self._outbox.log.say(level, remark.flaw.value, message, excerpt(remark.key))


def _in_bytes(new_uuid: Callable[[], Any]) -> Callable[[], bytes]:
    # As JSON without its quotes: a replay's ids may hold what JSON has to escape.
    return lambda: json.encode(str(new_uuid()))[1:-1]
