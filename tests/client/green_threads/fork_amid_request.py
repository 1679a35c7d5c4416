"""A fork while a request is under way: its answer is the parent's, whoever could read it first."""

from __future__ import annotations

import os
import sys
import time
from urllib.request import urlopen

from tallybook import Client
from tallybook.client import DeliverySettings, PollingSettings

URL = sys.argv[1]
EVENTS = 20


def ask(path: str) -> bytes:
    with urlopen(URL + path) as answer:  # noqa: S310 - the test's own host
        return answer.read()


client = Client(
    sdk_key="key",
    server_url=URL,
    polling=PollingSettings(interval_s=600),
    delivery=DeliverySettings(flush_interval_s=0.01, request_timeout_s=5),
)
ask("/answer")
assert client.wait_until_ready(20)
client.track("purchase", "parent")
while ask("/is-held") != b"yes":
    time.sleep(0.01)

done, tell = os.pipe()
child = os.fork()
if child:
    os.read(done, 1)  # without its hub: nothing goes on here before the child is done
    assert client.flush(20)
    stats = client.delivery_stats()
    assert stats.accepted == stats.delivered == 1, stats
    assert not stats.retried, stats
    assert os.waitpid(child, 0)[1] == 0
else:
    ask("/answer")
    for number in range(EVENTS):
        client.track("purchase", f"child-{number}")
        assert client.flush(20)
    stats = client.delivery_stats()
    assert stats.accepted == stats.delivered == EVENTS, stats
    assert not stats.retried, stats
    os.write(tell, b".")
