"""Asking the platform for segments: what is asked, and what each answer means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sinks import Answer, Sink
from tallybook.deliver.answer import Reply
from tallybook.deliver.ask import AskingHttp
from tallybook.deliver.odp_address import OdpAddress
from tallybook.deliver.segments import (
    SegmentFailure,
    SegmentFault,
    SegmentRequest,
    fetch_segments,
)


class Platform:
    """Answers every question alike, and keeps it."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.asked: list[tuple[str, Any, Mapping[str, str]]] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        self.asked.append((url, json.loads(body), headers))
        return self.reply

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        raise NotImplementedError

    def abandon(self) -> None:
        raise NotImplementedError


def request(host: str = "https://odp", key: str = "fs_user_id", **other: Any) -> SegmentRequest:
    fields = {"user_value": "ann", "segments_to_check": ["new", "vip"], **other}
    return SegmentRequest(OdpAddress(host, "secret"), key, **fields)


def node(name: object, state: object = "qualified") -> dict[str, Any]:
    return {"node": {"name": name, "state": state}}


def body(*edges: object) -> bytes:
    return json.dumps({"data": {"customer": {"audiences": {"edges": edges}}}}).encode()


def declined(**extensions: object) -> bytes:
    return json.dumps({"errors": [{"extensions": extensions}], "data": {"customer": None}}).encode()


def fetched(answer: bytes, status: int = 200) -> list[str] | SegmentFailure:
    return fetch_segments(Platform(Reply(status, body=answer)), request())


def test_the_question_names_the_user_and_the_segments_and_shows_the_key() -> None:
    platform = Platform(Reply(200, body=body()))
    fetch_segments(platform, request("https://odp/", "email", user_value='a"\n\ud800é'))

    [(url, asked, headers)] = platform.asked
    assert url == "https://odp/v3/graphql"
    assert headers == {"Content-Type": "application/json", "x-api-key": "secret"}
    assert asked["variables"] == {"userId": 'a"\n\ud800é', "audiences": ["new", "vip"]}
    assert "customer(email: $userId)" in asked["query"]


def test_segments_are_those_the_user_qualifies_for_in_the_order_they_came() -> None:
    edges = node("vip"), node("old", "not_qualified"), node("new"), node("odd", "QUALIFIED")
    assert fetched(body(*edges)) == ["vip", "new"]
    assert fetched(body(*edges), status=201) == ["vip", "new"]


def test_being_in_no_segment_is_an_answer() -> None:
    assert fetched(body()) == []


def test_an_identifier_nobody_has_is_told_from_other_faults() -> None:
    unknown = declined(code="INVALID_IDENTIFIER_EXCEPTION", classification="DataFetching")
    assert fetched(unknown) == SegmentFailure(SegmentFault.INVALID_IDENTIFIER, "DataFetching")
    other = declined(classification="Timeout")
    assert fetched(other) == SegmentFailure(SegmentFault.DECLINED, "Timeout")
    coded = declined(code="OTHER", classification="Timeout")
    assert fetched(coded) == SegmentFailure(SegmentFault.DECLINED, "Timeout")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"null",
        b"5",
        b"[]",
        b"{}",
        b"\xff",
        b'{"data":null}',
        b'{"data":{"customer":null}}',
        b'{"data":{"customer":{"audiences":{}}}}',
        b'{"data":{"customer":{"audiences":{"edges":null}}}}',
        body(5),
        body({}),
        body({"node": {"name": "vip"}}),
        body({"node": {"state": "qualified"}}),
        body(node(5)),
        b'{"errors":[],"data":{"customer":{"audiences":{"edges":[]}}}}',
        b'{"errors":null,"data":{"customer":{"audiences":{"edges":[]}}}}',
        b'{"errors":"no"}',
        b'{"errors":[{}]}',
        declined(code="INVALID_IDENTIFIER_EXCEPTION"),
        b'{"data":' + b"[" * 100_000,
    ],
    ids=lambda answer: answer[:60].decode("utf-8", "replace"),
)
def test_what_is_no_answer_is_a_fault(answer: bytes) -> None:
    failure = fetched(answer)
    assert isinstance(failure, SegmentFailure)
    assert failure.fault is SegmentFault.UNANSWERED
    assert failure.reason.startswith("what came is no valid answer: ")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(403, "wrong\n key"), "status 403: wrong key"),
        (Reply(500), "status 500: no reason given"),
        (Reply(301, body=body()), "status 301: no reason given"),
        (Reply(0, "TimeoutError: too slow"), "no answer: TimeoutError: too slow"),
        (Reply(502, "x" * 1000), "status 502: " + "x" * 200),
    ],
)
def test_a_bad_status_or_none_is_a_fault_with_the_servers_reason(reply: Reply, reason: str) -> None:
    failure = fetch_segments(Platform(reply), request())
    assert failure == SegmentFailure(SegmentFault.UNANSWERED, reason)


@pytest.mark.parametrize("key", ["", "a b", "x: $userId) { y } z(w", "1st", "é", "id\n"])
def test_a_key_that_would_change_the_query_is_not_asked_about(key: str) -> None:
    platform = Platform(Reply(200, body=body()))
    failure = fetch_segments(platform, request(key=key))
    assert isinstance(failure, SegmentFailure)
    assert repr(key) in failure.reason
    assert platform.asked == []


def test_what_json_cannot_say_is_not_asked_about() -> None:
    platform = Platform(Reply(200, body=body()))
    failure = fetch_segments(platform, request(user_value=object()))
    assert isinstance(failure, SegmentFailure)
    assert failure.reason.startswith("the question cannot be written: TypeError: ")
    assert platform.asked == []


def test_a_platform_that_is_slow_or_hangs_up_or_is_gone_is_a_fault() -> None:
    with Sink([Answer(after_s=1.0), Answer(cut=True)], Answer(200, body(node("vip")))) as sink:
        http = AskingHttp(0.05)
        late = fetch_segments(http, request(sink.url))
        cut = fetch_segments(AskingHttp(5.0), request(sink.url))
        good = fetch_segments(AskingHttp(5.0), request(sink.url))
        assert [len(sink.requests), good] == [3, ["vip"]]  # each asked once
    gone = fetch_segments(AskingHttp(5.0), request(sink.url))
    for failure in (late, cut, gone):
        assert isinstance(failure, SegmentFailure)
        assert failure.fault is SegmentFault.UNANSWERED
        assert failure.reason.startswith("no answer: ")


def test_an_answer_of_any_length_is_read_to_its_end_on_one_connection() -> None:
    names = [f"segment {number}" for number in range(5000)]
    with Sink(otherwise=Answer(200, body(*map(node, names)))) as sink:
        http = AskingHttp(5.0)
        assert [fetch_segments(http, request(sink.url)) for _ in range(2)] == [names, names]
        assert len({question.connection for question in sink.posts}) == 1


def test_the_key_is_not_shown_where_an_address_is() -> None:
    assert "secret" not in repr(request())
