"""Doubles for users' own tests: a client in memory, a datafile builder, a fixed clock.

Nothing here pretends: the client is the real one, deciding by a datafile and writing real events;
only the network and the clock are replaced.
"""

from __future__ import annotations

from tallybook.testing.client import InMemoryClient
from tallybook.testing.clock import FixedClock
from tallybook.testing.datafile import DatafileBuilder
from tallybook.testing.letterbox import Letterbox
from tallybook.testing.seen import SentDecision, TrackedEvent

__all__ = [
    "DatafileBuilder",
    "FixedClock",
    "InMemoryClient",
    "Letterbox",
    "SentDecision",
    "TrackedEvent",
]
