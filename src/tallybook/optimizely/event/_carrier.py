"""A dispatcher as that which carries the outbox's requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tallybook.deliver.answer import NO_ANSWER, OK, Reply
from tallybook.deliver.http import KeepAliveHttp
from tallybook.optimizely.event.event_factory import request
from tallybook.optimizely.event_dispatcher import (
    REQUEST_TIMEOUT_S,
    CustomEventDispatcher,
    EventDispatcher,
)

_OWN: Final = EventDispatcher.dispatch_event


class Carrier:
    """Carries requests by a dispatcher; what it raises is no answer, so the request is repeated.

    In the place of the SDK's own dispatcher, connections of its own carry them: those say what the
    server answered.
    """

    def __init__(self, dispatcher: CustomEventDispatcher) -> None:
        self._dispatcher = dispatcher
        self._http = KeepAliveHttp(REQUEST_TIMEOUT_S)

    @property
    def is_own(self) -> bool:
        """True in the place of the SDK's own dispatcher."""
        return getattr(self._dispatcher, "dispatch_event", None) is _OWN

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a body."""
        if self.is_own:
            return self._http.post(url, body, headers)
        try:
            self._dispatcher.dispatch_event(request(url, body))
        except Exception as error:  # noqa: BLE001 - somebody else's code
            return Reply(NO_ANSWER, text=f"the event dispatcher raised {error!r}")
        return Reply(OK)

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        """Fetch a body."""
        return self._http.get(url, headers)

    def abandon(self) -> None:
        """Forget connections."""
        self._http.abandon()
