"""What our processors promise beyond the official ones: nothing is lost, nobody has to wait."""

from __future__ import annotations

import gc
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from both_sdks import Dispatcher, Sdk, Spoken
from sinks import Answer, Sink
from tallybook.deliver.worker import THREAD_NAME


class Gate:
    """Holds whoever dispatches until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.reached = threading.Event()

    def __call__(self, event: Any) -> None:
        self.reached.set()
        assert self.opened.wait(30)


class Failing:
    """Raises so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, event: Any) -> None:
        if self.left:
            self.left -= 1
            raise RuntimeError("down")


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


Make = Callable[..., Any]


@pytest.fixture
def made(ours: Sdk) -> Iterator[Make]:
    """Makes batch processors that are stopped in the end."""
    processors = []

    def make(dispatcher: Any = None, **options: Any) -> Any:
        options = {"flush_interval": 0.01, "batch_size": 10, **options}
        processors.append(ours.BatchEventProcessor(dispatcher, **options))
        return processors[-1]

    yield make
    for processor in processors:
        processor.stop()


def users(count: int, name: str = "user") -> list[str]:
    return [f"{name}-{number}" for number in range(count)]


def test_a_processor_that_nobody_started_delivers(
    ours: Sdk, dispatcher: Dispatcher, made: Make
) -> None:
    processor = made(dispatcher)
    processor.process(ours.conversion("a"))
    assert processor.is_running
    assert dispatcher.wait_for(1)


def test_what_a_dispatcher_could_not_take_is_dispatched_again(
    ours: Sdk, made: Make, spoken: Spoken
) -> None:
    dispatcher = Dispatcher(Failing(2))
    processor = made(dispatcher, logger=spoken)
    for user_id in users(25):
        processor.process(ours.conversion(user_id))
    assert dispatcher.wait_for(25)
    assert dispatcher.visitors == users(25)
    assert any("down" in message for level, message in spoken.records if level == "warning")


def test_a_slow_dispatcher_keeps_nobody_waiting_and_a_burst_is_kept(
    ours: Sdk, made: Make, gate: Gate
) -> None:
    dispatcher = Dispatcher(gate)
    processor = made(dispatcher, batch_size=1)
    for user_id in users(3000):  # none of these calls comes back before its turn
        processor.process(ours.conversion(user_id))
    processor.flush()
    assert gate.reached.wait(10)
    assert dispatcher.events == []
    gate.opened.set()
    assert dispatcher.wait_for(3000)
    assert dispatcher.visitors == users(3000)


def test_as_many_wait_as_the_queue_has_room_for(
    ours: Sdk, made: Make, gate: Gate, spoken: Spoken
) -> None:
    dispatcher = Dispatcher(gate)
    processor = made(dispatcher, logger=spoken, event_queue=queue.Queue(maxsize=5), batch_size=2)
    spoken.records.clear()
    for user_id in users(20):
        processor.process(ours.conversion(user_id))
    assert processor.outbox.stats().refused == {"queue_full": 13}
    assert spoken.levels() == ["warning"]
    gate.opened.set()
    assert dispatcher.wait_for(7)
    assert dispatcher.visitors == users(7)


@pytest.mark.parametrize("kind", [queue.Queue, queue.SimpleQueue])
def test_a_queue_without_a_bound_has_the_usual_one(
    ours: Sdk, made: Make, gate: Gate, kind: type
) -> None:
    dispatcher = Dispatcher(gate)
    processor = made(dispatcher, event_queue=kind())
    for user_id in users(1500):
        processor.process(ours.conversion(user_id))
    gate.opened.set()
    assert dispatcher.wait_for(1500)


def test_a_number_of_numpy_is_a_number(ours: Sdk, dispatcher: Dispatcher, made: Make) -> None:
    processor = made(dispatcher, batch_size=np.int64(2), flush_interval=np.float64(60))
    for user_id in users(4):
        processor.process(ours.conversion(user_id))
    assert dispatcher.wait_for(4)
    assert dispatcher.batches == [users(2), users(4)[2:]]


def test_what_cannot_be_sent_costs_no_other(
    ours: Sdk, dispatcher: Dispatcher, made: Make, spoken: Spoken
) -> None:
    processor = made(dispatcher, logger=spoken)
    processor.process(ours.conversion("a", {"bad": object(), "good": 1}))
    processor.process(ours.conversion("\ud800"))
    processor.process(ours.conversion("b", event=None))
    processor.process(ours.conversion("c"))
    processor.stop()
    assert dispatcher.visitors == ["a", "c"]
    tags = dispatcher.events[0].params["visitors"][0]["snapshots"][0]["events"][0]["tags"]
    assert tags == {"good": 1}
    stats = processor.outbox.stats()
    assert (stats.refused, stats.flaws) == ({"invalid_argument": 2}, {"not_json": 1})
    assert [level for level in spoken.levels() if level != "info"] == ["warning", "error", "error"]


def test_a_listener_that_raises_costs_no_event(
    ours: Sdk, dispatcher: Dispatcher, made: Make
) -> None:
    center = ours.NotificationCenter()

    def broken(event: Any) -> None:
        raise RuntimeError

    center.add_notification_listener(ours.NotificationTypes.LOG_EVENT, broken)
    made(dispatcher, notification_center=center).process(ours.conversion("a"))
    assert dispatcher.wait_for(1)


def test_events_of_two_accounts_never_share_a_request(
    ours: Sdk, dispatcher: Dispatcher, made: Make
) -> None:
    processor = made(dispatcher, flush_interval=60)
    for account in ("1", "2", "1"):
        processor.process(ours.conversion(account, context=ours.context(account_id=account)))
    european = ours.context(account_id="1", region="EU")
    processor.process(ours.conversion("1", context=european))
    processor.stop()
    assert [(e.url, e.params["account_id"]) for e in dispatcher.events] == [
        ("https://logx.optimizely.com/v1/events", "1"),
        ("https://logx.optimizely.com/v1/events", "2"),
        ("https://logx.optimizely.com/v1/events", "1"),
        ("https://eu.logx.optimizely.com/v1/events", "1"),
    ]


def test_stopping_waits_as_long_as_it_may_and_what_is_left_is_still_delivered(
    ours: Sdk, made: Make, gate: Gate, spoken: Spoken
) -> None:
    dispatcher = Dispatcher(gate)
    processor = made(dispatcher, logger=spoken, timeout_interval=0.05)
    for user_id in users(25):
        processor.process(ours.conversion(user_id))
    spoken.records.clear()
    began = time.monotonic()
    processor.stop()
    assert time.monotonic() - began < 10, "the dispatcher would keep it for 30 s"
    assert [(level, "25" in message) for level, message in spoken.records] == [("error", True)]
    gate.opened.set()
    assert dispatcher.wait_for(25)


def test_stopping_again_or_without_a_beginning_says_nothing(made: Make, spoken: Spoken) -> None:
    processor = made(None, logger=spoken, timeout_interval=60)
    spoken.records.clear()
    began = time.monotonic()
    processor.stop()
    processor.stop()
    processor.start()
    processor.stop()
    assert time.monotonic() - began < 30
    assert spoken.records == []


def test_a_dispatcher_may_stop_the_processor(ours: Sdk, made: Make) -> None:
    stopped: list[Any] = []
    dispatcher = Dispatcher(lambda _: stopped.append(processor.stop()))
    processor = made(dispatcher, timeout_interval=60)
    processor.process(ours.conversion("a"))
    assert dispatcher.wait_for(1)
    assert stopped == [None]


def test_events_after_the_end_are_refused_and_counted(
    ours: Sdk, dispatcher: Dispatcher, made: Make, spoken: Spoken
) -> None:
    processor = made(dispatcher, logger=spoken)
    processor.process(ours.conversion("a"))
    processor.stop()
    for user_id in users(3):
        processor.process(ours.conversion(user_id))
    assert processor.outbox.stats().refused == {"closed": 3}
    assert spoken.levels().count("warning") == 1
    assert dispatcher.visitors == ["a"]


def test_a_processor_that_is_gone_has_delivered_and_leaves_no_thread(
    ours: Sdk, dispatcher: Dispatcher
) -> None:
    before = set(threading.enumerate())
    processor = ours.BatchEventProcessor(dispatcher, flush_interval=60)
    processor.process(ours.conversion("a"))
    del processor
    gc.collect()
    assert dispatcher.wait_for(1)
    for thread in set(threading.enumerate()) - before:
        if thread.name == THREAD_NAME:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


def at(ours: Sdk, sink: Sink) -> Any:
    context = ours.context()
    context.event_url = f"{sink.url}/v1/events"
    return context


@pytest.mark.parametrize("how", ["none", "class", "object"])
def test_the_sdks_own_dispatcher_keeps_its_connection_and_tries_again(
    ours: Sdk, made: Make, sink: Sink, how: str
) -> None:
    sink.answers = [Answer(503), Answer(cut=True), Answer(429)]
    dispatcher = {"none": None, "class": ours.EventDispatcher, "object": ours.EventDispatcher()}
    processor = made(dispatcher[how], batch_size=5)
    for user_id in users(10):
        processor.process(ours.conversion(user_id, context=at(ours, sink)))
    processor.stop()
    assert len(sink.posts) == 5
    assert [visitor["visitor_id"] for visitor in sink.visitors[15:]] == users(10)
    assert len({event["uuid"] for event in sink.events}) == 10
    assert len({request.connection for request in sink.posts}) == 2, "one was cut"
    assert all(r.headers["content-type"] == "application/json" for r in sink.posts)


def test_a_dispatcher_that_is_replaced_for_a_while_is_asked(
    ours: Sdk, dispatcher: Dispatcher, made: Make, monkeypatch: pytest.MonkeyPatch, sink: Sink
) -> None:
    """As tests do, so that nothing is sent."""
    processor = made()
    replaced = staticmethod(dispatcher.dispatch_event)
    with monkeypatch.context() as patched:
        patched.setattr(ours.EventDispatcher, "dispatch_event", replaced)
        processor.process(ours.conversion("a", context=at(ours, sink)))
        assert dispatcher.wait_for(1)
    processor.process(ours.conversion("b", context=at(ours, sink)))
    assert sink.wait_for(1)
    assert [visitor["visitor_id"] for visitor in sink.visitors] == ["b"]


def test_nothing_is_logged_when_all_is_well(
    ours: Sdk, dispatcher: Dispatcher, made: Make, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("test_promises.own")
    with caplog.at_level(logging.DEBUG, logger.name):
        processor = made(dispatcher, logger=logger, batch_size=1, timeout_interval=5)
        processor.start()
        processor.process(ours.conversion("a"))
        processor.flush()
        processor.stop()
    assert caplog.records == []
