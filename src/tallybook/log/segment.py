"""Verb: one segment being written, all or nothing a group."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from tallybook.log.directory import refusing
from tallybook.log.record import frame

_PROBE = bytes(4096)


class ActiveSegment:
    """An open segment; ``size`` is how many bytes of it are safe on disk.

    Only the thread that writes may touch it.
    """

    def __init__(self, descriptor: int, number: int) -> None:
        self.number = number
        self.size = 0
        self._descriptor = descriptor

    def write(self, payloads: Sequence[bytes]) -> None:
        """Append the payloads and wait until the disk has them.

        Raises:
            StorageError: Nothing was kept; the file is as it was before.
        """
        data = self._framed(payloads)
        self._extend(data)
        self.size += len(data)

    def probe(self) -> None:
        """Try whether the disk takes writes again, leaving nothing behind.

        Raises:
            StorageError: It does not.
        """
        self._extend(_PROBE)
        self._cut_back()

    def close(self) -> None:
        """Close the file; what was written stays."""
        os.close(self._descriptor)

    def _framed(self, payloads: Sequence[bytes]) -> bytes:
        parts: list[bytes] = []
        offset = self.size
        for payload in payloads:
            header = frame(payload, segment=self.number, offset=offset)
            parts += (header, payload)
            offset += len(header) + len(payload)
        return b"".join(parts)

    def _extend(self, data: bytes) -> None:
        try:
            with refusing("cannot write the log"):
                written = 0
                while written < len(data):
                    rest = memoryview(data)[written:]
                    written += os.pwrite(self._descriptor, rest, self.size + written)
                os.fdatasync(self._descriptor)
        except BaseException:
            self._cut_back()
            raise

    def _cut_back(self) -> None:
        # Where even this fails the leftovers are at worst whole records that nobody was promised,
        # sent again by their client and counted once.
        with suppress(OSError):
            os.ftruncate(self._descriptor, self.size)
