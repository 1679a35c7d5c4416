"""Connections to where requests go; imported with the first request, for urllib3 takes long.

They are kept open, lead through the proxy the environment names, and end with a fork.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - or the first look-up of a name would import it
import os
import socket
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass
from weakref import WeakSet

import urllib3
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, PoolManager
from urllib3.exceptions import HTTPError

from tallybook.deliver.posting import MAX_ANSWER_BYTES, Answer, PlainPosts
from tallybook.deliver.quiet_log import without_login

_MAX_KEPT: Final = 10  # connections to one place: predictions are asked for by many threads
_KINDS: Final[Mapping[str, type[HTTPConnection]]] = {
    "http": HTTPConnection,
    "https": HTTPSConnection,
}
_SENDER: Final = {"User-Agent": "tallybook"}
_QUOTED: Final = "!#$%&'()*+,/:;=?@[]~"  # what stays as it is in a target

FAILURES: Final = (HTTPError, HTTPException, OSError, ValueError)  # raised in an answer's place


class Way:
    """How a URL is reached: over what connections, with what login, through what proxy.

    Nothing is retried and no redirect is followed. Thread-safe.

    Raises:
        ValueError: No connection could ever lead there.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        asked = without_login(url)
        proxy = _proxy(asked)
        self._headers = {**_SENDER, **_login(url, "Authorization")}
        self._connections = WeakSet[Any]()
        self._url = asked
        self._manager = _manager(proxy, timeout_s)
        self._manager.pool_classes_by_scheme = {
            scheme: _noting_pool(kind, self._connections)
            for scheme, kind in self._manager.pool_classes_by_scheme.items()
        }
        self._plain = None if proxy else _plain_posts(asked, timeout_s, self._connections)

    def request(
        self, method: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> BaseHTTPResponse:
        """Begin to ask; the answer's body is still to be read, and to be let go."""
        return self._manager.request(
            method,
            self._url,
            body=body,
            headers={**self._headers, **headers},
            redirect=False,
            preload_content=False,
        )

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a batch."""
        if self._plain is not None:
            return self._plain.post(body, {**self._headers, **headers})
        response = self.request("POST", headers, body)
        try:
            beginning = response.read(MAX_ANSWER_BYTES, decode_content=True)
            if len(beginning) == MAX_ANSWER_BYTES:
                response.close()  # the rest is not worth the connection
            return Answer(response.status, response.headers.items(), beginning)
        finally:
            response.release_conn()

    def let_go(self) -> None:
        """End the connections in this process alone, without a word to the other side.

        A forked child's are its parent's. Green threads outlive a fork: one that waits for an
        answer would take it from the parent.
        """
        connections = list(self._connections)
        self._connections.clear()
        with suppress(OSError), socket.socket() as nowhere:
            for connection in connections:
                if connection.sock is not None and connection.sock.fileno() >= 0:
                    os.dup2(nowhere.fileno(), connection.sock.fileno(), inheritable=False)


def _plain_posts(url: str, timeout_s: float, connections: WeakSet[Any]) -> PlainPosts | None:
    """Batches on a way without a proxy, ``None`` for what is no address of HTTP."""
    parts = urlsplit(url)
    kind = _KINDS.get(parts.scheme)
    if kind is None or not parts.hostname:
        return None
    connect = partial(_noting(kind, connections), parts.hostname, parts.port, timeout=timeout_s)
    target = quote(urlunsplit(("", "", parts.path or "/", parts.query, "")), safe=_QUOTED)
    return PlainPosts(connect, target)


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


def _noting_pool(
    kind: type[HTTPConnectionPool], connections: WeakSet[Any]
) -> type[HTTPConnectionPool]:
    """A kind of pool that notes each connection it opens."""
    connection = _noting(kind.ConnectionCls, connections)
    return type(kind.__name__, (kind,), {"ConnectionCls": connection})


def _noting(kind: Any, connections: WeakSet[Any]) -> Any:
    """A kind of connection, of either library, that is noted once it opens."""

    def connect(self: Any) -> None:
        connections.add(self)
        kind.connect(self)
        if self not in connections:
            self.close()
            raise ConnectionAbortedError("the process forked while it was connecting")

    return type(kind.__name__, (kind,), {"connect": connect})


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
