"""Qualified segments and customer events in the native client, against a real platform's double."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remote import KEY, Platform, declined, edges, heard, integrated
from shop import datafile
from sinks import Answer
from tallybook import Client, ConfigError
from tallybook.client import ClientSettings, OdpSettings, SegmentOption
from tallybook.deliver.settings import Surroundings
from tallybook.model.customer_data import CustomerDataSource, customer_data_of
from tallybook.wire.datafile import read_datafile

SEGMENTS = ("vip", "new")


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform() as started:
        yield started


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    made: list[Client] = []
    yield made
    for client in made:
        client.close(5)


def client_of(
    platform: Platform, clients: list[Client], document: Any = None, **odp: Any
) -> Client:
    clock = odp.pop("clock", None)
    client = Client(
        json.dumps(document or integrated(platform.url, *SEGMENTS)),
        event_url=platform.url + "/v1/events",
        odp=OdpSettings(**{"flush_interval_s": 0.01, **odp}),
        surroundings=Surroundings(monotonic=clock) if clock else Surroundings(),
    )
    clients.append(client)
    return client


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_datafile_says_where_the_platform_is_and_which_segments_count() -> None:
    project = read_datafile(json.dumps(integrated("http://platform", "vip", "new", 5, "vip")))
    assert customer_data_of(project) == CustomerDataSource(
        "http://platform", KEY, ("old", "vip", "new")
    )
    assert customer_data_of(read_datafile(json.dumps(datafile()))) == CustomerDataSource()


def test_fetched_segments_decide(platform: Platform, clients: list[Client]) -> None:
    document = integrated(platform.url)
    condition = {
        "type": "third_party_dimension",
        "name": "odp.audiences",
        "match": "qualified",
        "value": "vip",
    }
    document["typedAudiences"] = [{"id": "a1", "name": "vips", "conditions": ["or", condition]}]
    client = client_of(platform, clients, document)
    user = client.create_user_context("ann")
    assert user.decide("for_gold").variation_key is None
    assert user.fetch_qualified_segments() is True
    assert user.is_qualified_for("vip")
    assert user.decide("for_gold").variation_key == "gold_only_on"
    other = client.create_user_context("ann")
    assert other.get_qualified_segments() is None  # what is known is known of one context


def test_segments_are_kept_for_a_while(platform: Platform, clients: list[Client]) -> None:
    clock = Clock()
    client = client_of(platform, clients, clock=clock, cache_timeout_s=60.0, cache_size=2)

    def asks(user_id: str, *options: str) -> int:
        before = len(platform.at("/v3/graphql"))
        assert client.create_user_context(user_id).fetch_qualified_segments(options=options)
        return len(platform.at("/v3/graphql")) - before

    assert [asks("ann"), asks("ann")] == [1, 0]
    assert asks("ann", SegmentOption.IGNORE_CACHE) == 1
    clock.now_s += 59.9
    assert asks("ann") == 0
    clock.now_s += 0.1
    assert [asks("ann"), asks("bob"), asks("cid")] == [1, 1, 1]
    assert [asks("cid"), asks("ann")] == [0, 1]
    assert asks("cid", SegmentOption.RESET_CACHE) == 1
    assert asks("ann") == 1


def test_without_a_callback_it_waits_and_with_one_a_thread_does(
    platform: Platform, clients: list[Client]
) -> None:
    user = client_of(platform, clients).create_user_context("ann")
    told: list[tuple[bool, str]] = []
    thread = user.fetch_qualified_segments(
        lambda is_known: told.append((is_known, threading.current_thread().name))
    )
    thread.join(10)
    assert told == [(True, "FetchQualifiedSegmentsThread")]
    assert user.get_qualified_segments() == ["vip"]


def test_a_callback_that_raises_is_logged(platform: Platform, clients: list[Client]) -> None:
    user = client_of(platform, clients).create_user_context("ann")
    with heard("tallybook") as (_, said):
        user.fetch_qualified_segments(lambda _: 1 / 0).join(10)
        assert said.levels(logging.WARNING) == {"ERROR": 1}


def test_a_coroutine_does_not_hold_up_its_loop(platform: Platform, clients: list[Client]) -> None:
    release = threading.Event()

    def hold(_: object) -> Answer:
        release.wait(20)
        return edges("vip")

    platform.otherwise = hold
    user = client_of(platform, clients).create_user_context("ann")

    async def both() -> bool:
        fetching = asyncio.create_task(user.afetch_qualified_segments([]))
        await asyncio.sleep(0)
        release.set()  # which nobody could, if the loop were held up
        return await fetching

    assert asyncio.run(both()) is True
    assert user.get_qualified_segments() == ["vip"]


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (Answer(500), "ERROR"),
        (Answer(200, b"{}"), "ERROR"),
        (declined(classification="Timeout"), "ERROR"),
        (declined(code="INVALID_IDENTIFIER_EXCEPTION", classification="x"), "WARNING"),
    ],
    ids=["5xx", "another shape", "declined", "nobody"],
)
def test_what_fails_is_unknown(
    platform: Platform, clients: list[Client], answer: Answer, level: str
) -> None:
    user = client_of(platform, clients).create_user_context("ann")
    user.set_qualified_segments(["before"])
    platform.segments = answer
    with heard("tallybook") as (_, said):
        assert user.fetch_qualified_segments() is False
        assert said.levels(logging.INFO) == {level: 1}
    assert user.get_qualified_segments() is None


def test_options_that_are_no_list_are_none(platform: Platform, clients: list[Client]) -> None:
    user = client_of(platform, clients).create_user_context("ann")
    assert user.fetch_qualified_segments()
    for odd in ("RESET_CACHE", 5, {"RESET_CACHE"}, [5, None]):
        assert user.fetch_qualified_segments(options=odd)  # type: ignore[call-overload]  # what is tried
    assert len(platform.requests) == 1


def test_another_platform_forgets_what_the_first_one_said(clients: list[Client]) -> None:
    with Platform() as one, Platform() as two:
        documents = {
            "7": integrated(one.url, *SEGMENTS),
            "8": {**integrated(one.url, *SEGMENTS), "revision": "8"},
            "9": {**integrated(two.url, *SEGMENTS), "revision": "9"},
        }
        client = client_of(one, clients, documents["7"])
        two.segments = edges("new")
        user = client.create_user_context("ann")
        for revision, segments in (("7", ["vip"]), ("8", ["vip"]), ("9", ["new"])):
            client._revisions.install(json.dumps(documents[revision]))  # as polling does
            assert user.fetch_qualified_segments()
            assert user.get_qualified_segments() == segments
        assert (len(one.requests), len(two.requests)) == (1, 1)


def test_events_are_delivered_counted_and_apart_from_the_others(
    platform: Platform, clients: list[Client]
) -> None:
    client = client_of(platform, clients, flush_interval_s=60.0)
    client.send_odp_event("act", {"fs-user-id": "ann"}, data={"n": 1})
    client.send_odp_event("act", {"email": "a@b"}, type="own")
    client.track("purchase", "ann")
    assert client.flush(10)
    stats = client.odp_stats()
    assert (stats.accepted, stats.delivered, stats.waiting_events) == (2, 2, 0)
    assert client.delivery_stats().accepted == 1
    assert [event["type"] for event in platform.customer_events()] == ["fullstack", "own"]
    assert platform.customer_events()[0]["identifiers"] == {"fs_user_id": "ann"}
    assert platform.customer_events()[0]["data"]["data_source"] == "tallybook-python"
    assert len(platform.at("/v1/events")) == 1


KILLED = """
import os, signal, sys
from tallybook import Client
from tallybook.client import OdpSettings
datafile, event_url = sys.argv[1:]
client = Client(datafile, event_url=event_url, odp=OdpSettings(flush_interval_s=3600.0))
for n in range(25):
    client.send_odp_event("act", {"email": "a@b"}, data={"n": n})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_its_customer_events_to_the_next(
    platform: Platform, clients: list[Client]
) -> None:
    document, url = json.dumps(integrated(platform.url, *SEGMENTS)), f"{platform.url}/v1/events"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    arguments = [sys.executable, "-c", KILLED, document, url]
    killed = subprocess.run(arguments, env=environment, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert platform.customer_events() == []
    client = client_of(platform, clients)
    client.track("purchase", "ann")
    client.send_odp_event("act", {"email": "a@b"}, data={"n": 25})
    deadline = time.monotonic() + 20
    while len(platform.customer_events()) < 26 and time.monotonic() < deadline:
        time.sleep(0.01)
    found = [event["data"]["n"] for event in platform.customer_events()]
    assert sorted(found) == list(range(26))
    assert client.odp_stats().adopted == 25
    assert client.delivery_stats().adopted == 0


def test_events_that_cannot_be_sent_are_counted_and_logged(
    platform: Platform, clients: list[Client]
) -> None:
    client = client_of(platform, clients)
    odd: list[Any] = [("", {"a": "b"}), ("act", {}), ("act", None), (5, {"a": "b"})]
    with heard("tallybook") as (_, said):
        for action, identifiers in odd:
            client.send_odp_event(action, identifiers)
        client.send_odp_event("act", {"a": "b"}, data={"n": [1]})  # type: ignore[dict-item]  # what is tried
        assert said.levels(logging.WARNING) == {"ERROR": 5}
    assert client.odp_stats().refused == {"invalid_argument": 5}
    assert platform.requests == []


def test_closing_delivers_and_ends_within_its_time(platform: Platform) -> None:
    client = client_of(platform, [], flush_interval_s=60.0)
    client.send_odp_event("act", {"email": "a@b"})
    assert client.close(10) == 0
    assert len(platform.customer_events()) == 1
    client.send_odp_event("act", {"email": "a@b"})
    assert client.odp_stats().refused == {"closed": 1}

    platform.otherwise = Answer(503)
    waiting = client_of(platform, [], flush_interval_s=60.0)
    waiting.send_odp_event("act", {"email": "a@b"})
    assert waiting.close(0.05) == 0  # events of the other kind, of which there were none
    assert waiting.odp_stats().waiting_events == 1


def test_what_is_sent_only_after_close_is_refused_too(platform: Platform) -> None:
    client = client_of(platform, [])
    client.close(5)
    client.send_odp_event("act", {"email": "a@b"})
    assert (client.odp_stats().refused, platform.requests) == ({"closed": 1}, [])


@pytest.mark.parametrize("why", ["disabled", "not integrated", "no datafile"])
def test_where_there_is_nothing_to_ask_or_tell_it_is_said(
    platform: Platform, clients: list[Client], why: str
) -> None:
    if why == "no datafile":
        client = Client(datafile_url=platform.url, odp=OdpSettings())
        clients.append(client)
    else:
        document = integrated(None if why == "not integrated" else platform.url, *SEGMENTS)
        client = client_of(platform, clients, document, disabled=why == "disabled")
    user = client.create_user_context("ann")
    with heard("tallybook") as (_, said):
        assert user.fetch_qualified_segments() is False
        client.send_odp_event("act", {"email": "a@b"})
        ours = [r for r in said.records if "odp" in r.getMessage() or "egments" in r.getMessage()]
        assert [record.levelname for record in ours] == ["ERROR", "ERROR"]
    assert platform.at("/v3") == []


def test_who_asks_nothing_pays_nothing(platform: Platform) -> None:
    threads = threading.active_count()
    client = client_of(platform, [])
    user = client.create_user_context("ann")
    user.set_qualified_segments(["vip"])
    user.decide_all(["DISABLE_DECISION_EVENT"])
    assert client.odp_stats().accepted == 0
    assert client._services._customer_data == {}  # nothing tells it from outside
    assert (threading.active_count(), platform.requests) == (threads, [])
    client.close(5)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"disabled": 1}, {"cache_size": -1}, {"cache_timeout_s": -1}, {"flush_interval_s": -1}),
        *({"segments_timeout_s": 0}, {"events_timeout_s": "10"}),
    ],
    ids=str,
)
def test_settings_are_checked_where_they_are_given(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        OdpSettings(**wrong)
    with pytest.raises(ConfigError, match="odp"):
        ClientSettings(odp=wrong)  # type: ignore[arg-type]  # what is tried
