"""Requests over connections that are kept open, and are imported when first needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from tallybook.deliver.answer import NO_ANSWER, Reply
from tallybook.deliver.process import importing
from tallybook.deliver.quiet_log import in_words

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from tallybook.deliver.connections import Way
    from tallybook.deliver.posting import Answer

MAX_ERROR_BYTES: Final = 4096  # of an error's body that are read
MAX_BODY_BYTES: Final = 256 * 2**20  # of a datafile


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
        return self._over(url, lambda way: self._told(way.post(body, headers)))

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        """Fetch a body."""
        return self._over(url, lambda way: self._whole(way.request("GET", headers)))

    def abandon(self) -> None:
        """Begin with new connections."""
        ways, self._ways = self._ways, {}
        for way in ways.values():
            way.let_go()

    def _over(self, url: str, ask: Callable[[Way], Reply]) -> Reply:
        with importing:
            from tallybook.deliver.connections import FAILURES, Way  # noqa: PLC0415 - 30 ms that only senders pay

        try:
            way = self._ways.get(url)
            if way is None:
                way = self._ways[url] = Way(url, self._timeout_s)
            return ask(way)
        except FAILURES as error:
            return Reply(NO_ANSWER, text=in_words(error))

    def _told(self, answer: Answer) -> Reply:
        if _is_good(answer.status):
            return Reply(answer.status)  # nothing more is asked of a batch that was taken
        return self._reply(answer.status, answer.headers, answer.beginning)

    def _whole(self, response: BaseHTTPResponse) -> Reply:
        """An answer of which all is read, or the beginning if it tells of a failure."""
        try:
            limit = MAX_BODY_BYTES if _is_good(response.status) else MAX_ERROR_BYTES
            body = response.read(limit, decode_content=True)
            if len(body) < limit:
                response.drain_conn()
            else:
                response.close()  # the rest is not worth the connection
            return self._reply(response.status, response.headers.items(), body)
        finally:
            response.release_conn()

    def _reply(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Reply:
        by_name = {name.lower(): value for name, value in headers}
        return Reply(
            status=status,
            text="" if _is_good(status) else body.decode("utf-8", "replace").strip(),
            body=body,
            headers=by_name,
            retry_after_s=retry_after_s(by_name.get("retry-after"), self._wall_clock),
        )


def _is_good(status: int) -> bool:
    return status < 300  # noqa: PLR2004 - the class of statuses


def retry_after_s(header: str | None, wall_clock: Callable[[], float]) -> float | None:
    """Seconds a ``Retry-After`` header asks for, given as a number or as a date; else ``None``."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    with importing:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - only who is told to wait needs it

    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - wall_clock())
    except ValueError:
        return None
