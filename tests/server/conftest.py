"""An application over a real log, a lake in memory and a catalog in memory, spoken to over ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.types import ASGIApp

from tallybook.catalog.access import Access, KeptToken, TokenScope, hash_of, new_token
from tallybook.collect import Collector
from tallybook.log.write_ahead import LogLimits, WriteAheadLog
from tallybook.model.event import Received
from tallybook.server.app import build_app
from tallybook.server.drainer import Drainer
from tallybook.server.settings import ServerSettings

NOW_MS = 1_800_000_000_000


@dataclass(frozen=True)
class Counts:
    decisions: int
    conversions: int
    dead_letters: int


@dataclass
class MemoryLake:
    received: list[Received] = field(default_factory=list)
    error: Exception | None = None

    def commit(
        self,
        received: Iterable[Received],
        *,
        app_id: str,
        number: int,
        promoted: Sequence[str] = (),
    ) -> Counts:
        if self.error:
            raise self.error
        fresh = list(received)
        self.received += fresh
        return Counts(
            sum(len(r.batch.decisions) for r in fresh),
            sum(len(r.batch.conversions) for r in fresh),
            sum(len(r.batch.dead_letters) for r in fresh),
        )


@dataclass(frozen=True)
class Published:
    body: bytes
    published_at_ms: int
    etag: str
    access_token_required: bool = False
    revision: str = ""


@dataclass
class MemoryCatalog:
    datafiles: dict[str, Published] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None
    publications: int = 0
    kept: dict[str, KeptToken] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()
    access_error: Exception | None = None
    readings: int = 0
    used_ms: dict[str, int] = field(default_factory=dict)

    def latest_publication(self) -> int:
        if self.error:
            raise self.error
        return self.publications

    def datafile(self, sdk_key: str) -> Published | None:
        if self.error:
            raise self.error
        return self.datafiles.get(sdk_key)

    def token_matches(self, sdk_key: str, token: str) -> bool:
        return self.tokens.get(sdk_key) == token

    def access(self) -> Access:
        self.readings += 1
        if self.access_error:
            raise self.access_error
        return Access(dict(self.kept), self.closed, self.open)

    def note_use(self, used_ms: Mapping[str, int]) -> None:
        self.used_ms |= used_ms


class House:
    """Everything a test of the server looks at."""

    def __init__(self, path: Path) -> None:
        self.lake = MemoryLake()
        self.catalog = MemoryCatalog()
        self.settings = ServerSettings(path)
        self.limits = LogLimits(probe_every_s=0.01)
        self.now_ms = NOW_MS
        self.routes: Sequence[Any] = ()
        self.bearer: str | None = None
        self._stack = ExitStack()

    def set(self, **settings: Any) -> None:
        """Change settings before the first request."""
        self.settings = replace(self.settings, **settings)

    @property
    def app(self) -> ASGIApp:
        if not hasattr(self, "_app"):
            log = self._stack.enter_context(WriteAheadLog(self.settings.log_dir, self.limits))
            self.drainer = Drainer(Collector(log, self.lake))
            self._app = build_app(
                self.drainer,
                self.catalog,
                self.settings,
                routes=self.routes,
                clock_ms=lambda: self.now_ms,
            )
        return self._app

    def token(self, scope: TokenScope, account_id: str | None = None) -> str:
        """Make a token."""
        id_, token = new_token()
        kept = KeptToken(id_, id_, scope, hash_of(token), self.now_ms, account_id=account_id)
        self.catalog.kept[id_] = kept
        return token

    def ask(self, method: str, path: str, **parts: Any) -> httpx.Response:
        """Ask, with the token that is set."""
        if self.bearer is not None:
            named = {"Authorization": f"Bearer {self.bearer}"}
            parts["headers"] = {**named, **parts.get("headers", {})}

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, root_path=self.settings.root_path)
            async with httpx.AsyncClient(transport=transport, base_url="http://tally") as client:
                return await client.request(method, path, **parts)

        return asyncio.run(ask())

    def post(self, content: object, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/v1/events", content=content, headers=named)

    def publish(self, revision: str, age_ms: int, **parts: Any) -> None:
        """Publish a revision of ``shop-key``'s datafile that is ``age_ms`` old."""
        document = b'{"revision":"%s"}' % revision.encode()
        etag = parts.pop("etag", f'"r{revision}"')
        self.catalog.datafiles["shop-key"] = Published(
            document, self.now_ms - age_ms, etag, revision=revision, **parts
        )
        self.catalog.publications += 1

    def kept(self) -> list[str]:
        """Uuids of the conversions in the lake after a drain."""
        assert self.drainer.drain()
        return [c.uuid for r in self.lake.received for c in r.batch.conversions]

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()
