"""A request that carries events, as dispatchers and listeners are given it."""

from __future__ import annotations

from typing import Any, Literal


class LogEvent:
    """A request that carries events.

    Attributes:
        url: Where to; a dispatcher may send it elsewhere.
        params: The body as JSON values.
        http_verb: How.
        headers: What goes with it.
    """

    def __init__(
        self,
        url: str,
        params: dict[str, Any],
        http_verb: Literal["POST", "GET"] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.url = url
        self.params = params
        self.http_verb: Literal["POST", "GET"] = http_verb or "POST"
        self.headers = headers

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.http_verb} {self.url}: {self.params})"
