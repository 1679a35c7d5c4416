"""The process that brings log segments into the lake: ``python -m tallybook.server.draining URI``.

It is asked over its standard input and answers on its standard output, a line of JSON each, and
ends when its input does. Decoding and committing would otherwise take the interpreter away from
the intake for hundreds of milliseconds at a time.

It removes nothing: the owner of the log does, once it is told. Left behind by a server that was
killed it finishes its segment at most, and whoever drains that segment too finds it done.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from typing import IO, Final

import msgspec
from msgspec import Struct

from tallybook.collect import Drained, EventLake, Segment, bring_segment
from tallybook.errors import TallybookError
from tallybook.lake.tables import Lake
from tallybook.server.problems import where

_NICER: Final = 5  # intake comes first where there is not enough for both


class Order(Struct, frozen=True):
    """A segment that is to be brought into the lake."""

    log: str
    app_id: str
    number: int
    promoted: tuple[str, ...]


class Reply(Struct, frozen=True):
    """What became of it; ``error`` is why it is not in the lake, in words for people."""

    drained: Drained = Drained()
    error: str | None = None


_order: Final = msgspec.json.Decoder(Order)
_encode: Final = msgspec.json.Encoder().encode


def work(orders: IO[bytes], replies: IO[bytes], lake: EventLake) -> None:
    """Carry out every order, until there are no more or nobody hears the replies."""
    for line in orders:
        reply = _carry_out(_order.decode(line), lake)
        try:
            replies.write(_encode(reply) + b"\n")
        except BrokenPipeError:
            return


def _carry_out(order: Order, lake: EventLake) -> Reply:
    segment = Segment(Path(order.log), order.app_id, order.number)
    try:
        return Reply(bring_segment(segment, lake, order.promoted))
    except TallybookError as error:
        return Reply(error=str(error))
    except Exception as error:  # noqa: BLE001 - the lake's libraries raise what they like
        return Reply(error=f"{type(error).__name__} at {where(error)}")
    finally:
        gc.collect()


def _main(lake_uri: str) -> None:
    # Signals are for the server, which still needs this process when it is told to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICER)
    # A segment is a hundred thousand small values, none of them in a cycle: looking through them
    # again and again took a third of the time.
    gc.freeze()
    gc.disable()
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0) as replies:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # should a library print something
        work(sys.stdin.buffer, replies, Lake(lake_uri))


if __name__ == "__main__":
    _main(sys.argv[1])
