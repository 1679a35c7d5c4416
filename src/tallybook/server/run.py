"""``tallybook serve``: open the parts, listen, drain in the background, stop and lose nothing."""

from __future__ import annotations

import asyncio
import contextlib

from tallybook.catalog.store import open_catalog
from tallybook.log.directory import LogDirectory, refusing
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.server.first_token import tell_first_token
from tallybook.server.listening import announce, bind
from tallybook.server.settings import ServerSettings
from tallybook.server.supervisor import Supervisor
from tallybook.server.worker import RouteMaker, log_to_stderr, no_routes, work

__all__ = ["ServerSettings", "serve"]


def serve(settings: ServerSettings, make_routes: RouteMaker = no_routes) -> int:
    """Serve until told to stop; what was acknowledged is in the lake or in the log afterwards.

    Signals are how it is told, so it must run on the main thread. With several workers
    ``make_routes`` must be something that can be imported by its name.

    Returns:
        0 after SIGTERM or SIGINT, 1 when a part of the application did not start, or a worker ended
        otherwise than it was told to.

    Raises:
        LockedError: Another server holds the data directory.
        StorageError: The data directory cannot be created or written.
        ConfigError: The address cannot be listened on.
    """
    with refusing(f"{settings.data_dir}: cannot create the data directory"):
        # It tells of visitors, so it is nobody else's; one that is there stays as it is.
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if settings.workers == 1:
            log = stack.enter_context(WriteAheadLog(settings.own_log))
            listener = stack.enter_context(bind(settings))
            _bring_up_to_date(settings)
            return work(settings, log, listener, make_routes, lambda: announce(listener))
        LogDirectory(settings.log_dir).close()  # before anything is started: is it anybody's?
        listener = stack.enter_context(bind(settings))
        _bring_up_to_date(settings)
        log_to_stderr()
        return asyncio.run(Supervisor(settings, listener, make_routes).run())


def _bring_up_to_date(settings: ServerSettings) -> None:
    """Have one process make the catalog and its first token, not all workers at once."""
    with open_catalog(settings.catalog) as catalog:
        tell_first_token(catalog)
