"""What only the drop-in promises: it can be let go, forks, and sends where it is told to."""

from __future__ import annotations

import gc
import json
import logging
import os
import threading
import time
import traceback
import weakref
from typing import Any

import pytest

from both_sdks import OFFICIAL, Dispatcher, Sdk, Spoken
from shop import datafile
from sinks import Answer, Sink
from tallybook.deliver.poller import THREAD_NAME

TEXT = json.dumps(datafile())
FOREVER = 3600


def client_of(sdk: Sdk, text: Any = TEXT, **options: Any) -> Any:
    return sdk.module("optimizely").Optimizely(text, **options)


def polling(sdk: Sdk, url: str, **options: Any) -> Any:
    options = {"update_interval": FOREVER, **options}
    return sdk.module("config_manager").PollingConfigManager(url=url, **options)


def pollers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == THREAD_NAME}


def eventually(is_so: Any) -> bool:
    deadline = time.monotonic() + 10
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(is_so())


def test_events_go_where_the_settings_say(ours: Sdk) -> None:
    settings = ours.module("helpers.sdk_settings").OptimizelySdkSettings(
        event_url="http://tallybook/v1/events"
    )
    urls = []
    for kind in ("forwarding", "batch"):
        dispatcher = Dispatcher()
        processor = ours.ForwardingEventProcessor(dispatcher) if kind == "forwarding" else None
        manager = ours.module("config_manager").StaticConfigManager(TEXT)
        client = client_of(
            ours,
            event_dispatcher=dispatcher,
            event_processor=processor,
            config_manager=manager,
            settings=settings,
        )
        told: list[Any] = []
        center = client.notification_center
        center.add_notification_listener(ours.NotificationTypes.TRACK, lambda *a: told.append(a))  # noqa: B023
        client.track("purchase", "user")
        client.create_user_context("user").decide("tested")
        client.close()
        urls += [event.url for event in dispatcher.events]
        urls.append(told[0][4]["url"])
        assert manager.get_config().prepared.envelope.url.endswith("optimizely.com/v1/events")
    assert urls == ["http://tallybook/v1/events"] * 6


def test_another_place_for_events_holds_for_every_revision(ours: Sdk) -> None:
    settings = ours.module("helpers.sdk_settings").OptimizelySdkSettings(event_url="http://own/")
    dispatcher = Dispatcher()
    answers = [Answer(200, TEXT.encode()), Answer(200, json.dumps(datafile(revision="8")).encode())]
    with Sink(answers) as sink:
        manager = polling(ours, sink.url)
        client = client_of(
            ours,
            event_processor=ours.ForwardingEventProcessor(dispatcher),
            config_manager=manager,
            settings=settings,
        )
        client.track("purchase", "user")
        manager.fetch_datafile()
        client.track("purchase", "user")
        client.close()
    sent = [(event.url, event.params["revision"]) for event in dispatcher.events]
    assert sent == [("http://own/", "7"), ("http://own/", "8")]


def test_a_place_for_events_that_is_no_url_is_refused(ours: Sdk) -> None:
    from tallybook import ConfigError

    settings = ours.module("helpers.sdk_settings").OptimizelySdkSettings(event_url="nowhere")
    with pytest.raises(ConfigError, match="event_url"):
        client_of(ours, settings=settings)


def test_a_config_of_the_official_package_is_read_from_its_text(ours: Sdk) -> None:
    official = Sdk(OFFICIAL).module("config_manager").StaticConfigManager(TEXT)
    asked: list[Any] = []
    config = official.get_config()
    text = config.to_datafile
    config.to_datafile = lambda: asked.append(1) or text()
    client = client_of(ours, config_manager=official)
    assert client.get_variation("test", "user") == "test_on"
    assert client.get_feature_variable("tested", "colour", "user") == "red"
    assert asked == [1]
    client.close()


def test_a_config_that_cannot_be_read_is_none(ours: Sdk) -> None:
    class Config:
        def to_datafile(self) -> str:
            return "{"

    class Manager:
        config = Config()

        def get_config(self) -> Any:
            return self.config

    spoken = Spoken()
    client = client_of(ours, config_manager=Manager(), logger=spoken)
    spoken.records.clear()
    for _ in range(2):
        assert client.get_variation("test", "user") is None
    assert sum("config" in message for _, message in spoken.records) == 1
    client.close()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "InvalidInputException"),
        (json.dumps(datafile(version="5")), "UnsupportedDatafileVersionException"),
    ],
)
def test_a_config_of_a_bad_datafile_is_not_made(ours: Sdk, text: str, error: str) -> None:
    with pytest.raises(getattr(ours.module("exceptions"), error)):
        ours.module("project_config").ProjectConfig(text, logging.getLogger(), None)


def test_a_manager_that_nobody_has_polls_no_more(ours: Sdk) -> None:
    with Sink(otherwise=Answer(200, TEXT.encode())) as sink:
        before = pollers()
        manager = polling(ours, sink.url, update_interval=0.02)
        client = client_of(ours, config_manager=manager)
        user = client.create_user_context("user")
        gone = weakref.ref(manager)
        del manager, client
        gc.collect()
        assert gone() is not None  # whoever has a user can still decide
        assert user.decide("tested", ["DISABLE_DECISION_EVENT"]).enabled
        del user
        assert eventually(lambda: gc.collect() >= 0 and gone() is None)
        assert eventually(lambda: pollers() <= before)
        asked = len(sink.requests)
        time.sleep(0.1)
        assert len(sink.requests) == asked


def test_the_interval_can_be_changed_while_it_polls(ours: Sdk) -> None:
    with Sink(otherwise=Answer(304)) as sink:
        manager = polling(ours, sink.url, update_interval=0.02)
        assert sink.wait_for(3)
        manager.set_update_interval(FOREVER)
        assert sink.wait_for(len(sink.requests) + 1)
        manager.stop()


def test_a_handler_that_raises_does_not_end_polling(ours: Sdk) -> None:
    handler = ours.module("error_handler").RaiseExceptionErrorHandler
    options = {"error_handler": handler, "skip_json_validation": True}
    with Sink([Answer(200, b"{}")] * 3, otherwise=Answer(200, TEXT.encode())) as sink:
        manager = polling(ours, sink.url, update_interval=0.02, **options)
        assert eventually(lambda: manager.get_config() is not None)
        assert manager.is_running
        manager.stop()
    with Sink(otherwise=Answer(200, b"{}")) as sink:
        manager = polling(ours, sink.url, **options)
        with pytest.raises(ours.module("exceptions").InvalidInputException):
            manager.fetch_datafile()  # whoever calls is told
        manager.stop()


def test_what_a_manager_of_ones_own_raises_does_not_end_polling(ours: Sdk) -> None:
    fetched = threading.Semaphore(0)

    class Manager(ours.module("config_manager").PollingConfigManager):  # type: ignore[misc]
        def fetch_datafile(self) -> None:
            fetched.release()
            raise RuntimeError("broken")

    manager = Manager(url="http://127.0.0.1:9/", update_interval=0.02)
    for _ in range(3):
        assert fetched.acquire(timeout=10)
    manager.stop()


def test_who_waits_is_let_go_when_polling_stops(ours: Sdk) -> None:
    with Sink(otherwise=Answer(404)) as sink:
        manager = polling(ours, sink.url, blocking_timeout=FOREVER)
        answers: list[Any] = []
        waiting = threading.Thread(target=lambda: answers.append(manager.get_config()))
        waiting.start()
        assert sink.wait_for(1)
        manager.stop()
        waiting.join(10)
        assert answers == [None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_goes_on_polling_and_waits_by_its_own_lock(ours: Sdk) -> None:
    with Sink(otherwise=Answer(404)) as sink:
        manager = polling(ours, sink.url, blocking_timeout=20, update_interval=0.05)
        assert sink.wait_for(1)
        with manager._arrived._cond:  # what another thread may hold when a process forks
            child = os.fork()
        if not child:
            code = 1
            try:
                sink_is_answering = manager.get_config()
                code = 0 if sink_is_answering.revision == "7" else 2
            except BaseException:  # noqa: BLE001 - the child must not go on with the tests
                traceback.print_exc()
            os._exit(code)
        sink.otherwise = Answer(200, TEXT.encode())
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert manager.get_config().revision == "7"
        manager.stop()


def test_nothing_is_described_before_somebody_asks(ours: Sdk) -> None:
    manager = ours.module("config_manager").StaticConfigManager(TEXT)
    assert manager._revisions.newest.description._kept == {}
    described = manager.optimizely_config
    assert described is manager.optimizely_config
    assert described.get_datafile() == TEXT


def test_a_client_that_is_all_well_logs_nothing(
    ours: Sdk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        client = client_of(
            ours,
            logger=logging.getLogger("well"),
            event_processor=ours.ForwardingEventProcessor(Dispatcher()),
        )
        client.create_user_context("user").decide_all()
        client.track("purchase", "user")
        client.close()
    assert caplog.records == []


def test_an_interval_cannot_be_longer_than_clocks_count(ours: Sdk) -> None:
    with Sink(otherwise=Answer(304)) as sink:
        manager = polling(ours, sink.url, update_interval=float("inf"), blocking_timeout=1e300)
        assert sink.wait_for(1)
        assert eventually(lambda: manager._poller._wait_s > 0)
        assert manager.is_running
        manager.stop()
        assert manager.get_config() is None


def test_what_others_send_to_listeners_of_activations_reaches_them_as_it_is(ours: Sdk) -> None:
    told: list[Any] = []
    center, kind = ours.NotificationCenter(), ours.NotificationTypes.ACTIVATE
    center.add_notification_listener(kind, lambda *args: told.append(args))
    variation = ours.Variation("1", "on")
    center.send_notifications(kind, "rule", "user", {}, variation)
    assert told == [("rule", "user", {}, variation)]


def test_without_a_datafile_no_segments_are_known(ours: Sdk) -> None:
    user = client_of(ours, "{").create_user_context("user")
    user.set_qualified_segments(["loyal"])
    assert user.fetch_qualified_segments() is False
    assert user.get_qualified_segments() is None
