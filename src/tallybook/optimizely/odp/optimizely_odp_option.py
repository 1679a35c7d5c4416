"""What a caller may ask of fetching segments."""

from __future__ import annotations

from typing import Final

from tallybook.model.customer_data import SegmentOption


class OptimizelyOdpOption:
    """Options of ``fetch_qualified_segments``."""

    IGNORE_CACHE: Final = SegmentOption.IGNORE_CACHE.value
    RESET_CACHE: Final = SegmentOption.RESET_CACHE.value
