"""What callers would have to wait for, done in the background, one after the other.

The thread is there as long as there is something to do: nobody has to end it, and a client that
needs none has none.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final

from tallybook.deliver.process import end_thread, tell_of_forks
from tallybook.deliver.quiet_log import QuietLog
from tallybook.deliver.settings import bounded_s

MOST_WAITING: Final = 1_000

Errand = Callable[[], object]


class Errands:
    """Runs errands on a daemon thread. Thread-safe; a forked child begins with nothing to do."""

    def __init__(self, thread_name: str, log: QuietLog, most_waiting: int = MOST_WAITING) -> None:
        self._thread_name = thread_name
        self._log = log
        self._most_waiting = most_waiting
        self._is_closed = False
        self.begin_in_child()
        tell_of_forks(self)

    def begin_in_child(self) -> None:
        """Forget what the parent does."""
        self._lock = threading.RLock()
        self._waiting: deque[tuple[Hashable, Errand]] = deque()
        self._keys: set[Hashable] = set()
        self._thread: threading.Thread | None = None

    def run(self, key: Hashable, errand: Errand) -> bool:
        """Have ``errand`` run, unless one of that key is under way; false if it cannot be."""
        with self._lock:
            if key in self._keys:
                return True
            if self._is_closed or len(self._waiting) >= self._most_waiting:
                return False
            self._waiting.append((key, errand))
            self._keys.add(key)
            return self._thread is not None or self._start()

    def close(self, timeout_s: float | None) -> None:
        """Begin nothing more, and wait at most ``timeout_s`` for what is under way."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.0, bounded_s(timeout_s)))

    def _start(self) -> bool:
        thread = threading.Thread(target=self._work, name=self._thread_name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is going down
            self._waiting.clear()
            self._keys.clear()
            return False
        self._thread = thread
        return True

    def _work(self) -> None:
        keys = self._keys  # a forked child, where a green thread goes on, has others
        while keys is self._keys and (found := self._next()) is not None:
            key, errand = found
            try:
                errand()
            except Exception as error:  # noqa: BLE001 - the thread must outlive any fault
                name = type(error).__name__
                self._log.say(logging.ERROR, "errand", "An errand failed: %s: %s", name, error)
            keys.discard(key)
        end_thread()

    def _next(self) -> tuple[Hashable, Errand] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._thread = None
            return None
