"""Whatever the official SDK takes for a logger, as one of the standard library's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from tallybook.optimizely.logger import BaseLogger, adapt_logger

Logger = logging.Logger | BaseLogger

_NAMES: Final = ("debug", "info", "warning", "error")
_EVERYTHING: Final = 1  # the lowest level there is: 0 would ask a parent


def adapted(logger: object) -> logging.Logger:
    """The logger that the SDK's own parts log with.

    One of the standard library, or of :mod:`tallybook.optimizely.logger`, is itself. Any other
    object is told each message, formatted, by its ``debug``, ``info``, ``warning``, ``error`` or
    ``exception``; one that has no more than ``log`` is told the level too. What it raises is
    swallowed.
    """
    inner: object = adapt_logger(logger)  # type: ignore[arg-type]  # it is told apart just below
    if isinstance(inner, logging.Logger):
        return inner
    teller = logging.Logger("tallybook", _EVERYTHING)  # noqa: LOG001 - one that nobody else can get
    teller.addHandler(_Teller(inner))
    return teller


class _Teller(logging.Handler):
    """Tells an object what is logged."""

    def __init__(self, listener: object) -> None:
        super().__init__()
        self._listener = listener

    def createLock(self) -> None:  # noqa: N802 - the standard library calls it so
        # How the object copes with threads is its own business: a lock of ours around its code
        # could only make two of them wait for each other.
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one record."""
        try:
            message = record.getMessage()
            name = "exception" if record.exc_info else _name_of(record.levelno)
            tell = self._own(name) or self._own(_name_of(record.levelno))
            if tell is not None:
                tell(message)
            elif (log := self._own("log")) is not None:
                log(record.levelno, message)
        except Exception:  # noqa: BLE001, S110 - somebody else's logger; whom could we tell
            pass

    def _own(self, name: str) -> Callable[..., Any] | None:
        """The object's method, unless it is the one that does nothing."""
        method = getattr(self._listener, name, None)
        if not callable(method) or method is getattr(BaseLogger, name):
            return None
        found: Callable[..., Any] = method
        return found


def _name_of(level: int) -> str:
    """Which of the four usual methods tells of a level."""
    place = (max(level, logging.DEBUG) - logging.DEBUG) // 10
    return _NAMES[min(place, len(_NAMES) - 1)]
