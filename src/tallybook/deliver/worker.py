"""A thread that is there while there is something to do, and sleeps until it is called."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

THREAD_NAME: Final = "tallybook-delivery"


class Worker:
    """One daemon thread at a time, started by whoever calls it first.

    Args:
        work: What the thread does until it has nothing more to do; given the worker, by which it
            sleeps.
        lock: Held while a thread is started, so that there is one.
        may_start: Whether there may be a thread at all.
    """

    def __init__(
        self,
        work: Callable[[Worker], None],
        lock: threading.RLock,
        may_start: Callable[[], bool],
    ) -> None:
        self._work = work
        self._lock = lock
        self._may_start = may_start
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    @property
    def is_alive(self) -> bool:
        """True while the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_caller(self) -> bool:
        """True for whoever asks on the thread itself."""
        return self._thread is threading.current_thread()

    def call(self) -> bool:
        """Wake the thread, or start it; false when that cannot be done now."""
        self._wake.set()
        if self.is_alive:
            return True
        with self._lock:
            return self.is_alive or (self._may_start() and self._start())

    def look(self) -> None:
        """Begin a round: whoever calls from now on, cuts the sleep after it short."""
        self._wake.clear()

    def sleep(self, seconds: float | None) -> None:
        """Wait until somebody calls, or has since the last :meth:`look`; ``None``: for ever."""
        self._wake.wait(seconds)

    def wake(self) -> None:
        """Wake the thread, and start none."""
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; true when there was one, not one's own, and it has ended."""
        thread = self._thread
        if thread is None or self.is_caller:
            return False
        thread.join(max(0.0, timeout_s))
        return not thread.is_alive()

    def _start(self) -> bool:
        thread = threading.Thread(target=self._work, args=(self,), name=THREAD_NAME, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there is no room for a thread, or the interpreter is going down
            return False
        self._thread = thread
        return True
