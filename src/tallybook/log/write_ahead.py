"""Verb: the write-ahead log: payloads are safe when their callback says so.

Who owns what: ``append`` and ``seal`` put work into ``_inbox`` under ``_wake`` (a condition) and
return. One thread, ``tallybook-log``, takes all the work there is, writes it with one write and one
fdatasync, and then calls everybody back: the more callers wait, the more share a sync. Only that
thread touches the active segment, so no other lock is needed. Sealed segments are never written
again; whoever drains reads and removes them.

A disk that refuses (full, read-only, broken) fails the appends that were waiting, keeps what was
promised, and is tried again every ``probe_every_s`` until it works.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tallybook.errors import StorageError
from tallybook.log.directory import LogDirectory, read_segment
from tallybook.log.record import Contents, scan
from tallybook.log.segment import ActiveSegment

Done = Callable[[StorageError | None], None]

CLOSED: Final = "the log is closed"


class BusyError(StorageError):
    """More is waiting for the disk than memory has been set aside for; try again soon."""


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How much the log takes at once.

    Attributes:
        max_segment_bytes: A segment is sealed when it reaches this; one is drained in memory.
        max_group_bytes: At most this is written by one sync, so that nobody waits for a huge one.
        max_waiting_bytes: Appends beyond this are refused with ``BusyError``.
        probe_every_s: How often a refusing disk is tried again.
    """

    max_segment_bytes: int = 16 * 2**20
    max_group_bytes: int = 4 * 2**20
    max_waiting_bytes: int = 64 * 2**20
    probe_every_s: float = 1.0


@dataclass(slots=True)
class _Inbox:
    payloads: list[bytes] = field(default_factory=list)
    callbacks: list[Done] = field(default_factory=list)
    seals: list[Future[None]] = field(default_factory=list)
    waiting_bytes: int = 0
    closing: bool = False


class WriteAheadLog:
    """A directory of segments that takes appends from any thread."""

    def __init__(
        self,
        path: Path,
        limits: LogLimits | None = None,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Lock the directory, continue its numbering and start the writing thread.

        Raises:
            LockedError: Another live process holds the directory.
            StorageError: It cannot be created or written.
        """
        self._limits = limits or LogLimits()
        self._clock_ms = clock_ms
        self._directory = LogDirectory(path)
        self._inbox = _Inbox()
        self._wake = threading.Condition()
        self._fault: StorageError | None = None
        try:
            self._active = self._next_segment()
        except BaseException:
            self._directory.close()
            raise
        self._thread = threading.Thread(target=self._run, name="tallybook-log", daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path:
        """The log's directory."""
        return self._directory.path

    @property
    def app_id(self) -> str:
        """The log's own name, kept in its directory: half of what makes a commit happen once."""
        return self._directory.app_id

    @property
    def fault(self) -> StorageError | None:
        """Why the disk refuses at the moment; ``None`` when it does not."""
        return self._fault

    @property
    def waiting_bytes(self) -> int:
        """Bytes of payloads that wait for the disk."""
        return self._inbox.waiting_bytes

    def append(self, payload: bytes, done: Done) -> None:
        """Have a payload written; ``done`` is called once, on the log's thread, and must not block.

        It is given ``None`` when the payload is safe on disk, or why it was not kept.

        Raises:
            BusyError: Too much is waiting already.
            StorageError: The log is closed.
        """
        with self._wake:
            inbox = self._inbox
            if inbox.closing:
                raise StorageError(CLOSED)
            if inbox.waiting_bytes + len(payload) > self._limits.max_waiting_bytes:
                raise BusyError("too much is waiting for the disk; try again in a moment")
            inbox.payloads.append(payload)
            inbox.callbacks.append(done)
            inbox.waiting_bytes += len(payload)
            if len(inbox.payloads) == 1:
                self._wake.notify()

    def seal(self) -> None:
        """Close the active segment if anything is in it, so that it can be drained.

        Raises:
            StorageError: No new segment can be created, or the log is closed.
        """
        sealed: Future[None] = Future()
        with self._wake:
            if self._inbox.closing:
                raise StorageError(CLOSED)
            self._inbox.seals.append(sealed)
            self._wake.notify()
        sealed.result()

    def sealed(self) -> list[int]:
        """Numbers of the segments that are complete, oldest first."""
        active = self._active.number
        return [number for number in self._directory.numbers() if number < active]

    def read(self, number: int) -> Contents:
        """What a sealed segment holds."""
        return scan(read_segment(self.path, number), number)

    def remove(self, number: int) -> None:
        """Remove a sealed segment whose contents are safe elsewhere."""
        self._directory.remove(number)

    def set_aside(self, number: int) -> None:
        """Keep a damaged segment, whose readable part is safe elsewhere, for people to see."""
        self._directory.set_aside(number)

    def close(self) -> None:
        """Write what waits, stop the thread and let go of the directory; again is fine."""
        with self._wake:
            if self._inbox.closing:
                return
            self._inbox.closing = True
            self._wake.notify()
        self._thread.join()
        self._active.close()
        self._directory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        while self._await_work():
            payloads, callbacks, seals = self._take_work()
            if payloads:
                self._commit(payloads, callbacks)
            elif not seals:
                self._probe()
            self._settle(seals)

    def _await_work(self) -> bool:
        with self._wake:
            inbox = self._inbox
            if not (inbox.payloads or inbox.seals or inbox.closing):
                self._wake.wait(self._limits.probe_every_s if self._fault else None)
            return bool(inbox.payloads or inbox.seals or not inbox.closing)

    def _take_work(self) -> tuple[list[bytes], list[Done], list[Future[None]]]:
        with self._wake:
            inbox = self._inbox
            count = _fitting(inbox.payloads, self._limits.max_group_bytes)
            payloads, inbox.payloads = inbox.payloads[:count], inbox.payloads[count:]
            callbacks, inbox.callbacks = inbox.callbacks[:count], inbox.callbacks[count:]
            seals, inbox.seals = inbox.seals, []
            return payloads, callbacks, seals

    def _commit(self, payloads: list[bytes], callbacks: list[Done]) -> None:
        self._fault = self._attempt(lambda: self._active.write(payloads))
        with self._wake:
            self._inbox.waiting_bytes -= sum(map(len, payloads))
        _tell(callbacks, self._fault)
        if self._fault or self._active.size >= self._limits.max_segment_bytes:
            # A new file may be possible where this one cannot grow; if not, the old one goes on.
            self._attempt(self._rotate)

    def _probe(self) -> None:
        if self._fault:
            self._fault = self._attempt(self._active.probe)

    def _settle(self, seals: Sequence[Future[None]]) -> None:
        for seal in seals:
            if error := self._attempt(self._rotate):
                seal.set_exception(error)
            else:
                seal.set_result(None)

    def _attempt(self, act: Callable[[], None]) -> StorageError | None:
        try:
            act()
        except StorageError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the thread must outlive what nobody foresaw
            return StorageError(f"cannot write the log: {error!r}")
        return None

    def _rotate(self) -> None:
        if self._active.size == 0:
            return
        sealed, self._active = self._active, self._next_segment()
        with suppress(OSError):  # every byte of it is synced already
            sealed.close()

    def _next_segment(self) -> ActiveSegment:
        highest = max(self._directory.numbers(), default=0)
        number = max(highest + 1, self._clock_ms())
        return ActiveSegment(self._directory.create(number), number)


def _tell(callbacks: Sequence[Done], fault: StorageError | None) -> None:
    for done in callbacks:
        try:
            done(fault)
        except Exception:  # noqa: BLE001, S112 - a caller's own fault must not stop the log
            continue


def _fitting(payloads: Sequence[bytes], max_bytes: int) -> int:
    """How many payloads from the first on fit into one group, at least one if there are any."""
    total = 0
    for count, payload in enumerate(payloads):
        total += len(payload)
        if total > max_bytes and count:
            return count
    return len(payloads)
