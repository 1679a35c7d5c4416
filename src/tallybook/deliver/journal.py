"""What is kept until a server has it: the seam, and the journal in memory.

A journal is not thread-safe by itself: the outbox calls it under its lock, so no call may be slow.
Events have numbers, in the order of appending, without gaps; a batch is a stretch of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from tallybook.deliver.settings import DeliverySettings

FULL: Final = 0


@dataclass(frozen=True, slots=True)
class Envelope:
    """Where items go, and what stands before and after them (joined by commas) in a body."""

    url: str
    opening: bytes
    closing: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Items of one envelope; ``first`` is the journal's number of the first one."""

    envelope: Envelope
    first: int
    items: tuple[bytes, ...]

    def halves(self) -> tuple[Batch, Batch]:
        """The same items as two batches, in order."""
        middle = len(self.items) // 2
        return (
            Batch(self.envelope, self.first, self.items[:middle]),
            Batch(self.envelope, self.first + middle, self.items[middle:]),
        )


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a journal holds: all that is not acknowledged, taken or not."""

    events: int
    bytes: int


class Journal(Protocol):
    """What keeps events between ``append`` and ``acknowledge``."""

    def append(self, envelope: Envelope, item: bytes) -> int:
        """Keep an item; how many can be taken now, or ``FULL`` when there was no room for it."""
        ...

    def waiting(self) -> int:
        """How many items can be taken."""
        ...

    def take(self, max_events: int, max_bytes: int) -> Batch | None:
        """Hand out the oldest items of one envelope, at least one; they stay kept."""
        ...

    def acknowledge(self, batch: Batch) -> None:
        """Forget items that were handed out."""
        ...

    def put_back(self, batch: Batch) -> None:
        """Take items back that were handed out; they are the oldest again."""
        ...

    def holdings(self) -> Holdings:
        """How much is kept."""
        ...

    def abandon(self) -> None:
        """Forget everything, without a trace: a forked child's copy belongs to its parent."""
        ...


class MemoryJournal:
    """A journal that lives as long as the process."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._max_events = settings.max_waiting_events
        self._max_bytes = settings.max_waiting_bytes
        self._bytes = 0
        self.abandon()

    def append(self, envelope: Envelope, item: bytes) -> int:
        """Keep an item while both bounds allow it."""
        size = len(item)
        if self._events >= self._max_events or self._bytes + size > self._max_bytes:
            return FULL
        # Nothing is called between reading a counter and storing it: a signal handler on this very
        # thread could append in between.
        self._events += 1
        self._bytes += size
        self._pending.append((envelope, item))
        return len(self._pending)

    def waiting(self) -> int:
        """How many items were not handed out yet."""
        return len(self._pending)

    def take(self, max_events: int, max_bytes: int) -> Batch | None:
        """Hand out a stretch of one envelope."""
        pending = self._pending
        if not pending:
            return None
        envelope = pending[0][0]
        items: list[bytes] = []
        size = len(envelope.opening) + len(envelope.closing) - 1  # one comma less than items
        while pending and len(items) < max_events:
            candidate, item = pending[0]
            size += len(item) + 1
            is_same = candidate is envelope or candidate == envelope
            if not is_same or (items and size > max_bytes):
                break
            items.append(item)
            pending.popleft()
        batch = Batch(envelope, self._next, tuple(items))
        self._next += len(items)
        return batch

    def acknowledge(self, batch: Batch) -> None:
        """Forget the batch's items."""
        count, size = len(batch.items), sum(map(len, batch.items))
        self._events -= count
        self._bytes -= size

    def put_back(self, batch: Batch) -> None:
        """Make the batch's items the oldest again."""
        self._pending.extendleft((batch.envelope, item) for item in reversed(batch.items))
        self._next = batch.first

    def holdings(self) -> Holdings:
        """How much is kept."""
        return Holdings(self._events, self._bytes)

    def abandon(self) -> None:
        """Start empty."""
        self._pending: deque[tuple[Envelope, bytes]] = deque()
        self._events = 0
        self._bytes = 0
        self._next = 0
