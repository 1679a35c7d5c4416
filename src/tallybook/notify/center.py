"""Who listens to what, and the telling.

One lock guards changes of the table of listeners. Telling needs none, and goes by a copy: a
listener may add or remove listeners while it is being called.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, Literal, Protocol, overload

from msgspec import Struct

from tallybook.model.project import Experiment, Variation
from tallybook.model.text import excerpt, is_text, plain

Listener = Callable[..., object]

_LOGGER: Final = logging.getLogger("tallybook")
_REFUSED: Final = -1


class NotificationType(StrEnum):
    """What can be listened to; the values are opaque (each names its listeners' arguments)."""

    ACTIVATE = "ACTIVATE:experiment, user_id, attributes, variation, event"
    DECISION = "DECISION:type, user_id, attributes, decision_info"
    OPTIMIZELY_CONFIG_UPDATE = "OPTIMIZELY_CONFIG_UPDATE"
    TRACK = "TRACK:event_key, user_id, attributes, event_tags, event"
    LOG_EVENT = "LOG_EVENT:log_event"


class LogEvent(Struct, frozen=True):
    """A batch just before it is sent: where to, and the body as JSON values."""

    url: str
    params: Mapping[str, Any]
    http_verb: str
    headers: Mapping[str, str]


_Data = dict[str, Any]

DecisionListener = Callable[[str, str, _Data, _Data], object]
TrackListener = Callable[[str, str, _Data | None, _Data | None, _Data], object]
ActivateListener = Callable[[Experiment, str, _Data | None, Variation | None, _Data], object]
LogEventListener = Callable[[LogEvent], object]
UpdateListener = Callable[[], object]


class AnyListener(Protocol):
    """A listener that takes the notifications of every type."""

    def __call__(self, *args: object) -> object:
        """Be told."""
        ...


class NotificationCenter:
    """Listeners by notification type. Thread-safe; a listener's exception stops nothing."""

    def __init__(self, logger: logging.Logger = _LOGGER) -> None:
        self._logger = logger
        self.begin_in_child()
        self._listeners: dict[str, list[tuple[int, Listener]]] = {
            str(kind): [] for kind in NotificationType
        }
        self._next_id = 1

    def begin_in_child(self) -> None:
        """Have a lock of its own: the parent's may be held for ever."""
        self._lock = threading.RLock()

    @property
    def notification_listeners(self) -> dict[str, list[tuple[int, Listener]]]:
        """Notification type → ``(id, callback)`` pairs, a copy."""
        return {kind: list(listeners) for kind, listeners in self._listeners.items()}

    def listeners_of(self, notification_type: str) -> Sequence[tuple[int, Listener]]:
        """The listeners of a type, in a list that follows them, to be looked at again and again."""
        listeners = self._known(notification_type)
        return () if listeners is None else listeners

    def has_listeners(self, notification_type: str) -> bool:
        """True when somebody would be told."""
        return bool(self._known(notification_type))

    @overload
    def add_notification_listener(
        self, notification_type: Literal[NotificationType.DECISION], callback: DecisionListener
    ) -> int: ...
    @overload
    def add_notification_listener(
        self, notification_type: Literal[NotificationType.TRACK], callback: TrackListener
    ) -> int: ...
    @overload
    def add_notification_listener(
        self, notification_type: Literal[NotificationType.ACTIVATE], callback: ActivateListener
    ) -> int: ...
    @overload
    def add_notification_listener(
        self, notification_type: Literal[NotificationType.LOG_EVENT], callback: LogEventListener
    ) -> int: ...
    @overload
    def add_notification_listener(
        self,
        notification_type: Literal[NotificationType.OPTIMIZELY_CONFIG_UPDATE],
        callback: UpdateListener,
    ) -> int: ...
    @overload
    def add_notification_listener(self, notification_type: str, callback: AnyListener) -> int: ...
    def add_notification_listener(self, notification_type: str, callback: Listener) -> int:
        """Call ``callback`` on each notification of that type from now on.

        Returns:
            The listener's id, from 1; -1, and a line in the log, for an unknown type, a callback
            already there or one that cannot be called.
        """
        with self._lock:
            listeners = self._known(notification_type)
            if listeners is None or not self._is_callable(callback):
                return _REFUSED
            if any(_equal(known, callback) for _, known in listeners):
                name = excerpt(notification_type)
                self._logger.error("This listener is already there for %s.", name)
                return _REFUSED
            listener_id = self._next_id
            self._next_id += 1
            listeners.append((listener_id, callback))
            return listener_id

    def remove_notification_listener(self, notification_id: int) -> bool:
        """Forget a listener; true when there was one of that id."""
        if not issubclass(type(notification_id), int | float):
            name = type(notification_id).__name__
            self._logger.error("A listener's id is a number, not %s.", name)
            return False
        with self._lock:
            for listeners in self._listeners.values():
                others = [pair for pair in listeners if not _equal(pair[0], notification_id)]
                if len(others) < len(listeners):
                    listeners[:] = others
                    return True
        return False

    def clear_notification_listeners(self, notification_type: str) -> None:
        """Forget all listeners of a type; an unknown type is logged and known from then on."""
        with self._lock:
            self._known(notification_type)
            if is_text(notification_type):
                self._listeners.setdefault(plain(notification_type), []).clear()

    def clear_all_notification_listeners(self) -> None:
        """Forget every listener."""
        with self._lock:
            for listeners in self._listeners.values():
                listeners.clear()

    def send_notifications(self, notification_type: str, *args: object) -> None:
        """Call the type's listeners in the order in which they were added."""
        for _, callback in tuple(self._known(notification_type) or ()):
            try:
                callback(*args)
            except Exception:
                name = plain(notification_type).partition(":")[0]
                self._logger.exception(
                    "A listener of %s raised; the others are still called.", name
                )

    def _known(self, notification_type: str) -> list[tuple[int, Listener]] | None:
        is_name = is_text(notification_type)
        listeners = self._listeners.get(plain(notification_type)) if is_name else None
        if listeners is None:
            self._logger.error("Unknown notification type: %s.", excerpt(notification_type))
        return listeners

    def _is_callable(self, callback: object) -> bool:
        if callable(callback):
            return True
        self._logger.error("A listener must be callable, not %s.", type(callback).__name__)
        return False


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - what is somebody else's may raise when it is compared
        return one is other
