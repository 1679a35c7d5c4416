"""A few kilobytes of memory that workers share: what each says of itself, for all to read.

Every worker has a place of its own, which it alone writes. What it writes has a checksum: whoever
reads while it is being written sees that, and looks again.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from struct import Struct
from typing import Final
from zlib import crc32

_HEAD: Final = Struct("<II")
_PLACE_BYTES: Final = 16 * 2**10
_LOOKS: Final = 100
_NOTHING: Final = b""


class Board:
    """Places for ``workers`` notes, numbered from 1, in the file behind a descriptor."""

    def __init__(self, descriptor: int, workers: int) -> None:
        self._workers = workers
        self._memory = mmap.mmap(descriptor, workers * _PLACE_BYTES)

    @classmethod
    def make(cls, workers: int) -> int:
        """A descriptor of a new, empty board, which children may be given; it has no name."""
        empty = bytes(workers * _PLACE_BYTES)  # written out: it must have its room on a full disk
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("tallybook-board")
            os.write(descriptor, empty)
            return descriptor
        with tempfile.TemporaryFile() as file:
            file.write(empty)
            file.flush()
            return os.dup(file.fileno())

    def write(self, worker: int, note: bytes) -> None:
        """Replace a worker's note.

        Raises:
            ValueError: It has no room.
        """
        if len(note) > _PLACE_BYTES - _HEAD.size:
            raise ValueError(f"note of {len(note)} bytes, room for {_PLACE_BYTES - _HEAD.size}")
        start = (worker - 1) * _PLACE_BYTES
        begin = start + _HEAD.size
        self._memory[begin : begin + len(note)] = note
        _HEAD.pack_into(self._memory, start, len(note), crc32(note))

    def clear(self, worker: int) -> None:
        """Take a worker's note away."""
        self.write(worker, _NOTHING)

    def notes(self) -> Iterator[tuple[int, bytes]]:
        """Every worker that has a note, with it."""
        for worker in range(1, self._workers + 1):
            if note := self._read(worker):
                yield worker, note

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()

    def _read(self, worker: int) -> bytes:
        start = (worker - 1) * _PLACE_BYTES
        for _ in range(_LOOKS):
            length, check = _HEAD.unpack_from(self._memory, start)
            note = self._memory[start + _HEAD.size : start + _HEAD.size + length]
            if crc32(note) == check:
                return note
        return _NOTHING  # it was killed while it wrote
