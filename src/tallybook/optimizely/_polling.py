"""Polling on behalf of a config manager, which it does not keep alive."""

from __future__ import annotations

import logging
import weakref
from typing import Protocol

from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.poller import Poller
from tallybook.deliver.settings import LONGEST_S, PollingSettings, Surroundings
from tallybook.optimizely.helpers.enums import ConfigManager


class Polled(Protocol):
    """A config manager, as polling sees it: both methods may be one's own."""

    datafile_url: str
    update_interval: float

    def fetch_datafile(self) -> None:
        """Get a datafile."""
        ...

    def take(self, datafile: bytes) -> bool:
        """Use a datafile; false when it cannot be."""
        ...


class ManagedPoller(Poller):
    """Lets a config manager fetch its datafile at its own interval."""

    def __init__(self, manager: Polled, access_token: str | None, logger: logging.Logger) -> None:
        super().__init__(
            manager.datafile_url,
            self._give,
            KeepAliveHttp(ConfigManager.REQUEST_TIMEOUT),
            PollingSettings(),
            access_token=access_token,
            surroundings=Surroundings(logger=logger),
        )
        self._manager = weakref.ref(manager)
        self._wait_s = 0.0

    def ask(self) -> None:
        """Ask once, on the calling thread."""
        self._wait_s = super().step()

    def step(self) -> float:
        """Have the manager fetch; the seconds to wait before the next time."""
        manager = self._manager()
        if manager is None:
            return self.interval_s  # whoever let it go has this stopped
        self._wait_s = self.interval_s = min(manager.update_interval, LONGEST_S)
        manager.fetch_datafile()
        return self._wait_s

    def _give(self, datafile: bytes) -> bool:
        manager = self._manager()
        return manager is not None and manager.take(datafile)
