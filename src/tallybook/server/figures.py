"""What a worker says of itself, and what all workers of a server say together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from tallybook.collect import Drained
from tallybook.server.board import Board
from tallybook.server.drainer import Drainer
from tallybook.server.events import EventsEndpoint
from tallybook.server.revisions import RevisionWatch

_EVERY_S: Final = 1.0


class Figures(Struct, frozen=True):
    """One worker's counts since it started, and what is wrong with it at the moment."""

    answers: dict[str, int]
    refused: dict[str, int]
    drained: Drained
    drain_failures: int
    waiting_bytes: int
    sealed_segments: int
    listeners: int
    log_fault: str | None
    drain_fault: str | None


Gather = Callable[[], Sequence[tuple[int, Figures]]]
Meet = Callable[[Callable[[], Figures]], Gather]

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Figures).decode


def alone(own: Callable[[], Figures]) -> Gather:
    """How the only worker gets the figures of all."""
    return lambda: [(1, own())]


def figures_of(endpoint: EventsEndpoint, drainer: Drainer, revisions: RevisionWatch) -> Figures:
    """This worker's figures as they are now."""
    log = drainer.collector.log
    return Figures(
        answers={str(int(status)): count for status, count in endpoint.answers.items()},
        refused=dict(endpoint.refused),
        drained=drainer.collector.drained,
        drain_failures=drainer.failures,
        waiting_bytes=log.waiting_bytes,
        sealed_segments=len(log.sealed()),
        listeners=revisions.listeners,
        log_fault=str(log.fault) if log.fault else None,
        drain_fault=drainer.fault,
    )


class Colleagues:
    """Tells the other workers this one's figures, once a second, and knows theirs."""

    def __init__(self, board: Board, worker: int, own: Callable[[], Figures]) -> None:
        self._board = board
        self._worker = worker
        self._own = own
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tallybook-figures", daemon=True)

    def start(self) -> None:
        """Tell from now on."""
        self._tell()
        self._thread.start()

    def stop(self) -> None:
        """Tell no more."""
        self._stopping.set()
        self._thread.join()
        self._board.close()

    def gather(self) -> Sequence[tuple[int, Figures]]:
        """Every worker's figures with its number, this one's as they are now."""
        self._tell()
        return [(worker, _decode(note)) for worker, note in self._board.notes()]

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            self._tell()

    def _tell(self) -> None:
        self._board.write(self._worker, _encode(self._own()))
