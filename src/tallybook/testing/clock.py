"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
NEW_YEAR: Final = datetime(2026, 1, 1, tzinfo=UTC)


class FixedClock:
    """The time a test says it is, as a client's ``clock_ms``.

    Example:
        >>> clock = FixedClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
        >>> clock.advance(timedelta(hours=1))
        >>> clock(), clock.now.isoformat()
        (1772370000000, '2026-03-01T13:00:00+00:00')
    """

    def __init__(self, now: datetime = NEW_YEAR) -> None:
        """``now`` has a time zone, or is taken for UTC."""
        self.set(now)

    def __call__(self) -> int:
        """Milliseconds since the epoch."""
        return (self._now - _EPOCH) // _MILLISECOND

    @property
    def now(self) -> datetime:
        """The time it is, in UTC."""
        return self._now

    def set(self, now: datetime) -> None:
        """Jump to a moment, which may lie in the past."""
        aware = now if now.tzinfo else now.replace(tzinfo=UTC)
        self._now = aware.astimezone(UTC)

    def advance(self, by: timedelta) -> None:
        """Move on."""
        self._now += by
