"""The journal in memory: a queue that lives as long as the process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from tallybook.deliver.journal import FULL, Batch, Holdings, Item, Origin, Taken, Write
from tallybook.deliver.settings import DeliverySettings


class MemoryJournal:
    """A journal that lives as long as the process."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._max_events = settings.max_waiting_events
        self._max_bytes = settings.max_waiting_bytes
        self._bytes = 0
        self.keep: Callable[[Item], object] = _lose
        self.abandon()

    def leave_at(self, drafts: deque[Item]) -> None:
        """Have items put among the drafts, and no more."""
        self.keep = drafts.append

    def append(self, item: Item) -> int:
        """Keep an item while both bounds allow it."""
        size = item.origin.size + len(item.text)
        if self._events >= self._max_events or self._bytes + size > self._max_bytes:
            return FULL
        # Nothing is called between reading a counter and storing it: a signal handler on this very
        # thread could append in between.
        self._events += 1
        self._bytes += size
        pending = self._pending
        pending.append(item)
        return len(pending)

    def extend(self, items: Sequence[Item]) -> int:
        """Keep items while both bounds allow it."""
        size = sum([item.origin.size + len(item.text) for item in items])
        if self._events + len(items) > self._max_events or self._bytes + size > self._max_bytes:
            return sum(self.append(item) == FULL for item in items)
        self._events += len(items)
        self._bytes += size
        self._pending.extend(items)
        return 0

    def waiting(self) -> int:
        """How many items were not handed out yet."""
        return len(self._pending)

    def take(self, max_events: int, max_bytes: int) -> Taken | None:
        """Hand out a stretch of one envelope."""
        pending = self._pending
        items = [pending.popleft() for _ in range(min(len(pending), max_events))]
        if not items:
            return None
        envelope = items[0].origin.envelope
        sizes = [item.origin.size + len(item.text) for item in items]
        others = [item for item in items if item.origin.envelope is not envelope]
        most = max_bytes - len(envelope.opening) - len(envelope.closing) + 1  # one comma less
        if others or sum(sizes) + len(sizes) > most:
            fitting = _fitting(items, sizes, most)
            pending.extendleft(reversed(items[fitting:]))
            del items[fitting:], sizes[fitting:]
        # The last may be in memory only, where a disk was full.
        end = next((item.position + 1 for item in reversed(items) if item.position), 0)
        taken = Taken(envelope, self._next, tuple(items), sum(sizes), end)
        self._next += len(items)
        return taken

    def acknowledge(self, batch: Batch) -> None:
        """Forget the batch's items."""
        self._events -= batch.events
        self._bytes -= batch.size

    def put_back(self, batch: Batch) -> None:
        """Make the batch's items the oldest again."""
        origin = Origin(batch.envelope)
        items = [Item(origin, text) for text in batch.items]
        size = sum(map(len, batch.items))
        self._events += len(items) - batch.events
        self._bytes += size - batch.size
        self._pending.extendleft(reversed(items))
        self._next = batch.first

    def holdings(self) -> Holdings:
        """How much is kept."""
        return Holdings(self._events, self._bytes)

    def identity(self, position: int) -> bytes:
        """None has one: events get theirs when they are written."""
        raise LookupError(position)

    def aim(self, url: str) -> bool:  # noqa: ARG002 - for journals that others have left
        """Nothing outlives a process."""
        return False

    def quarantine(self, batch: Batch, status: int, reason: str) -> None:
        """Nothing is kept but the line in the log."""

    def counts(self) -> Mapping[str, int]:
        """Nothing more."""
        return {}

    def tend(self, write: Write | None) -> float | None:  # noqa: ARG002 - for journals that need it
        """Nothing is ever due."""
        return None

    def seal(self) -> None:
        """Nothing changes."""

    def release(self) -> None:
        """Nobody comes."""

    def abandon(self) -> None:
        """Start empty."""
        self._pending: deque[Item] = deque()
        self._events = 0
        self._bytes = 0
        self._next = 0


def _lose(_item: Item) -> None:
    raise LookupError("nobody said where items are to be left")


def _fitting(items: Sequence[Item], sizes: Sequence[int], most: int) -> int:
    """How many of the first, at least one, have one envelope and, with commas, ``most`` bytes."""
    envelope, total = items[0].origin.envelope, sizes[0] + 1
    for number in range(1, len(items)):
        total += sizes[number] + 1
        if total > most or items[number].origin.envelope != envelope:
            return number
    return len(items)
