"""Drafts are appended without a lock, and none is overlooked, however the threads take turns."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sinks import Answer, Sink
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.journal import Envelope, Item, Origin
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.settings import DeliverySettings
from tallybook.deliver.worker import THREAD_NAME

NEVER_S = 3_600.0


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


class Door:
    """An outbox, and drafts to leave there as the shortcut does."""

    def __init__(self, sink: Sink, **settings: Any) -> None:
        self.origin = Origin(Envelope(sink.url + "/v1/events", b'{"visitors":[', b"]}"))
        self.outbox = Outbox(DeliverySettings(**settings), KeepAliveHttp(5.0))
        self.outbox.write_with(lambda drafts: [draft.text for draft in drafts])

    def leave(self, *numbers: int) -> None:
        for number in numbers:
            text = str(number).encode()
            self.outbox.drafts.append(Item(self.origin, text, frame="a frame"))
            if len(self.outbox.drafts) >= self.outbox.until_due:
                self.outbox.attend()

    def is_taken_in(self) -> bool:
        return eventually(lambda: not self.outbox.drafts)


def eventually(is_so: Callable[[], bool], within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_so()


@pytest.mark.parametrize("look", range(1, 9))
def test_a_draft_that_comes_just_after_the_worker_looked_is_not_overlooked(
    sink: Sink, look: int
) -> None:
    door = Door(sink, flush_interval_s=0.01)

    class Drafts(deque[Item]):
        """Another one comes right after the worker's look of that number."""

        looks = 0

        def __len__(self) -> int:
            length = super().__len__()
            if threading.current_thread().name == THREAD_NAME:
                self.looks += 1
                if self.looks == look:
                    caller = threading.Thread(target=door.leave, args=(2,))
                    caller.start()
                    caller.join(0.05)  # it may have to wait for the worker
            return length

    drafts = Drafts()
    door.outbox.drafts = drafts
    door.leave(1)
    while not eventually(lambda: drafts.looks >= look, 0.3):
        door.leave(3)
    assert eventually(lambda: 2 in sink.visitors), "nobody came for it"
    assert door.outbox.close(5) == 0


def test_the_worker_takes_many_in_before_a_batch_is_full(sink: Sink) -> None:
    door = Door(sink, batch_size=1_000_000, flush_interval_s=NEVER_S, max_waiting_events=1_000_000)
    door.leave(*range(1_000))
    assert door.is_taken_in()
    door.leave(*range(1_000, 1_999))
    time.sleep(0.05)
    assert len(door.outbox.drafts) == 999
    assert door.outbox.flush(10)
    assert sink.visitors == list(range(1_999))
    door.outbox.close(5)


def test_as_many_wait_as_may_while_the_worker_is_away(sink: Sink) -> None:
    sink.otherwise = Answer(after_s=1.0)
    door = Door(sink, batch_size=10, flush_interval_s=NEVER_S, max_waiting_events=15_000)
    door.leave(*range(10))
    assert sink.wait_for(1)
    door.leave(*range(10, 30_000))
    assert len(door.outbox.drafts) <= 10_000
    stats = door.outbox.stats()
    assert (stats.accepted, stats.refused) == (15_000, {"queue_full": 15_000})
    sink.otherwise = Answer()
    assert door.outbox.flush(30)
    assert sink.visitors == list(range(15_000))
    door.outbox.close(5)


def test_while_the_server_is_down_the_worker_takes_in_what_comes(sink: Sink) -> None:
    sink.otherwise = Answer(503)
    door = Door(sink, batch_size=10, backoff_base_s=60.0, backoff_cap_s=60.0)
    door.leave(*range(10))
    assert sink.wait_for(1)
    door.leave(*range(10, 1_500))
    assert door.is_taken_in() or len(door.outbox.drafts) < 1_000
    sink.otherwise = Answer()
    assert door.outbox.flush(10)
    assert sink.visitors[10:] == list(range(1_500))
    door.outbox.close(5)


def test_a_worker_that_could_not_start_is_started_by_the_next_event(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(sink, flush_interval_s=0.01)

    def no_room(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_room)
        door.leave(1)
    door.leave(2)
    assert sink.wait_for(1)
    assert sink.visitors == [1, 2]
    door.outbox.close(5)
