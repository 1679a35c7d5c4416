"""Threads that outlive a fork do nothing in the child: it has one that polls and one that sends."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping

from tallybook import Client
from tallybook.client import DeliverySettings, PollingSettings
from tallybook.deliver.answer import Reply
from tallybook.deliver.http import KeepAliveHttp

URL = sys.argv[1]
REQUESTS = 20


class Noting(KeepAliveHttp):
    """Notes which thread asks and which one sends."""

    def __init__(self) -> None:
        super().__init__(timeout_s=20)
        self.asking: list[int] = []
        self.sending: list[int] = []

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        self.asking.append(threading.get_ident())
        return super().get(url, headers)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        self.sending.append(threading.get_ident())
        return super().post(url, body, headers)


http = Noting()
client = Client(
    sdk_key="key",
    server_url=URL,
    http=http,
    polling=PollingSettings(interval_s=0.02),
    delivery=DeliverySettings(flush_interval_s=0.02),
)
assert client.wait_until_ready(20)
client.track("purchase", "parent")
while client.delivery_stats().waiting_events:
    time.sleep(0.001)
client.track("purchase", "parent")
time.sleep(0)  # the parent's thread begins to wait for company for this event

child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    assert client.close(20) == 0
else:
    http.asking.clear()
    http.sending.clear()
    while min(len(http.asking), len(http.sending)) < REQUESTS:
        client.track("purchase", "child")
        time.sleep(0.005)
    assert len(set(http.asking)) == 1, "another thread polls"
    assert len(set(http.sending)) == 1, "another thread sends"
    assert client.close(20) == 0
    stats = client.delivery_stats()
    assert stats.accepted == stats.delivered, stats
