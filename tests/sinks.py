"""A real HTTP server in a thread that records what it is sent and answers as it is told to."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tallybook.deliver.answer import Reply


@dataclass(frozen=True)
class Captured:
    """One request as it arrived; ``body`` is as sent, ``text`` unpacked, ``connection`` who sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: Any

    @property
    def text(self) -> bytes:
        return gzip.decompress(self.body) if self.is_gzip else self.body

    @property
    def is_gzip(self) -> bool:
        return self.headers.get("content-encoding") == "gzip"

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Answer:
    """What to reply; ``cut`` closes the connection instead, ``after_s`` is how long it takes."""

    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    after_s: float = 0.0


Script = Callable[[Captured], Answer]


class Sink:
    """Answers from ``answers`` first, one a request, and then always as ``otherwise`` says.

    >>> with Sink() as sink:
    ...     sink.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self, answers: Iterable[Answer] = (), otherwise: Answer | Script | None = None):
        self.answers = list(answers)
        self.otherwise = otherwise or Answer()
        self.requests: list[Captured] = []
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def wait_for(self, count: int, timeout_s: float = 10) -> bool:
        """True once at least ``count`` requests have come."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.requests) >= count, timeout_s)

    @property
    def posts(self) -> list[Captured]:
        return [request for request in self.requests if request.method == "POST"]

    @property
    def visitors(self) -> list[Any]:
        """Every visitor object of every body, in order of arrival, accepted or not."""
        return [visitor for request in self.posts for visitor in request.json["visitors"]]

    @property
    def events(self) -> list[Any]:
        """Every event of every visitor."""
        return [
            event
            for visitor in self.visitors
            for snapshot in visitor["snapshots"]
            for event in snapshot["events"]
        ]

    def take(self, request: Captured) -> Answer:
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
            if self.answers:
                return self.answers.pop(0)
        return self.otherwise(request) if callable(self.otherwise) else self.otherwise


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    block_on_close = False


def _handler(sink: Sink) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:  # who asked went away
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Captured(self.command, self.path, headers, body, self.client_address)
            answer = sink.take(request)
            time.sleep(answer.after_s)
            if answer.cut:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(answer.status)
            has_body = answer.status not in (204, 304)
            of_body = {"Content-Length": str(len(answer.body))} if has_body else {}
            for name, value in {**answer.headers, **of_body}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body if has_body else b"")

        do_GET = do_POST = _answer  # noqa: N815 - the names the standard library calls

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

        def log_message(self, *args: object) -> None:
            pass

    return Handler


class Mailbox:
    """Carries requests nowhere: what a client sends, without a network (``tallybook``'s ``Http``)."""

    def __init__(self, datafile: bytes = b"", status: int = 204) -> None:
        self.datafile = datafile
        self.status = status
        self.bodies: list[Any] = []
        self.urls: list[str] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        text = gzip.decompress(body) if "Content-Encoding" in headers else body
        self.bodies.append(json.loads(text))
        self.urls.append(url)
        return Reply(self.status)

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        self.urls.append(url)
        return Reply(200, body=self.datafile) if self.datafile else Reply(404, "no such datafile")

    def abandon(self) -> None:
        pass

    @property
    def visitors(self) -> list[Any]:
        return [visitor for body in self.bodies for visitor in body["visitors"]]
