"""One worker: the log, the drain and the HTTP server of one process, until it is told to stop."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog
import uvicorn
from litestar.types import ControllerRouterHandler

from tallybook.catalog.store import Catalog, open_catalog
from tallybook.collect import Collector, Drained
from tallybook.lake.tables import Lake
from tallybook.log.directory import log_paths, worker_log
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.server.app import build_app
from tallybook.server.connections import connections_within
from tallybook.server.drain_process import DrainProcess
from tallybook.server.drainer import Drainer
from tallybook.server.figures import Meet, alone
from tallybook.server.listening import BACKLOG, allow_connections
from tallybook.server.revisions import RevisionWatch
from tallybook.server.settings import ServerSettings

RouteMaker = Callable[[Lake, Catalog], Sequence[ControllerRouterHandler]]

_IDLE_S: Final = 65  # keep-alive beyond the usual 60 s of balancers, so that they close first


def no_routes(_lake: Lake, _catalog: Catalog) -> Sequence[ControllerRouterHandler]:
    """Nothing beside events, datafiles and what is watched."""
    return ()


def work(
    settings: ServerSettings,
    log: WriteAheadLog,
    listener: socket.socket,
    make_routes: RouteMaker,
    started: Callable[[], None],
    meet: Meet = alone,
) -> int:
    """Answer requests at ``listener`` until SIGTERM or SIGINT; ``started`` is called when it does.

    Returns:
        0, or 1 when a part of the application did not start.
    """
    with contextlib.ExitStack() as stack:
        allow_connections(settings.max_connections)
        lake = Lake(settings.lake)
        catalog = stack.enter_context(open_catalog(settings.catalog))
        draining = stack.enter_context(contextlib.closing(DrainProcess(settings.lake)))
        collector = Collector(log, lake, promoted=catalog.attribute_keys, bring=draining.bring)

        drainer = Drainer(
            collector,
            settings.drain_every_s,
            drain_others=lambda: _drain_abandoned(settings, collector),
        )
        watch = RevisionWatch(catalog, settings.announce_every_s)
        routes = make_routes(lake, catalog)
        refused: Counter[str] = Counter()
        app = build_app(
            drainer, catalog, settings, routes=routes, watch=watch, meet=meet, refused=refused
        )
        log_to_stderr()
        stack.enter_context(_calm_garbage_collection())
        drainer.start()
        stack.callback(drainer.stop)
        server = _Server(_config(app, settings, refused), watch, started)
        server.run(sockets=[listener])
    return 0 if server.started else 1


def _drain_abandoned(settings: ServerSettings, collector: Collector) -> Drained:
    """Drain the logs of workers that this server, with fewer of them, does not have."""
    drained = Drained()
    if settings.worker == 1:
        own = {worker_log(settings.log_dir, n + 1) for n in range(settings.workers)}
        for path in log_paths(settings.log_dir):
            if path not in own:
                drained += collector.drain_abandoned(path) or Drained()
    return drained


def log_to_stderr() -> None:
    """Have what is logged written to stderr, a line each."""
    # It warns of each request that is no HTTP, as often as somebody likes; those are counted.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.add_log_level,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@contextlib.contextmanager
def _calm_garbage_collection() -> Iterator[None]:
    # A strict body's events are many small values for a moment, none of them in a cycle; looking
    # through all there are every 700 allocations costs more than reading them.
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()  # what stays frozen at exit, native modules report as leaked


class _Server(uvicorn.Server):
    """Says when it listens, and takes a signal as the end of its work, not as a fault."""

    def __init__(
        self, config: uvicorn.Config, watch: RevisionWatch, listening: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._watch = watch
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._watch.end()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self.handle_exit) for number in signals]
        try:
            yield
        finally:
            for number, action in zip(signals, before, strict=True):
                signal.signal(number, action)


def _config(app: object, settings: ServerSettings, refused: Counter[str]) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn and litestar describe ASGI in types of their own
        http=connections_within(settings, refused),  # type: ignore[arg-type]  # called as a class is
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        root_path=settings.root_path,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies or None,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=int(settings.stop_within_s),
        backlog=BACKLOG,
    )
