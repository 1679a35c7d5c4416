"""Fifty threads decide and track with a client that polls, which is closed or left to the exit."""

from __future__ import annotations

import sys
import threading
import time

from tallybook import Client
from tallybook.client import DeliverySettings, PollingSettings

URL, ENDING = sys.argv[1:]
THREADS, EVENTS = 50, 20

client = Client(
    sdk_key="key",
    server_url=URL,
    polling=PollingSettings(interval_s=0.05),
    delivery=DeliverySettings(flush_interval_s=60 if ENDING == "exit" else 0.05),
)


def work(number: int) -> None:
    assert client.wait_until_ready(20)
    user = client.create_user_context(f"user-{number}", {"plan": "gold"})
    for _ in range(EVENTS):
        assert user.decide("tested").enabled
        user.track_event("purchase", {"revenue": 4200})
        time.sleep(0)


threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

if ENDING == "close":
    assert client.flush(20)
    client.track("purchase", "late")
    assert client.close(20) == 0
    stats = client.delivery_stats()
    assert stats.accepted == stats.delivered == 2 * THREADS * EVENTS + 1, stats
    assert not stats.retried, stats
