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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Raw, json

from tallybook.deliver.journal import FULL, Batch, Envelope, Item, Origin, Write
from tallybook.deliver.journal_files import make_page, set_aside
from tallybook.deliver.journal_heritage import Heritage
from tallybook.deliver.journal_page import Page, room_for
from tallybook.deliver.memory_journal import MemoryJournal
from tallybook.deliver.quiet_log import QuietLog, without_login
from tallybook.deliver.settings import DeliverySettings, Surroundings

LOOK_S: Final = 10.0  # how often a living process looks for what dead ones left
_SMALLEST_PAGE: Final = 256 * 1024  # a process that tracks little takes little room
_LARGEST_PAGE: Final = 4 * 2**20
_encode: Final = json.encode
_TURNED_AWAY: Final = -1  # the position of an event for which there was no room
_FAILURE_WAIT_S: Final = 5.0  # before a page is tried for again
_QUARANTINE_BYTES: Final = 16 * 2**20


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
        self._add: Callable[[Item], int] = _nowhere
        self._page: Page | None = None
        self._spare: Page | None = None
        self._heritage = Heritage(self._directory, self._log)
        self._drafts: deque[Item] = deque()
        self._retry_at = self._sync_at = self._look_at = 0.0
        super().__init__(settings)

    def leave_at(self, drafts: deque[Item]) -> None:
        """Have items written and put among the drafts."""
        self._drafts = drafts
        self._use(self._page)

    def _keep_slowly(self, item: Item) -> None:
        """Write an item and put it among the drafts, on whatever page."""
        with self._writing:
            item.position = self._add(item) or self._add_to_next(item)
            self._drafts.append(item)

    def append(self, item: Item) -> int:
        """Take an item in while both bounds allow it; else it is on no page either."""
        waiting = super().append(item)
        if waiting == FULL:
            for page in self._pages:
                if page.first < item.position < page.next_first:
                    page.void(item.position)
        return waiting

    def extend(self, items: Sequence[Item]) -> int:
        """Take items in while both bounds allow it; further ones are not even written."""
        let_in = [item for item in items if item.position != _TURNED_AWAY]
        refused = super().extend(let_in)
        if refused:
            with self._writing:
                self._use(self._page, is_open=False)
                self._add = _turn_away
        return refused + len(items) - len(let_in)

    def identity(self, position: int) -> bytes:
        """The identity of an event that this process has written, as text."""
        return b"%b%012x" % (self._prefix, position)

    def aim(self, url: str) -> bool:
        """Also deliver what dead processes have left for ``url``, from now on."""
        self._heritage.aim(url)
        self._look_at = self._monotonic()
        return True

    def quarantine(self, batch: Batch, status: int, reason: str) -> None:
        """Write what the server refused for good, and why, to a file beside the pages."""
        about = {"status": status, "reason": reason, "url": without_login(batch.envelope.url)}
        lines = [_encode({**about, "event": Raw(item)}) + b"\n" for item in batch.items]
        try:
            if not set_aside(self._directory, b"".join(lines), _QUARANTINE_BYTES):
                message = "The quarantine is full, so an event is in the log only, in %s"
                self._log.say(logging.WARNING, "quarantine", message, self._directory)
        except OSError as error:
            message = "The quarantine cannot be written: %s"
            self._log.say(logging.WARNING, "quarantine", message, error)

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
        if self._add is _turn_away:  # now there is room
            with self._writing:
                self._use(self._page)
        pages = self._pages
        while batch.end and pages:
            page = pages[0]
            page.settle(batch.end)
            if page is self._page or not page.is_settled:
                break
            pages.popleft()
            page.remove()

    def tend(self, write: Write | None) -> float | None:
        """Sync, have the next page ready, and adopt what dead processes left."""
        now = self._monotonic()
        if now >= self._sync_at:
            self._sync()
            self._sync_at = now + self._settings.journal_sync_s
        self._prepare_next()
        if now >= self._look_at:
            if write is not None and self._adopt(write):
                return 0.0
            self._look_at = now + LOOK_S
        is_dirty = any(page.end != self._synced.get(page) for page in list(self._pages))
        return min(self._look_at, self._sync_at if is_dirty else self._look_at) - now

    def seal(self) -> None:
        """Write nothing more."""
        with self._writing:
            self._is_sealed = True
            self._use(None)

    def release(self) -> None:
        """Remove what is settled; whatever else there is, the next process adopts."""
        with self._writing:
            self._is_sealed = True
            self._use(None)
            pages, self._pages = self._pages, deque()
            spare, self._spare = self._spare, None
        is_empty = not (self._events or self._drafts)
        for page in pages:
            if page.is_settled or is_empty:  # what was refused stands after the last
                page.remove()
            else:
                page.close()
        if spare is not None:
            spare.remove()
        self._heritage.leave()

    def abandon(self) -> None:
        """Start empty, under another name; the pages stay their owner's."""
        super().abandon()
        for page in (*self._pages, self._spare):
            if page is not None:
                page.close()
        self._writing = threading.RLock()
        self._pages.clear()
        self._heritage.leave()
        self._spare = None
        self._is_failing = False
        self._use(None)
        self._is_sealed = False
        self._prefix = identity_prefix()
        self._next_first = 0
        self._next_size = _SMALLEST_PAGE
        self._synced: dict[Page, int] = {}
        self._retry_at = self._sync_at = self._look_at = self._monotonic()
        self._in_memory_only = 0
        self._adopted = 0
        self._damaged_bytes = 0

    def _add_to_next(self, item: Item) -> int:
        """Write an item on a new page; its position, 0 where memory has to do."""
        if self._is_sealed:
            return 0
        self._heritage.aim(item.origin.envelope.url)
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
        self._use(page)
        return page

    def _use(self, page: Page | None, *, is_open: bool = True) -> None:
        """Have items written on a page, and on no other; under the lock for writing."""
        if self._page is not None:
            self._page.open(is_open=False)
        self._page = page
        if page is None:
            self._add, self.keep = _nowhere, self._keep_slowly
            return
        page.open(is_open=is_open)
        self._add = page.add
        self.keep = page.keeper(self._writing, self._drafts, self._keep_slowly)

    def _make(self, size: int) -> Page | None:
        now = self._monotonic()
        if now < self._retry_at:
            return None
        try:
            most = self._settings.max_journal_bytes
            page = make_page(self._directory, self._prefix, self._next_first, size, most)
        except OSError as error:
            self._retry_at = now + _FAILURE_WAIT_S
            if not self._is_failing:
                message = "The journal cannot be written, so events are in memory only: %s"
                self._log.say(logging.WARNING, "journal", message, error)
            self._is_failing = True
            return None
        if self._is_failing:
            self._log.say(logging.INFO, "journal again", "The journal can be written again")
        self._is_failing = False
        return page

    def _prepare_next(self) -> None:
        """Have a page ready when the one in use is half full, so that no caller waits for it."""
        page = self._page
        if page is None or self._spare is not None or not page.is_half_full:
            return
        spare = self._make(self._next_size)
        if spare is not None:
            spare.touch()
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
        if self._events > self._max_events // 2 or self._bytes > self._max_bytes // 2:
            return False
        most = (
            max(1, self._max_events // 4),
            max(1, self._max_bytes // 4),
        )  # there is twice the room
        portion = self._heritage.next(self._own_paths(), *most)
        if portion is None:
            return False
        if not self._take_over(portion.items, write):
            self._heritage.leave()
            return False
        if portion.damaged:
            self._damaged_bytes += portion.damaged
            message = "%d bytes of %s are damaged; the events that were there are lost"
            path = portion.page.path
            self._log.say(logging.ERROR, f"damaged {path}", message, portion.damaged, path)
        self._heritage.settle(portion)
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
            if not own.position:
                return False
            self._adopted += 1
        return True

    def _own_paths(self) -> set[Path]:
        pages = (*list(self._pages), self._spare)
        return {page.path for page in pages if page is not None}


def _nowhere(_item: Item) -> int:
    return 0


def _turn_away(_item: Item) -> int:
    return _TURNED_AWAY


def identity_prefix() -> bytes:
    """What the identities of a journal's events begin with: all but twelve digits of a UUID 4."""
    text = os.urandom(10).hex()
    variant = "89ab"[int(text[15], 16) & 3]
    return "-".join((text[:8], text[8:12], "4" + text[12:15], variant + text[16:19], "")).encode()
