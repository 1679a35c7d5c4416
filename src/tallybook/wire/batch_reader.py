"""Verb: an Event API body → events, and a dead letter for every part that cannot be kept.

A body is decoded whole. Only when something in it is amiss is it read again level by level
(visitors, snapshots, then single items), so that a malformed part costs itself and nothing else.

Decisions count through the activation beside them (``campaign_activated`` naming their campaign).
Decisions next to conversions only are copies that old SDKs added for enrichment: conversions are
attributed from the decisions seen, never from such copies, so these are ignored by design.

Events share what stands once in a body: their visitor, its attributes, the decisions beside them.
Kept, each has it for itself, so a body of a megabyte could unfold to gigabytes, and whoever keeps
events in memory on their way would be stopped by it again and again. A body may therefore unfold
to ``MAX_UNFOLDING`` times its length, which takes dozens of events that share kilobytes; events
beyond that become dead letters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self, TypeVar

import msgspec
from msgspec import Raw

from tallybook.errors import BatchError
from tallybook.model.event import (
    Batch,
    ConversionEvent,
    DeadLetter,
    DecisionEvent,
    Sender,
    VisitorAttribute,
)
from tallybook.wire.event_api import (
    AttributeItem,
    BatchItem,
    DecisionItem,
    Envelope,
    EventItem,
    LooseSnapshotItem,
    LooseVisitorItem,
    VisitorItem,
    WholeBatchItem,
)
from tallybook.wire.event_values import (
    NO_CAMPAIGNS,
    Campaigns,
    Who,
    activated_by,
    attribute_of,
    campaigns_of,
    conversion_of,
    decision_of,
    is_activation,
    sender_of,
    who,
)
from tallybook.wire.irregular import UNREADABLE, IrregularError, explain, refusal
from tallybook.wire.salvage import MARK, MARK_BYTES, NOT_JSON, salvage, unmarked

MAX_LETTER_BYTES: Final = 64 * 1024
MAX_UNFOLDING: Final = 64

_T = TypeVar("_T")
_whole: Final = msgspec.json.Decoder(WholeBatchItem)
_envelope: Final = msgspec.json.Decoder(BatchItem)
_loose_visitor: Final = msgspec.json.Decoder(LooseVisitorItem)
_loose_snapshot: Final = msgspec.json.Decoder(LooseSnapshotItem)
_items: Final = msgspec.json.Decoder(list[Raw] | None)
_attribute: Final = msgspec.json.Decoder(AttributeItem)
_decision: Final = msgspec.json.Decoder(DecisionItem)
_event: Final = msgspec.json.Decoder(EventItem)
_session: Final = msgspec.json.Decoder(str | None)


def read_sender(body: bytes) -> Sender:
    """Whose batch it is, without looking at its visitors: the cheap check at the door.

    Raises:
        BatchError: The body is unusable as a whole; what it says holds for ``read_batch`` too.
    """
    return sender_of(_read_envelope(body))


def read_batch(body: bytes) -> Batch:
    """Every event of the body that is well-formed, and a dead letter for every part that is not.

    Raises:
        BatchError: The body is unusable as a whole: not JSON, no account, nested too deep.

    Example:
        >>> batch = read_batch(b'{"account_id":"1","visitors":[{"visitor_id":"u"}]}')
        >>> [(letter.path, letter.reason) for letter in batch.dead_letters]
        [('$.visitors[0].snapshots', 'required, but missing')]
    """
    try:
        whole = _whole.decode(body)
        kept = _Kept.with_room_for(body, whole)
        for visitor in whole.visitors:
            kept.take_visitor(visitor)
    except (*UNREADABLE, IrregularError):
        return _read_loosely(body)
    return kept.batch(sender_of(whole))


def _read_envelope(body: bytes) -> BatchItem:
    try:
        return _envelope.decode(body)
    except msgspec.ValidationError as error:
        raise refusal(error) from None
    except UNREADABLE as error:
        salvaged = salvage(body)
        if salvaged is None:
            raise refusal(error) from None
    try:
        envelope = _envelope.decode(salvaged)
    except UNREADABLE as error:
        raise refusal(error) from None
    for name in Envelope.__struct_fields__:
        if MARK in str(getattr(envelope, name)):
            raise BatchError(f"$.{name}", NOT_JSON)
    return envelope


def _read_loosely(body: bytes) -> Batch:
    envelope = _read_envelope(body)
    kept = _Kept.with_room_for(body, envelope)
    for number, raw in enumerate(envelope.visitors):
        kept.read_visitor(raw, f"$.visitors[{number}]")
    return kept.batch(sender_of(envelope))


@dataclass(slots=True)
class _Kept:
    """What has been kept of a body so far, and what has not.

    ``room`` is how many characters may still be written out with events, ``sender_chars`` how many
    the sender alone takes each time.
    """

    room: int
    sender_chars: int
    decisions: list[DecisionEvent] = field(default_factory=list)
    conversions: list[ConversionEvent] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)

    @classmethod
    def with_room_for(cls, body: bytes, envelope: Envelope) -> Self:
        texts = [getattr(envelope, name) for name in Envelope.__struct_fields__]
        sender_chars = sum(len(text) for text in texts if isinstance(text, str))
        return cls(MAX_UNFOLDING * len(body), sender_chars)

    def batch(self, sender: Sender) -> Batch:
        return Batch(sender, tuple(self.decisions), tuple(self.conversions), tuple(self.letters))

    def take_visitor(self, visitor: VisitorItem) -> None:
        """Keep all of a visitor, or raise ``IrregularError`` at the first thing amiss."""
        attributes = tuple([attribute_of(item) for item in visitor.attributes or ()])
        person = who(visitor.visitor_id, visitor.session_id, attributes)
        for snapshot in visitor.snapshots:
            decisions = snapshot.decisions
            campaigns = campaigns_of(decisions) if decisions else NO_CAMPAIGNS
            for item in snapshot.events:
                self.take_event(item, campaigns, person)

    def take_event(self, item: EventItem, campaigns: Campaigns, person: Who) -> None:
        if is_activation(item):
            activated = activated_by(item, campaigns)
            rows = len(activated.decisions)
            self.unfold(rows * person.chars + activated.chars, rows)
            self.decisions += [decision_of(item, d, person) for d in activated.decisions]
        else:
            conversion = conversion_of(item, person)
            self.unfold(person.chars, 1)
            self.conversions.append(conversion)

    def unfold(self, chars: int, rows: int) -> None:
        chars += rows * self.sender_chars
        if chars > self.room:
            raise IrregularError(
                "", f"what this body's events share unfolds to over {MAX_UNFOLDING} times its size"
            )
        self.room -= chars

    def read_visitor(self, raw: Raw, path: str) -> None:
        """Keep what can be kept of a visitor; the rest becomes dead letters."""
        visitor = self.read(raw, path, _loose_visitor.decode)
        if visitor is None:
            return
        if MARK in visitor.visitor_id:
            self.refuse(raw, path, IrregularError(".visitor_id", NOT_JSON))
            return
        attributes = self.read_items(visitor.attributes, f"{path}.attributes", _read_attribute)
        session_id = self.read(visitor.session_id, f"{path}.session_id", _read_session)
        person = who(visitor.visitor_id, session_id, tuple(attributes))
        for number, snapshot in enumerate(visitor.snapshots):
            self.read_snapshot(snapshot, f"{path}.snapshots[{number}]", person)

    def read_snapshot(self, raw: Raw, path: str, person: Who) -> None:
        snapshot = self.read(raw, path, _loose_snapshot.decode)
        if snapshot is None:
            return
        decisions = self.read_items(snapshot.decisions, f"{path}.decisions", _read_decision)
        campaigns = campaigns_of(decisions)

        def keep(item: Raw) -> bool:
            self.take_event(_event.decode(_readable(item)), campaigns, person)
            return True

        for number, item in enumerate(snapshot.events):
            self.read(item, f"{path}.events[{number}]", keep)

    def read_items(self, raw: Raw, path: str, read_one: Callable[[Raw], _T]) -> list[_T]:
        items = self.read(raw, path, _items.decode) or ()
        read = [self.read(item, f"{path}[{n}]", read_one) for n, item in enumerate(items)]
        return [value for value in read if value is not None]

    def read(self, raw: Raw, path: str, read_one: Callable[[Raw], _T]) -> _T | None:
        try:
            return read_one(raw)
        except (*UNREADABLE, IrregularError) as error:
            self.refuse(raw, path, explain(error))
            return None

    def refuse(self, raw: Raw, path: str, fault: IrregularError) -> None:
        body = unmarked(bytes(raw))[:MAX_LETTER_BYTES].decode("utf-8", errors="replace")
        self.letters.append(DeadLetter(path + fault.where, fault.reason, body))


def _read_attribute(raw: Raw) -> VisitorAttribute:
    return attribute_of(_attribute.decode(_readable(raw)))


def _read_decision(raw: Raw) -> DecisionItem:
    return _decision.decode(_readable(raw))


def _read_session(raw: Raw) -> str | None:
    session_id: str | None = _session.decode(_readable(raw))
    return session_id


def _readable(raw: Raw) -> Raw:
    if MARK_BYTES in bytes(raw):
        raise IrregularError("", NOT_JSON)
    return raw
