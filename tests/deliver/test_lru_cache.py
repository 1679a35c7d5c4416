"""What is kept, for how long, and what goes first; with a clock that is set by hand."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.deliver.lru_cache import LruCache


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def kept(cache: LruCache[str, int], keys: str) -> str:
    return "".join(key for key in keys if cache.peek(key) is not None)


def filled(capacity: int, timeout_s: float, clock: Clock, keys: str) -> LruCache[str, int]:
    cache: LruCache[str, int] = LruCache(capacity, timeout_s, clock)
    for number, key in enumerate(keys):
        cache.save(key, number)
    return cache


def test_what_was_saved_is_found_and_nothing_else(clock: Clock) -> None:
    cache = filled(3, 10.0, clock, "ab")
    assert (cache.lookup("a"), cache.lookup("b"), cache.lookup("c")) == (0, 1, None)
    cache.save("a", 7)
    assert (cache.peek("a"), cache.peek("a"), cache.lookup("a")) == (7, 7, 7)


@pytest.mark.parametrize(
    ("use", "rest"),
    [
        (lambda cache: cache.lookup("a"), "acd"),
        (lambda cache: cache.save("a", 9), "acd"),
        (lambda cache: cache.peek("a"), "bcd"),
        (lambda cache: cache.lookup("z"), "bcd"),
    ],
    ids=["looked up", "saved again", "peeked at", "another looked up"],
)
def test_the_least_recently_used_makes_room(clock: Clock, use: object, rest: str) -> None:
    cache = filled(3, 10.0, clock, "abc")
    assert callable(use)
    use(cache)
    cache.save("d", 4)
    assert kept(cache, "abcd") == rest


def test_a_value_is_good_until_its_time_is_over_however_often_it_is_read(clock: Clock) -> None:
    cache = filled(3, 64.0, clock, "ab")
    clock.now += 63.999
    assert cache.lookup("a") == 0
    clock.now += 0.001
    assert cache.lookup("a") is None
    assert kept(cache, "ab") == "b"  # looking at what is outdated removes it, peeking does not


def test_saving_again_makes_a_value_young(clock: Clock) -> None:
    cache = filled(3, 10.0, clock, "a")
    clock.now += 9
    cache.save("a", 1)
    clock.now += 9
    assert cache.lookup("a") == 1


@pytest.mark.parametrize("timeout_s", [0, -1])
def test_without_a_timeout_nothing_becomes_outdated(clock: Clock, timeout_s: float) -> None:
    cache = filled(3, timeout_s, clock, "a")
    clock.now += 1e9
    assert cache.lookup("a") == 0


@pytest.mark.parametrize("capacity", [0, -1])
def test_without_room_nothing_is_kept(clock: Clock, capacity: int) -> None:
    cache = filled(capacity, 10.0, clock, "a")
    assert cache.lookup("a") is cache.peek("a") is None
    cache.remove("a")
    cache.reset()


def test_removing_forgets_one_and_resetting_all(clock: Clock) -> None:
    cache = filled(3, 10.0, clock, "abc")
    cache.remove("b")
    cache.remove("z")
    assert kept(cache, "abc") == "ac"
    cache.reset()
    assert kept(cache, "abc") == ""


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["lookup", "save", "remove"]), st.sampled_from("abcdef"))),
)
def test_it_holds_the_last_used_whatever_is_done(
    capacity: int, uses: list[tuple[str, str]]
) -> None:
    cache: LruCache[str, int] = LruCache(capacity, 0)
    expected: list[str] = []
    for number, (use, key) in enumerate(uses):
        was_there = key in expected
        expected = [other for other in expected if other != key]
        if use == "save":
            cache.save(key, number)
        elif use == "remove":
            cache.remove(key)
        else:
            assert (cache.lookup(key) is not None) == was_there
        if use == "save" or (use == "lookup" and was_there):
            expected = [*expected, key][-capacity:]
    assert kept(cache, "abcdef") == "".join(sorted(expected))


def test_threads_that_share_it_do_not_overfill_it_or_mix_its_values() -> None:
    cache: LruCache[int, int] = LruCache(50, 0)
    faults: list[object] = []

    def work(start: int) -> None:
        try:
            for number in range(start, start + 3000):
                cache.save(number % 100, number % 100)
                found = cache.lookup((number * 7) % 100)
                if found not in (None, (number * 7) % 100):
                    faults.append(found)
        except BaseException as fault:  # noqa: BLE001 - a thread's fault is the test's
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len([key for key in range(100) if cache.peek(key) is not None]) == 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_while_the_cache_is_in_use_can_use_it_too() -> None:
    is_inside, is_over = threading.Event(), threading.Event()

    class Slow(str):
        __slots__ = ()

        def __hash__(self) -> int:
            if threading.current_thread() is user:
                is_inside.set()
                is_over.wait(10)
            return super().__hash__()

        __eq__ = str.__eq__

    cache: LruCache[str, int] = LruCache(3, 0)
    cache.save("kept", 7)
    user = threading.Thread(target=cache.lookup, args=(Slow("other"),))
    user.start()
    assert is_inside.wait(10)  # the lock is held now
    child = os.fork()
    if child == 0:
        signal.alarm(5)  # which ends a process that waits for ever
        os._exit(cache.lookup("kept") or 0)
    is_over.set()
    user.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
