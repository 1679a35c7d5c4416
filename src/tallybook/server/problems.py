"""What is answered when something is wrong: RFC 9457 problem documents for every error."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
import structlog

from tallybook.errors import (
    BatchError,
    ConfigError,
    DefinitionError,
    NotEnoughDataError,
    NotFoundError,
    StorageError,
    TallybookError,
)
from tallybook.log.write_ahead import BusyError

_log = structlog.get_logger("tallybook.server")

PROBLEM_TYPE: Final = "application/problem+json"
_FRAMES: Final = 4  # of a traceback that are logged
_BUSY_RETRY_S: Final = 1
_STORAGE_RETRY_S: Final = 5


class ProblemError(Exception):
    """A request that is answered with a problem document; ``cause`` is what it is counted under."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        cause: str,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.cause = cause
        self.path = path
        self.headers = dict(headers or {})

    def document(self) -> bytes:
        """The problem as JSON."""
        document: dict[str, str | int] = {
            "type": f"urn:tallybook:problem:{self.cause}",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        if self.path is not None:
            document["path"] = self.path
        return msgspec.json.encode(document)


_STATUSES: Final[Mapping[type[TallybookError], tuple[HTTPStatus, str]]] = {
    ConfigError: (HTTPStatus.BAD_REQUEST, "bad-request"),
    DefinitionError: (HTTPStatus.BAD_REQUEST, "bad-definition"),
    NotFoundError: (HTTPStatus.NOT_FOUND, "not-found"),
    NotEnoughDataError: (HTTPStatus.CONFLICT, "not-enough-data"),
}


def problem_of(error: Exception, path: str) -> ProblemError:
    """The answer to an error raised while ``path`` was served; one nobody foresaw is logged."""
    problem = _known(error)
    if problem is None:
        kind = type(error).__name__
        _log.error("request failed", path=quote(path), error=kind, where=where(error))
        detail = "something went wrong here; the server's log says what"
        return ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, detail, cause="internal")
    return problem


def where(error: Exception) -> str:
    """Where in the code an error was raised, innermost last.

    Its message stays out of logs: what nobody foresaw may quote a visitor's id or a token.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)


def _known(error: Exception) -> ProblemError | None:
    if isinstance(error, ProblemError):
        # Its traceback holds the frames that hold it: a body stayed until the next collection.
        return error.with_traceback(None)
    if isinstance(error, BatchError):
        bad = HTTPStatus.BAD_REQUEST
        return ProblemError(bad, str(error), cause="unreadable", path=error.path)
    if isinstance(error, BusyError):
        return _later(HTTPStatus.TOO_MANY_REQUESTS, error, "busy", _BUSY_RETRY_S)
    if isinstance(error, StorageError):
        return _later(HTTPStatus.SERVICE_UNAVAILABLE, error, "storage", _STORAGE_RETRY_S)
    for kind, (status, cause) in _STATUSES.items():
        if isinstance(error, kind):
            return ProblemError(status, str(error), cause=cause)
    return None


def _later(status: HTTPStatus, error: Exception, cause: str, after_s: int) -> ProblemError:
    return ProblemError(status, str(error), cause=cause, headers={"Retry-After": str(after_s)})
