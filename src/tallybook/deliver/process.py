"""What a process's fork and end ask of whoever works in it.

A fork and an exit concern the process, not a client, and hooks for forks cannot be removed again:
so there is one hook of each kind for all, over weak references, and a client that is gone costs
nothing.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, Protocol

# Held while something is imported in the background, and by whoever forks: the child of a fork in
# the middle of an import would have half a module for ever.
importing: Final = threading.RLock()


class Forkable(Protocol):
    """What a forked child may not share with its parent."""

    def begin_in_child(self) -> None:
        """The process is a fork's child: threads are gone, locks and queues are the parent's."""
        ...


class Endable(Protocol):
    """What has something to finish before the interpreter is gone."""

    def prepare_end(self) -> None:
        """The interpreter exits: take in nothing more and hurry, without waiting."""
        ...

    def end(self, elapsed_s: float) -> None:
        """Finish, within the time the settings allow, of which ``elapsed_s`` are gone."""
        ...


_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()
_endables: weakref.WeakSet[Endable] = weakref.WeakSet()


def tell_of_forks(forkable: Forkable) -> None:
    """Have ``forkable`` told in each child of a fork, as long as somebody holds it."""
    _forkables.add(forkable)


def tell_of_end(endable: Endable) -> None:
    """Have ``endable`` told of the interpreter's exit, as long as somebody holds it."""
    _endables.add(endable)


def start_in_child(start: Callable[[], None]) -> None:
    """Call ``start`` on a thread of its own, for whoever begins anew in a fork's child.

    A :class:`threading.Thread` would be waited for in the middle of the fork. If it is a green one,
    everything green would run then, before gevent has made itself ready for the child.
    """
    child = os.getpid()

    def begin() -> None:
        if os.getpid() == child:  # and not, after another fork, in a child of the child
            start()

    _thread.start_new_thread(begin, ())


def end_thread() -> None:
    """Be the last thing a thread of the package calls.

    Python stumbles over the end of a thread it does not know, unless that asks who it is: a green
    one that went on in a fork's child, or one that was there before gevent was.
    """
    threading.current_thread()


def _begin_in_child() -> None:
    importing.release()
    for forkable in list(_forkables):
        forkable.begin_in_child()
    # A child of multiprocessing ends without atexit; finalisers are what it has, and those it got
    # before it is set up are thrown away.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(_end, lambda end: util.Finalize(None, end, exitpriority=0))


def _end() -> None:
    # All hurry at once and share the time, or a hundred clients would wait a hundred times.
    started = time.monotonic()
    endables = list(_endables)
    for endable in endables:
        endable.prepare_end()
    for endable in endables:
        endable.end(time.monotonic() - started)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.acquire,
        after_in_parent=importing.release,
        after_in_child=_begin_in_child,
    )
atexit.register(_end)
