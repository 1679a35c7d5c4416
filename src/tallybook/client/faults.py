"""What a caller or a datafile got wrong, handed to whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tallybook.errors import InputError, TallybookError
from tallybook.model.reason import ReasonKind, Trace

ErrorHandler = Callable[[TallybookError], object]

_SUBJECTS: Final[Mapping[ReasonKind, str]] = {
    ReasonKind.AUDIENCE_UNKNOWN: "audience",
    ReasonKind.ALLOWLISTED_UNKNOWN: "variation",
    ReasonKind.FORCED_VARIATION_UNKNOWN: "variation",
    ReasonKind.STORED_VARIATION_UNKNOWN: "variation",
}


class Faults:
    """Hands faults to one client's error handler, on the thread that came upon them.

    What the handler raises reaches the caller of the client: that is what a handler that raises is
    for.
    """

    def __init__(self, handler: ErrorHandler | None) -> None:
        self._handler = handler

    def tell(self, subject: str, message: str) -> None:
        """Hand over that a ``subject`` (``"attribute"``, ``"event"``) is not what it should be."""
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
