"""The official SDK's classes for segments, customer events, predictions and caching, beside ours.

Both talk to the same server on loopback, which keeps what they sent.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimizely.cmab.cmab_client import CmabRetryConfig, DefaultCmabClient
from optimizely.exceptions import CmabError
from optimizely.odp.lru_cache import LRUCache
from optimizely.odp.odp_config import OdpConfig
from optimizely.odp.odp_event import OdpEvent as OfficialEvent
from optimizely.odp.odp_event_api_manager import OdpEventApiManager
from optimizely.odp.odp_event_manager import OdpEventManager
from optimizely.odp.odp_segment_api_manager import OdpSegmentApiManager
from optimizely.optimizely import Optimizely
from optimizely.version import __version__

from sinks import Answer, Captured, Sink
from tallybook.deliver.ask import AskingHttp
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.lru_cache import LruCache
from tallybook.deliver.odp_address import OdpAddress
from tallybook.deliver.odp_events import (
    OdpEvent,
    OdpEvents,
    OdpFlaw,
    OdpSource,
    odp_settings,
    write_event,
)
from tallybook.deliver.predictions import PredictionRequest, PredictionRetries, fetch_prediction
from tallybook.deliver.segments import (
    SegmentFailure,
    SegmentFault,
    SegmentRequest,
    fetch_segments,
)

KEY = "secret"
SEGMENTS = ["new", "vip"]
SOURCE = OdpSource("python-sdk", __version__)
TOLD = ("content-type", "x-api-key")  # what else a request's headers say is the library's

Wire = tuple[str, str, dict[str, str], Any]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


def wire(request: Captured) -> Wire:
    """What counts of a request."""
    headers = {name: request.headers[name] for name in TOLD if name in request.headers}
    return request.method, request.path, headers, request.json


def tokens(query: str) -> list[str]:
    """A GraphQL text without what means nothing in it."""
    return re.findall(r"[$\w]+|[^\s\w,]", query)


# Segments


def edges(*pairs: tuple[object, object]) -> bytes:
    nodes = [{"node": {"name": name, "state": state}} for name, state in pairs]
    return json.dumps({"data": {"customer": {"audiences": {"edges": nodes}}}}).encode()


def declined(**extensions: object) -> bytes:
    return json.dumps({"errors": [{"extensions": extensions}], "data": {"customer": None}}).encode()


def official_segments(host: str, key: str, value: str, segments: list[str]) -> list[str] | None:
    logger = logging.getLogger("official")
    asking = OdpSegmentApiManager(logger)
    segments_found = asking.fetch_segments(KEY, host, key, value, segments)
    assert segments_found is None or isinstance(segments_found, list)
    return segments_found


def our_segments(
    host: str, key: str, value: str, segments: Sequence[str]
) -> list[str] | SegmentFailure:
    request = SegmentRequest(OdpAddress(host, KEY), key, value, segments)
    return fetch_segments(AskingHttp(10.0), request)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("segments", [SEGMENTS, []])
@pytest.mark.parametrize(
    ("key", "value"),
    [("fs_user_id", "ann"), ("vuid", 'q"\\u0000\n é \U0001f600'), ("fs_user_id", "")],
)
def test_both_ask_for_segments_alike(
    sink: Sink, slash: str, segments: list[str], key: str, value: str
) -> None:
    sink.otherwise = Answer(200, edges())
    assert official_segments(sink.url + slash, key, value, segments) == []
    assert our_segments(sink.url + slash, key, value, segments) == []
    theirs, ours = map(wire, sink.requests)
    for asked in (theirs[3], ours[3]):
        asked["query"] = tokens(asked["query"])
    assert ours == theirs


ANSWERS = {
    "some": Answer(200, edges(("vip", "qualified"), ("old", "not_qualified"))),
    "twice": Answer(200, edges(("vip", "qualified"), ("vip", "qualified"))),
    "none": Answer(200, edges()),
    "created": Answer(201, edges(("vip", "qualified"))),
    "other case": Answer(200, edges(("vip", "QUALIFIED"))),
    "unknown user": Answer(
        200, declined(code="INVALID_IDENTIFIER_EXCEPTION", classification="DataFetching")
    ),
    "declined": Answer(200, declined(classification="Timeout")),
    "declined with a code": Answer(200, declined(code="X", classification="Timeout")),
    "a code alone": Answer(200, declined(code="INVALID_IDENTIFIER_EXCEPTION")),
    "no content": Answer(204),
    "cut": Answer(cut=True),
    **{f"status {status}": Answer(status, edges()) for status in (400, 401, 403, 404, 500, 503)},
    **{
        text.decode("utf-8", "replace"): Answer(200, text)
        for text in (
            b"",
            b"null",
            b"[]",
            b"{}",
            b"{",
            b'{"data":null}',
            b'{"data":{"customer":null}}',
            b'{"data":{"customer":{"audiences":{"edges":[5]}}}}',
            b'{"data":{"customer":{"audiences":{"edges":[{"node":{"name":"vip"}}]}}}}',
            b'{"errors":[],"data":{"customer":{"audiences":{"edges":[]}}}}',
            b'{"errors":null,"data":{"customer":{"audiences":{"edges":[]}}}}',
            b'{"errors":"no"}',
            b'{"errors":[{}]}',
        )
    },
}


@pytest.mark.parametrize("name", ANSWERS)
def test_both_read_the_same_segments_in_an_answer(
    sink: Sink, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    sink.otherwise = ANSWERS[name]
    caplog.set_level(logging.INFO, "official")
    theirs = official_segments(sink.url, "fs_user_id", "ann", SEGMENTS)
    ours = our_segments(sink.url, "fs_user_id", "ann", SEGMENTS)
    assert len(sink.requests) == 2  # neither asks again
    if theirs is not None:
        assert ours == theirs
        return
    assert isinstance(ours, SegmentFailure)
    is_mild = ours.fault is SegmentFault.INVALID_IDENTIFIER
    levels = [record.levelno for record in caplog.records if record.name == "official"]
    assert levels == [logging.WARNING if is_mild else logging.ERROR]


@pytest.mark.parametrize(
    ("answer", "theirs"),
    [
        (Answer(200, edges((5, "qualified"))), [5]),
        (Answer(301, edges(("vip", "qualified"))), ["vip"]),
    ],
    ids=["a number for a name", "a redirect that leads nowhere"],
)
def test_what_only_the_official_sdk_takes_for_segments(
    sink: Sink, answer: Answer, theirs: list[object]
) -> None:
    sink.otherwise = answer
    assert official_segments(sink.url, "fs_user_id", "ann", SEGMENTS) == theirs
    assert isinstance(our_segments(sink.url, "fs_user_id", "ann", SEGMENTS), SegmentFailure)


# Customer events

EVENTS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("fullstack", "act", {"email": "a@b"}, {}),
    ("t", "a", {"fs-user-id": "u", "FS_User_ID": "v", "vuid": "x", "Fs-USER-id": "z"}, {}),
    ("t", "a", {"fs_user_id": "u", "fs-user-id": "v"}, {}),
    ("t", "a", {"FS-USER-ID": "u", "fs_user_id": "v"}, {}),
    ("t", "a", {"fs-user_id": "u", "fsuserid": "v", "": ""}, {}),
    ("t", "a", {"email": None, "crm": 5}, {"n": None, "b": True, "i": -1, "f": 1.5, "s": 'é"\n'}),
    ("t", "é", {"vuid": "v"}, {"data_source": "mine", "data_source_type": "x", "extra": 2**80}),
    (" ", " ", {"a": "b"}, {"half": "\ud800", "data_source_version": None}),
]


def without_id(said: Any) -> Any:
    assert said["data"].pop("idempotence_id")
    return said


@pytest.mark.parametrize(("kind", "action", "identifiers", "data"), EVENTS)
def test_both_write_an_event_alike(
    sink: Sink, kind: str, action: str, identifiers: dict[str, Any], data: dict[str, Any]
) -> None:
    official = OfficialEvent(kind, action, dict(identifiers), dict(data))
    OdpEventApiManager().send_odp_events(KEY, sink.url, [official])
    sender = OdpEvents(odp_settings(0), KeepAliveHttp(5.0), SOURCE)
    sender.send(OdpEvent(action, identifiers, kind, data), OdpAddress(sink.url, KEY))
    assert sender.stop(10) == 0

    theirs, ours = map(wire, sink.requests)
    for _, _, _, body in (theirs, ours):
        assert len(body) == 1
        without_id(body[0])
    assert ours == theirs


def official_sizes(sink: Sink, count: int, **options: Any) -> list[int]:
    sender = OdpEventManager(**options)
    sender.start(OdpConfig(KEY, sink.url, SEGMENTS))
    for number in range(count):
        sender.send_event("t", f"act {number}", {"email": "a@b"}, {})
    sender.stop()
    return [len(request.json) for request in sink.requests]


def our_sizes(sink: Sink, count: int, flush_interval_s: float) -> list[int]:
    sender = OdpEvents(odp_settings(flush_interval_s), KeepAliveHttp(5.0), SOURCE)
    for number in range(count):
        sender.send(OdpEvent(f"act {number}", {"email": "a@b"}, "t"), OdpAddress(sink.url, KEY))
    assert sender.stop(10) == 0
    return [len(request.json) for request in sink.requests]


@pytest.mark.parametrize(("count", "interval_s"), [(1, 5), (10, 5), (25, 5), (1, 0), (4, 0)])
def test_both_make_the_same_batches(count: int, interval_s: int) -> None:
    with Sink() as theirs, Sink() as ours:
        sizes = official_sizes(theirs, count, flush_interval=interval_s)
        assert our_sizes(ours, count, interval_s) == sizes


def test_both_send_a_batch_again_and_unchanged_but_only_ours_until_it_is_taken() -> None:
    troubles = [Answer(503), Answer(cut=True), Answer(500), Answer(500), Answer(502)]
    with Sink(troubles) as theirs, Sink(troubles) as ours:
        assert official_sizes(theirs, 2) == [2] * 4
        sender = OdpEvents(odp_settings(), KeepAliveHttp(5.0), SOURCE)
        for number in range(2):
            sender.send(OdpEvent(f"act {number}", {"email": "a@b"}), OdpAddress(ours.url, KEY))
        deadline = time.monotonic() + 30
        while not sender.flush(0.2) and time.monotonic() < deadline:
            pass  # each flush makes an attempt at once
        assert sender.stop(10) == 0
        assert [len(request.json) for request in ours.requests] == [2] * 6
        for requests in (theirs.requests, ours.requests):
            assert len({request.body for request in requests}) == 1


REFUSED: list[tuple[Any, Any, Any, Any]] = [
    ("", {"a": "b"}, "t", {}),
    (None, {"a": "b"}, "t", {}),
    ("act", {}, "t", {}),
    ("act", None, "t", {}),
    ("act", ["a"], "t", {}),
    ("act", {"a": "b"}, "t", {"list": [1]}),
    ("act", {"a": "b"}, "t", {"dict": {}}),
    ("act", {"a": "b"}, "t", {"set": {1}}),
]


def official_client(host: str) -> Optimizely:
    qualified = {
        "match": "qualified",
        "name": "odp.audiences",
        "type": "third_party_dimension",
        "value": SEGMENTS[0],
    }
    datafile = {
        **dict.fromkeys(("accountId", "projectId", "revision"), "1"),
        **{key: [] for key in ("attributes", "audiences", "events", "experiments")},
        **{key: [] for key in ("featureFlags", "groups", "layers", "rollouts", "variables")},
        "version": "4",
        "anonymizeIP": False,
        "sdkKey": "odp",
        "typedAudiences": [{"id": "1", "name": "new", "conditions": ["and", qualified]}],
        "integrations": [{"key": "odp", "host": host, "publicKey": KEY}],
    }
    return Optimizely(json.dumps(datafile))


def test_both_refuse_the_same_events(sink: Sink) -> None:
    client = official_client(sink.url)
    for action, identifiers, kind, data in REFUSED:
        client.send_odp_event(action, identifiers, kind, data)
        ours = write_event(OdpEvent(action, identifiers, kind, data), SOURCE, "id")
        assert isinstance(ours, OdpFlaw)
    client.send_odp_event("good", {"a": "b"}, "", None)
    client.close()
    [said] = [said for request in sink.requests for said in request.json]
    good = write_event(OdpEvent("good", {"a": "b"}, ""), SOURCE, "id")
    assert isinstance(good, bytes)
    assert without_id(said) == without_id(json.loads(good))


def test_what_only_the_official_sdk_sends(sink: Sink) -> None:
    client = official_client(sink.url)
    for action, kind, data in ((5, "t", {}), ("act", 5, {}), ("act", "t", {"f": float("nan")})):
        client.send_odp_event(action, {"a": "b"}, kind, data)
        ours = write_event(OdpEvent(action, {"a": "b"}, kind, data), SOURCE, "id")
        assert isinstance(ours, OdpFlaw)
    client.close()
    assert sum(len(request.json) for request in sink.requests) == 3
    assert b"NaN" in sink.requests[-1].body  # no JSON, so what travels with it is lost


# Predictions

Predict = Callable[[Sink, str, Mapping[str, object]], str | None]


def official_prediction(sink: Sink, rule_id: str, attributes: Mapping[str, object]) -> str | None:
    endpoint = sink.url + "/predict/{}"
    asking = DefaultCmabClient(retry_config=CmabRetryConfig(1, 0.01), prediction_endpoint=endpoint)
    try:
        return asking.fetch_decision(rule_id, "ann", dict(attributes), "uuid-1")
    except CmabError:
        return None


def our_prediction(sink: Sink, rule_id: str, attributes: Mapping[str, object]) -> str | None:
    request = PredictionRequest(rule_id, "ann", tuple(attributes.items()), "uuid-1")
    retries = PredictionRetries(1, 0.01)
    endpoint = sink.url + "/predict/{}"
    return fetch_prediction(AskingHttp(10.0), endpoint, request, retries).variation_id


@pytest.mark.parametrize("rule_id", ["10420810910", "exp_1", "a b"])
@pytest.mark.parametrize(
    "attributes",
    [{}, {"7": "x", "9": None, "8": 1.5, "1": True, "2": [1, {"a": "é"}], "3": "\ud800"}],
)
def test_both_ask_for_a_prediction_alike(
    sink: Sink, rule_id: str, attributes: dict[str, object]
) -> None:
    sink.otherwise = Answer(200, b'{"predictions":[{"variation_id":"v"}]}')
    assert official_prediction(sink, rule_id, attributes) == "v"
    assert our_prediction(sink, rule_id, attributes) == "v"
    theirs, ours = map(wire, sink.requests)
    assert ours == theirs


PREDICTIONS = {
    "a string": Answer(200, b'{"predictions":[{"variation_id":"v","x":1}],"y":2}'),
    "a number": Answer(201, b'{"predictions":[{"variation_id":5}]}'),
    "empty": Answer(200, b'{"predictions":[{"variation_id":""}]}'),
    "two": Answer(200, b'{"predictions":[{"variation_id":"v"},{"variation_id":"w"}]}'),
    "no content": Answer(204),
    "cut": Answer(cut=True),
    **{f"status {status}": Answer(status, b"no") for status in (301, 400, 404, 429, 500, 503)},
    **{
        text.decode(): Answer(200, text)
        for text in (
            b"null",
            b"[]",
            b"5",
            b"{",
            b"{}",
            b'{"predictions":null}',
            b'{"predictions":[]}',
            b'{"predictions":[5]}',
            b'{"predictions":[{}]}',
            b'{"predictions":{"variation_id":"v"}}',
            b'{"predictions":[{"variationId":"v"}]}',
        )
    },
}


def attempts(predict: Predict, answers: list[Answer], otherwise: Answer) -> tuple[str | None, int]:
    with Sink(answers, otherwise) as sink:
        return predict(sink, "77", {}), len(sink.requests)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_both_read_the_same_prediction_in_an_answer_and_ask_as_often(name: str) -> None:
    good, answer = PREDICTIONS["a string"], PREDICTIONS[name]
    for answers, otherwise in (([], answer), ([answer], good)):
        theirs = attempts(official_prediction, list(answers), otherwise)
        assert attempts(our_prediction, list(answers), otherwise) == theirs


@pytest.mark.parametrize(
    ("written", "theirs"), [(b"null", "None"), (b"true", "True"), (b"1.5", "1.5"), (b"[1]", "[1]")]
)
def test_what_only_the_official_sdk_takes_for_a_variations_id(written: bytes, theirs: str) -> None:
    answer = Answer(200, b'{"predictions":[{"variation_id":%b}]}' % written)
    assert attempts(official_prediction, [], answer) == (theirs, 1)
    assert attempts(our_prediction, [], answer) == (None, 2)


# The cache

USES = st.lists(
    st.tuples(
        st.sampled_from(["lookup", "save", "peek", "remove", "wait", "reset"]),
        st.sampled_from("abcde"),
        st.sampled_from([0.25, 3.0, 10.0]),
    ),
    max_size=60,
)


@given(st.integers(-1, 4), st.sampled_from([-1, 0, 10]), USES)
def test_both_caches_keep_and_forget_alike(
    capacity: int, timeout_s: int, uses: list[tuple[str, str, float]]
) -> None:
    now = 1000.0

    def clock() -> float:
        return now

    with mock.patch("optimizely.odp.lru_cache.time", clock):
        theirs: LRUCache[str, int] = LRUCache(capacity, timeout_s)
        ours: LruCache[str, int] = LruCache(capacity, timeout_s, clock)
        for number, (use, key, wait_s) in enumerate(uses):
            if use == "wait":
                now += wait_s
            elif use == "reset":
                theirs.reset()
                ours.reset()
            elif use == "save":
                theirs.save(key, number)
                if key in theirs.map:
                    theirs.map[key].timestamp = now  # it asks the clock it was imported with
                ours.save(key, number)
            else:
                assert getattr(ours, use)(key) == getattr(theirs, use)(key)
            assert [ours.peek(key) for key in "abcde"] == [theirs.peek(key) for key in "abcde"]
