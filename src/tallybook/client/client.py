"""The client: a datafile in, decisions and events out, delivery behind."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self, Unpack, overload

from tallybook.client.addresses import Addresses
from tallybook.client.arguments import guest_of
from tallybook.client.background import outbox_for, retire, start_polling
from tallybook.client.context import UserContext
from tallybook.client.deciding import Decider
from tallybook.client.desk import Desk
from tallybook.client.experiments import Experiments
from tallybook.client.faults import Faults
from tallybook.client.features import Features
from tallybook.client.impressions import Impressions
from tallybook.client.memories import Memories
from tallybook.client.recording import Recorder, log_event_teller
from tallybook.client.revision import Revisions
from tallybook.client.settings import ClientOptions, ClientSettings
from tallybook.client.tracking import Tracker
from tallybook.client.waiting import first_of, wait_for_first
from tallybook.deliver.process import tell_of_forks
from tallybook.deliver.tally import DeliveryStats
from tallybook.errors import ConfigError
from tallybook.model.optimizely_config import OptimizelyConfig
from tallybook.notify import NotificationCenter

CLOSE_TIMEOUT_S: Final = 10.0

Attributes = Mapping[str, object] | None

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
        faults = Faults(settings.error_handler)
        self._revisions = Revisions(addresses, settings, self.notifications, faults)
        if datafile is not None:
            self._revisions.install(datafile)
        self._outbox = outbox_for(settings, server_url)
        self._outbox.announce_to(log_event_teller(self.notifications))
        recorder = Recorder(self._outbox, settings, faults)
        self._tracker = Tracker(self._revisions, recorder, self.notifications, faults)
        desk = Desk(
            self._revisions,
            Impressions(recorder, self.notifications),
            self.notifications,
            Memories(settings.user_profile_service),
            faults,
        )
        self._decider = Decider(desk, settings.default_decide_options)
        self._experiments = Experiments(desk)
        self._features = Features(desk)
        self._poller = (
            start_polling(datafile_url, self._revisions.offer, settings) if datafile_url else None
        )
        # User contexts hold the tracker: when neither they nor the client are left, nobody can
        # track any more, and what works in the background may finish and end.
        leave = weakref.finalize(self._tracker, retire, self._outbox, self._poller)
        leave.atexit = False

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

    def activate(
        self, experiment_key: str, user_id: str, attributes: Attributes = None
    ) -> str | None:
        """The key of the user's variation in an experiment, recorded as shown; ``None`` if none."""
        return self._experiments.activate(experiment_key, user_id, attributes)

    def get_variation(
        self, experiment_key: str, user_id: str, attributes: Attributes = None
    ) -> str | None:
        """:meth:`activate` without recording anything."""
        return self._experiments.get_variation(experiment_key, user_id, attributes)

    def set_forced_variation(
        self, experiment_key: str, user_id: str, variation_key: str | None
    ) -> bool:
        """Force a variation on this client, or with ``None`` none any more; true if that worked."""
        return self._experiments.set_forced(experiment_key, user_id, variation_key)

    def get_forced_variation(self, experiment_key: str, user_id: str) -> str | None:
        """The key of the variation that is forced on this client."""
        return self._experiments.get_forced(experiment_key, user_id)

    def is_feature_enabled(
        self, feature_key: str, user_id: str, attributes: Attributes = None
    ) -> bool:
        """True when the flag is on; what an experiment decided is recorded as shown."""
        return self._features.is_enabled(feature_key, user_id, attributes)

    def get_enabled_features(self, user_id: str, attributes: Attributes = None) -> list[str]:
        """The keys of all flags that are on, each as by :meth:`is_feature_enabled`."""
        return self._features.enabled_keys(user_id, attributes)

    def get_feature_variable(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> Any:
        """A variable's value in its own type; ``None`` if there is none. Nothing is recorded."""
        names = (feature_key, variable_key)
        return self._features.variable(names, user_id, attributes, wanted=None)

    def get_feature_variable_boolean(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> bool | None:
        """:meth:`get_feature_variable` of a variable of type ``boolean`` only."""
        names = (feature_key, variable_key)
        value: bool | None = self._features.variable(names, user_id, attributes, wanted="boolean")
        return value

    def get_feature_variable_double(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> float | None:
        """:meth:`get_feature_variable` of a variable of type ``double`` only."""
        names = (feature_key, variable_key)
        value: float | None = self._features.variable(names, user_id, attributes, wanted="double")
        return value

    def get_feature_variable_integer(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> int | None:
        """:meth:`get_feature_variable` of a variable of type ``integer`` only."""
        names = (feature_key, variable_key)
        value: int | None = self._features.variable(names, user_id, attributes, wanted="integer")
        return value

    def get_feature_variable_string(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> str | None:
        """:meth:`get_feature_variable` of a variable of type ``string`` only."""
        names = (feature_key, variable_key)
        value: str | None = self._features.variable(names, user_id, attributes, wanted="string")
        return value

    def get_feature_variable_json(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> Any:
        """:meth:`get_feature_variable` of a variable of type ``json`` only."""
        names = (feature_key, variable_key)
        return self._features.variable(names, user_id, attributes, wanted="json")

    def get_all_feature_variables(
        self, feature_key: str, user_id: str, attributes: Attributes = None
    ) -> dict[str, Any] | None:
        """All variables of a flag by key; ``None`` if it is unknown. Nothing is recorded."""
        return self._features.all_variables(feature_key, user_id, attributes)

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
        return wait_for_first(self._revisions, timeout_s)

    async def ready(self, timeout_s: float | None = None) -> bool:
        """:meth:`wait_until_ready` for a coroutine; the event loop goes on meanwhile."""
        return await first_of(self._revisions, timeout_s)

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
        import asyncio  # noqa: PLC0415 - 40 ms that only its users pay

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


def _name(value: object) -> str:
    return type(value).__name__
