"""Connections to where requests go, by urllib3; imported with the first request, for it takes long.

They are kept open, lead through the proxy the environment names, and end with a fork.
"""

from __future__ import annotations

import os
import socket
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass
from weakref import WeakSet

import urllib3
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, PoolManager
from urllib3.exceptions import HTTPError

from tallybook.deliver.quiet_log import without_login

_MAX_KEPT: Final = (
    10  # connections kept open to one place: predictions are asked for by many threads
)

FAILURES: Final = (HTTPError, OSError, ValueError)  # what is raised in an answer's place


class Way(NamedTuple):
    """How a URL is reached: by what request, with what login, over which connections."""

    request: Callable[..., BaseHTTPResponse]
    login: Mapping[str, str]
    connections: WeakSet[Any]

    def let_go(self) -> None:
        """End the connections in this process alone, without a word to the other side.

        A forked child's are its parent's. Green threads outlive a fork: one that waits for an
        answer would take it from the parent.
        """
        connections = list(self.connections)
        self.connections.clear()
        with suppress(OSError), socket.socket() as nowhere:
            for connection in connections:
                if connection.sock is not None and connection.sock.fileno() >= 0:
                    os.dup2(nowhere.fileno(), connection.sock.fileno(), inheritable=False)


def way_to(url: str, timeout_s: float) -> Way:
    """New connections to ``url``, through the proxy the environment names; nothing is retried."""
    asked, connections = without_login(url), WeakSet[Any]()
    proxy = _proxy(asked)
    manager = _manager(proxy, timeout_s)
    manager.pool_classes_by_scheme = {
        scheme: _noting(kind, connections)
        for scheme, kind in manager.pool_classes_by_scheme.items()
    }
    request = _through(manager, asked) if proxy else _directly(manager, asked)
    return Way(request, _login(url, "Authorization"), connections)


def _through(manager: PoolManager, url: str) -> Callable[..., BaseHTTPResponse]:
    return lambda method, **how: manager.request(method, url, **how)


def _directly(manager: PoolManager, url: str) -> Callable[..., BaseHTTPResponse]:
    # The manager would look for the pool and weigh redirects with every request.
    pool, parts = manager.connection_from_url(url), urlsplit(url)
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return lambda method, **how: pool.urlopen(method, target, retries=False, **how)


def _manager(proxy: str | None, timeout_s: float) -> PoolManager:
    timeout = urllib3.Timeout(connect=timeout_s, read=timeout_s)
    if proxy is None:
        return urllib3.PoolManager(timeout=timeout, retries=False, maxsize=_MAX_KEPT)
    return urllib3.ProxyManager(
        without_login(proxy),
        proxy_headers=_login(proxy, "Proxy-Authorization"),
        timeout=timeout,
        retries=False,
        maxsize=_MAX_KEPT,
    )


def _noting(kind: type[HTTPConnectionPool], connections: WeakSet[Any]) -> type[HTTPConnectionPool]:
    """A kind of pool that notes each connection it opens."""

    def connect(self: Any) -> None:
        connections.add(self)
        kind.ConnectionCls.connect(self)
        if self not in connections:
            self.close()
            raise ConnectionAbortedError("the process forked while it was connecting")

    connection = type(kind.ConnectionCls.__name__, (kind.ConnectionCls,), {"connect": connect})
    return type(kind.__name__, (kind,), {"ConnectionCls": connection})


def _login(url: str, header: str) -> dict[str, str]:
    login, at, _ = urlsplit(url).netloc.rpartition("@")
    if not at:
        return {}
    user, _, password = login.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}"
    return {header: f"Basic {b64encode(pair.encode()).decode()}"}


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    proxies = getproxies()
    if not proxies or proxy_bypass(parts.netloc):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy
