"""The short way for a user's further conversions, which differ in their key, tags and time only.

It is taken hundreds of times as often as the long one, so it does everything in one place: what a
call costs its caller here is little more than the copy of its tags.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tallybook.client.revision import RevisionSource
from tallybook.client.user_state import Written
from tallybook.deliver.journal import Draft
from tallybook.deliver.outbox import Outbox
from tallybook.notify import NotificationCenter, NotificationType
from tallybook.wire.event_tags import are_plain, encode_plain

SMALL: Final = 4_096  # bytes of a part of an event that may wait without being counted

AROUND: Final = 200  # bytes of an event beside its author and its tags
_TRACK: Final = NotificationType.TRACK.value


class Shortcut:
    """Tracks conversions of one user and one revision.

    Args:
        written: What events of the revision say of the user; nothing was left out.
        revisions: What knows whether the revision still is the newest.
        notifications: What knows whether somebody listens; who does is told on the long way.
        outbox: Where events go.
        now_ns: The present, in nanoseconds since the epoch.
    """

    __slots__ = (
        *("_author", "_envelope", "_frames", "_listeners_of", "_now_ns", "_outbox", "_revision"),
        *("_revisions", "_size"),
    )

    def __init__(
        self,
        written: Written,
        revisions: RevisionSource,
        notifications: NotificationCenter,
        outbox: Outbox,
        now_ns: Callable[[], int],
    ) -> None:
        self._revision = written.revision
        self._revisions = revisions
        self._listeners_of = notifications.listeners_of
        self._outbox = outbox
        self._now_ns = now_ns
        self._frames = written.revision.conversion_frames
        self._envelope = written.revision.envelope
        self._author = written.author
        self._size = len(written.author) + AROUND

    def track(self, event_key: str, event_tags: object) -> bool:
        """Record a conversion; false, and nothing was done, where it has to go the long way."""
        if self._revisions.newest is not self._revision or self._listeners_of(_TRACK):
            return False
        try:
            frame = self._frames.get(event_key)
            if event_tags is None:
                tags = b""
            elif type(event_tags) is dict and are_plain(map(type, event_tags.values())):
                tags = encode_plain(event_tags)
            else:
                return False
        except Exception:  # noqa: BLE001 - whatever is odd about it, the long way has words for it
            return False
        if frame is None or len(tags) > SMALL:
            return False
        outbox = self._outbox
        drafts = outbox.drafts
        size = self._size + len(tags)
        drafts.append(Draft(self._envelope, size, frame, self._now_ns(), tags, self._author))
        if len(drafts) >= outbox.until_due:  # looked at last, so that no draft is overlooked
            outbox.attend()
        return True
