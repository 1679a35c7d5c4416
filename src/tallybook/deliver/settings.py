"""How delivery and polling behave, checked where they are given."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from tallybook.deliver.quiet_log import LOGGER
from tallybook.errors import ConfigError
from tallybook.model.text import excerpt

LONGEST_S: Final = 1e9  # thirty years; Python's own waiting counts not much further
_MOST: Final = 10**15  # events or bytes
_RANDOM_STEPS: Final = float(2**53)  # every one of them is a double


def chance() -> float:
    """A number in [0, 1), from the operating system: never repeated by a forked child."""
    return (int.from_bytes(os.urandom(7), "big") >> 3) / _RANDOM_STEPS


class DeliverySettings(Struct, frozen=True):
    """Sizes, times and bounds of the outbox.

    Attributes:
        batch_size: Events a request at most.
        flush_interval_s: How long the first event of a batch waits for company.
        max_batch_bytes: Size of a body before compression; the Event API takes 3.5 MB.
        max_waiting_events: Events kept until delivered; more are refused and counted.
        max_waiting_bytes: The same in bytes.
        request_timeout_s: Patience with one request, to connect and between two reads.
        backoff_base_s: The first retry waits a random time up to this; each further one up to
            twice as long.
        backoff_cap_s: The longest such wait.
        max_retry_after_s: The longest ``Retry-After`` that is obeyed.
        refusal_wait_s: The wait after an answer that only a person can change (401, 403, 404 …).
        exit_timeout_s: How long the end of the process may wait for what is not delivered yet.
        journal_sync_s: How often a journal on disk is synced: what a loss of power may cost. A
            process that is killed loses nothing.
        max_journal_bytes: Size of all files of the journal's directory, of all processes; an event
            for which there is no room is in memory only.
        gzip: Compress bodies. Optimizely's own collector is not promised to accept it.
    """

    batch_size: int = 100
    flush_interval_s: float = 1.0
    max_batch_bytes: int = 3_000_000
    max_waiting_events: int = 100_000
    max_waiting_bytes: int = 64 * 2**20
    request_timeout_s: float = 10.0
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 30.0
    max_retry_after_s: float = 300.0
    refusal_wait_s: float = 60.0
    exit_timeout_s: float = 5.0
    journal_sync_s: float = 1.0
    max_journal_bytes: int = 2**30
    gzip: bool | None = None

    def __post_init__(self) -> None:
        if type(self.gzip) not in (bool, type(None)):
            found = excerpt(self.gzip)
            raise ConfigError(f"gzip: expected true, false or None, found {found}")
        check_numbers(self, may_be_zero={"exit_timeout_s", "flush_interval_s"})


class PollingSettings(Struct, frozen=True):
    """How often a datafile is asked for, in seconds.

    ``interval_s`` is stretched or shortened by up to a tenth at random, so that clients do not ask
    in step. With ``stream`` a Tallybook server tells of each new revision, which is then asked for
    at once; it costs a connection and a thread.
    """

    interval_s: float = 60.0
    request_timeout_s: float = 10.0
    backoff_base_s: float = 0.5
    stream: bool = False

    def __post_init__(self) -> None:
        if type(self.stream) is not bool:
            raise ConfigError(f"stream: expected true or false, found {excerpt(self.stream)}")
        check_numbers(self, may_be_zero=set())


class Surroundings(Struct, frozen=True):
    """What the world lends: a clock that never steps back (seconds), chance in [0, 1), a log."""

    monotonic: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = chance
    logger: logging.Logger = LOGGER

    def __post_init__(self) -> None:
        for name in ("monotonic", "chance"):
            if not callable(getattr(self, name)):
                found = type(getattr(self, name)).__name__
                raise ConfigError(f"{name}: expected a function, found {found}")
        if not issubclass(type(self.logger), logging.Logger):
            found = type(self.logger).__name__
            raise ConfigError(f"logger: expected a logging.Logger, found {found}")


def check_numbers(settings: Struct, *, may_be_zero: set[str]) -> None:
    """Demand of every setting that is a number by default that it is one within its bounds.

    Raises:
        ConfigError: One is not.
    """
    for name, default in zip(settings.__struct_fields__, settings.__struct_defaults__, strict=True):
        value = getattr(settings, name)
        if type(default) not in (int, float):
            continue
        is_number = issubclass(type(value), int | float) and type(value) is not bool
        is_whole = type(default) is int
        if is_number and is_whole and not isinstance(value, int):
            raise ConfigError(f"{name}: {excerpt(value)} is not a whole number")
        least = 0 if name in may_be_zero else math.ulp(0.0)
        most = _MOST if is_whole else LONGEST_S
        if not is_number or not _is_between(least, value, most):
            expected = "0 or more" if name in may_be_zero else "more than 0"
            raise ConfigError(
                f"{name}: expected a number, {expected}, at most {most:g}, found {excerpt(value)}"
            )


def _is_between(least: float, value: float, most: float) -> bool:
    try:
        return bool(least <= value <= most)  # NaN is not
    except Exception:  # noqa: BLE001 - a number of somebody's own making
        return False


def bounded_s(timeout_s: float | None) -> float:
    """``timeout_s``, or what comes to the same where it is ``None`` or endless."""
    return LONGEST_S if timeout_s is None else min(timeout_s, LONGEST_S)
