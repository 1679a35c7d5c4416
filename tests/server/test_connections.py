"""Connections that are slow, endless or too many are sent away, and cost the others nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

# A hard limit of 300 file descriptors; a quarter of a second for a head or a body.
SCRIPT = """
import pathlib, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
from tallybook.server.run import ServerSettings, serve
sys.exit(serve(ServerSettings(pathlib.Path(sys.argv[1]), port=0, body_timeout_s=0.25)))
"""
HEAD = b"GET /health/live HTTP/1.1\r\nHost: tally\r\n"
ROOM = 300 - 128


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path_factory.mktemp("data"))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().rpartition(" ")[2].strip()
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


def connected(server: str) -> socket.socket:
    host, _, port = server.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def rest(connection: socket.socket) -> bytes:
    """Everything that comes until the server closes the connection."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:  # it was told more than it wanted to hear
        pass
    return b"".join(parts)


@pytest.mark.parametrize("said", [b"", b"GET", HEAD, b"\r\n", HEAD + b"\r\n" + HEAD])
def test_who_takes_too_long_to_ask_is_sent_away(server: str, said: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(said)
        assert rest(connection).count(b"HTTP/1.1 200 OK") == said.count(b"\r\n\r\n")


def test_who_goes_on_sending_what_was_refused_is_sent_away(server: str) -> None:
    head = b"POST /v1/events HTTP/1.1\r\nHost: tally\r\nContent-Length: 9999999\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(head)
        first = connection.recv(65_536)
        connection.sendall(b"{")
        assert (first + rest(connection)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("part", [b"x", b"X: y\r\n"])
def test_a_head_without_an_end_is_refused_and_not_kept(server: str, part: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(HEAD + b"X: ")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            pour(connection, part * (20_000 // len(part)))


def pour(connection: socket.socket, piece: bytes) -> None:
    for _ in range(10_000):
        connection.sendall(piece)


def test_a_head_that_is_too_large_is_answered(server: str) -> None:
    with connected(server) as connection:
        connection.sendall(HEAD + b"X: ")
        answer = b""
        while not answer:  # as fast as it is read: whoever is cut off hears no answer
            connection.sendall(b"x" * 20_000)
            connection.settimeout(0.01)
            with suppress(TimeoutError):
                answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"].startswith("expected at most")


def test_a_large_body_and_the_next_head_in_one_piece_are_no_large_head(server: str) -> None:
    body = b'{"account_id":"1","visitors":[],"x":"%s"}' % (b"x" * 200_000)
    post = b"POST /v1/events HTTP/1.1\r\nHost: tally\r\nContent-Length: %d\r\n\r\n" % len(body)
    with connected(server) as connection:
        connection.sendall(post + body + HEAD)
        connection.sendall(b"Connection: close\r\n\r\n")
        answers = rest(connection)
    assert answers.count(b"HTTP/1.1 204 ") == answers.count(b"HTTP/1.1 200 ") == 1


def test_one_connection_too_many_is_sent_away_until_there_is_room(server: str) -> None:
    with ExitStack() as stack, httpx.Client(base_url=server) as good:
        assert good.get("/health/live").status_code == 200
        slow = [stack.enter_context(connected(server)) for _ in range(ROOM)]
        assert rest(slow[-1]) == b""
        assert good.get("/health/ready").json()["drain"] is None
        for connection in slow:
            rest(connection)
        assert httpx.get(server + "/health/live").status_code == 200
