"""The sending side step by step: a clock that is set by hand, a scripted server, no threads."""

from __future__ import annotations

import json
import logging
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.deliver.answer import NO_ANSWER, Reply
from tallybook.deliver.courier import Courier
from tallybook.deliver.journal import Batch, Envelope, Item, Origin
from tallybook.deliver.memory_journal import MemoryJournal
from tallybook.deliver.settings import DeliverySettings, Surroundings
from tallybook.deliver.tally import Tally

URL = "http://collector/v1/events"
ENVELOPE = Envelope(URL, b'{"visitors":[', b"]}")
OK, BUSY = Reply(204), Reply(503, "no room")

Answer = Callable[[list[int]], Reply]


@dataclass
class Server:
    """Answers with ``replies`` first, then as ``answer`` says to the numbers in the body."""

    replies: list[Reply] = field(default_factory=list)
    answer: Answer = lambda _: OK
    bodies: list[list[int]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        text = zlib.decompress(body, 31) if "Content-Encoding" in headers else body
        numbers = json.loads(text)["visitors"]
        self.bodies.append(numbers)
        self.headers.append(headers)
        self.urls.append(url)
        reply = self.replies.pop(0) if self.replies else self.answer(numbers)
        if reply.status == 204:
            self.taken += numbers
        return reply

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        raise NotImplementedError

    def abandon(self) -> None:
        raise NotImplementedError


class Desk:
    """A courier with everything it needs, and hands to turn the clock."""

    def __init__(self, server: Server, chance: float = 1.0, **settings: object) -> None:
        self.settings = DeliverySettings(**{"batch_size": 4, **settings})  # type: ignore[arg-type]
        self.server, self.now, self.tally = server, 0.0, Tally()
        self.journal = MemoryJournal(self.settings)
        surroundings = Surroundings(monotonic=lambda: self.now, chance=lambda: chance)
        self.courier = Courier(
            self.journal, threading.RLock(), server, self.settings, surroundings, self.tally
        )

    def append(self, *numbers: int, envelope: Envelope = ENVELOPE) -> None:
        for number in numbers:
            assert self.journal.append(Item(Origin(envelope), str(number).encode()))

    def run(self, until_s: float = 1e9) -> float:
        """Step, turning the clock to when the courier wants to, until nothing waits; the time."""
        while (wait_s := self.courier.step()) is not None and self.now + wait_s <= until_s:
            self.now += wait_s
        return self.now


def test_a_full_batch_goes_at_once_and_a_rest_after_the_interval() -> None:
    desk = Desk(Server(), flush_interval_s=1.5)
    desk.append(*range(10))
    assert desk.run() == 1.5
    assert desk.server.bodies == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert desk.journal.holdings().events == desk.journal.holdings().bytes == 0


def test_nothing_waiting_is_nothing_to_do() -> None:
    assert Desk(Server()).courier.step() is None


def test_in_a_hurry_nobody_waits_for_a_batch_to_fill() -> None:
    desk = Desk(Server())
    desk.append(1)
    desk.courier.hurry = True
    assert desk.run() == 0.0
    assert desk.server.taken == [1]


def test_a_new_envelope_begins_a_new_batch() -> None:
    other = Envelope("http://elsewhere", b'{"other":1,"visitors":[', b"]}")
    desk = Desk(Server())
    desk.append(1, 2)
    desk.append(3, envelope=other)
    desk.append(4, envelope=Envelope(URL, b'{"visitors":[', b"]}"))
    desk.run()
    assert desk.server.bodies == [[1, 2], [3], [4]]
    assert desk.server.urls == [URL, "http://elsewhere", URL]


def test_a_batch_ends_where_its_bytes_would_be_too_many() -> None:
    desk = Desk(Server(), max_batch_bytes=len(b'{"visitors":[1111111,2222222]}'))
    desk.append(1111111, 2222222, 3333333, 444444444444444444444444444444444)
    desk.run()
    assert desk.server.bodies == [
        [1111111, 2222222],
        [3333333],
        [444444444444444444444444444444444],
    ]


@pytest.mark.parametrize("status", [NO_ANSWER, 408, 429, 500, 502, 503, 504, 599])
def test_what_passes_is_tried_again_with_growing_waits(status: int) -> None:
    desk = Desk(
        Server(replies=[Reply(status)] * 4), backoff_base_s=1, backoff_cap_s=5, flush_interval_s=0
    )
    desk.append(1, 2)
    assert desk.run() == 1 + 2 + 4 + 5
    assert desk.server.taken == [1, 2]
    assert desk.courier.retried == 4 * 2
    assert desk.courier.delivered == desk.courier.settled == 2


@given(st.floats(0, 1, exclude_max=True))
def test_waits_are_uniform_from_nothing_to_the_bound(chance: float) -> None:
    desk = Desk(Server(replies=[BUSY]), chance=chance, backoff_base_s=8, flush_interval_s=0)
    desk.append(1)
    assert desk.run() == pytest.approx(8 * chance)


def test_the_server_may_say_how_long_to_wait() -> None:
    desk = Desk(
        Server(replies=[Reply(503, retry_after_s=20), Reply(429, retry_after_s=9999)]),
        chance=0.0,
        flush_interval_s=0,
        max_retry_after_s=100,
    )
    desk.append(1)
    assert desk.run() == 20 + 100


def test_waits_begin_small_again_after_a_success() -> None:
    desk = Desk(Server(replies=[BUSY, BUSY, OK, BUSY]), backoff_base_s=1, flush_interval_s=0)
    desk.append(*range(5))
    assert desk.run() == 1 + 2 + 1


def test_resting_can_be_cut_short() -> None:
    desk = Desk(Server(replies=[BUSY]), backoff_base_s=30, flush_interval_s=0)
    desk.append(1)
    assert desk.run(until_s=1) == 0.0
    assert desk.courier.step() == 30
    desk.courier.stop_resting()
    desk.run()
    assert desk.server.taken == [1]


def test_413_splits_the_batch_and_remembers_the_size_that_went_through() -> None:
    desk = Desk(Server(answer=lambda numbers: Reply(413) if len(numbers) > 2 else OK), batch_size=8)
    desk.append(*range(16))
    desk.run()
    assert desk.server.taken == list(range(16))
    assert [len(body) for body in desk.server.bodies] == [8, 4, 2, 2, 4, 2, 2, 2, 2, 2, 2]


def test_a_size_that_was_lowered_grows_again_after_a_while() -> None:
    desk = Desk(Server(replies=[Reply(413)]), batch_size=4)
    desk.append(*range(4 + 2 * 62))
    desk.run()
    desk.append(1, 2, 3, 4)
    desk.run()
    assert len(desk.server.bodies[-2]) == 2
    assert len(desk.server.bodies[-1]) == 4


def test_one_event_that_is_too_large_for_the_server_is_refused_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(Server(answer=lambda numbers: Reply(413, "too big") if 2 in numbers else OK))
    desk.append(1, 2, 3)
    desk.run()
    assert desk.server.taken == [1, 3]
    assert desk.tally.refused() == {"too_large_for_server": 1}
    assert "too big" in caplog.text


@given(st.sets(st.integers(0, 40), max_size=4), st.integers(1, 12))
def test_400_costs_the_poison_events_alone_wherever_they_stand(poison: set[int], size: int) -> None:
    desk = Desk(
        Server(answer=lambda numbers: Reply(400, "bad") if poison.intersection(numbers) else OK),
        batch_size=size,
    )
    desk.append(*range(41))
    desk.run()
    assert desk.server.taken == [n for n in range(41) if n not in poison]
    assert desk.tally.refused().get("rejected_by_server", 0) == len(poison)
    assert desk.courier.delivered == 41 - len(poison)
    assert desk.courier.settled == 41
    assert desk.journal.holdings().events == 0


def test_the_servers_reason_stands_in_the_log_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(Server(answer=lambda _: Reply(400, "bad\nuuid " + "x" * 1000)))
    desk.append(1, 2)
    desk.run()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "bad uuid" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert len(record.getMessage()) < 600


@pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 405, 410, 415, 422])
def test_what_only_a_person_can_change_keeps_the_events_and_says_so(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(Server(replies=[Reply(status, "why")] * 3), refusal_wait_s=60, flush_interval_s=0)
    desk.append(1)
    assert desk.run() == 180
    assert desk.server.taken == [1]
    assert caplog.records[0].levelno == logging.ERROR
    for part in ("kept", str(status), "why", URL):
        assert part in caplog.text


def test_a_delay_is_said_once_a_window_with_what_was_left_unsaid(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(Server(replies=[BUSY] * 30), backoff_base_s=1, backoff_cap_s=7, flush_interval_s=0)
    desk.append(1)
    desk.run()
    said = [record.getMessage() for record in caplog.records]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert 3 <= len(said) <= 5
    assert "no room" in said[0]
    assert "more like this" in said[1]


def test_bodies_are_packed_where_the_settings_say_so() -> None:
    desk = Desk(Server(), gzip=True)
    desk.append(1, 2)
    desk.run()
    assert desk.server.headers == [{"Content-Type": "application/json", "Content-Encoding": "gzip"}]
    assert desk.server.taken == [1, 2]


def test_a_batch_is_announced_once_before_it_is_first_sent() -> None:
    desk = Desk(Server(replies=[BUSY, Reply(413)]), flush_interval_s=0)
    announced: list[tuple[str, bytes, int]] = []
    desk.courier.announce = lambda url, body: announced.append((url, body, len(desk.server.bodies)))
    desk.append(1, 2)
    desk.run()
    assert announced == [(URL, b'{"visitors":[1,2]}', 0)]


def test_what_is_in_hand_can_be_given_back_in_order() -> None:
    desk = Desk(Server(replies=[Reply(413), Reply(413), BUSY]), batch_size=8, flush_interval_s=0)
    desk.append(*range(10))
    desk.run(until_s=0)
    desk.courier.empty_hands()
    assert desk.journal.waiting() == 10
    desk.courier.stop_resting()
    desk.run()
    assert desk.server.taken == list(range(10))


REPLIES = st.sampled_from(
    [OK, OK, OK, BUSY, Reply(413), Reply(429, retry_after_s=3), Reply(404), Reply(NO_ANSWER)]
)


@given(st.lists(REPLIES, max_size=40), st.lists(st.integers(1, 6), max_size=12), st.integers(1, 7))
def test_whatever_the_server_answers_every_event_is_settled_once_and_in_order(
    replies: list[Reply], portions: list[int], size: int
) -> None:
    desk = Desk(Server(replies=replies), batch_size=size)
    number = 0
    for portion in portions:
        desk.append(*range(number, number + portion))
        number += portion
        desk.courier.step()
    desk.run()
    refused = sum(desk.tally.refused().values())
    assert desk.server.taken == sorted(set(desk.server.taken))
    assert len(desk.server.taken) + refused == number == desk.courier.settled
    assert desk.journal.holdings().events == desk.journal.holdings().bytes == 0


def test_nobody_sees_a_batch_delivered_that_is_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, seen = Desk(Server()), []
    acknowledge = MemoryJournal.acknowledge

    def acknowledged(journal: MemoryJournal, batch: Batch) -> None:
        seen.append((desk.courier.delivered, desk.courier.settled))
        acknowledge(journal, batch)

    monkeypatch.setattr(MemoryJournal, "acknowledge", acknowledged)
    desk.append(*range(8))
    desk.run()
    assert seen == [(0, 0), (4, 4)]
    assert (desk.courier.delivered, desk.courier.settled) == (8, 8)
