"""Who knows which segments users are in."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Protocol

from tallybook.client.segments import SegmentService, cache_key
from tallybook.deliver.ask import AskingHttp
from tallybook.deliver.segments import SegmentFailure, SegmentRequest, fetch_segments
from tallybook.model.customer_data import CustomerDataSource
from tallybook.optimizely._logging import Logger, adapted
from tallybook.optimizely.helpers.enums import OdpSegmentApiConfig
from tallybook.optimizely.logger import NoOpLogger
from tallybook.optimizely.odp.lru_cache import OptimizelySegmentsCache
from tallybook.optimizely.odp.odp_config import OdpConfig

_NOWHERE: Final = CustomerDataSource()


class OdpSegmentApiManager(Protocol):
    """What asks the platform, if it is not to be asked directly."""

    def fetch_segments(
        self,
        api_key: str,
        api_host: str,
        user_key: str,
        user_value: str,
        segments_to_check: list[str],
    ) -> list[str] | None:
        """Which of the segments a user is in; ``None``, and a line in the log, if that fails."""
        ...


class OdpSegmentManager:
    """Fetches users' segments and keeps them for a while.

    Args:
        segments_cache: Where they are kept.
        api_manager: What asks; connections of its own unless given.
        logger: Nowhere unless given.
        timeout: Patience with a request, in seconds.

    Attributes:
        odp_config: What is known of the platform; whoever uses the manager sets it.
    """

    def __init__(
        self,
        segments_cache: OptimizelySegmentsCache,
        api_manager: OdpSegmentApiManager | None = None,
        logger: Logger | None = None,
        timeout: int | None = None,
    ) -> None:
        self.odp_config: OdpConfig | None = None
        self.segments_cache = segments_cache
        self.logger = logger or NoOpLogger()
        self.api_manager = api_manager
        http = AskingHttp(timeout or OdpSegmentApiConfig.REQUEST_TIMEOUT)
        fetch = partial(_through, api_manager) if api_manager else partial(fetch_segments, http)
        self._service = SegmentService(fetch, segments_cache, adapted(self.logger))

    def fetch_qualified_segments(
        self, user_key: str, user_value: str, options: list[str]
    ) -> list[str] | None:
        """The segments a user is in; ``None``, and a line in the log, if that is not known."""
        source = self.odp_config.source if self.odp_config else _NOWHERE
        return self._service.segments_of(user_value, source, options or (), user_key)

    def reset(self) -> None:
        """Forget what was kept."""
        self._service.reset()

    def make_cache_key(self, user_key: str, user_value: str) -> str:
        """What a user's segments are kept by."""
        return cache_key(user_key, user_value)


def _through(asking: Any, request: SegmentRequest) -> list[str] | SegmentFailure | None:
    address, segments = request.address, list(request.segments_to_check)
    found: list[str] | None = asking.fetch_segments(
        address.api_key, address.host, request.user_key, request.user_value, segments
    )
    return found
