from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from sinks import Answer, Sink
from tallybook.deliver.answer import Reply
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.poller import Poller
from tallybook.deliver.settings import PollingSettings, Surroundings

URL = "http://server/datafiles/key.json"


@dataclass
class Server:
    replies: list[Reply]
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        self.headers.append(headers)
        return self.replies.pop(0)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        raise NotImplementedError

    def abandon(self) -> None:
        self.headers.append({"abandoned": "yes"})


def poller(server: Server, accepted: list[bytes], chance: float = 0.5, **settings: float) -> Poller:
    def accept(body: bytes) -> bool:
        accepted.append(body)
        return body != b"bad"

    return Poller(
        URL,
        accept,
        server,
        PollingSettings(**{"interval_s": 100.0, **settings}),
        surroundings=Surroundings(monotonic=lambda: 0.0, chance=lambda: chance),
    )


def test_what_came_is_handed_over_and_asked_for_again_after_the_interval() -> None:
    accepted: list[bytes] = []
    assert poller(Server([Reply(200, body=b"one")]), accepted).step() == 100
    assert accepted == [b"one"]


@pytest.mark.parametrize(("chance", "wait_s"), [(0.0, 90), (0.5, 100), (0.999999, 110)])
def test_clients_do_not_ask_in_step(chance: float, wait_s: float) -> None:
    asking = poller(Server([Reply(304)]), [], chance)
    assert asking.step() == pytest.approx(wait_s, rel=1e-4)


def test_what_was_understood_is_named_in_the_next_question() -> None:
    server = Server(
        [
            Reply(200, body=b"one", headers={"etag": '"1"', "last-modified": "Mon"}),
            Reply(304),
            Reply(200, body=b"two", headers={"etag": '"2"'}),
            Reply(304),
        ]
    )
    accepted: list[bytes] = []
    asking = poller(server, accepted)
    for _ in range(4):
        asking.step()
    names = ("If-None-Match", "If-Modified-Since")
    assert [[headers.get(name) for name in names] for headers in server.headers] == [
        [None, None],
        ['"1"', "Mon"],
        ['"1"', "Mon"],
        ['"2"', None],
    ]
    assert accepted == [b"one", b"two"]


def test_a_datafile_that_was_not_understood_is_asked_for_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server([Reply(200, body=b"bad", headers={"etag": '"1"'}), Reply(304)])
    asking = poller(server, [])
    assert asking.step() <= 0.5
    asking.step()
    assert "If-None-Match" not in server.headers[1]
    assert caplog.records[0].levelno == logging.ERROR


def test_failures_are_retried_soon_and_then_less_and_less_often() -> None:
    asking = poller(Server([Reply(0, "refused")] * 12), [], chance=0.999999, backoff_base_s=1)
    waits = [round(asking.step()) for _ in range(12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 100, 100, 100, 100, 100]


def test_retry_after_is_obeyed_up_to_the_interval() -> None:
    replies = [Reply(503, retry_after_s=20), Reply(429, retry_after_s=5000), Reply(200)]
    asking = poller(Server(replies), [], chance=0.0)
    assert [asking.step(), asking.step(), asking.step()] == [20, 100, 90]


def test_a_token_is_sent_as_a_bearer_token() -> None:
    server = Server([Reply(304)])
    Poller(URL, lambda _: True, server, PollingSettings(), access_token="secret").step()
    assert server.headers[0]["Authorization"] == "Bearer secret"


def test_a_forked_child_goes_on_polling_if_its_parent_did() -> None:
    with Sink(otherwise=Answer(304)) as sink:
        polling = Poller(sink.url, lambda _: True, KeepAliveHttp(5), PollingSettings())
        polling.begin_in_child()
        polling.stop()
        assert sink.requests == []
        polling = Poller(sink.url, lambda _: True, KeepAliveHttp(5), PollingSettings())
        polling.start()
        assert sink.wait_for(1)
        polling.begin_in_child()
        assert sink.wait_for(2)
        polling.stop(5)


def test_it_goes_on_after_anything_and_stops_when_told(caplog: pytest.LogCaptureFixture) -> None:
    survived = threading.Event()
    calls = 0

    def accept(body: bytes) -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("broken listener")
        survived.set()
        return True

    with Sink(otherwise=Answer(200, b"{}")) as sink:
        polling = Poller(sink.url, accept, KeepAliveHttp(5), PollingSettings(interval_s=0.01))
        polling.start()
        assert survived.wait(10)
        polling.stop(5)
        assert "broken listener" in caplog.text
        asked = len(sink.requests)
        polling.stop()
        assert len(sink.requests) == asked


def test_a_login_in_the_url_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    url = "http://me:secret@server/datafiles/key.json"
    Poller(url, lambda _: True, Server([Reply(500, "broken")]), PollingSettings()).step()
    assert "http://server/datafiles/key.json" in caplog.text
    assert "secret" not in caplog.text


def test_an_interval_that_is_changed_holds_from_the_next_pause_on() -> None:
    asking = poller(Server([Reply(304), Reply(304)]), [], interval_s=60)
    asking.step()
    asking.interval_s = 7
    assert asking.step() == 7


def test_what_was_stopped_can_start_again() -> None:
    with Sink(otherwise=Answer(304)) as sink:
        asking = Poller(sink.url, bool, KeepAliveHttp(10), PollingSettings())
        assert not asking.is_asking
        asking.start()
        assert asking.is_asking
        assert sink.wait_for(1)
        asking.stop(10)
        assert not asking.is_asking
        asked = len(sink.requests)
        asking.start()
        assert asking.is_asking
        assert sink.wait_for(asked + 1)
        asking.stop(10)
