"""What calls cost the thread that makes them, in µs of its own CPU time.

CPU time is lengthened little by whatever else the machine does. Each figure is a mean over some
repetitions after one that is not counted, so that garbage collection has its share in it. Visitors,
tags and user contexts are made beforehand.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from benchmarks.contenders import NO_EVENT, Setup, User
from benchmarks.datafiles import EVENT_KEY, LARGE, SMALL, datafile
from benchmarks.task import Figures, Task
from benchmarks.visitors import Visitor, event_tags, visitors

REPETITIONS: Final = 9
_FLAG_KEYS: Final = [f"flag_{number}" for number in range(SMALL.flags)]


def track_event(task: Task) -> Figures:
    """``size`` events with six attributes and five tags: of one user context, and of a new one.

    And again of one with a journal on disk, in memory where the SDK has none.
    """
    text, tags, guests = datafile(SMALL), event_tags(task.size), visitors(task.size)
    contender = task.contender()
    setup = contender.quiet(text)
    user = _user(setup, guests[0])
    with tempfile.TemporaryDirectory() as folder:
        safe = contender.safe(text, folder)
        safe_user = _user(safe, guests[0])
        return {
            "track_us": _mean_us(setup, lambda: _track(user, tags), task.size),
            "create_and_track_us": _mean_us(
                setup, lambda: _create_and_track(setup, guests, tags), task.size
            ),
            "track_safe_us": _mean_us(safe, lambda: _track(safe_user, tags), task.size),
        }


def decide(task: Task) -> Figures:
    """Every flag of the small datafile for ``size`` visitors, without and with the event."""
    text, guests = datafile(SMALL), visitors(task.size)
    setup = task.contender().quiet(text)
    calls = task.size * len(_FLAG_KEYS)
    return {
        "decide_us": _mean_us(setup, lambda: _decide(_users(setup, guests), NO_EVENT), calls),
        "decide_and_send_us": _mean_us(setup, lambda: _decide(_users(setup, guests), None), calls),
    }


def decide_all(task: Task) -> Figures:
    """All flags of the large datafile for ``size`` visitors, without events."""
    text, guests = datafile(LARGE), visitors(task.size)
    setup = task.contender().quiet(text)
    figure_us = _mean_us(setup, lambda: _decide_all(_users(setup, guests)), task.size)
    return {"decide_all_ms": figure_us / 1e3}


def construct(task: Task) -> Figures:
    """A client of the large datafile, validated; then its first decisions, as work may wait."""
    small, large, someone = datafile(SMALL), datafile(LARGE), visitors(1)[0]
    contender = task.contender()
    _user(contender.plain(small), someone).decide(_FLAG_KEYS[0], NO_EVENT)
    began = time.process_time_ns()
    setup = contender.plain(large)
    made = time.process_time_ns()
    _user(setup, someone).decide_all(NO_EVENT)
    decided = time.process_time_ns()
    return {"construct_ms": (made - began) / 1e6, "first_decisions_ms": (decided - began) / 1e6}


def _mean_us(setup: Setup, repetition: Callable[[], int], calls: int) -> float:
    """Of a call, from a ``repetition`` that tells the nanoseconds of its ``calls``."""
    taken = []
    for _ in range(REPETITIONS + 1):
        taken.append(repetition())
        setup.forget()
    return statistics.mean(taken[1:]) / calls / 1e3


def _user(setup: Setup, visitor: Visitor) -> User:
    return setup.user(visitor.user_id, visitor.attributes)


def _users(setup: Setup, guests: Iterable[Visitor]) -> list[User]:
    return [_user(setup, visitor) for visitor in guests]


def _track(user: User, tags_of_events: list[dict[str, Any]]) -> int:
    track = user.track_event
    began = time.thread_time_ns()
    for tags in tags_of_events:
        track(EVENT_KEY, tags)
    return time.thread_time_ns() - began


def _create_and_track(
    setup: Setup, guests: list[Visitor], tags_of_events: list[dict[str, Any]]
) -> int:
    create = setup.user
    began = time.thread_time_ns()
    for visitor, tags in zip(guests, tags_of_events, strict=True):
        create(visitor.user_id, visitor.attributes).track_event(EVENT_KEY, tags)
    return time.thread_time_ns() - began


def _decide(users: list[User], options: list[str] | None) -> int:
    began = time.thread_time_ns()
    for user in users:
        for key in _FLAG_KEYS:
            user.decide(key, options)
    return time.thread_time_ns() - began


def _decide_all(users: list[User]) -> int:
    began = time.thread_time_ns()
    for user in users:
        user.decide_all(NO_EVENT)
    return time.thread_time_ns() - began
