"""What was fetched, kept for a while."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, TypeVar

from tallybook.deliver.lru_cache import LruCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LRUCache(LruCache[K, V]):
    """At most ``capacity`` values, each good for a while from when it was saved.

    Args:
        capacity: How many; 0 or less keeps nothing.
        timeout_in_secs: How long; 0 or less is for ever.
    """

    def __init__(self, capacity: int, timeout_in_secs: int) -> None:
        super().__init__(capacity, timeout_in_secs)
        self.capacity = capacity
        self.timeout = timeout_in_secs


class OptimizelySegmentsCache(Protocol):
    """Where users' segments can be kept instead."""

    def reset(self) -> None:
        """Forget everything."""
        ...

    def lookup(self, key: str) -> list[str] | None:
        """The segments of a key, ``None`` if there are none."""
        ...

    def save(self, key: str, value: list[str]) -> None:
        """Keep segments."""
        ...
