"""Sentence of the intake: a body is checked, logged, acknowledged, and drained into the lake.

Accepting and draining meet only in the log's segments. A segment goes into the lake in one commit
that carries the segment's number, and is removed afterwards: stopped in between, the commit is
repeated and the lake, which has seen the number, takes nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final, Protocol

from tallybook.errors import BatchError, LockedError
from tallybook.log.directory import holds_payloads, log_paths, read_segment
from tallybook.log.entry import pack, unpack
from tallybook.log.record import Contents, Damage, scan
from tallybook.log.write_ahead import Done, WriteAheadLog
from tallybook.model.event import LATEST_MS, Arrival, Batch, DeadLetter, Received, Sender
from tallybook.wire.batch_reader import MAX_LETTER_BYTES, read_batch, read_sender

_NOBODY: Final = Sender("", None, None, None, None)
_V4_HOST_BITS: Final = 8  # the last octet
_V6_HOST_BITS: Final = 80  # what is left is the /48 of a site


class Committed(Protocol):
    """What one commit added to the lake."""

    @property
    def decisions(self) -> int:
        """Decisions kept."""
        ...

    @property
    def conversions(self) -> int:
        """Conversions kept."""
        ...

    @property
    def dead_letters(self) -> int:
        """Items kept as dead letters."""
        ...


class EventLake(Protocol):
    """Where events are kept; a number it has seen from an ``app_id`` changes nothing."""

    def commit(
        self,
        received: Iterable[Received],
        *,
        app_id: str,
        number: int,
        promoted: Sequence[str] = (),
    ) -> Committed:
        """Keep a segment's batches, all or nothing, once."""
        ...


@dataclass(frozen=True, slots=True)
class Drained:
    """What went from the log into the lake; damaged records became dead letters."""

    segments: int = 0
    decisions: int = 0
    conversions: int = 0
    dead_letters: int = 0
    damaged_records: int = 0
    torn_bytes: int = 0

    def __add__(self, other: Drained) -> Drained:
        """Both together."""
        return Drained(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment: its log's directory, the name of that log, and the segment's number."""

    log: Path
    app_id: str
    number: int


Bring = Callable[[Segment, Sequence[str]], Drained]


def bring_segment(segment: Segment, lake: EventLake, promoted: Sequence[str] = ()) -> Drained:
    """Commit a sealed segment to the lake, once however often it is done; the file stays.

    Raises:
        StorageError: Log or lake refused.
    """
    contents = scan(read_segment(segment.log, segment.number), segment.number)
    drained = Drained(
        segments=1, damaged_records=len(contents.damages), torn_bytes=contents.torn_bytes
    )
    if not (contents.payloads or contents.damages):
        return drained
    committed = lake.commit(
        _received(contents, segment.number),
        app_id=segment.app_id,
        number=segment.number,
        promoted=promoted,
    )
    return drained + Drained(
        decisions=committed.decisions,
        conversions=committed.conversions,
        dead_letters=committed.dead_letters,
    )


def _nothing_promoted() -> Sequence[str]:
    return ()


class Collector:
    """Takes bodies in and brings them into the lake.

    ``accept`` may be called from any thread; ``drain`` from one at a time.
    """

    def __init__(
        self,
        log: WriteAheadLog,
        lake: EventLake,
        *,
        promoted: Callable[[], Sequence[str]] = _nothing_promoted,
        bring: Bring | None = None,
    ) -> None:
        """Nothing is drained yet.

        Args:
            log: Where bodies are kept until they are in the lake.
            lake: Where they are brought.
            promoted: Names the attributes that get columns of their own, asked at each segment.
            bring: Brings a segment into the lake; by default it is done here, in this process.
        """
        self.log = log
        self.drained = Drained()
        self._lake = lake
        self._promoted = promoted
        self._bring = bring or (lambda segment, keys: bring_segment(segment, lake, keys))

    def accept(
        self,
        body: bytes,
        arrival: Arrival,
        done: Done,
        *,
        strict: bool = False,
        admit: Callable[[Sender], None] | None = None,
    ) -> None:
        """Have a body kept; ``done`` is called on the log's thread once its bytes are safe.

        Args:
            body: One Event API body, decompressed.
            arrival: When and from where it came; the address is shortened where the body says so.
            done: Given ``None`` when all is safe on disk, or why nothing was kept.
            strict: Refuse the whole body when any part of it is malformed.
            admit: Raises whatever it likes for a sender who may not send.

        Raises:
            BatchError: The body is unusable, or in strict mode a part of it; nothing was kept.
            StorageError: The log takes nothing more (``BusyError``: for the moment).
        """
        sender = read_sender(body)
        if admit is not None:
            admit(sender)
        if strict:
            _refuse_irregular(read_batch(body))
        if sender.anonymize_ip and arrival.user_ip:
            ip = anonymous_ip(arrival.user_ip)
            arrival = Arrival(arrival.at_ms, ip, arrival.user_agent, arrival.referer)
        self.log.append(pack(arrival, body), done)

    def drain(self) -> Drained:
        """Bring everything acknowledged so far into the lake.

        Raises:
            StorageError: Log or lake refused; what is not in the lake yet stays in the log.
        """
        drained = self._drain_sealed()  # first, since it may make the room that sealing needs
        self.log.seal()
        return drained + self._drain_sealed()

    def drain_abandoned(self, path: Path) -> Drained | None:
        """Bring into the lake what is left in another log; ``None`` when somebody holds that.

        Raises:
            StorageError: Log or lake refused; nothing is lost.
        """
        return _drain_left(
            path,
            lambda log: Collector(log, self._lake, promoted=self._promoted, bring=self._bring),
        )

    def close(self) -> None:
        """Let go of the log; what was not drained waits for whoever opens it next."""
        self.log.close()

    def _drain_sealed(self) -> Drained:
        drained = Drained()
        for number in self.log.sealed():
            drained += self._drain_segment(number)
        return drained

    def _drain_segment(self, number: int) -> Drained:
        segment = Segment(self.log.path, self.log.app_id, number)
        drained = self._bring(segment, self._promoted())
        if drained.damaged_records:
            self.log.set_aside(number)
        else:
            self.log.remove(number)
        self.drained += drained
        return drained


def drain_leftovers(
    log_path: Path,
    lake: EventLake,
    *,
    promoted: Sequence[str] = (),
) -> Drained | None:
    """Bring into the lake what a server that is gone has left in its log, or its workers' logs.

    Returns:
        What was brought over, or ``None`` when a server holds one of them and will do so itself.

    Raises:
        StorageError: Log or lake refused; nothing is lost.
    """
    drained = [
        _drain_left(path, lambda log: Collector(log, lake, promoted=lambda: promoted))
        for path in log_paths(log_path)
    ]
    if None in drained:
        return None
    return sum(filter(None, drained), Drained())


def _drain_left(path: Path, collector: Callable[[WriteAheadLog], Collector]) -> Drained | None:
    if not holds_payloads(path):
        return Drained()
    try:
        log = WriteAheadLog(path)
    except LockedError:
        return None
    with log:
        return collector(log).drain()


@lru_cache(maxsize=4096)
def anonymous_ip(address: str) -> str | None:
    """The address without its last octet, or for version 6 without its last 80 bits.

    Example:
        >>> anonymous_ip("198.51.100.77"), anonymous_ip("2001:db8:1:2::3")
        ('198.51.100.0', '2001:db8:1::')
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    bits = _V6_HOST_BITS if isinstance(parsed, IPv6Address) else _V4_HOST_BITS
    return str(type(parsed)(int(parsed) >> bits << bits))


def _refuse_irregular(batch: Batch) -> None:
    if batch.dead_letters:
        first, *others = batch.dead_letters
        more = f" (and {len(others)} more)" if others else ""
        raise BatchError(first.path, first.reason + more)


def _received(contents: Contents, number: int) -> Iterator[Received]:
    for payload in contents.payloads:
        arrival, body = unpack(payload)
        try:
            yield Received(arrival, read_batch(body))
        except BatchError as error:
            # It was readable at the door; should it not be here, it is at least not lost.
            yield _undelivered(arrival, DeadLetter(error.path, error.reason, _text(body)))
    for damage in contents.damages:
        # A segment's number is not below the time it was begun at.
        yield _undelivered(Arrival(min(number, LATEST_MS)), _damaged(damage, number))


def _undelivered(arrival: Arrival, letter: DeadLetter) -> Received:
    return Received(arrival, Batch(_NOBODY, (), (), (letter,)))


def _damaged(damage: Damage, number: int) -> DeadLetter:
    reason = f"{len(damage.data)} bytes of the log were damaged on disk"
    return DeadLetter(f"log segment {number}, byte {damage.offset}", reason, _text(damage.data))


def _text(data: bytes) -> str:
    return data[:MAX_LETTER_BYTES].decode("utf-8", errors="replace")
