"""New revisions: told to whoever listens, soon, and without holding anything up."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3

from servers import Server, succeed
from tallybook.errors import StorageError

PATH = "/datafiles/shop-key/events"
DEFINITION = """
project: shop
environments: {production: {sdk_key: prod-key}}
events: [purchase]
flags: {checkout: {variations: {control: {}, treatment: {}}, default: %s}}
"""


class Listener:
    """One request to the application that goes on until it is hung up or answered."""

    def __init__(self, house, path: str = PATH, **headers: str) -> None:
        self.status = 0
        self.text = ""
        self.is_over = False
        self._gone = asyncio.Event()
        self._told = asyncio.Event()
        root = house.settings.root_path
        scope: Any = {
            "type": "http",
            "method": "GET",
            "path": f"{root}{path}",
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
            ],
        }
        self.task = asyncio.create_task(house.app(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
        else:
            self.text += message["body"].decode()
            self.is_over = not message["more_body"]
        self._told.set()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The data of every event so far."""
        lines = self.text.splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]

    @property
    def revisions(self) -> list[str]:
        return [event["revision"] for event in self.events]

    async def until(self, told: Callable[[], bool]) -> None:
        """Wait until enough was told."""
        async with asyncio.timeout(10):
            while not told():
                self._told.clear()
                await self._told.wait()

    async def hang_up(self) -> None:
        self._gone.set()
        await asyncio.wait_for(self.task, 10)


@pytest.fixture
def town(house):
    """A house whose catalog is looked at often."""
    house.set(announce_every_s=0.01)
    house.publish("1", 60_500)
    return house


def test_who_connects_is_told_of_the_revision_in_force(town) -> None:
    async def listen() -> Listener:
        listener = Listener(town)
        await listener.until(lambda: len(listener.events) == 1)
        await listener.hang_up()
        return listener

    listener = asyncio.run(listen())
    assert listener.status == 200
    assert listener.headers[b"content-type"] == b"text/event-stream"
    assert listener.headers[b"cache-control"] == b"no-store"
    assert listener.headers[b"access-control-allow-origin"] == b"*"
    data = json.dumps(
        {"revision": "1", "etag": "r1", "published_at_ms": town.now_ms - 60_500},
        separators=(",", ":"),
    )
    assert listener.text == f"retry: 1000\n\nevent: datafile\nid: r1\ndata: {data}\n\n"


def test_every_listener_is_told_of_a_new_revision_of_its_environment(town) -> None:
    async def listen() -> list[list[str]]:
        first, second = Listener(town), Listener(town, "/datafiles/auth/shop-key/events")
        await first.until(lambda: len(first.events) == 1)
        await second.until(lambda: len(second.events) == 1)
        town.publish("2", 0)
        await first.until(lambda: len(first.events) == 2)
        await second.until(lambda: "2" in second.revisions)
        await first.hang_up()
        town.publish("3", 0)
        await second.until(lambda: "3" in second.revisions)
        await second.hang_up()
        return [first.revisions, second.revisions]

    assert asyncio.run(listen()) == [["1", "2"], ["1", "2", "3"]]


def test_a_publication_that_changes_another_environment_is_not_told(town) -> None:
    async def listen() -> list[str]:
        listener = Listener(town)
        await listener.until(lambda: len(listener.events) == 1)
        town.catalog.publications += 1
        await asyncio.sleep(0.05)
        town.publish("2", 0)
        await listener.until(lambda: len(listener.events) == 2)
        await listener.hang_up()
        return listener.revisions

    assert asyncio.run(listen()) == ["1", "2"]


@pytest.mark.parametrize(("known", "told"), [("r1", []), ("r0", ["1"])])
def test_who_comes_back_is_told_only_what_was_missed(town, known: str, told: list[str]) -> None:
    town.set(heartbeat_s=0.01)

    async def listen() -> list[str]:
        listener = Listener(town, last_event_id=known)
        await listener.until(lambda: ": still here\n\n" in listener.text)
        await listener.hang_up()
        return listener.revisions

    assert asyncio.run(listen()) == told


def test_listeners_are_counted_where_the_outside_may_watch(town) -> None:
    async def listen() -> str:
        listener = Listener(town)
        await listener.until(lambda: len(listener.events) == 1)
        watcher = Listener(town, "/metrics")
        await watcher.until(lambda: watcher.is_over)
        await listener.hang_up()
        return watcher.text

    assert "tallybook_revision_listeners 1.0" in asyncio.run(listen())


def test_nobody_asks_the_catalog_when_nobody_listens(town) -> None:
    async def listen() -> int:
        listener = Listener(town)
        await listener.until(lambda: len(listener.events) == 1)
        await listener.hang_up()
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(listen()) == 1


def test_an_environment_that_is_removed_ends_its_streams(town) -> None:
    async def listen() -> Listener:
        listener = Listener(town)
        await listener.until(lambda: len(listener.events) == 1)
        town.catalog.datafiles.clear()
        town.catalog.publications += 1
        await asyncio.wait_for(listener.task, 10)
        return listener

    assert asyncio.run(listen()).is_over


def test_a_secure_environment_wants_its_token_and_again_after_each_revision(town) -> None:
    town.publish("1", 0, access_token_required=True)
    town.catalog.tokens["shop-key"] = "secret"
    assert town.ask("GET", PATH).status_code == 403

    async def listen() -> Listener:
        listener = Listener(town, authorization="Bearer secret")
        await listener.until(lambda: len(listener.events) == 1)
        town.publish("2", 0, access_token_required=True)
        await asyncio.wait_for(listener.task, 10)
        return listener

    listener = asyncio.run(listen())
    assert (listener.is_over, listener.revisions) == (True, ["1"])


def test_an_unknown_environment_and_another_method_are_problems(town) -> None:
    assert town.ask("GET", "/datafiles/nobody/events").status_code == 404
    answer = town.ask("POST", PATH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, OPTIONS")


def test_browsers_may_ask_first(town) -> None:
    answer = town.ask("OPTIONS", PATH, headers={"Origin": "https://shop.example"})
    assert answer.status_code == 204
    assert "Last-Event-ID" in answer.headers["access-control-allow-headers"]


def test_beyond_the_limit_nobody_may_listen(town) -> None:
    town.set(max_listeners=1)

    async def listen() -> Listener:
        first = Listener(town)
        await first.until(lambda: len(first.events) == 1)
        second = Listener(town)
        await asyncio.wait_for(second.task, 10)
        await first.hang_up()
        return second

    refused = asyncio.run(listen())
    assert (refused.status, refused.headers[b"retry-after"]) == (503, b"10")
    assert "1 listen already" in refused.text


def test_a_catalog_that_fails_for_a_while_is_asked_again(town) -> None:
    async def listen() -> list[str]:
        listener = Listener(town)
        await listener.until(lambda: len(listener.events) == 1)
        town.catalog.error = StorageError("the disk is gone")
        await asyncio.sleep(0.05)
        town.publish("2", 0)
        town.catalog.error = None
        await listener.until(lambda: len(listener.events) == 2)
        await listener.hang_up()
        return listener.revisions

    assert asyncio.run(listen()) == ["1", "2"]


def test_a_listener_that_takes_nothing_in_is_left_alone(town) -> None:
    town.set(body_timeout_s=0.01)

    async def listen() -> None:
        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        scope: Any = {"type": "http", "method": "GET", "path": PATH, "headers": []}
        await asyncio.wait_for(town.app(scope, receive, send), 10)

    asyncio.run(listen())


def test_another_process_s_revision_is_told_soon_and_stopping_waits_for_nobody(
    tmp_path: Path,
) -> None:
    file = tmp_path / "definition.yaml"
    data = tmp_path / "data"
    file.write_text(DEFINITION % "control", encoding="utf-8")
    succeed("apply", file, data=data)
    told: list[tuple[float, dict[str, Any]]] = []
    changed = threading.Event()

    def listen(url: str) -> None:
        answer = urllib3.request(
            "GET", f"{url}/datafiles/prod-key/events", preload_content=False, timeout=30
        )
        for line in answer:
            if line.startswith(b"data: "):
                told.append((time.time(), json.loads(line[6:])))
                changed.set()

    with Server(data) as server:
        listener = threading.Thread(target=listen, args=(server.url,))
        listener.start()
        assert changed.wait(10)
        changed.clear()
        file.write_text(DEFINITION % "treatment", encoding="utf-8")
        succeed("apply", file, data=data)
        assert changed.wait(10)
        datafile = urllib3.request("GET", f"{server.url}/datafiles/prod-key.json")
        began = time.monotonic()
    listener.join(10)

    assert time.monotonic() - began < 10  # not the twenty seconds that requests may take
    # Within a second where there is time to run; this machine may be busy with other tests.
    assert told[1][0] - told[1][1]["published_at_ms"] / 1000 < 3
    assert [event["revision"] for _, event in told] == ["1", datafile.json()["revision"]]
