"""The client: a datafile in, decisions and events out, delivery behind."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Self, Unpack, overload

from tallybook.client.addresses import Addresses
from tallybook.client.context import UserContext, guest_of
from tallybook.client.deciding import Decider
from tallybook.client.recording import Recorder, log_event_teller
from tallybook.client.revision import Revisions
from tallybook.client.settings import ClientOptions, ClientSettings
from tallybook.client.tracking import Tracker
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.poller import Poller
from tallybook.deliver.process import tell_of_forks
from tallybook.deliver.settings import bounded_s
from tallybook.deliver.tally import DeliveryStats
from tallybook.errors import ConfigError
from tallybook.notify import NotificationCenter

CLOSE_TIMEOUT_S: Final = 10.0

_logger: Final = logging.getLogger("tallybook")


class Client:
    """Decides and tracks for the users of one project. Thread-safe; no call waits for the network.

    Args:
        datafile: The project, as JSON; without one it is polled by ``sdk_key`` or ``datafile_url``,
            with one it is where polling begins.
        sdk_key: Which environment's datafile to poll.
        server_url: A Tallybook server, for both the datafile and the events; without one,
            Optimizely's own addresses are used.
        settings: Everything else; each of its fields may be given as a keyword as well.

    Attributes:
        notifications: Where listeners are added.

    Raises:
        DatafileError: The datafile that was given cannot be read.
        ConfigError: A setting cannot be used, or there is nothing to get a datafile by.

    Example:
        >>> client = Client(sdk_key="prod-key", server_url="http://localhost:8080")
        >>> user = client.create_user_context("user123", {"logged_in": True})
        >>> user.decide("checkout").enabled  # before the datafile has come
        False
        >>> client.close()
        0
    """

    def __init__(
        self,
        datafile: str | bytes | None = None,
        *,
        sdk_key: str | None = None,
        server_url: str | None = None,
        settings: ClientSettings | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        if not isinstance(settings, ClientSettings | None):
            raise ConfigError(f"settings: expected ClientSettings, found {_name(settings)}")
        settings = replace(settings or ClientSettings(), **options)
        addresses = Addresses(server_url, settings.event_url, settings.datafile_url)
        is_secure = bool(settings.datafile_access_token)
        datafile_url = addresses.for_datafile(sdk_key, is_secure=is_secure)
        if datafile is None and datafile_url is None:
            raise ConfigError("a client needs a datafile, an sdk_key or a datafile_url")
        self.notifications = NotificationCenter()
        tell_of_forks(self.notifications)
        self._revisions = Revisions(addresses, settings, self.notifications)
        if datafile is not None:
            self._revisions.install(datafile)
        self._outbox = _outbox(settings, server_url)
        self._outbox.announce_to(log_event_teller(self.notifications))
        recorder = Recorder(self._outbox, settings)
        self._tracker = Tracker(self._revisions, recorder, self.notifications)
        self._decider = Decider(
            self._revisions, recorder, self.notifications, settings.default_decide_options
        )
        self._poller = self._start_polling(datafile_url, settings) if datafile_url else None
        # User contexts hold the tracker: when neither they nor the client are left, nobody can
        # track any more, and what works in the background may finish and end.
        leave = weakref.finalize(self._tracker, _retire, self._outbox, self._poller)
        leave.atexit = False

    def _start_polling(self, url: str, settings: ClientSettings) -> Poller:
        poller = Poller(
            url,
            self._revisions.offer,
            settings.http or KeepAliveHttp(settings.polling.request_timeout_s),
            settings.polling,
            access_token=settings.datafile_access_token,
            surroundings=settings.surroundings,
        )
        poller.start()
        return poller

    @overload
    def create_user_context(
        self, user_id: str, attributes: Mapping[str, object] | None = None
    ) -> UserContext: ...
    @overload
    def create_user_context(
        self, user_id: object, attributes: object = None
    ) -> UserContext | None: ...
    def create_user_context(self, user_id: object, attributes: object = None) -> UserContext | None:
        """A user to decide and track for; ``attributes`` are copied.

        Returns:
            The context; ``None``, and a line in the log, when an argument has the wrong type.
        """
        if not isinstance(user_id, str):
            _logger.error("No user context: the user id must be a string, not %s.", _name(user_id))
            return None
        if attributes is not None and type(attributes) is not dict:
            _logger.error("No user context: attributes must be a dict, not %s.", _name(attributes))
            return None
        return UserContext(self._decider, self._tracker, guest_of(user_id, attributes))

    def track(
        self,
        event_key: str,
        user_id: str,
        attributes: Mapping[str, object] | None = None,
        event_tags: Mapping[str, object] | None = None,
    ) -> None:
        """Record a conversion without a user context; see :meth:`UserContext.track_event`."""
        self._tracker.track(event_key, user_id, attributes, event_tags)

    @property
    def is_ready(self) -> bool:
        """True when there is a datafile to decide by."""
        return self._revisions.newest is not None

    def wait_until_ready(self, timeout_s: float | None = None) -> bool:
        """Wait for the first datafile, at most ``timeout_s``; true when there is one.

        ``close()`` ends the waiting.
        """
        arrived = threading.Event()
        self._revisions.when_ready(arrived.set)
        arrived.wait(bounded_s(timeout_s))
        self._revisions.forget(arrived.set)
        return self.is_ready

    async def ready(self, timeout_s: float | None = None) -> bool:
        """:meth:`wait_until_ready` for a coroutine; the event loop goes on meanwhile."""
        import asyncio  # noqa: PLC0415 - 40 ms that only its users pay

        loop, arrived = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(arrived.set)

        self._revisions.when_ready(tell)
        try:
            async with asyncio.timeout(bounded_s(timeout_s)):
                await arrived.wait()
        except TimeoutError:
            pass
        finally:
            self._revisions.forget(tell)
        return self.is_ready

    def flush(self, timeout_s: float | None = None) -> bool:
        """Deliver what waits, at most ``timeout_s``; true when everything tracked so far was."""
        return self._outbox.flush(timeout_s)

    def close(self, timeout_s: float | None = CLOSE_TIMEOUT_S) -> int:
        """Deliver what waits, at most ``timeout_s``, and end what works in the background.

        Decisions can still be made; events are refused from now on. May be called again.

        Returns:
            How many events are not delivered.
        """
        if self._poller is not None:
            self._poller.stop()
        self._revisions.stop_waiting()
        return self._outbox.close(timeout_s)

    async def aclose(self, timeout_s: float | None = CLOSE_TIMEOUT_S) -> int:
        """:meth:`close` for a coroutine; the event loop goes on meanwhile."""
        import asyncio  # noqa: PLC0415 - see ready()

        return await asyncio.to_thread(self.close, timeout_s)

    def delivery_stats(self) -> DeliveryStats:
        """What became of the events so far."""
        return self._outbox.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _outbox(settings: ClientSettings, server_url: str | None) -> Outbox:
    delivery = settings.delivery
    if delivery.gzip is None:
        delivery = replace(delivery, gzip=bool(server_url) and settings.event_url is None)
    http = settings.http or KeepAliveHttp(delivery.request_timeout_s)
    return Outbox(delivery, http, surroundings=settings.surroundings)


def _retire(outbox: Outbox, poller: Poller | None) -> None:
    outbox.retire()
    if poller is not None:
        poller.stop(timeout_s=0)


def _name(value: object) -> str:
    return type(value).__name__
