"""What processes that are gone have left in a journal's directory, for who sends to the same place.

Pages with events for another place stay: where nobody answers any more, they would hold up all.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from tallybook.deliver.journal_files import ownerless_pages
from tallybook.deliver.journal_page import Page, Recovered
from tallybook.deliver.quiet_log import QuietLog

_AT_ONCE: Final = 1_000


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

    def next(self, own: set[Path]) -> tuple[Page, list[Recovered]] | None:
        """A page and some of its events, which are to be made safe elsewhere; ``None`` if none is.

        Args:
            own: Pages that are not even to be looked at.
        """
        if self._page is not None:
            return self._page, list(islice(self._rest, _AT_ONCE))
        for page in ownerless_pages(self._directory, own | self._others, self._log):
            rest = page.unsettled()
            recovered = list(islice(rest, _AT_ONCE))
            urls = (each.item.origin.envelope.url for each in recovered if each.item is not None)
            if next(urls, None) in {None, *self._urls}:
                self._page, self._rest = page, rest
                return page, recovered
            self._others.add(page.path)
            page.close()
        return None

    def settle(self, recovered: list[Recovered]) -> None:
        """Need the events no more that :meth:`next` gave."""
        page = self._page
        if page is None:
            return
        if len(recovered) < _AT_ONCE:
            self._page = None
            page.remove()
        else:
            page.settle(page.first + recovered[-1].end)

    def leave(self) -> None:
        """Let go of the page in hand: what is on it is safe where it is."""
        page, self._page = self._page, None
        if page is not None:
            page.close()
