"""A real server in a process of its own: what it promised survives signals, kills and full disks."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from deltalake import DeltaTable

from tallybook.collect import drain_leftovers
from tallybook.errors import ConfigError, LockedError, StorageError
from tallybook.lake.tables import Lake
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.server.run import ServerSettings, serve

SCRIPT = """
import pathlib, sys
from tallybook.server.run import ServerSettings, serve
sys.exit(serve(ServerSettings(pathlib.Path(sys.argv[1]), port=0, host=sys.argv[2])))
"""
ANNOUNCED = "Tallybook listening on "


class Running:
    def __init__(self, data: Path, host: str = "127.0.0.1") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(data), host], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(ANNOUNCED), line
        self.url = line.removeprefix(ANNOUNCED).strip()

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode

    def post(self, uuid: str) -> int:
        return httpx.post(self.url + "/v1/events", content=body(uuid), timeout=30).status_code

    def status(self, path: str) -> int:
        return httpx.get(self.url + path, timeout=30).status_code


@contextmanager
def running(data: Path, host: str = "127.0.0.1") -> Iterator[Running]:
    server = Running(data, host)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            assert server.end(signal.SIGTERM) == 0


def body(uuid: str) -> bytes:
    event = {"entity_id": "7", "uuid": uuid, "timestamp": 1_700_000_000_000, "key": "buy"}
    visitor = {"visitor_id": "ann", "snapshots": [{"events": [event]}]}
    return json.dumps({"account_id": "1", "visitors": [visitor]}).encode()


def in_lake(data: Path) -> Counter[str]:
    """How often each conversion's uuid is in the lake."""
    path = data / "lake" / "conversions"
    if not DeltaTable.is_deltatable(str(path)):
        return Counter()
    table = DeltaTable(str(path)).to_pyarrow_table(columns=["uuid"])
    return Counter(table.column("uuid").to_pylist())


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it never happened")


class Load:
    """Four clients that post one event after the other until the server is gone."""

    def __init__(self, server: Running, prefix: str) -> None:
        self.acknowledged: list[str] = []
        self._server = server
        self._prefix = prefix
        self._threads = [threading.Thread(target=self._post, args=(n,)) for n in range(4)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, number: int) -> None:
        until(lambda: len(self.acknowledged) >= number, 60)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def _post(self, client: int) -> None:
        host = self._server.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        number = 0
        try:
            while True:
                uuid = f"{self._prefix}-{client}-{number}"
                connection.request("POST", "/v1/events", body(uuid))
                answer = connection.getresponse()
                answer.read()
                if answer.status == 204:
                    self.acknowledged.append(uuid)
                number += 1
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_drains_and_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    server = Running(tmp_path)
    load = Load(server, "u")
    load.wait_for(200)
    assert server.end(number) == 0
    load.join()
    kept = in_lake(tmp_path)
    assert set(load.acknowledged) <= set(kept)
    assert set(kept.values()) == {1}


def test_an_event_is_in_the_lake_within_five_seconds(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.post("a") == 204
        until(lambda: in_lake(tmp_path)["a"] == 1, 5)


def test_killed_under_load_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for life, promises in enumerate((1, 100, 2_000)):
        server = Running(tmp_path)
        load = Load(server, f"life-{life}")
        load.wait_for(promises)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        load.join()
        acknowledged += load.acknowledged
    assert drain_leftovers(tmp_path / "log", Lake(str(tmp_path / "lake"))) is not None
    kept = in_lake(tmp_path)
    assert set(acknowledged) <= set(kept)
    assert set(kept.values()) == {1}


def test_on_a_full_disk_it_refuses_and_recovers(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.post("before") == 204
        pid = server.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert server.post("refused") == 503
        assert server.status("/health/ready") == 503
        assert server.status("/health/live") == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        until(lambda: server.status("/health/ready") == 200)
        assert server.post("after") == 204
    assert in_lake(tmp_path) == {"before": 1, "after": 1}


def test_a_version_6_address_is_announced_as_a_url(tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with running(tmp_path, "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert server.status("/health/live") == 200


def spoken(server: Running, *parts: bytes) -> socket.socket:
    """A connection on which the bytes were sent, as no well-behaved client would send them."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    for part in parts:
        connection.sendall(part)
    return connection


def heard(connection: socket.socket, count: int) -> list[bytes]:
    """The first ``count`` status lines answered on a connection."""
    answered = b""
    while answered.count(b"HTTP/1.1 ") < count or not answered.endswith(b"\r\n\r\n"):
        part = connection.recv(65_536)
        assert part, answered
        answered += part
    return [line for line in answered.splitlines() if line.startswith(b"HTTP/1.1 ")]


def head(length: int, *headers: bytes) -> bytes:
    lines = (b"POST /v1/events HTTP/1.1", b"Host: tally", *headers)
    return b"\r\n".join((*lines, b"Content-Length: %d" % length, b"", b""))


def test_requests_one_after_the_other_without_waiting_are_all_answered(tmp_path: Path) -> None:
    uuids = [f"u{n}" for n in range(20)]
    requests = [head(len(body(u))) + body(u) for u in uuids]
    with running(tmp_path) as server, spoken(server, b"".join(requests)) as connection:
        assert heard(connection, 20) == [b"HTTP/1.1 204 No Content"] * 20
    assert in_lake(tmp_path) == Counter(uuids)


def test_a_body_in_chunks_is_taken_and_a_broken_chunk_refused(tmp_path: Path) -> None:
    chunked = b"POST /v1/events HTTP/1.1\r\nHost: tally\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw = body("a")
    chunks = [
        b"%x\r\n%s\r\n" % (len(raw[n : n + 9]), raw[n : n + 9]) for n in range(0, len(raw), 9)
    ]
    with running(tmp_path) as server:
        with spoken(server, chunked, *chunks, b"0\r\n\r\n") as connection:
            assert heard(connection, 1) == [b"HTTP/1.1 204 No Content"]
        with spoken(server, chunked, b"no length\r\n") as connection:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 400 ")
    assert in_lake(tmp_path) == {"a": 1}


def test_a_client_that_asks_first_is_told_to_go_on_or_not(tmp_path: Path) -> None:
    asking = b"Expect: 100-continue"
    with running(tmp_path) as server:
        with spoken(server, head(len(body("a")), asking)) as connection:
            assert heard(connection, 1) == [b"HTTP/1.1 100 Continue"]
            connection.sendall(body("a"))
            assert heard(connection, 1) == [b"HTTP/1.1 204 No Content"]
        with spoken(server, head(4_000_000, asking)) as connection:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")
    assert in_lake(tmp_path) == {"a": 1}


def test_told_to_stop_it_waits_for_a_body_under_way(tmp_path: Path) -> None:
    server = Running(tmp_path)
    raw = body("slow")
    with spoken(server, head(len(raw)), raw[:20]) as slow, spoken(server) as idle:
        assert server.post("quick") == 204
        server.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""  # who asks for nothing is sent away: it is stopping
        slow.sendall(raw[20:])
        assert heard(slow, 1) == [b"HTTP/1.1 204 No Content"]
    assert server.process.wait(60) == 0
    server.process.communicate()
    assert in_lake(tmp_path) == {"slow": 1, "quick": 1}


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)


def test_a_port_in_use_is_an_error_before_anything_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as refused:
            serve(ServerSettings(tmp_path, port=port))
    assert f"cannot listen on 127.0.0.1:{port}: the port is in use" in one_line(refused.value)
    WriteAheadLog(tmp_path / "log").close()  # the directory was let go of


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "x" * 70])
def test_an_address_that_is_not_here_is_an_error(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError) as refused:
        serve(ServerSettings(tmp_path, host=host))
    assert f"cannot listen on {host}:8080: " in one_line(refused.value)


def test_a_second_server_on_the_same_directory_is_an_error(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path / "log"), pytest.raises(LockedError) as refused:
        serve(ServerSettings(tmp_path, port=0))
    assert f"locked by process {os.getpid()}" in one_line(refused.value)


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as refused:
        serve(ServerSettings(Path("/proc/tallybook"), port=0))  # nobody may write here, nor root
    assert "/proc/tallybook: cannot create the data directory" in one_line(refused.value)


def test_lake_and_catalog_are_in_the_data_directory_unless_said_otherwise(tmp_path: Path) -> None:
    settings = ServerSettings(tmp_path)
    assert settings.lake == str(tmp_path / "lake")
    assert settings.catalog == f"sqlite:///{tmp_path / 'catalog.sqlite3'}"
    elsewhere = ServerSettings(tmp_path, lake_uri="s3://b/lake", catalog_url="postgresql://db/x")
    assert (elsewhere.lake, elsewhere.catalog) == ("s3://b/lake", "postgresql://db/x")
