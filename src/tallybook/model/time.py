"""Noun: moments of event time, in milliseconds since the epoch, and the UTC days they lie in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

DAY_MS: Final = 86_400_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def day_of(at_ms: int) -> int:
    """Return the UTC day of a moment, counted from 1970-01-01.

    >>> day_of(86_400_000)
    1
    """
    return at_ms // DAY_MS


def date_of(at_ms: int) -> str:
    """Return the UTC date of a moment (ISO 8601).

    >>> date_of(1_600_000_000_000)
    '2020-09-13'
    """
    return (EPOCH + timedelta(days=day_of(at_ms))).date().isoformat()
