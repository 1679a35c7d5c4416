"""A token for events goes to where they go, with them, and nowhere else."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from shop import datafile
from sinks import Answer, Captured, Mailbox, Sink
from tallybook import Client, ConfigError
from tallybook.client import DeliverySettings

TEXT = json.dumps(datafile())
TOKEN = "tb_0123456789ab_" + "A" * 43
QUICK = DeliverySettings(flush_interval_s=0.01, refusal_wait_s=0.01)


def serving(request: Captured) -> Answer:
    return Answer(204) if request.method == "POST" else Answer(200, TEXT.encode())


def asking(token: str) -> Any:
    def answer(request: Captured) -> Answer:
        right = request.headers.get("authorization") == f"Bearer {token}"
        return Answer(204 if right else 401, b"token, please")

    return answer


def taken(sink: Sink) -> list[str]:
    """The uuids of events that came with the right token."""
    return [
        event["uuid"]
        for request in sink.posts
        if request.headers["authorization"] == f"Bearer {TOKEN}"
        for visitor in request.json["visitors"]
        for snapshot in visitor["snapshots"]
        for event in snapshot["events"]
    ]


def track(client: Client, times: int = 1) -> None:
    for _ in range(times):
        client.create_user_context("user").track_event("purchase")


def test_it_goes_with_events_and_not_with_polls() -> None:
    with Sink(otherwise=serving) as sink:
        with Client(sdk_key="key", server_url=sink.url, event_token=TOKEN) as client:
            assert client.wait_until_ready(10)
            track(client)
            assert client.flush(10)
        shown = {r.method: r.headers.get("authorization") for r in sink.requests}
    assert shown == {"GET": None, "POST": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("at", ["server_url", "event_url"])
def test_it_needs_an_address_of_which_somebody_said_that_it_is_for_it(at: str) -> None:
    with pytest.raises(ConfigError, match="event_token: expected a server_url or an event_url"):
        Client(TEXT, event_token=TOKEN)
    with Sink() as sink:
        url = sink.url if at == "server_url" else f"{sink.url}/v1/events"
        with Client(TEXT, event_token=TOKEN, **{at: url}) as client:
            track(client)
            assert client.flush(10)
        assert sink.posts[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_no_other_service_is_shown_it() -> None:
    document = datafile()
    with Sink() as platform, Sink() as sink:
        document["integrations"] = [{"key": "odp", "host": platform.url, "publicKey": "key"}]
        with Client(json.dumps(document), server_url=sink.url, event_token=TOKEN) as client:
            client.send_odp_event("act", {"email": "a@b"})
            track(client)
            assert client.flush(10)
        assert platform.posts
        assert "authorization" not in platform.posts[0].headers
        assert sink.posts[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_where_it_leads_is_not_followed() -> None:
    with Sink() as elsewhere, Sink() as sink:
        sink.otherwise = Answer(307, headers={"Location": f"{elsewhere.url}/v1/events"})
        client = Client(TEXT, server_url=sink.url, event_token=TOKEN, delivery=QUICK)
        track(client)
        assert not client.flush(1)
        client.close(0)
        assert sink.posts
        assert not elsewhere.requests


def test_it_takes_the_place_of_a_login_in_the_address() -> None:
    with Sink() as sink:
        url = sink.url.replace("://", "://user:password@")
        with Client(TEXT, server_url=url, event_token=TOKEN) as client:
            track(client)
            assert client.flush(10)
        assert sink.posts[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_transport_of_the_callers_own_is_given_it_too() -> None:
    mailbox = Mailbox()
    seen: list[str | None] = []
    post = mailbox.post
    mailbox.post = lambda url, body, headers: (  # type: ignore[method-assign]
        seen.append(headers.get("Authorization")) or post(url, body, headers)
    )
    with Client(TEXT, server_url="http://server", event_token=TOKEN, http=mailbox) as client:
        track(client)
        assert client.flush(10)
    assert seen == [f"Bearer {TOKEN}"]


def test_events_that_waited_for_the_right_token_are_sent_with_it(tmp_path: Path) -> None:
    with Sink(otherwise=asking(TOKEN)) as sink:
        given: dict[str, Any] = {"server_url": sink.url, "delivery": QUICK, "journal": tmp_path}
        client = Client(TEXT, event_token="old-s3cret", **given)
        track(client, 3)
        assert not client.flush(0.5)
        assert client.close(0) == 3
        on_disk = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert b"user" in on_disk
        assert b"old-s3cret" not in on_disk
        with Client(TEXT, event_token=TOKEN, **given) as heir:
            track(heir)
            end = time.monotonic() + 30
            while len(taken(sink)) < 4:
                assert time.monotonic() < end
                time.sleep(0.02)
        assert len(taken(sink)) == len(set(taken(sink))) == 4


def test_events_of_another_address_that_are_found_in_a_journal_go_without_it(
    tmp_path: Path,
) -> None:
    with Sink(otherwise=Answer(503)) as elsewhere, Sink() as sink:
        given: dict[str, Any] = {"delivery": QUICK, "journal": tmp_path}
        client = Client(TEXT, server_url=elsewhere.url, **given)
        track(client, 2)
        assert client.close(0.1) == 2
        elsewhere.otherwise = Answer()
        before = len(elsewhere.posts)
        with Client(TEXT, server_url=sink.url, event_token=TOKEN, **given) as other:
            track(other)
            assert other.flush(30)
        assert len(elsewhere.posts) == before, "they stay for whoever sends there"
        with Client(TEXT, server_url=elsewhere.url, **given) as heir:
            end = time.monotonic() + 30
            while heir.delivery_stats().delivered < 2:
                assert time.monotonic() < end
                time.sleep(0.02)
        assert all("authorization" not in request.headers for request in elsewhere.posts)
        assert sink.posts[0].headers["authorization"] == f"Bearer {TOKEN}"
