"""Asks the prediction service which variation of a contextual bandit's rule a visitor gets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct, json

from tallybook.deliver.answer import Http
from tallybook.deliver.ask import Question, Unanswered, ask

ENDPOINT: Final = "https://prediction.cmab.optimizely.com/predict/{}"

_RULE: Final = "{}"  # where an endpoint wants the rule's id
_ATTRIBUTE_TYPE: Final = "custom_attribute"


class PredictionRequest(Struct, frozen=True):
    """Whom to predict for; ``attributes`` are pairs of an attribute's id and its value."""

    rule_id: str
    user_id: str
    attributes: Sequence[tuple[str, object]]
    cmab_uuid: str


class PredictionRetries(Struct, frozen=True):
    """How often to ask again, and after how many seconds: each time longer, up to a longest."""

    max_retries: int = 1
    initial_backoff_s: float = 0.1
    max_backoff_s: float = 10.0
    backoff_multiplier: float = 2.0

    def waits_s(self) -> Iterator[float]:
        """The seconds to wait before each retry."""
        wait_s = min(self.initial_backoff_s, self.max_backoff_s)
        for _ in range(self.max_retries):
            yield max(0.0, wait_s)
            wait_s = min(wait_s * self.backoff_multiplier, self.max_backoff_s)


class FetchedPrediction(Struct, frozen=True):
    """The variation's id, ``None`` if every attempt failed; and why those that failed did."""

    variation_id: str | None
    failures: tuple[str, ...] = ()


def fetch_prediction(
    http: Http,
    endpoint: str,
    request: PredictionRequest,
    retries: PredictionRetries | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> FetchedPrediction:
    """Ask until there is a prediction or no retry is left; nothing is raised.

    Args:
        http: Carries the question, as an :class:`~tallybook.deliver.ask.AskingHttp` does; its
            patience is that of one attempt.
        endpoint: Where to ask; ``{}`` in it stands for the rule's id.
        request: Whom to predict for.
        retries: How often to ask again; once, unless given.
        sleep: Waits so many seconds.
    """
    question = _question(endpoint, request)
    waits_s = (retries or PredictionRetries()).waits_s()
    failures: list[str] = []
    while True:
        answer = ask(http, question, _read)
        if not isinstance(answer, Unanswered):
            return FetchedPrediction(answer, tuple(failures))
        failures.append(answer.reason)
        wait_s = next(waits_s, None) if answer.was_asked else None
        if wait_s is None:
            return FetchedPrediction(None, tuple(failures))
        sleep(wait_s)


def _question(endpoint: str, request: PredictionRequest) -> Question:
    attributes = [
        {"id": attribute_id, "value": value, "type": _ATTRIBUTE_TYPE}
        for attribute_id, value in request.attributes
    ]
    instance = {
        "visitorId": request.user_id,
        "experimentId": request.rule_id,
        "attributes": attributes,
        "cmabUUID": request.cmab_uuid,
    }
    from urllib.parse import quote  # noqa: PLC0415 - 3 ms that only who asks pays

    place = quote(request.rule_id, safe="", errors="replace")
    return Question(endpoint.replace(_RULE, place), {"instances": [instance]})


class _Predicted(Struct):
    variation_id: str | int


class _Answer(Struct):
    predictions: Annotated[tuple[_Predicted, ...], Meta(min_length=1)]


_answers: Final = json.Decoder(_Answer)


def _read(body: bytes) -> str:
    return str(_answers.decode(body).predictions[0].variation_id)
