"""One thread at a time for each key: what two threads want at once is fetched once."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from tallybook.deliver.process import tell_of_forks


class _Turn:
    """A key's lock, and how many threads have it or wait for it."""

    __slots__ = ("lock", "threads")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.threads = 0


class Turns:
    """A lock for each key that somebody has or waits for, and none for any other.

    All are re-entrant, since a signal handler may want what its own thread is about to fetch. A
    forked child begins with none.
    """

    def __init__(self) -> None:
        self.begin_in_child()
        tell_of_forks(self)

    def begin_in_child(self) -> None:
        """Forget who has what: the threads are the parent's."""
        self._guard = threading.RLock()
        self._turns: dict[Hashable, _Turn] = {}

    @contextmanager
    def of(self, key: Hashable) -> Iterator[None]:
        """Wait until nobody else has the key, and have it."""
        with self._guard:
            turn = self._turns.setdefault(key, _Turn())
            turn.threads += 1
        try:
            with turn.lock:
                yield
        finally:
            self._leave(key, turn)

    def _leave(self, key: Hashable, turn: _Turn) -> None:
        with self._guard:
            turn.threads -= 1
            if not turn.threads and self._turns.get(key) is turn:
                del self._turns[key]
