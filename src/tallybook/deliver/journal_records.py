"""The records of a journal's page: what each looks like, and how they are read again.

A record is a mark, its length, a checksum of everything and of its place, and a text. What many
events share is a record of its own to which theirs refer by its place; it stands there twice, so
that a damaged byte costs one event at most.

Little-endian throughout.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

import mmh3
from msgspec import MsgspecError, Struct, msgpack

from tallybook.deliver.journal import Envelope, Origin

EVENT: Final = int.from_bytes(b"TBjE", "little")
SHARED: Final = int.from_bytes(b"TBjS", "little")
SHARED_SIGN: Final = 1  # in the nanoseconds' place, for the mark itself has no checksum
VOID: Final = 2**32 - 1  # by which the checksum of an event that is none differs: in every byte
PRIME: Final = 2**30 - 35  # so that no damage to a single byte of a time leaves a seed as it was

# Mark, bytes, checksum, origin, frame, nanoseconds. An event's origin and frame (0 for none) are
# places of shared records. The origin of a shared record is its first copy, if it is the second.
RECORD: Final = struct.Struct("<IIIIIQ")
RECORD_BYTES: Final = RECORD.size
CHECK: Final = struct.Struct("<I")
CHECK_AT: Final = 8  # in a record

pack_record: Final = RECORD.pack_into
checksum: Final = mmh3.hash  # of bytes, from a seed; a third of the time of a cyclic one
encode: Final = msgpack.Encoder().encode

_MARKED: Final = b"TBj"
_NOTHING: Final = bytes(RECORD_BYTES)
_SEEDS: Final = 2**32
_decode_envelope: Final = msgpack.Decoder(
    tuple[str, bytes, bytes, tuple[tuple[str, str], ...]]
).decode
_decode_origin: Final = msgpack.Decoder(tuple[int, bytes, int]).decode
_decode_frame: Final = msgpack.Decoder(tuple[bytes, ...]).decode


class Entry(Struct, frozen=True):
    """An event as a page has it."""

    origin: Origin
    text: bytes
    frame: tuple[bytes, ...] | None
    at_ns: int


class DamagedError(ValueError):
    """There should be a record, and is none."""


class Records:
    """The records of a page, read in order.

    Args:
        data: The page.
        start: Where its first record stands.
    """

    def __init__(self, data: mmap.mmap, start: int) -> None:
        self._data = data
        self._start = start
        self._shared: dict[int, Any] = {}

    def spans(self) -> Iterator[tuple[int, int]]:
        """Places and ends of records, and of what stands where one should."""
        data, size, place = self._data, len(self._data), self._start
        while place + RECORD_BYTES <= size:
            _, length, *_ = RECORD.unpack_from(data, place)
            end = place + RECORD_BYTES + length
            if end <= size and self._is_whole(place, end):
                yield place, end
                place = end
                continue
            found = data.find(_MARKED, place + 1)
            if found < 0 and data[place : place + RECORD_BYTES] == _NOTHING:
                return  # the end, or a text whose writer did not live to write the rest
            end = found if found >= 0 else size
            stray = len(data[place:end].rstrip(b"\0"))
            if stray:
                yield place, place + stray
            place = end

    def read(self, place: int, end: int) -> Entry | None:
        """The event of a record, ``None`` if it has none.

        Raises:
            DamagedError: It is no record.
        """
        if not self._is_whole(place, end):
            raise DamagedError("expected a record")
        mark, _, check, origin_at, frame_at, at_ns = RECORD.unpack_from(self._data, place)
        text = self._data[place + RECORD_BYTES : end]
        if check != checksum(text, place + origin_at + frame_at + at_ns % PRIME, False):
            return None
        shared = self._shared
        try:
            if mark == SHARED:
                shared.setdefault(origin_at or place, _unpacked(text, shared))
                return None
            return Entry(shared[origin_at], text, shared[frame_at] if frame_at else None, at_ns)
        except (MsgspecError, LookupError) as error:
            raise DamagedError("expected what the record refers to") from error

    def _is_whole(self, place: int, end: int) -> bool:
        mark, size, check, origin_at, frame_at, at_ns = RECORD.unpack_from(self._data, place)
        is_shared = not frame_at and at_ns == SHARED_SIGN
        is_marked = mark == (SHARED if is_shared else EVENT)
        seed = place + origin_at + frame_at + at_ns % PRIME
        if not is_marked or place + RECORD_BYTES + size != end or seed >= _SEEDS:
            return False
        found = checksum(self._data[place + RECORD_BYTES : end], seed, False)
        return check in (found, found ^ VOID)


def packed_envelope(envelope: Envelope) -> bytes:
    """What a shared record says of an envelope."""
    return encode((envelope.url, envelope.opening, envelope.closing, envelope.headers))


def _unpacked(packed: bytes, shared: Mapping[int, Any]) -> Envelope | Origin | tuple[bytes, ...]:
    kind, content = packed[:1], packed[1:]
    if kind == b"E":
        return Envelope(*_decode_envelope(content))
    if kind == b"P":
        return _decode_frame(content)
    envelope_at, author, size = _decode_origin(content)
    return Origin(shared[envelope_at], author, size)
