"""The socket that a server listens on, and how many more it may have open."""

from __future__ import annotations

import errno
import resource
import socket
from contextlib import suppress
from typing import Final

from tallybook.errors import ConfigError
from tallybook.server.settings import ServerSettings

BACKLOG: Final = 2048
_OTHER_FILES: Final = 256  # beside connections: the log, the catalog, the lake


def bind(settings: ServerSettings) -> socket.socket:
    """A socket that listens where the settings say.

    Raises:
        ConfigError: It cannot.
    """
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
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _not_listening(settings, error) from error
    return listener


def announce(listener: socket.socket) -> None:
    """Say where the server listens."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"Tallybook listening on http://{shown}:{port}", flush=True)  # noqa: T201


def allow_connections(count: int) -> None:
    """Raise the process's limit of open files to what so many connections take, where it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(OSError, ValueError):  # then the system refuses connections before we do
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _not_listening(settings: ServerSettings, error: OSError) -> ConfigError:
    taken = error.errno == errno.EADDRINUSE
    reason = "the port is in use; choose another with --port" if taken else error.strerror
    return ConfigError(f"cannot listen on {settings.host}:{settings.port}: {reason}")
