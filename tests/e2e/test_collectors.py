"""Collectors with data directories of their own write one lake: each event counts once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from servers import Server, counted, document, reached, succeed
from tallybook import Client
from tallybook.lake.tables import Lake

DEFINITION = """
project: shop
environments: {production: {sdk_key: shop-key}}
events: [purchase]
metrics:
  purchases: {event: purchase, aggregator: count}
flags:
  checkout:
    variations: {control: {}, treatment: {}}
    rules:
      - key: checkout_test
        type: a/b
        split: {control: 50%, treatment: 50%}
        metrics: [purchases]
"""
VISITORS = 400


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One lake and one catalog for whatever is started."""
    monkeypatch.setenv("TALLYBOOK_LAKE", str(tmp_path / "shared" / "lake"))
    monkeypatch.setenv("TALLYBOOK_CATALOG", f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    (tmp_path / "shared").mkdir()
    (tmp_path / "definition.yaml").write_text(DEFINITION)
    succeed("apply", tmp_path / "definition.yaml", data=tmp_path / "one")


def shop(server: Server, prefix: str) -> None:
    """Have visitors decide and buy once each, and wait until the server has it all."""
    client = Client(sdk_key="shop-key", server_url=server.url)
    assert client.wait_until_ready(10)
    for number in range(VISITORS):
        user = client.create_user_context(f"{prefix}-{number}")
        user.decide("checkout")
        user.track_event("purchase")
    assert client.flush(60)
    assert client.close(10) == 0


def post(server: Server, uuid: str, at_ms: int) -> None:
    """Send one purchase of a visitor of the first shop."""
    datafile = httpx.get(server.url + "/datafiles/shop-key.json").json()
    event = {"entity_id": "7", "uuid": uuid, "timestamp": at_ms, "key": "purchase"}
    body = {
        "account_id": datafile["accountId"],
        "project_id": datafile["projectId"],
        "visitors": [{"visitor_id": "one-0", "snapshots": [{"events": [event]}]}],
    }
    assert httpx.post(server.url + "/v1/events", json=body, timeout=30).status_code == 204


def test_what_several_collectors_took_at_once_counts_once(tmp_path: Path) -> None:
    # One of them with several processes, so that more than two commit at the same time.
    with (
        Server(tmp_path / "one") as one,
        Server(tmp_path / "two", "--workers", "2") as two,
    ):
        shops = [
            threading.Thread(target=shop, args=pair)
            for pair in ((one, "one"), (two, "two"), (two, "three"))
        ]
        for thread in shops:
            thread.start()
        for thread in shops:
            thread.join()
    for data in (tmp_path / "one", tmp_path / "two"):
        result = document("checkout_test", data=data)
        assert sum(reached(result).values()) == 3 * VISITORS
        assert sum(counted(result, "purchases").values()) == 3 * VISITORS


def test_an_event_sent_to_two_collectors_counts_once(tmp_path: Path) -> None:
    with Server(tmp_path / "one") as one, Server(tmp_path / "two") as two:
        shop(one, "one")
        now_ms = time.time_ns() // 1_000_000
        for server in (one, two, two, one):
            post(server, "again", now_ms)
    lake = Lake(str(tmp_path / "shared" / "lake"))
    rows = [uuid for file in lake.files("conversions") for uuid in uuids(file)]
    assert rows.count("again") == 4
    result = document("checkout_test", data=tmp_path / "one")
    assert sum(counted(result, "purchases").values()) == VISITORS + 1


def test_the_log_of_a_collector_that_is_gone_is_drained_by_the_next_on_it(tmp_path: Path) -> None:
    lost = Server(tmp_path / "lost")
    lost.start()
    with Server(tmp_path / "one") as one:
        shop(one, "one")
        shop(lost, "lost")
        lost.kill()
    with Server(tmp_path / "one"):  # another machine's log is none of its business
        pass
    result = document("checkout_test", data=tmp_path / "lost")
    assert sum(reached(result).values()) == 2 * VISITORS
    assert sum(counted(result, "purchases").values()) == 2 * VISITORS


def uuids(file: str) -> list[str]:
    return pq.read_table(file, columns=["uuid"]).column("uuid").to_pylist()
