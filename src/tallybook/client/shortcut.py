"""The short way for a user's further conversions, which differ in their key, tags and time only.

It is taken hundreds of times as often as the long one, so it does everything in one place: what a
call costs its caller here is little more than the copy of its tags.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tallybook.client.revision import RevisionSource
from tallybook.client.user_state import Written
from tallybook.deliver.journal import Item
from tallybook.deliver.outbox import Outbox
from tallybook.notify import NotificationCenter, NotificationType
from tallybook.wire.event_tags import PLAIN, encode_plain

SMALL: Final = 4_096  # bytes of a part of an event that may wait without being counted


def shortcut(  # noqa: C901 - a call for any part of it would lengthen every conversion's
    written: Written,
    revisions: RevisionSource,
    notifications: NotificationCenter,
    outbox: Outbox,
    now_ns: Callable[[], int],
) -> Callable[[str, object], bool]:
    """What tracks conversions of one user and one revision, given their key and tags.

    It returns false, and has done nothing, where a conversion has to go the long way. It is a
    closure since each look into an object would lengthen the call.

    Args:
        written: What events of the revision say of the user; nothing was left out.
        revisions: What knows whether the revision still is the newest.
        notifications: What knows whether somebody listens; who does is told on the long way.
        outbox: Where events go.
        now_ns: The present, in nanoseconds since the epoch.
    """
    revision, origin = written.revision, written.origin
    frames = revision.conversion_frames
    listeners = notifications.listeners_of(NotificationType.TRACK)
    drafts, journal = outbox.drafts, outbox.journal
    plain, encode, most, item = PLAIN, encode_plain, SMALL, Item

    def track(event_key: str, event_tags: object) -> bool:  # noqa: C901 - see above
        if revisions.newest is not revision or listeners:
            return False
        try:
            frame = frames[event_key]
            if event_tags is None:
                tags = b""
            elif type(event_tags) is dict:
                for value in event_tags.values():
                    if type(value) not in plain:
                        return False
                tags = encode(event_tags)
            else:
                return False
        except Exception:  # noqa: BLE001 - whatever is odd about it, the long way has words for it
            return False
        if len(tags) > most:
            return False
        journal.keep(item(origin, tags, frame, now_ns()))
        if len(drafts) >= outbox.until_due:  # looked at last, so that no draft is overlooked
            outbox.attend()
        return True

    return track
