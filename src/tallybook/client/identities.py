"""New events' identities: version 4 UUIDs, without a call to the operating system for each."""

from __future__ import annotations

import itertools
import os
from typing import Final

from tallybook.deliver.process import tell_of_forks

_BLOCK_BYTES: Final = 5  # of a block's number: all of a UUID's last group but one byte
_BLOCK_MASK: Final = 2 ** (8 * _BLOCK_BYTES) - 1
_LAST_BYTES: Final = [b"%02x" % number for number in range(256)]


class Identities:
    """Makes UUIDs that begin with 74 random bits and count on from a random number, in blocks.

    No two are equal within a client, nor between clients, but with a chance of 2^-74 a pair. A
    forked child begins anew.
    """

    def __init__(self) -> None:
        self.begin_in_child()
        tell_of_forks(self)

    def begin_in_child(self) -> None:
        """Share no identity with the parent."""
        text = os.urandom(10).hex()
        variant = "89ab"[int(text[15], 16) & 3]
        groups = (text[:8], text[8:12], "4" + text[12:15], variant + text[16:19], "")
        self._prefix = "-".join(groups).encode()
        self._blocks = itertools.count(int.from_bytes(os.urandom(_BLOCK_BYTES), "big"))

    def take(self, how_many: int) -> list[bytes]:
        """New identities, as text."""
        taken: list[bytes] = []
        while len(taken) < how_many:
            block = b"%b%010x" % (self._prefix, next(self._blocks) & _BLOCK_MASK)
            taken += [block + last for last in _LAST_BYTES[: how_many - len(taken)]]
        return taken
