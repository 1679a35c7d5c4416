"""A collector that misbehaves as it is told to, in a process of its own.

It understands what each SDK sends. Every request is a line of the record, a JSON array: whether it
was taken in, its fault ("" for none), and [marker, identity] of each event. "Taken in" is what a
server would have kept, whatever became of the reply.

Usage: sink.py FAULTS RECORD. The first line of its output is its port; lines of its input are
"down" (nobody listens, connections are reset), "up", and "heal" (no faults any more).
"""

from __future__ import annotations

import gzip
import json
import os
import random
import socket
import struct
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final

Event = tuple[int, str | None]

_RESET: Final = struct.pack("ii", 1, 0)  # a connection so closed says RST, not FIN


@dataclass(frozen=True)
class Faults:
    """What goes wrong, with a ``share`` of the requests; which ones is drawn from ``seed``.

    ``cut`` resets the connection: before the request is read ("request"), in the middle of its body
    ("body"), or after it was taken in ("reply"). ``most_events`` and ``poison_every`` judge by
    content, not by chance. What is taken in goes on to ``forward_to``, whose answer then counts.
    """

    seed: int = 0
    share: float = 0.0
    status: int = 0
    cut: str = ""
    after_s: float = 0.0
    most_events: int = sys.maxsize
    poison_every: int = sys.maxsize
    forward_to: str = ""


class Sink:
    """One port on which somebody listens, or not."""

    def __init__(self, faults: Faults, record: Path) -> None:
        self.faults = faults
        self._chance = random.Random(faults.seed)
        self._requests = 0
        self._record = record.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self.connections: set[socket.socket] = set()
        # Bound, but not listening: while the server is down its port stays its own.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port = self._holder.getsockname()[1]
        self._server: _Server | None = None
        self.up()

    def up(self) -> None:
        self._server = server = _Server(("127.0.0.1", self.port), self)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # which also wakes who reads from it

    def heal(self) -> None:
        self.faults = Faults(forward_to=self.faults.forward_to)

    def is_faulty(self) -> bool:
        """Draw for one request; the second one always is, so that none is a row without faults."""
        with self._lock:
            self._requests += 1
            drawn = self._chance.random()
            return self.faults.share > 0 and (drawn < self.faults.share or self._requests == 2)

    def note(self, events: Iterable[Event], fault: str, *, taken: bool) -> None:
        with self._lock:
            self._record.write(json.dumps([taken, fault, list(events)]) + "\n")

    def judged(self, events: list[Event]) -> int:
        """The status that the content alone deserves."""
        if len(events) > self.faults.most_events:
            return 413
        middle = self.faults.poison_every // 2
        is_poison = [marker % self.faults.poison_every == middle for marker, _ in events]
        return 400 if any(is_poison) else 0

    def forwarded(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The status of the server behind, or of none."""
        if not self.faults.forward_to:
            return 200
        request = urllib.request.Request(self.faults.forward_to + path, body, headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    allow_reuse_port = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], sink: Sink) -> None:
        self.sink = sink
        super().__init__(address, _Handler)

    def handle_error(self, *_: object) -> None:
        """A client that goes away is none of our errors."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.sink.connections.add(self.connection)

    def finish(self) -> None:
        self.server.sink.connections.discard(self.connection)
        with suppress(OSError, ValueError):
            super().finish()

    def do_GET(self) -> None:
        self._answer(404)

    def do_POST(self) -> None:
        sink, faults = self.server.sink, self.server.sink.faults
        is_faulty = sink.is_faulty()
        length = int(self.headers.get("Content-Length", 0))
        if is_faulty and faults.cut in ("request", "body"):
            self.rfile.read(length // 2 if faults.cut == "body" else 0)
            sink.note((), faults.cut, taken=False)
            return self._cut()
        body = self.rfile.read(length)
        if len(body) < length:  # who asked went away
            return self._cut()
        events = events_of(self.path, body, is_gzip=self.headers.get("Content-Encoding") == "gzip")
        status = (is_faulty and faults.status) or sink.judged(events)
        if status:
            sink.note(events, str(status), taken=False)
            return self._answer(status)
        headers = {name: self.headers[name] for name in _FORWARDED if name in self.headers}
        status = sink.forwarded(self.path, headers, body)
        is_lost = is_faulty and faults.cut == "reply"
        fault = "reply" if is_lost else "late" if faults.after_s else ""
        sink.note(events, fault, taken=status < 300)
        time.sleep(faults.after_s)
        return self._cut() if is_lost else self._answer(status)

    def _answer(self, status: int) -> None:
        body = b'{"success": true, "status": 1}' if status < 300 else b"as it was told to"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        reset(self.connection)

    def log_message(self, *_: object) -> None:
        pass


_FORWARDED: Final = ("Content-Type", "Content-Encoding")


def reset(connection: socket.socket) -> None:
    """End a connection as a crash does."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        os.close(connection.detach())  # at once, though the handler's files still refer to it


def events_of(path: str, body: bytes, *, is_gzip: bool) -> list[Event]:
    """Marker and identity of each event that was tracked; other events have no marker."""
    document = json.loads(gzip.decompress(body) if is_gzip else body)
    read = next(read for start, read in Bodies.BY_PATH.items() if path.startswith(start))
    return [(int(marker), identity) for marker, identity in read(document) if marker is not None]


class Bodies:
    """What each SDK's bodies look like."""

    @staticmethod
    def event_api(document: Any) -> Iterator[tuple[Any, str | None]]:
        for visitor in document["visitors"]:
            for snapshot in visitor["snapshots"]:
                for event in snapshot["events"]:
                    yield (event.get("tags") or {}).get("n"), event["uuid"]

    @staticmethod
    def posthog(document: Any) -> Iterator[tuple[Any, str | None]]:
        for event in document["batch"]:
            yield event["properties"].get("n"), event["uuid"]

    @staticmethod
    def segment(document: Any) -> Iterator[tuple[Any, str | None]]:
        for event in document["batch"]:
            yield event["properties"].get("n"), event["messageId"]

    @staticmethod
    def snowplow(document: Any) -> Iterator[tuple[Any, str | None]]:
        for event in document["data"]:
            yield event.get("se_la"), event["eid"]

    @staticmethod
    def growthbook(document: Any) -> Iterator[tuple[Any, str | None]]:
        for event in document:
            yield event["properties_json"].get("n"), None  # it gives its events no identity

    BY_PATH: ClassVar[dict[str, Callable[[Any], Iterator[tuple[Any, str | None]]]]] = {
        "/v1/events": event_api,
        "/batch/": posthog,
        "/v1/batch": segment,
        "/com.snowplowanalytics.snowplow/tp2": snowplow,
        "/track": growthbook,
    }


def main() -> None:
    faults, record = sys.argv[1:]
    sink = Sink(Faults(**json.loads(faults)), Path(record))
    print(sink.port, flush=True)
    orders = {"down": sink.down, "up": sink.up, "heal": sink.heal}
    for line in sys.stdin:
        orders[line.strip()]()
        print("done", flush=True)


if __name__ == "__main__":
    main()
