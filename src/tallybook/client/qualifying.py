"""Fetching a user's segments on a thread of its own, for whoever does not want to wait."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, TypeGuard

from tallybook.model.text import is_text, plain

THREAD_NAME: Final = "FetchQualifiedSegmentsThread"


def options_of(given: object, logger: logging.Logger) -> list[str]:
    """The options of a call as text; what is no list is none, and logged."""
    if given is None:
        return []
    if not issubclass(type(given), list | tuple):
        message = "fetch_qualified_segments: options must be a list, not %s; there are none."
        logger.debug(message, type(given).__name__)
        return []
    try:
        return [plain(option) for option in given if is_text(option)]  # type: ignore[attr-defined]  # it is one
    except Exception:  # noqa: BLE001 - a list of somebody's own making
        return []


def is_callback(given: object, logger: logging.Logger) -> TypeGuard[Callable[[bool], Any]]:
    """True for what can be called back; anything else but ``None`` is logged."""
    if given is not None and not callable(given):
        name = type(given).__name__
        logger.error("fetch_qualified_segments: the callback must be callable, not %s.", name)
    return callable(given)


def on_thread(
    fetch: Callable[[], bool], callback: Callable[[bool], Any], logger: logging.Logger
) -> threading.Thread:
    """Call back with what ``fetch`` answers, on a thread; what the callback raises is logged.

    The end of the process waits for it, as it does in the official SDK.
    """

    def run() -> None:
        is_fetched = fetch()
        try:
            callback(is_fetched)
        except Exception:
            logger.exception("fetch_qualified_segments: the callback raised.")

    thread = threading.Thread(target=run, name=THREAD_NAME, daemon=False)
    try:
        thread.start()
    except RuntimeError as error:
        logger.error("fetch_qualified_segments: there is no thread to fetch on: %s", error)  # noqa: TRY400 - one line
    return thread
