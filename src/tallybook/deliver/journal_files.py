"""The files of a journal's pages: made, and found when nobody owns them any more.

A page is locked before it has its name, so whoever can lock a page by its name knows that its owner
is gone.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

from tallybook.deliver.journal import SUFFIX
from tallybook.deliver.journal_page import Page, beginning
from tallybook.deliver.quiet_log import QuietLog

QUARANTINE: Final = "quarantine.jsonl"

_UNNAMED: Final = ".new"
_DAMAGED: Final = ".damaged"
_NAMING_S: Final = 60.0  # how long it may take from a page's making to its lock
_PRIVATE: Final = 0o600  # events hold visitor ids


def make_page(directory: Path, prefix: bytes, first: int, size: int, most: int) -> Page:
    """A new page of ``size`` bytes, locked; the disk has room for all of it.

    Raises:
        OSError: There is no room, or no right to, or all pages would take more than ``most`` bytes.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    taken = _taken(directory)
    if taken + size > most:
        raise OSError(errno.EDQUOT, f"it takes {taken} of the {most} bytes it may", str(directory))
    path = directory / (os.urandom(12).hex() + SUFFIX)
    unnamed = path.with_suffix(_UNNAMED)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    file = FileIO(os.open(unnamed, flags, _PRIVATE), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _reserve(file, size)
        os.pwrite(file.fileno(), beginning(prefix, first), 0)
        page = Page(path, file)
        unnamed.rename(path)
    except BaseException:
        file.close()
        with suppress(OSError):
            unnamed.unlink()
        raise
    return page


def ownerless_pages(directory: Path, own: set[Path], log: QuietLog) -> Iterator[Page]:
    """Pages whose owner is gone, locked one by one."""
    for path in _named(directory, _UNNAMED):
        _sweep(path)
    for path in sorted(_named(directory, SUFFIX)):
        if path in own:
            continue
        file = _locked(path)
        if file is None:
            continue
        try:
            yield Page(path, file)
        except (OSError, ValueError) as error:
            file.close()
            with suppress(OSError):
                path.rename(path.with_suffix(_DAMAGED))
            message = "%s is set aside, it cannot be read: %s"
            log.say(logging.ERROR, f"unreadable {path}", message, path, error)


def set_aside(directory: Path, text: bytes, most: int) -> bool:
    """Add to what is in quarantine; false when that would be more than ``most`` bytes.

    Raises:
        OSError: It cannot be written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    file = os.open(directory / QUARANTINE, flags, _PRIVATE)
    try:
        if os.fstat(file).st_size + len(text) > most:
            return False
        os.write(file, text)  # other processes add theirs before or after it
    finally:
        os.close(file)
    return True


def _taken(directory: Path) -> int:
    """Bytes of all pages."""
    taken = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                with suppress(FileNotFoundError):  # its owner has removed it meanwhile
                    taken += entry.stat().st_size
    return taken


def _sweep(path: Path) -> None:
    """Remove a page that its owner did not live to name."""
    with suppress(OSError):
        is_old = time.time() - path.stat().st_mtime > _NAMING_S
        file = _locked(path) if is_old else None
        if file is not None:
            path.unlink()
            file.close()


def _named(directory: Path, suffix: str) -> Iterator[Path]:
    try:
        with os.scandir(directory) as entries:
            yield from [directory / e.name for e in entries if e.name.endswith(suffix)]
    except OSError:  # nobody has written there yet
        return


def _locked(path: Path) -> FileIO | None:
    try:
        file = FileIO(os.open(path, os.O_RDWR | os.O_CLOEXEC), "r+")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_nlink:  # and was not removed by its last owner meanwhile
            return file
    except OSError:
        pass
    file.close()
    return None


def _reserve(file: FileIO, size: int) -> None:
    """Have the disk set ``size`` bytes aside: a mapping has no other way to say that it is full."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        os.pwrite(file.fileno(), bytes(size), 0)
