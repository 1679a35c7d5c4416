"""Batches go over connections that are kept open, as long as these can be trusted to work."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from sinks import Answer, Sink
from tallybook.deliver.http import KeepAliveHttp


class OneAnswerEach:
    """A server that answers one request a connection and closes it without having said so."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.answered = 0
        self.gone = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self._listening.getsockname()[1]
        return port

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            try:
                self._answer(connection)
            except OSError:
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            request = b""
            while not request.endswith(b"\r\n\r\nbody"):
                piece = connection.recv(65_536)
                if not piece:
                    return
                request += piece
            self.gone.clear()
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            self.answered += 1
        self.gone.set()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return made


@pytest.fixture
def secured(authority: trustme.CA) -> Iterator[OneAnswerEach]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    server = OneAnswerEach(tls)
    yield server
    server.close()


def test_a_connection_the_server_closed_meanwhile_is_replaced_without_a_failure() -> None:
    server, http = OneAnswerEach(), KeepAliveHttp(10)
    for _ in range(3):
        assert http.post(f"http://127.0.0.1:{server.port}/", b"body", {}).status == 204
        assert server.gone.wait(10)
    assert server.answered == 3
    server.close()


def test_a_server_is_trusted_by_its_certificate_alone(
    secured: OneAnswerEach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"https://localhost:{secured.port}/v1/events"
    unknown = KeepAliveHttp(10).post(url, b"body", {})
    assert unknown.status == 0
    assert "CERTIFICATE_VERIFY_FAILED" in unknown.text
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    assert KeepAliveHttp(10).post(url, b"body", {}).status == 204
    other_name = KeepAliveHttp(10).post(url.replace("localhost", "127.0.0.1"), b"body", {})
    assert "CERTIFICATE_VERIFY_FAILED" in other_name.text


def test_a_request_says_who_asks_and_keeps_the_path_it_is_given() -> None:
    with Sink() as sink:
        url = f"{sink.url}/a path/über/%20?q=ä&r=a%26b"
        assert KeepAliveHttp(10).post(url, b"x", {"Content-Type": "text/plain"}).status == 204
        request = sink.requests[0]
    assert request.path == "/a%20path/%C3%BCber/%20?q=%C3%A4&r=a%26b"
    assert request.headers["user-agent"] == "tallybook"
    assert request.headers["content-type"] == "text/plain"
    assert request.headers["content-length"] == "1"


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1/", "http://127.0.0.1:port/"])
def test_what_leads_nowhere_is_no_answer(url: str) -> None:
    assert KeepAliveHttp(10).post(url, b"x", {}).status == 0


def test_a_header_that_would_begin_another_is_no_answer_and_is_not_sent() -> None:
    with Sink() as sink:
        http = KeepAliveHttp(10)
        assert http.post(sink.url, b"x", {"X-Name": "a\r\nX-Other: b"}).status == 0
        assert http.post(sink.url, b"x", {}).status == 204
        assert len(sink.requests) == 1


def test_threads_share_connections_and_not_requests() -> None:
    with Sink(otherwise=Answer(after_s=0.01)) as sink:
        http, statuses = KeepAliveHttp(10), []

        def post() -> None:
            statuses.extend(http.post(sink.url, b"x", {}).status for _ in range(10))

        threads = [threading.Thread(target=post) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert statuses == [204] * 40
        assert len({request.connection for request in sink.requests}) <= 4


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_connections_end_with_whoever_held_them() -> None:
    with Sink() as sink:
        http = KeepAliveHttp(10)
        assert http.post(sink.url, b"x", {}).status == 204
        del http
        gc.collect()
