"""The SDKs under measurement, each set up as its own users would, behind one small surface.

The official package and the drop-in face have the same import paths, so one class serves both.
User contexts have the same methods everywhere: what is timed are the SDKs' own, unwrapped.
Packages are imported when a contender is made, so that a process pays for one of them only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from queue import Empty, Queue
from typing import Any, Final, Protocol

OFFICIAL: Final = "official"
NATIVE: Final = "native"
DROP_IN: Final = "drop-in"

NO_EVENT: Final = ["DISABLE_DECISION_EVENT"]

_DROP_IN_PREFIX: Final = "tallybook.optimizely"
_NO_TIME_S: Final = 3_600.0  # longer than any measurement: batches go out by size alone
_AMPLE_EVENTS: Final = 10**6
_AMPLE_BYTES: Final = 2**31
_PATIENCE_S: Final = 120.0
_STANDSTILL_S: Final = 15.0  # longer than the official dispatcher's timeout
_LOOK_AGAIN_S: Final = 0.001


class LostError(Exception):
    """A contender did not deliver what was tracked, so its figures compare with nothing."""


class User(Protocol):
    """A user context, in the part that is measured."""

    def decide(self, key: str, options: list[str] | None = None) -> Any:
        """Decide one flag."""
        ...

    def decide_all(self, options: list[str] | None = None) -> Any:
        """Decide every flag."""
        ...

    def track_event(self, event_key: str, event_tags: dict[str, Any] | None = None) -> None:
        """Track a conversion."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """A client, and how to know what became of its events.

    Attributes:
        user: Makes a user context of an id and attributes.
        forget: Rids the client of events that wait, untimed.
        delivered: How many events a server has answered for.
        settle: Waits until as many events as told are delivered; raises ``LostError`` otherwise.
        client: The client itself.
    """

    user: Callable[[str, dict[str, Any]], User]
    forget: Callable[[], None]
    delivered: Callable[[], int]
    settle: Callable[[int], None]
    client: Any


class Contender(Protocol):
    """One SDK."""

    @property
    def max_waiting(self) -> int:
        """How many events may wait, by its defaults, without any danger that some are dropped."""
        ...

    @property
    def batch_size(self) -> int:
        """How many events a request carries, by the default of its event processor."""
        ...

    def plain(self, datafile: str) -> Setup:
        """A client with nothing but a datafile."""
        ...

    def quiet(self, datafile: str) -> Setup:
        """A client whose background work does not begin, and that has room for any backlog."""
        ...

    def safe(self, datafile: str, folder: str) -> Setup:
        """The same with events in files of ``folder``; in memory where an SDK has no such thing."""
        ...

    def sending(self, datafile: str, url: str, batch_size: int) -> Setup:
        """A client that really sends, in batches, to ``url``."""
        ...


def available() -> list[str]:
    """The contenders that can be imported here."""
    has_drop_in = find_spec(_DROP_IN_PREFIX) and find_spec(f"{_DROP_IN_PREFIX}.optimizely")
    return [OFFICIAL, NATIVE, *([DROP_IN] if has_drop_in else [])]


def contender(name: str) -> Contender:
    """A contender by name, its package imported."""
    return _CONTENDERS[name]()


class OptimizelyLike:
    """The official package, or whatever has its import paths behind another prefix."""

    max_waiting = 800  # the queue's 1,000, less what a caller adds between two looks
    batch_size = 10

    def __init__(self, prefix: str) -> None:
        self._optimizely = import_module(f"{prefix}.optimizely").Optimizely
        self._batching = import_module(f"{prefix}.event.event_processor").BatchEventProcessor
        self._dispatcher = import_module(f"{prefix}.event_dispatcher").EventDispatcher

    def plain(self, datafile: str) -> Setup:
        return self._setup(self._optimizely(datafile))

    def quiet(self, datafile: str) -> Setup:
        queue: Queue[Any] = Queue()
        processor = self._batching(self._dispatcher, start_on_init=False, event_queue=queue)
        client = self._optimizely(datafile, event_processor=processor)
        return self._setup(client, forget=lambda: _empty(queue))

    def safe(self, datafile: str, folder: str) -> Setup:  # noqa: ARG002 - nothing is in files
        return self.quiet(datafile)

    def sending(self, datafile: str, url: str, batch_size: int) -> Setup:
        forward = _Forward(self._dispatcher.dispatch_event, url, batch_size)
        options = {"batch_size": batch_size, "flush_interval": _NO_TIME_S}
        client = self._optimizely(datafile, forward, event_processor_options=options)
        return self._setup(client, forward=forward)

    def _setup(
        self,
        client: Any,
        forget: Callable[[], None] = lambda: None,
        forward: _Forward | None = None,
    ) -> Setup:
        if client.config_manager.get_config() is None:
            raise ValueError("the datafile was refused")
        return Setup(
            user=client.create_user_context,
            forget=forget,
            delivered=forward.delivered if forward else _nothing,
            settle=forward.settle if forward else _no_need,
            client=client,
        )


class _Forward:
    """The package's own dispatcher, with another address: its own is fixed.

    It knows what is delivered by the number of requests, since reading a body would cost time.
    """

    def __init__(self, dispatch: Callable[[Any], None], url: str, batch_size: int) -> None:
        self._dispatch = dispatch
        self._url = url
        self._batch_size = batch_size
        self._requests = 0

    def dispatch_event(self, event: Any) -> None:
        event.url = self._url
        self._dispatch(event)
        self._requests += 1

    def delivered(self) -> int:
        return self._requests * self._batch_size

    def settle(self, events: int) -> None:
        delivered, deadline = self.delivered(), time.monotonic() + _STANDSTILL_S
        while delivered < events:
            if time.monotonic() > deadline:
                raise LostError(f"{delivered} of {events} events were delivered")
            time.sleep(_LOOK_AGAIN_S)
            if delivered != self.delivered():
                delivered, deadline = self.delivered(), time.monotonic() + _STANDSTILL_S


class Native:
    """Tallybook's own client."""

    max_waiting = 10_000  # of the 100,000 it takes: a longer backlog teaches nothing more
    batch_size = 100

    def __init__(self) -> None:
        package = import_module("tallybook")
        self._client = package.Client
        self._delivery = import_module("tallybook.client").DeliverySettings

    def plain(self, datafile: str) -> Setup:
        return self._setup(self._client(datafile))

    def quiet(self, datafile: str) -> Setup:
        return self._quiet(datafile, None)

    def safe(self, datafile: str, folder: str) -> Setup:
        return self._quiet(datafile, folder)

    def _quiet(self, datafile: str, journal: str | None) -> Setup:
        delivery = self._delivery(
            batch_size=_AMPLE_EVENTS,
            flush_interval_s=_NO_TIME_S,
            max_waiting_events=_AMPLE_EVENTS,
            max_waiting_bytes=_AMPLE_BYTES,
        )
        client = self._client(datafile, http=_AnswersAtOnce(), delivery=delivery, journal=journal)
        return self._setup(client)

    def sending(self, datafile: str, url: str, batch_size: int) -> Setup:
        delivery = self._delivery(batch_size=batch_size, flush_interval_s=_NO_TIME_S)
        return self._setup(self._client(datafile, event_url=url, delivery=delivery))

    def _setup(self, client: Any) -> Setup:
        def settle(events: int) -> None:
            if not client.flush(_PATIENCE_S):
                raise LostError(f"of {events} events: {client.delivery_stats()}")

        return Setup(
            user=client.create_user_context,
            forget=client.flush,
            delivered=lambda: client.delivery_stats().delivered,
            settle=settle,
            client=client,
        )


class _AnswersAtOnce:
    """A transport without a network, as ``tallybook``'s ``http`` setting takes one."""

    def __init__(self) -> None:
        self._reply = import_module("tallybook.deliver.answer").Reply

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Any:  # noqa: ARG002
        return self._reply(204)

    def get(self, url: str, headers: Mapping[str, str]) -> Any:  # noqa: ARG002
        return self._reply(404)

    def abandon(self) -> None:
        """There are no connections."""


def _empty(queue: Queue[Any]) -> None:
    while True:
        try:
            queue.get_nowait()
        except Empty:
            return


def _nothing() -> int:
    return 0


def _no_need(events: int) -> None:  # noqa: ARG001 - nothing is sent, so nothing is waited for
    return


_CONTENDERS: Final[Mapping[str, Callable[[], Contender]]] = {
    OFFICIAL: lambda: OptimizelyLike("optimizely"),
    NATIVE: Native,
    DROP_IN: lambda: OptimizelyLike(_DROP_IN_PREFIX),
}
