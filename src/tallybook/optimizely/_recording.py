"""From a client's calls to an event processor, the short way or the long one.

Into the SDK's own batches events go as bytes. Any other processor is handed event objects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

from msgspec import json

from tallybook.client.addresses import Addresses
from tallybook.client.calls import RecordsEvents
from tallybook.client.diagnostics import Diagnostics
from tallybook.client.impressions import Shown
from tallybook.client.recording import Recorder
from tallybook.client.revision import Revision, RevisionSource
from tallybook.client.user_state import UserState, Written
from tallybook.deliver.journal import Envelope, Write
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.quiet_log import QuietLog
from tallybook.deliver.tally import Refusal, Tally
from tallybook.model.decision import DecisionSource
from tallybook.model.project import EventType, Experiment
from tallybook.notify import NotificationCenter
from tallybook.optimizely import entities
from tallybook.optimizely.event.event_factory import write
from tallybook.optimizely.event.event_processor import BatchEventProcessor
from tallybook.optimizely.event.payload import VisitorAttribute
from tallybook.optimizely.event.user_event import (
    ConversionEvent,
    EventContext,
    ImpressionEvent,
    UserEvent,
)

_NO_RULE: Final = Experiment("", "", "", "", (), ())
_OWN_PROCESS: Final = BatchEventProcessor.process


class Processes(Protocol):
    """What an event processor has."""

    def process(self, user_event: UserEvent) -> object:
        """Take an event."""
        ...


def recorder_for(processor: Processes, diagnostics: Diagnostics) -> RecordsEvents:
    """What takes a client's events to ``processor``.

    Args:
        processor: Who takes them.
        diagnostics: Where the client logs, and who is told of attributes the datafile has not.
    """
    by_objects = _ObjectRecorder(processor, diagnostics)
    if not isinstance(processor, BatchEventProcessor):
        return by_objects
    return _BatchRecorder(processor, by_objects, diagnostics)


class _BatchRecorder:
    """Takes events to a batch processor, as objects only if its ``process`` is somebody else's.

    That is looked up for each event, since tests replace it for a while.
    """

    def __init__(
        self,
        processor: BatchEventProcessor,
        by_objects: RecordsEvents,
        diagnostics: Diagnostics,
    ) -> None:
        self._processor = processor
        self._by_objects = by_objects
        self._diagnostics = diagnostics
        self._write_to(processor.outbox)

    def conversion(
        self,
        revision: Revision,
        state: UserState,
        event: EventType,
        tags: Mapping[str, object] | None,
        *,
        is_told: bool,
    ) -> bytes | None:
        """Record a conversion."""
        return self._way().conversion(revision, state, event, tags, is_told=is_told)

    def shortcut(
        self, written: Written, revisions: RevisionSource, notifications: NotificationCenter
    ) -> Callable[[str, object], bool] | None:
        """The short way, for as long as the processor stays as it is."""
        way = self._way()
        track = way.shortcut(written, revisions, notifications)
        if track is None:
            return None
        return lambda event_key, tags: self._way() is way and track(event_key, tags)

    def impression(self, revision: Revision, state: UserState, shown: Shown) -> bytes | None:
        """Record an impression."""
        return self._way().impression(revision, state, shown)

    def refuse(self, cause: Refusal) -> None:
        """Count an event that was not even recorded."""
        self._way().refuse(cause)

    def _way(self) -> RecordsEvents:
        processor = self._processor
        if type(processor).process is not _OWN_PROCESS or "process" in processor.__dict__:
            return self._by_objects
        if processor.outbox is not self._outbox:  # it was stopped and started again
            self._write_to(processor.outbox)
        return self._writer

    def _write_to(self, outbox: Outbox) -> None:
        self._writer = Recorder(outbox, self._diagnostics, time.time_ns)
        self._outbox = outbox


class _ObjectRecorder:
    """Makes event objects for an event processor. What it raises is logged and goes no further.

    Each event is first written as it would be sent, by which it loses the attributes that cannot be
    sent. Tags are handed on as they were passed.
    """

    def __init__(self, processor: Processes, diagnostics: Diagnostics) -> None:
        self._processor = processor
        self._logger = diagnostics.logger
        self._tally = Tally()
        nowhere = _Nowhere(self._tally, QuietLog(time.monotonic, logger=diagnostics.logger))
        self._writer = Recorder(cast("Outbox", nowhere), diagnostics, time.time_ns)

    def conversion(
        self,
        revision: Revision,
        state: UserState,
        event: EventType,
        tags: Mapping[str, object] | None,
        *,
        is_told: bool,
    ) -> bytes | None:
        """Hand over a conversion."""
        item = self._writer.conversion(revision, state, event, tags, is_told=True)
        if item is None:
            return None
        visitor = json.decode(item)
        made = ConversionEvent(
            _context(revision),
            entities.event(event),
            state.visitor.user_id,
            _attributes(visitor),
            dict(tags) if tags is not None else None,
            revision.project.bot_filtering,
        )
        return self._hand_over(made, is_told=is_told)

    def shortcut(
        self,
        written: Written,  # noqa: ARG002 - each event is made anew
        revisions: RevisionSource,  # noqa: ARG002
        notifications: NotificationCenter,  # noqa: ARG002
    ) -> None:
        """There is none."""
        return

    def impression(self, revision: Revision, state: UserState, shown: Shown) -> bytes | None:
        """Hand over an impression."""
        item = self._writer.impression(revision, state, shown)
        if item is None:
            return None
        visitor = json.decode(item)
        verdict, said = shown.verdict, visitor["snapshots"][0]["decisions"][0]["metadata"]
        variation = entities.variation(verdict.variation) if verdict.variation else None
        is_holdout = verdict.source == DecisionSource.HOLDOUT
        made = ImpressionEvent(
            _context(revision),
            state.visitor.user_id,
            entities.experiment(verdict.rule or _NO_RULE),
            _attributes(visitor),
            vars(variation) if variation and is_holdout else variation,
            said["flag_key"],
            said["rule_key"],
            said["rule_type"],
            said["enabled"],
            revision.project.bot_filtering,
            said.get("cmab_uuid"),
        )
        return self._hand_over(made, is_told=True)

    def refuse(self, cause: Refusal) -> None:
        """Count an event that was not even recorded."""
        self._tally.refuse(cause)

    def _hand_over(self, event: UserEvent, *, is_told: bool) -> bytes | None:
        try:
            self._processor.process(event)
        except Exception:
            self._logger.exception("An event may not be sent: the event processor raised.")
            return None
        # Listeners are told of the event as the processor has left it.
        written = write(event, self._logger) if is_told else None
        return written.item if written else None


class _Nowhere:
    """Stands where a recorder has its outbox: what is written stays with the caller."""

    def __init__(self, tally: Tally, log: QuietLog) -> None:
        self.tally = tally
        self.log = log

    def append(self, envelope: Envelope, item: bytes) -> None:
        """Keep nothing."""

    def write_with(self, write: Write) -> None:
        """Write nothing later."""


def _context(revision: Revision) -> EventContext:
    project = revision.project
    context = EventContext(
        project.account_id,
        project.project_id,
        project.revision,
        project.anonymize_ip,
        project.region,
    )
    if revision.envelope.url != Addresses().for_events(project.region):
        context.event_url = revision.envelope.url
    return context


def _attributes(visitor: Mapping[str, Any]) -> list[VisitorAttribute]:
    return [
        VisitorAttribute(row["entity_id"], row["key"], row["type"], row["value"])
        for row in visitor["attributes"]
    ]
