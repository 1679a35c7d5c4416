"""A look at a log's directory that changes nothing and takes no lock."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tallybook.keep.finding import Finding, State
from tallybook.log.record import scan

_PART: Final = "log"
_LOCKS: Final = Path("/proc/locks")


def examine_logs(path: Path) -> Iterator[Finding]:
    """Look at a server's log, and at those of its workers in directories below it."""
    if not path.is_dir():
        yield Finding(_PART, "directory", State.OK, "none yet")
        return
    yield from _examine(path)
    for lock in sorted(path.glob("*/lock")):
        for finding in _examine(lock.parent):
            yield replace(finding, subject=f"{lock.parent.name}, {finding.subject}")


def _examine(path: Path) -> Iterator[Finding]:
    """Look at the owner, the identity, every segment, and what was set aside."""
    owner = owner_of(path)
    held = f"held by process {owner}" if owner is not None else "no server runs"
    yield Finding(_PART, "owner", State.OK, held)
    yield from _identity(path)
    yield _segments(path, owner)
    yield from _set_aside(path)


def owner_of(path: Path) -> int | None:
    """The process that holds a log's lock; ``None`` when nobody does.

    Asked without trying the lock, which could keep a server from starting.
    """
    lock = path / "lock"
    try:
        held, said = lock.stat(), lock.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not _LOCKS.exists():
        return int(said) if said.isdecimal() and _lives(int(said)) else None
    place = f"{os.major(held.st_dev):02x}:{os.minor(held.st_dev):02x}:{held.st_ino}"
    for line in _LOCKS.read_text("ascii").splitlines():
        fields = line.split()
        if "FLOCK" in fields and place in fields:
            return int(said) if said.isdecimal() else int(fields[fields.index(place) - 1])
    return None


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _identity(path: Path) -> Iterator[Finding]:
    file = path / "app-id"
    if not file.exists():
        return
    text = file.read_bytes().decode("ascii", errors="replace").strip()
    try:
        uuid.UUID(text)
    except ValueError:
        yield Finding(
            _PART,
            "app-id",
            State.BAD,
            f"expected a UUID, found {text!r}",
            "restore log/app-id from a backup: with another one, segments count twice",
        )


@dataclass(slots=True)
class _Sum:
    segments: int = 0
    batches: int = 0
    bytes: int = 0
    damages: int = 0
    damaged_segment: str = ""
    torn_bytes: int = 0


def _segments(path: Path, owner: int | None) -> Finding:
    total = _Sum()
    files = sorted(file for file in path.glob("*.log") if file.stem.isdecimal())
    for file in files:
        _add(total, file, is_active=owner is not None and file == files[-1])
    if not total.segments:
        return Finding(_PART, "segments", State.OK, "nothing waits for the lake")
    waiting = f"{total.batches:,} batches in {total.segments:,} segments, {total.bytes:,} bytes"
    if total.damages:
        return Finding(
            _PART,
            "segments",
            State.BAD,
            f"{waiting}; {total.damages:,} records damaged, the first in {total.damaged_segment}",
            "have the log drained: whole records are kept, damaged ones become dead letters",
        )
    if owner is not None:
        return Finding(_PART, "segments", State.OK, f"{waiting}; being drained")
    torn = f"; {total.torn_bytes:,} bytes of an unfinished write" if total.torn_bytes else ""
    return Finding(
        _PART,
        "segments",
        State.WARN,
        f"{waiting} left by a server that is gone{torn}",
        "start the server, or ask for results: either brings them into the lake",
    )


def _add(total: _Sum, file: Path, *, is_active: bool) -> None:
    try:
        data = file.read_bytes()
    except FileNotFoundError:  # drained since it was listed
        return
    if not data:
        return
    contents = scan(data, int(file.stem))
    total.segments += 1
    total.bytes += len(data)
    total.batches += len(contents.payloads)
    if is_active:
        return  # it may be in the middle of a write
    total.torn_bytes += contents.torn_bytes
    total.damages += len(contents.damages)
    if contents.damages and not total.damaged_segment:
        total.damaged_segment = f"{file.name} at byte {contents.damages[0].offset:,}"


def _set_aside(path: Path) -> Iterator[Finding]:
    files = sorted(path.glob("*.damaged"))
    if files:
        yield Finding(
            _PART,
            "set aside",
            State.WARN,
            f"{len(files):,} damaged segments, the first {files[0].name}",
            "their whole records are in the lake; look into the disk, then remove the files",
        )
