"""The parent of several workers: starts them, starts them again, and stops them all.

It holds the socket that they all listen on and takes no requests itself, so there is little in it
that could fail. A worker that ends costs the requests it had, which its clients send again; what it
had acknowledged is in its log, and the worker that takes its place goes on with that.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import replace
from typing import Final

import msgspec
import structlog

from tallybook import errors
from tallybook.errors import StorageError, TallybookError
from tallybook.server.board import Board
from tallybook.server.listening import announce
from tallybook.server.settings import ServerSettings
from tallybook.server.worker import RouteMaker
from tallybook.server.worker_process import Started, Task

_FIRST_PAUSE_S: Final = 1.0  # before a worker is started again; doubled while it does not start
_LONGEST_PAUSE_S: Final = 30.0

_log = structlog.get_logger("tallybook.server")
_started: Final = msgspec.json.Decoder(Started)


class Supervisor:
    """``settings.workers`` processes that take requests at one listener."""

    def __init__(
        self, settings: ServerSettings, listener: socket.socket, make_routes: RouteMaker
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._make_routes = make_routes
        self._stopping = asyncio.Event()
        self._processes: dict[int, Process] = {}
        self._ready: set[int] = set()
        self._is_announced = False
        self._fault: TallybookError | None = None
        self._status = 0

    async def run(self) -> int:
        """Run the workers until SIGTERM or SIGINT.

        Returns:
            0, or 1 when a worker did not end well although it was told to.

        Raises:
            TallybookError: Not all workers could be started; those that were have ended.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        workers = self._settings.workers
        self._board_fd = Board.make(workers)
        self._board = Board(self._board_fd, workers)
        try:
            await asyncio.gather(*(self._keep(number + 1) for number in range(workers)))
        finally:
            self._board.close()
            os.close(self._board_fd)
        if self._fault:
            raise self._fault
        return self._status

    def _stop(self) -> None:
        self._stopping.set()
        for process in self._processes.values():
            _terminate(process)

    async def _keep(self, number: int) -> None:
        """Have a worker run, whatever becomes of it, until all are to stop."""
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            process = await self._start(number)
            fault = await _fault_of(process)
            if fault is None:
                self._welcome(number)
                pause_s = _FIRST_PAUSE_S
            status = await process.wait()
            self._board.clear(number)
            if self._stopping.is_set():
                self._status |= status not in (0, -signal.SIGTERM)
            elif not self._is_announced:
                self._fault = fault or StorageError(f"worker {number} ended (status {status})")
                self._stop()
            else:
                reason = str(fault) if fault else None
                _log.error(
                    "worker ended; starting another", worker=number, status=status, reason=reason
                )
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _start(self, number: int) -> Process:
        listener, board = self._listener.fileno(), self._board_fd
        process = self._processes[number] = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tallybook.server.worker_process"),
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=(listener, board),
        )
        if self._stopping.is_set():
            _terminate(process)
        task = Task(replace(self._settings, worker=number), self._make_routes, listener, board)
        assert process.stdin is not None  # noqa: S101 - it is a pipe, and stays open: its end
        process.stdin.write(pickle.dumps(task))  # tells the worker that its parent is gone
        return process

    def _welcome(self, number: int) -> None:
        self._ready.add(number)
        if len(self._ready) == self._settings.workers and not self._is_announced:
            self._is_announced = True
            announce(self._listener)


async def _fault_of(process: Process) -> TallybookError | None:
    """Why a worker does not start; ``None`` once it takes requests, or when it just ended."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    line = await process.stdout.readline()
    if not line:
        return StorageError("it said nothing before it took requests")
    started = _started.decode(line)
    if started.error is None:
        return None
    kind = getattr(errors, started.kind, StorageError)
    fault: TallybookError = kind(started.error)
    return fault


def _terminate(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
