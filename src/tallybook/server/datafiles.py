"""``GET /datafiles/{sdk_key}.json``: the environment's datafile, with validators for polling.

Polling SDKs send ``If-Modified-Since``, whose seconds are too coarse: of two revisions in one
second the second would never be fetched. While a revision is younger than two seconds its
``Last-Modified`` therefore lies a second earlier: whoever saw it then asks once more (RFC 9110,
8.8.2.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from typing import Final, Protocol

from litestar.types import HTTPScope, Send

from tallybook.server.asgi import Headers, headers_of, not_allowed, respond, respond_problem, text
from tallybook.server.cors import Cors
from tallybook.server.problems import ProblemError, problem_of
from tallybook.server.settings import ServerSettings

PREFIX: Final = "/datafiles/"
SUFFIX: Final = ".json"
REQUEST_HEADERS: Final = "Authorization, Content-Type, If-None-Match, If-Modified-Since"
AUTH: Final = "auth/"  # where SDKs that were given an access token look by default
_UNSETTLED_MS: Final = 2_000
_BEARER: Final = "bearer "


class Datafile(Protocol):
    """What is published for one environment."""

    @property
    def body(self) -> bytes:
        """The JSON document."""
        ...

    @property
    def revision(self) -> str:
        """Which revision of the project it is."""
        ...

    @property
    def published_at_ms(self) -> int:
        """When this revision was published."""
        ...

    @property
    def etag(self) -> str:
        """What tells this document from every other."""
        ...

    @property
    def access_token_required(self) -> bool:
        """True for a secure environment."""
        ...


class DatafileCatalog(Protocol):
    """Where published datafiles are looked up."""

    def latest_publication(self) -> int:
        """A number that grows with every publication, cheap to ask for."""
        ...

    def datafile(self, sdk_key: str) -> Datafile | None:
        """The datafile now in force, if there is such an environment."""
        ...

    def token_matches(self, sdk_key: str, token: str) -> bool:
        """True when the token opens this environment."""
        ...


class DatafilesEndpoint:
    """Answers in bare ASGI."""

    def __init__(
        self, catalog: DatafileCatalog, settings: ServerSettings, clock_ms: Callable[[], int]
    ) -> None:
        self._catalog = catalog
        self._root_path = settings.root_path
        self._clock_ms = clock_ms
        self._cors = Cors(
            settings.cors_origins,
            methods="GET, HEAD, OPTIONS",
            request_headers=REQUEST_HEADERS,
            exposed="ETag, Last-Modified",
        )

    @staticmethod
    def serves(path: str) -> bool:
        """True for paths that name a datafile."""
        return path.startswith(PREFIX) and path.endswith(SUFFIX)

    async def __call__(self, scope: HTTPScope, send: Send) -> None:
        """Answer one request; no method of this path has a body."""
        headers = headers_of(scope)
        origin = headers.get(b"origin")
        if scope["method"] == "OPTIONS":
            await respond(send, HTTPStatus.NO_CONTENT, self._cors.preflight(origin))
            return
        try:
            datafile = await self._asked_for(scope, headers)
        except Exception as error:  # noqa: BLE001 - whatever happens has an answer
            await respond_problem(
                send, problem_of(error, scope["path"]), self._cors.headers(origin)
            )
            return
        validators = self._validators(datafile)
        about = [*self._cors.headers(origin), *_headers(datafile, validators)]
        if _is_current(headers, validators):
            await respond(send, HTTPStatus.NOT_MODIFIED, about)
            return
        about += [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(datafile.body)).encode()),
        ]
        body = b"" if scope["method"] == "HEAD" else datafile.body
        await respond(send, HTTPStatus.OK, about, body)

    async def _asked_for(self, scope: HTTPScope, headers: Mapping[bytes, bytes]) -> Datafile:
        if scope["method"] not in ("GET", "HEAD"):
            raise not_allowed("GET", "HEAD", "OPTIONS")
        path = scope["path"].removeprefix(self._root_path)
        sdk_key = path.removeprefix(PREFIX).removesuffix(SUFFIX).removeprefix(AUTH)
        return await self.find(sdk_key, headers)

    async def find(self, sdk_key: str, headers: Mapping[bytes, bytes]) -> Datafile:
        """The datafile for a request with these headers.

        Raises:
            ProblemError: There is none, or it is not for whoever asked.
        """
        datafile = None
        if "\0" not in sdk_key:  # which PostgreSQL takes for a fault, not for a name
            datafile = await asyncio.to_thread(self._catalog.datafile, sdk_key)
        if datafile is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                f"no environment has the SDK key {sdk_key[:100]!r}",
                cause="not-found",
            )
        if datafile.access_token_required:
            await self._check_token(sdk_key, text(headers.get(b"authorization")) or "")
        return datafile

    async def _check_token(self, sdk_key: str, authorization: str) -> None:
        token = authorization[len(_BEARER) :].strip()
        if (
            authorization.lower().startswith(_BEARER)
            and token
            and await asyncio.to_thread(self._catalog.token_matches, sdk_key, token)
        ):
            return
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "this environment is secure: expected Authorization: Bearer and its access token",
            cause="forbidden",
        )

    def _validators(self, datafile: Datafile) -> tuple[str, int]:
        etag = datafile.etag
        modified_s = datafile.published_at_ms // 1000
        if self._clock_ms() - datafile.published_at_ms < _UNSETTLED_MS:
            modified_s -= 1
        return (etag if etag.endswith('"') else f'"{etag}"'), modified_s


def _headers(datafile: Datafile, validators: tuple[str, int]) -> Headers:
    etag, modified_s = validators
    secure = datafile.access_token_required
    headers = [
        (b"etag", etag.encode("latin-1")),
        (b"last-modified", formatdate(modified_s, usegmt=True).encode()),
        (b"cache-control", b"private, no-cache" if secure else b"no-cache"),
    ]
    return [*headers, (b"vary", b"Authorization")] if secure else headers


def _is_current(headers: Mapping[bytes, bytes], validators: tuple[str, int]) -> bool:
    etag, modified_s = validators
    if (candidates := text(headers.get(b"if-none-match"))) is not None:
        tags = [tag.strip().removeprefix("W/") for tag in candidates.split(",")]
        return "*" in tags or etag.removeprefix("W/") in tags
    since = text(headers.get(b"if-modified-since"))
    if since is None:
        return False
    try:
        return modified_s <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):  # no date: as if it were not there
        return False
