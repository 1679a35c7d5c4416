"""Which pages of which origins may talk to an endpoint (the Fetch standard's CORS protocol)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tallybook.server.asgi import NO_HEADERS, Headers

_DAY_S: Final = b"86400"


class Cors:
    """The headers an endpoint adds for browsers."""

    def __init__(
        self,
        origins: Iterable[str],
        *,
        methods: str,
        request_headers: str,
        exposed: str = "",
        credentials: bool = False,
    ) -> None:
        """``origins`` are scheme, host and port as browsers send them, or ``*`` for all.

        ``credentials`` answers requests that are made with them, as beacons always are: browsers
        refuse ``*`` for those, so the origin is named. Only for what reads none that
        browsers add by themselves.
        """
        self._origins = frozenset(origin.rstrip("/").encode() for origin in origins)
        self._exposed = [(b"access-control-expose-headers", exposed.encode())] if exposed else []
        self._open: Headers = [(b"access-control-allow-origin", b"*"), *self._exposed]
        self._credentials = [(b"access-control-allow-credentials", b"true")] if credentials else []
        self._preflight: Headers = [
            (b"access-control-allow-methods", methods.encode()),
            (b"access-control-allow-headers", request_headers.encode()),
            (b"access-control-max-age", _DAY_S),
        ]

    def headers(self, origin: bytes | None) -> Headers:
        """What to add to a response; an origin that is not allowed is told nothing."""
        if not self._origins:
            return NO_HEADERS
        is_open = b"*" in self._origins
        if is_open and (origin is None or not self._credentials):
            return self._open
        if origin is None or not (is_open or origin in self._origins):
            return [(b"vary", b"Origin")]
        allowed = (b"access-control-allow-origin", origin)
        return [allowed, (b"vary", b"Origin"), *self._credentials, *self._exposed]

    def preflight(self, origin: bytes | None) -> Headers:
        """What to answer to OPTIONS."""
        headers = self.headers(origin)
        allowed = any(name == b"access-control-allow-origin" for name, _ in headers)
        return [*headers, *self._preflight] if allowed else headers
