"""Moments as text: RFC 3339, UTC, milliseconds."""

from __future__ import annotations

from datetime import timedelta

from tallybook.model.time import EPOCH


def rfc3339(at_ms: int) -> str:
    """Return milliseconds since the epoch as RFC 3339.

    Example:
        >>> rfc3339(1_600_041_600_007)
        '2020-09-14T00:00:00.007Z'
    """
    moment = EPOCH + timedelta(milliseconds=at_ms)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
