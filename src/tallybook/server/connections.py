"""Connections within limits: their number, a head's time and size, and the bodies held in memory.

Whoever answers requests has limits too, but is told of one only when its head is complete, and of
its body only after that has been read from the network for all connections that had something.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from collections import Counter
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tallybook.server.problems import PROBLEM_TYPE, ProblemError
from tallybook.server.settings import ServerSettings

_RETRY: Final = "Retry-After: 1\r\n"
_PASSING: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class Held:
    """Bytes of bodies that have been received and are not answered yet, for all connections."""

    def __init__(self) -> None:
        self.bytes = 0


class Connection(HttpToolsProtocol):
    """One connection; ``settings`` say what it may take, ``held`` what all of them have taken.

    ``refused`` counts by cause what was not even passed on.
    """

    def __init__(
        self,
        *arguments: Any,
        settings: ServerSettings,
        held: Held,
        refused: Counter[str],
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._settings = settings
        self._held = held
        self._refused = refused
        self._held_bytes = 0
        self._is_in_head = False
        self._head_bytes = 0
        self._patience: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, unless there are too many."""
        self.transport = transport
        if len(self.connections) >= self._settings.max_connections:
            self._dismiss(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections", "connections")
            return
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_waiting()
        self._let_go()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within the limits of a head."""
        super().data_received(data)
        if not self._is_in_head:
            if self._patience is not None:
                self._stop_waiting()
            return
        self._head_bytes += len(data)
        if self._head_bytes > self._settings.max_head_bytes:
            limit = f"expected at most {self._settings.max_head_bytes} bytes of headers"
            self._dismiss(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, limit, "head")
        elif self._patience is None:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._is_in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, if there is room for it."""
        if self.cycle.response_complete or self.transport.is_closing():
            return  # nobody reads it
        self._held_bytes += len(body)
        self._held.bytes += len(body)
        if self._held.bytes > self._settings.max_reading_bytes:
            self._dismiss(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too many bodies are being read at once; try again in a moment",
                "busy",
            )
        else:
            super().on_body(body)

    def on_response_complete(self) -> None:
        """What the request held is free again."""
        self._let_go()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - what it says is ours
        """Answer what is no HTTP."""
        self._dismiss(HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1", "not-http")

    def _let_go(self) -> None:
        self._held.bytes -= self._held_bytes
        self._held_bytes = 0

    def _wait_for_head(self) -> None:
        self._patience = self.loop.call_later(self._settings.head_timeout_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if self._is_in_head:
            limit = f"expected the headers within {self._settings.head_timeout_s:g} seconds"
            self._dismiss(HTTPStatus.REQUEST_TIMEOUT, limit, "slow")
        else:
            self.transport.close()

    def _dismiss(self, status: HTTPStatus, detail: str, cause: str) -> None:
        self._refused[cause] += 1
        document = ProblemError(status, detail, cause=cause).document()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"Content-Type: {PROBLEM_TYPE}\r\nContent-Length: {len(document)}\r\n"
            f"{_RETRY if status in _PASSING else ''}Connection: close\r\n\r\n"
        )
        self._stop_waiting()
        self.transport.write(head.encode("ascii") + document)
        self.transport.close()


def connections_within(
    settings: ServerSettings, refused: Counter[str]
) -> Callable[..., Connection]:
    """What makes a connection for uvicorn."""
    return partial(Connection, settings=settings, held=Held(), refused=refused)
