"""What is logged tells of faults, and of no visitor, event tag or token."""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3

from servers import Server, new_token, succeed
from shop import datafile
from sinks import Answer, Captured, Sink
from tallybook import Client, DecideOption
from tallybook.client import DeliverySettings, PollingSettings
from tallybook.model.step import STEPS

VISITOR = "ann-5d1c@shop.example"
TAG = "red-shoes-91"
VALUE = "gold-44"  # an attribute's
SECRETS = ("tb_0123456789ab_" + "S3cret" * 7 + "x", "poll-s3cret", "login-s3cret")
HIDDEN = (TAG, VALUE, *SECRETS, *(secret[16:40] for secret in SECRETS[:1]))
DECISIONS = [
    re.sub(r"\\\{\w+\\\}", ".*", re.escape(step.sentence))
    for step in STEPS.values()
    if step.level <= logging.INFO
] + [r"User .* is not activated in experiment .*"]
TOLD = {"logged_in": True, "plan": VALUE, "unknown": VALUE, VALUE: float("nan")}
QUICK = DeliverySettings(flush_interval_s=0.02, backoff_base_s=0.01, backoff_cap_s=0.02)


class Loops(dict[str, Any]):
    def __init__(self) -> None:
        super().__init__(category=TAG)
        self["self"] = self


TAGS: list[Any] = [
    {"category": TAG},
    {"category": object(), "other": TAG},
    {"revenue": TAG, "value": TAG},
    {"revenue": math.nan, "value": math.inf, "note": TAG + "\udc00"},
    {"nested": Loops(), "category": TAG},
    {"large": TAG * 400_000},
    [TAG],
    TAG,
]


def answers(*statuses: int, body: Callable[[Captured], bytes] = lambda _: b"no") -> Any:
    """Those statuses one after the other, then 204."""
    left = list(statuses)

    def answer(request: Captured) -> Answer:
        if request.method == "GET":
            return Answer(200, json.dumps(datafile()).encode())
        return Answer(left.pop(0), body(request)) if left else Answer()

    return answer


def use(client: Client) -> None:
    """Everything that may be said about a visitor."""
    user = client.create_user_context(VISITOR, TOLD)
    for key in ("flag", "new_flag", "nowhere"):
        user.decide(key, [DecideOption.INCLUDE_REASONS])
    user.decide_all()
    for tags in TAGS:
        user.track_event("purchase", tags)
        client.track("purchase", VISITOR, TOLD, tags)
    user.track_event("nowhere", {"category": TAG})
    user.track_event(5)  # type: ignore[arg-type]
    client.track("purchase", VISITOR + "\udc00")
    for experiment in ("test", "nowhere"):
        client.activate(experiment, VISITOR, TOLD)
        client.get_variation(experiment, VISITOR, VALUE)  # type: ignore[arg-type]
    client.set_forced_variation("test", VISITOR, "nowhere")
    client.is_feature_enabled("flag", VISITOR, TOLD)
    client.get_feature_variable("flag", "nowhere", VISITOR, TOLD)
    client.send_odp_event("act", {"email": [VISITOR]}, data={"a": [TAG]})
    client.send_odp_event("act", VISITOR)  # type: ignore[arg-type]
    user.fetch_qualified_segments()
    client.create_user_context(VISITOR, VALUE)  # type: ignore[arg-type]


class Forgetful:
    """Keeps profiles, badly."""

    def lookup(self, user_id: str) -> Any:
        raise OSError("no connection")

    def save(self, user_profile: Any) -> None:
        raise OSError("no connection")


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    form = logging.Formatter("%(message)s")  # with the traceback, as a log file would have it
    return [(record.levelno, form.format(record)) for record in caplog.records]


def check(said: list[tuple[int, str]]) -> None:
    for level, line in said:
        assert not any(hidden in line for hidden in HIDDEN), line
        if VISITOR in line:
            first = line.splitlines()[0]
            assert level < logging.WARNING, line
            assert any(re.fullmatch(sentence, first) for sentence in DECISIONS), line


def test_a_client_logs_no_visitor_above_info_and_no_tag_or_token_at_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = {
        "healthy": answers(),
        "asks for a token": answers(401, 401),
        "forbids": answers(403),
        "fails": answers(500, 503, 429),
        "refuses": answers(*[400] * 200, body=lambda _: b'{"detail":"$.visitors: wrong"}'),
        "too large": answers(*[413] * 200),
        "moves": answers(301, 302),
    }
    caplog.set_level(logging.INFO)
    for script in faults.values():
        with Sink(otherwise=script) as sink:
            client = Client(
                sdk_key="key",
                server_url=sink.url,
                event_token=SECRETS[0],
                datafile_access_token=SECRETS[1],
                delivery=QUICK,
                user_profile_service=Forgetful(),
            )
            assert client.wait_until_ready(10)
            client.notifications.add_notification_listener("TRACK", lambda *_: 1 / 0)
            use(client)
            client.flush(2)
            client.close(1)
    said = lines(caplog)
    assert {logging.INFO, logging.WARNING, logging.ERROR} <= {level for level, _ in said}
    assert any(VISITOR in line for _, line in said)  # or nothing was looked at
    check(said)


@pytest.mark.parametrize(
    "options",
    [
        {"server_url": f"http://user:{SECRETS[2]}@127.0.0.1:1"},
        {"server_url": "http://127.0.0.1:1", "datafile_access_token": SECRETS[1] + "\n"},
        {"server_url": "http://127.0.0.1:1", "datafile_access_token": SECRETS[1] + "é"},
        {"server_url": "http://127.0.0.1:1", "datafile_access_token": SECRETS[1] + "€"},
        {"server_url": "http://127.0.0.1:1", "datafile_access_token": "\0" + SECRETS[1]},
    ],
    ids=["a login", "a line end", "latin", "beyond latin", "a zero"],
)
def test_a_token_that_cannot_be_sent_is_not_logged(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    polling = PollingSettings(backoff_base_s=0.01, interval_s=0.02, stream=True)
    with Client(json.dumps(datafile()), sdk_key="key", delivery=QUICK, polling=polling, **options):
        end = time.monotonic() + 30
        while not any("No new datafile" in line for _, line in lines(caplog)):
            assert time.monotonic() < end
            time.sleep(0.01)
    check(lines(caplog))


def test_settings_do_not_show_tokens() -> None:
    from tallybook import ClientSettings

    shown = repr(ClientSettings(event_token=SECRETS[0], datafile_access_token=SECRETS[1]))
    assert not any(secret in shown for secret in SECRETS)
    assert "event_token=..." in shown
    assert "datafile_access_token=..." in shown
    assert "event_token=None" in repr(ClientSettings())


DEFINITION = """
project: shop
environments: {production: {sdk_key: shop-key, event_token: true}}
events: [purchase]
"""


def body(account: str, **event: Any) -> bytes:
    whole = {"entity_id": "7", "uuid": "u", "timestamp": 1_700_000_000_000, "key": "purchase"}
    tags = {"category": TAG}
    attribute = {"entity_id": "1", "key": "plan", "type": "custom", "value": VALUE}
    visitor = {
        "visitor_id": VISITOR,
        "attributes": [attribute, {"value": VALUE}],
        "snapshots": [{"events": [{**whole, "tags": tags, **event}]}],
    }
    return json.dumps({"account_id": account, "visitors": [visitor]}).encode()


class Stranger:
    """Asks a server as whoever has, or has not, a token."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, token: str | None = None, content: bytes | None = None) -> Any:
        headers = {"User-Agent": VISITOR} | ({"Authorization": token} if token else {})
        method = "GET" if content is None else "POST"
        return urllib3.request(
            method, self._url + path, headers=headers, body=content, retries=False
        )


def bodies(account: str) -> list[bytes]:
    return [
        body(account),
        body(account, timestamp=VISITOR),
        body(account, uuid=5),
        body(VISITOR),
        body(account)[:-20],
        body(account).replace(b"ann", b"\xff"),
        b"[" * 200_000,
    ]


def break_lake(data: Path, stranger: Stranger, sender: str, account: str) -> None:
    """Put something else where the lake is, and wait until that is noticed."""
    while not (data / "lake" / "conversions").exists():
        time.sleep(0.05)
    shutil.rmtree(data / "lake")
    (data / "lake").write_text("no directory")
    assert stranger.ask("/v1/events", sender, body(account, uuid="later")).status == 204
    end = time.monotonic() + 30
    while stranger.ask("/health/ready").json()["drain"] is None:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_server_logs_no_visitor_tag_or_token(tmp_path: Path) -> None:
    (tmp_path / "definition.yaml").write_text(DEFINITION)
    applied = succeed("apply", tmp_path / "definition.yaml", data=tmp_path)
    event_token = applied.split("event token of production: ")[1].split()[0]
    sender = f"Bearer {event_token}"
    manager = new_token("manager", "--scope", "manage", data=tmp_path)
    results = f"/api/v1/experiments/{VISITOR}/results?segment={VALUE}"
    paths = (results, f"/datafiles/{VISITOR}.json", f"/api/v1/{VISITOR}")
    with Server(tmp_path) as server:
        stranger = Stranger(server.url)
        account = stranger.ask("/datafiles/shop-key.json").json()["accountId"]
        for token in (None, sender, manager, "Bearer nonsense", f"Bearer {SECRETS[0]}"):
            for content in bodies(account):
                stranger.ask("/v1/events", token, content)
            for path in paths:
                stranger.ask(path, token)
        break_lake(tmp_path, stranger, sender, account)
        stranger.ask(results, manager)
        open_to_all = stranger.ask("/health/ready").data + stranger.ask("/metrics").data
        (tmp_path / "lake").unlink()
    said = server.errors + open_to_all.decode()
    assert "drain failed" in said
    for hidden in (*HIDDEN, VISITOR, event_token, manager.removeprefix("Bearer ")):
        assert hidden not in said
