"""Connections that hold nothing up: a request's head has a size and a time, whoever sends it.

A body's bounds are ``bodies``' affair, and how long a connection may idle between two requests is
uvicorn's. What is left is whoever connects and says nothing, drips a head byte by byte, sends one
without an end, or goes on sending what was refused.
"""

from __future__ import annotations

import asyncio
import resource
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tallybook.server.problems import PROBLEM_TYPE, ProblemError

MAX_HEAD_BYTES: Final = 64 * 1024
_RESERVED: Final = 128  # file descriptors for log, lake and catalog


class Connection(HttpToolsProtocol):
    """One client's connection."""

    def __init__(self, *arguments: Any, head_timeout_s: float, most: int, **named: Any) -> None:
        """Take ``head_timeout_s`` for a head at most, and ``most`` connections in all."""
        super().__init__(*arguments, **named)
        self._head_timeout_s = head_timeout_s
        self._most = most
        self._head_bytes = 0
        self._in_head = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; one too many is sent away before it costs anything."""
        super().connection_made(transport)
        if len(self.connections) > self._most:
            transport.abort()
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, as long as it comes to something."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse()
        elif self._in_head or self._is_idle():
            self._watch()
        else:
            self._unwatch()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        super().on_headers_complete()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _watch(self) -> None:
        if self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(self._head_timeout_s, self._expire)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if self._is_idle():
            self.transport.close()
        else:  # an earlier request of this connection is still being answered
            self._watch()

    def _refuse(self) -> None:
        self._unwatch()
        if self._is_idle():
            self.transport.write(_HEAD_TOO_LARGE)
        self.transport.close()


def connections(head_timeout_s: float) -> type[asyncio.Protocol]:
    """What uvicorn makes connections with; as many as there are file descriptors for.

    The process's soft limit of file descriptors is raised to its hard limit: the soft one is kept
    low for programs that ``select``, and a thousand slow clients would use it up.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = max(hard - _RESERVED, _RESERVED)
    return partial(Connection, head_timeout_s=head_timeout_s, most=most)  # type: ignore[return-value]  # called like a class


def _head_too_large() -> bytes:
    problem = ProblemError(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"expected at most {MAX_HEAD_BYTES} bytes of request line and headers",
        cause="too-large",
    )
    document = problem.document()
    head = (
        f"HTTP/1.1 {problem.status.value} {problem.status.phrase}\r\n"
        f"content-type: {PROBLEM_TYPE}\r\ncontent-length: {len(document)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + document


_HEAD_TOO_LARGE: Final = _head_too_large()
