"""A worker as a process of its own: ``python -m tallybook.server.worker_process``.

It is told what to do over its standard input, which then stays open as long as its parent lives,
and says on its standard output, once, whether it has started.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

import msgspec
from msgspec import Struct

from tallybook.errors import TallybookError
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.server.board import Board
from tallybook.server.figures import Colleagues, Figures, Gather
from tallybook.server.settings import ServerSettings
from tallybook.server.worker import RouteMaker, work


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is to do, and the descriptors it inherits for that."""

    settings: ServerSettings
    make_routes: RouteMaker
    listener: int
    board: int


class Started(Struct, frozen=True):
    """That a worker takes requests, or why it does not: an error of ours by name, and its words."""

    kind: str = ""
    error: str | None = None


def main(orders: IO[bytes], answers: IO[bytes]) -> int:
    """Do what is ordered; the status of the process."""
    task: Task = pickle.load(orders)  # noqa: S301 - from our own parent
    threading.Thread(target=_end_with, args=(orders,), daemon=True).start()

    def say(started: Started) -> None:
        answers.write(msgspec.json.encode(started) + b"\n")

    try:
        return _work(task, lambda: say(Started()))
    except TallybookError as error:
        say(Started(type(error).__name__, str(error)))
        return 1


def _work(task: Task, started: Callable[[], None]) -> int:
    settings = task.settings
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(fileno=task.listener))
        board = Board(task.board, settings.workers)

        def meet(own: Callable[[], Figures]) -> Gather:
            colleagues = Colleagues(board, settings.worker, own)
            colleagues.start()
            stack.callback(colleagues.stop)
            return colleagues.gather

        log = stack.enter_context(WriteAheadLog(settings.own_log))
        return work(settings, log, listener, task.make_routes, started, meet)


def _end_with(orders: IO[bytes]) -> None:
    """Stop as soon as the parent is gone: nobody else would start this worker again."""
    while os.read(orders.fileno(), 1):  # not through its buffer, which the exit wants to have
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0) as told:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # should a library print something
        status = main(sys.stdin.buffer, told)
    sys.exit(status)
