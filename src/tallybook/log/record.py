"""Verb: payloads ⇄ the bytes of a log segment, each record checked on its own.

A record is a header of 16 bytes (mark, length, checksum of the payload, checksum of the header, all
little-endian) and the payload. The header's checksum covers its place (segment and offset), so
bytes inside a payload are never taken for a record, and a damaged header never sends a reader
astray: reading goes on at the next whole header. What was damaged is reported, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final
from zlib import crc32

MARK: Final = b"TBL1"  # Tallybook log, version 1: another layout gets another mark
_FIELDS: Final = Struct("<4sII")
_CHECK: Final = Struct("<I")
_PLACE: Final = Struct("<QQ")
HEADER_BYTES: Final = _FIELDS.size + _CHECK.size


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are no whole record, though a record followed or once stood there."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """What a segment holds: payloads in order, what was damaged, and an unfinished last write.

    ``torn_bytes`` were never acknowledged: the process or the machine stopped while writing them.
    """

    payloads: tuple[bytes, ...]
    damages: tuple[Damage, ...]
    torn_bytes: int


def frame(payload: bytes, *, segment: int, offset: int) -> bytes:
    """The header for a payload that is to stand at ``offset`` of ``segment``."""
    fields = _FIELDS.pack(MARK, len(payload), crc32(payload))
    return fields + _CHECK.pack(crc32(_PLACE.pack(segment, offset), crc32(fields)))


def scan(data: bytes, segment: int) -> Contents:
    """Everything readable in the bytes of a segment, in order."""
    payloads: list[bytes] = []
    damages: list[Damage] = []
    offset = 0
    while offset < len(data):
        length = _payload_length(data, offset, segment)
        if length is None:
            end = _next_header(data, offset + 1, segment)
            torn = _is_unfinished(data, offset)
        else:
            end = offset + HEADER_BYTES + length
            torn = end > len(data)
        if torn:
            break
        if length is not None and _is_intact(data, offset, end):
            payloads.append(data[offset + HEADER_BYTES : end])
        else:
            damages.append(Damage(offset, data[offset:end]))
        offset = end
    return Contents(tuple(payloads), tuple(damages), len(data) - offset)


def _payload_length(data: bytes, offset: int, segment: int) -> int | None:
    header = data[offset : offset + HEADER_BYTES]
    if len(header) < HEADER_BYTES or not header.startswith(MARK):
        return None
    length: int = _FIELDS.unpack_from(header)[1]
    check: int = _CHECK.unpack_from(header, _FIELDS.size)[0]
    expected = crc32(_PLACE.pack(segment, offset), crc32(header[: _FIELDS.size]))
    return length if check == expected else None


def _is_intact(data: bytes, offset: int, end: int) -> bool:
    checksum: int = _FIELDS.unpack_from(data, offset)[2]
    return crc32(memoryview(data)[offset + HEADER_BYTES : end]) == checksum


def _is_unfinished(data: bytes, offset: int) -> bool:
    # Where writing stopped there is less than a header, or space that was never filled.
    return len(data) - offset < HEADER_BYTES or not data[offset:].strip(b"\0")


def _next_header(data: bytes, start: int, segment: int) -> int:
    place = data.find(MARK, start)
    while place != -1:
        if _payload_length(data, place, segment) is not None:
            return place
        place = data.find(MARK, place + 1)
    return len(data)
