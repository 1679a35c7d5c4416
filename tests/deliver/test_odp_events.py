"""Customer events with their real worker threads, against real servers on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sinks import Answer, Captured, Sink
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.journal import Envelope
from tallybook.deliver.odp_address import OdpAddress
from tallybook.deliver.odp_events import (
    OdpEvent,
    OdpEvents,
    OdpFlaw,
    OdpSource,
    odp_settings,
    write_event,
)
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.settings import DeliverySettings
from tallybook.deliver.worker import THREAD_NAME
from tallybook.errors import ConfigError

SOURCE = OdpSource("an-sdk", "1.2")
PACKAGE = Path(__file__).parents[2] / "src"


def event(number: int = 0, **other: Any) -> OdpEvent:
    return OdpEvent(f"act {number}", {"email": "a@b"}, **other)


def events(settings: DeliverySettings | None = None) -> OdpEvents:
    numbers = iter(range(10_000))
    return OdpEvents(
        settings or odp_settings(0.01),
        KeepAliveHttp(5.0),
        SOURCE,
        new_uuid=lambda: f"id {next(numbers)}",
    )


def at(sink: Sink, key: str = "secret") -> OdpAddress:
    return OdpAddress(sink.url, key)


def actions(sink: Sink) -> list[str]:
    return [said["action"] for request in sink.posts for said in request.json]


def workers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == THREAD_NAME}


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not (is_now := is_so()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return is_now


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


def said_by(sent: OdpEvent) -> dict[str, Any]:
    written = write_event(sent, SOURCE, "id 0")
    assert isinstance(written, bytes)
    said = json.loads(written)
    assert isinstance(said, dict)
    return said


def test_an_event_travels_in_a_list_with_the_key_and_who_sent_it(sink: Sink) -> None:
    sender = events()
    bought = OdpEvent(
        "bought", {"email": "a@b"}, "shop", {"price": 4.2, "gift": True, "note": None}
    )
    assert sender.send(bought, at(sink)) is None
    assert sender.stop(10) == 0

    [request] = sink.posts
    assert request.path == "/v3/events"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-api-key"] == "secret"
    assert "content-encoding" not in request.headers
    assert request.json == [
        {
            "type": "shop",
            "action": "bought",
            "identifiers": {"email": "a@b"},
            "data": {
                "idempotence_id": "id 0",
                "data_source_type": "sdk",
                "data_source": "an-sdk",
                "data_source_version": "1.2",
                "price": 4.2,
                "gift": True,
                "note": None,
            },
        }
    ]


def test_an_event_without_a_type_is_the_sdks_own() -> None:
    assert said_by(event())["type"] == said_by(event(type=""))["type"] == "fullstack"


def test_data_may_name_another_source() -> None:
    said = said_by(event(data={"data_source": "mine", "idempotence_id": "own"}))["data"]
    assert (said["data_source"], said["idempotence_id"]) == ("mine", "own")
    assert said["data_source_type"] == "sdk"


@pytest.mark.parametrize(
    ("identifiers", "said"),
    [
        ({"FS-User-ID": "u"}, {"fs_user_id": "u"}),
        ({"Fs_User_Id": "u", "vuid": "v"}, {"fs_user_id": "u", "vuid": "v"}),
        ({"fs_user_id": "u", "fs-user-id": "w"}, {"fs_user_id": "u", "fs-user-id": "w"}),
        ({"fs-user-id": "w", "fs_user_id": "u"}, {"fs_user_id": "w"}),
        ({"fs-user_id": "u", "": 5}, {"fs-user_id": "u", "": 5}),
    ],
)
def test_the_first_spelling_of_the_user_id_is_the_platforms(
    identifiers: dict[str, object], said: dict[str, object]
) -> None:
    before = dict(identifiers)
    assert said_by(OdpEvent("act", identifiers))["identifiers"] == said
    assert identifiers == before


class _Text(str):
    __slots__ = ()


def test_heirs_of_plain_values_and_odd_but_writable_ones_are_sent() -> None:
    data = {"text": _Text("t"), "big": 2**80, "half": "\ud800", 5: 1}
    said = said_by(event(data=data))["data"]
    assert (said["text"], said["big"], said["half"], said["5"]) == ("t", 2**80, "\ud800", 1)


class _Spiteful(Mapping[str, object]):
    def __getitem__(self, key: str) -> object:
        raise OSError("not now")

    def __iter__(self) -> Iterator[str]:
        return iter("ab")

    def __len__(self) -> int:
        return 2


@pytest.mark.parametrize(
    ("fields", "flaw"),
    [
        ({"action": ""}, OdpFlaw.ACTION),
        ({"action": None}, OdpFlaw.ACTION),
        ({"action": 5}, OdpFlaw.ACTION),
        ({"type": 5}, OdpFlaw.TYPE),
        ({"type": None}, OdpFlaw.TYPE),
        ({"identifiers": {}}, OdpFlaw.IDENTIFIERS),
        ({"identifiers": None}, OdpFlaw.IDENTIFIERS),
        ({"identifiers": ["email"]}, OdpFlaw.IDENTIFIERS),
        ({"identifiers": {5: "a"}}, OdpFlaw.IDENTIFIERS),
        ({"identifiers": {"email": ["a@b"]}}, OdpFlaw.IDENTIFIERS),
        ({"data": None}, OdpFlaw.DATA),
        ({"data": {"list": [1]}}, OdpFlaw.DATA),
        ({"data": {"dict": {}}}, OdpFlaw.DATA),
        ({"data": {"object": object()}}, OdpFlaw.DATA),
        ({"data": {"nan": float("nan")}}, OdpFlaw.DATA),
        ({"data": {"digits": 10**5000}}, OdpFlaw.DATA),
        ({"data": {(1, 2): 3}}, OdpFlaw.DATA),
        ({"data": _Spiteful()}, OdpFlaw.DATA),
    ],
)
def test_an_event_with_a_flaw_is_not_sent_and_counted(
    sink: Sink, fields: Mapping[str, Any], flaw: OdpFlaw
) -> None:
    sender = events()
    whole = {"action": "act", "identifiers": {"email": "a@b"}}
    assert sender.send(OdpEvent(**{**whole, **fields}), at(sink)) is flaw
    assert sender.stats().refused == {"invalid_argument": 1}
    assert sender.stop(10) == 0
    assert sink.posts == []


def test_the_thread_begins_with_the_first_event_and_ends_with_the_last(sink: Sink) -> None:
    before = workers()
    sender = events(odp_settings())
    sender.send(OdpEvent("", {}), at(sink))
    assert workers() <= before
    sender.send(event(), at(sink))
    [worker] = workers() - before
    assert worker.daemon
    assert sender.stop(10) == 0
    assert workers() <= before


def test_ten_events_make_a_batch_and_the_rest_goes_when_it_is_time(sink: Sink) -> None:
    sender = events(odp_settings(60.0))
    for number in range(25):
        sender.send(event(number), at(sink))
    assert sink.wait_for(2)
    assert sender.flush(10)
    assert [len(request.json) for request in sink.posts] == [10, 10, 5]
    assert actions(sink) == [f"act {number}" for number in range(25)]
    sender.stop(10)


def test_events_go_by_themselves_after_the_interval(sink: Sink) -> None:
    sender = events()
    sender.send(event(), at(sink))
    assert sink.wait_for(1)
    sender.stop(10)


def test_without_an_interval_every_event_goes_alone(sink: Sink) -> None:
    sender = events(odp_settings(0))
    for number in range(5):
        sender.send(event(number), at(sink))
    assert sender.stop(10) == 0
    assert [len(request.json) for request in sink.posts] == [1] * 5


def test_what_the_platform_cannot_take_now_is_sent_again_until_it_can(sink: Sink) -> None:
    sink.answers = [Answer(503), Answer(cut=True), *[Answer(500)] * 4]
    sender = events()
    sender.send(event(), at(sink))
    assert eventually(lambda: sender.flush(0.2))  # each flush makes an attempt at once
    assert len(sink.posts) == 7
    assert len({request.body for request in sink.posts}) == 1
    stats = sender.stats()
    assert (stats.accepted, stats.delivered, stats.retried) == (1, 1, 6)
    sender.stop(10)


def test_an_event_the_platform_refuses_takes_no_other_with_it(sink: Sink) -> None:
    def picky(request: Captured) -> Answer:
        is_bad = any(said["action"] == "act 3" for said in request.json)
        return Answer(400, b"bad event") if is_bad else Answer(202)

    sink.otherwise = picky
    sender = events(odp_settings(60.0))
    for number in range(10):
        sender.send(event(number), at(sink))
    assert not sender.flush(10)
    assert sender.stop(10) == 0
    stats = sender.stats()
    assert (stats.delivered, stats.refused) == (9, {"rejected_by_server": 1})


def test_a_new_address_is_not_held_up_by_what_an_old_one_does_not_take(sink: Sink) -> None:
    with Sink(otherwise=Answer(403)) as former:
        sender = events()
        sender.send(event(1), at(former, "old key"))
        assert former.wait_for(1)
        sender.send(event(2), at(sink, "new key"))
        assert eventually(lambda: sender.stats().delivered == 1)
        assert actions(sink) == ["act 2"]
        assert [request.headers["x-api-key"] for request in sink.posts] == ["new key"]
        assert {request.headers["x-api-key"] for request in former.posts} == {"old key"}
        stats = sender.stats()
        assert (stats.accepted, stats.waiting_events, stats.refused) == (2, 1, {})
        former.otherwise = Answer(200)
        assert sender.stop(10) == 0
        assert actions(former)[-1] == "act 1"
    assert sender.stats().delivered == 2


def test_a_key_that_changes_and_changes_back_needs_two_outboxes(sink: Sink) -> None:
    before = workers()
    sender = events(odp_settings(60.0))
    for number in range(6):
        sender.send(event(number), at(sink, "odd" if number % 2 else "even"))
    assert len(workers() - before) == 2
    assert sender.stop(10) == 0
    sent = {r.headers["x-api-key"]: [said["action"] for said in r.json] for r in sink.posts}
    assert sent == {"odd": ["act 1", "act 3", "act 5"], "even": ["act 0", "act 2", "act 4"]}


def test_stopping_does_not_outlast_its_time_whatever_the_platforms_do(sink: Sink) -> None:
    sink.otherwise = Answer(after_s=10.0)
    sender = OdpEvents(odp_settings(0), KeepAliveHttp(30.0), SOURCE)
    for number in range(6):
        sender.send(event(number), at(sink, f"key {number % 2}"))
    assert sink.wait_for(2)
    started = time.monotonic()
    assert sender.stop(0.05) == 6
    assert sender.stop(0) == 6
    assert time.monotonic() - started < 5
    assert sender.stats().waiting_events == 6


def test_an_address_that_is_stopped_in_vain_leaves_time_for_the_others(sink: Sink) -> None:
    with Sink(otherwise=Answer(500)) as broken:
        sender = events(odp_settings(60.0))
        sender.send(event(1), at(broken))
        sender.send(event(2), at(sink))
        assert sender.stop(1.0) == 1
    assert actions(sink) == ["act 2"]


def test_nothing_is_taken_after_stopping(sink: Sink) -> None:
    sender = events()
    sender.send(event(1), at(sink))
    assert sender.stop(10) == 0
    before = workers()
    assert sender.send(event(2), at(sink)) is None
    assert sender.send(event(3), at(sink, "another")) is None
    assert sender.stats().refused == {"closed": 2}
    assert workers() <= before
    assert actions(sink) == ["act 1"]


def test_a_thousand_events_wait_and_no_more(sink: Sink) -> None:
    sink.otherwise = Answer(500)
    sender = events(odp_settings(60.0))
    for number in range(1003):
        sender.send(event(number), at(sink))
    stats = sender.stats()
    assert (stats.waiting_events, stats.refused) == (1000, {"queue_full": 3})
    sink.otherwise = Answer(200)
    assert sender.stop(10) == 0
    assert len(set(actions(sink))) == 1000


def test_settings_are_checked() -> None:
    assert odp_settings(0).batch_size == 1
    assert odp_settings(2.5, 3.0, 4.0).exit_timeout_s == 4.0
    for wrong in (-1, float("nan"), None, "1"):
        with pytest.raises(ConfigError, match="flush_interval_s"):
            odp_settings(wrong)  # type: ignore[arg-type]  # what an untyped caller might do


def test_an_envelopes_headers_travel_with_a_packed_body_too(sink: Sink) -> None:
    outbox = Outbox(DeliverySettings(gzip=True), KeepAliveHttp(5.0))
    outbox.append(Envelope(sink.url, b"[", b"]", (("x-api-key", "secret"),)), b"1")
    assert outbox.close(10) == 0
    [request] = sink.posts
    assert (request.json, request.headers["x-api-key"]) == ([1], "secret")
    assert request.headers["content-type"] == "application/json"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_sends_its_own_events_and_the_parent_its_own(sink: Sink) -> None:
    sender = events(odp_settings(60.0))
    sender.send(event(1), at(sink))
    child = os.fork()
    if child == 0:
        sender.send(event(2), at(sink))
        os._exit(sender.stop(10))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert actions(sink) == ["act 2"]
    assert sender.stop(10) == 0
    assert actions(sink) == ["act 2", "act 1"]


def test_what_waits_when_the_interpreter_exits_is_delivered(sink: Sink) -> None:
    code = f"""
        from tallybook.deliver.http import KeepAliveHttp
        from tallybook.deliver.odp_address import OdpAddress
        from tallybook.deliver.odp_events import OdpEvent, OdpEvents, OdpSource, odp_settings

        sender = OdpEvents(odp_settings(60.0), KeepAliveHttp(5.0), OdpSource("an-sdk", "1"))
        sender.send(OdpEvent("last", {{"email": "a@b"}}), OdpAddress({sink.url!r}, "secret"))
    """
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert actions(sink) == ["last"]
