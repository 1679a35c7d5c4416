"""Who listens to what, and the telling.

One lock guards the table of listeners; each change replaces a type's tuple, so that telling needs
no lock and a listener may add or remove listeners while it is being called.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Listener = Callable[..., object]

_logger: Final = logging.getLogger("tallybook")
_REFUSED: Final = -1


class NotificationType(StrEnum):
    """What can be listened to; the values are opaque (each names its listeners' arguments)."""

    ACTIVATE = "ACTIVATE:experiment, user_id, attributes, variation, event"
    DECISION = "DECISION:type, user_id, attributes, decision_info"
    OPTIMIZELY_CONFIG_UPDATE = "OPTIMIZELY_CONFIG_UPDATE"
    TRACK = "TRACK:event_key, user_id, attributes, event_tags, event"
    LOG_EVENT = "LOG_EVENT:log_event"


@dataclass(frozen=True, slots=True)
class LogEvent:
    """A batch just before it is sent: where to, and the body as JSON values."""

    url: str
    params: Mapping[str, Any]
    http_verb: str
    headers: Mapping[str, str]


class NotificationCenter:
    """Listeners by notification type. Thread-safe; a listener's exception stops nothing."""

    def __init__(self) -> None:
        self.begin_in_child()
        self._listeners: dict[str, tuple[tuple[int, Listener], ...]] = {
            str(kind): () for kind in NotificationType
        }
        self._next_id = 1

    def begin_in_child(self) -> None:
        """Have a lock of its own: the parent's may be held for ever."""
        self._lock = threading.RLock()

    @property
    def notification_listeners(self) -> dict[str, list[tuple[int, Listener]]]:
        """Notification type → ``(id, callback)`` pairs, a copy."""
        return {kind: list(listeners) for kind, listeners in self._listeners.items()}

    def has_listeners(self, notification_type: str) -> bool:
        """True when somebody would be told."""
        return bool(self._listeners.get(notification_type))

    def add_notification_listener(self, notification_type: str, callback: Listener) -> int:
        """Call ``callback`` on each notification of that type from now on.

        Returns:
            The listener's id, from 1; -1 for an unknown type or a callback already there.
        """
        with self._lock:
            listeners = self._known(notification_type)
            if listeners is None:
                return _REFUSED
            if any(known == callback for _, known in listeners):
                _logger.error("This listener is already there for %r.", notification_type)
                return _REFUSED
            listener_id = self._next_id
            self._next_id += 1
            self._listeners[notification_type] = (*listeners, (listener_id, callback))
            return listener_id

    def remove_notification_listener(self, notification_id: int) -> bool:
        """Forget a listener; true when there was one of that id."""
        with self._lock:
            for kind, listeners in self._listeners.items():
                others = tuple(pair for pair in listeners if pair[0] != notification_id)
                if len(others) < len(listeners):
                    self._listeners[kind] = others
                    return True
        return False

    def clear_notification_listeners(self, notification_type: str) -> None:
        """Forget all listeners of a type; an unknown type is logged and known from then on."""
        with self._lock:
            self._known(notification_type)
            if isinstance(notification_type, str):
                self._listeners[notification_type] = ()

    def clear_all_notification_listeners(self) -> None:
        """Forget every listener."""
        with self._lock:
            self._listeners = dict.fromkeys(self._listeners, ())

    def send_notifications(self, notification_type: str, *args: object) -> None:
        """Call the type's listeners in the order in which they were added."""
        for _, callback in self._known(notification_type) or ():
            try:
                callback(*args)
            except Exception:
                name = notification_type.partition(":")[0]
                _logger.exception("A listener of %s raised; the others are still called.", name)

    def _known(self, notification_type: str) -> tuple[tuple[int, Listener], ...] | None:
        is_name = isinstance(notification_type, str)
        listeners = self._listeners.get(notification_type) if is_name else None
        if listeners is None:
            _logger.error("Unknown notification type: %r.", notification_type)
        return listeners
