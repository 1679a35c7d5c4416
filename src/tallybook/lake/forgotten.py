"""Visitors who are to be forgotten: what they did until then is not kept, however late it arrives.

The list is a Delta table beside the others, of keyed hashes instead of ids. Every table of events
has a mark among its properties that changes whenever the list has grown. Changing a property is a
commit that all commits begun before it collide with: whoever adds rows has read the newest list.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake

from tallybook.lake.columns import DEAD_LETTERS

FORGOTTEN: Final = "forgotten"
MARK: Final = "tallybook.forgotten"
_SALT: Final = "tallybook.salt"
_SCHEMA: Final = pa.schema({"visitor": pa.string(), "forgotten_at": pa.int64()})
_DIGEST_BYTES: Final = 16
_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_WORD: Final = re.compile(r"[^\s\"'`\\/?&=:;,<>()\[\]{}]{5,}")


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """What stands for a visitor id: its keyed hash (BLAKE2b, 16 bytes) and the key, hexadecimal."""

    hash: str
    salt: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The list at one moment: until when (milliseconds of event time) each visitor is forgotten."""

    salt: bytes
    until_ms: Mapping[str, int]

    def digest(self, text: str) -> str:
        """What stands for a visitor id; nobody without the salt can tell whose it is."""
        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self.salt, digest_size=_DIGEST_BYTES).hexdigest()

    def without(self, name: str, rows: pa.Table) -> pa.Table:
        """The rows of a table without those that are to be forgotten."""
        if name == DEAD_LETTERS:
            bodies = rows.column("body").to_pylist()
            return rows.filter(pa.array([not self._is_mentioned(b) for b in bodies], pa.bool_()))
        found = {v: self.until_ms.get(self.digest(v)) for v in set(rows["visitor_id"].to_pylist())}
        gone = {visitor: until for visitor, until in found.items() if until is not None}
        if not gone:
            return rows
        until = pa.array([gone.get(v, -1) for v in rows["visitor_id"].to_pylist()], pa.int64())
        return rows.filter(pc.greater(rows["occurred_at"], until))

    def _is_mentioned(self, body: str) -> bool:
        return any(self.digest(text) in self.until_ms for text in mentions(body))


def mentions(body: str) -> Iterator[str]:
    """Everything in a dead letter that may be a visitor id: its JSON strings, and longer words.

    A dead letter need not be JSON, so it is not parsed. Words of less than five characters count
    only as whole strings: they would stand for too many other things.

    Example:
        >>> sorted(mentions('{"visitor_id": "ada", "url": "/users/ada-1852?x=1"}'))
        ['/users/ada-1852?x=1', 'ada', 'ada-1852', 'url', 'users', 'visitor_id', 'visitor_id']
    """
    for found in _STRING.finditer(body):
        yield _unescaped(found[1])
    for found in _WORD.finditer(body):
        yield found[0]


def is_mentioned(visitor_id: str, body: str) -> bool:
    """True when a dead letter mentions the visitor."""
    escaped = json.dumps(visitor_id)[1:-1]
    if visitor_id not in body and escaped not in body and "\\" not in body:
        return False  # spares most letters the closer look
    return visitor_id in mentions(body)


def read_list(uri: str, options: dict[str, str] | None) -> Forgotten:
    """The list as it is now; made where there is none."""
    return _read(_table(uri, options))


def _read(table: DeltaTable) -> Forgotten:
    until: dict[str, int] = {}
    rows = pa.table(table.to_pyarrow_table())
    columns = rows.column("visitor").to_pylist(), rows.column("forgotten_at").to_pylist()
    for visitor, at_ms in zip(*columns, strict=True):
        until[visitor] = max(at_ms, until.get(visitor, at_ms))
    return Forgotten(bytes.fromhex(table.metadata().configuration[_SALT]), until)


def add_to_list(
    uri: str, options: dict[str, str] | None, visitor_id: str, at_ms: int
) -> tuple[Pseudonym, int]:
    """Put a visitor on the list; return what stands for the id, and the list's new version."""
    table = _table(uri, options)
    known = _read(table)
    digest = known.digest(visitor_id)
    until = {**known.until_ms, digest: max(at_ms, known.until_ms.get(digest, at_ms))}
    columns = {"visitor": list(until), "forgotten_at": list(until.values())}
    # The whole list anew, so that it stays one file; of two at once, one is made to begin again.
    write_deltalake(table, pa.table(columns, schema=_SCHEMA), mode="overwrite")
    return Pseudonym(digest, known.salt.hex()), table.version()


def _table(uri: str, options: dict[str, str] | None) -> DeltaTable:
    if not DeltaTable.is_deltatable(uri, options):
        DeltaTable.create(
            uri,
            schema=_SCHEMA,
            mode="ignore",  # of two who make it at once, the first one's salt is everybody's
            name=FORGOTTEN,
            configuration={_SALT: secrets.token_hex(_DIGEST_BYTES)},
            raise_if_key_not_exists=False,
            storage_options=options,
        )
    return DeltaTable(uri, storage_options=options)


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
