"""A client that was made before gevent came, in the child of a fork that gevent then patches."""

from __future__ import annotations

import os
import sys
import threading
import time

from tallybook import Client, NotificationType
from tallybook.client import DeliverySettings, PollingSettings

URL = sys.argv[1]

client = Client(
    sdk_key="key",
    server_url=URL,
    polling=PollingSettings(interval_s=0.05),
    delivery=DeliverySettings(flush_interval_s=0.05),
)
assert client.wait_until_ready(20)
client.track("purchase", "before")
assert client.flush(20)
child = os.fork()
if child == 0:
    from gevent import monkey

    monkey.patch_all()

updated = threading.Event()
client.notifications.add_notification_listener(
    NotificationType.OPTIMIZELY_CONFIG_UPDATE, updated.set
)


def work(name: str) -> None:
    for _ in range(20):
        client.track("purchase", name)
        time.sleep(0)


who = "parent" if child else "child"
threads = [threading.Thread(target=work, args=(f"{who}-{n}",)) for n in range(10)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert updated.wait(20)
assert client.close(20) == 0
stats = client.delivery_stats()
assert stats.accepted == stats.delivered, stats
if child:
    assert os.waitpid(child, 0)[1] == 0
