"""Results are read beside a running server, and soon hold what it acknowledged."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from servers import Server, counted, document, new_token, succeed
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
PATIENCE_S = 60


def over_http(url: str, token: str) -> dict[str, Any]:
    path = f"{url}/api/v1/experiments/checkout_test/results"
    results = urllib.request.Request(path, headers={"Authorization": token})  # noqa: S310 - as below
    with urllib.request.urlopen(results) as answer:  # noqa: S310 - our own server
        return json.load(answer)


def test_what_was_acknowledged_is_counted_while_the_server_runs(tmp_path: Path) -> None:
    (tmp_path / "definition.yaml").write_text(DEFINITION)
    succeed("apply", tmp_path / "definition.yaml", data=tmp_path)
    token = new_token("tests", "--scope", "read", data=tmp_path)
    with Server(tmp_path) as server, Client(sdk_key="shop-key", server_url=server.url) as client:
        assert client.wait_until_ready(10)
        for number in range(50):
            user = client.create_user_context(f"visitor-{number}")
            user.decide("checkout")
            user.track_event("purchase")
        assert client.flush(30)
        end = time.monotonic() + PATIENCE_S
        while sum(counted(over_http(server.url, token), "purchases").values()) < 50:
            assert time.monotonic() < end
            time.sleep(0.2)
        at_the_prompt = document("checkout_test", data=tmp_path)
        assert counted(at_the_prompt, "purchases") == counted(
            over_http(server.url, token), "purchases"
        )
