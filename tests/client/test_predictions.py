"""Contextual bandits in the native client: predictions kept, fetched, and never waited for."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from remote import IGNORE, INVALIDATE, REASONS, RESET, Platform, bandit, heard, predicted
from shop import datafile
from sinks import Answer, Captured
from tallybook import Client, ConfigError
from tallybook.client import ClientSettings, CmabSettings
from tallybook.client.errands import Errands
from tallybook.client.predictions import THREAD_NAME
from tallybook.client.turns import Turns
from tallybook.deliver.answer import Reply
from tallybook.deliver.quiet_log import QuietLog
from tallybook.deliver.settings import DeliverySettings, Surroundings
from tallybook.model.reason import ReasonKind
from tallybook.testing import InMemoryClient

FLAG = "tested"
GOLD = {"plan": "gold"}
TEXT = json.dumps(bandit())


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


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def client_of(platform: Platform, clients: list[Client], **options: Any) -> Client:
    clock = options.pop("clock", None)
    cmab = CmabSettings(endpoint=platform.endpoint, **options)
    client = Client(
        TEXT,
        event_url=platform.url + "/v1/events",
        delivery=DeliverySettings(flush_interval_s=0.01),
        cmab=cmab,
        surroundings=Surroundings(monotonic=clock) if clock else Surroundings(),
    )
    clients.append(client)
    return client


def kinds(client: Client, *options: str, user_id: str = "ann", **attributes: object) -> list[str]:
    """What a decision of the bandit's flag says of predictions."""
    user = client.create_user_context(user_id, {**GOLD, **attributes})
    found = user.decide(FLAG, [REASONS, *options]).reason_kinds
    return [kind.value.removeprefix("cmab_") for kind in found if kind.value.startswith("cmab_")]


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not (is_now := is_so()) and time.monotonic() < deadline:
        time.sleep(0.002)
    return is_now


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


# Not waiting


def test_a_prediction_that_is_not_there_is_asked_for_and_not_waited_for(
    platform: Platform, clients: list[Client]
) -> None:
    release = threading.Event()

    def hold(request: Captured) -> Answer:
        release.wait(20)
        return predicted()

    platform.otherwise = hold
    client = client_of(platform, clients)
    user = client.create_user_context("ann", GOLD)
    with heard("tallybook") as (_, said):
        decision = user.decide(FLAG)
        assert (
            decision.reason_kinds[-1] is ReasonKind.CMAB_PENDING
        )  # unasked, as nothing is decided
        assert (decision.variation_key, decision.enabled, decision.variables) == (None, False, {})
        assert platform.wait_for(1)
        assert [user.decide(FLAG).variation_key for _ in range(3)] == [None] * 3
        assert said.levels(logging.INFO)["ERROR"] == 0
    release.set()
    assert eventually(lambda: user.decide(FLAG).variation_key == "test_on")
    assert len(platform.predictions()) == 1
    assert eventually(lambda: not workers())


def test_what_came_in_the_background_decides_and_is_named_in_events(
    platform: Platform, clients: list[Client]
) -> None:
    client = client_of(platform, clients)
    users = [client.create_user_context(name, GOLD) for name in ("ann", "bob")]
    for user in users:
        user.decide(FLAG)
        assert eventually(lambda user=user: user.decide(FLAG).variation_key == "test_on")  # type: ignore[misc]  # a default binds the loop's
    assert client.flush(10)
    fetched = {asked["visitorId"]: asked["cmabUUID"] for asked in platform.predictions()}
    sent = [v for request in platform.at("/v1/events") for v in request.json["visitors"]]
    named = {
        visitor["visitor_id"]: visitor["snapshots"][0]["decisions"][0]["metadata"]["cmab_uuid"]
        for visitor in sent
    }
    assert named == fetched
    assert len(set(fetched.values())) == 2


def test_a_failure_in_the_background_is_logged_now_and_then_and_asked_again(
    platform: Platform, clients: list[Client]
) -> None:
    platform.prediction = Answer(500, b"no")
    client = client_of(platform, clients)
    with heard("tallybook") as (_, said):
        for number in range(3):
            assert kinds(client, user_id=f"user {number}") == ["pending"]
        assert platform.wait_for(6)
        assert eventually(lambda: not workers())
        assert said.levels(logging.INFO)["ERROR"] == 2  # once for all of a kind
    platform.prediction = predicted()
    assert kinds(client, user_id="user 0") == ["pending"]
    assert eventually(lambda: kinds(client, user_id="user 0") == ["cache_hit"])


def test_what_may_not_be_kept_cannot_come_in_the_background(
    platform: Platform, clients: list[Client]
) -> None:
    client = client_of(platform, clients)
    assert kinds(client, IGNORE) == ["failed"]
    assert platform.requests == []
    assert kinds(client, RESET) == ["pending"]
    assert eventually(lambda: kinds(client) == ["cache_hit"])
    assert kinds(client, INVALIDATE) == ["pending"]


def test_after_close_nothing_more_is_asked(platform: Platform, clients: list[Client]) -> None:
    client = client_of(platform, clients)
    client.close(5)
    assert kinds(client) == ["failed"]
    assert platform.requests == []


def test_closing_waits_for_no_prediction(platform: Platform) -> None:
    release = threading.Event()

    def hold(request: Captured) -> Answer:
        release.wait(20)
        return predicted()

    platform.otherwise = hold
    client = client_of(platform, [])
    assert kinds(client) == ["pending"]
    assert platform.wait_for(1)
    assert client.close(0.05) == 0
    assert not release.is_set()
    release.set()
    assert eventually(lambda: not workers())


def test_a_forked_child_asks_for_itself(platform: Platform, clients: list[Client]) -> None:
    client = client_of(platform, clients)
    assert kinds(client) == ["pending"]
    assert eventually(lambda: kinds(client) == ["cache_hit"])
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        is_kept = kinds(client) == ["cache_hit"]
        is_new = kinds(client, user_id="bob") == ["pending"]
        has_come = eventually(lambda: kinds(client, user_id="bob") == ["cache_hit"])
        os._exit(0 if is_kept and is_new and has_come else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert kinds(client, user_id="bob") == ["pending"]
    assert eventually(lambda: len(platform.predictions()) == 3)
    ann, in_child, in_parent = platform.at("/predict")
    assert in_child.connection != ann.connection == in_parent.connection


# Waiting


def test_who_wants_to_wait_has_it_at_once(platform: Platform, clients: list[Client]) -> None:
    client = client_of(platform, clients, waits=True)
    assert kinds(client) == ["cache_miss", "predicted"]
    assert kinds(client) == ["cache_hit"]
    assert kinds(client, plan="silver") == ["cache_mismatch", "predicted"]
    assert kinds(client, IGNORE) == ["cache_ignored"]
    assert kinds(client, RESET, INVALIDATE) == [
        *("cache_reset", "cache_invalidated", "cache_miss", "predicted")
    ]
    assert workers() == []
    [asked, *_] = platform.predictions()
    assert asked["attributes"] == [{"id": "601", "value": "gold", "type": "custom_attribute"}]


def test_a_kept_prediction_ages(platform: Platform, clients: list[Client]) -> None:
    clock = Clock()
    client = client_of(platform, clients, waits=True, clock=clock, cache_timeout_s=60.0)
    assert kinds(client) == ["cache_miss", "predicted"]
    clock.now_s += 59.9
    assert kinds(client) == ["cache_hit"]
    clock.now_s += 0.1
    assert kinds(client) == ["cache_miss", "predicted"]


def test_as_many_are_kept_as_there_is_room_for(platform: Platform, clients: list[Client]) -> None:
    client = client_of(platform, clients, waits=True, cache_size=2)
    for user_id in ("a", "b", "c"):
        kinds(client, user_id=user_id)
    assert kinds(client, user_id="c") == ["cache_hit"]
    assert kinds(client, user_id="a") == ["cache_miss", "predicted"]


def test_threads_that_want_one_prediction_fetch_it_once(
    platform: Platform, clients: list[Client]
) -> None:
    platform.prediction = Answer(200, predicted().body, after_s=0.05)
    client = client_of(platform, clients, waits=True)
    found: list[list[str]] = []
    barrier = threading.Barrier(8)

    def decide(user_id: str) -> None:
        barrier.wait(10)
        found.append(kinds(client, user_id=user_id))

    threads = [threading.Thread(target=decide, args=(f"user {n % 2}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(found) == sorted([["cache_hit"]] * 6 + [["cache_miss", "predicted"]] * 2)
    assert len(platform.predictions()) == 2


def test_a_slow_answer_is_given_up_and_asked_for_once_more(
    platform: Platform, clients: list[Client]
) -> None:
    platform.prediction = Answer(200, predicted().body, after_s=0.3)
    client = client_of(platform, clients, waits=True, request_timeout_s=0.03)
    user = client.create_user_context("ann", GOLD)
    with heard("tallybook") as (_, said):
        assert user.decide(FLAG).reason_kinds[-1] is ReasonKind.CMAB_FAILED
        assert said.levels(logging.WARNING) == {"ERROR": 4}
    assert len(platform.predictions()) == 2


def test_a_failed_prediction_leaves_others_of_the_call_alone(
    platform: Platform, clients: list[Client]
) -> None:
    platform.prediction = Answer(500)
    client = client_of(platform, clients, waits=True)
    decisions = client.create_user_context("ann", GOLD).decide_all()
    assert decisions[FLAG].variation_key is None
    assert decisions["delivered"].variation_key == "delivery_on"
    assert [key for key, decision in decisions.items() if decision.reasons] == [FLAG]


# Costs


def test_a_project_without_bandits_has_no_service_and_no_thread(platform: Platform) -> None:
    threads = set(threading.enumerate())
    client = Client(
        json.dumps(datafile()),
        event_url=platform.url,
        cmab=CmabSettings(endpoint=platform.endpoint),
    )
    client.create_user_context("ann", GOLD).decide_all(["DISABLE_DECISION_EVENT"])
    assert client._services._predictions == {}  # nothing tells it from outside
    assert set(threading.enumerate()) <= threads
    assert platform.requests == []
    client.close(5)


def test_a_client_may_have_no_service_at_all(platform: Platform) -> None:
    with Client(TEXT, event_url=platform.url, cmab=None) as client:
        assert kinds(client, "DISABLE_DECISION_EVENT") == ["failed"]
    in_memory = InMemoryClient(TEXT)
    assert kinds(in_memory) == ["failed"]
    assert in_memory.close() == 0


def test_a_transport_of_ones_own_carries_questions_too() -> None:
    asked: list[str] = []

    class Transport:
        def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
            asked.append(url)
            return Reply(200, body=predicted().body)

        def get(self, url: str, headers: Mapping[str, str]) -> Reply:
            raise NotImplementedError

        def abandon(self) -> None:
            pass

    cmab = CmabSettings(endpoint="http://predict/{}/now", waits=True)
    with Client(TEXT, http=Transport(), cmab=cmab) as client:
        assert kinds(client, "DISABLE_DECISION_EVENT") == ["cache_miss", "predicted"]
    assert asked == ["http://predict/100/now"]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"endpoint": "nowhere"}, {"endpoint": 5}, {"cache_size": -1}, {"cache_size": 1.5}),
        *({"cache_timeout_s": -1}, {"request_timeout_s": 0}, {"waits": 1}),
        {"request_timeout_s": float("nan")},
    ],
    ids=str,
)
def test_settings_are_checked_where_they_are_given(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        CmabSettings(**wrong)
    with pytest.raises(ConfigError, match="cmab"):
        ClientSettings(cmab=wrong)  # type: ignore[arg-type]  # what is tried


# Parts


def test_errands_are_run_once_a_key_and_in_order() -> None:
    ran: list[str] = []
    release = threading.Event()
    errands = Errands("tests-errands", QuietLog(time.monotonic), most_waiting=2)
    assert errands.run("a", lambda: release.wait(20))
    assert eventually(lambda: not errands._waiting)  # the first is under way
    assert errands.run("a", lambda: ran.append("twice"))
    assert errands.run("b", lambda: ran.append("b"))
    assert errands.run("c", lambda: ran.append("c"))
    assert not errands.run("d", lambda: ran.append("d"))
    release.set()
    assert eventually(lambda: ran == ["b", "c"])
    assert eventually(lambda: errands.run("b", lambda: ran.append("b again")) and len(ran) == 3)
    errands.close(5)
    assert not errands.run("e", bool)


def test_closing_drops_what_has_not_begun() -> None:
    ran: list[str] = []
    release, has_begun = threading.Event(), threading.Event()

    def first() -> None:
        has_begun.set()
        release.wait(20)
        ran.append("first")

    errands = Errands("tests-errands", QuietLog(time.monotonic))
    assert errands.run("a", first)
    assert errands.run("b", lambda: ran.append("second"))
    assert has_begun.wait(20)
    errands.close(0)
    release.set()
    errands.close(20)
    assert ran == ["first"]


def test_an_errand_that_raises_costs_itself_alone() -> None:
    ran: list[str] = []
    with heard() as (logger, said):
        errands = Errands("tests-errands", QuietLog(time.monotonic, logger=logger))
        assert errands.run("a", lambda: 1 / 0)
        assert errands.run("b", lambda: ran.append("b"))
        assert eventually(lambda: ran == ["b"])
        assert said.levels() == {"ERROR": 1}


def test_turns_are_taken_one_thread_at_a_time_and_leave_nothing_behind() -> None:
    turns = Turns()
    has_entered = threading.Event()

    def enter() -> None:
        with turns.of("a"):
            has_entered.set()

    with turns.of("a"), turns.of("a"):  # a signal handler may come in between
        thread = threading.Thread(target=enter)
        thread.start()
        with turns.of("b"):
            assert not has_entered.wait(0.05)
    thread.join(10)
    assert has_entered.is_set()
    assert turns._turns == {}


def test_a_frame_is_kept_for_no_prediction(platform: Platform, clients: list[Client]) -> None:
    client = client_of(platform, clients, waits=True)
    revision = client._revisions.newest
    assert revision is not None
    for number in range(3):
        assert kinds(client, user_id=str(number)) == ["cache_miss", "predicted"]
    assert revision._impression_frames == {}
