"""Error handlers: what is told of errors, beside the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tallybook.errors import TallybookError
from tallybook.optimizely.exceptions import official


class BaseErrorHandler:
    """An error handler that does nothing; one of your own overrides ``handle_error``.

    A handler may be given as a class or as an object.
    """

    @staticmethod
    def handle_error(error: Exception) -> None:
        """Be told of an error."""


class NoOpErrorHandler(BaseErrorHandler):
    """Does nothing."""


class RaiseExceptionErrorHandler(BaseErrorHandler):
    """Raises the error, out of the method that was called."""

    @staticmethod
    def handle_error(error: Exception) -> None:
        """Raise it."""
        raise error


ErrorHandler = BaseErrorHandler | type[BaseErrorHandler]


def told_to(error_handler: Any) -> Callable[[TallybookError], object] | None:
    """What tells ``error_handler`` of our errors; ``None`` for one that does nothing."""
    if error_handler.handle_error is BaseErrorHandler.handle_error:
        return None
    return lambda error: error_handler.handle_error(official(error))
