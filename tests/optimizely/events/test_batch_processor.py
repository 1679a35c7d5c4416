"""The batch processor as people use it: the same on both packages."""

from __future__ import annotations

import math
import queue
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from both_sdks import Dispatcher, Sdk, Spoken

LONG_S = 60


@pytest.fixture
def batch(sdk: Sdk, dispatcher: Dispatcher) -> Iterator[Any]:
    """Makes processors that are stopped in the end."""
    made = []

    def make(**options: Any) -> Any:
        options = {"flush_interval": LONG_S, "start_on_init": True, **options}
        made.append(sdk.BatchEventProcessor(dispatcher, **options))
        return made[-1]

    yield make
    for processor in made:
        processor.stop()


def test_a_batch_is_sent_when_it_is_full(sdk: Sdk, dispatcher: Dispatcher, batch: Any) -> None:
    processor = batch(batch_size=3)
    for number in range(7):
        processor.process(sdk.conversion(f"user-{number}"))
    assert dispatcher.wait_for(6)
    processor.stop()
    assert dispatcher.batches == [
        ["user-0", "user-1", "user-2"],
        ["user-3", "user-4", "user-5"],
        ["user-6"],
    ]


def test_a_batch_is_sent_after_the_interval(sdk: Sdk, dispatcher: Dispatcher, batch: Any) -> None:
    processor = batch(batch_size=100, flush_interval=0.05)
    processor.process(sdk.conversion("a"))
    assert dispatcher.wait_for(1)


def test_a_batch_is_sent_when_somebody_asks(sdk: Sdk, dispatcher: Dispatcher, batch: Any) -> None:
    processor = batch(batch_size=100)
    processor.process(sdk.conversion("a"))
    processor.process(sdk.impression("b"))
    processor.flush()
    assert dispatcher.wait_for(2)
    assert dispatcher.batches == [["a", "b"]]


@pytest.mark.parametrize("change", [{"revision": "8"}, {"project_id": "other"}])
def test_a_batch_holds_events_of_one_revision_of_one_project(
    sdk: Sdk, dispatcher: Dispatcher, batch: Any, change: dict[str, str]
) -> None:
    processor = batch(batch_size=100)
    for user_id, context in (("a", {}), ("b", {}), ("c", change), ("d", {})):
        processor.process(sdk.conversion(user_id, context=sdk.context(**context)))
    processor.stop()
    assert dispatcher.batches == [["a", "b"], ["c"], ["d"]]


def test_a_request_is_as_the_event_factory_makes_it(
    sdk: Sdk, dispatcher: Dispatcher, batch: Any, spoken: Spoken
) -> None:
    processor = batch(batch_size=100)
    events = [sdk.conversion("a", {"revenue": 5}), sdk.impression("b")]
    for event in events:
        processor.process(event)
    processor.stop()
    (request,) = dispatcher.events
    expected = sdk.EventFactory.create_log_event(events, spoken)
    assert type(request) is sdk.LogEvent
    assert vars(request) == vars(expected)


def test_listeners_are_told_of_a_request_before_it_is_dispatched(
    sdk: Sdk, dispatcher: Dispatcher, batch: Any
) -> None:
    center, told = sdk.NotificationCenter(), []
    center.add_notification_listener(
        sdk.NotificationTypes.LOG_EVENT,
        lambda event: told.append((vars(event), list(dispatcher.events))),
    )
    processor = batch(batch_size=1, notification_center=center)
    assert processor.notification_center is center
    processor.process(sdk.conversion("a"))
    assert dispatcher.wait_for(1)
    assert told == [(vars(dispatcher.events[0]), [])]


@pytest.mark.parametrize("nothing", [None, "text", 7, {"user_id": "a"}])
def test_what_is_no_event_is_refused_and_logged(
    sdk: Sdk, dispatcher: Dispatcher, batch: Any, spoken: Spoken, nothing: Any
) -> None:
    processor = batch(batch_size=1, flush_interval=1, timeout_interval=5, logger=spoken)
    processor.process(nothing)
    processor.process(sdk.conversion("a"))
    assert dispatcher.wait_for(1)
    assert dispatcher.visitors == ["a"]
    assert spoken.levels().count("error") == 1


NUMBERS = [
    None, 0, -1, 1, 5, 2.0, 2.5, True, "3", math.nan, math.inf, 2**53 + 1, 10**400, Decimal(3), [],
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_numbers_that_cannot_be_used_are_replaced(
    official: Sdk, ours: Sdk, spoken: Spoken, number: Any
) -> None:
    def settings(sdk: Sdk, logger: Any = None) -> list[Any]:
        made = sdk.BatchEventProcessor(None, logger, False, None, number, number, number)
        return [made.batch_size, made.flush_interval, made.timeout_interval]

    found, expected = settings(ours, spoken), settings(official)
    assert found == expected
    replaced = [found[0] == 10, found[1] == timedelta(seconds=30), found[2] == timedelta(seconds=5)]
    replaced[2] &= number != 5
    assert spoken.levels() == ["info"] * sum(replaced)


def test_what_was_given_can_be_looked_at(sdk: Sdk, dispatcher: Dispatcher, spoken: Spoken) -> None:
    waiting: queue.Queue[Any] = queue.Queue(maxsize=5)
    processor = sdk.BatchEventProcessor(dispatcher, spoken, event_queue=waiting, batch_size=4)
    assert processor.event_dispatcher is dispatcher
    assert processor.logger is spoken
    assert processor.event_queue is waiting
    assert processor.batch_size == 4
    usual = sdk.BatchEventProcessor()
    assert usual.event_dispatcher is sdk.EventDispatcher
    assert isinstance(usual.notification_center, sdk.NotificationCenter)


def test_a_notification_center_that_is_none_is_replaced(
    sdk: Sdk, dispatcher: Dispatcher, spoken: Spoken
) -> None:
    for processor in (
        sdk.BatchEventProcessor(dispatcher, spoken, False, None, 1, 1, 1, object()),
        sdk.ForwardingEventProcessor(dispatcher, spoken, object()),
    ):
        processor.process(sdk.conversion("a"))
    assert spoken.levels().count("error") == 2


def test_it_runs_from_start_to_stop_and_can_start_again(
    sdk: Sdk, dispatcher: Dispatcher, spoken: Spoken
) -> None:
    processor = sdk.BatchEventProcessor(dispatcher, spoken, batch_size=1)
    assert not processor.is_running
    processor.start()
    assert processor.is_running
    spoken.records.clear()
    processor.start()
    assert spoken.levels() == ["warning"], "it runs already"
    processor.process(sdk.conversion("first"))
    processor.stop()
    assert not processor.is_running
    assert dispatcher.visitors == ["first"]
    processor.start()
    assert processor.is_running
    processor.process(sdk.conversion("second"))
    assert dispatcher.wait_for(2)
    processor.stop()
    assert dispatcher.visitors == ["first", "second"]


@pytest.mark.parametrize("start_on_init", [False, None, 1, "yes"])
def test_it_starts_at_once_only_if_told_so(sdk: Sdk, start_on_init: Any) -> None:
    processor = sdk.BatchEventProcessor(None, None, start_on_init)
    assert not processor.is_running


def test_one_of_your_own_derives_from_the_base(sdk: Sdk) -> None:
    class Mine(sdk.BaseEventProcessor):  # type: ignore[misc, name-defined]  # by which prefix is said at run time
        pass

    with pytest.raises(TypeError, match="process"):
        Mine()
    assert issubclass(sdk.BatchEventProcessor, sdk.BaseEventProcessor)
    assert issubclass(sdk.ForwardingEventProcessor, sdk.BaseEventProcessor)


def test_a_dispatcher_may_be_a_class(sdk: Sdk) -> None:
    class Static:
        got: list[Any] = []  # noqa: RUF012

        @staticmethod
        def dispatch_event(event: Any) -> None:
            Static.got.append(event)

    processor = sdk.BatchEventProcessor(Static, start_on_init=True, batch_size=1)
    processor.process(sdk.conversion("a"))
    processor.stop()
    assert len(Static.got) == 1
