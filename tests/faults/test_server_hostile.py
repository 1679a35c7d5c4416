"""What nobody should send costs the server little, and nobody else anything."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from faults.server_hostile import bomb, hostile_bodies
from faults.server_load import HEADERS, Load, Tally, kept_uuids, open_shop
from faults.server_process import Victim
from faults.server_table import everything, record

SEED = 20_261_128
EVENTS = "/v1/events"
CHEAP_S = 0.15  # of processor time for one request, whatever is in it
CHEAP_MIB = 128  # for all of them together


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def server(path: Path) -> Iterator[Victim]:
    load = Load(open_shop(path), SEED)
    server = Victim(path)
    server.start()
    warm_up(server, load)
    yield server
    load.settle(server.url)
    server.stop()
    kept = kept_uuids(server.data)
    assert all(kept[uuid] == 1 for body in load.acknowledged.values() for uuid in body.uuids)
    assert "X-Injected" not in server.said


def warm_up(server: Victim, load: Load) -> None:
    """Take a few ordinary bodies first: what they cost is not the hostile ones' fault."""
    for number in range(50):
        body = load.shop.body(f"warm-{number}")
        assert ask(server, body.data)[0] == 204
        load.acknowledge(body)
    assert server.status("/metrics") == 200


def ask(server: Victim, data: bytes | Iterator[bytes], **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with suppress(BrokenPipeError, ConnectionResetError):  # it was refused before it was sent
        connection.request("POST", EVENTS, data, {**HEADERS, **named})
    answer = connection.getresponse()
    shown = answer.read()
    connection.close()
    return answer.status, shown


class Bill:
    """What the requests of a block cost the server."""

    def __init__(self, server: Victim) -> None:
        self._server = server
        self._peak = server.peak_mib()
        self._spent = spent_s(server)

    def check(self, requests: int) -> str:
        seconds = (spent_s(self._server) - self._spent) / requests
        mib = self._server.peak_mib() - self._peak
        assert seconds < CHEAP_S
        assert mib < CHEAP_MIB
        assert self._server.status("/health/ready") == 200
        return f"{seconds * 1000:.0f} ms of processor time each; peak of memory {mib:+.0f} MiB"


def spent_s(server: Victim) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_body_of_ten_megabytes_is_refused_cheaply(server: Victim) -> None:
    times = 100 if everything() else 10
    piece = b" " * 2**16
    bill = Bill(server)
    for _ in range(times):
        assert ask(server, piece * 160)[0] == 413
        assert ask(server, iter([piece] * 160))[0] == 413  # in chunks, which do not say how many
    record("body of 10 MB", 2 * times, None, f"413; {bill.check(2 * times)}")


def test_a_gzip_bomb_is_refused_cheaply(server: Victim) -> None:
    times = 100 if everything() else 10
    packed = bomb(3_000)
    assert len(packed) < 3_500_000
    bill = Bill(server)
    for _ in range(times):
        assert ask(server, packed, Content_Encoding="gzip")[0] == 413
    note = f"{len(packed) / 2**20:.1f} MiB that unpack to 3,000; 413; {bill.check(times)}"
    record("gzip bomb", times, None, note)


def test_broken_gzip_is_refused(server: Victim) -> None:
    for data in (b"", b"{}", bomb(1)[:-9], bomb(1)[:20], bomb(1) * 2):
        assert ask(server, data, Content_Encoding="gzip")[0] == 400
    assert ask(server, bomb(1), Content_Encoding="gzip, gzip")[0] == 415


def test_hostile_bodies_are_refused_or_cost_themselves_alone(path: Path, server: Victim) -> None:
    bodies = hostile_bodies()
    bill = Bill(server)
    for name, (body, status) in bodies.items():
        answered, shown = ask(server, body)
        assert answered == status, (name, shown)
        assert status == 204 or b'"path":"$' in shown, (name, shown)
    note = bill.check(len(bodies))
    taken = {name for name, (_, status) in bodies.items() if status == 204}
    server.stop()
    kept = kept_uuids(server.data)
    server.start()
    assert all(kept[name] == 1 for name in taken)
    tally = Tally(len(taken), len(taken & kept.keys()), 0, 0)
    record(
        "hostile bodies",
        len(bodies),
        tally,
        f"not JSON, not UTF-8, nested, huge, NaN, twice the same key; 204 or 400; {note}",
    )


OUTSIDE = (
    *(
        "../../../../etc/passwd",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/etc/passwd",
        "%2fetc%2fpasswd",
    ),
    *("%2e%2e/%2e%2e/%2e%2e/etc/passwd", "..\\..\\etc\\passwd", "..%5c..%5cetc%5cpasswd"),
    *("....//....//etc/passwd", "shop-key%00", "shop-key%00.json", "%c0%ae%c0%ae/etc/passwd"),
    *("auth/../../catalog.sqlite3", "../catalog.sqlite3", "..;/catalog.sqlite3", "~root", "%25"),
    *("' OR 1=1 --", "shop-key'--", "*", "\u2025", "x" * 5_000, "%ff%fe", "%0d%0aX: y"),
)
AROUND = ("/datafiles/{}.json", "/datafiles/{}/events", "/api/schema/{}", "/{}", "/health/{}")


def raw(server: Victim, *parts: bytes) -> tuple[bytes, bytes]:
    """The head and the body of the answer to bytes that no client library would send."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"".join(parts))
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def test_no_path_leads_out_of_the_catalog(server: Victim) -> None:
    tries = 0
    for around in AROUND:
        for outside in OUTSIDE:
            path = around.format(outside).replace(" ", "%20").encode()
            head, body = raw(
                server, b"GET ", path, b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            assert head.split(b" ")[1] in (b"400", b"404"), (path, head)
            assert b"root:" not in body
            assert b"SQLite" not in body
            assert b"X: y" not in head
            tries += 1
    record("path traversal", tries, None, "400 or 404, nothing of the disk shown")


INJECTED = (
    *(b"a\r\nX-Injected: 1", b"a\nX-Injected: 1", b"a\rX-Injected: 1", b"a\x00X-Injected: 1"),
    *(b"a%0d%0aX-Injected:%201", b"\xe5\x98\x8d\xe5\x98\x8aX-Injected: 1", b"a\x0bX-Injected: 1"),
)
NAMES = (b"Origin", b"User-Agent", b"X-Optimizely-Strict", b"If-None-Match", b"Content-Encoding")
PATHS = (
    *(b"/v1/events", b"/datafiles/shop-key.json", b"/datafiles/%s.json"),
    *(b"/api/v1/experiments/%s/results", b"/api/v1/experiments/x/results?metric=%s"),
    *(b"/api/v1/experiments/x/results?%s=1", b"/%s"),
)


def test_no_header_is_injected(server: Victim) -> None:
    tries = 0
    for injected in INJECTED:
        encoded = injected.replace(b"\r", b"%0d").replace(b"\n", b"%0a").replace(b" ", b"%20")
        for path in PATHS:
            for at in {path.replace(b"%s", part) for part in (injected, encoded)}:
                check_answers(server, at, b"Accept: */*")
                tries += 1
            for name in NAMES:
                check_answers(server, path.replace(b"%s", b"x"), name + b": " + injected)
                tries += 1
    record("header injection", tries, None, "no header of theirs in an answer, no line in the log")


def check_answers(server: Victim, path: bytes, header: bytes) -> None:
    method = b"POST " if path == b"/v1/events" else b"GET "
    head, body = raw(
        server,
        *(method, path, b" HTTP/1.1\r\nHost: x\r\n", header, b"\r\n"),
        b"Content-Length: 0\r\nConnection: close\r\n\r\n",
    )
    shown = head + b"\r\n" + body
    assert not [line for line in head.splitlines() if line.lower().startswith(b"x-injected")], shown
    assert not head.startswith(b"HTTP/1.1 5"), shown
    assert b"\r" not in head.replace(b"\r\n", b"")
