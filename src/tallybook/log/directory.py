"""Verb: the files of one log: its lock, its identity, its numbered segments.

Numbers are never used twice, since the lake takes a number it has seen for a segment it has already
kept. Two things see to that, each enough alone: the segment with the highest number is removed only
when a higher one exists, and a new number is never below the clock's milliseconds.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tallybook.errors import LockedError, StorageError

_SUFFIX: Final = ".log"
_DAMAGED: Final = ".damaged"
_WORKER: Final = "worker-"
_DIGITS: Final = 20
_PRIVATE: Final = 0o600  # bodies hold visitor ids


class LogDirectory:
    """A directory held by this process alone until ``close``; ``app_id`` names the log for good."""

    def __init__(self, path: Path) -> None:
        """Create the directory where it is missing, lock it, and read its identity.

        Raises:
            LockedError: Another live process holds it.
            StorageError: It cannot be created, written or read.
        """
        self.path = path
        with refusing(f"{path}: cannot open the log"):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, _PRIVATE)
            try:
                self._hold()
                self.app_id = self._identity()
            except BaseException:
                os.close(self._lock)
                raise

    def numbers(self) -> list[int]:
        """Numbers of the segments there are, ascending."""
        with refusing(f"{self.path}: cannot list the log"):
            return sorted(_numbers(self.path))

    def create(self, number: int) -> int:
        """A file descriptor of a new, empty segment, whose name is already safe on disk."""
        with refusing(f"{self.path}: cannot create a log segment"):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            descriptor = os.open(self._file(number), flags, _PRIVATE)
            try:
                _sync_directory(self.path)
            except OSError:
                os.close(descriptor)
                raise
            return descriptor

    def remove(self, number: int) -> None:
        """Remove a segment that is in the lake; gone already is fine."""
        with refusing(f"{self.path}: cannot remove log segment {number}"):
            self._file(number).unlink(missing_ok=True)

    def set_aside(self, number: int) -> None:
        """Keep a damaged segment under another name, for people to look at."""
        path = self._file(number)
        with refusing(f"{path}: cannot set the damaged log segment aside"):
            path.replace(path.with_suffix(_DAMAGED))

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._lock)

    def _file(self, number: int) -> Path:
        return self.path / _name(number)

    def _hold(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._lock, 32, 0).decode("ascii", errors="replace").strip()
            by = f"process {owner}" if owner else "another process"
            raise LockedError(
                f"{self.path}: locked by {by}; stop it or choose another data directory"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _identity(self) -> str:
        path = self.path / "app-id"
        if not path.exists():
            fresh = self.path / "app-id.new"
            fresh.write_text(f"{uuid.uuid4()}\n", encoding="ascii")
            _sync(fresh)
            fresh.replace(path)
            _sync_directory(self.path)
            _sync_directory(self.path.parent)
        text = path.read_bytes().decode("ascii", errors="replace").strip()
        try:
            return str(uuid.UUID(text))
        except ValueError:
            raise StorageError(f"{path}: expected a UUID, found {text!r}") from None


def read_segment(path: Path, number: int) -> bytes:
    """All bytes of a segment of the log at ``path``, whoever holds the log.

    Raises:
        StorageError: It cannot be read.
    """
    file = path / _name(number)
    with refusing(f"{file}: cannot read the log segment"):
        return file.read_bytes()


def worker_log(path: Path, worker: int) -> Path:
    """The log of a server's worker under the server's log directory; the first one's is that."""
    return path if worker == 1 else path / f"{_WORKER}{worker}"


def log_paths(path: Path) -> list[Path]:
    """Every log there is under a server's log directory, by its workers' numbers.

    Raises:
        StorageError: It cannot be listed.
    """
    with refusing(f"{path}: cannot list the logs"):
        if not path.is_dir():
            return []
        names = [p.name.removeprefix(_WORKER) for p in path.iterdir() if _is_worker_log(p)]
    return [path, *(worker_log(path, number) for number in sorted(map(int, names)))]


def holds_payloads(path: Path) -> bool:
    """True when a log stands at ``path`` with something in it; asked without locking anything."""
    with refusing(f"{path}: cannot list the log"):
        return path.is_dir() and any(_size(path / _name(number)) for number in _numbers(path))


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn the operating system's errors into ``StorageError`` that says what could not be done."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{what}: {error.strerror or error}") from error


def _is_worker_log(path: Path) -> bool:
    return path.name.startswith(_WORKER) and path.name.removeprefix(_WORKER).isdecimal()


def _name(number: int) -> str:
    return f"{number:0{_DIGITS}d}{_SUFFIX}"


def _numbers(path: Path) -> Iterator[int]:
    for file in path.iterdir():  # unlike a glob it says so when it is not allowed to look
        if file.suffix == _SUFFIX and file.stem.isdecimal():
            yield int(file.stem)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # drained by its owner since it was listed
        return 0


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    _sync(path)
