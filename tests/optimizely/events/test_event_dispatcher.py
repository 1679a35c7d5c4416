"""The SDK's own dispatcher, against a real server on loopback."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from both_sdks import Sdk
from sinks import Answer, Sink
from tallybook.optimizely import event_dispatcher

HEADERS = {"Content-Type": "application/json"}
PARAMS = {"account_id": "1", "visitors": [{"visitor_id": "ünï"}]}


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_request_is_posted_as_json(sdk: Sdk, sink: Sink) -> None:
    request = sdk.LogEvent(f"{sink.url}/v1/events", PARAMS, "POST", HEADERS)
    sdk.EventDispatcher.dispatch_event(request)
    (captured,) = sink.requests
    assert (captured.method, captured.path) == ("POST", "/v1/events")
    assert captured.headers["content-type"] == "application/json"
    assert captured.json == PARAMS


def test_a_request_may_have_its_values_in_the_address(sdk: Sdk, sink: Sink) -> None:
    sdk.EventDispatcher.dispatch_event(sdk.LogEvent(f"{sink.url}/a", {"b": "c d", "e": 1}, "GET"))
    (captured,) = sink.requests
    assert captured.method == "GET"
    assert urlsplit(captured.path).path == "/a"
    assert parse_qs(urlsplit(captured.path).query) == {"b": ["c d"], "e": ["1"]}


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_a_refusal_is_logged_and_not_raised(
    sdk: Sdk, sink: Sink, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    sink.otherwise = Answer(status)
    sdk.EventDispatcher.dispatch_event(sdk.LogEvent(sink.url, PARAMS, "POST", HEADERS))
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert str(status) in errors[0].getMessage()
    assert len(sink.requests) == 1


def test_a_server_that_cannot_be_reached_is_logged_and_not_raised(
    ours: Sdk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(event_dispatcher.time, "sleep", waits.append)
    url = f"http://user:secret@127.0.0.1:{free_port()}/v1/events"
    ours.EventDispatcher.dispatch_event(ours.LogEvent(url, PARAMS, "POST", HEADERS))
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "tallybook"
    assert "127.0.0.1" in record.getMessage()
    assert "secret" not in record.getMessage()
    assert waits == [0.0, 0.4, 0.8]


def test_a_connection_that_is_cut_is_no_reason_to_lose_the_request(ours: Sdk, sink: Sink) -> None:
    sink.answers = [Answer(cut=True)]
    ours.EventDispatcher.dispatch_event(ours.LogEvent(sink.url, PARAMS, "POST", HEADERS))
    assert [request.json for request in sink.requests] == [PARAMS, PARAMS]


def test_a_connection_is_used_again(ours: Sdk, sink: Sink) -> None:
    for _ in range(3):
        ours.EventDispatcher.dispatch_event(ours.LogEvent(sink.url, PARAMS, "POST", HEADERS))
    assert len({request.connection for request in sink.requests}) == 1


@pytest.mark.parametrize(
    "event", [None, {"url": "http://127.0.0.1/"}], ids=["nothing", "no request"]
)
def test_what_is_no_request_is_logged_and_not_raised(
    ours: Sdk, event: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ours.EventDispatcher.dispatch_event(event)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_body_that_json_cannot_say_is_logged_and_not_raised(
    ours: Sdk, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    request = ours.LogEvent(sink.url, {"a": object()}, "POST", HEADERS)
    ours.EventDispatcher.dispatch_event(request)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert sink.requests == []
