"""A transport that notices when the datafile has not been confirmed for too long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

from tallybook.deliver.answer import NOT_MODIFIED, OK, Http, Reply

_GOOD: Final = (OK, NOT_MODIFIED)


class FreshnessWatch:
    """Passes requests on and calls back when datafiles begin or cease to be out of date.

    Polling asks at least once an interval, so a silence is noticed within one interval. The
    callback is called on the polling thread.
    """

    def __init__(self, http: Http, stale_after_s: float, monotonic: Callable[[], float]) -> None:
        """``stale_after_s`` is how long no answer may be good before the datafile is stale."""
        self._http = http
        self._stale_after_s = stale_after_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._fresh_at = monotonic()
        self._is_stale = False
        self.on_change: Callable[[bool], object] = lambda _is_stale: None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a body."""
        return self._http.post(url, body, headers)

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        """Fetch a body, and take note of when."""
        reply = self._http.get(url, headers)
        self._note(is_good=reply.status in _GOOD)
        return reply

    def abandon(self) -> None:
        """Forget connections; a child's wait begins at the fork."""
        self._lock = threading.Lock()
        self._http.abandon()

    def _note(self, *, is_good: bool) -> None:
        now = self._monotonic()
        with self._lock:
            if is_good:
                self._fresh_at = now
            is_stale = now - self._fresh_at >= self._stale_after_s
            if is_stale == self._is_stale:
                return
            self._is_stale = is_stale
        self.on_change(is_stale)
