"""Where events go: an HTTP server in a process of its own that counts what it is sent.

It does no more than it must, so that it is not what is measured: a body is not parsed, the visitors
in it are counted. Whatever is posted to ``/NAME/...`` counts under NAME; ``GET /NAME`` tells.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.environment import clean

_HEAD_ENDS: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_VISITOR: Final = b'"visitor_id"'
_TAKEN: Final = b"HTTP/1.1 204 No Content\r\n\r\n"

Counts = Counter[str]


class Intake(asyncio.Protocol):
    """One connection, kept open for as long as the client likes."""

    def __init__(self, events: Counts, requests: Counts) -> None:
        self._events = events
        self._requests = requests
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP has no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._take_one():
            pass

    def _take_one(self) -> bool:
        head_end = self._buffer.find(_HEAD_ENDS)
        if head_end < 0:
            return False
        head = bytes(self._buffer[:head_end])
        begin = head_end + len(_HEAD_ENDS)
        end = begin + _content_length(head)
        if len(self._buffer) < end:
            return False
        method, path = head.split(b" ", 2)[:2]
        name = path.split(b"/")[1].decode()
        if method == b"POST":
            self._requests[name] += 1
            self._events[name] += self._buffer.count(_VISITOR, begin, end)
            self._transport.write(_TAKEN)
        else:
            self._tell(name)
        del self._buffer[:end]
        return True

    def _tell(self, name: str) -> None:
        counts = {"events": self._events[name], "requests": self._requests[name]}
        body = json.dumps(counts).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(_LENGTH):
            return int(line.removeprefix(_LENGTH))
    return 0


@contextmanager
def running() -> Iterator[str]:
    """Run a sink beside this process; its URL, without a path."""
    command = [sys.executable, "-m", "benchmarks.sink"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean())  # noqa: S603 - ourselves
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.communicate()


def counted(url: str, name: str) -> int:
    """How many events the sink was sent under a name."""
    with urllib.request.urlopen(f"{url}/{name}") as answer:  # noqa: S310 - our own, over http
        events: int = json.load(answer)["events"]
        return events


async def _serve() -> None:
    events: Counts = Counter()
    requests: Counts = Counter()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Intake(events, requests), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
