"""Waiting for the first datafile, on a thread or in an event loop."""

from __future__ import annotations

import threading

from tallybook.client.revision import Revisions
from tallybook.deliver.settings import bounded_s


def wait_for_first(revisions: Revisions, timeout_s: float | None) -> bool:
    """Block until there is a revision, at most ``timeout_s``; true when there is one.

    :meth:`Revisions.stop_waiting` ends the waiting.
    """
    arrived = threading.Event()
    revisions.when_ready(arrived.set)
    arrived.wait(bounded_s(timeout_s))
    revisions.forget(arrived.set)
    return revisions.newest is not None


async def first_of(revisions: Revisions, timeout_s: float | None) -> bool:
    """:func:`wait_for_first` for a coroutine; the event loop goes on meanwhile."""
    import asyncio  # noqa: PLC0415 - 40 ms that only its users pay

    loop, arrived = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(arrived.set)

    revisions.when_ready(tell)
    try:
        async with asyncio.timeout(bounded_s(timeout_s)):
            await arrived.wait()
    except TimeoutError:
        pass
    finally:
        revisions.forget(tell)
    return revisions.newest is not None
