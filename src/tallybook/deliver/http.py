"""Requests over connections that are kept open, by urllib3, which is imported when first needed."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from tallybook.deliver.answer import NO_ANSWER, Reply

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

MAX_ERROR_BYTES: Final = 4096  # of an error's body that are read
MAX_BODY_BYTES: Final = 256 * 2**20  # of a datafile


class Way(NamedTuple):
    """How a URL is reached: over which connections, and with what login."""

    pool: PoolManager
    url: str
    login: Mapping[str, str]


class KeepAliveHttp:
    """One pool of connections, through the proxy the environment names, redirects not followed.

    Thread-safe. A request that gets no answer is a reply with the status ``NO_ANSWER``. A user and
    a password in a URL, or in a proxy's, travel as a header and nowhere else.
    """

    def __init__(self, timeout_s: float, wall_clock: Callable[[], float] = time.time) -> None:
        self._timeout_s = timeout_s
        self._wall_clock = wall_clock
        self._ways: dict[str, Way] = {}  # by URL: there are two or three

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send ``body``; of the answer's body only the beginning is read."""
        return self._request("POST", url, body, headers)

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        """Fetch a body."""
        return self._request("GET", url, None, headers)

    def abandon(self) -> None:
        """Begin with new connections."""
        self._ways = {}

    def _request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - 20 ms that only senders pay

        try:
            way = self._way(url)
            response = way.pool.request(
                method,
                way.url,
                body=body,
                headers={**way.login, **headers},
                redirect=False,
                preload_content=False,
            )
            try:
                return self._reply(response, is_whole=method == "GET")
            finally:
                response.release_conn()
        except (HTTPError, OSError, ValueError) as error:
            return Reply(NO_ANSWER, text=f"{type(error).__name__}: {error}")

    def _way(self, url: str) -> Way:
        way = self._ways.get(url)
        if way is None:
            way = self._ways[url] = way_to(url, self._timeout_s)
        return way

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


def way_to(url: str, timeout_s: float) -> Way:
    """New connections to ``url``, through the proxy the environment names; nothing is retried."""
    asked = without_login(url)
    return Way(_pool(asked, timeout_s), asked, _login(url, "Authorization"))


def without_login(url: str) -> str:
    """``url`` without a user and a password, fit for a log."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _pool(url: str, timeout_s: float) -> PoolManager:
    import urllib3  # noqa: PLC0415 - see above

    timeout = urllib3.Timeout(connect=timeout_s, read=timeout_s)
    proxy = _proxy(url)
    if proxy is None:
        return urllib3.PoolManager(timeout=timeout, retries=False)
    return urllib3.ProxyManager(
        without_login(proxy),
        proxy_headers=_login(proxy, "Proxy-Authorization"),
        timeout=timeout,
        retries=False,
    )


def _login(url: str, header: str) -> dict[str, str]:
    login, at, _ = urlsplit(url).netloc.rpartition("@")
    if not at:
        return {}
    user, _, password = login.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}"
    return {header: f"Basic {b64encode(pair.encode()).decode()}"}


def _proxy(url: str) -> str | None:
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - see above

    parts = urlsplit(url)
    proxies = getproxies()
    if not proxies or proxy_bypass(parts.netloc):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


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
