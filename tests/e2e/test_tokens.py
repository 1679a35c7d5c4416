"""Tokens as people have them: printed at the first start, made at the prompt, sent by a client."""

from __future__ import annotations

import http.client
import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from servers import Server, counted, document, new_token, succeed
from tallybook import Client
from tallybook.cli.app import run
from tallybook.client import DeliverySettings

TOKEN = re.compile(r"tb_[0-9a-f]{12}_[\w-]{43}")
RESULTS = "/api/v1/experiments/checkout_test/results"
DEFINITION = """
project: shop
environments:
  production: {sdk_key: shop-key, event_token: true}
  staging: {sdk_key: staging-key, event_token: true}
events: [purchase]
metrics: {purchases: {event: purchase, aggregator: count}}
flags:
  checkout:
    variations: {control: {}, treatment: {}}
    rules:
      - {key: checkout_test, type: a/b, split: {control: 50%, treatment: 50%}, metrics: [purchases]}
"""
PATIENCE_S = 60
BOUND_S = 1.0  # after which a server knows of a token revoked


def status(url: str, token: str | None = None) -> int:
    headers = {} if token is None else {"Authorization": token}
    return urllib3.request("GET", url, headers=headers, retries=False).status


def eventually(url: str, token: str, wanted: int) -> float:
    """Seconds until the token was answered so."""
    began = time.monotonic()
    while status(url, token) != wanted:
        assert time.monotonic() < began + PATIENCE_S
        time.sleep(0.05)
    return time.monotonic() - began


class Shop:
    """A closed installation, whose server is started and stopped by whoever has it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        definition = data / "definition.yaml"
        definition.write_text(DEFINITION)
        applied = succeed("apply", definition, data=data)
        named = re.findall(r"event token of (\w+): (\S+) ", applied)
        self.tokens = dict(named)
        assert set(self.tokens) == {"production", "staging"}
        assert "event token" not in succeed("apply", definition, data=data)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def server(shop: Shop) -> Iterator[Server]:
    token = new_token("reader", "--scope", "read", data=shop.data)
    with Server(shop.data) as running:
        running.token = token
        yield running


def test_the_first_start_prints_a_token_once_and_no_other_does(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        pass
    (token,) = TOKEN.findall(server.errors)
    (line,) = server.errors.splitlines()
    assert line == f"Tallybook management token, shown this once: {token}"
    with Server(data) as again:
        url = f"{again.url}/api/v1/experiments/nobody/results"
        assert status(url) == 401
        assert status(url, f"Bearer {token}") == 404  # let in, and there is none
    assert again.errors == ""
    listed = succeed("token", "list", data=data)
    assert listed.splitlines()[1].split()[:3] == [token.split("_")[1], "first", "manage"]
    assert TOKEN.search(listed) is None
    assert data.stat().st_mode & 0o777 == 0o700
    kept = b"".join(file.read_bytes() for file in data.rglob("*") if file.is_file())
    assert token.encode() not in kept


def test_where_a_token_was_made_before_none_is_printed(tmp_path: Path) -> None:
    made = new_token("operator", "--scope", "manage", data=tmp_path)
    with Server(tmp_path) as server:
        assert status(f"{server.url}{RESULTS}", made) == 404
    assert server.errors == ""


def test_a_token_made_beside_a_running_server_holds_and_a_revoked_one_does_not(
    shop: Shop, server: Server
) -> None:
    url = f"{server.url}{RESULTS}"
    token = new_token("passing", "--scope", "read", data=shop.data)
    assert eventually(url, token, 200) < PATIENCE_S
    time_of_use = succeed("token", "list", data=shop.data)
    assert "passing" in time_of_use
    said = succeed("token", "revoke", "passing", data=shop.data)
    assert re.fullmatch(r"token [0-9a-f]{12} \(passing\) is revoked\n", said)
    time.sleep(BOUND_S)
    assert status(url, token) == 401


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "two\nlines"], "printable characters"),
        (["create", "reader"], "is called `reader`"),
        (["create", "x", "--scope", "events"], "expected an environment"),
        (["create", "x", "--environment", "shop/production"], "expected no environment"),
        (["create", "x", "--scope", "events", "--environment", "shop"], "PROJECT/ENVIRONMENT"),
        (["create", "x", "--scope", "events", "--environment", "shop/test"], "shop/production"),
        (["create", "x", "--scope", "root"], "scope"),
        (["revoke", "nobody"], "no token that holds"),
    ],
)
def test_a_wrong_word_is_answered_in_one_line(
    shop: Shop, server: Server, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["token", *arguments, "--data", str(shop.data)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1


def test_a_command_that_lists_makes_no_directory(tmp_path: Path) -> None:
    assert run(["token", "list", "--data", str(tmp_path / "nowhere")]) == 2
    assert not (tmp_path / "nowhere").exists()


def event(shop: Shop, uuid: str) -> bytes:
    account = json.loads(succeed_datafile(shop))["accountId"]
    item = {"entity_id": "7", "uuid": uuid, "timestamp": 1_700_000_000_000, "key": "purchase"}
    visitor = {"visitor_id": "ann", "snapshots": [{"events": [item]}]}
    return json.dumps({"account_id": account, "visitors": [visitor]}).encode()


def succeed_datafile(shop: Shop) -> str:
    from tallybook.catalog.store import open_catalog

    with open_catalog(str(shop.data / "catalog.sqlite3")) as catalog:
        datafile = catalog.datafile("shop-key")
    assert datafile is not None
    return datafile.body.decode()


def test_a_client_with_the_token_delivers_and_one_without_keeps_and_says_what_to_do(
    shop: Shop, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    quick = DeliverySettings(flush_interval_s=0.05)
    given: dict[str, Any] = {"sdk_key": "shop-key", "server_url": server.url, "delivery": quick}
    token = shop.tokens["staging"]
    with caplog.at_level(logging.INFO), Client(**given) as stranger:
        assert stranger.wait_until_ready(10)
        stranger.create_user_context("stranger").track_event("purchase")
        assert not stranger.flush(1)
        assert stranger.close(1) == 1
        assert stranger.delivery_stats().refused == {}
    (line,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert "the server asks for a token" in line
    assert "event token" in line
    with Client(**given, event_token=token) as sender:
        assert sender.wait_until_ready(10)
        for number in range(20):
            user = sender.create_user_context(f"visitor-{number}")
            user.decide("checkout")
            user.track_event("purchase")
        assert sender.flush(30)
    end = time.monotonic() + PATIENCE_S
    while sum(counted(document("checkout_test", data=shop.data), "purchases").values()) < 20:
        assert time.monotonic() < end
        time.sleep(0.2)
    url = f"{server.url}{RESULTS}"
    over_http = urllib3.request("GET", url, headers={"Authorization": server.token}).json()
    assert sum(counted(over_http, "purchases").values()) == 20


class Raw:
    """Bytes to a server and the beginning of what comes back, as no client would send them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._to = (parts.hostname, parts.port or 0)

    def ask(self, request: bytes) -> bytes:
        with socket.create_connection(self._to, timeout=PATIENCE_S) as connection:
            connection.sendall(request)
            answer = b""
            while part := connection.recv(65_536):
                answer += part
        return answer

    def get(self, target: bytes, *headers: bytes) -> bytes:
        lines = [b"GET " + target + b" HTTP/1.1", b"Host: tally", b"Connection: close", *headers]
        return self.ask(b"\r\n".join(lines) + b"\r\n\r\n")


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


SECRETS = (b"SQLite format", b"$argon2", b"root:")


@pytest.mark.parametrize(
    "target",
    [
        b"/datafiles/../catalog.sqlite3",
        b"/datafiles/..%2fcatalog.sqlite3.json",
        b"/datafiles/%2e%2e/%2e%2e/etc/passwd.json",
        b"/datafiles/....//....//etc/passwd.json",
        b"/datafiles//etc/passwd.json",
        b"/datafiles/shop-key%00.json",
        b"/datafiles/%ff%fe.json",
        b"/datafiles/%c0%ae%c0%ae%c0%af.json",
        b"/datafiles/auth/../../catalog.sqlite3.json",
        b"/datafiles/" + b"x" * 20_000 + b".json",
        b"/datafiles/..%5c..%5ccatalog.sqlite3/events",
        b"/../../etc/passwd",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"//etc/passwd",
        b"/api/v1/experiments/..%2f..%2fcatalog/results",
        b"/api/v1/experiments/../../../etc/passwd/results",
        b"/api/v1/experiments/x%00y/results",
        b"//api/v1/experiments/checkout_test/results",
        b"/%61pi/v1/experiments/checkout_test/results",
        b"/api/v1/./experiments/checkout_test/results",
        b"/api/v1;/experiments/checkout_test/results",
        b"/API/v1/experiments/checkout_test/results",
        b"http://tally/api/v1/experiments/checkout_test/results",
    ],
)
def test_no_path_leads_to_a_file_or_around_the_token(server: Server, target: bytes) -> None:
    answer = Raw(server.url).get(target)
    assert status_of(answer) in {400, 401, 404, 414}
    assert not any(secret in answer for secret in SECRETS)
    assert b"experiment_key" not in answer  # what results would tell


@pytest.mark.parametrize(
    "target",
    [
        b"/api/v1/experiments/..%2f..%2fcatalog/results",
        b"/api/v1/experiments/x%00y/results",
        b"/api/v1/experiments/%ff/results",
        b"/api/v1/experiments/checkout_test/results?segment=..%2f..%2f&metric=%00",
        b"/api/v1/experiments/checkout_test/results?project='%3b%20DROP%20TABLE%20tokens%3b--",
        b"/api/v1/experiments/checkout_test/results?segment=a'%22%3b--&to=2100-01-01",
    ],
)
def test_whoever_has_a_token_gets_no_further_by_odd_names(server: Server, target: bytes) -> None:
    answer = Raw(server.url).get(target, b"Authorization: " + server.token.encode())
    assert status_of(answer) in {200, 400, 404}
    assert not any(secret in answer for secret in SECRETS)
    assert status(f"{server.url}{RESULTS}", server.token) == 200


@pytest.mark.parametrize(
    "headers",
    [
        [b"Origin: https://x\r\n\tSet-Cookie: a=b"],
        [b"Origin: https://x\rSet-Cookie: a=b"],
        [b"Origin: https://x\nSet-Cookie: a=b"],
        [b"Origin: https://x\x00Set-Cookie: a=b"],
        [b"Origin: https://x%0d%0aSet-Cookie:%20a=b"],
        [b"Origin: " + "https://x嘊嘍Set-Cookie: a=b".encode()],
        [b"Authorization: Bearer x\r\n Set-Cookie: a=b"],
        [b"X-Forwarded-Host: x\r\nSet-Cookie: a=b"],
        [b'If-None-Match: "x"\r\n\tSet-Cookie: a=b'],
        [b"Authorization: Bearer " + b"A" * 60_000],
        [b"Authorization: Bearer a", b"Authorization: Bearer b"],
    ],
)
@pytest.mark.parametrize("target", [b"/datafiles/shop-key.json", RESULTS.encode(), b"/v1/events"])
def test_no_header_makes_another_in_the_answer(
    server: Server, headers: list[bytes], target: bytes
) -> None:
    answer = Raw(server.url).get(target, *headers)
    head = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert status_of(answer) in {200, 400, 401, 405, 431}
    names = [line.partition(b":")[0].strip().lower() for line in head[1:]]
    assert b"set-cookie" not in names
    assert not any(b"\n" in line or b"\r" in line for line in head)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[" * 1_000_000 + b"]" * 1_000_000, {400}),
        (b'{"account_id":"1","visitors":' + b"[" * 900_000 + b"]" * 900_000 + b"}", {400, 401}),
        (b'{"a":' * 300_000 + b"1" + b"}" * 300_000, {400}),
        (b'{"account_id":"' + b"1" * 3_000_000 + b'","visitors":[]}', {401}),
        (b'{"account_id":"1","visitors":[],"x":"' + b"x" * 3_600_000 + b'"}', {413}),
        (b"\xff\xfe" * 1_000, {400}),
        (b"", {400}),
    ],
)
def test_deep_and_large_bodies_are_refused_and_the_server_goes_on(
    server: Server, content: bytes, expected: set[int]
) -> None:
    for token in ({}, {"Authorization": server.token}):
        answer = urllib3.request(
            "POST", f"{server.url}/v1/events", body=content, headers=token, retries=False
        )
        assert answer.status in expected | ({403} if token and 401 in expected else set())
    assert status(f"{server.url}/health/ready") == 200


def test_a_token_on_a_connection_opens_nothing_for_the_next_request(server: Server) -> None:
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    answers = []
    for headers in ({"Authorization": server.token}, {}, {"Authorization": server.token}):
        connection.request("GET", RESULTS, headers=headers)
        response = connection.getresponse()
        response.read()
        answers.append(response.status)
    connection.close()
    assert answers == [200, 401, 200]


def test_an_event_without_a_token_is_kept_nowhere(shop: Shop, server: Server) -> None:
    for headers in ({}, {"Authorization": server.token}, {"Authorization": "Bearer x"}):
        answer = urllib3.request(
            "POST", f"{server.url}/v1/events", body=event(shop, "never"), headers=headers
        )
        assert answer.status in {401, 403}
    headers = {"Authorization": f"Bearer {shop.tokens['production']}"}
    answer = urllib3.request(
        "POST", f"{server.url}/v1/events", body=event(shop, "kept"), headers=headers
    )
    assert answer.status == 204
    log_and_lake = [f.read_bytes() for f in shop.data.rglob("*") if f.is_file()]
    assert not any(b'"never"' in content for content in log_and_lake)
