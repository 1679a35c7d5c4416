"""Clients that take their time cost little memory, and others are answered all the while."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from faults.server_load import PURCHASES, Load, Tally, open_shop
from faults.server_process import Victim, until
from faults.server_table import everything, record
from tallybook.engines.duckdb import DuckDB
from tallybook.lake.tables import Lake

SEED = 20_261_130
POST = b"POST /v1/events HTTP/1.1\r\nHost: tally\r\n"
SLOW = (
    b"",
    b"P",
    POST,
    POST + b"X-Slow: ",
    POST + b"Content-Length: 1000\r\n\r\n",
    POST + b"Content-Length: 1000\r\n\r\n" + b'{"account_id": "1",' + b" " * 500,
    POST + b"Transfer-Encoding: chunked\r\n\r\n100\r\n{",
)
COUNTED = "SELECT count(*), count(DISTINCT uuid) FROM conversions WHERE uuid LIKE 'day-%'"
PER_CONNECTION_KIB = 24
DRAIN_MIB = 128  # what bringing the others' events into the lake may take meanwhile
READING_MIB = 256  # of unfinished bodies, for all clients together


@contextmanager
def descriptors(number: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number + 256:
        pytest.skip(f"{number} connections need as many file descriptors; there are {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number + 256), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(server: Victim, said: bytes) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.sendall(said)
    return connection


def test_slow_connections_cost_little_and_nobody_else_anything(tmp_path: Path) -> None:
    number = 10_000 if everything() else 1_000
    server, load = Victim(tmp_path), Load(open_shop(tmp_path), SEED)
    server.start()
    with ExitStack() as stack, descriptors(number):
        with load.on(server.url):
            until(lambda: load.answers[204] > 200)
            before = server.peak_mib()
            for place in range(number):
                stack.enter_context(connect(server, SLOW[place % len(SLOW)]))
            answered = load.answers[204]
            until(lambda: load.answers[204] > answered + 200)
            assert server.status("/health/ready") == 200
            grown = server.peak_mib() - before
        assert set(load.answers) == {204}
        assert grown < DRAIN_MIB + number * PER_CONNECTION_KIB / 1024
    load.settle(server.url)
    server.stop()
    tally = load.tally(server.data)
    assert tally.is_whole, tally
    note = f"held open at once; memory grew by {grown:.0f} MiB; every other client answered 204"
    record("slow connections", number, tally, note)


@pytest.mark.slow
def test_slow_connections_with_large_bodies_are_bounded_too(tmp_path: Path) -> None:
    """What they have sent of their bodies is more than the server may hold of unfinished ones."""
    number, sent = 4_000, b" " * 160_000
    head = POST + b"Content-Length: 3000000\r\n\r\n"
    server, load = Victim(tmp_path), Load(open_shop(tmp_path), SEED)
    server.start()
    with ExitStack() as stack, descriptors(number):
        with load.on(server.url):
            until(lambda: load.answers[204] > 200)
            before = server.peak_mib()
            slow = [stack.enter_context(connect(server, head)) for _ in range(number)]
            for connection in slow:
                connection.setblocking(False)
                with suppress(OSError):  # refused, or it does not read on
                    connection.send(sent)
            answered = load.answers[204]
            until(lambda: load.answers[204] > answered + 200)
            busy = sum(heard(connection).startswith(b"HTTP/1.1 429 ") for connection in slow)
            assert busy > 0
            grown = server.peak_mib() - before
        assert grown < 2 * READING_MIB
    load.settle(server.url)
    server.stop()
    tally = load.tally(server.data)
    assert tally.is_whole, tally
    note = f"{number * len(sent) / 2**20:.0f} MiB sent; memory grew by {grown:.0f} MiB; {busy:,} answered 429"
    record("slow connections with large bodies", number, tally, note)


def heard(connection: socket.socket) -> bytes:
    """What has been answered by now."""
    try:
        return connection.recv(100)
    except OSError:
        return b""


@pytest.mark.slow
def test_heads_without_an_end_are_not_kept(tmp_path: Path) -> None:
    number = 500
    server, load = Victim(tmp_path), Load(open_shop(tmp_path), SEED)
    server.start()
    with load.on(server.url):
        until(lambda: load.answers[204] > 50)
        before = server.peak_mib()
        for _ in range(number):
            with connect(server, POST + b"X: ") as connection:
                assert sent_until_closed(connection, most=2**23) < 2**23
        grown = server.peak_mib() - before
    assert grown < 64
    load.settle(server.url)
    server.stop()
    tally = load.tally(server.data)
    assert tally.is_whole, tally
    note = f"closed after 64 KiB or a little more; memory grew by {grown:.0f} MiB"
    record("endless headers", number, tally, note)


def sent_until_closed(connection: socket.socket, most: int) -> int:
    sent = 0
    try:
        while sent < most:
            sent += connection.send(b"x" * 65_536)
    except (ConnectionResetError, BrokenPipeError):
        pass
    return sent


@pytest.mark.slow
def test_a_body_of_ten_thousand_days_is_drained_in_bounded_memory(tmp_path: Path) -> None:
    days = 10_000
    ordinary = open_shop(tmp_path).body("ordinary")
    server = Victim(tmp_path)
    events = [
        {"entity_id": "7", "uuid": f"day-{day}", "timestamp": day * 86_400_000, "key": "buy"}
        for day in range(days)
    ]
    visitor = {"visitor_id": "visitor-of-all-days", "snapshots": [{"events": events}]}
    body = json.dumps({"account_id": "1", "visitors": [visitor]}).encode()
    server.start()
    drained = 'tallybook_drained_total{kind="conversion"}'
    post(server, ordinary.data)
    until(lambda: server.metric(drained) >= PURCHASES)
    before = server.peaks_mib()
    post(server, body)
    until(lambda: server.metric(drained) >= PURCHASES + days, 900)
    grown = server.peaks_mib() - before
    server.stop()
    assert grown < 600
    with DuckDB(Lake(str(server.data / "lake"))) as engine:
        ((rows, distinct),) = engine.rows(COUNTED, {})
    assert (rows, distinct) == (days, days)
    note = f"{len(body) / 2**20:.1f} MiB; memory grew by {grown:.0f} MiB in the drain"
    record("one body of 10,000 days", 1, Tally(days, days, 0, 0), note)


def post(server: Victim, body: bytes) -> None:
    assert httpx.post(server.url + "/v1/events", content=body, timeout=60).status_code == 204
