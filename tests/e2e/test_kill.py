"""A server killed at random moments under load loses nothing it acknowledged and counts it once."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

from servers import Server, counted, document, reached, succeed
from tallybook import Client

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
KILLS = 10
SEED = 20_261_123


class Shoppers(threading.Thread):
    """Visitors who decide and buy, one after another, until there are enough."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client
        self.tracked = 0
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.wait(0.0005):
            user = self.client.create_user_context(f"visitor-{self.tracked}")
            user.decide("checkout")
            user.track_event("purchase")
            self.tracked += 1


def kill_at_random(server: Server, chance: random.Random) -> None:
    for _ in range(KILLS):
        # Not waiting for anything: the moment itself is what is drawn.
        time.sleep(chance.uniform(0.05, 0.9))
        server.kill()
        server.start()


def test_ten_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    (tmp_path / "definition.yaml").write_text(DEFINITION)
    succeed("apply", tmp_path / "definition.yaml", data=tmp_path)
    server = Server(tmp_path)
    server.start()
    client = Client(sdk_key="shop-key", server_url=server.url)
    assert client.wait_until_ready(10)
    shoppers = Shoppers(client)
    shoppers.start()
    try:
        kill_at_random(server, random.Random(SEED))
    finally:
        shoppers.enough.set()
        shoppers.join()
    tracked = shoppers.tracked
    assert client.flush(120)
    stats = client.delivery_stats()
    client.close(10)
    server.stop()

    assert stats.delivered == stats.accepted == 2 * tracked
    result = document("checkout_test", data=tmp_path)
    assert sum(reached(result).values()) == tracked
    assert sum(counted(result, "purchases").values()) == tracked
