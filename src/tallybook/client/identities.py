"""New events' identities: version 4 UUIDs, without a call to the operating system for each."""

from __future__ import annotations

import itertools
import os
from typing import Final

from tallybook.deliver.process import tell_of_forks

_LAST_GROUP_BYTES: Final = 6
_LAST_GROUP_MASK: Final = 2 ** (8 * _LAST_GROUP_BYTES) - 1


class Identities:
    """Makes UUIDs that begin with 74 random bits and count on from a random number.

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
        self._count = itertools.count(int.from_bytes(os.urandom(_LAST_GROUP_BYTES), "big"))

    def __call__(self) -> bytes:
        """Return a new identity, as text."""
        return b"%b%012x" % (self._prefix, next(self._count) & _LAST_GROUP_MASK)
