"""The ASGI application: hot and long paths in front, everything else through the router."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, Protocol, cast

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp, ControllerRouterHandler, HTTPScope, Receive, Scope, Send

import tallybook
from tallybook.server.access import AccessCatalog, AccessWatch
from tallybook.server.announcements import AnnouncementsEndpoint
from tallybook.server.auth import Authenticator, guard_with
from tallybook.server.datafiles import DatafileCatalog, DatafilesEndpoint
from tallybook.server.drainer import Drainer
from tallybook.server.events import EventsEndpoint
from tallybook.server.figures import Meet, alone, figures_of
from tallybook.server.problems import PROBLEM_TYPE, ProblemError, problem_of
from tallybook.server.revisions import RevisionWatch
from tallybook.server.settings import ServerSettings
from tallybook.server.watch import watch_routes

EVENTS_PATH: Final = "/v1/events"
SCHEMA_PATH: Final = "/api/schema"
_SECURITY: Final = "token"


class ServedCatalog(DatafileCatalog, AccessCatalog, Protocol):
    """What the application asks of a catalog."""


def build_app(  # noqa: PLR0913 - each is a part that tests replace
    drainer: Drainer,
    catalog: ServedCatalog,
    settings: ServerSettings,
    *,
    routes: Sequence[ControllerRouterHandler] = (),
    watch: RevisionWatch | None = None,
    meet: Meet = alone,
    refused: Counter[str] | None = None,
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> ASGIApp:
    """The application over the drainer's collector and a catalog; ``routes`` join the router.

    Whatever is among ``routes`` needs a token: what nobody thought of is closed.
    Whoever stops the server ends ``watch``, or those who listen for revisions hold it up. ``meet``
    is told how to get this worker's figures, and says how to get those of all. What connections
    refuse is counted in ``refused`` beside what is refused here.
    """
    authenticator = Authenticator(AccessWatch(catalog, clock_ms, time.monotonic))
    events = EventsEndpoint(drainer.collector, settings, clock_ms, authenticator, refused)
    datafiles = DatafilesEndpoint(catalog, settings, clock_ms)
    revisions = watch or RevisionWatch(catalog, settings.announce_every_s)
    announcements = AnnouncementsEndpoint(datafiles, revisions, settings)
    gather = meet(lambda: figures_of(events, drainer, revisions))
    router = Litestar(
        route_handlers=[
            *watch_routes(gather, settings.workers),
            Router("/", route_handlers=routes, guards=[guard_with(authenticator)]),
        ],
        exception_handlers={Exception: _answer},
        openapi_config=OpenAPIConfig(
            title="Tallybook",
            version=getattr(tallybook, "__version__", "0"),
            path=SCHEMA_PATH,
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
            components=Components(
                security_schemes={_SECURITY: SecurityScheme(type="http", scheme="bearer")}
            ),
            security=[{_SECURITY: []}],
        ),
        logging_config=None,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(settings.root_path) if _is_http(scope) else ""
        if path == EVENTS_PATH:
            await events(cast("HTTPScope", scope), receive, send)
        elif datafiles.serves(path):
            await datafiles(cast("HTTPScope", scope), send)
        elif announcements.serves(path):
            await announcements(cast("HTTPScope", scope), receive, send)
        else:
            await router(scope, receive, send)

    return app


def _is_http(scope: Scope) -> bool:
    kind: str = scope["type"]  # "lifespan" too, which litestar's Scope does not speak of
    return kind == "http"


def _answer(request: Request[object, object, State], error: Exception) -> Response[bytes]:
    if isinstance(error, HTTPException):
        problem = _http_problem(error)
    else:
        problem = problem_of(error, request.url.path)
    return Response(
        problem.document(),
        status_code=problem.status,
        media_type=PROBLEM_TYPE,
        headers=problem.headers,
    )


def _http_problem(error: HTTPException) -> ProblemError:
    status = HTTPStatus(error.status_code)
    detail = error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        # A parameter called as Python calls something else has an underscore more there.
        named = [(str(fault.get("key")).rstrip("_"), fault.get("message")) for fault in error.extra]
        faults = [f"{name}: {message}" for name, message in named]
        detail = "; ".join(faults) or detail
    return ProblemError(status, detail, cause="http", headers=error.headers)
