"""Who takes events: in batches on a thread of their own, or one at a time on the caller's."""

from __future__ import annotations

import logging
import queue
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from numbers import Integral
from typing import Any, Final, cast

from msgspec.structs import replace

from tallybook.deliver.journal_place import usual_place
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.process import tell_of_forks
from tallybook.deliver.settings import LONGEST_S, DeliverySettings, Surroundings
from tallybook.deliver.tally import Refusal
from tallybook.notify import NotificationType
from tallybook.optimizely._askable import askable
from tallybook.optimizely._logging import Logger, adapted
from tallybook.optimizely.event._carrier import Carrier
from tallybook.optimizely.event.event_factory import FLAWED, EventFactory, request, write
from tallybook.optimizely.event.user_event import UserEvent
from tallybook.optimizely.event_dispatcher import CustomEventDispatcher, EventDispatcher
from tallybook.optimizely.logger import NoOpLogger, adapt_logger
from tallybook.optimizely.notification_center import NotificationCenter

_LARGEST: Final = 2**53
_MOST_IN_A_BATCH: Final = 5_000  # events; the Event API takes 3.5 MB in one request


class BaseEventProcessor(ABC):
    """What an event processor of your own derives from."""

    @abstractmethod
    def process(self, user_event: UserEvent) -> None:
        """Take an event."""


class BatchEventProcessor(BaseEventProcessor):
    """Sends events in batches, on a thread of its own.

    It begins with its first event, whether it was started or not. What could not be delivered is
    tried again; nothing that waits is lost before the process ends, and then only what the server
    does not take within ``timeout_interval``.

    Args:
        event_dispatcher: What carries the batches; the SDK's own connections unless given.
        logger: Where delivery logs.
        start_on_init: Whether :meth:`start` is called at once.
        event_queue: As many events as it has room for may wait, beside one batch; 100,000 unless
            given.
        batch_size: How many events a request carries at most.
        flush_interval: How long, in seconds, the first event of a batch waits for company.
        timeout_interval: How long, in seconds, :meth:`stop` and the end of the process wait.
        notification_center: Who is told of each batch.
    """

    _DEFAULT_BATCH_SIZE: Final = 10
    _DEFAULT_FLUSH_INTERVAL: Final = 30
    _DEFAULT_TIMEOUT_INTERVAL: Final = 5

    def __init__(  # noqa: PLR0913, PLR0917 - as official
        self,
        event_dispatcher: CustomEventDispatcher | None = None,
        logger: Logger | None = None,
        start_on_init: bool = False,
        event_queue: queue.Queue[Any] | None = None,
        batch_size: int | None = None,
        flush_interval: float | None = None,
        timeout_interval: float | None = None,
        notification_center: NotificationCenter | None = None,
    ) -> None:
        self.event_dispatcher = askable(event_dispatcher) or EventDispatcher
        self.logger = adapt_logger(askable(logger) or NoOpLogger())
        self._log = adapted(self.logger)
        self.event_queue = event_queue
        self.batch_size: int = self._positive(
            "batch_size", batch_size, Integral, self._DEFAULT_BATCH_SIZE
        )
        self.flush_interval = self._interval(
            "flush_interval", flush_interval, self._DEFAULT_FLUSH_INTERVAL
        )
        self.timeout_interval = self._interval(
            "timeout_interval", timeout_interval, self._DEFAULT_TIMEOUT_INTERVAL
        )
        self.notification_center = _center(notification_center, self.logger)
        self._carrier = Carrier(self.event_dispatcher)
        self._is_started = False
        self._is_stopped = False
        self.outbox = self._new_outbox()
        self.begin_in_child()
        tell_of_forks(self)
        if start_on_init is True:
            self.start()

    def begin_in_child(self) -> None:
        """Have a lock of its own: the parent's may be held for ever."""
        self._lock = threading.RLock()  # a signal's handler may stop what its thread just starts

    @property
    def is_running(self) -> bool:
        """True from the start, or else the first event, until it is stopped."""
        if self._is_stopped:
            return False
        return self._is_started or self.outbox.stats().accepted > 0

    def start(self) -> None:
        """Take events in, again after :meth:`stop`."""
        with self._lock:
            if self._is_started:
                self._log.warning("The event processor is running already.")
                return
            if self._is_stopped:
                self.outbox = self._new_outbox()
            self._is_started, self._is_stopped = True, False

    def flush(self) -> None:
        """Have what waits sent at once; it is not waited for."""
        self.outbox.flush(0)

    def process(self, user_event: UserEvent) -> None:
        """Take an event; nothing is waited for."""
        outbox, written = self.outbox, write(user_event, self._log)
        if written is None:
            outbox.tally.refuse(Refusal.INVALID_ARGUMENT)
            return
        for remark in written.remarks:
            outbox.tally.flaw(remark.flaw.value)
            outbox.log.say(logging.WARNING, remark.flaw, FLAWED, remark.key, remark.flaw.value)
        outbox.append(written.envelope, written.item)

    def stop(self) -> None:
        """Refuse further events and wait until the others are delivered.

        It waits ``timeout_interval`` at most; what is not delivered then, still will be if the
        process goes on.
        """
        with self._lock:
            self._is_started, self._is_stopped = False, True
        self.outbox.retire()
        self.outbox.flush(self.timeout_interval.total_seconds())
        waiting = self.outbox.stats().waiting_events
        if waiting:
            self._log.error("The event processor has stopped; events not delivered: %d.", waiting)

    def _new_outbox(self) -> Outbox:
        room = _room(self.event_queue)
        batch_size = min(int(self.batch_size), _MOST_IN_A_BATCH)
        settings = DeliverySettings(
            batch_size=batch_size,
            flush_interval_s=self.flush_interval.total_seconds(),
            exit_timeout_s=self.timeout_interval.total_seconds(),
        )
        if room:
            settings = replace(settings, max_waiting_events=room + batch_size)
        outbox = Outbox(
            settings,
            self._carrier,
            surroundings=Surroundings(logger=self._log),
            place=usual_place(carries_real_events=self._carrier.is_own),
        )
        outbox.announce_to(_teller(self.notification_center))
        # When nobody has the processor any more there will be no further events.
        weakref.finalize(self, outbox.retire).atexit = False
        return outbox

    def _interval(self, name: str, seconds: Any, default: int) -> timedelta:
        usable = self._positive(name, seconds, Integral | float, default)
        return timedelta(seconds=min(float(usable), LONGEST_S))

    def _positive(self, name: str, value: Any, kind: Any, default: int) -> Any:
        """``value`` if it is a number of that kind, neither too small nor too large."""
        number = askable(value)
        is_number = isinstance(number, kind) and not isinstance(number, bool)
        if is_number and 0 < number <= _LARGEST:  # NaN is not between them either
            return number
        self._log.info("%s: %d is used.", name, default)
        return default


class ForwardingEventProcessor(BaseEventProcessor):
    """Sends each event by itself, on the caller's thread; a failure is logged."""

    def __init__(
        self,
        event_dispatcher: CustomEventDispatcher | None,
        logger: Logger | None = None,
        notification_center: NotificationCenter | None = None,
    ) -> None:
        self.event_dispatcher = askable(event_dispatcher) or EventDispatcher
        self.logger = adapt_logger(askable(logger) or NoOpLogger())
        self._log = adapted(self.logger)
        self.notification_center = _center(notification_center, self.logger)

    def process(self, user_event: UserEvent) -> None:
        """Send an event and wait for it."""
        log_event = EventFactory.create_log_event(user_event, self._log)
        if log_event is None:
            return
        self.notification_center.send_notifications(NotificationType.LOG_EVENT, log_event)
        try:
            self.event_dispatcher.dispatch_event(log_event)
        except Exception:  # noqa: BLE001 - somebody else's code
            self._log.exception("The event is not sent: the event dispatcher raised.")


def _room(event_queue: Any) -> int:
    """How many events a queue has room for; 0 where there is no end to it."""
    try:
        room = event_queue.maxsize
        return max(0, room) if type(room) is int else 0
    except Exception:  # noqa: BLE001 - something that is no queue
        return 0


def _center(given: object, logger: Logger) -> NotificationCenter:
    if isinstance(askable(given), NotificationCenter):
        return cast("NotificationCenter", given)
    if given is not None:
        name = type(given).__name__
        adapted(logger).error("notification_center: a %s is none, a new one is used.", name)
    return NotificationCenter(logger)


def _teller(notifications: NotificationCenter) -> Callable[[str, bytes], None]:
    """What tells listeners of a batch that is about to be sent."""

    def tell(url: str, body: bytes) -> None:
        if notifications.has_listeners(NotificationType.LOG_EVENT):
            notifications.send_notifications(NotificationType.LOG_EVENT, request(url, body))

    return tell
