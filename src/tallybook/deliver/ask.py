"""A question put to a server in JSON, and its answer in JSON: as expected, or why there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, TypeVar

from msgspec import MsgspecError, Struct, field

from tallybook.deliver.answer import Http, Reply
from tallybook.deliver.courier import HEADERS
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.process import tell_of_forks

_MAX_REASON: Final = 200  # characters of an answer that a reason repeats

Answer = TypeVar("Answer")


class AskingHttp(KeepAliveHttp):
    """Connections for questions: of a good answer all is read, where events need no more of it."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(timeout_s)
        tell_of_forks(self)

    def begin_in_child(self) -> None:
        """Begin with new connections: these are the parent's."""
        self.abandon()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send ``body``; all of a good answer's body is read."""
        return self._over(url, lambda way: self._whole(way.request("POST", headers, body)))


class Question(Struct, frozen=True):
    """Where to ask, what (whatever JSON can say), and the headers it needs beside JSON's."""

    url: str
    content: object
    headers: Mapping[str, str] = field(default_factory=dict)


class Unanswered(Struct, frozen=True):
    """There is no answer, and why, fit for a log line.

    ``was_asked`` is false when the question itself is impossible, so that no other try will help.
    """

    reason: str
    was_asked: bool = True


def ask(http: Http, question: Question, read: Callable[[bytes], Answer]) -> Answer | Unanswered:
    """Ask once and have ``read`` make an answer of what comes; nothing is raised.

    Args:
        http: Carries the question, and the whole answer; its patience is the question's.
        question: What is asked; NaN and infinities are no numbers that could be asked about.
        read: Raises msgspec's errors for a body that is no answer.
    """
    body = _write(question.content)
    if isinstance(body, Unanswered):
        return body
    reply = http.post(question.url, body, {**HEADERS, **question.headers})
    if not HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
        return Unanswered(_reason(reply))
    try:
        return read(reply.body)
    except (MsgspecError, ValueError, RecursionError) as error:
        return Unanswered(f"what came is no valid answer: {_words(error)}")


def _write(content: object) -> bytes | Unanswered:
    try:
        # The standard library's encoder also takes heirs of str, int and float, as callers have.
        return json.dumps(content, allow_nan=False).encode()
    except Exception as error:  # noqa: BLE001 - a value's own code runs here and may raise anything
        return Unanswered(f"the question cannot be written: {_words(error)}", was_asked=False)


def _reason(reply: Reply) -> str:
    text = " ".join(reply.text.split())[:_MAX_REASON] or "no reason given"
    return f"status {reply.status}: {text}" if reply.status else f"no answer: {text}"


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
