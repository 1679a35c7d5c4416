"""Settings of a client that are not arguments of its constructor."""

from __future__ import annotations

from typing import Any, Final

_SEGMENTS_CACHE_SIZE: Final = 10000
_SEGMENTS_CACHE_TIMEOUT_S: Final = 600


class OptimizelySdkSettings:
    """How a client works with the customer data platform and the prediction service.

    ``event_url`` is our own: where events are sent instead of Optimizely's collector, for instance
    ``https://tallybook.example.com/v1/events``. Timeouts and intervals are in seconds.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as the official one, and one more
        self,
        odp_disabled: bool = False,
        segments_cache_size: int = _SEGMENTS_CACHE_SIZE,
        segments_cache_timeout_in_secs: int = _SEGMENTS_CACHE_TIMEOUT_S,
        odp_segments_cache: Any = None,
        odp_segment_manager: Any = None,
        odp_event_manager: Any = None,
        odp_segment_request_timeout: int | None = None,
        odp_event_request_timeout: int | None = None,
        odp_event_flush_interval: int | None = None,
        cmab_prediction_endpoint: str | None = None,
        *,
        event_url: str | None = None,
    ) -> None:
        self.odp_disabled = odp_disabled
        self.segments_cache_size = segments_cache_size
        self.segments_cache_timeout_in_secs = segments_cache_timeout_in_secs
        self.segments_cache = odp_segments_cache
        self.odp_segment_manager = odp_segment_manager
        self.odp_event_manager = odp_event_manager
        self.fetch_segments_timeout = odp_segment_request_timeout
        self.odp_event_timeout = odp_event_request_timeout
        self.odp_flush_interval = odp_event_flush_interval
        self.cmab_prediction_endpoint = cmab_prediction_endpoint
        self.event_url = event_url
