"""Another thread goes on while a server that is slow to answer keeps the client waiting."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.request import urlopen

from tallybook import Client
from tallybook.client import DeliverySettings, PollingSettings

URL = sys.argv[1]
Result = TypeVar("Result")


def ask(path: str) -> bytes:
    with urlopen(URL + path) as answer:  # noqa: S310 - the test's own host
        return answer.read()


def have_it_answered() -> None:
    """Only once the client is waiting for an answer is it given one."""
    while ask("/is-held") != b"yes":
        time.sleep(0.01)
    ask("/answer")


def meanwhile(call: Callable[[], Result]) -> Result:
    other = threading.Thread(target=have_it_answered)
    other.start()
    result = call()
    other.join()
    return result


client = Client(
    sdk_key="key",
    server_url=URL,
    polling=PollingSettings(interval_s=600, request_timeout_s=60),
    delivery=DeliverySettings(flush_interval_s=60, request_timeout_s=60),
)
user = client.create_user_context("user")
assert meanwhile(lambda: client.wait_until_ready(60))
assert user.decide("tested").enabled
assert meanwhile(lambda: client.flush(60))
user.track_event("purchase")
assert meanwhile(lambda: client.close(60)) == 0
