"""What it takes until a server has the events: CPU of the whole process, time, and who waits.

Events are really sent, over HTTP, to a sink in another process. Where they go as fast as they can,
the sink has to confirm every one of them: figures of a contender that loses some would compare with
nothing. At a given rate, those that are lost are a figure themselves.
"""

from __future__ import annotations

import gc
import time
from array import array
from contextlib import suppress
from typing import Any, Final

from benchmarks.contenders import LostError, Setup, User
from benchmarks.datafiles import EVENT_KEY, SMALL, datafile
from benchmarks.sink import counted
from benchmarks.task import Figures, Task
from benchmarks.visitors import Visitor, event_tags, visitors

BATCH_SIZE: Final = 100
RATE_PER_S: Final = 1_000

_USERS: Final = 100
_WARM_UP: Final = 5 * BATCH_SIZE  # the first connection, and modules imported when first sending
_PAUSE_S: Final = 0.005  # a twentieth of what it takes to work a full backlog off


def deliver(task: Task) -> Figures:
    """``size`` events as fast as the contender takes them without dropping any."""
    return _deliver(task, is_user_new=False)


def deliver_for_new_users(task: Task) -> Figures:
    """The same with a new user context for each event, as most services have it."""
    return _deliver(task, is_user_new=True)


def wait(task: Task) -> Figures:
    """How long a caller waits for ``track_event`` while 1,000 events a second are delivered.

    Batches are as large as the contender makes them by default: larger ones would lengthen the
    official SDK's longest waits.
    """
    size = _whole_batches(task.size)
    text, tags, guests = datafile(SMALL), event_tags(size), visitors(_USERS)
    contender = task.contender()
    setup = contender.sending(text, task.events_url, contender.batch_size)
    users = _users(setup, guests)
    _warm_up(setup, users)
    gc.collect()
    waited_ns = _paced(users, tags)
    with suppress(LostError):
        setup.settle(_WARM_UP + size)
    in_order = sorted(waited_ns)
    return {
        "lost": _WARM_UP + size - counted(task.sink_url, task.label),
        "p50_us": _percentile(in_order, 0.5) / 1e3,
        "p99_us": _percentile(in_order, 0.99) / 1e3,
        "p999_us": _percentile(in_order, 0.999) / 1e3,
    }


def _deliver(task: Task, *, is_user_new: bool) -> Figures:
    size = _whole_batches(task.size)
    text, tags = datafile(SMALL), event_tags(size)
    guests = visitors(size if is_user_new else _USERS)
    contender = task.contender()
    setup = contender.sending(text, task.events_url, BATCH_SIZE)
    users = [] if is_user_new else _users(setup, guests)
    _warm_up(setup, users or _users(setup, guests[:_USERS]))
    gc.collect()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    delivered = _WARM_UP
    for begin in range(0, size, BATCH_SIZE):
        batch = tags[begin : begin + BATCH_SIZE]
        for user, its_tags in zip(
            users or _users(setup, guests[begin : begin + BATCH_SIZE]), batch, strict=True
        ):
            user.track_event(EVENT_KEY, its_tags)
        tracked = _WARM_UP + begin + BATCH_SIZE
        while tracked - delivered > contender.max_waiting:
            delivered = setup.delivered()
            if tracked - delivered > contender.max_waiting:
                time.sleep(_PAUSE_S)
    setup.settle(_WARM_UP + size)
    taken_cpu_s, taken_s = time.process_time() - began_cpu_s, time.perf_counter() - began_s
    _confirm(task, setup, _WARM_UP + size)
    return {"cpu_us": taken_cpu_s / size * 1e6, "events_per_s": size / taken_s}


def _whole_batches(size: int) -> int:
    return max(1, round(size / BATCH_SIZE)) * BATCH_SIZE


def _users(setup: Setup, guests: list[Visitor]) -> list[User]:
    return [setup.user(visitor.user_id, visitor.attributes) for visitor in guests]


def _warm_up(setup: Setup, users: list[User]) -> None:
    for number, tags in enumerate(event_tags(_WARM_UP)):
        users[number % len(users)].track_event(EVENT_KEY, tags)
    setup.settle(_WARM_UP)


def _paced(users: list[User], tags_of_events: list[dict[str, Any]]) -> array[int]:
    """Nanoseconds each call took, made at the rate whatever the calls before it took."""
    waited_ns = array("q", bytes(8 * len(tags_of_events)))
    clock_ns = time.perf_counter_ns
    began_s = time.perf_counter()
    for number, tags in enumerate(tags_of_events):
        user = users[number % len(users)]
        early_s = began_s + number / RATE_PER_S - time.perf_counter()
        if early_s > 0:
            time.sleep(early_s)
        called_ns = clock_ns()
        user.track_event(EVENT_KEY, tags)
        waited_ns[number] = clock_ns() - called_ns
    return waited_ns


def _percentile(in_order: list[int], share: float) -> int:
    return in_order[min(len(in_order) - 1, int(share * len(in_order)))]


def _confirm(task: Task, setup: Setup, events: int) -> None:
    setup.settle(events)
    arrived = counted(task.sink_url, task.label)
    if arrived != events:
        raise LostError(f"{arrived} of {events} events arrived")
