"""Between the log's thread and the event loop: who waits for the disk is told in one go a sync.

``_settled`` is filled by the log's thread and emptied by the loop; ``_scheduled`` is cleared before
emptying, so that what is added meanwhile schedules the next round.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from tallybook.errors import StorageError
from tallybook.log.write_ahead import Done

_Waiting = asyncio.Future[StorageError | None]


class Acknowledgements:
    """Turns the log's callbacks into awaitables of one event loop."""

    def __init__(self) -> None:
        self._settled: deque[tuple[_Waiting, StorageError | None]] = deque()
        self._scheduled = False

    async def kept(self, accept: Callable[[Done], None]) -> None:
        """Hand a callback to ``accept`` and return when it was told that all is safe.

        Raises:
            StorageError: Nothing was kept.
        """
        loop = asyncio.get_running_loop()
        waiting: _Waiting = loop.create_future()

        def done(error: StorageError | None) -> None:
            self._settled.append((waiting, error))
            if not self._scheduled:
                self._scheduled = True
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(self._deliver)

        accept(done)
        if error := await waiting:
            # Not itself: those who wait share it, and its traceback would hold their bodies.
            raise StorageError(str(error))

    def _deliver(self) -> None:
        self._scheduled = False
        while self._settled:
            waiting, error = self._settled.popleft()
            if not waiting.done():
                waiting.set_result(error)
