"""A datafile that nobody could confirm for too long is stale."""

from __future__ import annotations

import pytest

from sinks import Mailbox
from tallybook.deliver.freshness import FreshnessWatch


class Hand:
    """A watch over a transport, with a clock moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.http = Mailbox(b"{}")
        self.watch = FreshnessWatch(self.http, 30.0, lambda: self.now)
        self.told: list[bool] = []
        self.watch.on_change = self.told.append

    def ask_at(self, now: float, *, works: bool) -> None:
        self.now = now
        self.http.datafile = b"{}" if works else b""
        self.watch.get("http://x", {})


@pytest.fixture
def hand() -> Hand:
    return Hand()


def test_it_is_told_once_that_nothing_came_for_too_long_and_once_that_it_did(hand: Hand) -> None:
    for now in (110.0, 139.9):
        hand.ask_at(now, works=now < 120)
    assert hand.told == []
    hand.ask_at(140.0, works=False)
    hand.ask_at(150.0, works=False)
    assert hand.told == [True]
    hand.ask_at(151.0, works=True)
    hand.ask_at(152.0, works=True)
    assert hand.told == [True, False]


def test_a_datafile_that_never_came_is_stale_too(hand: Hand) -> None:
    hand.ask_at(130.0, works=False)
    assert hand.told == [True]


def test_events_pass_and_say_nothing_about_the_datafile(hand: Hand) -> None:
    hand.now = 200.0
    assert hand.watch.post("http://x", b"{}", {}).status == 204
    hand.watch.abandon()
    assert hand.told == []


def test_nobody_needs_to_listen() -> None:
    watch = FreshnessWatch(Mailbox(), 0.001, iter([0.0, 1.0]).__next__)
    assert watch.get("http://x", {}).status == 404
