"""What was fetched, kept for a while: the least recently used goes first, the outdated is not seen.

One re-entrant lock guards the entries, and each step leaves them whole: a signal handler may use
the cache while its own thread does, and a forked child, whose lock may be held for ever by a thread
that is gone, goes on with what its parent had kept and a lock of its own.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from tallybook.deliver.process import tell_of_forks

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class _Entry(NamedTuple, Generic[Value]):
    value: Value
    saved_at: float


class LruCache(Generic[Key, Value]):
    """At most ``capacity`` values; each is good for ``timeout_s`` seconds from when it was saved.

    Reading makes a value the most recently used and no younger. A ``timeout_s`` of 0 or less means
    that values never become outdated, a ``capacity`` of 0 or less that nothing is kept.
    """

    def __init__(
        self, capacity: int, timeout_s: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = max(0, capacity)
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._entries: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        tell_of_forks(self)

    def lookup(self, key: Key) -> Value | None:
        """The value of ``key``, now the most recently used; ``None`` if there is no good one."""
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is None or self._is_outdated(entry):
                return None
            self._entries[key] = entry
            return entry.value

    def save(self, key: Key, value: Value) -> None:
        """Keep ``value``, as the most recently used one, in the place of the least if need be."""
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = _Entry(value, self._monotonic())
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)

    def peek(self, key: Key) -> Value | None:
        """The value of ``key``, outdated or not; nothing becomes more recently used by it."""
        with self._lock:
            entry = self._entries.get(key)
            return None if entry is None else entry.value

    def remove(self, key: Key) -> None:
        """Forget the value of ``key``, if there is one."""
        with self._lock:
            self._entries.pop(key, None)

    def reset(self) -> None:
        """Forget every value."""
        with self._lock:
            self._entries.clear()

    def begin_in_child(self) -> None:
        """Keep what there is, under a new lock."""
        self._lock = threading.RLock()

    def _is_outdated(self, entry: _Entry[Value]) -> bool:
        return 0 < self._timeout_s <= self._monotonic() - entry.saved_at
