"""Who may do what, as the catalog last said: one reading for all who ask within a second.

A reading that fails changes nothing: what was known before goes on holding, and the log says so.
Everything here happens on the event loop but the readings themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from tallybook.catalog.access import Access
from tallybook.errors import TallybookError

_log: Final = structlog.get_logger("tallybook.server")

FRESH_S: Final = 1.0  # what was changed in the catalog holds after this time
SOON_S: Final = 0.0625  # the same for a token that nobody knew yet
NOTE_EVERY_S: Final = 60.0
_PATIENCE_S: Final = 2.0


class AccessCatalog(Protocol):
    """Where tokens are kept."""

    def access(self) -> Access:
        """The tokens that hold, and which accounts ask for one with their events."""
        ...

    def note_use(self, used_ms: Mapping[str, int]) -> None:
        """Keep when tokens were last used."""
        ...


class AccessWatch:
    """Knows who may do what, at most ``FRESH_S`` late, and keeps when tokens were used."""

    def __init__(
        self, catalog: AccessCatalog, clock_ms: Callable[[], int], monotonic: Callable[[], float]
    ) -> None:
        """The catalog is read at once, so that what follows never depends on its answering.

        Raises:
            StorageError: It cannot be read.
        """
        self._catalog = catalog
        self._clock_ms = clock_ms
        self._monotonic = monotonic
        self._known = catalog.access()
        self._read_at = monotonic()
        self._began_at = self._read_at
        self._reading: asyncio.Task[None] | None = None
        self._is_failing = False
        self._used_ms: dict[str, int] = {}
        self._noted_at = float("-inf")
        self._noting: asyncio.Task[None] | None = None

    def fresh(self) -> Access | None:
        """What is known, if it is new enough; costs nothing."""
        return self._known if self._monotonic() - self._read_at < FRESH_S else None

    async def current(self, within_s: float = FRESH_S) -> Access:
        """Who may do what, read again unless that was done within the time."""
        if self._monotonic() - self._read_at < within_s:
            return self._known
        if self._reading is None:
            self._began_at = self._monotonic()
            self._reading = asyncio.create_task(self._read())
        # A catalog that does not answer holds up who came first, and then nobody.
        patience_s = self._began_at + _PATIENCE_S - self._monotonic()
        if patience_s > 0:
            await asyncio.wait((self._reading,), timeout=patience_s)
        return self._known

    def note(self, token_id: str) -> None:
        """Remember that a token was used; now and then that is kept."""
        self._used_ms[token_id] = self._clock_ms()
        now = self._monotonic()
        if self._noting is None and now - self._noted_at >= NOTE_EVERY_S:
            self._noted_at = now
            self._noting = asyncio.create_task(self._keep())

    async def _read(self) -> None:
        try:
            self._known = await asyncio.to_thread(self._catalog.access)
            self._is_failing = False
        except TallybookError as error:
            if not self._is_failing:
                _log.error("tokens cannot be read; those known hold on", error=str(error))
            self._is_failing = True
        finally:
            self._read_at = self._began_at
            self._reading = None

    async def _keep(self) -> None:
        used, self._used_ms = self._used_ms, {}
        try:
            await asyncio.to_thread(self._catalog.note_use, used)
        except TallybookError as error:
            _log.warning("when tokens were used is not kept", error=str(error))
        finally:
            self._noting = None
