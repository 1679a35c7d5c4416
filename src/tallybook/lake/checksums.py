"""Checksums of a table's files, kept beside it: what a disk changes without telling is found.

They are a list in one file that is only appended to. A file that is not on the list, because who
committed it was stopped just then, cannot be checked; nothing else depends on the list.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final
from zlib import crc32

from tallybook.errors import StorageError

LIST: Final = "_checksums"  # an underscore is how Delta knows what is not its own
_LINE: Final = re.compile(r"^([0-9a-f]{8}) (.+)$", re.MULTILINE)
_PIECE: Final = 2**20


def checksum(path: Path) -> int:
    """The CRC-32 of a file.

    Raises:
        OSError: It cannot be read.
    """
    value = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            value = crc32(piece, value)
    return value


def remember(table: Path, paths: Iterable[str]) -> None:
    """Note the checksums of files as they are now.

    Args:
        table: The table's directory.
        paths: Where in it the files are; one that is gone by now is left out.

    Raises:
        OSError: The disk refused.
    """
    found = {path: checksum(table / path) for path in paths if (table / path).exists()}
    lines = "".join(f"{value:08x} {path}\n" for path, value in found.items())
    if not lines:
        return
    descriptor = os.open(table / LIST, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, lines.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remembered(table: Path) -> Mapping[str, int]:
    """The checksums there are, by path; lines that were cut short are left out."""
    try:
        text = (table / LIST).read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    return {found[2]: int(found[1], 16) for found in _LINE.finditer(text)}


def verify(table: Path, paths: Iterable[str]) -> None:
    """Make sure that files are what was written, where that was noted.

    Raises:
        StorageError: One is not, or cannot be read.
    """
    known = remembered(table)
    for path in paths:
        try:
            found = checksum(table / path)
        except OSError as error:
            raise StorageError(f"{table / path}: {error.strerror or error}") from error
        if known.get(path, found) != found:
            raise StorageError(
                f"{table / path}: damaged, it is not what was written; "
                "run tallybook doctor, and restore it from a backup"
            )


def shorten(table: Path, live: Collection[str]) -> None:
    """Leave out files that are no longer the table's.

    Raises:
        OSError: The disk refused.
    """
    known = remembered(table)
    if len(known) <= len(live):
        return
    fresh = table / f"{LIST}.new"
    kept = ((path, value) for path, value in known.items() if path in live)
    fresh.write_text("".join(f"{value:08x} {path}\n" for path, value in kept), "utf-8")
    fresh.replace(table / LIST)
