"""Who delivers customer events."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping
from typing import Final, Protocol

from tallybook.deliver.answer import OK, Reply
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.journal_place import usual_place
from tallybook.deliver.odp_address import OdpAddress
from tallybook.deliver.odp_events import PATH, OdpEvents, OdpSource, odp_settings
from tallybook.deliver.odp_events import OdpEvent as NativeEvent
from tallybook.deliver.settings import DeliverySettings, Surroundings
from tallybook.errors import ConfigError
from tallybook.optimizely._logging import Logger, adapted
from tallybook.optimizely.helpers.enums import (
    OdpEventApiConfig,
    OdpEventManagerConfig,
    OdpManagerConfig,
)
from tallybook.optimizely.logger import NoOpLogger
from tallybook.optimizely.odp.odp_config import OdpConfig
from tallybook.optimizely.odp.odp_event import OdpDataDict, OdpEvent
from tallybook.optimizely.project_config import SENT_BY

STOP_TIMEOUT_S: Final = 10.0

_IDENTIFIED: Final = "identified"
_LEAST_IDENTIFIERS: Final = 2
_BUSY: Final = 503


class OdpEventApiManager(Protocol):
    """What carries events, if they are not to be sent directly."""

    def send_odp_events(self, api_key: str, api_host: str, events: list[OdpEvent]) -> bool:
        """Send events; true if they are to be sent again."""
        ...


class OdpEventManager:
    """Takes customer events and delivers them in batches, on a thread that the first one starts.

    Args:
        logger: Nowhere unless given.
        api_manager: What carries them; connections of its own unless given.
        request_timeout: Patience with a request, in seconds.
        flush_interval: How long, in seconds, the first event of a batch waits for company; with 0
            each goes alone and at once.
    """

    def __init__(
        self,
        logger: Logger | None = None,
        api_manager: OdpEventApiManager | None = None,
        request_timeout: int | None = None,
        flush_interval: int | None = None,
    ) -> None:
        self.logger = logger or NoOpLogger()
        self._log = adapted(self.logger)
        self.api_manager = api_manager
        self.odp_config: OdpConfig | None = None
        self._timeout_s = request_timeout or OdpEventApiConfig.REQUEST_TIMEOUT
        self._settings = self._settings_for(flush_interval)
        self.batch_size = self._settings.batch_size
        self.flush_interval = self._settings.flush_interval_s
        self._is_running = False
        self._begin()

    @property
    def is_running(self) -> bool:
        """True from when it is started until it is stopped."""
        return self._is_running

    def start(self, odp_config: OdpConfig) -> None:
        """Take events for a platform, of which ``odp_config`` says from now on where it is."""
        self.odp_config = odp_config
        if self._is_stopped:
            self._begin()
        self._is_running = True

    def stop(self) -> None:
        """Deliver what waits, at most ``STOP_TIMEOUT_S``, and take no further events."""
        self._is_running = False
        self._is_stopped = True
        self._events.stop(STOP_TIMEOUT_S)

    def flush(self) -> None:
        """Have what waits sent at once."""
        self._events.flush(0)

    def update_config(self) -> None:
        """Take note that the platform has moved: what is sent from now on goes there."""

    def send_event(
        self,
        type: str,  # noqa: A002 - as official
        action: str,
        identifiers: dict[str, str],
        data: OdpDataDict,
    ) -> None:
        """Have an event delivered, or say in the log why it is not."""
        self.dispatch(OdpEvent(type, action, identifiers, data))

    def dispatch(self, event: OdpEvent) -> None:
        """Have an event delivered, or say in the log why it is not."""
        source = self.odp_config.source if self.odp_config else None
        if source is None or not source.host or not source.api_key:
            self._log.debug("A customer event is not sent: it is not known where to.")
            return
        native = NativeEvent(event.action, event.identifiers, event.type, event.data)
        flaw = self._events.send(native, OdpAddress(source.host, source.api_key))
        if flaw is not None:
            self._log.error("A customer event is not sent: its %s cannot be.", flaw.value)

    def identify_user(self, identifiers: dict[str, str]) -> None:
        """Tell the platform that several identifiers are one user's."""
        known = {name: value for name, value in identifiers.items() if value}
        if len(known) < _LEAST_IDENTIFIERS:
            self._log.debug("A user is not identified: they are known by one identifier only.")
            return
        self.send_event(OdpManagerConfig.EVENT_TYPE, _IDENTIFIED, known, {})

    def _begin(self) -> None:
        self._is_stopped = False
        self._events = OdpEvents(
            self._settings,
            _Carried(self.api_manager) if self.api_manager else KeepAliveHttp(self._timeout_s),
            OdpSource(SENT_BY.client_name, SENT_BY.client_version),
            surroundings=Surroundings(logger=self._log),
            place=usual_place(carries_real_events=self.api_manager is None),
        )
        # Who lets go of the manager without stopping it wants its events delivered all the same.
        leave = weakref.finalize(self, self._events.retire)
        leave.atexit = False

    def _settings_for(self, flush_interval: float | None) -> DeliverySettings:
        usual = OdpEventManagerConfig.DEFAULT_FLUSH_INTERVAL
        try:
            interval_s = usual if flush_interval is None else flush_interval
            return odp_settings(interval_s, self._timeout_s, STOP_TIMEOUT_S)
        except ConfigError as error:
            self._log.error("The usual times are used for customer events: %s", error)
            return odp_settings(usual, OdpEventApiConfig.REQUEST_TIMEOUT, STOP_TIMEOUT_S)


class _Carried:
    """Carries events through somebody else's hands."""

    def __init__(self, carrier: OdpEventApiManager) -> None:
        self._carrier = carrier

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Hand events over; those that are to be sent again were not taken."""
        key = headers.get("x-api-key", "")
        events = [OdpEvent(**event) for event in json.loads(body)]
        is_again = self._carrier.send_odp_events(key, url.removesuffix(PATH), events)
        return Reply(_BUSY, "it is to be sent again") if is_again else Reply(OK)

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        """Nothing is ever asked for."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Whoever carries them has the connections."""
