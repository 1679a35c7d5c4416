"""The few lines of ASGI that the endpoints in front of the router are written in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

from litestar.types import HTTPScope, Send

from tallybook.server.problems import PROBLEM_TYPE, ProblemError

Headers = Sequence[tuple[bytes, bytes]]

NO_HEADERS: Final[Headers] = ()


def headers_of(scope: HTTPScope) -> dict[bytes, bytes]:
    """Request headers by lower-case name; of repeated ones the last."""
    return dict(scope["headers"])


def text(header: bytes | None) -> str | None:
    """A header's value as text; HTTP allows any byte in it."""
    return None if header is None else header.decode("latin-1")


async def respond(
    send: Send, status: HTTPStatus, headers: Iterable[tuple[bytes, bytes]], body: bytes = b""
) -> None:
    """Send a whole response."""
    await send(
        {"type": "http.response.start", "status": status.value, "headers": list(headers)},
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def respond_problem(send: Send, problem: ProblemError, headers: Headers = NO_HEADERS) -> None:
    """Send a problem document."""
    document = problem.document()
    own = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    about = [
        (b"content-type", PROBLEM_TYPE.encode()),
        (b"content-length", str(len(document)).encode()),
    ]
    await respond(send, problem.status, [*headers, *own, *about], document)


def not_allowed(*methods: str) -> ProblemError:
    """The answer to a method that a path does not have."""
    allowed = ", ".join(methods)
    return ProblemError(
        HTTPStatus.METHOD_NOT_ALLOWED,
        f"this path answers {allowed}",
        cause="method",
        headers={"Allow": allowed},
    )
