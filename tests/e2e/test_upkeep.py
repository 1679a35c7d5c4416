"""The store is compacted, and a visitor forgotten, beside a running server that goes on taking events."""

from __future__ import annotations

import json
from pathlib import Path

from servers import Server, counted, document, reached, succeed
from stores import holding
from tallybook import Client

DEFINITION = """
project: shop
environments: {production: {sdk_key: shop-key}}
events: [purchase]
metrics: {purchases: {event: purchase, aggregator: count}}
flags:
  checkout:
    variations: {control: {}, treatment: {}}
    rules:
      - {key: checkout_test, type: a/b, split: {control: 50%, treatment: 50%}, metrics: [purchases]}
"""
SHY = "visitor-who-is-shy"


def shop(client: Client, *visitors: str) -> None:
    for visitor in visitors:
        user = client.create_user_context(visitor)
        user.decide("checkout")
        user.track_event("purchase")
    assert client.flush(30)


def test_a_store_is_cared_for_beside_a_running_server(tmp_path: Path) -> None:
    (tmp_path / "definition.yaml").write_text(DEFINITION)
    succeed("apply", tmp_path / "definition.yaml", data=tmp_path)
    others = [f"visitor-{number}" for number in range(30)]
    with Server(tmp_path) as server, Client(sdk_key="shop-key", server_url=server.url) as client:
        assert client.wait_until_ready(10)
        shop(client, *others[:10], SHY)
        receipt = json.loads(
            succeed("forget", SHY, "--grace-s", "0", "--format", "json", data=tmp_path)
        )
        assert receipt["complete"]
        assert holding(tmp_path, SHY) == []
        shop(client, *others[10:20])
        succeed("compact", "--drop-copies", data=tmp_path)
        shop(client, *others[20:], SHY)
        assert "held by process" in succeed("doctor", data=tmp_path)
    result = document("checkout_test", data=tmp_path)
    everyone = len(others) + 1  # who comes again after being forgotten is somebody new
    assert sum(reached(result).values()) == everyone
    assert sum(counted(result, "purchases").values()) == everyone
    assert result["health"]["duplicate_events"] == 0
    assert succeed("doctor", data=tmp_path).rstrip().endswith("0 to look at")
