"""``tallybook serve``: open the parts, listen, drain in the background, stop and lose nothing."""

from __future__ import annotations

import contextlib
import errno
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog
import uvicorn
from litestar.types import ControllerRouterHandler

from tallybook.catalog.store import Catalog, open_catalog
from tallybook.collect import Collector
from tallybook.errors import ConfigError
from tallybook.lake.tables import Lake
from tallybook.log.directory import refusing
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.server.app import build_app
from tallybook.server.drain_process import DrainProcess
from tallybook.server.drainer import Drainer
from tallybook.server.revisions import RevisionWatch
from tallybook.server.settings import ServerSettings

__all__ = ["ServerSettings", "serve"]

RouteMaker = Callable[[Lake, Catalog], Sequence[ControllerRouterHandler]]

_BACKLOG: Final = 2048
_IDLE_S: Final = 65  # keep-alive beyond the usual 60 s of balancers, so that they close first


def _no_routes(_lake: Lake, _catalog: Catalog) -> Sequence[ControllerRouterHandler]:
    return ()


def serve(settings: ServerSettings, make_routes: RouteMaker = _no_routes) -> int:
    """Serve until told to stop; what was acknowledged is in the lake or in the log afterwards.

    Signals are how it is told, so it must run on the main thread.

    Returns:
        0 after SIGTERM or SIGINT, 1 when a part of the application did not start.

    Raises:
        LockedError: Another server holds the data directory.
        StorageError: The data directory cannot be created or written.
        ConfigError: The address cannot be listened on.
    """
    with contextlib.ExitStack() as stack:
        with refusing(f"{settings.data_dir}: cannot create the data directory"):
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        log = stack.enter_context(WriteAheadLog(settings.log_dir))
        listener = stack.enter_context(_bind(settings))
        lake = Lake(settings.lake)
        catalog = stack.enter_context(open_catalog(settings.catalog))
        draining = stack.enter_context(contextlib.closing(DrainProcess(settings.lake)))
        collector = Collector(log, lake, promoted=catalog.attribute_keys, bring=draining.bring)
        drainer = Drainer(collector, settings.drain_every_s)
        watch = RevisionWatch(catalog, settings.announce_every_s)
        routes = make_routes(lake, catalog)
        app = build_app(drainer, catalog, settings, routes=routes, watch=watch)
        _log_to_stderr()
        stack.enter_context(_calm_garbage_collection())
        drainer.start()
        stack.callback(drainer.stop)
        server = _Server(_config(app, settings), watch)
        server.run(sockets=[listener])
    return 0 if server.started else 1


def _log_to_stderr() -> None:
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
    # A drain holds a hundred thousand small values for a moment, none of them in a cycle. Looking
    # through them every 700 allocations took a third of its time.
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

    def __init__(self, config: uvicorn.Config, watch: RevisionWatch) -> None:
        super().__init__(config)
        self._watch = watch

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            print(f"Tallybook listening on http://{shown}:{port}", flush=True)  # noqa: T201

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


def _config(app: object, settings: ServerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn and litestar describe ASGI in types of their own
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
        backlog=_BACKLOG,
    )


def _bind(settings: ServerSettings) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except UnicodeError:
        reason = "no host is called so; expected a name or an address"
        raise ConfigError(f"cannot listen on {settings.host}:{settings.port}: {reason}") from None
    except OSError as error:
        raise _not_listening(settings, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _not_listening(settings, error) from error
    return listener


def _not_listening(settings: ServerSettings, error: OSError) -> ConfigError:
    taken = error.errno == errno.EADDRINUSE
    reason = "the port is in use; choose another with --port" if taken else error.strerror
    return ConfigError(f"cannot listen on {settings.host}:{settings.port}: {reason}")
