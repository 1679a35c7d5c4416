"""Segments of a customer data platform: kept for a while, and otherwise fetched."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any, Final, Protocol

from tallybook.deliver.odp_address import OdpAddress
from tallybook.deliver.segments import SegmentFailure, SegmentFault, SegmentRequest
from tallybook.model.customer_data import CustomerDataSource, SegmentOption
from tallybook.model.text import readable

USER_KEY: Final = "fs_user_id"  # what the platform calls a user's id


class SegmentsCache(Protocol):
    """Where segments are kept, by text."""

    def lookup(self, key: str) -> Any:
        """The value of a key, ``None`` if there is none."""
        ...

    def save(self, key: str, value: list[str]) -> object:
        """Keep a value."""
        ...

    def reset(self) -> object:
        """Forget everything."""
        ...


# ``None`` is a failure as well, one that was logged already.
FetchSegments = Callable[[SegmentRequest], list[str] | SegmentFailure | None]


def cache_key(user_key: str, user_value: str) -> str:
    """What a user's segments are kept by."""
    return f"{user_key}-$-{user_value}"


class SegmentService:
    """Knows which segments users are in. Thread-safe; nothing is raised.

    Args:
        fetch: Asks the platform.
        cache: Keeps segments; an empty list is neither kept nor taken from there.
        logger: Told what fails, and whether segments were kept.
    """

    def __init__(self, fetch: FetchSegments, cache: SegmentsCache, logger: logging.Logger) -> None:
        self._fetch = fetch
        self._cache = cache
        self._logger = logger

    def segments_of(
        self,
        user_value: str,
        source: CustomerDataSource,
        options: Collection[str] = (),
        user_key: str = USER_KEY,
    ) -> list[str] | None:
        """Those of the project's segments that a user is in; ``None`` where that is not known."""
        if not source.host or not source.api_key:
            self._logger.error("No segments are fetched: the project integrates no data platform.")
            return None
        if not source.segments:
            self._logger.debug("No segments are fetched: the project's audiences ask for none.")
            return []
        try:
            return self._segments(
                SegmentRequest(
                    OdpAddress(source.host, source.api_key), user_key, user_value, source.segments
                ),
                options,
            )
        except Exception as error:  # noqa: BLE001 - a cache's own code runs here
            message = "No segments are fetched: %s: %s"
            self._logger.error(message, type(error).__name__, readable(str(error)))  # noqa: TRY400 - one line
            return None

    def reset(self) -> None:
        """Forget what was kept."""
        self._cache.reset()

    def _segments(self, request: SegmentRequest, options: Collection[str]) -> list[str] | None:
        key = cache_key(request.user_key, request.user_value)
        is_used = SegmentOption.IGNORE_CACHE not in options
        if SegmentOption.RESET_CACHE in options:
            self._cache.reset()
        elif is_used:
            kept = self._cache.lookup(key)
            if kept:
                self._logger.debug("A user's segments were kept, and hold.")
                return list(kept)
            self._logger.debug("No segments are kept of a user.")
        self._logger.debug("Segments of a user are asked for.")
        segments = self._fetch(request)
        if isinstance(segments, SegmentFailure):
            is_unknown = segments.fault is SegmentFault.INVALID_IDENTIFIER
            level = logging.WARNING if is_unknown else logging.ERROR
            self._logger.log(level, "No segments are fetched: %s", readable(segments.reason))
            return None
        if segments and is_used:
            self._cache.save(key, list(segments))
        return segments
