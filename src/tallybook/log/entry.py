"""Verb: a body and its arrival ⇄ one payload of the log."""

from __future__ import annotations

from struct import Struct
from typing import Final

import msgspec

from tallybook.errors import StorageError
from tallybook.model.event import Arrival

_VERSION: Final = 1
_HEAD: Final = Struct("<BH")
_MAX_TEXT: Final = 2_000  # characters kept of a header that others choose the length of
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[int, str | None, str | None, str | None]).decode


def pack(arrival: Arrival, body: bytes) -> bytes:
    """The payload that keeps a body exactly as it came, and when and from where."""
    head = _encode(
        (arrival.at_ms, arrival.user_ip, _cut(arrival.user_agent), _cut(arrival.referer))
    )
    return b"".join((_HEAD.pack(_VERSION, len(head)), head, body))


def unpack(payload: bytes) -> tuple[Arrival, bytes]:
    """What ``pack`` was given.

    Raises:
        StorageError: The payload was written by another version of Tallybook.
    """
    version, length = _HEAD.unpack_from(payload)
    if version != _VERSION:
        raise StorageError(f"log entry of version {version}: expected version {_VERSION}")
    body_at = _HEAD.size + length
    at_ms, user_ip, user_agent, referer = _decode(payload[_HEAD.size : body_at])
    return Arrival(at_ms, user_ip, user_agent, referer), payload[body_at:]


def _cut(text: str | None) -> str | None:
    return text[:_MAX_TEXT] if text else None
