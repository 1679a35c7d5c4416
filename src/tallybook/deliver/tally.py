"""What became of every event, counted; nothing is dropped without a number here."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct


class Refusal(StrEnum):
    """Why an event will not be delivered."""

    INVALID_ARGUMENT = "invalid_argument"
    NOT_READY = "not_ready"
    UNKNOWN_EVENT = "unknown_event"
    CLOSED = "closed"
    TOO_LARGE = "too_large"
    QUEUE_FULL = "queue_full"
    REJECTED_BY_SERVER = "rejected_by_server"
    TOO_LARGE_FOR_SERVER = "too_large_for_server"


class DeliveryStats(Struct, frozen=True):
    """Counts since the client began (in a forked child: since the fork).

    ``accepted`` events are delivered, waiting, or refused by the server; the other causes of
    ``refused`` name events that were never accepted. ``retried`` counts events once for each time
    they were sent again, ``flaws`` tags and attributes that events had to go without. What waits
    longest has done so for ``oldest_waiting_s`` seconds, give or take a batch's wait for company.

    Of a journal on disk: ``in_memory_only`` events are accepted that it could not take, ``adopted``
    ones were left by processes that are gone, and ``damaged_bytes`` of what they left are lost.
    """

    accepted: int
    delivered: int
    retried: int
    refused: Mapping[str, int]
    flaws: Mapping[str, int]
    waiting_events: int
    waiting_bytes: int
    oldest_waiting_s: float = 0.0
    in_memory_only: int = 0
    adopted: int = 0
    damaged_bytes: int = 0


class Tally:
    """The counters behind :class:`DeliveryStats`, except what the outbox counts itself."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Count from zero, with a lock of its own: another process's may be held for ever."""
        self._lock = threading.RLock()
        self._refused: defaultdict[str, int] = defaultdict(int)
        self._flaws: defaultdict[str, int] = defaultdict(int)

    def refuse(self, cause: Refusal, events: int = 1) -> None:
        """Count events that will not be delivered."""
        with self._lock:
            self._refused[cause.value] += events

    def flaw(self, name: str) -> None:
        """Count a tag or attribute an event goes without."""
        with self._lock:
            self._flaws[name] += 1

    def refused(self) -> Mapping[str, int]:
        """Cause → events."""
        with self._lock:
            return MappingProxyType(dict(self._refused))

    def flaws(self) -> Mapping[str, int]:
        """Flaw → tags and attributes."""
        with self._lock:
            return MappingProxyType(dict(self._flaws))
