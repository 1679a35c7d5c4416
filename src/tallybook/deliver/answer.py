"""What a server's answer means for the events that were sent, and how long to wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Final, Protocol

from msgspec import Struct, field

NO_ANSWER: Final = 0  # status of a request that got none: refused, cut, timed out
OK: Final = 200  # by name, but not from ``http``, which every service would wait for at its start
NOT_MODIFIED: Final = 304

_NO_SUCCESS: Final = 300  # the first status that is none
_BAD_REQUEST: Final = 400
_REQUEST_TIMEOUT: Final = 408
_TOO_LARGE: Final = 413
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500


class Reply(Struct, frozen=True):
    """An answer, or the lack of one (``NO_ANSWER``, with the network's reason as ``text``).

    ``retry_after_s`` is the server's wish in seconds, read from either of the header's forms.
    """

    status: int
    text: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None


class Http(Protocol):
    """What carries requests; failures are replies too, nothing is raised."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a body."""
        ...

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        """Fetch a body."""
        ...

    def abandon(self) -> None:
        """Forget connections without a word to the other side: a child's belong to its parent."""
        ...


class Meaning(Enum):
    """What to do with the events of a request."""

    DELIVERED = auto()
    RETRY = auto()
    SPLIT = auto()
    BISECT = auto()
    KEEP = auto()


_MEANINGS: Final[Mapping[int, Meaning]] = {
    NO_ANSWER: Meaning.RETRY,
    _REQUEST_TIMEOUT: Meaning.RETRY,
    _TOO_MANY_REQUESTS: Meaning.RETRY,
    _TOO_LARGE: Meaning.SPLIT,
    _BAD_REQUEST: Meaning.BISECT,
}


def meaning(status: int) -> Meaning:
    """What a status asks of the sender.

    Statuses that only a person can change (a wrong address, a missing right, a redirect) mean to
    keep the events and say so.
    """
    if OK <= status < _NO_SUCCESS:
        return Meaning.DELIVERED
    if status >= _SERVER_ERROR:
        return Meaning.RETRY
    return _MEANINGS.get(status, Meaning.KEEP)


def backoff_s(attempt: int, base_s: float, cap_s: float, chance: Callable[[], float]) -> float:
    """Seconds before retry ``attempt`` (from 1): uniform up to ``base_s`` doubled each time.

    Source:
        M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog (2015): full jitter.
    """
    doublings = min(attempt - 1, 30)
    return chance() * min(cap_s, base_s * 2.0**doublings)
