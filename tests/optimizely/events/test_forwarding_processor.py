"""The processor that sends each event by itself: the same on both packages."""

from __future__ import annotations

from typing import Any

import pytest

from both_sdks import Dispatcher, Sdk, Spoken


def test_each_event_is_dispatched_on_the_callers_thread(
    sdk: Sdk, dispatcher: Dispatcher, spoken: Spoken
) -> None:
    center, told = sdk.NotificationCenter(), []
    center.add_notification_listener(
        sdk.NotificationTypes.LOG_EVENT, lambda event: told.append((event, list(dispatcher.events)))
    )
    processor = sdk.ForwardingEventProcessor(dispatcher, spoken, center)
    events = [sdk.conversion("a", {"value": "7"}), sdk.impression("b")]
    for event in events:
        processor.process(event)
    first, second = dispatcher.events
    assert vars(first) == vars(sdk.EventFactory.create_log_event(events[0], spoken))
    assert dispatcher.batches == [["a"], ["b"]]
    assert told == [(first, []), (second, [first])]


@pytest.mark.parametrize("nothing", [None, "text", 7])
def test_what_is_no_event_is_refused_and_logged(
    sdk: Sdk, dispatcher: Dispatcher, spoken: Spoken, nothing: Any
) -> None:
    sdk.ForwardingEventProcessor(dispatcher, spoken).process(nothing)
    assert dispatcher.events == []
    assert spoken.levels() == ["error"]


def test_what_a_dispatcher_raises_is_logged(sdk: Sdk, spoken: Spoken) -> None:
    def fail(event: Any) -> None:
        raise RuntimeError("down")

    dispatcher = Dispatcher(fail)
    processor = sdk.ForwardingEventProcessor(dispatcher, spoken)
    processor.process(sdk.conversion("a"))
    assert [level for level in spoken.levels() if level != "debug"] == ["exception"]


def test_the_usual_dispatcher_is_the_sdks_own(sdk: Sdk, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[Any] = []
    monkeypatch.setattr(sdk.EventDispatcher, "dispatch_event", staticmethod(got.append))
    processor = sdk.ForwardingEventProcessor(None)
    assert processor.event_dispatcher is sdk.EventDispatcher
    processor.process(sdk.conversion("a"))
    assert [event.params["visitors"][0]["visitor_id"] for event in got] == ["a"]
