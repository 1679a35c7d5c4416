"""Kills the process it is loaded into, at a moment that its environment names.

Python imports a module of this name at every start where its directory is on the path. In
``TALLYBOOK_SABOTAGE`` stands JSON: ``call`` (what to lie in wait for), ``nth`` (which call of it),
``moment`` (``before`` it, ``within`` or ``after`` it) and, within a call that cannot be cut short
here, ``delay_s``. What dies is the whole process group, as a machine's processes do.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any


def die() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def die_in(delay_s: float) -> None:
    time.sleep(delay_s)
    die()


def is_segment(path: object, **_: object) -> bool:
    return str(path).endswith(".log")


def is_of_the_lake(descriptor: int) -> bool:
    return "/lake/" in str(Path(f"/proc/self/fd/{descriptor}").readlink())


class Saboteur:
    """Lies in wait for the n-th call of one function."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.nth = int(order["nth"])
        self.moment = str(order["moment"])
        self.delay_s = float(order.get("delay_s", 0))
        self.calls = count(1)

    def wrap(
        self, real: Callable[..., Any], concerns: Callable[..., bool], half: Callable[..., Any]
    ) -> Callable[..., Any]:
        def sabotaged(*arguments: Any, **named: Any) -> Any:
            due = concerns(*arguments) and next(self.calls) == self.nth
            if due and self.moment == "before":
                die()
            if due and self.moment == "within":
                half(*arguments)
            done = real(*arguments, **named)
            if due:
                die()
            return done

        return sabotaged

    def later(self, *_: object) -> None:
        threading.Thread(target=die_in, args=(self.delay_s,), daemon=True).start()


def install(order: dict[str, Any]) -> None:
    saboteur = Saboteur(order)
    call = order["call"]
    if call == "pwrite":
        write = os.pwrite

        def half_a_write(descriptor: int, data: memoryview, offset: int) -> None:
            write(descriptor, data[: len(data) // 2], offset)
            die()

        # Anything shorter than a record's head is the lock file's process id.
        os.pwrite = saboteur.wrap(write, lambda _, data, __: len(data) > 16, half_a_write)
    elif call == "fdatasync":
        os.fdatasync = saboteur.wrap(os.fdatasync, lambda _: True, saboteur.later)
    elif call == "fsync":
        os.fsync = saboteur.wrap(os.fsync, is_of_the_lake, saboteur.later)
    elif call == "remove":
        os.unlink = saboteur.wrap(os.unlink, is_segment, saboteur.later)
    elif call == "commit":
        import deltalake

        deltalake.write_deltalake = saboteur.wrap(
            deltalake.write_deltalake, lambda *_: True, saboteur.later
        )
    else:
        raise ValueError(f"TALLYBOOK_SABOTAGE: {call!r} is nothing to lie in wait for")


if asked := os.getenv("TALLYBOOK_SABOTAGE"):
    install(json.loads(asked))
