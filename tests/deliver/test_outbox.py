"""The door with its real worker thread, against a real server on loopback."""

from __future__ import annotations

import gc
import logging
import signal
import threading
import time
import weakref
from base64 import b64encode
from collections.abc import Iterator

import pytest

from sinks import Answer, Captured, Sink
from tallybook.deliver.answer import Reply
from tallybook.deliver.http import KeepAliveHttp, retry_after_s
from tallybook.deliver.journal import Envelope
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.settings import DeliverySettings, Surroundings
from tallybook.deliver.worker import THREAD_NAME

QUICK = {
    "batch_size": 10,
    "flush_interval_s": 0.01,
    "backoff_base_s": 0.01,
    "request_timeout_s": 5.0,
}


class Door:
    """An outbox and numbers to put in it."""

    def __init__(self, sink: Sink, **settings: object) -> None:
        self.envelope = Envelope(sink.url + "/v1/events", b'{"visitors":[', b"]}")
        self.outbox = Outbox(
            DeliverySettings(**{**QUICK, **settings}),  # type: ignore[arg-type]
            KeepAliveHttp(5.0),
            surroundings=Surroundings(),
        )

    def put(self, *numbers: int) -> None:
        for number in numbers:
            self.outbox.append(self.envelope, str(number).encode())


def workers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == THREAD_NAME}


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


def test_what_is_appended_arrives_in_order_on_one_connection(sink: Sink) -> None:
    door = Door(sink, flush_interval_s=30.0)
    door.put(*range(25))
    assert door.outbox.flush(10)
    assert sink.visitors == list(range(25))
    assert [len(request.json["visitors"]) for request in sink.posts] == [10, 10, 5]
    assert len({request.connection for request in sink.posts}) == 1
    stats = door.outbox.stats()
    assert (stats.accepted, stats.delivered, stats.waiting_events, stats.waiting_bytes) == (
        25,
        25,
        0,
        0,
    )
    assert door.outbox.close(5) == 0


def test_events_go_by_themselves_after_the_interval(sink: Sink) -> None:
    door = Door(sink)
    door.put(1)
    assert sink.wait_for(1)
    door.put(2)
    assert sink.wait_for(2)
    assert sink.visitors == [1, 2]
    door.outbox.close(5)


def test_flush_with_nothing_waiting_is_true_at_once_and_starts_nothing(sink: Sink) -> None:
    door, before = Door(sink), workers()
    assert door.outbox.flush(0)
    assert door.outbox.close(0) == 0
    assert workers() <= before


def test_flush_is_false_when_the_time_is_over(sink: Sink) -> None:
    sink.otherwise = Answer(500)
    door = Door(sink)
    door.put(1)
    assert not door.outbox.flush(0.05)
    sink.otherwise = Answer(204)
    assert door.outbox.flush(10)
    door.outbox.close(5)


def test_flush_is_false_when_the_server_refused_an_event(sink: Sink) -> None:
    def picky(request: Captured) -> Answer:
        return Answer(400, b"poison") if 7 in request.json["visitors"] else Answer()

    sink.otherwise = picky
    door = Door(sink)
    door.put(*range(10))
    assert not door.outbox.flush(10)
    stats = door.outbox.stats()
    assert (stats.delivered, stats.waiting_events) == (9, 0)
    assert stats.refused == {"rejected_by_server": 1}
    door.put(11)
    assert door.outbox.flush(10)
    door.outbox.close(5)


def test_flush_waits_for_what_came_before_it_only(sink: Sink) -> None:
    door = Door(sink)
    enough = threading.Event()

    def keep_appending() -> None:
        while not enough.wait(0.0005):
            door.put(0)

    appending = threading.Thread(target=keep_appending)
    appending.start()
    try:
        assert sink.wait_for(1)
        assert all(door.outbox.flush(10) for _ in range(5))
    finally:
        enough.set()
        appending.join()
        door.outbox.close(5)


def test_events_from_many_threads_all_arrive_once(sink: Sink) -> None:
    door = Door(sink, batch_size=50)
    threads = [
        threading.Thread(target=door.put, args=range(start, start + 500))
        for start in range(0, 4000, 500)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert door.outbox.flush(20)
    assert sorted(sink.visitors) == list(range(4000))
    door.outbox.close(5)


@pytest.mark.parametrize(
    "bad", [Answer(500), Answer(503), Answer(429), Answer(cut=True), Answer(408)], ids=str
)
def test_failures_that_pass_lose_nothing(bad: Answer) -> None:
    with Sink(answers=[bad, bad, bad]) as sink:
        door = Door(sink)
        door.put(*range(10))
        assert door.outbox.flush(10)
        assert sink.posts[-1].json["visitors"] == list(range(10))
        assert len(sink.posts) >= 4
        assert door.outbox.stats().retried == 30
        door.outbox.close(5)


def test_retry_after_is_obeyed_in_both_forms() -> None:
    door_waits = []
    for value in ("1", "Mon, 01 Jan 2024 00:00:01 GMT"):
        http = KeepAliveHttp(5.0, wall_clock=lambda: 1704067200.0)
        with Sink(answers=[Answer(503, headers={"Retry-After": value})]) as sink:
            reply = http.post(sink.url, b"", {})
            door_waits.append(reply.retry_after_s)
    assert door_waits == [1.0, 1.0]


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "1.5"])
def test_a_retry_after_that_is_neither_number_nor_date_is_none(header: str | None) -> None:
    assert retry_after_s(header, time.time) is None


def test_a_retry_after_in_the_past_is_at_once() -> None:
    assert retry_after_s("Mon, 01 Jan 2024 00:00:01 GMT", time.time) == 0


def test_a_full_outbox_refuses_new_events_and_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    with Sink(otherwise=Answer(500)) as sink:
        door = Door(sink, max_waiting_events=5)
        door.put(*range(8))
        stats = door.outbox.stats()
        assert (stats.accepted, stats.waiting_events) == (5, 5)
        assert stats.refused == {"queue_full": 3}
        assert sum("wait already" in record.getMessage() for record in caplog.records) == 1
        assert door.outbox.close(0.05) == 5


def test_an_event_larger_than_a_body_may_be_is_refused_and_counted(sink: Sink) -> None:
    door = Door(sink, max_batch_bytes=100)
    door.outbox.append(door.envelope, b"1" * 101)
    door.put(1)
    assert door.outbox.flush(10)
    assert door.outbox.stats().refused == {"too_large": 1}
    assert sink.visitors == [1]
    door.outbox.close(5)


def test_close_delivers_what_waits_and_refuses_what_comes_later(sink: Sink) -> None:
    door, before = Door(sink, flush_interval_s=60.0), workers()
    door.put(1, 2)
    assert door.outbox.close(10) == 0
    door.put(3)
    assert sink.visitors == [1, 2]
    assert door.outbox.stats().refused == {"closed": 1}
    assert door.outbox.close(10) == 0, "closing again changes nothing"
    assert workers() <= before


def test_close_returns_in_time_with_what_is_undelivered_though_the_server_hangs() -> None:
    with Sink(otherwise=Answer(after_s=1.0)) as sink:
        door = Door(sink)
        door.put(1, 2, 3)
        sink.wait_for(1)
        began = time.monotonic()
        assert door.outbox.close(0.1) == 3
        assert time.monotonic() - began < 0.8
        assert door.outbox.close(5) == 0, "the request under way still counts"


def test_close_tries_once_more_without_waiting_for_the_backoff() -> None:
    with Sink(answers=[Answer(503, headers={"Retry-After": "600"})]) as sink:
        door = Door(sink)
        door.put(1)
        sink.wait_for(1)
        assert door.outbox.close(10) == 0
        assert len(sink.posts) == 2


def test_a_listener_on_the_worker_may_append_flush_and_close(sink: Sink) -> None:
    door = Door(sink)
    answers: list[object] = []

    def announce(url: str, body: bytes) -> None:
        if not answers:
            door.put(2)
            answers.append(door.outbox.flush(5))
            answers.append(door.outbox.close(5))

    door.outbox.announce_to(announce)
    began = time.monotonic()
    door.put(1)
    assert sink.wait_for(1)
    assert door.outbox.close(5) >= 0
    assert answers[0] is False
    assert time.monotonic() - began < 4


def test_a_fault_on_the_worker_is_logged_and_survived(
    sink: Sink, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallybook.deliver.outbox._FAULT_WAIT_S", 0.01)
    door = Door(sink)
    faults = iter([ValueError("broken announcement")])

    def announce(url: str, body: bytes) -> None:
        for fault in faults:
            raise fault

    door.outbox.announce_to(announce)
    door.put(1)
    assert door.outbox.flush(10)
    assert "broken announcement" in caplog.text
    assert sink.visitors == [1]
    door.outbox.close(5)


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread's start does while the interpreter is going down."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == THREAD_NAME:
            raise RuntimeError("can't start new thread at interpreter shutdown")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.usefixtures("no_worker")
def test_without_threads_closing_delivers_by_itself() -> None:
    with Sink(answers=[Answer(503)]) as sink:
        door = Door(sink)
        door.put(1, 2)
        assert door.outbox.close(10) == 0
        assert [request.json["visitors"] for request in sink.posts] == [[1, 2], [1, 2]]


@pytest.mark.usefixtures("no_worker")
def test_without_threads_closing_still_ends_in_time() -> None:
    with Sink(otherwise=Answer(503)) as sink:
        door = Door(sink, backoff_base_s=0.05)
        door.put(1)
        assert door.outbox.close(0.1) == 1
        assert 1 <= len(sink.posts) <= 20, "the time between attempts is waited, not spun"


def test_retiring_delivers_in_the_background_and_ends_the_worker(sink: Sink) -> None:
    door, before = Door(sink, flush_interval_s=60.0), workers()
    door.put(1)
    (worker,) = workers() - before
    door.outbox.retire()
    worker.join(10)
    assert not worker.is_alive()
    assert sink.visitors == [1]
    door.outbox.retire()
    assert door.outbox.close(1) == 0


def test_a_forked_childs_outbox_begins_with_nothing_and_works(sink: Sink) -> None:
    sink.otherwise = Answer(500)
    door = Door(sink)
    door.put(1, 2)
    door.outbox.close(0.05)
    door.outbox.begin_in_child()
    assert door.outbox.stats().accepted == door.outbox.stats().waiting_events == 0
    door.put(3)
    assert door.outbox.stats().refused == {"closed": 1}, "what was closed stays closed"

    open_door = Door(sink, flush_interval_s=60.0)
    open_door.put(4)
    open_door.outbox.begin_in_child()
    sink.otherwise = Answer(204)
    open_door.put(5)
    assert open_door.outbox.flush(10)
    assert sink.visitors[-1] == 5
    assert open_door.outbox.stats().accepted == open_door.outbox.stats().delivered == 1
    open_door.outbox.close(5)


def test_a_closed_outbox_that_nobody_holds_is_collected(sink: Sink) -> None:
    door = Door(sink)
    door.put(1)
    door.outbox.close(5)
    gone = weakref.ref(door.outbox)
    del door
    gc.collect()
    assert gone() is None


def test_a_signal_handler_may_append_while_its_thread_appends(sink: Sink) -> None:
    door = Door(sink, batch_size=100)
    interruptions = 0

    def interrupt(signum: int, frame: object) -> None:
        nonlocal interruptions
        interruptions += 1
        door.put(-1)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for _ in range(100_000):
            door.put(0)
            if interruptions >= 20:
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert door.outbox.flush(20)
    stats = door.outbox.stats()
    assert sink.visitors.count(-1) == interruptions >= 1
    assert stats.accepted == stats.delivered == len(sink.visitors)
    assert stats.waiting_bytes == 0
    door.outbox.close(5)


def test_a_log_handler_that_tracks_does_not_go_round_in_circles() -> None:
    with Sink(otherwise=Answer(500)) as sink:
        door = Door(sink, max_waiting_events=1)

        class Tracking(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                door.put(9)

        logger, handler = logging.getLogger("tallybook"), Tracking()
        logger.addHandler(handler)
        try:
            door.put(1, 2, 3)
            assert door.outbox.stats().refused["queue_full"] >= 2
        finally:
            logger.removeHandler(handler)
        assert door.outbox.stats().refused["queue_full"] >= 3
        door.outbox.close(0)


def test_an_answer_that_is_no_http_is_no_answer() -> None:
    http = KeepAliveHttp(0.5)
    assert http.post("http://127.0.0.1:9", b"", {}).status == 0
    assert http.post("http://host.invalid./", b"", {}).status == 0
    assert "ConnectionRefusedError" in http.post("http://127.0.0.1:9", b"", {}).text


def test_a_slow_server_is_no_answer() -> None:
    with Sink(otherwise=Answer(after_s=0.5)) as sink:
        reply = KeepAliveHttp(0.05).post(sink.url, b"", {})
        assert reply == Reply(0, text=reply.text)
        assert "Timeout" in reply.text


def test_redirects_are_not_followed(sink: Sink) -> None:
    sink.otherwise = Answer(307, headers={"Location": "/elsewhere"})
    assert KeepAliveHttp(5).post(sink.url, b"x", {}).status == 307
    assert len(sink.requests) == 1


def test_of_an_error_only_the_beginning_is_read_and_the_next_request_works() -> None:
    with Sink(answers=[Answer(400, b"x" * 1_000_000)]) as sink:
        http = KeepAliveHttp(5)
        assert http.post(sink.url, b"", {}).text == "x" * 4096
        assert http.post(sink.url, b"", {}).status == 204


def test_the_environments_proxy_is_used(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", sink.url)
    monkeypatch.setenv("no_proxy", "")
    assert KeepAliveHttp(5).post("http://collector.invalid/v1/events", b"x", {}).status == 204
    assert sink.requests[0].path == "http://collector.invalid/v1/events"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert KeepAliveHttp(5).post(f"{sink.url}/direct", b"x", {}).status == 204
    assert sink.requests[1].path == "/direct"


def test_a_login_in_the_url_travels_as_a_header_and_is_not_logged(
    sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.answers = [Answer(500)]
    door = Door(sink)
    place = sink.url.replace("http://", "http://me:p%40ss@") + "/v1/events"
    door.outbox.append(Envelope(place, b'{"visitors":[', b"]}"), b"1")
    assert door.outbox.flush(10)
    door.outbox.close(5)
    assert [request.path for request in sink.requests] == ["/v1/events"] * 2
    assert {request.headers["authorization"] for request in sink.requests} == {
        "Basic " + b64encode(b"me:p@ss").decode()
    }
    assert "status 500" in caplog.text
    assert "p%40ss" not in caplog.text


def test_a_proxy_gets_its_own_login_and_a_way_past_it_needs_none(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", sink.url.replace("http://", "me:secret@"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert KeepAliveHttp(5).post("http://collector.invalid/v1/events", b"x", {}).status == 204
    direct = sink.url.replace("http://", "http://you@")
    assert KeepAliveHttp(5).post(f"{direct}/direct", b"x", {}).status == 204
    proxied, straight = sink.requests
    assert proxied.path == "http://collector.invalid/v1/events"
    assert proxied.headers["proxy-authorization"] == "Basic " + b64encode(b"me:secret").decode()
    assert "authorization" not in proxied.headers
    assert straight.path == "/direct"
    assert straight.headers["authorization"] == "Basic " + b64encode(b"you:").decode()
