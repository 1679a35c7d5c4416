"""A prediction service and a customer data platform on loopback, and a project that asks them."""

from __future__ import annotations

import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shop import datafile
from sinks import Answer, Captured, Sink

KEY = "secret"
RULE = "100"  # the bandit's
VARIATION = "101"
SEEN = ["602", "601", "699"]  # attributes that the bandit looks at; the datafile lacks the last
RESET, INVALIDATE = "RESET_CMAB_CACHE", "INVALIDATE_USER_CMAB_CACHE"
IGNORE = "IGNORE_CMAB_CACHE"
REASONS = "INCLUDE_REASONS"
_numbers = itertools.count()


def predicted(variation_id: object = VARIATION) -> Answer:
    return Answer(200, json.dumps({"predictions": [{"variation_id": variation_id}]}).encode())


def edges(*names: str, state: str = "qualified") -> Answer:
    nodes = [{"node": {"name": name, "state": state}} for name in names]
    return Answer(200, json.dumps({"data": {"customer": {"audiences": {"edges": nodes}}}}).encode())


def declined(**extensions: str) -> Answer:
    return Answer(200, json.dumps({"errors": [{"extensions": extensions}]}).encode())


def qualified(segment: object) -> dict[str, Any]:
    name = "odp.audiences"
    kind = "third_party_dimension"
    return {"type": kind, "name": name, "match": "qualified", "value": segment}


def bandit(traffic: int = 10_000, **changes: Any) -> dict[str, Any]:
    """The project, with a bandit in place of its first experiment."""
    document = datafile(**changes)
    document["experiments"][0]["cmab"] = {"attributeIds": SEEN, "trafficAllocation": traffic}
    return document


def integrated(host: str | None, *segments: object, **changes: Any) -> dict[str, Any]:
    """The project, integrating a platform and asking for segments in several audiences."""
    document = datafile(**changes)
    plain = {"id": "q0", "name": "old", "conditions": json.dumps(["or", qualified("old")])}
    for number, segment in enumerate(segments):
        leaf = ["and", ["not", qualified(segment)], qualified(segment)]
        audience = {"id": f"q{number + 1}", "name": "q", "conditions": ["or", leaf]}
        document["typedAudiences"].append(audience)
    if segments:
        document["audiences"].append(plain)
    if host is not None:
        document["integrations"] = [{"key": "odp", "host": host, "publicKey": KEY}]
    return document


class Platform(Sink):
    """Answers by path: predictions, segments, events, and anything else with 204."""

    def __init__(self) -> None:
        super().__init__(otherwise=self._usually)
        self.segments = edges("vip")
        self.prediction = predicted()

    def _usually(self, request: Captured) -> Answer:
        if request.path.startswith("/predict"):
            return self.prediction
        return self.segments if request.path == "/v3/graphql" else Answer(200)

    @property
    def endpoint(self) -> str:
        return self.url + "/predict/{}"

    def at(self, path: str) -> list[Captured]:
        return [request for request in self.posts if request.path.startswith(path)]

    def asked_segments(self) -> list[set[Any]]:
        """Which segments each question was about; the official SDK names some twice."""
        return [set(r.json["variables"]["audiences"]) for r in self.at("/v3/graphql")]

    def customer_events(self) -> list[Any]:
        return [event for request in self.at("/v3/events") for event in request.json]

    def predictions(self) -> list[Any]:
        return [request.json["instances"][0] for request in self.at("/predict")]


class Said(logging.Handler):
    """What is logged, by level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def levels(self, at_least: int = logging.DEBUG) -> Counter[str]:
        return Counter(r.levelname for r in self.records if r.levelno >= at_least)


@contextmanager
def heard(name: str = "") -> Iterator[tuple[logging.Logger, Said]]:
    """A logger, and what it is told from now on; without a name, one that nobody else has."""
    logger, said = logging.getLogger(name or f"tests.remote.{next(_numbers)}"), Said()
    before = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(said)
    try:
        yield logger, said
    finally:
        logger.removeHandler(said)
        logger.setLevel(before[0])
        logger.propagate = before[1]
