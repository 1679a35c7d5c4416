"""Requests that show a token, to the one address it is for."""

from __future__ import annotations

from collections.abc import Mapping

from tallybook.deliver.answer import Http, Reply


class AuthorizedHttp:
    """Adds a bearer token to what is posted to ``url``, and to nothing else.

    It is added on the way, not where events are kept: no journal holds it, and events that waited
    for a new token are sent with that one.
    """

    def __init__(self, http: Http, url: str, token: str) -> None:
        self._http = http
        self._url = url
        self._header = {"Authorization": f"Bearer {token}"}

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a body."""
        return self._http.post(
            url, body, {**headers, **self._header} if url == self._url else headers
        )

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        """Fetch a body."""
        return self._http.get(url, headers)

    def abandon(self) -> None:
        """Begin with new connections."""
        self._http.abandon()
