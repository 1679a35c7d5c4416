"""A client that listens to its server fetches a new revision when it is announced; a child too."""

from __future__ import annotations

import os
import sys
import threading

from tallybook import Client, NotificationType
from tallybook.client import PollingSettings

URL, PROCESSES = sys.argv[1:]

client = Client(
    sdk_key="prod-key",
    server_url=URL,
    polling=PollingSettings(interval_s=600, backoff_base_s=0.01, stream=True),
)
assert client.wait_until_ready(20)
user = client.create_user_context("user")
assert user.decide("checkout").variation_key == "control"
updated = threading.Event()
client.notifications.add_notification_listener(
    NotificationType.OPTIMIZELY_CONFIG_UPDATE, updated.set
)
child = os.fork() if PROCESSES == "2" else -1
if child:
    print("listening", flush=True)
assert updated.wait(20)
assert user.decide("checkout").variation_key == "treatment"
assert client.close(20) == 0
if child > 0:
    assert os.waitpid(child, 0)[1] == 0
