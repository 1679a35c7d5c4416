"""Asks the Optimizely Data Platform which audience segments a visitor is in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, json

from tallybook.deliver.answer import Http
from tallybook.deliver.ask import Question, Unanswered, ask
from tallybook.deliver.odp_address import OdpAddress

PATH: Final = "/v3/graphql"

_QUERY: Final = (
    "query ($userId: String, $audiences: [String]) "
    "{ customer(%s: $userId) { audiences(subset: $audiences) { edges { node { name state } } } } }"
)
_GRAPHQL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUALIFIED: Final = "qualified"
_INVALID_IDENTIFIER: Final = "INVALID_IDENTIFIER_EXCEPTION"


class SegmentRequest(Struct, frozen=True):
    """Which of ``segments_to_check`` a user is in, whom the platform knows by a key's value."""

    address: OdpAddress
    user_key: str
    user_value: str
    segments_to_check: Sequence[str]


class SegmentFault(StrEnum):
    """Why it is not known which segments a user is in."""

    UNANSWERED = "unanswered"
    DECLINED = "declined"
    INVALID_IDENTIFIER = "invalid_identifier"


class SegmentFailure(Struct, frozen=True):
    """What kind of fault it was, and what happened, fit for a log line."""

    fault: SegmentFault
    reason: str


def fetch_segments(http: Http, request: SegmentRequest) -> list[str] | SegmentFailure:
    """The segments the user is in, of those asked about; one attempt, and nothing is raised.

    ``http`` carries the question, as an :class:`~tallybook.deliver.ask.AskingHttp` does.
    """
    if not _GRAPHQL_NAME.fullmatch(request.user_key):
        reason = f"user_key: expected letters, digits and underscores, found {request.user_key!r}"
        return SegmentFailure(SegmentFault.UNANSWERED, reason)
    answer = ask(http, _question(request), _read)
    if isinstance(answer, Unanswered):
        return SegmentFailure(SegmentFault.UNANSWERED, answer.reason)
    return answer


def _question(request: SegmentRequest) -> Question:
    variables = {"userId": request.user_value, "audiences": list(request.segments_to_check)}
    content = {"query": _QUERY % request.user_key, "variables": variables}
    return Question(request.address.url(PATH), content, request.address.headers)


class _Extensions(Struct):
    classification: str
    code: str | None = None


class _Error(Struct):
    extensions: _Extensions


class _Answer(Struct):
    errors: Annotated[tuple[_Error, ...], Meta(min_length=1)] | UnsetType = UNSET
    data: Raw = Raw()  # beside errors it may lack anything


class _Node(Struct):
    name: str
    state: str


class _Edge(Struct):
    node: _Node


class _Audiences(Struct):
    edges: tuple[_Edge, ...]


class _Customer(Struct):
    audiences: _Audiences


class _Data(Struct):
    customer: _Customer


_answers: Final = json.Decoder(_Answer)
_data: Final = json.Decoder(_Data)


def _read(body: bytes) -> list[str] | SegmentFailure:
    answer = _answers.decode(body)
    if isinstance(answer.errors, UnsetType):
        edges = _data.decode(answer.data).customer.audiences.edges
        return [edge.node.name for edge in edges if edge.node.state == _QUALIFIED]
    extensions = answer.errors[0].extensions
    is_invalid = extensions.code == _INVALID_IDENTIFIER
    fault = SegmentFault.INVALID_IDENTIFIER if is_invalid else SegmentFault.DECLINED
    return SegmentFailure(fault, extensions.classification)
