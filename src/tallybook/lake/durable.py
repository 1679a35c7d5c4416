"""Making a commit survive a power cut: its files are written, but not yet forced to the disk.

delta-rs leaves written files to the operating system. Whoever removes the log segment that a commit
came from needs the commit on the disk first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

from tallybook.errors import StorageError
from tallybook.lake.checksums import remember


def local_path(uri: str) -> Path | None:
    """Return the directory a URI names on this machine; ``None`` for an object store.

    Example:
        >>> local_path("s3://bucket/lake"), str(local_path("file:///srv/my%20lake"))
        (None, '/srv/my lake')
    """
    if uri.startswith("file://"):
        return Path(unquote(uri.removeprefix("file://")))
    return None if "://" in uri else Path(uri)


def make_durable(table: Path, version: int) -> None:
    """Force the files and the log entry of one committed version to the disk, and sum them up.

    What is gone by now was replaced by a later version, whose writer has seen to it.
    """
    entry = table / "_delta_log" / f"{version:020d}.json"
    if not entry.exists():
        return
    paths = [unquote(path) for path in _added(entry)]
    added = [table / path for path in paths]
    folders = {parent for file in [entry, *added] for parent in _up_to(file, table)}
    for path in [*added, entry, *folders]:
        force(path)
    remember(table, paths)


def refuse_cut_short(table: Path, sizes: Mapping[str, int]) -> None:
    """Make sure that each file of a table has the size it was committed with.

    A power cut between a commit and ``make_durable`` may leave an entry without its rows.

    Args:
        table: The table's directory.
        sizes: Bytes that the table's log promises of each file, by path within the directory.

    Raises:
        StorageError: A file is shorter, or not there.
    """
    for path, expected in sizes.items():
        file = table / unquote(path)
        found = file.stat().st_size if file.exists() else 0
        if found < expected:
            raise StorageError(
                f"{file}: expected {expected} bytes, found {found}; its commit was cut short, "
                "and what it was made from is kept"
            )


def _added(entry: Path) -> Iterable[str]:
    for line in entry.read_text(encoding="utf-8").splitlines():
        action = json.loads(line)
        if "add" in action:
            yield action["add"]["path"]


def _up_to(file: Path, table: Path) -> Iterable[Path]:
    return [parent for parent in file.parents if parent.is_relative_to(table)]


def force(path: Path) -> None:
    """Force a file or a directory's entries to the disk; gone already is fine."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
