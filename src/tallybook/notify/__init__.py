"""Verb: tell listeners what happened, in the order in which they asked."""

from __future__ import annotations

from tallybook.notify.center import (
    ActivateListener,
    AnyListener,
    DecisionListener,
    LogEvent,
    LogEventListener,
    NotificationCenter,
    NotificationType,
    TrackListener,
    UpdateListener,
)

__all__ = [
    "ActivateListener",
    "AnyListener",
    "DecisionListener",
    "LogEvent",
    "LogEventListener",
    "NotificationCenter",
    "NotificationType",
    "TrackListener",
    "UpdateListener",
]
