"""``POST /v1/events``: the Event API, answered 204 only after the body is safe on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from litestar.types import HTTPScope, Receive, Send

from tallybook.collect import Collector
from tallybook.model.event import Arrival
from tallybook.server.acknowledgements import Acknowledgements
from tallybook.server.asgi import headers_of, not_allowed, respond, respond_problem, text
from tallybook.server.auth import Authenticator
from tallybook.server.bodies import BodyReader, DisconnectedError
from tallybook.server.cors import Cors
from tallybook.server.problems import ProblemError, problem_of
from tallybook.server.settings import ServerSettings

REQUEST_HEADERS: Final = "Authorization, Content-Type, Content-Encoding, X-Optimizely-Strict"


class EventsEndpoint:
    """Answers in bare ASGI; ``answers`` counts responses by status, ``refused`` by cause."""

    def __init__(
        self,
        collector: Collector,
        settings: ServerSettings,
        clock_ms: Callable[[], int],
        authenticator: Authenticator,
        refused: Counter[str] | None = None,
    ) -> None:
        self.answers: Counter[int] = Counter()
        self.refused = Counter() if refused is None else refused
        self._collector = collector
        self._clock_ms = clock_ms
        self._authenticator = authenticator
        self._acknowledgements = Acknowledgements()
        self._bodies = BodyReader(
            settings.max_body_bytes, settings.max_reading_bytes, settings.body_timeout_s
        )
        self._cors = Cors(
            settings.cors_origins,
            methods="POST, OPTIONS",
            request_headers=REQUEST_HEADERS,
            credentials=True,
        )

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = headers_of(scope)
        origin = headers.get(b"origin")
        if scope["method"] == "OPTIONS":
            await respond(send, HTTPStatus.NO_CONTENT, self._cors.preflight(origin))
            return
        try:
            await self._take(scope, headers, receive)
        except DisconnectedError:
            self.refused["disconnected"] += 1
        except Exception as error:  # noqa: BLE001 - whatever happens has an answer
            problem = problem_of(error, scope["path"])
            self.answers[problem.status] += 1
            self.refused[problem.cause] += 1
            await respond_problem(send, problem, self._cors.headers(origin))
        else:
            self.answers[HTTPStatus.NO_CONTENT] += 1
            await respond(send, HTTPStatus.NO_CONTENT, self._cors.headers(origin))

    async def _take(self, scope: HTTPScope, headers: dict[bytes, bytes], receive: Receive) -> None:
        if scope["method"] != "POST":
            raise not_allowed("POST", "OPTIONS")
        strict = _is_strict(headers.get(b"x-optimizely-strict"))
        body = await self._bodies.read(headers, receive)
        admit = await self._authenticator.admission(text(headers.get(b"authorization")))
        client = scope["client"]
        arrival = Arrival(
            self._clock_ms(),
            client[0] if client else None,
            text(headers.get(b"user-agent")),
            text(headers.get(b"referer")),
        )
        await self._acknowledgements.kept(
            lambda done: self._collector.accept(body, arrival, done, strict=strict, admit=admit)
        )


def _is_strict(header: bytes | None) -> bool:
    value = (header or b"false").strip().lower()
    if value not in (b"true", b"false"):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "X-Optimizely-Strict: expected true or false",
            cause="header",
        )
    return value == b"true"
