"""Loggers as the official SDK has them."""

from __future__ import annotations

import logging
import warnings
from typing import Any, Final

LINE_FORMAT: Final = "%(levelname)-8s %(asctime)s %(filename)s:%(lineno)s:%(message)s"


def reset_logger(
    name: str, level: int | None = None, handler: logging.Handler | None = None
) -> logging.Logger:
    """The named logger of the standard library, with one handler only.

    Args:
        name: Which one.
        level: From which level it speaks; ``INFO`` unless given.
        handler: Where it writes; to standard error unless given.
    """
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO if level is None else level)
    handler = handler or logging.StreamHandler()
    handler.setFormatter(logging.Formatter(LINE_FORMAT))
    logger.handlers = [handler]
    return logger


class BaseLogger:
    """A logger that says nothing; one of your own overrides what it wants to hear."""

    @staticmethod
    def log(*args: Any) -> None:
        """Take a level and a message."""

    @staticmethod
    def error(*args: Any) -> None:
        """Take a message."""

    @staticmethod
    def warning(*args: Any) -> None:
        """Take a message."""

    @staticmethod
    def info(*args: Any) -> None:
        """Take a message."""

    @staticmethod
    def debug(*args: Any) -> None:
        """Take a message."""

    @staticmethod
    def exception(*args: Any) -> None:
        """Take a message while an exception is being handled."""


class NoOpLogger(BaseLogger):
    """The logger of a client that was given none. Nothing of it is seen anywhere."""

    def __init__(self) -> None:
        self.logger = reset_logger(
            f"{__name__}.{self.__class__.__name__}", logging.NOTSET, logging.NullHandler()
        )
        self.logger.propagate = False


class SimpleLogger(BaseLogger):
    """Writes to standard error, from ``min_level`` on."""

    def __init__(self, min_level: int = logging.INFO) -> None:
        self.level = min_level
        self.logger = reset_logger(f"{__name__}.{self.__class__.__name__}", min_level)

    def log(self, log_level: int, message: object) -> None:  # type: ignore[override]  # as official
        """Write a message; deprecated, since every logger of the standard library does it."""
        warnings.warn(
            f"{self.__class__.__name__}.log is deprecated: use a logger of the logging module.",
            DeprecationWarning,
            stacklevel=2,
        )
        self.logger.log(log_level, message)


def adapt_logger(logger: logging.Logger | BaseLogger) -> logging.Logger | BaseLogger:
    """The standard library's logger inside a logger of this module; any other one as it is."""
    if isinstance(logger, NoOpLogger | SimpleLogger):
        return logger.logger
    return logger
