"""One file of a journal on disk: what was tracked, and how far it is settled.

A page has a fixed size and is written through a mapping: what is written stays when the process is
killed, and no call to the operating system is needed for it. It is a header, which stands there
twice, so that a damaged byte does not cost the page, and records. A page is locked as long as
somebody has it, so one without a lock is nobody's.

Little-endian throughout; another layout gets another magic.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final
from zlib import crc32

from msgspec import Struct

from tallybook.deliver.journal import Item, Origin
from tallybook.deliver.journal_records import (
    CHECK,
    CHECK_AT,
    EVENT,
    PRIME,
    RECORD_BYTES,
    SHARED,
    SHARED_SIGN,
    VOID,
    DamagedError,
    Entry,
    Records,
    checksum,
    encode,
    pack_record,
    packed_envelope,
)

PREFIX_BYTES: Final = 24  # of the identities of a page's events; the last twelve digits follow

_MAGIC: Final = b"TBJ1"
_HEADER: Final = struct.Struct("<4s24sQI")  # magic, identities' prefix, first position, checksum
_SETTLED: Final = struct.Struct("<QI")  # up to which place, checksum
_SETTLED_AT: Final = 2 * _HEADER.size
_BODY_AT: Final = _SETTLED_AT + _SETTLED.size


# An origin, a frame, their places, and the sum of these.
_Recent = tuple[Origin | None, tuple[bytes, ...] | None, int, int, int]
_NOTHING_YET: Final[_Recent] = (None, None, 0, 0, 0)


class Recovered(Struct, frozen=True):
    """An event of a page, and the place after it; without an item it is ``damaged`` bytes."""

    end: int
    item: Item | None = None
    damaged: int = 0


class Page:
    """A page whose file is locked. Whoever adds to it sees to it that nobody else does meanwhile.

    Args:
        path: Where the file stands.
        file: The file, locked, of the page's size.

    Attributes:
        path: Where the file stands.
        first: The position of its beginning; a record's position is that and its place.
        size: Its bytes.

    Raises:
        ValueError: It is none of ours.
    """

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path = path
        self._file = file
        self._map = mmap.mmap(file.fileno(), 0)
        self.size = len(self._map)
        self._prefix, self.first = self._header()
        self._settled = self._read_settled()
        self._end = _BODY_AT
        self._last = -1  # event's place
        self._places: dict[int, int] = {}  # of what is shared, by its id
        self._known: list[object] = []
        # What was last written with an event, and its places: most often it comes again.
        self._recent = _NOTHING_YET
        self._limit = self.size

    def keeper(
        self, writing: threading.RLock, drafts: deque[Item], elsewhere: Callable[[Item], None]
    ) -> Callable[[Item], None]:
        """What writes an item here and puts it among the drafts, in the same order.

        It is a closure that does everything by itself: calls would be a third of its time.

        Args:
            writing: Held meanwhile; may be held by the caller.
            drafts: Where items are put.
            elsewhere: Called in its place for an item that needs more than a record, or for which
                there is no room.
        """
        data, first, append = self._map, self.first, drafts.append
        acquire, release = writing.acquire, writing.release
        header, mark, prime, check_of, pack = RECORD_BYTES, EVENT, PRIME, checksum, pack_record

        def keep(item: Item) -> None:
            acquire()
            try:
                origin, frame, origin_at, frame_at, seed = self._recent
                if item.origin is not origin or item.frame is not frame:
                    return elsewhere(item)
                text, at_ns = item.text, item.at_ns
                size = len(text)
                # Nothing is called before the end is moved: a signal handler could add something.
                place = self._end
                start = place + header
                end = start + size
                if end > self._limit:
                    return elsewhere(item)
                self._end = end
                self._last = place
                check = check_of(text, place + seed + at_ns % prime, False)
                data[start:end] = text  # before its mark: what is marked is whole
                pack(data, place, mark, size, check, origin_at, frame_at, at_ns)
                item.position = first + place
                append(item)
            finally:
                release()

        return keep

    def open(self, *, is_open: bool) -> None:
        """Have keepers write here, or all of it elsewhere."""
        self._limit = self.size if is_open else 0

    def add(self, item: Item) -> int:
        """Write an item; its position, 0 when there is no room for it."""
        origin, frame, *_ = self._recent
        if item.origin is not origin or item.frame is not frame:
            self._recent = self._shared(item.origin, item.frame)
        _, _, origin_at, frame_at, _ = self._recent
        place = origin_at and self._write(EVENT, item.text, origin_at, frame_at, item.at_ns)
        if not place:
            return 0
        self._last = place
        return self.first + place

    def void(self, position: int) -> None:
        """Have the event at a position be none: it was refused after all."""
        at = position - self.first + CHECK_AT
        (check,) = CHECK.unpack_from(self._map, at)
        CHECK.pack_into(self._map, at, check ^ VOID)

    def settle(self, position: int) -> None:
        """Need nothing any more of what stands before a position."""
        settled = min(position - self.first, self._end)
        if settled > self._settled:
            self._settled = settled
            text = settled.to_bytes(8, "little")
            _SETTLED.pack_into(self._map, _SETTLED_AT, settled, crc32(text))

    def identity(self, position: int) -> bytes:
        """The identity of the event at a position, as text."""
        return b"%b%012x" % (self._prefix, position)

    @property
    def end(self) -> int:
        """The position after what is written."""
        return self.first + self._end

    @property
    def next_first(self) -> int:
        """Where the page after this one begins."""
        return self.first + self.size

    @property
    def is_settled(self) -> bool:
        """True when nothing of what is written is needed any more."""
        return self._settled > self._last

    @property
    def is_half_full(self) -> bool:
        """True when the next page will soon be wanted."""
        return 2 * self._end >= self.size

    def touch(self) -> None:
        """Have an empty page's memory at hand, so that whoever adds to it need not wait for it."""
        for at in range(mmap.PAGESIZE, self.size, mmap.PAGESIZE):
            self._map[at] = 0

    def sync(self) -> None:
        """Have everything on the disk itself, so that it outlasts a loss of power.

        Raises:
            OSError: It cannot be.
        """
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Leave the file to whoever comes next."""
        self._map.close()
        self._file.close()

    def remove(self) -> None:
        """Leave nothing."""
        with suppress(OSError):  # it cannot be removed, or somebody did: it is settled all the same
            self.path.unlink()
        self.close()

    def unsettled(self) -> Iterator[Recovered]:
        """What was written and is not settled, in order; nothing may be added to it afterwards."""
        records = Records(self._map, _BODY_AT)
        for place, end in records.spans():
            self._end = end
            try:
                entry = records.read(place, end)
            except DamagedError:
                yield Recovered(end, damaged=end - place)
                continue
            if entry is not None and place >= self._settled:
                yield Recovered(end, self._item(entry, place))

    def _item(self, entry: Entry, place: int) -> Item:
        if entry.frame is None:
            return Item(entry.origin, entry.text)
        identity = self.identity(self.first + place)
        return Item(entry.origin, entry.text, entry.frame, entry.at_ns, 0, identity)

    def _shared(self, origin: Origin, frame: tuple[bytes, ...] | None) -> _Recent:
        """What events of an origin and a frame need; of neither when there is no room for them."""
        places = self._places
        origin_at = places.get(id(origin)) or self._share_origin(origin)
        frame_at = 0
        if frame is not None:
            frame_at = places.get(id(frame)) or self._share(frame, b"P" + encode(frame))
        if not origin_at or (frame is not None and not frame_at):
            return _NOTHING_YET
        return origin, frame, origin_at, frame_at, origin_at + frame_at

    def _share_origin(self, origin: Origin) -> int:
        envelope = origin.envelope
        places = self._places
        at = places.get(id(envelope)) or self._share(envelope, b"E" + packed_envelope(envelope))
        return at and self._share(origin, b"O" + encode((at, origin.author, origin.size)))

    def _share(self, thing: object, packed: bytes) -> int:
        place = self._write(SHARED, packed, 0, 0, SHARED_SIGN)
        if not place or not self._write(SHARED, packed, place, 0, SHARED_SIGN):
            return 0
        self._places[id(thing)] = place
        self._known.append(thing)  # or another thing could get its id
        return place

    def _write(self, mark: int, text: bytes, origin_at: int, frame_at: int, at_ns: int) -> int:
        size = len(text)
        record_bytes = size + RECORD_BYTES
        # Nothing is called between these lines: a signal handler could add something meanwhile.
        place = self._end
        end = place + record_bytes
        if end > self.size:
            return 0
        self._end = end
        check = checksum(text, place + origin_at + frame_at + at_ns % PRIME, False)
        self._map[place + RECORD_BYTES : end] = text
        pack_record(self._map, place, mark, size, check, origin_at, frame_at, at_ns)
        return place

    def _header(self) -> tuple[bytes, int]:
        for at in (0, _HEADER.size) if self.size >= _BODY_AT else ():
            magic, prefix, first, check = _HEADER.unpack_from(self._map, at)
            if magic == _MAGIC and check == crc32(self._map[at : at + _HEADER.size - 4]):
                return prefix, first
        self._map.close()
        raise ValueError("expected a page of a journal")

    def _read_settled(self) -> int:
        settled, check = _SETTLED.unpack_from(self._map, _SETTLED_AT)
        # What cannot be trusted counts for nothing: events that are sent twice count once.
        return settled if check == crc32(self._map[_SETTLED_AT : _SETTLED_AT + 8]) else 0


def beginning(prefix: bytes, first: int) -> bytes:
    """How the file of a new page begins; the rest is zeros.

    Args:
        prefix: What the identities of its events begin with, :data:`PREFIX_BYTES` of them.
        first: The position of its beginning.
    """
    header = _HEADER.pack(_MAGIC, prefix, first, 0)[:-4]
    copy = header + crc32(header).to_bytes(4, "little")
    return copy + copy + _SETTLED.pack(0, crc32(bytes(8)))


def room_for(size: int) -> int:
    """Bytes a page needs that is to hold an item of ``size`` bytes, its origin and its frame."""
    return 4 * size + 64 * 1024
