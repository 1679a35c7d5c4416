"""``POST /v1/events``: 204 means kept; everything else says what was wrong and keeps nothing."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import resource
import threading
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tallybook.log.write_ahead import LogLimits
from tallybook.server.app import ASGIApp

AT_MS = 1_700_000_000_000


def body(*uuids: str, **envelope: Any) -> bytes:
    events = [{"entity_id": "7", "uuid": u, "timestamp": AT_MS, "key": "buy"} for u in uuids]
    visitors = [{"visitor_id": "ann", "snapshots": [{"events": events}]}]
    return json.dumps({"account_id": "1", "visitors": visitors, **envelope}).encode()


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["content-length"]) == len(response.content)
    document = response.json()
    assert document["status"] == response.status_code
    assert {"type", "title", "detail"} <= set(document)
    assert "\n" not in document["detail"]
    return document


def test_a_batch_is_answered_204_and_kept(house) -> None:
    answer = house.post(body("a", "b"), User_Agent="sdk/1", Referer="https://shop.example/")
    assert (answer.status_code, answer.content) == (204, b"")
    assert house.kept() == ["a", "b"]
    arrival = house.lake.received[0].arrival
    assert (arrival.at_ms, arrival.user_ip) == (house.now_ms, "127.0.0.0")
    assert (arrival.user_agent, arrival.referer) == ("sdk/1", "https://shop.example/")


def test_204_means_that_the_bytes_are_on_disk(house) -> None:
    assert house.post(body("a")).status_code == 204
    segments = house.settings.log_dir.glob("*.log")
    assert body("a") in b"".join(segment.read_bytes() for segment in segments)


def test_many_at_once_are_all_kept(house) -> None:
    async def flood() -> list[int]:
        transport = httpx.ASGITransport(house.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tally") as client:
            posts = [client.post("/v1/events", content=body(f"u{n}")) for n in range(200)]
            return [answer.status_code for answer in await asyncio.gather(*posts)]

    assert asyncio.run(flood()) == [204] * 200
    assert sorted(house.kept()) == sorted(f"u{n}" for n in range(200))


@pytest.mark.parametrize("encoding", ["gzip", "GZip", "x-gzip"])
def test_gzip_is_taken(house, encoding: str) -> None:
    assert house.post(gzip.compress(body("a")), Content_Encoding=encoding).status_code == 204
    assert house.kept() == ["a"]


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (gzip.compress(body("a"))[:-9], "ends too early"),
        (body("a"), "says gzip, but is not"),
        (b"", "ends too early"),
        (gzip.compress(body("a")) + b"more", "after the end"),
        (zlib.compress(body("a")), "says gzip, but is not"),
    ],
)
def test_broken_gzip_is_refused(house, content: bytes, detail: str) -> None:
    answer = house.post(content, Content_Encoding="gzip")
    assert answer.status_code == 400
    assert detail in problem(answer)["detail"]
    assert house.kept() == []


def test_an_unknown_encoding_is_refused(house) -> None:
    answer = house.post(body("a"), Content_Encoding="br")
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip")
    problem(answer)


def test_a_bomb_is_refused_without_unpacking_it(house) -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=1)
    assert len(bomb) < 3_500_000
    assert house.post(bomb, Content_Encoding="gzip").status_code == 413


def test_bodies_up_to_the_limit_are_taken_and_beyond_it_refused(house) -> None:
    padding = 3_500_000 - len(body("a", filler=""))
    assert house.post(body("a", filler="x" * padding)).status_code == 204
    answer = house.post(body("b", filler="x" * (padding + 1)))
    assert answer.status_code == 413
    assert "3500000 bytes" in problem(answer)["detail"]
    assert house.kept() == ["a"]


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_the_limit_holds_without_a_declared_length(house) -> None:
    house.set(max_body_bytes=100)
    assert house.post(chunks(b"x" * 60, b"x" * 60)).status_code == 413
    raw = body("a")
    house.set(max_body_bytes=len(raw))
    assert house.post(chunks(raw[:50], raw[50:])).status_code == 413  # set at the first request


def test_a_body_in_parts_is_put_together(house) -> None:
    raw = body("a")
    assert house.post(chunks(raw[:10], raw[10:40], raw[40:])).status_code == 204
    assert house.kept() == ["a"]


def test_unfinished_bodies_are_bounded_for_all_clients_together(house) -> None:
    house.set(max_reading_bytes=50)
    raw = body("a")
    answer = house.post(chunks(raw[:60], raw[60:]))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    part = {"type": "http.request", "body": raw, "more_body": False}
    start, _ = asyncio.run(call(house.app, part))
    assert start["status"] == 204  # what is complete, or was refused, is not counted any more


def test_an_unreadable_body_is_refused_with_its_path(house) -> None:
    answer = house.post(b'{"account_id": 1}')
    assert answer.status_code == 400
    assert problem(answer)["path"] == "$.account_id"


def test_malformed_parts_are_dead_letters_unless_strict(house) -> None:
    assert house.post(body("a", "")).status_code == 204
    answer = house.post(body("b", ""), X_Optimizely_Strict="true")
    assert answer.status_code == 400
    assert problem(answer)["path"] == "$.visitors[0].snapshots[0].events[1].uuid"
    assert house.post(body("c", ""), X_Optimizely_Strict="False").status_code == 204
    assert house.post(body("d"), X_Optimizely_Strict="maybe").status_code == 400
    assert house.kept() == ["a", "c"]
    assert len([r for r in house.lake.received if r.batch.dead_letters]) == 2


def test_other_methods_are_not_allowed(house) -> None:
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        answer = house.ask(method, "/v1/events")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_any_page_may_send_events_by_default(house) -> None:
    answer = house.ask("OPTIONS", "/v1/events", headers={"Origin": "https://a.example"})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Content-Encoding" in answer.headers["access-control-allow-headers"]
    for content in (body("a"), b"{"):
        assert house.post(content).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("origins", [("*",), ("https://a.example",)])
def test_a_beacon_passes_its_preflight_though_it_carries_credentials(house, origins) -> None:
    # sendBeacon always includes credentials, and JSON makes it ask first: Fetch, "CORS check".
    house.set(cors_origins=origins)
    asked = {
        "Origin": "https://a.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = house.ask("OPTIONS", "/v1/events", headers=asked)
    plain = house.post(body("a"), Origin="https://a.example", Content_Type="text/plain")
    assert (preflight.status_code, plain.status_code) == (204, 204)
    for answer in (preflight, plain):
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["vary"] == "Origin"


def test_origins_can_be_chosen(house) -> None:
    house.set(cors_origins=("https://a.example/",))
    allowed = house.post(body("a"), Origin="https://a.example")
    assert allowed.headers["access-control-allow-origin"] == "https://a.example"
    assert allowed.headers["vary"] == "Origin"
    for stranger in ({"Origin": "https://b.example"}, {}):
        assert "access-control-allow-origin" not in house.post(body("b"), **stranger).headers
        preflight = house.ask("OPTIONS", "/v1/events", headers=stranger)
        assert (preflight.status_code, preflight.headers["vary"]) == (204, "Origin")
        assert "access-control-allow-methods" not in preflight.headers


def test_no_origin_at_all_may_be_allowed(house) -> None:
    house.set(cors_origins=())
    answer = house.post(body("a"), Origin="https://a.example")
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_proxy_may_take_a_prefix_away(house) -> None:
    house.set(root_path="/tally")
    assert house.ask("POST", "/tally/v1/events", content=body("a")).status_code == 204
    assert house.ask("GET", "/tally/health/live").status_code == 200


def test_a_full_disk_is_answered_503_and_recovers_by_itself(house) -> None:
    assert house.post(body("before")).status_code == 204
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        answer = house.post(body("refused"))
        ready = house.ask("GET", "/health/ready")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "cannot write the log: File too large" in problem(answer)["detail"]
    assert ready.status_code == 503
    assert "File too large" in ready.json()["log"]
    pause = threading.Event()
    while house.ask("GET", "/health/ready").status_code != 200:
        pause.wait(0.01)
    assert house.post(body("after")).status_code == 204
    assert house.kept() == ["before", "after"]


def test_too_much_at_once_is_answered_429(house) -> None:
    house.limits = LogLimits(max_waiting_bytes=10)
    answer = house.post(body("a"))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    problem(answer)


def test_a_log_that_was_closed_is_answered_503(house) -> None:
    assert house.post(body("a")).status_code == 204
    house.close()
    assert house.post(body("b")).status_code == 503


async def call(
    app: ASGIApp, *messages: Any, headers: Sequence[tuple[bytes, bytes]] = ()
) -> list[Any]:
    """Speak ASGI by hand: messages to receive, after which the client is silent."""
    sent: list[Any] = []
    inbox = list(messages)

    async def receive() -> Any:
        return inbox.pop(0) if inbox else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/events",
        "headers": list(headers),
        "client": None,
        "query_string": b"",
    }
    await app(scope, receive, send)
    return sent


def test_a_slow_client_is_not_waited_for(house) -> None:
    house.set(body_timeout_s=0.01)
    start, _ = asyncio.run(
        call(house.app, {"type": "http.request", "body": b"{", "more_body": True})
    )
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]


def test_a_client_that_goes_away_is_not_answered(house) -> None:
    part = {"type": "http.request", "body": b"{", "more_body": True}
    assert asyncio.run(call(house.app, part, {"type": "http.disconnect"})) == []


def test_a_client_without_an_address_is_welcome(house) -> None:
    part = {"type": "http.request", "body": body("a"), "more_body": False}
    start, _ = asyncio.run(call(house.app, part))
    assert start["status"] == 204
    assert house.kept() == ["a"]
    assert house.lake.received[0].arrival.user_ip is None


def test_who_is_gone_when_the_disk_answers_disturbs_nobody(house) -> None:
    async def leave_early() -> None:
        part = {"type": "http.request", "body": body("left"), "more_body": False}
        task = asyncio.create_task(call(house.app, part))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stayed = await call(house.app, {**part, "body": body("stayed")})
        assert stayed[0]["status"] == 204

    asyncio.run(leave_early())
    assert house.kept()[-1] == "stayed"


class Piece(bytes):
    """Part of a body that says when nobody holds it any more."""

    held = 0

    def __init__(self, _: bytes) -> None:
        Piece.held += 1

    def __del__(self) -> None:
        Piece.held -= 1


@contextmanager
def full_disk_without_collections() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    ("content", "more", "encoding", "status"),
    [
        (b"x" * 2_001, False, b"identity", 413),
        (b"x" * 1_500, True, b"identity", 429),
        (b"x", True, b"identity", 408),
        (gzip.compress(bytes(3_000)), False, b"gzip", 413),
        (b"no gzip", False, b"gzip", 400),
        (b"{", False, b"identity", 400),
        (body("a"), False, b"identity", 503),
    ],
    ids=["large", "busy", "slow", "bomb", "no gzip", "no JSON", "full disk"],
)
def test_a_refused_body_is_let_go_of_at_once(
    house, content: bytes, more: bool, encoding: bytes, status: int
) -> None:
    house.set(max_body_bytes=2_000, max_reading_bytes=1_000, body_timeout_s=0.01)
    message = {"type": "http.request", "body": Piece(content), "more_body": more}
    assert house.app
    with full_disk_without_collections():
        headers = [(b"content-encoding", encoding)]
        start, _ = asyncio.run(call(house.app, message, headers=headers))
        del message
        assert start["status"] == status
        assert Piece.held == 0
