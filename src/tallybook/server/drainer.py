"""The thread that brings the log into the lake, again and again, whatever the lake answers.

State is written by this thread alone and read by others: ``fault`` and ``failures``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from tallybook.collect import Collector, Drained
from tallybook.errors import TallybookError
from tallybook.server.problems import where

_LONGEST_PAUSE_S: Final = 30.0

_log = structlog.get_logger("tallybook.drain")


class Drainer:
    """Drains every ``every_s`` seconds; after failures it pauses longer, up to half a minute."""

    def __init__(
        self,
        collector: Collector,
        every_s: float = 1.0,
        *,
        drain_others: Callable[[], Drained] = Drained,
    ) -> None:
        """``drain_others`` is asked to drain logs that nobody owns any more, after each drain."""
        self.collector = collector
        self.fault: str | None = None
        self.failures = 0
        self._drain_others = drain_others
        self._every_s = every_s
        self._pause_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tallybook-drain", daemon=True)

    def start(self) -> None:
        """Start draining in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, then drain once more what has come in since."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.drain()

    def drain(self) -> bool:
        """Drain once; what goes wrong is counted, remembered and logged, and costs no event."""
        try:
            drained = self.collector.drain()
            left = self._drain_others()
        except Exception as error:  # noqa: BLE001 - the lake's libraries raise what they like
            self._note(error)
            return False
        if self.fault:
            _log.info("drain recovered", after_failures=self.failures)
        self.fault = None
        self._pause_s = self._every_s
        self.collector.drained += left
        _report(drained + left)
        return True

    def _run(self) -> None:
        while not self._stopping.wait(self._pause_s):
            self.drain()

    def _note(self, error: Exception) -> None:
        # What nobody foresaw may quote a visitor's id.
        is_known = isinstance(error, TallybookError)
        fault = str(error) if is_known else f"{type(error).__name__} at {where(error)}"
        if fault != self.fault:
            _log.error("drain failed; events wait in the log", reason=fault)
        self.fault = fault
        self.failures += 1
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)


def _report(drained: Drained) -> None:
    if drained.damaged_records:
        _log.error("log segment damaged; see dead letters", records=drained.damaged_records)
    if drained.torn_bytes:
        _log.warning("log segment ended in an unfinished write", bytes=drained.torn_bytes)
