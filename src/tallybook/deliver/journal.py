"""What is kept until a server has it: the seam between the outbox and whatever keeps events.

A journal is not thread-safe by itself: the outbox calls it under its lock, so no call may be slow.
Events have numbers, in the order of appending, without gaps; a batch is a stretch of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

FULL: Final = 0
SUFFIX: Final = ".journal"  # of a file's name


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


class Origin(Struct, frozen=True, eq=False, gc=False):
    """What items share: where they go, and who they tell of.

    ``size`` is about how many bytes an item will have beside its text. Two are never equal, so that
    one is quickly found.
    """

    envelope: Envelope
    author: bytes = b""
    size: int = 0


class Item(Struct, gc=False):
    """An event: its bytes, or, with a ``frame``, what they are made of when it is sent.

    ``position`` is where a journal on disk has it, and ``identity`` what it is called there; other
    events are named when they are written. Nothing here refers back to an item, so the garbage
    collector, whose rounds every container hastens, need not know of it.
    """

    origin: Origin
    text: bytes
    frame: Any = None  # a tuple of bytes that its writer needs
    at_ns: int = 0
    position: int = 0
    identity: bytes = b""


# Writes items that have a frame; never raises, and has b"", once it said so, for what it cannot.
Write = Callable[[Sequence[Item]], Sequence[bytes]]


class Taken(Struct, frozen=True):
    """What was handed out: items of one envelope, of which ``first`` is the number of the first.

    The journal counts them as ``size`` bytes. Once they are settled, so is everything before the
    position ``end``.
    """

    envelope: Envelope
    first: int
    items: tuple[Item, ...]
    size: int
    end: int = 0

    def written(self, write: Write) -> Batch:
        """The same as bytes, without those for which ``write`` has none."""
        drafts = [item for item in self.items if item.frame is not None]
        texts: Iterable[bytes] = write(drafts) if drafts else ()
        if len(drafts) < len(self.items):
            of_drafts = iter(texts)
            texts = [item.text if item.frame is None else next(of_drafts) for item in self.items]
        items = tuple([text for text in texts if text])
        return Batch(self.envelope, self.first, items, len(self.items), self.size, self.end)


class Batch(Struct, frozen=True):
    """The bytes of one request's items; ``first`` is the journal's number of the first one.

    The journal counts them as ``events`` events of ``size`` bytes; ``end`` is :class:`Taken`'s.
    """

    envelope: Envelope
    first: int
    items: tuple[bytes, ...]
    events: int
    size: int
    end: int = 0

    def halves(self) -> tuple[Batch, Batch]:
        """The same items as two batches, in order."""
        middle = len(self.items) // 2
        items, others = self.items[:middle], self.items[middle:]
        size = sum(map(len, items))
        rest = (self.first + middle, others, self.events - middle, self.size - size, self.end)
        return Batch(self.envelope, self.first, items, middle, size), Batch(self.envelope, *rest)


class Holdings(Struct, frozen=True):
    """What a journal holds: all that is not acknowledged, taken or not."""

    events: int
    bytes: int


class Journal(Protocol):
    """What keeps events between ``append`` and ``acknowledge``."""

    @property
    def keep(self) -> Callable[[Item], object]:
        """What makes an item safe and puts it among the drafts, in the same order.

        It may be called from any thread, and another may take its place with any call.
        """
        ...

    def leave_at(self, drafts: deque[Item]) -> None:
        """Say what the drafts are."""
        ...

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

    def identity(self, position: int) -> bytes:
        """The identity of an event that was kept at a position."""
        ...

    def aim(self, url: str) -> bool:
        """Also deliver what others have left for ``url``; true when there may be some."""
        ...

    def quarantine(self, batch: Batch, status: int, reason: str) -> None:
        """Set aside, for people to look at, what the server refused for good."""
        ...

    def counts(self) -> Mapping[str, int]:
        """What it counts beside its holdings, by the names of :class:`DeliveryStats`."""
        ...

    def tend(self, write: Write | None) -> float | None:
        """Do what is due, on the worker; in how many seconds to call again, ``None`` for never.

        What others left is adopted only by who can ``write`` it.
        """
        ...

    def seal(self) -> None:
        """Make nothing safe any more: what is put among the drafts from now on is refused."""
        ...

    def release(self) -> None:
        """Leave what is kept to whoever comes next."""
        ...
