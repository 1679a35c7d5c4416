"""A client's customer data platform: segments come from it, events go to it."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from tallybook.client.revision import RevisionSource
from tallybook.client.segments import SegmentService
from tallybook.deliver.odp_address import OdpAddress
from tallybook.deliver.odp_events import OdpEvent, OdpEvents, OdpFlaw
from tallybook.model.customer_data import CustomerDataSource, customer_data_of
from tallybook.model.text import excerpt


class CustomerData:
    """Asks and tells the platform that the newest revision integrates. Thread-safe.

    Args:
        revisions: What knows the datafile.
        segments: Knows users' segments.
        events: Delivers events.
        logger: Where it is said why something is neither asked nor told.

    Attributes:
        events: What delivers them.
    """

    def __init__(
        self,
        revisions: RevisionSource,
        segments: SegmentService,
        events: OdpEvents,
        logger: logging.Logger,
    ) -> None:
        self._revisions = revisions
        self._segments = segments
        self.events = events
        self._logger = logger
        self._known: tuple[object, CustomerDataSource] | None = None

    def segments_of(self, user_id: str, options: Collection[str]) -> list[str] | None:
        """The segments a user is in, ``None`` where that is not known; it waits for the network."""
        source = self._source("fetch_qualified_segments")
        return None if source is None else self._segments.segments_of(user_id, source, options)

    def send(self, action: Any, identifiers: Any, kind: Any, data: Any) -> None:
        """Have an event delivered, or say what is wrong with it."""
        source = self._source("send_odp_event")
        if source is None:
            return
        if not source.host or not source.api_key:
            self._logger.error("send_odp_event: the project integrates no data platform.")
            return
        named, known = "" if kind is None else kind, {} if data is None else data
        event = OdpEvent(action, identifiers, named, known)
        flaw = self.events.send(event, OdpAddress(source.host, source.api_key))
        if flaw is not None:
            value = getattr(event, flaw.value)
            is_plain = flaw in (OdpFlaw.ACTION, OdpFlaw.TYPE)  # the others tell of the user
            found = excerpt(value) if is_plain else type(value).__name__
            message = "send_odp_event: not sent, for its %s cannot be: found %s."
            self._logger.error(message, flaw.value, found)

    def _source(self, call: str) -> CustomerDataSource | None:
        """What the datafile says; if that is something new, what was kept is forgotten."""
        revision = self._revisions.newest
        if revision is None:
            self._logger.error("%s: there is no valid datafile yet.", call)
            return None
        known = self._known
        if known is not None and known[0] is revision:
            return known[1]
        source = customer_data_of(revision.project)
        if known is not None and known[1] != source:
            self._segments.reset()
        self._known = (revision, source)
        return source
