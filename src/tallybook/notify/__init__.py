"""Verb: tell listeners what happened, in the order in which they asked."""

from __future__ import annotations

from tallybook.notify.center import LogEvent, NotificationCenter, NotificationType

__all__ = ["LogEvent", "NotificationCenter", "NotificationType"]
