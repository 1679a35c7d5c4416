"""Who asks and tells the customer data platform on a client's behalf."""

from __future__ import annotations

from typing import Any

from tallybook.optimizely._logging import Logger, adapted
from tallybook.optimizely.helpers.enums import OdpManagerConfig, OdpSegmentsCacheConfig
from tallybook.optimizely.logger import NoOpLogger
from tallybook.optimizely.odp.lru_cache import LRUCache, OptimizelySegmentsCache
from tallybook.optimizely.odp.odp_config import OdpConfig, OdpConfigState
from tallybook.optimizely.odp.odp_event_manager import OdpEventManager
from tallybook.optimizely.odp.odp_segment_manager import OdpSegmentManager


class OdpManager:
    """The managers of segments and of events together.

    Args:
        disable: Ask and tell nothing.
        segments_cache: Where segments are kept; in memory unless given.
        segment_manager: Who fetches them instead.
        event_manager: Who delivers events instead.
        fetch_segments_timeout: Patience with a request for segments, in seconds.
        odp_event_timeout: The same for one that carries events.
        odp_flush_interval: How long, in seconds, the first event of a batch waits for company.
        logger: Nowhere unless given.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as the official one
        self,
        disable: bool,
        segments_cache: OptimizelySegmentsCache | None = None,
        segment_manager: OdpSegmentManager | None = None,
        event_manager: OdpEventManager | None = None,
        fetch_segments_timeout: int | None = None,
        odp_event_timeout: int | None = None,
        odp_flush_interval: int | None = None,
        logger: Logger | None = None,
    ) -> None:
        self.enabled = not disable
        self.odp_config = OdpConfig()
        self.logger = logger or NoOpLogger()
        self._log = adapted(self.logger)
        self._is_closed = False
        self.segment_manager: Any = None
        self.event_manager: Any = None
        if disable:
            return
        self.segment_manager = segment_manager or OdpSegmentManager(
            segments_cache or usual_cache(), logger=self.logger, timeout=fetch_segments_timeout
        )
        self.segment_manager.odp_config = self.odp_config
        self.event_manager = event_manager or OdpEventManager(
            self.logger, None, odp_event_timeout, odp_flush_interval
        )

    def fetch_qualified_segments(self, user_id: str, options: list[str]) -> list[str] | None:
        """The segments a user is in; ``None``, and a line in the log, if that is not known."""
        if not self._is_enabled("No segments are fetched"):
            return None
        key = OdpManagerConfig.KEY_FOR_USER_ID
        segments: list[str] | None = self.segment_manager.fetch_qualified_segments(
            key, user_id, options
        )
        return segments

    def identify_user(self, identifiers: dict[str, str]) -> None:
        """Tell the platform that several identifiers are one user's."""
        if self.enabled and self.odp_config.odp_state() is not OdpConfigState.NOT_INTEGRATED:
            self.event_manager.identify_user(identifiers)

    def send_event(
        self,
        type: str,  # noqa: A002 - as official
        action: str,
        identifiers: dict[str, str],
        data: dict[str, Any],
    ) -> None:
        """Have an event delivered, or say in the log why it is not."""
        if not self._is_enabled("A customer event is not sent"):
            return
        if self.odp_config.odp_state() is OdpConfigState.NOT_INTEGRATED:
            self._log.error("A customer event is not sent: the project integrates no platform.")
            return
        if not all(isinstance(value, str | int | float | None) for value in data.values()):
            self._log.error("A customer event is not sent: its data cannot be.")
            return
        self.event_manager.send_event(type, action, identifiers, data)

    def update_odp_config(
        self, api_key: str | None, api_host: str | None, segments_to_check: list[str]
    ) -> None:
        """Take note of what a datafile says; if it is new, segments that are kept are forgotten."""
        if not self.enabled:
            return
        if not self.odp_config.update(api_key, api_host, segments_to_check):
            return
        self.segment_manager.reset()
        if self.event_manager.is_running:
            self.event_manager.update_config()
        elif self.odp_config.odp_state() is OdpConfigState.INTEGRATED and not self._is_closed:
            self.event_manager.start(self.odp_config)

    def close(self) -> None:
        """Deliver the events that wait, and take no further ones."""
        self._is_closed = True
        if self.enabled:
            self.event_manager.stop()

    def _is_enabled(self, what: str) -> bool:
        if not self.enabled:
            self._log.error("%s: the customer data platform is switched off.", what)
        return self.enabled


def usual_cache() -> LRUCache[str, list[str]]:
    """Where segments are kept unless something is said of it."""
    return LRUCache(
        OdpSegmentsCacheConfig.DEFAULT_CAPACITY, OdpSegmentsCacheConfig.DEFAULT_TIMEOUT_SECS
    )
