"""Watches the catalog for new revisions: one poller for all who listen, and none for nobody.

Everything here happens on the event loop, so nothing needs a lock but a topic's reading: of two
readings the later one must be the one that stays. The catalog is asked for one number each round;
datafiles are read again only when it has grown, once for each environment that is listened to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from tallybook.errors import TallybookError
from tallybook.server.datafiles import Datafile, DatafileCatalog

_log: Final = structlog.get_logger("tallybook.server")


class Topic:
    """One environment: its datafile as last read, ``None`` when there is none.

    ``moved`` is set when that changes, and another event takes its place.
    """

    def __init__(self, sdk_key: str) -> None:
        self.sdk_key = sdk_key
        self.datafile: Datafile | None = None
        self.moved = asyncio.Event()
        self.listeners = 0
        self._reading = asyncio.Lock()

    async def read(self, catalog: DatafileCatalog) -> None:
        """Read the datafile again."""
        async with self._reading:
            found = await asyncio.to_thread(catalog.datafile, self.sdk_key)
            is_same = found and self.datafile and found.etag == self.datafile.etag
            if not is_same:
                self.datafile = found
                self.wake()

    def wake(self) -> None:
        """Have everybody look again."""
        self.moved.set()
        self.moved = asyncio.Event()


class RevisionWatch:
    """Keeps the topics that are listened to up to date."""

    def __init__(self, catalog: DatafileCatalog, every_s: float) -> None:
        self._catalog = catalog
        self._every_s = every_s
        self._topics: dict[str, Topic] = {}
        self._polling: asyncio.Task[None] | None = None
        self.is_ending = False

    @property
    def listeners(self) -> int:
        """How many there are, of all topics."""
        return sum(topic.listeners for topic in self._topics.values())

    @asynccontextmanager
    async def listening(self, sdk_key: str) -> AsyncIterator[Topic]:
        """A topic that is kept up to date inside the block."""
        # It is a topic before it is read: what is published in between is read once more.
        topic = self._topics.setdefault(sdk_key, Topic(sdk_key))
        topic.listeners += 1
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll())
        try:
            if topic.datafile is None:
                await topic.read(self._catalog)
            yield topic
        finally:
            self._leave(topic)

    def end(self) -> None:
        """Send everybody home: the server stops."""
        self.is_ending = True
        for topic in self._topics.values():
            topic.wake()

    def _leave(self, topic: Topic) -> None:
        topic.listeners -= 1
        if topic.listeners == 0:
            del self._topics[topic.sdk_key]
        if not self._topics and self._polling is not None:
            self._polling.cancel()
            self._polling = None

    async def _poll(self) -> None:
        read, is_failing = -1, False
        while True:
            try:
                newest = await asyncio.to_thread(self._catalog.latest_publication)
                if newest != read:
                    for topic in list(self._topics.values()):
                        await topic.read(self._catalog)
                read, is_failing = newest, False
            except TallybookError as error:
                if not is_failing:
                    _log.error("new revisions are not announced", error=str(error))
                is_failing = True
            await asyncio.sleep(self._every_s)
