"""A journal on disk: what is tracked is in a file before the call returns.

The queue is still the one in memory; the pages beside it are written first and read only after a
process has died, by the next one that comes upon them. A page is removed when everything on it is
settled. Where a page cannot be made (a full disk, a directory that cannot be written), memory has
to do: it is said once, and counted.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from tallybook.deliver.journal import Batch, Envelope, Item, Origin, Write
from tallybook.deliver.journal_files import has_pages, make_page, ownerless_pages
from tallybook.deliver.journal_page import Page, Recovered, room_for
from tallybook.deliver.memory_journal import MemoryJournal
from tallybook.deliver.quiet_log import QuietLog
from tallybook.deliver.settings import DeliverySettings, Surroundings

LOOK_S: Final = 10.0  # how often a living process looks for what dead ones left
_SMALLEST_PAGE: Final = 256 * 1024  # a process that tracks little takes little room
_LARGEST_PAGE: Final = 4 * 2**20
_FAILURE_WAIT_S: Final = 5.0  # before a page is tried for again
_ADOPTED_AT_ONCE: Final = 1_000
_REFUSED: Final = -1  # in a position's place: there was no room, so it was not written


class DiskJournal(MemoryJournal):
    """A journal whose pages stand in a directory, which any number of processes may share.

    Args:
        settings: How much may wait, and how often pages are synced.
        directory: Where pages are; it is created when the first is written.
        surroundings: The clock and the log.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        directory: str | os.PathLike[str],
        surroundings: Surroundings,
    ) -> None:
        self._settings = settings
        self._directory = Path(directory)
        self._monotonic = surroundings.monotonic
        self._log = QuietLog(surroundings.monotonic, logger=surroundings.logger)
        self._pages: deque[Page] = deque()
        self._page: Page | None = None
        self._spare: Page | None = None
        self._orphan: tuple[Page, Iterator[Recovered]] | None = None
        self._drafts: deque[Item] = deque()
        self._retry_at = self._sync_at = self._look_at = 0.0
        self._room = self._room_bytes = 0
        super().__init__(settings)

    def keeper(self, drafts: deque[Item]) -> Callable[[Item], object]:
        """Write an item and put it among the drafts."""
        self._drafts = drafts
        return self.keep

    def keep(self, item: Item) -> None:
        """Write an item if there is room, and put it among the drafts, in the same order.

        Whether there is room is decided here, once: what is refused must not be on the disk, where
        the next process would find it.
        """
        size = item.origin.size + len(item.text)
        writing = self._writing
        writing.acquire()  # half the time of ``with``
        try:
            room, room_bytes = self._room - 1, self._room_bytes - size
            if room < 0 or room_bytes < 0:
                item.position = _REFUSED
            else:
                self._room, self._room_bytes = room, room_bytes
                page = self._page
                item.position = (page and page.add(item)) or self._add_to_next(item)
            self._drafts.append(item)
        finally:
            writing.release()

    def extend(self, items: Sequence[Item]) -> int:
        """Take in what there was room for; how many there was none for."""
        kept = [item for item in items if item.position != _REFUSED]
        self._events += len(kept)
        self._bytes += sum([item.origin.size + len(item.text) for item in kept])
        self._pending.extend(kept)
        return len(items) - len(kept)

    def identity(self, position: int) -> bytes:
        """The identity of an event that this process has written, as text."""
        return b"%b%012x" % (self._prefix, position)

    def has_heritage(self) -> bool:
        """True when there are pages, perhaps of living processes."""
        return has_pages(self._directory)

    def counts(self) -> Mapping[str, int]:
        """Events that no page could take, those of dead processes, and what of them was damaged."""
        return {
            "in_memory_only": self._in_memory_only,
            "adopted": self._adopted,
            "damaged_bytes": self._damaged_bytes,
        }

    def acknowledge(self, batch: Batch) -> None:
        """Forget the batch's items, and remove pages that nobody needs any more."""
        super().acknowledge(batch)
        self._make_room(batch.events, batch.size)
        pages = self._pages
        while batch.end and pages:
            page = pages[0]
            page.settle(batch.end)
            if page is self._page or not page.is_settled:
                break
            pages.popleft()
            page.remove()

    def put_back(self, batch: Batch) -> None:
        """Make the batch's items the oldest again; drafts are written by now."""
        events, size = self._events, self._bytes
        super().put_back(batch)
        self._make_room(events - self._events, size - self._bytes)

    def tend(self, write: Write) -> float | None:
        """Sync, have the next page ready, and adopt what dead processes left."""
        now = self._monotonic()
        if now >= self._sync_at:
            self._sync()
            self._sync_at = now + self._settings.journal_sync_s
        self._prepare_next()
        if now >= self._look_at:
            if self._adopt(write):
                return 0.0
            self._look_at = now + LOOK_S
        is_dirty = any(page.end != self._synced.get(page) for page in list(self._pages))
        return min(self._look_at, self._sync_at if is_dirty else self._look_at) - now

    def seal(self) -> None:
        """Write nothing more."""
        with self._writing:
            self._is_sealed = True
            self._page = None

    def release(self) -> None:
        """Remove what is settled; whatever else there is, the next process adopts."""
        with self._writing:
            self._is_sealed = True
            self._page = None
            pages, self._pages = self._pages, deque()
            spare, self._spare = self._spare, None
            orphan, self._orphan = self._orphan, None
        for page in pages:
            if page.is_settled:
                page.remove()
            else:
                page.close()
        if spare is not None:
            spare.remove()
        if orphan is not None:
            orphan[0].close()

    def abandon(self) -> None:
        """Start empty, under another name; the pages stay their owner's."""
        super().abandon()
        for page in (*self._pages, self._spare, self._orphan and self._orphan[0]):
            if page is not None:
                page.close()
        self._writing = threading.RLock()
        self._pages.clear()
        self._spare = None
        self._orphan = None
        self._page = None
        self._is_sealed = False
        self._prefix = identity_prefix()
        self._next_first = 0
        self._next_size = _SMALLEST_PAGE
        self._synced: dict[Page, int] = {}
        self._retry_at = self._sync_at = self._look_at = self._monotonic()
        self._room, self._room_bytes = self._max_events, self._max_bytes
        self._in_memory_only = 0
        self._adopted = 0
        self._damaged_bytes = 0

    def _make_room(self, events: int, size: int) -> None:
        with self._writing:
            self._room += events
            self._room_bytes += size

    def _add_to_next(self, item: Item) -> int:
        """Write an item on a new page; its position, 0 where memory has to do."""
        if self._is_sealed:
            return 0
        size = room_for(len(item.text) + len(item.origin.author))
        page = self._turn(size)
        position = page.add(item) if page is not None else 0
        if not position:
            self._in_memory_only += 1
        return position

    def _turn(self, least: int) -> Page | None:
        spare, self._spare = self._spare, None
        if spare is not None and (spare.first != self._next_first or spare.size < least):
            spare.remove()
            spare = None
        page = spare or self._make(max(least, self._next_size))
        if page is not None:
            self._next_first = page.next_first
            self._next_size = min(_LARGEST_PAGE, 4 * self._next_size)
            self._pages.append(page)
        self._page = page
        return page

    def _make(self, size: int) -> Page | None:
        now = self._monotonic()
        if now < self._retry_at:
            return None
        try:
            return make_page(self._directory, self._prefix, self._next_first, size)
        except OSError as error:
            self._retry_at = now + _FAILURE_WAIT_S
            self._log.say(
                logging.WARNING,
                "journal",
                "The journal cannot be written, so events are in memory only: %s",
                error,
            )
            return None

    def _prepare_next(self) -> None:
        """Have a page ready when the one in use is half full, so that no caller waits for it."""
        page = self._page
        if page is None or self._spare is not None or not page.is_half_full:
            return
        spare = self._make(self._next_size)
        with self._writing:
            if self._is_sealed and spare is not None:
                spare.remove()
            else:
                self._spare = spare

    def _sync(self) -> None:
        synced = {}
        for page in list(self._pages):
            end = page.end
            try:
                if self._synced.get(page) != end:
                    page.sync()
                synced[page] = end
            except (OSError, ValueError) as error:  # the latter if it was removed meanwhile
                self._log.say(logging.WARNING, "sync", "The journal cannot be synced: %s", error)
        self._synced = synced

    def _adopt(self, write: Write) -> bool:
        """Take over some of what a dead process left; true when there may be more."""
        if self._room <= self._max_events // 2 or self._room_bytes <= self._max_bytes // 2:
            return False
        if self._orphan is None:
            page = next(ownerless_pages(self._directory, self._own_paths(), self._log), None)
            if page is None:
                return False
            self._orphan = page, page.unsettled()
        page, recovering = self._orphan
        most = min(_ADOPTED_AT_ONCE, self._room)
        recovered = list(islice(recovering, most))
        if not self._take_over([r.item for r in recovered if r.item is not None], write):
            self._orphan = None
            page.close()  # it is safe where it is
            return False
        damaged = sum(r.damaged for r in recovered)
        if damaged:
            self._damaged_bytes += damaged
            message = "%d bytes of %s are damaged; the events that were there are lost"
            self._log.say(logging.ERROR, f"damaged {page.path}", message, damaged, page.path)
        if len(recovered) < most:
            self._orphan = None
            page.remove()
        else:
            page.settle(page.first + recovered[-1].end)
        return True

    def _take_over(self, items: list[Item], write: Write) -> bool:
        """Make items of another page safe on one's own; false if that cannot be done."""
        texts = iter(write([item for item in items if item.frame is not None]))
        origins: dict[Envelope, Origin] = {}
        for item in items:
            text = item.text if item.frame is None else next(texts)
            envelope = item.origin.envelope
            own = Item(origins.setdefault(envelope, Origin(envelope)), text)
            if not text:
                continue
            self.keep(own)
            if own.position <= 0:
                return False
            self._adopted += 1
        return True

    def _own_paths(self) -> set[Path]:
        pages = (*list(self._pages), self._spare)
        return {page.path for page in pages if page is not None}


def identity_prefix() -> bytes:
    """What the identities of a journal's events begin with: all but twelve digits of a UUID 4."""
    text = os.urandom(10).hex()
    variant = "89ab"[int(text[15], 16) & 3]
    return "-".join((text[:8], text[8:12], "4" + text[12:15], variant + text[16:19], "")).encode()
