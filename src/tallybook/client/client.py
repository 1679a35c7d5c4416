"""The client: a datafile in, decisions and events out, delivery behind."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, Unpack, overload

from msgspec.structs import replace

from tallybook.client.addresses import Addresses
from tallybook.client.arguments import is_user, seconds
from tallybook.client.background import aim_when_ready, outbox_for, retire, start_polling
from tallybook.client.by_user_id import CallsByUserId
from tallybook.client.calls import Calls
from tallybook.client.context import UserContext
from tallybook.client.diagnostics import Diagnostics
from tallybook.client.memories import Memories
from tallybook.client.recording import Recorder
from tallybook.client.revision import Revisions, SentBy
from tallybook.client.services import Services
from tallybook.client.settings import ClientOptions, ClientSettings, in_ns, settings_from
from tallybook.client.told import log_event_teller
from tallybook.client.user_state import state_of
from tallybook.client.waiting import first_of, wait_for_first
from tallybook.deliver.process import tell_of_forks
from tallybook.deliver.settings import bounded_s
from tallybook.deliver.tally import DeliveryStats
from tallybook.errors import ConfigError
from tallybook.model.customer_data import FULLSTACK
from tallybook.notify import NotificationCenter

if TYPE_CHECKING:
    from tallybook.model.optimizely_config import OptimizelyConfig

CLOSE_TIMEOUT_S: Final = 10.0


class Client(CallsByUserId):
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
        settings = replace(settings_from(settings), **options)
        addresses = Addresses(server_url, settings.event_url, settings.datafile_url)
        is_secure = bool(settings.datafile_access_token)
        datafile_url = addresses.for_datafile(sdk_key, is_secure=is_secure)
        if datafile is None and datafile_url is None:
            raise ConfigError("a client needs a datafile, an sdk_key or a datafile_url")
        self.notifications = NotificationCenter()
        tell_of_forks(self.notifications)
        self._diagnostics = Diagnostics(settings.error_handler)
        self._revisions = Revisions(
            addresses,
            SentBy(settings.client_name, settings.client_version),
            self.notifications,
            self._diagnostics,
        )
        if datafile is not None:
            self._revisions.install(datafile)
        self._outbox = outbox_for(settings, addresses)
        self._outbox.announce_to(log_event_teller(self.notifications))
        self._services = Services(settings, self._revisions, self._diagnostics)
        self._calls = Calls(
            self._revisions,
            Recorder(self._outbox, self._diagnostics, in_ns(settings.clock_ms), settings.new_uuid),
            self.notifications,
            Memories(settings.user_profile_service, self._diagnostics),
            self._diagnostics,
            default_options=settings.default_decide_options,
            predictions=self._services,
            segments_of=self._services.segments_of,
        )
        aim_when_ready(self._outbox, self._revisions)
        self._poller = (
            start_polling(datafile_url, self._revisions.offer, settings) if datafile_url else None
        )
        # User contexts hold the calls: when neither they nor the client are left, nobody can
        # track any more, and what works in the background may finish and end.
        leave = weakref.finalize(self._calls, retire, self._outbox, self._poller, self._services)
        leave.atexit = False

    @overload
    def create_user_context(
        self, user_id: str, attributes: dict[str, Any] | None = None
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
        if not is_user(user_id, attributes, self._diagnostics):
            return None
        return UserContext(self._calls, state_of(user_id, attributes))

    def get_optimizely_config(self) -> OptimizelyConfig | None:
        """The datafile described by key, once somebody asks; ``None`` before there is one."""
        revision = self._revisions.newest
        return revision.description.config() if revision else None

    @property
    def is_ready(self) -> bool:
        """True when there is a datafile to decide by."""
        return self._revisions.newest is not None

    def wait_until_ready(self, timeout_s: float | None = None) -> bool:
        """Wait for the first datafile or ``close()``, at most ``timeout_s``; true if one came."""
        return wait_for_first(self._revisions, self._seconds("wait_until_ready", timeout_s))

    async def ready(self, timeout_s: float | None = None) -> bool:
        """:meth:`wait_until_ready` for a coroutine; the event loop goes on meanwhile."""
        return await first_of(self._revisions, self._seconds("ready", timeout_s))

    def flush(self, timeout_s: float | None = None) -> bool:
        """Deliver what waits, at most ``timeout_s``; true when everything tracked so far was."""
        deadline = time.monotonic() + bounded_s(self._seconds("flush", timeout_s))
        self._services.flush(0)  # both hurry at once
        is_flushed = self._outbox.flush(_left_s(deadline))
        return self._services.flush(_left_s(deadline)) and is_flushed

    def close(self, timeout_s: float | None = CLOSE_TIMEOUT_S) -> int:
        """Deliver what waits, at most ``timeout_s``, and end what works in the background.

        Decisions can still be made; events are refused from now on. May be called again.

        Returns:
            How many events are not delivered; :meth:`odp_stats` tells of customer events.
        """
        if self._poller is not None:
            self._poller.stop()
        self._revisions.stop_waiting()
        deadline = time.monotonic() + bounded_s(self._seconds("close", timeout_s))
        self._services.retire()  # both hurry at once
        undelivered = self._outbox.close(_left_s(deadline))
        self._services.close(_left_s(deadline))
        return undelivered

    async def aclose(self, timeout_s: float | None = CLOSE_TIMEOUT_S) -> int:
        """:meth:`close` for a coroutine; the event loop goes on meanwhile."""
        import asyncio  # noqa: PLC0415 - 40 ms that only its users pay

        return await asyncio.to_thread(self.close, timeout_s)

    def delivery_stats(self) -> DeliveryStats:
        """What became of the events so far; customer events are in :meth:`odp_stats`."""
        return self._outbox.stats()

    def send_odp_event(
        self,
        action: str,
        identifiers: Mapping[str, str],
        type: str = FULLSTACK,  # noqa: A002 - as the official SDK has it
        data: Mapping[str, str | float | bool | None] | None = None,
    ) -> None:
        """Tell the customer data platform of something a user did. What is wrong is logged.

        Args:
            action: What it was.
            identifiers: What the platform knows the user by, at least one.
            type: What kind of event it is.
            data: What else is known of it: text, numbers, booleans.
        """
        self._services.send_odp_event(action, identifiers, type, data)

    def odp_stats(self) -> DeliveryStats:
        """What became of the customer events so far."""
        return self._services.odp_stats()

    def _seconds(self, call: str, timeout_s: object) -> float | None:
        return seconds(call, timeout_s, self._diagnostics)

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


def _left_s(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
