"""The server's end of the process that drains: started when needed, and again when it has ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from tallybook.collect import Drained, Segment
from tallybook.errors import StorageError
from tallybook.server.draining import Order, Reply

_encode: Final = msgspec.json.Encoder().encode
_reply: Final = msgspec.json.Decoder(Reply)


class _EndedError(StorageError):
    """The process ended before it replied."""


class DrainProcess:
    """Brings segments into one lake, in a process of its own; from one thread at a time."""

    def __init__(self, lake_uri: str) -> None:
        self._lake_uri = lake_uri
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id; ``None`` while there is none."""
        return self._process.pid if self._process else None

    def bring(self, segment: Segment, promoted: Sequence[str] = ()) -> Drained:
        """Have a sealed segment committed to the lake.

        Should the process end meanwhile, another one is asked: what is committed counts once.

        Raises:
            StorageError: Log or lake refused, or that one ended too; the next call starts another.
        """
        order = Order(str(segment.log), segment.app_id, segment.number, tuple(promoted))
        try:
            reply = self._ask(order)
        except _EndedError:
            reply = self._ask(order)
        if reply.error is not None:
            raise StorageError(reply.error)
        return reply.drained

    def close(self) -> None:
        """Let it finish what it does, and end it."""
        if self._process is not None:
            process, self._process = self._process, None
            _end(process)

    def _ask(self, order: Order) -> Reply:
        process = self._process = self._process or self._start()
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(_encode(order) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            self._process = None
            status = _end(process)
            raise _EndedError(f"the process that drains the log ended (status {status})")
        return _reply.decode(line)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tallybook.server.draining", self._lake_uri]
        try:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - ourselves
        except OSError as error:
            raise StorageError(f"cannot start the process that drains the log: {error}") from error


def _end(process: subprocess.Popen[bytes]) -> int:
    process.communicate()  # closes its input, which ends it
    return process.returncode
