"""The customer data platform, tried on the official package and ours against the same double."""

from __future__ import annotations

import inspect
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from both_sdks import OFFICIAL, OURS, Dispatcher, Sdk
from remote import KEY, Platform, declined, edges, heard, integrated
from shop import datafile
from sinks import Answer, Captured
from tallybook.deliver.worker import THREAD_NAME

IGNORE, RESET = "IGNORE_CACHE", "RESET_CACHE"
SEGMENTS = ("vip", "new")
ALL = {"vip", "new", "old"}
theirs, ours = Sdk(OFFICIAL), Sdk(OURS)

SURFACE = {
    "odp.lru_cache": ["LRUCache", "OptimizelySegmentsCache"],
    "odp.optimizely_odp_option": ["OptimizelyOdpOption"],
    "odp.odp_config": ["OdpConfig", "OdpConfigState"],
    "odp.odp_event": ["OdpEvent"],
    "odp.odp_event_manager": ["OdpEventManager"],
    "odp.odp_segment_manager": ["OdpSegmentManager"],
    "odp.odp_manager": ["OdpManager"],
    "cmab.cmab_client": ["CmabRetryConfig", "DefaultCmabClient"],
    "cmab.cmab_service": ["DefaultCmabService"],
}
INTERNAL = {"validate_response"}  # takes what the official client has decoded by itself


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform() as started:
        yield started


def client_of(sdk: Sdk, document: Any, logger: Any = None, **settings: Any) -> Any:
    made = sdk.module("helpers.sdk_settings").OptimizelySdkSettings(**settings)
    processor = sdk.ForwardingEventProcessor(Dispatcher())
    return sdk.module("optimizely").Optimizely(
        json.dumps(document), logger=logger, event_processor=processor, settings=made
    )


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not (is_now := is_so()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return is_now


def parameters(function: Any) -> list[tuple[str, Any]]:
    signature = inspect.signature(function)
    return [(p.name, p.default) for p in signature.parameters.values()]


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in SURFACE.items() for name in names]
)
def test_everything_is_called_as_the_official_one(module: str, name: str) -> None:
    official, mine = (getattr(sdk.module(module), name) for sdk in (theirs, ours))
    for key, value in vars(official).items():
        is_plain = not key.startswith("_") or key == "__init__"
        if is_plain and inspect.isfunction(value) and not name.endswith(("Cache", "State")):
            own = getattr(mine, key, None)
            assert key in INTERNAL or parameters(own) == parameters(value), key
        elif key[0].isupper() and not inspect.isfunction(value):
            own = getattr(mine, key)
            assert getattr(own, "value", own) == getattr(value, "value", value)


def test_a_cache_takes_and_answers_the_same(sdk: Sdk) -> None:
    cache = sdk.module("odp.lru_cache").LRUCache(2, 60)
    cache.save("a", [1])
    cache.save("b", [2])
    assert (cache.lookup("a"), cache.peek("b"), cache.lookup("c")) == ([1], [2], None)
    cache.save("c", [3])
    assert (cache.lookup("b"), cache.lookup("a")) == (None, [1])
    cache.remove("a")
    assert (cache.peek("a"), cache.lookup("c")) == (None, [3])
    cache.reset()
    assert cache.lookup("c") is None


# Segments


def test_segments_are_fetched_and_decide(sdk: Sdk, platform: Platform) -> None:
    document = integrated(platform.url, *SEGMENTS)
    document["rollouts"][1]["experiments"][0]["audienceConditions"] = ["not", "q1"]
    user = client_of(sdk, document).create_user_context("ann", {})
    assert user.get_qualified_segments() is None
    assert not user.is_qualified_for("vip")
    assert user.fetch_qualified_segments() is True
    assert user.get_qualified_segments() == ["vip"]
    assert user.is_qualified_for("vip")
    assert not user.is_qualified_for("new")
    [request] = platform.at("/v3/graphql")
    assert platform.asked_segments() == [ALL]
    assert request.json["variables"]["userId"] == "ann"
    assert (request.headers["x-api-key"], request.headers["content-type"]) == (
        KEY,
        "application/json",
    )


CALLS: list[tuple[list[str] | None, dict[str, int], bool]] = [
    (None, {"DEBUG": 1}, False),
    ([IGNORE], {"DEBUG": 1}, True),
    ([RESET], {"DEBUG": 1}, True),
    ([], {"DEBUG": 1}, False),
    ([RESET, IGNORE], {"DEBUG": 1}, True),
    (None, {"DEBUG": 2}, True),  # what was asked past the cache is not kept
    (["OTHER"], {"DEBUG": 1}, False),
]


def test_segments_are_kept_as_the_options_say(sdk: Sdk, platform: Platform) -> None:
    with heard() as (logger, said):
        client = client_of(sdk, integrated(platform.url, *SEGMENTS), logger)
        user = client.create_user_context("ann", {})
        assert user.fetch_qualified_segments()
        for options, levels, is_asked in CALLS:
            before = len(platform.requests)
            said.records.clear()
            assert user.fetch_qualified_segments(options=options) is True
            assert user.get_qualified_segments() == ["vip"]
            assert len(platform.requests) - before == is_asked, options
            assert said.levels() == levels, options


def test_what_is_reset_is_everybodys(sdk: Sdk, platform: Platform) -> None:
    client = client_of(sdk, integrated(platform.url, *SEGMENTS))
    ann, bob = (client.create_user_context(name, {}) for name in ("ann", "bob"))
    assert ann.fetch_qualified_segments()
    assert bob.fetch_qualified_segments()
    assert ann.fetch_qualified_segments(options=[RESET])
    assert bob.fetch_qualified_segments()
    assert len(platform.requests) == 4


def test_being_in_no_segment_is_known_and_never_kept(sdk: Sdk, platform: Platform) -> None:
    platform.segments = edges("vip", state="not_qualified")
    cache = Cache()
    client = client_of(sdk, integrated(platform.url, *SEGMENTS), odp_segments_cache=cache)
    user = client.create_user_context("ann", {})
    for _ in range(2):
        assert user.fetch_qualified_segments() is True
        assert user.get_qualified_segments() == []
    assert len(platform.requests) == 2
    assert cache.kept == {}

    cache.kept["fs_user_id-$-ann"] = []
    platform.segments = edges("vip")
    assert user.fetch_qualified_segments() is True
    assert user.get_qualified_segments() == ["vip"]


FAILURES = {
    "5xx": (Answer(500, b"no"), "ERROR"),
    "4xx": (Answer(403, b"no"), "ERROR"),
    "no JSON": (Answer(200, b"no"), "ERROR"),
    "another shape": (Answer(200, b'{"data": {}}'), "ERROR"),
    "cut": (Answer(cut=True), "ERROR"),
    "declined": (declined(classification="Timeout"), "ERROR"),
    "nobody": (
        declined(code="INVALID_IDENTIFIER_EXCEPTION", classification="DataFetching"),
        "WARNING",
    ),
}


@pytest.mark.parametrize(("answer", "level"), FAILURES.values(), ids=FAILURES)
def test_what_fails_is_unknown_and_logged_as_loud(
    sdk: Sdk, platform: Platform, answer: Answer, level: str
) -> None:
    with heard() as (logger, said):
        client = client_of(sdk, integrated(platform.url, *SEGMENTS), logger)
        user = client.create_user_context("ann", {})
        user.set_qualified_segments(["before"])
        platform.answers = [answer]
        said.records.clear()
        assert user.fetch_qualified_segments() is False
        assert said.levels(logging.INFO) == {level: 1}
    assert user.get_qualified_segments() is None
    assert len(platform.requests) == 1  # nobody asks again unasked


def test_patience_with_a_question_is_a_setting(sdk: Sdk, platform: Platform) -> None:
    platform.segments = Answer(200, platform.segments.body, after_s=0.5)
    document = integrated(platform.url, *SEGMENTS)
    client = client_of(sdk, document, odp_segment_request_timeout=0.05)
    assert client.create_user_context("ann", {}).fetch_qualified_segments() is False


IDLE = {
    "not integrated": (SEGMENTS, None, (False, None), "ERROR"),
    "disabled": (SEGMENTS, True, (False, None), "ERROR"),
    "no segments": ((), False, (True, []), "DEBUG"),
}


@pytest.mark.parametrize("idle", IDLE.values(), ids=IDLE)
def test_where_nothing_is_to_be_asked_nothing_is(sdk: Sdk, platform: Platform, idle: Any) -> None:
    segments, is_disabled, answer, level = idle
    document = integrated(None if is_disabled is None else platform.url, *segments)
    with heard() as (logger, said):
        client = client_of(sdk, document, logger, odp_disabled=bool(is_disabled))
        user = client.create_user_context("ann", {})
        said.records.clear()
        fetched = user.fetch_qualified_segments()
        assert said.levels() == {level: 1}
        assert (fetched, user.get_qualified_segments()) == answer
        said.records.clear()
        client.send_odp_event("act", {"email": "a@b"})
        assert said.levels(logging.WARNING) == ({} if answer[0] else {"ERROR": 1})
    client.close()
    assert platform.at("/v3/graphql") == []


def test_a_switched_off_platform_is_said_once(sdk: Sdk) -> None:
    with heard() as (logger, said):
        client_of(sdk, datafile(sdkKey="key"), logger, odp_disabled=True)
        assert said.levels(logging.INFO) == {"INFO": 1}


def test_with_a_callback_a_thread_asks(sdk: Sdk, platform: Platform) -> None:
    user = client_of(sdk, integrated(platform.url, *SEGMENTS)).create_user_context("ann", {})
    told: list[tuple[bool, str]] = []
    thread = user.fetch_qualified_segments(
        lambda is_known: told.append((is_known, threading.current_thread().name))
    )
    assert isinstance(thread, threading.Thread)
    thread.join(10)
    assert told == [(True, "FetchQualifiedSegmentsThread")]
    assert not thread.daemon
    assert user.get_qualified_segments() == ["vip"]


def test_the_first_integration_counts(sdk: Sdk, platform: Platform) -> None:
    document = integrated(platform.url, *SEGMENTS)
    second = {"key": "odp", "host": "http://127.0.0.1:9", "publicKey": "other"}
    partner = {"key": "partner", "host": "http://127.0.0.1:9", "publicKey": "other"}
    document["integrations"] = [partner, *document["integrations"], second]
    assert client_of(sdk, document).create_user_context("ann", {}).fetch_qualified_segments()
    assert platform.requests[0].headers["x-api-key"] == KEY


def test_a_segment_that_is_no_text_is_not_asked_for(platform: Platform) -> None:
    for sdk in (theirs, ours):
        client = client_of(sdk, integrated(platform.url, "vip", 5))
        assert client.create_user_context("ann", {}).fetch_qualified_segments()
    assert platform.asked_segments() == [{"vip", "old", 5}, {"vip", "old"}]


class Cache:
    """Keeps segments, and what it was asked."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.calls: list[str] = []

    def lookup(self, key: str) -> Any:
        self.calls.append(f"lookup {key}")
        return self.kept.get(key)

    def save(self, key: str, value: Any) -> None:
        self.calls.append(f"save {key}")
        self.kept[key] = value

    def reset(self) -> None:
        self.calls.append("reset")
        self.kept.clear()


def test_a_cache_of_ones_own_is_used(sdk: Sdk, platform: Platform) -> None:
    cache = Cache()
    client = client_of(sdk, integrated(platform.url, *SEGMENTS), odp_segments_cache=cache)
    user = client.create_user_context("ann", {})
    assert user.fetch_qualified_segments()
    assert user.fetch_qualified_segments(options=[RESET])
    key = "fs_user_id-$-ann"
    assert cache.calls == ["reset", f"lookup {key}", f"save {key}", "reset", f"save {key}"]
    assert cache.kept == {key: ["vip"]}


def test_settings_say_how_many_are_kept_and_for_how_long(sdk: Sdk, platform: Platform) -> None:
    document = integrated(platform.url, *SEGMENTS)
    made = {"segments_cache_size": 1, "segments_cache_timeout_in_secs": 9}
    client = client_of(sdk, document, **made)
    cache = client.sdk_settings.segments_cache
    assert (cache.capacity, cache.timeout) == (1, 9)
    for name in ("ann", "bob", "ann"):
        assert client.create_user_context(name, {}).fetch_qualified_segments()
    assert len(platform.requests) == 3


class Segments:
    """Somebody else's segment manager."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def fetch_qualified_segments(self, *args: Any) -> Any:
        self.calls.append(args)
        return ["own"]

    def reset(self) -> None:
        self.calls.append("reset")


class Events:
    """Somebody else's event manager."""

    def __init__(self, *, is_running: bool = False) -> None:
        self.is_running = is_running
        self.calls: list[Any] = []

    def start(self, config: Any) -> None:
        self.calls.append(("start", config.get_api_host(), config.get_api_key()))

    def send_event(self, *args: Any) -> None:
        self.calls.append(("send", *args))

    def identify_user(self, identifiers: Any) -> None:
        self.calls.append(("identify", identifiers))

    def update_config(self) -> None:
        self.calls.append("update")

    def stop(self) -> None:
        self.calls.append("stop")


@pytest.mark.parametrize("is_running", [False, True])
def test_managers_of_ones_own_are_called(sdk: Sdk, is_running: bool) -> None:
    segments, events = Segments(), Events(is_running=is_running)
    client = client_of(
        sdk,
        integrated("http://platform", *SEGMENTS),
        odp_segment_manager=segments,
        odp_event_manager=events,
    )
    user = client.create_user_context("ann", {})
    assert user.fetch_qualified_segments(options=[IGNORE])
    assert user.get_qualified_segments() == ["own"]
    client.send_odp_event("act", {"email": "a@b"}, data={"n": 1})
    client.close()
    assert segments.calls == ["reset", ("fs_user_id", "ann", [IGNORE])]
    assert events.calls == [
        "update" if is_running else ("start", "http://platform", KEY),
        ("identify", {"fs_user_id": "ann"}),
        ("send", "fullstack", "act", {"email": "a@b"}, {"n": 1}),
        "stop",
    ]


def test_managers_of_ones_own_may_raise(platform: Platform) -> None:
    def fail(*_: Any) -> None:
        raise OSError("cut")

    segments, events = Segments(), Events()
    segments.fetch_qualified_segments = events.send_event = fail  # type: ignore[method-assign, assignment]  # a double
    document = integrated(platform.url, *SEGMENTS)
    plugs = {"odp_segment_manager": segments, "odp_event_manager": events}
    user = client_of(theirs, document, **plugs).create_user_context("ann", {})
    with pytest.raises(OSError, match="cut"):
        user.fetch_qualified_segments()
    with heard() as (logger, said):
        client = client_of(ours, document, logger, **plugs)
        assert client.create_user_context("ann", {}).fetch_qualified_segments() is False
        client.send_odp_event("act", {"email": "a@b"})
        assert said.levels(logging.WARNING) == {"ERROR": 2}


# Events


def test_an_event_travels_as_the_platform_wants_it(sdk: Sdk, platform: Platform) -> None:
    client = client_of(sdk, integrated(platform.url), odp_event_flush_interval=0)
    client.send_odp_event("act", {"FS-user-ID": "ann", "email": "a@b"}, data={"n": 1, "o": None})
    assert platform.wait_for(1)
    client.close()
    [request] = platform.at("/v3/events")
    assert (request.headers["x-api-key"], request.headers["content-type"]) == (
        KEY,
        "application/json",
    )
    [event] = platform.customer_events()
    data = event.pop("data")
    assert event == {
        "type": "fullstack",
        "action": "act",
        "identifiers": {"fs_user_id": "ann", "email": "a@b"},
    }
    assert data.pop("idempotence_id")
    assert data.pop("data_source")
    assert data.pop("data_source_version")
    assert data == {"data_source_type": "sdk", "n": 1, "o": None}


def test_events_share_requests_of_ten(sdk: Sdk, platform: Platform) -> None:
    client = client_of(sdk, integrated(platform.url), odp_event_flush_interval=60)
    for number in range(23):
        client.send_odp_event("act", {"email": str(number)})
    assert platform.wait_for(2)
    client.close()
    assert [len(request.json) for request in platform.at("/v3/events")] == [10, 10, 3]
    sent = [event["identifiers"]["email"] for event in platform.customer_events()]
    assert sent == [str(number) for number in range(23)]


@pytest.mark.parametrize(
    ("action", "identifiers", "more"),
    [
        ("", {"email": "a"}, {}),
        (None, {"email": "a"}, {}),
        ("act", {}, {}),
        ("act", [], {}),
        ("act", None, {}),
        ("act", {"email": "a"}, {"data": {"n": [1]}}),
        ("act", {"email": "a"}, {"data": {"n": object()}}),
    ],
)
def test_an_event_that_cannot_be_sent_is_said(
    sdk: Sdk, platform: Platform, action: Any, identifiers: Any, more: Any
) -> None:
    with heard() as (logger, said):
        client = client_of(sdk, integrated(platform.url), logger, odp_event_flush_interval=0)
        said.records.clear()
        client.send_odp_event(action, identifiers, **more)
        assert said.levels(logging.WARNING) == {"ERROR": 1}
        client.send_odp_event("act", {"email": "a"}, type=None)
        assert platform.wait_for(1)
    client.close()
    assert [event["type"] for event in platform.customer_events()] == ["fullstack"]


def test_customer_events_are_retried_until_they_are_taken(platform: Platform) -> None:
    delivered = []
    for sdk in (theirs, ours):
        before = len(platform.requests)
        platform.answers = [Answer(503)] * 4
        client = client_of(sdk, integrated(platform.url), odp_event_flush_interval=0)
        client.send_odp_event("act", {"email": "a"})
        assert platform.wait_for(before + 4)
        is_official = sdk is theirs
        delivered.append(is_official or platform.wait_for(before + 5))
        client.close()
        assert len(platform.requests) - before == (4 if is_official else 5)
    assert delivered == [True, True]


def test_closing_waits_for_no_platform_that_hangs(platform: Platform) -> None:
    from tallybook.optimizely.odp import odp_event_manager

    release = threading.Event()

    def hang(_: Captured) -> Answer:
        release.wait(30)
        return Answer(200)

    platform.otherwise = hang
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(odp_event_manager, "STOP_TIMEOUT_S", 0.05)
        client = client_of(ours, integrated(platform.url), odp_event_flush_interval=0)
        client.send_odp_event("act", {"email": "a"})
        assert platform.wait_for(1)
        client.close()
    assert not release.is_set()
    release.set()


def test_after_the_end_events_are_refused_with_a_warning(sdk: Sdk, platform: Platform) -> None:
    with heard() as (logger, said):
        client = client_of(sdk, integrated(platform.url), logger, odp_event_flush_interval=0)
        client.close()
        said.records.clear()
        client.send_odp_event("act", {"email": "a"})
        assert said.levels(logging.WARNING) == {"WARNING": 1}
    assert platform.requests == []


def test_a_manager_can_be_used_by_itself(sdk: Sdk, platform: Platform) -> None:
    manager = sdk.module("odp.odp_event_manager").OdpEventManager(flush_interval=60)
    config = sdk.module("odp.odp_config").OdpConfig(KEY, platform.url, ["vip"])
    assert not manager.is_running
    manager.send_event("t", "too early", {"email": "a"}, {})
    manager.start(config)
    assert manager.is_running
    manager.send_event("t", "act", {"email": "a"}, {})
    manager.flush()
    assert platform.wait_for(1)
    manager.identify_user({"fs_user_id": "ann"})
    manager.identify_user({"fs_user_id": "ann", "vuid": "v", "email": ""})
    manager.stop()
    assert not manager.is_running
    assert [event["action"] for event in platform.customer_events()] == ["act", "identified"]

    segments = sdk.module("odp.odp_segment_manager").OdpSegmentManager(Cache())
    assert segments.fetch_qualified_segments("vuid", "v", []) is None
    segments.odp_config = config
    assert segments.fetch_qualified_segments("vuid", "v", []) == ["vip"]
    assert segments.make_cache_key("vuid", "v") in segments.segments_cache.kept
    segments.reset()
    assert segments.segments_cache.kept == {}


def test_a_changed_config_moves_events_and_forgets_segments(sdk: Sdk, platform: Platform) -> None:
    cache = Cache()
    manager = sdk.module("odp.odp_manager").OdpManager(False, cache, odp_flush_interval=0)
    state = sdk.module("odp.odp_config").OdpConfigState
    assert manager.odp_config.odp_state() is state.UNDETERMINED
    manager.update_odp_config(None, None, [])
    assert manager.odp_config.odp_state() is state.NOT_INTEGRATED
    manager.update_odp_config("one", platform.url, ["vip"])
    assert manager.odp_config.odp_state() is state.INTEGRATED
    manager.fetch_qualified_segments("ann", [])
    manager.update_odp_config("one", platform.url, ["vip"])
    assert cache.kept
    manager.update_odp_config("two", platform.url, ["vip"])
    assert not cache.kept
    manager.send_event("t", "act", {"email": "a"}, {})
    assert platform.wait_for(2)
    manager.close()
    assert platform.at("/v3/events")[0].headers["x-api-key"] == "two"


def test_carriers_of_ones_own_are_used(sdk: Sdk) -> None:
    carried: list[Any] = []
    done = threading.Event()

    class Carrier:
        def send_odp_events(self, key: str, host: str, events: Any) -> bool:
            carried.append((key, host, [event.action for event in events]))
            if len(carried) == 2:
                done.set()
            return len(carried) == 1  # once more, please

        def fetch_segments(self, *args: Any) -> Any:
            carried.append(args)

    config = sdk.module("odp.odp_config").OdpConfig(KEY, "http://platform", ["vip"])
    manager = sdk.module("odp.odp_event_manager").OdpEventManager(None, Carrier(), flush_interval=0)
    manager.start(config)
    manager.send_event("t", "act", {"email": "a"}, {})
    assert done.wait(20)
    manager.stop()
    assert carried == [(KEY, "http://platform", ["act"])] * 2

    carried.clear()
    segments = sdk.module("odp.odp_segment_manager").OdpSegmentManager(Cache(), Carrier())
    segments.odp_config = config
    assert segments.fetch_qualified_segments("fs_user_id", "ann", []) is None
    assert carried == [(KEY, "http://platform", "fs_user_id", "ann", ["vip"])]


def test_a_stopped_manager_of_events_can_start_again(platform: Platform) -> None:
    for sdk in (theirs, ours):
        manager = sdk.module("odp.odp_event_manager").OdpEventManager(flush_interval=0)
        config = sdk.module("odp.odp_config").OdpConfig(KEY, platform.url, [])
        manager.start(config)
        manager.stop()
        if sdk is theirs:
            with pytest.raises(RuntimeError):
                manager.start(config)
            continue
        manager.start(config)
        manager.send_event("t", "act", {"email": "a"}, {})
        assert platform.wait_for(1)
        manager.stop()


def test_a_project_without_them_costs_no_thread_and_no_request(platform: Platform) -> None:
    threads = set(threading.enumerate())
    client = client_of(ours, integrated(platform.url, *SEGMENTS))
    user = client.create_user_context("ann", {})
    user.decide_all()
    client.close()
    made = set(threading.enumerate()) - threads
    assert (platform.requests, made) == ([], set())
    assert "manager" not in vars(client._customer_data)


def test_who_lets_go_of_a_client_has_its_events_delivered(platform: Platform) -> None:
    before = {thread for thread in threading.enumerate() if thread.name == THREAD_NAME}
    client = client_of(ours, integrated(platform.url), odp_event_flush_interval=60)
    client.send_odp_event("act", {"email": "a"})
    del client
    assert platform.wait_for(1)
    assert eventually(lambda: {t for t in threading.enumerate() if t.name == THREAD_NAME} <= before)
