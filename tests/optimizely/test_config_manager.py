"""Config managers: every test is asked of the official package and of ours."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from both_sdks import Dispatcher, Sdk
from shop import datafile, rule
from sinks import Answer, Sink

TEXT = json.dumps(datafile())
LAST_MODIFIED = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
FOREVER = 3600


class Handler:
    """An error handler that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def handle_error(self, error: Exception) -> None:
        self.told.append(type(error).__name__)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(otherwise=Answer(200, TEXT.encode(), LAST_MODIFIED)) as sink:
        yield sink


@pytest.fixture
def polling(sdk: Sdk) -> Iterator[Callable[..., Any]]:
    """What makes polling managers, which are stopped in the end."""
    made = []

    def make(*arguments: Any, kind: str = "PollingConfigManager", **options: Any) -> Any:
        manager = getattr(sdk.module("config_manager"), kind)(*arguments, **options)
        made.append(manager)
        return manager

    yield make
    for manager in made:
        manager.stop()


def client_of(sdk: Sdk, manager: Any) -> Any:
    processor = sdk.ForwardingEventProcessor(Dispatcher())
    return sdk.module("optimizely").Optimizely(config_manager=manager, event_processor=processor)


def text(**changes: Any) -> str:
    return json.dumps(datafile(**changes))


def without(section: str) -> str:
    return json.dumps({name: value for name, value in datafile().items() if name != section})


def flag(**changes: Any) -> list[dict[str, Any]]:
    return [
        {"id": "1", "key": "f", "experimentIds": [], "rolloutId": "", "variables": []} | changes
    ]


def without_layer(number: int) -> dict[str, Any]:
    return {name: value for name, value in rule(number, "x").items() if name != "layerId"}


# Text, and whether the error handler is told of it: not what the official schema refuses.
BAD = {
    "no JSON": ("{", []),
    "a list": ("[]", []),
    "nothing": (None, []),
    "no text": ("", []),
    "a number": (5, []),
    "no account": (without("accountId"), []),
    "no experiments": (without("experiments"), []),
    "revision a number": (text(revision=7), []),
    "attributes a mapping": (text(attributes={}), []),
    "experiment without a layer": (text(experiments=[without_layer(1), rule(2, "y")]), []),
    "integration without a key": (text(integrations=[{}]), []),
    "version a number": (text(version=4), []),
    "version unknown": (text(version="5"), ["UnsupportedDatafileVersionException"]),
    "rule without a layer": (
        text(
            rollouts=[
                {"id": "r3", "experiments": [without_layer(3)]},
                datafile()["rollouts"][1],
            ]
        ),
        ["InvalidInputException"],
    ),
    "flag of no experiment": (
        text(featureFlags=flag(experimentIds=["9"])),
        ["InvalidInputException"],
    ),
    "flag of no rollout": (text(featureFlags=flag(rolloutId="9")), ["InvalidInputException"]),
    "holdout of no key": (text(holdouts=[{"id": "1"}]), ["InvalidInputException"]),
    "conditions no JSON": (
        text(audiences=[{"id": "q", "name": "q", "conditions": "{bad"}]),
        ["InvalidInputException"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_datafile_is_logged_and_not_used(
    sdk: Sdk, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    handler, (bad, told) = Handler(), BAD[what]
    logger = logging.getLogger("static")
    manager = sdk.module("config_manager").StaticConfigManager(bad, logger, handler)

    assert manager.get_config() is None
    assert manager.optimizely_config is None
    assert manager.get_sdk_key() is None
    assert handler.told == told
    assert {record.levelname for record in caplog.records} == {"ERROR"}


@pytest.mark.parametrize("what", ["no JSON", "a list", "version unknown", "flag of no rollout"])
def test_without_a_schema_the_error_handler_is_told_of_every_fault(sdk: Sdk, what: str) -> None:
    handler = Handler()
    sdk.module("config_manager").StaticConfigManager(
        BAD[what][0], error_handler=handler, skip_json_validation=True
    )
    told = BAD[what][1] or ["InvalidInputException"]
    assert handler.told == told


@pytest.mark.parametrize("kind", ["StaticConfigManager", "PollingConfigManager"])
@pytest.mark.parametrize("plug", ["logger", "error_handler", "notification_center"])
def test_what_cannot_be_plugged_in_is_refused(sdk: Sdk, kind: str, plug: str) -> None:
    with pytest.raises(sdk.module("exceptions").InvalidInputException, match=plug):
        getattr(sdk.module("config_manager"), kind)(datafile=text(sdkKey="key"), **{plug: object()})


def test_a_config_manager_of_ones_own_has_two_methods(sdk: Sdk) -> None:
    base = sdk.module("config_manager").BaseConfigManager

    class Half(base):  # type: ignore[misc]
        def get_config(self) -> None:
            return None

    class Whole(Half):
        def get_sdk_key(self) -> str:
            return "key"

    for kind in (base, Half):
        with pytest.raises(TypeError, match="abstract"):
            kind()
    manager = Whole()
    assert sorted(vars(manager)) == ["error_handler", "logger", "notification_center"]
    with pytest.raises(sdk.module("exceptions").InvalidInputException, match="logger"):
        Whole(object())


def test_the_first_key_that_is_known_stays(sdk: Sdk, sink: Sink, polling: Any) -> None:
    module = sdk.module("config_manager")
    assert module.StaticConfigManager(text(sdkKey="inside")).get_sdk_key() == "inside"
    assert polling("given", text(sdkKey="inside"), url=sink.url).get_sdk_key() == "given"
    assert polling(None, text(sdkKey="inside"), url=sink.url).get_sdk_key() == "inside"


@pytest.mark.parametrize(
    ("interval", "used"),
    [(None, 300), (31, 31), (5, 5), (0.5, 0.5), (0, 300), (-1, 300), (True, True)],
)
def test_the_update_interval_is_seconds(
    sink: Sink, polling: Any, interval: Any, used: float
) -> None:
    assert polling(url=sink.url, update_interval=interval).update_interval == used


@pytest.mark.parametrize(
    ("timeout", "used"), [(None, 10), (5, 5), (0.5, 0.5), (0, 0), (-1, 10), (True, True)]
)
def test_the_blocking_timeout_is_seconds(
    sink: Sink, polling: Any, timeout: Any, used: float
) -> None:
    assert polling(url=sink.url, blocking_timeout=timeout).blocking_timeout == used


@pytest.mark.parametrize(
    "options",
    [
        {"update_interval": "5"},
        {"update_interval": []},
        {"blocking_timeout": "5"},
        {"blocking_timeout": {}},
        {"url": None},
        {"url": None, "datafile": TEXT},
        {"url": None, "sdk_key": ""},
        {"url": None, "sdk_key": "key", "url_template": "{nothing}"},
        {"url": None, "sdk_key": "key", "url_template": 5},
    ],
    ids=str,
)
def test_what_cannot_be_polled_by_is_refused(sdk: Sdk, options: dict[str, Any]) -> None:
    with pytest.raises(sdk.module("exceptions").InvalidInputException):
        sdk.module("config_manager").PollingConfigManager(
            **{"url": "http://127.0.0.1:9/", **options}
        )


def test_intervals_can_be_changed_and_are_checked_then_too(
    sdk: Sdk, sink: Sink, polling: Any
) -> None:
    manager = polling(url=sink.url, update_interval=40, blocking_timeout=5)
    manager.set_update_interval(60)
    manager.set_blocking_timeout(0)
    assert (manager.update_interval, manager.blocking_timeout) == (60, 0)
    for change in (manager.set_update_interval, manager.set_blocking_timeout):
        with pytest.raises(sdk.module("exceptions").InvalidInputException):
            change("5")
    assert (manager.update_interval, manager.blocking_timeout) == (60, 0)


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("PollingConfigManager", "https://cdn.optimizely.com/datafiles/key.json"),
        (
            "AuthDatafilePollingConfigManager",
            "https://config.optimizely.com/datafiles/auth/key.json",
        ),
    ],
)
def test_a_key_leads_to_the_vendor_s_datafile(sdk: Sdk, kind: str, place: str) -> None:
    manager = getattr(sdk.module("config_manager"), kind)
    template = manager.DATAFILE_URL_TEMPLATE
    assert manager.get_datafile_url("key", None, template) == place
    assert manager.get_datafile_url("key", "http://elsewhere/", template) == "http://elsewhere/"
    with pytest.raises(sdk.module("exceptions").InvalidInputException):
        manager.get_datafile_url(None, None, template)


def test_a_template_and_a_token_are_used(sink: Sink, polling: Any) -> None:
    manager = polling(
        "token",
        sdk_key="key",
        url_template=sink.url + "/{sdk_key}.json",
        kind="AuthDatafilePollingConfigManager",
    )
    assert manager.get_config().revision == "7"
    assert manager.datafile_access_token == "token"
    assert manager.datafile_url == sink.url + "/key.json"
    assert sink.requests[0].path == "/key.json"
    assert sink.requests[0].headers["authorization"] == "Bearer token"


@pytest.mark.parametrize("token", ["", None])
def test_a_token_must_not_be_empty(sdk: Sdk, token: Any) -> None:
    with pytest.raises(sdk.module("exceptions").InvalidInputException, match="token"):
        sdk.module("config_manager").AuthDatafilePollingConfigManager(token, "key")


def test_the_client_chooses_the_manager_for_what_it_knows(sdk: Sdk) -> None:
    kinds = []
    make = sdk.module("optimizely").Optimizely
    for options in (
        {"datafile": TEXT},
        {"datafile": TEXT, "sdk_key": "key"},
        {"datafile": TEXT, "sdk_key": "key", "datafile_access_token": "token"},
        {"datafile": TEXT, "datafile_access_token": "token"},
    ):
        client = make(**options)
        kinds.append(type(client.config_manager).__name__)
        assert client.config_manager.get_config().revision == "7"
        assert client.config_manager.notification_center is client.notification_center
        client.close()
    assert kinds == [
        "StaticConfigManager",
        "PollingConfigManager",
        "AuthDatafilePollingConfigManager",
        "StaticConfigManager",
    ]


def test_calls_wait_for_the_first_datafile(sdk: Sdk, polling: Any) -> None:
    with Sink(otherwise=Answer(200, TEXT.encode(), after_s=0.3)) as sink:
        manager = polling(url=sink.url, blocking_timeout=20)
        client = client_of(sdk, manager)
        assert client.activate("test", "user") == "test_on"
        assert client.create_user_context("user").decide("tested").variation_key == "test_on"
        client.close()


def test_calls_wait_no_longer_than_they_are_told(sdk: Sdk, polling: Any) -> None:
    with Sink(otherwise=Answer(404)) as sink:
        manager = polling(url=sink.url, blocking_timeout=0.2)
        began = time.monotonic()
        assert manager.get_config() is None
        assert time.monotonic() - began >= 0.2
        client = client_of(sdk, manager)
        assert client.activate("test", "user") is None
        assert time.monotonic() - began >= 0.4
        client.close()


def test_once_something_has_come_nothing_waits(polling: Any) -> None:
    with Sink(otherwise=Answer(200, b"{")) as sink:
        manager = polling(url=sink.url, blocking_timeout=FOREVER)
        assert manager.get_config() is None
    waiting = polling(url="http://127.0.0.1:9/", datafile=TEXT, blocking_timeout=FOREVER)
    assert waiting.get_config().revision == "7"


def test_a_new_datafile_is_used_and_told_of(sdk: Sdk, polling: Any) -> None:
    told = threading.Semaphore(0)
    center = sdk.NotificationCenter()
    kind = sdk.NotificationTypes.OPTIMIZELY_CONFIG_UPDATE
    center.add_notification_listener(kind, told.release)
    answers = [Answer(200, TEXT.encode()), Answer(200, text(revision="8").encode())]
    with Sink(answers, otherwise=Answer(304)) as sink:
        manager = polling(url=sink.url, update_interval=0.05, notification_center=center)
        assert told.acquire(timeout=10)
        assert told.acquire(timeout=10)
        assert sink.wait_for(4)
        assert manager.get_config().revision == "8"
        assert manager.optimizely_config.revision == "8"
        assert not told.acquire(blocking=False)


def test_the_same_revision_changes_nothing(polling: Any) -> None:
    answers = [Answer(200, TEXT.encode()), Answer(200, text(anonymizeIP=False).encode())]
    with Sink(answers, otherwise=Answer(304)) as sink:
        manager = polling(url=sink.url, update_interval=0.05)
        config = manager.get_config()
        assert sink.wait_for(4)
        assert manager.get_config() is config
        assert config.anonymize_ip is True


def test_a_fetch_asks_only_for_what_is_newer(sink: Sink, polling: Any) -> None:
    manager = polling(url=sink.url, update_interval=FOREVER)
    assert manager.get_config().revision == "7"
    sink.otherwise = Answer(304)
    assert manager.fetch_datafile() is None
    assert "if-modified-since" not in sink.requests[0].headers
    assert sink.requests[1].headers["if-modified-since"] == LAST_MODIFIED["Last-Modified"]
    assert manager.get_config().revision == "7"


def test_what_fails_leaves_what_is_there(polling: Any, caplog: pytest.LogCaptureFixture) -> None:
    handler, logger = Handler(), logging.getLogger("polling")
    answers = [Answer(200, TEXT.encode()), Answer(404), Answer(200, b"{")]
    with Sink(answers, otherwise=Answer(304)) as sink:
        manager = polling(
            url=sink.url, update_interval=FOREVER, logger=logger, error_handler=handler
        )
        config = manager.get_config()
        manager.fetch_datafile()
        manager.fetch_datafile()
        assert manager.get_config() is config
    assert [r.levelname for r in caplog.records if r.levelno >= logging.ERROR][:2] == ["ERROR"] * 2


def test_a_manager_runs_until_it_is_stopped(sink: Sink, polling: Any) -> None:
    manager = polling(url=sink.url, update_interval=FOREVER)
    assert manager.is_running
    manager.start()  # changes nothing
    manager.stop()
    assert not eventually_not(lambda: manager.is_running)
    assert manager.get_config().revision == "7"
    manager.stop()


def eventually_not(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_so()


def test_what_fetches_and_what_is_done_with_it_may_be_ones_own(sdk: Sdk) -> None:
    fetched = threading.Semaphore(0)

    class Manager(sdk.module("config_manager").PollingConfigManager):  # type: ignore[misc]
        def fetch_datafile(self) -> None:
            self._set_config(TEXT)
            fetched.release()

    manager = Manager(url="http://127.0.0.1:9/", update_interval=0.05)
    try:
        assert manager.get_config().revision == "7"
        for _ in range(3):
            assert fetched.acquire(timeout=10)
        client = client_of(sdk, manager)
        assert client.activate("test", "user") == "test_on"
        client.close()
    finally:
        manager.stop()
