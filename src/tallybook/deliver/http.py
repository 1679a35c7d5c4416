"""Requests over connections that are kept open, by urllib3, which is imported when first needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from tallybook.deliver.answer import NO_ANSWER, Reply

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

MAX_ERROR_BYTES: Final = 4096  # of an error's body that are read
MAX_BODY_BYTES: Final = 256 * 2**20  # of a datafile


class KeepAliveHttp:
    """One pool of connections, through the proxy the environment names, redirects not followed.

    Thread-safe. A request that gets no answer is a reply with the status ``NO_ANSWER``.
    """

    def __init__(self, timeout_s: float, wall_clock: Callable[[], float] = time.time) -> None:
        self._timeout_s = timeout_s
        self._wall_clock = wall_clock
        self._pools: dict[str, PoolManager] = {}  # by URL: there are two or three

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send ``body``; of the answer's body only the beginning is read."""
        return self._request("POST", url, body, headers)

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        """Fetch a body."""
        return self._request("GET", url, None, headers)

    def abandon(self) -> None:
        """Begin with new connections."""
        self._pools = {}

    def _request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - 20 ms that only senders pay

        try:
            response = self._pool(url).request(
                method, url, body=body, headers=headers, redirect=False, preload_content=False
            )
            try:
                return self._reply(response, is_whole=method == "GET")
            finally:
                response.release_conn()
        except (HTTPError, OSError, ValueError) as error:
            return Reply(NO_ANSWER, text=f"{type(error).__name__}: {error}")

    def _pool(self, url: str) -> PoolManager:
        pool = self._pools.get(url)
        if pool is None:
            pool = self._pools[url] = pool_for(url, self._timeout_s)
        return pool

    def _reply(self, response: BaseHTTPResponse, *, is_whole: bool) -> Reply:
        is_good = response.status < 300  # noqa: PLR2004 - the class of statuses
        limit = MAX_BODY_BYTES if is_whole and is_good else MAX_ERROR_BYTES
        body = response.read(limit, decode_content=True)
        if len(body) < limit:
            response.drain_conn()
        else:
            response.close()  # the rest is not worth the connection
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(
            status=response.status,
            text="" if is_good else body.decode("utf-8", "replace").strip(),
            body=body,
            headers=headers,
            retry_after_s=retry_after_s(headers.get("retry-after"), self._wall_clock),
        )


def pool_for(url: str, timeout_s: float) -> PoolManager:
    """Connections to ``url``, through the proxy the environment names; nothing is retried."""
    import urllib3  # noqa: PLC0415 - see above

    proxy = _proxy(url)
    timeout = urllib3.Timeout(connect=timeout_s, read=timeout_s)
    if proxy:
        return urllib3.ProxyManager(proxy, timeout=timeout, retries=False)
    return urllib3.PoolManager(timeout=timeout, retries=False)


def _proxy(url: str) -> str | None:
    from urllib.parse import urlsplit  # noqa: PLC0415 - see above
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415

    parts = urlsplit(url)
    proxies = getproxies()
    if not proxies or proxy_bypass(parts.netloc):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


def retry_after_s(header: str | None, wall_clock: Callable[[], float]) -> float | None:
    """Seconds a ``Retry-After`` header asks for, given as a number or as a date; else ``None``."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - see above

    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - wall_clock())
    except ValueError:
        return None
