"""The files of a journal's pages: made, and found when nobody owns them any more.

A page is locked before it has its name, so whoever can lock a page by its name knows that its owner
is gone.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

from tallybook.deliver.journal_page import Page, beginning
from tallybook.deliver.quiet_log import QuietLog

SUFFIX: Final = ".journal"

_UNNAMED: Final = ".new"
_DAMAGED: Final = ".damaged"
_NAMING_S: Final = 60.0  # how long it may take from a page's making to its lock
_PRIVATE: Final = 0o600  # events hold visitor ids


def make_page(directory: Path, prefix: bytes, first: int, size: int) -> Page:
    """A new page of ``size`` bytes, locked; the disk has room for all of it.

    Raises:
        OSError: There is no room, or no right to.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
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


def has_pages(directory: Path) -> bool:
    """True when there may be something to adopt."""
    return next(_named(directory, SUFFIX), None) is not None


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
