"""Listens for new revisions of the datafile, and says so: the server's events, as they come.

One thread holds one connection. Nothing is decided by what it hears: each new revision makes the
poller ask at once, and without a connection the poller asks as often as ever. The thread owns its
connection; :meth:`RevisionStream.stop` only cuts the socket, which ends the thread's reading.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tallybook.deliver.answer import OK, backoff_s
from tallybook.deliver.process import end_thread, importing
from tallybook.deliver.quiet_log import QuietLog, in_words, without_login
from tallybook.deliver.settings import PollingSettings, Surroundings

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from tallybook.deliver.connections import Way

THREAD_NAME: Final = "tallybook-stream"
SILENCE_S: Final = 45.0  # servers say something every 15 s; after this a connection is dead
STEADY_S: Final = 10.0  # a connection that lasted so long was none of several failures in a row

_DATAFILE: Final = ".json"
_EVENTS: Final = "/events"


def events_url(datafile_url: str) -> str | None:
    """Where a datafile's host tells of new revisions; ``None`` if that cannot be known."""
    path, mark, query = datafile_url.partition("?")
    if not path.endswith(_DATAFILE):
        return None
    return path.removesuffix(_DATAFILE) + _EVENTS + mark + query


class RevisionStream:
    """Calls ``on_news`` with the id of each event, which is the new datafile's ETag."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        on_news: Callable[[str], object],
        settings: PollingSettings,
        surroundings: Surroundings,
    ) -> None:
        self._url = url
        kept = {name: value for name, value in headers.items() if name != "Accept-Encoding"}
        self._headers = {**kept, "Accept": "text/event-stream"}
        self._on_news = on_news
        self._settings = settings
        self._surroundings = surroundings
        self._log = QuietLog(surroundings.monotonic, logger=surroundings.logger)
        self._failures = 0
        self._way: Way | None = None
        self.abandon()

    def start(self) -> None:
        """Listen on a thread of its own."""
        threading.Thread(target=self._work, name=THREAD_NAME, daemon=True).start()

    def stop(self) -> None:
        """Listen no more, without waiting for the thread to end."""
        self._stop.set()
        response = self._response
        connected = getattr(response.connection, "sock", None) if response else None
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Forget thread and connection: in a fork's child they are the parent's."""
        self._stop = threading.Event()
        if self._way is not None:
            self._way.let_go()
        self._way = None
        self._response: BaseHTTPResponse | None = None
        self._last_id = ""

    def _work(self) -> None:
        stop = self._stop
        while self._is_wanted(stop):
            began = self._surroundings.monotonic()
            fault = self._listen(stop)
            if not self._is_wanted(stop):
                break
            is_steady = self._surroundings.monotonic() - began >= STEADY_S
            self._failures = 1 if is_steady else self._failures + 1
            place = without_login(self._url)
            self._log.say(logging.WARNING, "stream", "No events from %s: %s", place, fault)
            stop.wait(
                backoff_s(
                    self._failures,
                    self._settings.backoff_base_s,
                    self._settings.interval_s,
                    self._surroundings.chance,
                )
            )
        end_thread()

    def _is_wanted(self, stop: threading.Event) -> bool:
        # In a fork's child, where green threads of the parent's go on, `_stop` is another one.
        return stop is self._stop and not stop.is_set()

    def _listen(self, stop: threading.Event) -> str:
        """Listen as long as the connection lasts; why it ended."""
        with importing:
            from tallybook.deliver.connections import FAILURES, Way  # noqa: PLC0415 - 30 ms that only listeners pay

        known = {"Last-Event-ID": self._last_id} if self._last_id else {}
        try:
            self._way = way = Way(self._url, SILENCE_S)
            response = way.request("GET", {**self._headers, **known})
            self._response = response
            try:
                return self._read(response, stop)
            finally:
                if self._response is response:  # and not, after a fork, the child's own
                    self._response = None
                response.close()
        except (*FAILURES, AttributeError) as error:
            # The last one is how a connection breaks that another thread cut.
            return in_words(error)

    def _read(self, response: BaseHTTPResponse, stop: threading.Event) -> str:
        if response.status != OK:
            return f"status {response.status}"
        kind = response.headers.get("content-type", "")
        if not kind.startswith("text/event-stream"):
            return f"expected text/event-stream, found {kind or 'nothing'}"
        for event_id in event_ids(response):
            if stop.is_set():
                break
            self._failures = 0
            self._last_id = event_id
            self._on_news(event_id)
        return "the connection ended"


def event_ids(lines: Iterable[bytes]) -> Iterable[str]:
    r"""The id of each event in a stream's lines; an event without an id has the last one's.

    Source:
        HTML Living Standard, 9.2.6 "Interpreting an event stream".

    Example:
        >>> list(event_ids([b": hello\n", b"id: a\n", b"data: 1\n", b"\n", b"retry: 5\n"]))
        ['a']
    """
    last_id, has_data = "", False
    for line in lines:
        field, _, value = line.rstrip(b"\r\n").decode("utf-8", "replace").partition(":")
        if field == "id":
            last_id = value.removeprefix(" ")
        elif field == "data":
            has_data = True
        elif not field and not value and has_data:
            has_data = False
            yield last_id
