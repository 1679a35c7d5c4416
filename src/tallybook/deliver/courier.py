"""Takes batches from the journal and brings them to the server, one request a step.

Everything here runs on one thread at a time (the outbox's worker, or whoever closes the outbox);
the journal is touched only under the lock shared with the outbox. Batches in hand form a stack
whose top goes next: a batch that is split or bisected becomes two, in order. A step never sleeps:
it says how long there is nothing to do.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from typing import Final

from tallybook.deliver.answer import Http, Meaning, Reply, backoff_s, meaning
from tallybook.deliver.journal import Batch, Item, Journal, Write
from tallybook.deliver.process import importing
from tallybook.deliver.quiet_log import QuietLog, without_login
from tallybook.deliver.settings import DeliverySettings, Surroundings
from tallybook.deliver.tally import Refusal, Tally

HEADERS: Final = {"Content-Type": "application/json"}
GZIP_HEADERS: Final = {**HEADERS, "Content-Encoding": "gzip"}

_GZIP_LEVEL: Final = 1  # a fifth of the time of level 6 for a tenth more bytes
_GZIP_CONTAINER: Final = 31  # zlib's window bits that ask for a gzip header and trailer
_RECOVERY_BATCHES: Final = 64  # batches delivered in a row before a lowered limit is doubled

Announce = Callable[[str, bytes], None]


class Courier:
    """Delivers batch after batch; what the server cannot take now stays in hand.

    ``delivered``, ``retried`` and ``settled`` count events; settled ones need no further attempt,
    delivered or refused. ``hurry`` makes part-full batches due at once. ``journal`` may be another
    one as long as nothing was kept.
    """

    def __init__(
        self,
        journal: Journal,
        lock: threading.RLock,
        http: Http,
        settings: DeliverySettings,
        surroundings: Surroundings,
        tally: Tally,
    ) -> None:
        self.journal = journal
        self._http = http
        self._settings = settings
        self._surroundings = surroundings
        self._tally = tally
        self._log = QuietLog(surroundings.monotonic, logger=surroundings.logger)
        self.announce: Announce | None = None
        self.write: Write | None = None
        self.reset(lock)

    def reset(self, lock: threading.RLock) -> None:
        """Begin with empty hands."""
        self._lock = lock
        self._hands: list[Batch] = []
        self._limit = self._settings.batch_size
        self._in_a_row = 0
        self._attempt = 0
        self._resting_until = -math.inf
        self._try_now = False
        self._due_at: float | None = None
        self.delivered = 0
        self.retried = 0
        self.settled = 0
        self.hurry = False

    def step(self) -> float | None:
        """Send at most one request.

        Returns:
            Seconds until there is something to do, 0 for at once, ``None`` for when items arrive.
        """
        now = self._surroundings.monotonic()
        if now < self._resting_until and not self._try_now:
            return self._resting_until - now
        if not self._hands:
            wait_s = self._take(now)
            if not self._hands:
                return wait_s
        batch = self._hands[-1]
        self._try_now = False
        if self._attempt:
            self.retried += len(batch.items)
        lock = self._lock
        reply = self._http.post(batch.envelope.url, *self._packed(batch))
        if self._lock is not lock:
            return 0.0  # the process forked meanwhile: the batch is the parent's
        self._settle(batch, reply)
        return 0.0

    def stop_resting(self) -> None:
        """Make one attempt at once, or another one after that which is under way."""
        self._try_now = True

    def empty_hands(self) -> None:
        """Give everything in hand back to the journal."""
        with self._lock:
            for batch in self._hands:
                self.journal.put_back(batch)
            self._hands.clear()

    def _take(self, now: float) -> float | None:
        with self._lock:
            waiting = self.journal.waiting()
            if not waiting:
                self._due_at = None
                return None
            if self._due_at is None:
                self._due_at = now + self._settings.flush_interval_s
            if waiting < self._limit and now < self._due_at and not self.hurry:
                return self._due_at - now
            taken = self.journal.take(self._limit, self._settings.max_batch_bytes)
            self._due_at = None
        if taken is not None:
            # Not under the lock: what is wrong with an event is logged, by whatever handler.
            self._hold(taken.written(self.write or _unwritten))
        return 0.0

    def _hold(self, batch: Batch) -> None:
        self._hands.append(batch)
        if batch.items:
            self._announce(batch)
        else:
            self._finish(batch)

    def _announce(self, batch: Batch) -> None:
        if self.announce is not None:
            self.announce(batch.envelope.url, _body(batch))

    def _packed(self, batch: Batch) -> tuple[bytes, dict[str, str]]:
        body, headers = _body(batch), dict(batch.envelope.headers)
        if not self._settings.gzip:
            return body, HEADERS | headers
        with importing:
            import zlib  # noqa: PLC0415 - on the worker, with the first batch

        packing = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_CONTAINER)
        return packing.compress(body) + packing.flush(), GZIP_HEADERS | headers

    def _settle(self, batch: Batch, reply: Reply) -> None:
        kind = meaning(reply.status)
        if kind is Meaning.DELIVERED:
            self._deliver(batch)
        elif kind is Meaning.RETRY:
            self._rest(self._retry_wait_s(reply))
            self._say(logging.WARNING, "retry", "Delivery is delayed", batch, reply)
        elif kind is Meaning.KEEP:
            self._rest(self._settings.refusal_wait_s * (1 + self._surroundings.chance()) / 2)
            self._say(logging.ERROR, "keep", _ADVICE.get(reply.status, _CHECK_URL), batch, reply)
        elif len(batch.items) > 1:
            self._divide(batch, lower_limit=kind is Meaning.SPLIT)
        else:
            self._refuse(batch, reply, is_size=kind is Meaning.SPLIT)

    def _deliver(self, batch: Batch) -> None:
        self._finish(batch, delivered=len(batch.items))
        self._in_a_row += 1
        if self._in_a_row >= _RECOVERY_BATCHES:
            self._in_a_row = 0
            self._limit = min(self._settings.batch_size, self._limit * 2)

    def _finish(self, batch: Batch, delivered: int = 0) -> None:
        self._hands.pop()
        self._attempt = 0
        self._resting_until = -math.inf
        with self._lock:
            self.journal.acknowledge(batch)
            self.delivered += delivered  # not before it is settled: who flushes compares them
            self.settled += batch.events

    def _rest(self, wait_s: float) -> None:
        self._attempt += 1
        self._resting_until = self._surroundings.monotonic() + wait_s

    def _retry_wait_s(self, reply: Reply) -> float:
        settings = self._settings
        jitter_s = backoff_s(
            self._attempt + 1,
            settings.backoff_base_s,
            settings.backoff_cap_s,
            self._surroundings.chance,
        )
        if reply.retry_after_s is None:
            return jitter_s
        wished_s = min(reply.retry_after_s, settings.max_retry_after_s)
        return wished_s + self._surroundings.chance() * settings.backoff_base_s

    def _divide(self, batch: Batch, *, lower_limit: bool) -> None:
        first, second = batch.halves()
        self._attempt = 0
        self._hands[-1:] = [second, first]
        if lower_limit:
            self._limit = len(first.items)
            self._in_a_row = 0

    def _refuse(self, batch: Batch, reply: Reply, *, is_size: bool) -> None:
        cause = Refusal.TOO_LARGE_FOR_SERVER if is_size else Refusal.REJECTED_BY_SERVER
        self._tally.refuse(cause)
        self.journal.quarantine(batch, reply.status, _reason(reply))
        self._finish(batch)
        self._say(logging.ERROR, cause, "The server refused an event for good", batch, reply)

    def _say(self, level: int, cause: str, what: str, batch: Batch, reply: Reply) -> None:
        answer = f"status {reply.status}" if reply.status else "no answer"
        self._log.say(
            level,
            cause,
            "%s: %s (%s from %s; events: %d)",
            what,
            _reason(reply),
            answer,
            without_login(batch.envelope.url),
            len(batch.items),
        )


_MAX_REASON: Final = 300  # characters of a server's reason in a log line
_CHECK_URL: Final = "Events are kept but the server does not take them, check the event URL"
_ADVICE: Final = {
    401: "Events are kept but the server asks for a token, check its settings and yours",
    403: "Events are kept but the server forbids them, check its settings and your token",
}


def _unwritten(drafts: Sequence[Item]) -> Sequence[bytes]:
    return [b""] * len(drafts)  # of which there are none where nobody writes them


def _reason(reply: Reply) -> str:
    return " ".join(reply.text.split())[:_MAX_REASON] or "no reason given"


def _body(batch: Batch) -> bytes:
    envelope = batch.envelope
    return envelope.opening + b",".join(batch.items) + envelope.closing
