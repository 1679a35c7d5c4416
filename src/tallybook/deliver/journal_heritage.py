"""What processes that are gone have left in a journal's directory, for who sends to the same place.

Pages with events for another place stay: where nobody answers any more, they would hold up all.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import Struct

from tallybook.deliver.journal import Item
from tallybook.deliver.journal_files import ownerless_pages
from tallybook.deliver.journal_page import Page, Recovered
from tallybook.deliver.quiet_log import QuietLog

_AT_ONCE: Final = 1_000


class Portion(Struct, frozen=True):
    """Events of a ``page`` up to the place ``end``, and how many bytes among them are damaged."""

    page: Page
    items: list[Item]
    damaged: int
    end: int
    is_last: bool


class Heritage:
    """One page after the other, locked as long as it is in hand; of one thread.

    Args:
        directory: Where pages stand.
        log: Where it is said that a page cannot be read.
    """

    def __init__(self, directory: Path, log: QuietLog) -> None:
        self._directory = directory
        self._log = log
        self._urls: set[str] = set()
        self._others: set[Path] = set()
        self._page: Page | None = None
        self._rest: Iterator[Recovered] = iter(())

    def aim(self, url: str) -> None:
        """Also find events that go to ``url``."""
        if url not in self._urls:
            self._urls.add(url)
            self._others = set()

    def next(self, own: set[Path], max_events: int, max_bytes: int) -> Portion | None:
        """Some events of a page, which are to be made safe elsewhere; ``None`` if there are none.

        Args:
            own: Pages that are not even to be looked at.
            max_events: How many at most.
            max_bytes: How many bytes of texts at most, but for the last event's.
        """
        if self._page is not None:
            return _portion(self._page, self._rest, max_events, max_bytes)
        for page in ownerless_pages(self._directory, own | self._others, self._log):
            rest = page.unsettled()
            portion = _portion(page, rest, max_events, max_bytes)
            urls = (item.origin.envelope.url for item in portion.items)
            if next(urls, None) in {None, *self._urls}:
                self._page, self._rest = page, rest
                return portion
            self._others.add(page.path)
            page.close()
        return None

    def settle(self, portion: Portion) -> None:
        """Need the events no more that :meth:`next` gave."""
        if portion.is_last:
            self._page = None
            portion.page.remove()
        else:
            portion.page.settle(portion.page.first + portion.end)

    def leave(self) -> None:
        """Let go of the page in hand: what is on it is safe where it is."""
        page, self._page = self._page, None
        if page is not None:
            page.close()


def _portion(page: Page, rest: Iterator[Recovered], max_events: int, max_bytes: int) -> Portion:
    items: list[Item] = []
    damaged = size = end = 0
    for recovered in islice(rest, _AT_ONCE):
        end = recovered.end
        damaged += recovered.damaged
        if recovered.item is not None:
            items.append(recovered.item)
            size += recovered.item.origin.size + len(recovered.item.text)
        if len(items) >= max_events or size >= max_bytes:
            break
    return Portion(page, items, damaged, end, is_last=not end)
