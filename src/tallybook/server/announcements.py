"""``GET /datafiles/{sdk_key}/events``: a server-sent event for each new revision.

The event's id is the datafile's ETag. Who connects is told of the revision in force, unless
``Last-Event-ID`` says that it is known: so nothing is missed between two connections, and of
several revisions in between only the newest is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import msgspec
from litestar.types import HTTPScope, Receive, Send

from tallybook.errors import StorageError
from tallybook.server.asgi import headers_of, not_allowed, respond, respond_problem, text
from tallybook.server.cors import Cors
from tallybook.server.datafiles import AUTH, PREFIX, Datafile, DatafilesEndpoint
from tallybook.server.problems import ProblemError, problem_of
from tallybook.server.revisions import RevisionWatch, Topic
from tallybook.server.settings import ServerSettings

SUFFIX: Final = "/events"
REQUEST_HEADERS: Final = "Authorization, Cache-Control, Last-Event-ID"
_RETRY_MS: Final = 1_000  # how long browsers wait before they connect again
_FULL_RETRY_S: Final = 10
_HEARTBEAT: Final = b": still here\n\n"
_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events until it has a buffer full
)


class AnnouncementsEndpoint:
    """Answers in bare ASGI, each request until the listener or the server goes."""

    def __init__(
        self, datafiles: DatafilesEndpoint, watch: RevisionWatch, settings: ServerSettings
    ) -> None:
        self._datafiles = datafiles
        self._watch = watch
        self._settings = settings
        self._cors = Cors(
            settings.cors_origins, methods="GET, OPTIONS", request_headers=REQUEST_HEADERS
        )

    @staticmethod
    def serves(path: str) -> bool:
        """True for paths that name a datafile's events."""
        return path.startswith(PREFIX) and path.endswith(SUFFIX)

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = headers_of(scope)
        origin = headers.get(b"origin")
        if scope["method"] == "OPTIONS":
            await respond(send, HTTPStatus.NO_CONTENT, self._cors.preflight(origin))
            return
        path = scope["path"].removeprefix(self._settings.root_path)
        sdk_key = path.removeprefix(PREFIX).removesuffix(SUFFIX).removeprefix(AUTH)
        try:
            await self._check(sdk_key, scope["method"], headers)
        except Exception as error:  # noqa: BLE001 - whatever happens has an answer
            await respond_problem(
                send, problem_of(error, scope["path"]), self._cors.headers(origin)
            )
            return
        start = [*self._cors.headers(origin), *_HEADERS]
        await send({"type": "http.response.start", "status": HTTPStatus.OK.value, "headers": start})
        known = text(headers.get(b"last-event-id"))
        # A listener that takes nothing in is left alone; one that a fault cut off comes back.
        with suppress(TimeoutError, StorageError):
            async with self._watch.listening(sdk_key) as topic:
                await self._tell(topic, known, receive, send)
                await self._write(send, b"", is_last=True)

    async def _check(self, sdk_key: str, method: str, headers: Mapping[bytes, bytes]) -> None:
        if method != "GET":
            raise not_allowed("GET", "OPTIONS")
        await self._datafiles.find(sdk_key, headers)
        if self._watch.listeners >= self._settings.max_listeners:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._settings.max_listeners} listen already, as many as may; ask for the "
                "datafile from time to time instead",
                cause="too-many-listeners",
                headers={"Retry-After": str(_FULL_RETRY_S)},
            )

    async def _tell(self, topic: Topic, known: str | None, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await self._write(send, b"retry: %d\n\n" % _RETRY_MS)
            while not (gone.done() or self._watch.is_ending):
                moved = asyncio.create_task(topic.moved.wait())
                datafile = topic.datafile
                if datafile is None:  # the environment is no more
                    moved.cancel()
                    return
                event_id = _event_id(datafile)
                if event_id != known:
                    await self._write(send, _event(event_id, datafile))
                    known = event_id
                await asyncio.wait(
                    (gone, moved),
                    timeout=self._settings.heartbeat_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not moved.cancel():
                    # Who may still read a secure environment is asked with the next connection.
                    if datafile.access_token_required:
                        return
                elif not gone.done():
                    await self._write(send, _HEARTBEAT)
        finally:
            gone.cancel()

    async def _write(self, send: Send, body: bytes, *, is_last: bool = False) -> None:
        async with asyncio.timeout(self._settings.body_timeout_s):
            await send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event_id(datafile: Datafile) -> str:
    return datafile.etag.removeprefix("W/").strip('"')


def _event(event_id: str, datafile: Datafile) -> bytes:
    data = {
        "revision": datafile.revision,
        "etag": event_id,
        "published_at_ms": datafile.published_at_ms,
    }
    return b"event: datafile\nid: %s\ndata: %s\n\n" % (
        event_id.encode(),
        msgspec.json.encode(data),
    )
