"""What is kept until a server has it: the seam, and the journal in memory.

A journal is not thread-safe by itself: the outbox calls it under its lock, so no call may be slow.
Events have numbers, in the order of appending, without gaps; a batch is a stretch of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from tallybook.deliver.settings import DeliverySettings

FULL: Final = 0


class Envelope(Struct, frozen=True):
    """Where items go, and what stands before and after them (joined by commas) in a body.

    ``headers`` are those a request needs beside the ones every request has.
    """

    url: str
    opening: bytes
    closing: bytes
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        # A key may be among the headers.
        return f"Envelope(url={self.url!r}, opening={self.opening!r}, closing={self.closing!r})"


class Origin(Struct, frozen=True, gc=False):
    """What items share: where they go, and who they tell of.

    ``size`` is about how many bytes an item will have beside its text.
    """

    envelope: Envelope
    author: bytes = b""
    size: int = 0


class Item(Struct, gc=False):
    """An event: its bytes, or, with a ``frame``, what they are made of when it is sent.

    Nothing here refers back to an item, so the garbage collector, whose rounds every container
    hastens, need not know of it.
    """

    origin: Origin
    text: bytes
    frame: Any = None  # whatever its writer needs
    at_ns: int = 0


# Writes items that have a frame; never raises, and has b"", once it said so, for what it cannot.
Write = Callable[[Sequence[Item]], Sequence[bytes]]


class Taken(Struct, frozen=True):
    """What was handed out: items of one envelope, of which ``first`` is the number of the first.

    The journal counts them as ``size`` bytes.
    """

    envelope: Envelope
    first: int
    items: tuple[Item, ...]
    size: int

    def written(self, write: Write) -> Batch:
        """The same as bytes, without those for which ``write`` has none."""
        drafts = [item for item in self.items if item.frame is not None]
        texts: Iterable[bytes] = write(drafts) if drafts else ()
        if len(drafts) < len(self.items):
            of_drafts = iter(texts)
            texts = [item.text if item.frame is None else next(of_drafts) for item in self.items]
        items = tuple([text for text in texts if text])
        return Batch(self.envelope, self.first, items, len(self.items), self.size)


class Batch(Struct, frozen=True):
    """The bytes of one request's items; ``first`` is the journal's number of the first one.

    The journal counts them as ``events`` events of ``size`` bytes.
    """

    envelope: Envelope
    first: int
    items: tuple[bytes, ...]
    events: int
    size: int

    def halves(self) -> tuple[Batch, Batch]:
        """The same items as two batches, in order."""
        middle = len(self.items) // 2
        items, others = self.items[:middle], self.items[middle:]
        size = sum(map(len, items))
        return (
            Batch(self.envelope, self.first, items, middle, size),
            Batch(
                self.envelope, self.first + middle, others, self.events - middle, self.size - size
            ),
        )


class Holdings(Struct, frozen=True):
    """What a journal holds: all that is not acknowledged, taken or not."""

    events: int
    bytes: int


class Journal(Protocol):
    """What keeps events between ``append`` and ``acknowledge``."""

    def append(self, item: Item) -> int:
        """Keep an item; how many can be taken now, or ``FULL`` when there was no room for it."""
        ...

    def extend(self, items: Sequence[Item]) -> int:
        """Keep items; how many of the last there was no room for."""
        ...

    def waiting(self) -> int:
        """How many items can be taken."""
        ...

    def take(self, max_events: int, max_bytes: int) -> Taken | None:
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
        taken = Taken(envelope, self._next, tuple(items), sum(sizes))
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

    def abandon(self) -> None:
        """Start empty."""
        self._pending: deque[Item] = deque()
        self._events = 0
        self._bytes = 0
        self._next = 0


def _fitting(items: Sequence[Item], sizes: Sequence[int], most: int) -> int:
    """How many of the first, at least one, have one envelope and, with commas, ``most`` bytes."""
    envelope, total = items[0].origin.envelope, sizes[0] + 1
    for number in range(1, len(items)):
        total += sizes[number] + 1
        if total > most or items[number].origin.envelope != envelope:
            return number
    return len(items)
