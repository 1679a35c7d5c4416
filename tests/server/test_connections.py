"""Connections have bounds before there is a request: their number, a head's size and its time."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

SCRIPT = """
import json, pathlib, sys
from tallybook.server.run import ServerSettings, serve
sys.exit(serve(ServerSettings(pathlib.Path(sys.argv[1]), port=0, **json.loads(sys.argv[2]))))
"""
LIMITS = {
    "max_connections": 5,
    "max_head_bytes": 4096,
    "head_timeout_s": 0.5,
    "max_reading_bytes": 200_000,
}
BODY = b'{"account_id":"1","visitors":[]}'
HEAD = b"POST /v1/events HTTP/1.1\r\nHost: tally\r\nContent-Length: %d\r\n" % len(BODY)
KEPT = b"HTTP/1.1 204 No Content\r\n"
SECONDS = 20


class Server:
    def __init__(self, data: Path) -> None:
        script = [sys.executable, "-c", SCRIPT, str(data), json.dumps(LIMITS)]
        self.process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0

    @contextmanager
    def spoken(self, *parts: bytes) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as connection:
            for part in parts:
                connection.sendall(part)
            yield connection


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("data"))
    yield server
    server.end()


def answer(connection: socket.socket) -> bytes:
    """All that is answered until the server closes the connection."""
    heard = b""
    try:
        while part := connection.recv(65_536):
            heard += part
    except ConnectionResetError:  # it did not read what else was sent
        pass
    return heard


def problem(answered: bytes) -> tuple[int, str, dict[str, object]]:
    head, _, document = answered.partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    assert b"Content-Type: application/problem+json" in head
    told = json.loads(document)
    assert int(head.split()[1]) == told["status"]
    return told["status"], told["type"].rpartition(":")[2], told


def refused(server: Server, cause: str) -> float:
    """How often something was refused for a cause, as the server counts it."""
    text = httpx.get(f"http://127.0.0.1:{server.port}/metrics").text
    name = f'tallybook_event_refusals_total{{cause="{cause}"}} '
    found = [line.removeprefix(name) for line in text.splitlines() if line.startswith(name)]
    return float(found[0]) if found else 0


def test_what_is_no_http_is_answered_400_and_counted(server: Server) -> None:
    before = refused(server, "not-http")
    with server.spoken(b"\x16\x03\x01\x02\x00\x01\x00") as connection:
        heard = answer(connection)
    assert problem(heard)[:2] == (400, "not-http")
    assert b"Retry-After" not in heard
    assert refused(server, "not-http") == before + 1


def test_who_says_nothing_is_sent_away(server: Server) -> None:
    with server.spoken() as connection:
        assert answer(connection) == b""


@pytest.mark.parametrize("said", [b"P", HEAD, HEAD + b"X-More: a"])
def test_who_does_not_finish_a_head_is_answered_408(server: Server, said: bytes) -> None:
    with server.spoken(said) as connection:
        assert problem(answer(connection))[:2] == (408, "slow")


def test_a_head_after_a_request_has_the_same_time(server: Server) -> None:
    with server.spoken(HEAD + b"\r\n" + BODY) as connection:
        assert connection.recv(len(KEPT)) == KEPT
        connection.sendall(HEAD)
        heard = answer(connection)
    assert problem(heard[heard.index(b"HTTP/1.1 408") :])[:2] == (408, "slow")


def test_a_head_in_pieces_is_taken_while_it_keeps_within_its_time(server: Server) -> None:
    with server.spoken(*[HEAD[n : n + 9] for n in range(0, len(HEAD), 9)]) as connection:
        connection.sendall(b"\r\n" + BODY)
        assert connection.recv(len(KEPT)) == KEPT


@pytest.mark.parametrize(
    "said",
    [
        HEAD + b"X-Long: " + b"a" * 5_000,
        HEAD + b"".join(b"X-%d: a\r\n" % n for n in range(1_000)),
        b"GET /" + b"a" * 5_000,
    ],
)
def test_a_head_that_is_too_long_is_answered_431(server: Server, said: bytes) -> None:
    with server.spoken(said) as connection:
        assert problem(answer(connection))[:2] == (431, "head")


def test_a_body_is_not_counted_as_a_head(server: Server) -> None:
    large = b'{"account_id":"1","visitors":[]%s}' % (b" " * 50_000)
    head = b"POST /v1/events HTTP/1.1\r\nHost: tally\r\nContent-Length: %d\r\n\r\n" % len(large)
    with server.spoken(head, large) as connection:
        assert connection.recv(len(KEPT)) == KEPT


def test_more_connections_than_there_may_be_are_answered_503(server: Server) -> None:
    with ExitStack() as stack:
        kept = [
            stack.enter_context(server.spoken(HEAD + b"\r\n"))
            for _ in range(LIMITS["max_connections"])
        ]
        # All of them wait for their bodies, for which a client has half a minute.
        with server.spoken(HEAD + b"\r\n" + BODY) as connection:
            heard = answer(connection)
        status, cause, _ = problem(heard)
        assert (status, cause) == (503, "connections")
        assert b"Retry-After: 1\r\n" in heard
        for connection in kept:
            connection.sendall(BODY)
            assert connection.recv(len(KEPT)) == KEPT
    url = f"http://127.0.0.1:{server.port}/health/live"
    statuses = (httpx.get(url).status_code for _ in range(100))
    assert 200 in statuses  # as soon as one of the others is gone


def test_more_bodies_than_there_is_room_for_are_answered_429(server: Server) -> None:
    large = b'{"account_id":"1","visitors":[]%s}' % (b" " * 149_000)
    head = b"POST /v1/events HTTP/1.1\r\nHost: tally\r\nContent-Length: %d\r\n\r\n" % len(large)
    with server.spoken(head + large[:-1]) as first:
        httpx.get(f"http://127.0.0.1:{server.port}/health/live")  # it has read the first one since
        with server.spoken(head + large) as second:
            heard = answer(second)
        status, cause, _ = problem(heard)
        assert (status, cause) == (429, "busy")
        assert b"Retry-After: 1\r\n" in heard
        first.sendall(large[-1:])
        assert first.recv(len(KEPT)) == KEPT
        first.sendall(head + large)  # there is room again
        heard = b""
        while KEPT not in heard:
            heard += first.recv(65_536)
