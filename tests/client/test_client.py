from __future__ import annotations

import asyncio
import gc
import json
import re
import threading
import time
import tomllib
import weakref
from pathlib import Path
from typing import Any

import pytest

import tallybook
from shop import Shop, datafile
from sinks import Answer, Captured, Mailbox, Sink
from tallybook import Client, ClientSettings, ConfigError, DatafileError, NotificationType
from tallybook.client import DeliverySettings, PollingSettings
from tallybook.client.addresses import Addresses
from tallybook.deliver.poller import THREAD_NAME as POLLING
from tallybook.deliver.worker import THREAD_NAME as DELIVERY

TEXT = json.dumps(datafile())
QUICK = {
    "delivery": DeliverySettings(flush_interval_s=0.01),
    "polling": PollingSettings(interval_s=0.01, backoff_base_s=0.01),
}


def server(text: str = TEXT) -> Sink:
    """Serves the datafile and takes events, as ``tallybook serve`` does."""
    return Sink(otherwise=lambda request: serve(request, text))


def serve(request: Captured, text: str = TEXT) -> Answer:
    if request.method == "POST":
        return Answer(204)
    if request.headers.get("if-none-match") == '"7"':
        return Answer(304)
    return Answer(200, text.encode(), {"ETag": '"7"'})


def threads() -> set[str]:
    """The names of our threads that do not end within a moment."""
    ours = [thread for thread in threading.enumerate() if thread.name in (DELIVERY, POLLING)]
    for thread in ours:
        thread.join(5)
    return {thread.name for thread in ours if thread.is_alive()}


@pytest.mark.parametrize("text", [TEXT, TEXT.encode()])
def test_a_datafile_makes_a_client_that_is_ready(text: str | bytes) -> None:
    client = Client(text, http=Mailbox())
    assert client.is_ready
    assert client.wait_until_ready(0)
    assert threads() == set(), "nothing is started before it is needed"
    assert client.close() == 0


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", json.dumps(datafile(version="5")), b"\xff", datafile(), 7]
)
def test_a_datafile_that_cannot_be_read_raises_with_its_path(text: Any) -> None:
    with pytest.raises(DatafileError) as raised:
        Client(text)
    assert raised.value.path.startswith("$")


def test_a_client_with_nothing_to_go_by_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"datafile.*sdk_key.*datafile_url"):
        Client()


@pytest.mark.parametrize(
    "options",
    [
        {"server_url": "localhost:8080"},
        {"event_url": "ftp://x"},
        {"datafile_url": "/path"},
        {"server_url": 7},
        {"server_url": "http://[bad"},
        {"default_decide_options": "INCLUDE_REASONS"},
        {"default_decide_options": [7]},
        {"server_url": "http://host:99999"},
        {"server_url": "http://host:port"},
        {"server_url": "http://a host"},
        {"server_url": "http://host/?tenant=1"},
        {"event_url": "http://host\n"},
        {"sdk_key": 7},
        {"sdk_key": "\ud800"},
        {"settings": {"gzip": True}},
        {"delivery": {"batch_size": 7}},
        {"polling": 60},
        {"datafile_access_token": b"secret"},
        {"client_name": None},
        {"client_version": 7},
        {"clock_ms": 1_760_000_000_000},
        {"new_uuid": "id"},
        {"http": object()},
        {"surroundings": None},
        {"user_profile_service": {"user": {}}},
        {"error_handler": "raise"},
    ],
)
def test_settings_that_cannot_be_used_name_themselves(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))) as raised:
        Client(TEXT, **options)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 1.5),
        ("batch_size", True),
        ("max_waiting_events", "many"),
        ("flush_interval_s", -1),
        ("request_timeout_s", float("nan")),
        ("backoff_cap_s", None),
        ("flush_interval_s", 1e300),
        ("batch_size", 10**400),
        ("gzip", "yes"),
    ],
)
def test_delivery_settings_are_checked_where_they_are_given(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        DeliverySettings(**{name: value})


def test_an_unknown_option_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="sdkkey"):
        Client(TEXT, sdkkey="typo")  # type: ignore[call-arg]


def test_settings_may_come_together_or_as_keywords() -> None:
    mailbox = Mailbox()
    settings = ClientSettings(http=mailbox, client_name="python-sdk", client_version="1")
    with Client(TEXT, settings=settings, client_version="2") as client:
        client.track("purchase", "user")
    (body,) = mailbox.bodies
    assert (body["client_name"], body["client_version"]) == ("python-sdk", "2")


def test_events_name_the_version_the_package_is_built_as() -> None:
    root = Path(__file__).parents[2]
    source = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["version"]
    (version,) = re.findall(source["pattern"], (root / source["path"]).read_text())
    assert tallybook.__version__ == version
    mailbox = Mailbox()
    with Client(TEXT, http=mailbox) as client:
        client.track("purchase", "user")
    assert mailbox.bodies[0]["client_version"] == version


@pytest.mark.parametrize(
    ("addresses", "region", "url"),
    [
        (Addresses(), "US", "https://logx.optimizely.com/v1/events"),
        (Addresses(), "eu", "https://eu.logx.optimizely.com/v1/events"),
        (Addresses(), "mars", "https://logx.optimizely.com/v1/events"),
        (Addresses("http://ours/"), "EU", "http://ours/v1/events"),
        (Addresses("http://ours", "http://events"), "EU", "http://events"),
    ],
)
def test_events_go_where_the_settings_or_else_the_region_say(
    addresses: Addresses, region: str, url: str
) -> None:
    assert addresses.for_events(region) == url


@pytest.mark.parametrize(
    ("addresses", "is_secure", "url"),
    [
        (Addresses(), False, "https://cdn.optimizely.com/datafiles/a%2Fb.json"),
        (Addresses(), True, "https://config.optimizely.com/datafiles/auth/a%2Fb.json"),
        (Addresses("http://ours/"), True, "http://ours/datafiles/a%2Fb.json"),
        (Addresses("http://ours", None, "http://cdn/{sdk_key}"), False, "http://cdn/a%2Fb"),
    ],
)
def test_datafiles_come_from_where_the_settings_say(
    addresses: Addresses, is_secure: bool, url: str
) -> None:
    assert addresses.for_datafile("a/b", is_secure=is_secure) == url


def test_our_server_is_polled_and_gets_packed_events() -> None:
    with server() as sink:
        client = Client(sdk_key="key", server_url=sink.url, **QUICK)
        assert client.wait_until_ready(10)
        client.create_user_context("user", {"plan": "gold"}).track_event("purchase")
        assert client.flush(10)
        assert client.close(5) == 0
    assert sink.requests[0].path == "/datafiles/key.json"
    (request,) = sink.posts
    assert request.path == "/v1/events"
    assert request.is_gzip
    assert request.json["visitors"][0]["visitor_id"] == "user"
    assert threads() == set()


def test_towards_another_collector_bodies_are_not_packed() -> None:
    with server() as sink:
        with Client(TEXT, event_url=f"{sink.url}/v1/events") as client:
            client.track("purchase", "user")
        assert not sink.posts[0].is_gzip


def test_a_token_goes_with_each_poll() -> None:
    with server() as sink:
        with Client(sdk_key="key", server_url=sink.url, datafile_access_token="secret") as client:
            assert client.wait_until_ready(10)
        assert sink.requests[0].headers["authorization"] == "Bearer secret"


def test_a_new_revision_is_taken_up_and_told() -> None:
    with server() as sink:
        client = Client(sdk_key="key", server_url=sink.url, **QUICK)
        assert client.wait_until_ready(10)
        told = threading.Event()
        client.notifications.add_notification_listener(
            NotificationType.OPTIMIZELY_CONFIG_UPDATE, told.set
        )
        user = client.create_user_context("user")
        assert user.decide("new_flag").variation_key is None
        newer = datafile(revision="8")
        newer["featureFlags"][0]["key"] = "new_flag"
        sink.otherwise = Answer(200, json.dumps(newer).encode())
        assert told.wait(10)
        assert user.decide("new_flag").variation_key == "test_on"
        client.close(5)


def test_a_datafile_of_the_same_revision_changes_nothing() -> None:
    shop = Shop()
    told: list[object] = []
    shop.client.notifications.add_notification_listener(
        NotificationType.OPTIMIZELY_CONFIG_UPDATE, lambda: told.append(1)
    )
    shop.client._revisions.install(json.dumps(datafile(featureFlags=[])))
    assert shop.client.create_user_context("user").decide("tested").enabled
    assert told == []
    shop.client.close(5)


def test_a_bad_datafile_that_is_polled_leaves_the_good_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with server() as sink:
        client = Client(TEXT, sdk_key="key", server_url=sink.url, **QUICK)
        sink.otherwise = Answer(200, b'{"version": "9"}')
        asked = len(sink.requests)
        assert sink.wait_for(asked + 3)
        assert client.create_user_context("user").decide("tested").enabled
        assert "not used" in caplog.text
        client.close(5)


def test_a_server_that_is_down_delays_nothing_and_is_asked_again() -> None:
    with Sink(otherwise=Answer(500)) as sink:
        began = time.monotonic()
        client = Client(sdk_key="key", server_url=sink.url, **QUICK)
        user = client.create_user_context("user")
        assert not user.decide("tested").enabled
        assert time.monotonic() - began < 1
        assert not client.wait_until_ready(0.02)
        sink.otherwise = Answer(200, TEXT.encode())
        assert client.wait_until_ready(10)
        assert user.decide("tested").enabled
        client.close(5)


def test_async_services_wait_without_blocking_the_loop() -> None:
    async def visit() -> tuple[bool, bool, int]:
        with Sink(otherwise=Answer(500)) as sink:
            async with Client(sdk_key="key", server_url=sink.url, **QUICK) as client:
                early = await client.ready(0.02)
                sink.otherwise = serve
                late = await client.ready(10)
                client.track("purchase", "user")
                assert await client.ready(0)
                undelivered = await client.aclose(5)
            assert len(sink.events) == 1
            return early, late, undelivered

    assert asyncio.run(visit()) == (False, True, 0)
    assert threads() == set()


def test_readiness_may_come_after_the_loop_is_gone() -> None:
    mailbox = Mailbox()
    client = Client(sdk_key="key", http=mailbox, **QUICK)

    async def give_up() -> None:
        task = asyncio.create_task(client.ready())
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(give_up())
    mailbox.datafile = TEXT.encode()
    assert client.wait_until_ready(10)
    client.close(5)


def test_close_returns_what_is_not_delivered_and_may_be_called_again() -> None:
    client = Client(TEXT, http=Mailbox(status=500), **QUICK)
    client.track("purchase", "user")
    assert client.close(0.05) == 1
    assert client.close(0.05) == 1
    assert client.delivery_stats().waiting_events == 1
    assert client.delivery_stats().waiting_bytes > 100


def test_stats_add_up() -> None:
    shop = Shop()
    user = shop.client.create_user_context("user")
    for _ in range(7):
        user.track_event("purchase")
    user.track_event("unknown")
    shop.sent()
    stats = shop.client.delivery_stats()
    assert (stats.accepted, stats.delivered, stats.waiting_events) == (7, 7, 0)
    assert stats.refused == {"unknown_event": 1}
    with pytest.raises(TypeError):
        stats.refused["unknown_event"] = 2  # type: ignore[index]
    shop.client.close(5)


def test_create_and_close_leaves_nothing_behind() -> None:
    gone = []
    for _ in range(20):
        shop = Shop()
        shop.client.track("purchase", "user")
        assert shop.client.close(5) == 0
        gone.append(weakref.ref(shop.client))
        gone.append(weakref.ref(shop.client._outbox))
    del shop
    gc.collect()
    assert [reference() for reference in gone] == [None] * 40
    assert threads() == set()


def test_a_client_that_is_only_dropped_still_delivers_and_ends() -> None:
    with server() as sink:
        client = Client(
            TEXT, sdk_key="key", server_url=sink.url, delivery=DeliverySettings(flush_interval_s=60)
        )
        client.track("purchase", "user")
        workers = [thread for thread in threading.enumerate() if thread.name in (DELIVERY, POLLING)]
        del client
        gc.collect()
        for worker in workers:
            worker.join(10)
        assert len(sink.events) == 1
        assert threads() == set()


def test_a_user_context_keeps_its_client_working() -> None:
    mailbox = Mailbox()

    def visit() -> Any:
        return Client(TEXT, http=mailbox, **QUICK).create_user_context("user")

    user = visit()
    gc.collect()
    user.track_event("purchase")
    assert user.decide("tested").enabled
    outbox = user._answers.tracker._recorder._outbox
    assert outbox.flush(10)
    assert len(mailbox.visitors) == 2
    outbox.close(5)


def test_a_byte_order_mark_before_the_text_is_passed_over() -> None:
    for text in ("\ufeff" + TEXT, b"\xef\xbb\xbf" + TEXT.encode()):
        assert Client(text, http=Mailbox()).is_ready


def test_an_empty_token_is_none() -> None:
    mailbox = Mailbox(TEXT.encode())
    with Client(sdk_key="key", datafile_access_token="", http=mailbox) as client:
        assert client.wait_until_ready(10)
    assert set(mailbox.urls) == {"https://cdn.optimizely.com/datafiles/key.json"}


def test_close_ends_the_waiting_for_a_datafile() -> None:
    client = Client(sdk_key="key", server_url="http://server", http=Mailbox())
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(client.wait_until_ready()))
    waiting.start()
    client.close()
    waiting.join(10)
    assert answers == [False]
    assert client.wait_until_ready() is False


def test_patience_may_be_endless() -> None:
    client = Client(TEXT, http=Mailbox())
    client.track("purchase", "user")
    assert client.flush(float("inf"))
    assert client.wait_until_ready(float("inf"))
    assert asyncio.run(client.ready(float("inf")))
    assert client.close(None) == 0
