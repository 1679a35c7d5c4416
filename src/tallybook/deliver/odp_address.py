"""Where a project's customer data live: the Optimizely Data Platform's host, and the key to it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class OdpAddress(Struct, frozen=True):
    """The ``host``, with its scheme, and the ``api_key`` that a datafile names."""

    host: str
    api_key: str

    def __repr__(self) -> str:
        # The key stays out of logs.
        return f"OdpAddress(host={self.host!r})"

    def url(self, path: str) -> str:
        """The whole address of a ``path``, which begins with a slash."""
        return self.host.rstrip("/") + path

    @property
    def headers(self) -> Mapping[str, str]:
        """What lets a request in."""
        return {"x-api-key": self.api_key}
