"""Asking for predictions: what is asked, how often, and what each answer means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sinks import Answer, Sink
from tallybook.deliver.answer import Reply
from tallybook.deliver.ask import AskingHttp
from tallybook.deliver.predictions import (
    ENDPOINT,
    FetchedPrediction,
    PredictionRequest,
    PredictionRetries,
    fetch_prediction,
)

GOOD = Reply(200, body=b'{"predictions":[{"variation_id":"v1","score":0.5}],"model":2}')
BUSY = Reply(503, "no room")


class Service:
    """Answers with ``replies`` first, and then well; keeps what it was asked, and the waits."""

    def __init__(self, *replies: Reply, otherwise: Reply = GOOD) -> None:
        self.replies = list(replies)
        self.otherwise = otherwise
        self.asked: list[tuple[str, Any, Mapping[str, str]]] = []
        self.waits_s: list[float] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        self.asked.append((url, json.loads(body), headers))
        return self.replies.pop(0) if self.replies else self.otherwise

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        raise NotImplementedError

    def abandon(self) -> None:
        raise NotImplementedError

    def fetch(
        self,
        request: PredictionRequest | None = None,
        retries: PredictionRetries | None = None,
        endpoint: str = ENDPOINT,
    ) -> FetchedPrediction:
        asked = request or prediction_request()
        return fetch_prediction(self, endpoint, asked, retries, self.waits_s.append)


def prediction_request(rule_id: str = "77", *attributes: tuple[str, object]) -> PredictionRequest:
    return PredictionRequest(rule_id, "ann", attributes, "uuid-1")


def test_the_question_names_the_visitor_the_rule_and_the_attributes() -> None:
    service = Service()
    attributes = (("9", None), ("10", 1.5), ("11", True), ("12", ["a"]), ("13", "\ud800"))
    assert service.fetch(prediction_request("77", *attributes)) == FetchedPrediction("v1")

    [(url, asked, headers)] = service.asked
    assert url == "https://prediction.cmab.optimizely.com/predict/77"
    assert headers == {"Content-Type": "application/json"}
    said = [{"id": key, "value": value, "type": "custom_attribute"} for key, value in attributes]
    assert asked == {
        "instances": [
            {
                "visitorId": "ann",
                "experimentId": "77",
                "attributes": said,
                "cmabUUID": "uuid-1",
            }
        ]
    }


@pytest.mark.parametrize(
    ("endpoint", "rule_id", "url"),
    [
        ("http://own/{}/now", "77", "http://own/77/now"),
        ("http://own", "77", "http://own"),
        ("http://own/{}", "a/../b?c é\ud800", "http://own/a%2F..%2Fb%3Fc%20%C3%A9%3F"),
        ("http://own/{rule}/{", "77", "http://own/{rule}/{"),
    ],
)
def test_the_rule_takes_its_place_in_the_endpoint(endpoint: str, rule_id: str, url: str) -> None:
    service = Service()
    service.fetch(prediction_request(rule_id), endpoint=endpoint)
    assert service.asked[0][0] == url


@pytest.mark.parametrize(("written", "variation_id"), [('"v"', "v"), ("5", "5"), ('""', "")])
def test_a_variations_id_is_a_string_whatever_it_was(written: str, variation_id: str) -> None:
    body = b'{"predictions":[{"variation_id":%b}]}' % written.encode()
    assert Service(Reply(201, body=body)).fetch().variation_id == variation_id


def test_a_second_attempt_follows_a_failed_one_and_then_none() -> None:
    service = Service(BUSY, BUSY)
    assert service.fetch() == FetchedPrediction(
        None, ("status 503: no room", "status 503: no room")
    )
    assert service.waits_s == [0.1]
    assert service.asked[0] == service.asked[1]


def test_what_failed_before_a_prediction_came_is_told_beside_it() -> None:
    assert Service(BUSY).fetch() == FetchedPrediction("v1", ("status 503: no room",))


def test_waits_grow_up_to_the_longest() -> None:
    service = Service(otherwise=BUSY)
    failed = service.fetch(retries=PredictionRetries(5, 0.5, 3.0, 2.0))
    assert service.waits_s == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert len(service.asked) == len(failed.failures) == 6


@pytest.mark.parametrize(
    ("retries", "waits_s"),
    [
        (PredictionRetries(0), []),
        (PredictionRetries(-1), []),
        (PredictionRetries(1, 20.0), [10.0]),
        (PredictionRetries(2, -1.0), [0.0, 0.0]),
    ],
)
def test_retries_may_be_few_and_waits_odd(retries: PredictionRetries, waits_s: list[float]) -> None:
    service = Service(otherwise=BUSY)
    assert service.fetch(retries=retries).variation_id is None
    assert service.waits_s == waits_s


@pytest.mark.parametrize(
    "reply",
    [
        Reply(0, "TimeoutError: too slow"),
        Reply(400, "no"),
        Reply(301),
        Reply(500),
        *(
            Reply(200, body=body)
            for body in (
                b"",
                b"null",
                b"[]",
                b"{}",
                b"\xff",
                b'{"predictions":null}',
                b'{"predictions":[]}',
                b'{"predictions":[5]}',
                b'{"predictions":[{}]}',
                b'{"predictions":[{"variation_id":null}]}',
                b'{"predictions":[{"variation_id":true}]}',
                b'{"predictions":[{"variation_id":[1]}]}',
                b'{"predictions":{"variation_id":"v"}}',
            )
        ),
    ],
    ids=lambda reply: f"{reply.status} {reply.body!r}",
)
def test_whatever_is_no_prediction_is_asked_for_again(reply: Reply) -> None:
    service = Service(reply)
    got = service.fetch()
    assert got.variation_id == "v1"
    assert len(service.asked) == 2
    assert len(got.failures) == 1


class _Spiteful(dict[str, object]):
    def items(self) -> Any:
        raise OSError("not now")


@pytest.mark.parametrize("value", [object(), float("nan"), float("-inf"), _Spiteful(a=1)])
def test_what_json_cannot_say_is_neither_asked_nor_asked_again(value: object) -> None:
    service = Service()
    got = service.fetch(prediction_request("77", ("9", value)), PredictionRetries(5))
    assert got.variation_id is None
    [failure] = got.failures
    assert failure.startswith("the question cannot be written: ")
    assert (service.asked, service.waits_s) == ([], [])


def test_a_service_that_is_slow_or_hangs_up_is_asked_again() -> None:
    answers = [Answer(after_s=1.0), Answer(cut=True)]
    with Sink(answers, Answer(200, GOOD.body)) as sink:
        endpoint, retries = sink.url + "/predict/{}", PredictionRetries(2, 0.0)
        got = fetch_prediction(AskingHttp(0.2), endpoint, prediction_request(), retries)
    assert got.variation_id == "v1"
    assert [failure.partition(": ")[0] for failure in got.failures] == ["no answer"] * 2
    assert [request.path for request in sink.posts] == ["/predict/77"] * 3
