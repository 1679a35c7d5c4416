"""What carries requests: the SDK's own way, and the shape of any other."""

from __future__ import annotations

import time
from typing import Final, Protocol

from msgspec import json

from tallybook.client.diagnostics import LOGGER
from tallybook.deliver.answer import NO_ANSWER, Meaning, Reply, meaning
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.process import tell_of_forks
from tallybook.deliver.quiet_log import without_login
from tallybook.optimizely._log_event import LogEvent

REQUEST_TIMEOUT_S: Final = 10.0

_WAITS_S: Final = (0.0, 0.4, 0.8)  # before each further attempt to reach a server
_PATIENCE_S: Final = 2.0  # whoever waits has waited long enough: no further attempt


class CustomEventDispatcher(Protocol):
    """What a dispatcher of your own has: an object, or a class with a static method."""

    def dispatch_event(self, event: LogEvent) -> None:
        """Send ``event.params`` to ``event.url``."""
        ...


class EventDispatcher:
    """Sends requests over connections that are kept open, one after the other."""

    @staticmethod
    def dispatch_event(event: LogEvent) -> None:
        """Send a request and wait for the answer; a failure is logged."""
        try:
            reply, place = _connections.send(event), without_login(event.url)
        except Exception as error:  # noqa: BLE001 - the event is made by somebody else's code
            LOGGER.error("The request cannot be sent: %s: %s", type(error).__name__, error)
            return
        if meaning(reply.status) is not Meaning.DELIVERED:
            answer = f"status {reply.status}" if reply.status else "no answer"
            reason = " ".join(reply.text.split()) or "no reason given"
            LOGGER.error("Events are not delivered: %s (%s from %s)", reason, answer, place)


class _Connections:
    """The connections of the process."""

    def __init__(self) -> None:
        self._http = KeepAliveHttp(REQUEST_TIMEOUT_S)
        tell_of_forks(self)

    def begin_in_child(self) -> None:
        """Forget the parent's connections."""
        self._http.abandon()

    def send(self, event: LogEvent) -> Reply:
        """Send a request; a server that cannot be reached is tried again."""
        began = time.monotonic()
        reply = self._attempt(event)
        for wait_s in _WAITS_S:
            if reply.status != NO_ANSWER or time.monotonic() - began > _PATIENCE_S:
                break
            time.sleep(wait_s)
            reply = self._attempt(event)
        return reply

    def _attempt(self, event: LogEvent) -> Reply:
        headers = event.headers or {}
        if event.http_verb == "GET":
            from urllib.parse import urlencode  # noqa: PLC0415 - 2 ms that only senders pay

            return self._http.get(f"{event.url}?{urlencode(event.params)}", headers)
        return self._http.post(event.url, json.encode(event.params), headers)


_connections: Final = _Connections()
