"""The door of delivery: callers append, one worker thread sends, nobody waits.

One re-entrant lock guards the journal and the counters; it is held for moments only, never while
sending, so an append costs the caller no more than the append. Re-entrant, since a signal handler
or a finaliser may track an event while its own thread is appending one. The courier belongs to the
worker; when there is none (the interpreter is going down), to whoever closes.

The worker is started by the first event and again after a fork, whose child begins with nothing:
the events it inherited are delivered by its parent.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from tallybook.deliver.ages import Ages
from tallybook.deliver.answer import Http
from tallybook.deliver.courier import Announce, Courier
from tallybook.deliver.journal import Envelope, Item, Journal, Origin, Write
from tallybook.deliver.journal_place import JournalPlace
from tallybook.deliver.memory_journal import MemoryJournal
from tallybook.deliver.process import end_thread, tell_of_end, tell_of_forks
from tallybook.deliver.quiet_log import QuietLog
from tallybook.deliver.settings import DeliverySettings, Surroundings, bounded_s
from tallybook.deliver.tally import DeliveryStats, Refusal, Tally
from tallybook.deliver.worker import Worker

_LARGE: Final = 4_096  # bytes of an item that is counted at once
_MANY_DRAFTS: Final = 1_000  # the worker is called to take them in
_MAX_DRAFTS: Final = 10_000  # whoever adds another takes in many, since the worker does not come
_NEVER: Final = sys.maxsize
_FAULT_WAIT_S: Final = 1.0  # after a fault of our own, so that it cannot spin


class Outbox:
    """Events on their way out. Every method may be called from any thread.

    Small items may be handed in without the lock: to the journal's ``keep``, which puts them
    among the ``drafts``, and whoever then finds at least ``until_due`` there (looked at last, so
    that none is overlooked) calls :meth:`attend`.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        http: Http,
        *,
        surroundings: Surroundings | None = None,
        place: JournalPlace | None = None,
    ) -> None:
        self._settings = settings
        self._surroundings = surroundings or Surroundings()
        self._http = http
        self._place = place
        self._batch_size = settings.batch_size
        self._max_item_bytes = settings.max_batch_bytes
        self.tally = Tally()
        self.log = QuietLog(self._surroundings.monotonic, logger=self._surroundings.logger)
        self.drafts: deque[Item] = deque()
        memory = MemoryJournal(settings)
        memory.leave_at(self.drafts)
        if place is not None:
            memory.keep = self._keep_first
        self.journal: Journal = memory
        self.identity = self.journal.identity
        self._origin: Origin | None = None
        self._lock = threading.RLock()
        self._courier = Courier(
            self.journal, self._lock, http, settings, self._surroundings, self.tally
        )
        self._begin()
        tell_of_forks(self)
        tell_of_end(self)

    def _begin(self) -> None:
        self._progress = threading.Condition(self._lock)
        self._worker = Worker(self._work, self._lock, lambda: not self._is_stopping)
        self._is_closed = False
        self._is_stopping = False
        self._ages = Ages()
        self.drafts.clear()
        self.until_due = 1
        self._enough = 1  # items that wait, and the worker is to be called
        self._is_called = False  # and does not sleep until it has looked

    def announce_to(self, announce: Announce) -> None:
        """Call ``announce(url, body)`` on the worker just before a batch is first sent."""
        self._courier.announce = announce

    def write_with(self, write: Write) -> None:
        """Have drafts written by ``write``, on the worker: this process's, and those of others.

        Before that, what others have left stays where it is.
        """
        self._courier.write = write

    def aim(self, url: str, *, may_take_long: bool = False) -> None:
        """Deliver what processes that are gone have left for ``url``, in the background.

        Where their journal's place is not named, that is found out only if the call
        ``may_take_long``, some milliseconds; else the first event sees to it.
        """
        place = self._place
        if self._is_closed:
            return
        if place is not None:
            if not ((place.directory or may_take_long) and place.has_pages()):
                return
            self._open()
        if self.journal.aim(url):
            self._call_worker()

    def append(self, envelope: Envelope, item: bytes) -> None:
        """Keep an item until it is delivered, or refuse it and count why."""
        size = len(item)
        if size > self._max_item_bytes:
            self.tally.refuse(Refusal.TOO_LARGE)
            message = "An event of %d bytes is too large"
            self.log.say(logging.WARNING, Refusal.TOO_LARGE, message, size)
            return
        origin = self._origin
        if origin is None or origin.envelope is not envelope:
            origin = self._origin = Origin(envelope)
        self.journal.keep(Item(origin, item))
        if size > _LARGE or len(self.drafts) >= self.until_due:
            self.attend(is_large=size > _LARGE)

    def attend(self, *, is_large: bool = False) -> None:
        """See to the drafts: have the worker take them in, or do it here.

        That is where it takes the worker too long, or where one of them ``is_large``.
        """
        with self._lock:
            if self._is_closed or is_large:
                self._take_in()
            elif len(self.drafts) >= _MAX_DRAFTS:
                self._take_in(_MANY_DRAFTS)  # no more, so that nobody waits for long
            is_due = self._is_due()
        if is_due:
            self._call_worker()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Send what waits at once: neither for a batch to fill nor after a failure is waited.

        Returns:
            True when every event accepted before the call was delivered within ``timeout_s``
            (``None``: however long it takes); false also when the server refused one of them.
        """
        if self._worker.is_caller:
            return False  # a listener on the worker would wait for itself
        with self._lock:
            self._take_in()
            target = self._accepted()
            before = self._courier.settled - self._courier.delivered
            if self._courier.settled >= target:
                return True
            self._courier.stop_resting()
            self._hurry()
            self._progress.wait_for(lambda: self._is_settled(target), bounded_s(timeout_s))
            after = self._courier.settled - self._courier.delivered
            return self._courier.settled >= target and after == before

    def close(self, timeout_s: float | None) -> int:
        """Refuse further events, deliver what waits within ``timeout_s``, and end the worker.

        ``None`` is however long it takes.
        May be called again, and from a listener on the worker (then it does not wait).

        Returns:
            How many events are not delivered.
        """
        deadline = time.monotonic() + bounded_s(timeout_s)
        self.retire()
        if self._worker.is_alive:
            self.flush(timeout_s)
        else:
            self._drain_here(deadline)
        self._is_stopping = True
        self._worker.wake()
        if self._worker.join(deadline - time.monotonic()):
            self._courier.empty_hands()
        if not self._worker.is_alive:
            self.journal.release()
        return self.stats().waiting_events

    def retire(self) -> None:
        """Refuse further events and let the worker end by itself once everything is delivered."""
        with self._lock:
            self.journal.seal()
            self.until_due = 1  # before taking in: whoever comes later takes in by themselves
            self._take_in()
            self._is_closed = True
            if self.journal.holdings().events or self._worker.is_alive:
                self._courier.stop_resting()
                self._hurry()

    def stats(self) -> DeliveryStats:
        """What became of the events so far."""
        with self._lock:
            self._take_in()
            holdings = self.journal.holdings()
            return DeliveryStats(
                accepted=self._accepted(),
                delivered=self._courier.delivered,
                retried=self._courier.retried,
                refused=self.tally.refused(),
                flaws=self.tally.flaws(),
                waiting_events=holdings.events,
                waiting_bytes=holdings.bytes,
                oldest_waiting_s=self._ages.oldest_s(
                    self._courier.settled, self._surroundings.monotonic()
                ),
                **self.journal.counts(),
            )

    def begin_in_child(self) -> None:
        """Forget what is the parent's: locks, events, counts, connections."""
        self._lock = threading.RLock()
        self.tally.reset()
        self.journal.abandon()
        self._http.abandon()
        self._courier.reset(self._lock)
        was_closed = self._is_closed
        self._begin()
        self._is_closed = was_closed

    def prepare_end(self) -> None:
        """Refuse further events and hurry."""
        self.retire()

    def end(self, elapsed_s: float) -> None:
        """Deliver what waits, within the time the settings allow at exit."""
        if not self._is_stopping:
            self.close(max(0.0, self._settings.exit_timeout_s - elapsed_s))

    def _keep_first(self, item: Item) -> None:
        """Keep an item, and see first where."""
        self._open()
        self.journal.keep(item)

    def _open(self) -> None:
        with self._lock:
            place, self._place = self._place, None
            if place is None:
                return
            if not self._is_closed:
                self.journal = place.open(self._settings, self._surroundings)
            self._courier.journal = self.journal
            self.identity = self.journal.identity
            self.journal.leave_at(self.drafts)

    def _take_in(self, most: int = sys.maxsize) -> None:
        """Take in the drafts, or the oldest of them, under the lock."""
        drafts = self.drafts
        taken = [drafts.popleft() for _ in range(min(len(drafts), most))]
        if not taken:
            return
        refused = len(taken) if self._is_closed else self.journal.extend(taken)
        if refused:
            self._refuse_for_room(refused)
        if refused < len(taken):
            now = self._surroundings.monotonic()
            self._ages.note(self._accepted(), self._courier.settled, now)

    def _is_due(self) -> bool:
        """True, under the lock, when the worker is to be called; then not again until it sleeps."""
        if self._is_closed:
            self.until_due = 1
            return False
        if self._is_called:
            return False
        kept = self.journal.waiting()
        # Said before looking: of whoever adds a draft meanwhile, one sees the other.
        self.until_due = min(_MANY_DRAFTS, max(1, self._enough - kept))
        if kept < self._enough and len(self.drafts) < self.until_due:
            return False
        self._is_called = True
        self.until_due = _MAX_DRAFTS
        return True

    def _may_sleep(self, wait_s: float | None) -> bool:
        """Say what is enough to wake the worker; false when it is there already."""
        with self._lock:
            is_full = self.journal.waiting() >= self._batch_size  # and waits for something else
            self._enough = 1 if wait_s is None else _NEVER if is_full else self._batch_size
            self._is_called = False
            return not self._is_due()

    def _accepted(self) -> int:
        return self._courier.settled + self.journal.holdings().events

    def _is_settled(self, target: int) -> bool:
        return self._courier.settled >= target or self._is_stopping

    def _refuse_for_room(self, events: int) -> None:
        if self._is_closed:
            self.tally.refuse(Refusal.CLOSED, events)
            message = "Events tracked after close() are not sent"
            self.log.say(logging.WARNING, Refusal.CLOSED, message)
            return
        self.tally.refuse(Refusal.QUEUE_FULL, events)
        self.log.say(
            logging.WARNING,
            Refusal.QUEUE_FULL,
            "%d events wait already, further ones are refused until the server takes some",
            self.journal.holdings().events,
        )

    def _hurry(self) -> None:
        self._courier.hurry = True
        self._call_worker()

    def _call_worker(self) -> None:
        if not self._worker.call():
            # The next event tries again; or the interpreter is going down, and close() sends what
            # it can itself.
            self._is_called = False
            self.until_due = 1

    def _work(self, worker: Worker) -> None:
        courier = self._courier
        # In a fork's child, where green threads of the parent's go on, there is another worker.
        while worker is self._worker and not self._is_stopping:
            worker.look()
            with self._lock:
                self._take_in()
            due_s = self._guarded(lambda: self.journal.tend(courier.write))
            wait_s = self._guarded(courier.step)
            self._tell_progress()
            if wait_s is None and self._is_closed:
                break
            waits_s = [wait for wait in (wait_s, due_s) if wait is not None]
            nap_s = min(waits_s, default=None)
            if nap_s != 0 and self._may_sleep(wait_s):
                worker.sleep(nap_s)
        if worker is self._worker:
            self.journal.release()
        end_thread()

    def _drain_here(self, deadline: float) -> None:
        while (left_s := deadline - time.monotonic()) > 0:
            self._worker.look()
            wait_s = self._guarded(self._courier.step)
            if wait_s is None:
                return
            self._worker.sleep(min(wait_s, left_s))

    def _guarded(self, step: Callable[[], float | None]) -> float | None:
        try:
            return step()
        except Exception as error:  # noqa: BLE001 - the worker must outlive any fault
            self.log.say(
                logging.ERROR,
                "fault",
                "Delivery stumbled and goes on: %s: %s",
                type(error).__name__,
                error,
            )
            return _FAULT_WAIT_S

    def _tell_progress(self) -> None:
        with self._lock:
            if not self.journal.holdings().events:
                self._courier.hurry = False
            self._progress.notify_all()
