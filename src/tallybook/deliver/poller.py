"""Asks for the datafile again and again, and hands over what is new.

One thread, started once and again in a forked child. What the server said about the last datafile
that was *understood* (ETag, Last-Modified) goes with the next question, so that one which was not
is asked for again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tallybook.deliver.answer import NOT_MODIFIED, OK, Http, Reply, backoff_s
from tallybook.deliver.process import end_thread, start_in_child, tell_of_forks
from tallybook.deliver.quiet_log import QuietLog, without_login
from tallybook.deliver.settings import PollingSettings, Surroundings

if TYPE_CHECKING:
    from tallybook.deliver.stream import RevisionStream

THREAD_NAME: Final = "tallybook-polling"

_JITTER: Final = 0.1  # of the interval, to either side
_CONDITIONS: Final = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
_MAX_REASON: Final = 200  # characters of an answer in a log line

Accept = Callable[[bytes], bool]


class Poller:
    """Keeps ``accept`` supplied; it answers whether it understood the bytes.

    Attributes:
        interval_s: Seconds between two questions, give or take; what is set holds from the next
            pause on.
    """

    def __init__(
        self,
        url: str,
        accept: Accept,
        http: Http,
        settings: PollingSettings,
        *,
        access_token: str | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._url = url
        self._accept = accept
        self._http = http
        self._settings = settings
        self.interval_s = settings.interval_s
        self._surroundings = surroundings or Surroundings()
        self._log = QuietLog(self._surroundings.monotonic, logger=self._surroundings.logger)
        self._headers = {"Accept-Encoding": "gzip"}
        if access_token:
            self._headers["Authorization"] = f"Bearer {access_token}"
        self._conditions: dict[str, str] = {}
        self._failures = 0
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stream = self._make_stream() if settings.stream else None
        tell_of_forks(self)

    @property
    def is_asking(self) -> bool:
        """True from ``start()`` to ``stop()``."""
        return self._thread is not None and not self._stop.is_set()

    def start(self) -> None:
        """Ask for the first time at once, on a thread of its own; also after ``stop()``."""
        if self._stop.is_set():
            self._stop, self._wake = threading.Event(), threading.Event()
            if self._stream is not None:
                self._stream.abandon()
        thread = threading.Thread(target=self._work, name=THREAD_NAME, daemon=True)
        thread.start()
        self._thread = thread
        if self._stream is not None:
            self._stream.start()

    def stop(self, timeout_s: float = 0.2) -> None:
        """Ask no more; a question under way is not waited for longer than ``timeout_s``."""
        self._stop.set()
        self._wake.set()
        if self._stream is not None:
            self._stream.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def step(self) -> float:
        """Ask once; the seconds to wait before asking again."""
        stop = self._stop
        reply = self._http.get(self._url, self._headers | self._conditions)
        if stop is not self._stop:
            return 0.0  # the process forked meanwhile: the answer is the parent's
        fault = self._fault(reply)
        if fault is None:
            self._failures = 0
            swing = (2 * self._surroundings.chance() - 1) * _JITTER
            return self.interval_s * (1 + swing)
        self._failures += 1
        place = without_login(self._url)
        self._log.say(logging.ERROR, "datafile", "No new datafile from %s: %s", place, fault)
        jitter_s = backoff_s(
            self._failures,
            self._settings.backoff_base_s,
            self.interval_s,
            self._surroundings.chance,
        )
        return max(jitter_s, min(reply.retry_after_s or 0.0, self.interval_s))

    def begin_in_child(self) -> None:
        """Go on asking, if the parent was."""
        was_asking = self.is_asking
        self._stop, self._wake = threading.Event(), threading.Event()
        self._http.abandon()
        if self._stream is not None:
            self._stream.abandon()
        if was_asking:
            start_in_child(self._go_on)

    def _go_on(self) -> None:
        if not self._stop.is_set():  # closed before this thread came to it
            self.start()

    def _make_stream(self) -> RevisionStream | None:
        from tallybook.deliver.stream import RevisionStream, events_url  # noqa: PLC0415 - for few

        url = events_url(self._url)
        if url is None:
            message = "%s: no events, only polling: the address does not end with .json"
            self._log.say(logging.WARNING, "stream", message, without_login(self._url))
            return None
        return RevisionStream(url, self._headers, self._hear, self._settings, self._surroundings)

    def _hear(self, etag: str) -> None:
        """A new revision is announced; the one that is there already is no news."""
        known = self._conditions.get("If-None-Match", "")
        if etag != known.removeprefix("W/").strip('"'):
            self._wake.set()

    def _fault(self, reply: Reply) -> str | None:
        if reply.status == NOT_MODIFIED:
            return None
        if reply.status != OK:
            reason = " ".join(reply.text.split())[:_MAX_REASON] or "no reason given"
            return f"status {reply.status}: {reason}" if reply.status else reason
        if not self._accept(reply.body):
            return "what came is no valid datafile"
        self._conditions = {
            condition: reply.headers[header]
            for header, condition in _CONDITIONS.items()
            if header in reply.headers
        }
        return None

    def _work(self) -> None:
        stop, wake = self._stop, self._wake
        wait_s = 0.0
        while True:
            wake.wait(wait_s)
            wake.clear()  # before asking: what is announced meanwhile is asked for again
            # In a fork's child, where green threads of the parent's go on, `_stop` is another one.
            if stop.is_set() or stop is not self._stop:
                end_thread()
                return
            try:
                wait_s = self.step()
            except Exception as error:  # noqa: BLE001 - polling must outlive any fault
                wait_s = self.interval_s
                self._log.say(
                    logging.ERROR,
                    "fault",
                    "Polling stumbled and goes on: %s: %s",
                    type(error).__name__,
                    error,
                )
