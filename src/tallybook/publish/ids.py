"""Ids that stay: each object keeps the one it was given, or brought along, for as long as its key.

A generated id is a decimal string, because SDKs send the id of a variation only if it is digits,
and nothing else in the account has it, because events are joined across the whole account.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from tallybook.catalog.publication import IdPath

FIRST_ID: Final = 700_000_000_001


class Ids:
    """The ids of one project's objects, by kind and the keys that lead to the object."""

    def __init__(
        self, known: Mapping[IdPath, str], *, taken: Collection[str], next_id: int
    ) -> None:
        self._known = dict(known)
        self._taken = taken
        self.next_id = next_id
        self.new: dict[IdPath, str] = {}

    def of(self, kind: str, *path: str) -> str:
        """The id of an object; a new one if it has none yet."""
        if (kind, path) not in self._known:
            self._known[kind, path] = self.new[kind, path] = self.unused()
        return self._known[kind, path]

    def of_variation(self, flag: str, rule: str, environment: str, key: str) -> str:
        """The id of a flag's variation; where an import had another one in a rule, that one."""
        own = self._known.get(("rule_variation", (flag, rule, environment, key)))
        return own or self.of("variation", flag, key)

    def unused(self) -> str:
        """An id that nothing in the account has."""
        while str(self.next_id) in self._taken:
            self.next_id += 1
        self.next_id += 1
        return str(self.next_id - 1)
