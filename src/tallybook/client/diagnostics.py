"""What a call came upon and could not use: said in the log, handed to whoever wants to know."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from tallybook.errors import InputError, TallybookError
from tallybook.model.reason import ReasonKind, Trace

LOGGER: Final = logging.getLogger("tallybook")

ErrorHandler = Callable[[TallybookError], object]

_SUBJECTS: Final[Mapping[ReasonKind, str]] = {
    ReasonKind.AUDIENCE_UNKNOWN: "audience",
    ReasonKind.ALLOWLISTED_UNKNOWN: "variation",
    ReasonKind.FORCED_VARIATION_UNKNOWN: "variation",
    ReasonKind.STORED_VARIATION_UNKNOWN: "variation",
    ReasonKind.CMAB_VARIATION_UNKNOWN: "variation",
}


class Diagnostics:
    """One client's logger and error handler.

    The handler is called on the thread that came upon the error. What it raises reaches the caller
    of the client: that is what a handler that raises is for.

    Attributes:
        logger: Where the client logs.
    """

    def __init__(
        self, handler: ErrorHandler | None = None, logger: logging.Logger = LOGGER
    ) -> None:
        self.logger = logger
        self._handler = handler

    @property
    def has_handler(self) -> bool:
        """True when somebody wants to be handed errors."""
        return self._handler is not None

    def refuse(self, subject: str, message: str) -> None:
        """Log and hand over that a ``subject`` (``"attributes"``) is not what it should be."""
        self.logger.error("%s", message)
        self.tell(subject, message)

    def tell(self, subject: str, message: str) -> None:
        """Hand over, without a line in the log, what :meth:`refuse` would."""
        if self._handler is not None:
            self._handler(InputError(subject, message))

    def hand_over(self, error: TallybookError) -> None:
        """Hand over an error that is there already."""
        if self._handler is not None:
            self._handler(error)

    def tell_of(self, trace: Trace) -> None:
        """Hand over what deciding could not find."""
        if self._handler is None:
            return
        for step in trace.reasons:
            subject = _SUBJECTS.get(step.kind)
            if subject is not None:
                self.tell(subject, step.text)
