"""Where people import :class:`LogEvent` from."""

from __future__ import annotations

from tallybook.optimizely._log_event import LogEvent

__all__ = ["LogEvent"]
