"""A transport that carries requests nowhere and keeps what was sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Mapping
from http import HTTPStatus

from tallybook.deliver.answer import Reply
from tallybook.model.event import ConversionEvent, DecisionEvent
from tallybook.wire.batch_reader import read_batch


class Letterbox:
    """Takes every body a client sends, as its ``http``; thread-safe.

    Args:
        status: What each body is answered with; 503, for one, shows how a service bears an outage.
    """

    def __init__(self, status: int = HTTPStatus.NO_CONTENT) -> None:
        self.status = status
        self._lock = threading.Lock()
        self._bodies: list[bytes] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        """Keep a body, if it is answered that it was taken."""
        is_gzip = headers.get("Content-Encoding") == "gzip"
        if self.status < HTTPStatus.MULTIPLE_CHOICES:
            with self._lock:
                self._bodies.append(gzip.decompress(body) if is_gzip else body)
        return Reply(self.status)

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        """There is nothing to be fetched."""
        return Reply(HTTPStatus.NOT_FOUND, text="a letterbox has nothing to give")

    def abandon(self) -> None:
        """Nothing is connected."""

    def clear(self) -> None:
        """Forget what was sent so far."""
        with self._lock:
            self._bodies.clear()

    def events(self) -> tuple[list[DecisionEvent], list[ConversionEvent]]:
        """What was sent, read as a server reads it: the decisions and the conversions."""
        with self._lock:
            batches = [read_batch(body) for body in self._bodies]
        decisions = [event for batch in batches for event in batch.decisions]
        return decisions, [event for batch in batches for event in batch.conversions]
