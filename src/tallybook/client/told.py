"""Events as listeners see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import json

from tallybook.client.revision import Revision
from tallybook.deliver.courier import HEADERS
from tallybook.notify import LogEvent, NotificationCenter, NotificationType

_POST: Final = "POST"


def told(revision: Revision, item: bytes) -> dict[str, Any]:
    """An event as the request it would be if it travelled alone."""
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
