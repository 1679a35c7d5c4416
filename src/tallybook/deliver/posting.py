"""Batches over plain connections: a pool's request costs half as much again, and there are many.

What a pool does beside sending (redirects, retries, encodings of an answer) has no use here: of the
answer to a batch the status counts, and what its first bytes say of a failure.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPConnection, HTTPResponse
from typing import Final, NamedTuple

from urllib3.util import wait_for_read

MAX_ANSWER_BYTES: Final = 4096  # that are read of the answer to a batch

_MAX_IDLE: Final = 10  # connections


class Answer(NamedTuple):
    """The answer to a batch; ``beginning`` is what was read of its body."""

    status: int
    headers: Iterable[tuple[str, str]]
    beginning: bytes


class PlainPosts:
    """Posts to one address over connections that are kept open. Thread-safe.

    Args:
        connect: Makes a connection, not yet connected.
        target: What of the URL stands in a request: its path and its query.
    """

    def __init__(self, connect: Callable[[], HTTPConnection], target: str) -> None:
        self._connect = connect
        self._target = target
        self._idle: deque[HTTPConnection] = deque()
        weakref.finalize(self, _close, self._idle)

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a batch.

        Raises:
            OSError: There was no connection, or no answer on it.
            http.client.HTTPException: The answer was none of HTTP.
            ValueError: A header or the target cannot be sent.
        """
        connection = self._next()
        try:
            connection.request("POST", self._target, body, dict(headers))
            response = connection.getresponse()
            beginning = response.read(MAX_ANSWER_BYTES)
        except BaseException:
            connection.close()
            raise
        self._keep(connection, response)
        return Answer(response.status, response.getheaders(), beginning)

    def _next(self) -> HTTPConnection:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if connection.sock is not None and not wait_for_read(connection.sock, timeout=0):
                return connection
            connection.close()  # whoever sends unasked has said goodbye
        return self._connect()

    def _keep(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        # Not all was read of a long answer, and the rest is not worth the connection.
        if response.isclosed() and connection.sock is not None and len(self._idle) < _MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()


def _close(connections: deque[HTTPConnection]) -> None:
    for connection in connections:
        connection.close()
