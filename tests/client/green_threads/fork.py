"""A child of a fork tracks and delivers what is its own, and so does its parent."""

from __future__ import annotations

import os
import sys
import threading
import time

from tallybook import Client, NotificationType
from tallybook.client import DeliverySettings, PollingSettings

URL, LIBRARY = sys.argv[1:]

client = Client(
    sdk_key="key",
    server_url=URL,
    polling=PollingSettings(interval_s=0.05 if LIBRARY == "gevent" else 600),
    delivery=DeliverySettings(flush_interval_s=0.05),
)
assert client.wait_until_ready(20)
client.track("purchase", "before")
assert client.flush(20)
client.track("purchase", "before")  # may still wait when the fork happens

updated = threading.Event()
client.notifications.add_notification_listener(
    NotificationType.OPTIMIZELY_CONFIG_UPDATE, updated.set
)
child = os.fork()
if child == 0 and LIBRARY == "eventlet":
    from eventlet import hubs

    hubs.use_hub()  # what eventlet asks of a child, and its worker of gunicorn does


def work(name: str) -> None:
    user = client.create_user_context(name)
    for _ in range(20):
        user.track_event("purchase")
        time.sleep(0)


who = "parent" if child else "child"
threads = [threading.Thread(target=work, args=(f"{who}-{n}",)) for n in range(10)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

if child:
    assert client.close(20) == 0
    stats = client.delivery_stats()
    assert stats.accepted == stats.delivered == 202, stats
    assert os.waitpid(child, 0)[1] == 0
else:
    assert LIBRARY == "eventlet" or updated.wait(20), "the child does not poll"
    assert client.flush(20)
    stats = client.delivery_stats()
    assert stats.accepted == stats.delivered == 200, stats
    client.track("purchase", "child-last")  # and it ends without close
