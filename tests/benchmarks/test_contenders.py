"""Every contender does the work its figures are of: the same events, all of them delivered."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from typing import Any

import pytest
from benchmarks.contenders import NATIVE, OFFICIAL, LostError, available, contender
from benchmarks.datafiles import EVENT_KEY, SMALL, datafile
from benchmarks.probes import delivery
from benchmarks.sink import counted, running
from benchmarks.task import Task
from benchmarks.visitors import event_tags, visitors

from sinks import Answer, Captured, Sink

EVENTS = 20
BATCH_SIZE = 10


@pytest.fixture(autouse=True)
def nothing_stays_frozen() -> Iterator[None]:
    """Probes freeze what was made before them, for the life of their process."""
    yield
    gc.unfreeze()


def sent_by(name: str) -> list[Any]:
    """What a contender sends of some events, less what differs by intention."""
    someone = visitors(1)[0]
    with Sink() as sink:
        setup = contender(name).sending(datafile(SMALL), f"{sink.url}/v1/events", BATCH_SIZE)
        user = setup.user(someone.user_id, someone.attributes)
        for tags in event_tags(EVENTS):
            user.track_event(EVENT_KEY, tags)
        setup.settle(EVENTS)
        setup.client.close()
        assert [len(post.json["visitors"]) for post in sink.posts] == [BATCH_SIZE] * 2
        visitors_sent = sink.visitors
    for visitor in visitors_sent:
        for event in visitor["snapshots"][0]["events"]:
            del event["uuid"], event["timestamp"]
    return visitors_sent


@pytest.mark.parametrize("name", [name for name in available() if name != OFFICIAL])
def test_contenders_send_the_same_events(name: str) -> None:
    official = sent_by(OFFICIAL)
    assert len(official) == EVENTS
    sent = [attribute["key"] for attribute in official[0]["attributes"]]
    assert sent == [*visitors(1)[0].attributes, "$opt_bot_filtering"]
    assert [v["snapshots"][0]["events"][0]["tags"] for v in official] == event_tags(EVENTS)
    assert sent_by(name) == official


@pytest.mark.parametrize("name", [OFFICIAL, NATIVE])
def test_a_quiet_client_keeps_events_until_it_forgets_them(name: str) -> None:
    setup = contender(name).quiet(datafile(SMALL))
    user = setup.user("somebody", {})
    for tags in event_tags(2_000):  # more than any default batch or the official queue
        user.track_event(EVENT_KEY, tags)
    waiting = (
        (lambda: setup.client.delivery_stats().waiting_events)
        if name == NATIVE
        else setup.client.event_processor.event_queue.qsize
    )
    assert waiting() == 2_000
    setup.forget()
    assert waiting() == 0


def test_a_sink_that_misses_events_makes_the_figures_void() -> None:
    def misses_one(request: Captured) -> Answer:
        told = json.dumps({"events": 599, "requests": 6}).encode()
        return Answer() if request.method == "POST" else Answer(200, told)

    with Sink(otherwise=misses_one) as sink, pytest.raises(LostError, match="599 of 600"):
        delivery.deliver(Task(NATIVE, 100, sink.url, "label"))


def test_events_that_do_not_arrive_at_a_given_rate_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = json.dumps({"events": 590, "requests": 59}).encode()
    monkeypatch.setattr("benchmarks.contenders._STANDSTILL_S", 0.5)

    def takes_some(request: Captured) -> Answer:
        return Answer() if request.method == "POST" else Answer(200, told)

    with Sink(otherwise=takes_some) as sink:
        assert delivery.wait(Task(OFFICIAL, 100, sink.url, "label"))["lost"] == 10


def test_the_sink_counts_by_name_what_arrives_in_pieces() -> None:
    with running() as url:
        tasks = [Task(NATIVE, size, url, f"label-{size}") for size in (100, 300)]
        for task in tasks:
            delivery.deliver(task)
        assert [counted(url, task.label) for task in tasks] == [600, 800]
        assert counted(url, "nobody") == 0
