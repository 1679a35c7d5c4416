"""Reading a request's body within limits of size, time and memory, and unpacking it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from litestar.types import Receive

from tallybook.server.problems import ProblemError

_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_NAMES: Final = (b"gzip", b"x-gzip")


class DisconnectedError(Exception):
    """The client went away before its body was complete; nobody is there to be answered."""


class BodyReader:
    """Reads bodies; holds at most ``max_reading_bytes`` of unfinished ones for all clients."""

    def __init__(self, max_body_bytes: int, max_reading_bytes: int, timeout_s: float) -> None:
        self._max_body_bytes = max_body_bytes
        self._max_reading_bytes = max_reading_bytes
        self._timeout_s = timeout_s
        self._reading_bytes = 0

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The body, decompressed.

        Raises:
            ProblemError: Too large, too slow, too many at once, or in an unknown encoding.
            DisconnectedError: The client went away.
        """
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding not in (b"identity", *_GZIP_NAMES):
            raise ProblemError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "expected Content-Encoding gzip or none",
                cause="encoding",
                headers={"Accept-Encoding": "gzip"},
            )
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            raise self._too_large()
        body = await self._receive(receive)
        return body if encoding == b"identity" else gunzip(body, self._max_body_bytes)

    async def _receive(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._collect(receive, parts)
        except TimeoutError:
            raise ProblemError(
                HTTPStatus.REQUEST_TIMEOUT,
                f"expected the whole body within {self._timeout_s:g} seconds",
                cause="slow",
                headers={"Connection": "close"},
            ) from None
        finally:
            self._reading_bytes -= sum(map(len, parts))

    async def _collect(self, receive: Receive, parts: list[bytes]) -> bytes:
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise DisconnectedError
            part = message["body"]
            parts.append(part)
            size += len(part)
            self._reading_bytes += len(part)
            if size > self._max_body_bytes:
                raise self._too_large()
            if not message["more_body"]:
                return part if len(parts) == 1 else b"".join(parts)
            if self._reading_bytes > self._max_reading_bytes:
                raise ProblemError(
                    HTTPStatus.TOO_MANY_REQUESTS,
                    "too many bodies are being read at once; try again in a moment",
                    cause="busy",
                    headers={"Retry-After": "1"},
                )

    def _too_large(self) -> ProblemError:
        return too_large(self._max_body_bytes)


def gunzip(data: bytes, max_bytes: int) -> bytes:
    """The decompressed data, never unpacking more than ``max_bytes``.

    Raises:
        ProblemError: It is no gzip, ends too early, or holds more than ``max_bytes``.
    """
    unpacker = zlib.decompressobj(_GZIP)
    try:
        body = unpacker.decompress(data, max_bytes + 1)
    except zlib.error:
        raise _bad_gzip("the body says gzip, but is not") from None
    if len(body) > max_bytes:
        raise too_large(max_bytes)
    if not unpacker.eof:
        raise _bad_gzip("the gzip body ends too early")
    if unpacker.unused_data:
        raise _bad_gzip("there are bytes after the end of the gzip body")
    return body


def too_large(max_bytes: int) -> ProblemError:
    """The answer to a body beyond the limit."""
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"expected at most {max_bytes} bytes of JSON; send the events in several bodies",
        cause="too-large",
    )


def _bad_gzip(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, detail, cause="encoding", path="$")
