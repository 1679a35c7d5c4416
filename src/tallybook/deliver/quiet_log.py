"""Log lines that do not repeat themselves: each cause speaks once a window."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from tallybook.deliver.process import importing

WINDOW_S: Final = 60.0

LOGGER: Final = logging.getLogger("tallybook")


class QuietLog:
    """Says a cause's first line at once and, after a silence, how many were left unsaid.

    The time is noted before the line is logged, so that a log handler which causes the same line
    again does not go round in circles. Counts may be a little short when threads race: they are for
    people, the exact ones are in the delivery statistics.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        window_s: float = WINDOW_S,
        logger: logging.Logger = LOGGER,
    ) -> None:
        self._logger = logger
        self._monotonic = monotonic
        self._window_s = window_s
        self._said_at: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def say(self, level: int, cause: str, message: str, *values: object) -> None:
        """Log ``message % values``, unless ``cause`` had its say within the window."""
        now = self._monotonic()
        said_at = self._said_at.get(cause)
        if said_at is not None and now - said_at < self._window_s:
            self._unsaid[cause] = self._unsaid.get(cause, 0) + 1
            return
        self._said_at[cause] = now
        unsaid = self._unsaid.pop(cause, 0)
        if unsaid:
            message += f" ({unsaid} more like this in the meantime)"
        self._logger.log(level, message, *values)


def without_login(url: str) -> str:
    """``url`` without a user and a password, fit for a log."""
    with importing:
        from urllib.parse import urlsplit  # noqa: PLC0415 - 2 ms that only trouble costs

    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def in_words(error: Exception) -> str:
    """What kept a request from being sent, fit for a log."""
    if str(error).startswith("Invalid header value"):  # and then it is shown: a token may be in it
        return f"{type(error).__name__}: a header has characters that cannot be sent"
    return f"{type(error).__name__}: {error}"
