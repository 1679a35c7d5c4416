"""New revisions are fetched when they are announced, and polling goes on whatever happens."""

from __future__ import annotations

import threading
from base64 import b64encode
from pathlib import Path

import pytest

from servers import Server, succeed
from sinks import Answer, Captured, Sink
from tallybook import Client, NotificationType
from tallybook.client import PollingSettings
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.poller import Poller
from tallybook.deliver.settings import Surroundings
from tallybook.deliver.stream import THREAD_NAME, RevisionStream, event_ids, events_url
from tallybook.errors import ConfigError

DEFINITION = """
project: shop
environments: {production: {sdk_key: prod-key, access_token: true}}
flags: {checkout: {variations: {control: {}, treatment: {}}, default: %s}}
"""
SSE = {"Content-Type": "text/event-stream; charset=utf-8"}
SETTINGS = PollingSettings(interval_s=600, backoff_base_s=0.001, stream=True)


def event(etag: str) -> Answer:
    return Answer(200, f"retry: 1\n\nevent: datafile\nid: {etag}\ndata: {{}}\n\n".encode(), SSE)


@pytest.mark.parametrize(
    ("datafile", "events"),
    [
        ("http://x/datafiles/key.json", "http://x/datafiles/key/events"),
        ("http://x/datafiles/key.json?a=b", "http://x/datafiles/key/events?a=b"),
        ("http://x/datafile", None),
    ],
)
def test_events_are_told_beside_the_datafile(datafile: str, events: str | None) -> None:
    assert events_url(datafile) == events


def test_events_are_told_apart_by_empty_lines() -> None:
    lines = [
        b"id:1\r\n", b"data: a\r\n", b"data: b\r\n", b"\r\n",
        b": comment\n", b"\n", b"id: 2\n", b"\n", b"data\n", b"\n", b"data: cut off",
    ]  # fmt: skip
    assert list(event_ids(lines)) == ["1", "2"]


class Ear:
    """A stream of its own and what it heard."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.heard: list[str] = []
        self._arrived = threading.Condition()
        self.stream = RevisionStream(url, headers or {}, self._hear, SETTINGS, Surroundings())

    def _hear(self, etag: str) -> None:
        with self._arrived:
            self.heard.append(etag)
            self._arrived.notify_all()

    def wait_for(self, count: int) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.heard) >= count, 10)

    def __enter__(self):
        self.stream.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stream.stop()


def test_a_cut_connection_is_made_again_where_it_ended() -> None:
    answers = [event("a"), Answer(cut=True), event("b")]
    with Sink(answers, Answer(404)) as sink:
        headers = {"Authorization": "Bearer secret", "Accept-Encoding": "gzip"}
        with Ear(f"{sink.url}/events", headers) as ear:
            assert ear.wait_for(2)
            assert sink.wait_for(4)
    assert ear.heard == ["a", "b"]
    sent = [request.headers for request in sink.requests[:4]]
    assert [h.get("last-event-id") for h in sent] == [None, "a", "a", "b"]
    assert {h["authorization"] for h in sent} == {"Bearer secret"}
    assert {h["accept"] for h in sent} == {"text/event-stream"}
    assert all("gzip" not in h.get("accept-encoding", "") for h in sent)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(403), "status 403"),
        (Answer(200, b"{}", {"Content-Type": "application/json"}), "found application/json"),
        (Answer(200, b""), "found nothing"),
        (Answer(cut=True), "Error"),
    ],
)
def test_what_is_no_stream_is_said_once_and_tried_again(answer, reason, caplog) -> None:
    with Sink(otherwise=answer) as sink, Ear(f"{sink.url}/events") as ear:
        assert sink.wait_for(3)
    assert ear.heard == []
    (said,) = [r.getMessage() for r in caplog.records if "No events" in r.getMessage()]
    assert reason in said


def test_a_login_in_the_url_travels_as_a_header_and_is_not_logged(caplog) -> None:
    with Sink([event("a")], Answer(403)) as sink:
        place = sink.url.replace("http://", "http://me:p%40ss@")
        with Ear(f"{place}/events") as ear:
            assert ear.wait_for(1)
            assert sink.wait_for(2)
    assert {request.path for request in sink.requests} == {"/events"}
    assert {request.headers["authorization"] for request in sink.requests} == {
        "Basic " + b64encode(b"me:p@ss").decode()
    }
    assert f"No events from {sink.url}/events" in caplog.text
    assert "p%40ss" not in caplog.text


def test_a_proxy_that_needs_a_login_carries_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sink([event("a")], Answer(404)) as sink:
        monkeypatch.setenv("http_proxy", sink.url.replace("http://", "me:secret@"))
        monkeypatch.delenv("no_proxy", raising=False)
        with Ear("http://server.invalid/datafiles/key/events") as ear:
            assert ear.wait_for(1)
    asked = sink.requests[0]
    assert asked.path == "http://server.invalid/datafiles/key/events"
    assert asked.headers["proxy-authorization"] == "Basic " + b64encode(b"me:secret").decode()


class Host:
    """A host of datafiles whose events are told from a list."""

    def __init__(self, *events: Answer) -> None:
        self.events = list(events)
        self.etag = '"one"'

    def __call__(self, request: Captured) -> Answer:
        if request.path.endswith("/events"):
            return self.events.pop(0) if self.events else Answer(404, after_s=0.01)
        if request.headers.get("if-none-match") == self.etag:
            return Answer(304)
        return Answer(200, self.etag.encode(), {"ETag": self.etag})


def polling(sink: Sink, path: str = "/datafiles/key.json") -> tuple[Poller, list[bytes]]:
    got: list[bytes] = []
    accept = lambda body: not got.append(body)  # noqa: E731
    return Poller(f"{sink.url}{path}", accept, KeepAliveHttp(5), SETTINGS), got


def polls(sink: Sink) -> int:
    return sum(request.path.endswith(".json") for request in sink.requests)


def test_news_make_the_poller_ask_at_once_and_old_news_do_not() -> None:
    host = Host()
    with Sink(otherwise=host) as sink:
        poller, got = polling(sink)
        poller.step()
        assert got == [b'"one"']
        host.events = [event("one"), event("one")]
        poller._stream.start()
        assert sink.wait_for(4)
        assert not poller._wake.is_set()
        host.etag = '"two"'
        host.events = [event("two")]
        assert poller._wake.wait(10)
        poller.stop()


def test_an_address_that_is_no_json_is_polled_only(caplog) -> None:
    with Sink(otherwise=Host()) as sink:
        poller, got = polling(sink, "/datafile")
        poller.step()
        poller.stop()
    assert got == [b'"one"']
    assert "no events, only polling" in caplog.text


def test_a_forked_child_listens_for_itself() -> None:
    host = Host()
    with Sink(otherwise=host) as sink:
        poller, got = polling(sink)
        poller.step()
        poller.start()
        assert sink.wait_for(3)
        before = poller._stream._stop
        poller.begin_in_child()  # as after a fork, but the parent's threads still run
        before.set()
        host.etag = '"two"'
        host.events = [event("two")]
        assert sink.wait_for(polls(sink) + 3)
        poller.stop()
    assert got[0] == b'"one"'


def test_a_client_follows_a_real_server_and_leaves_no_thread(tmp_path: Path) -> None:
    file, data = tmp_path / "definition.yaml", tmp_path / "data"
    file.write_text(DEFINITION % "control", encoding="utf-8")
    printed = succeed("apply", file, data=data)
    token = next(word for word in printed.split() if len(word) > 30)
    updated = threading.Event()

    with Server(data) as server:
        client = Client(
            sdk_key="prod-key",
            server_url=server.url,
            datafile_access_token=token.strip("`'\".,"),
            polling=SETTINGS,
        )
        assert client.wait_until_ready(10)
        user = client.create_user_context("user123")
        assert user.decide("checkout").variation_key == "control"
        client.notifications.add_notification_listener(
            NotificationType.OPTIMIZELY_CONFIG_UPDATE, updated.set
        )
        file.write_text(DEFINITION % "treatment", encoding="utf-8")
        succeed("apply", file, data=data)
        assert updated.wait(10)
        assert user.decide("checkout").variation_key == "treatment"
        client.close()
        for thread in threading.enumerate():
            if thread.name == THREAD_NAME:
                thread.join(5)
                assert not thread.is_alive()


@pytest.mark.parametrize("stream", [None, 1, "yes"])
def test_a_stream_is_wanted_or_not(stream: object) -> None:
    with pytest.raises(ConfigError, match="stream: expected true or false"):
        PollingSettings(stream=stream)
