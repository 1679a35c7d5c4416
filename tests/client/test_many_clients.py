"""Many clients in one process, one after the other and at once, each with its journal."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sinks import Sink
from tallybook import Client
from tallybook.client import DeliverySettings
from tallybook.notify import NotificationType
from tallybook.testing import DatafileBuilder

SOURCE = Path(__file__).parents[2] / "src"
DATAFILE = DatafileBuilder(events=["purchase"]).build()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


def numbers(sink: Sink) -> list[int]:
    return [event["tags"]["n"] for event in sink.events]


def open_files() -> list[str]:
    """What the process's file descriptors lead to."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            found.append(str(descriptor.readlink()))
    return found


def own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("tallybook")]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts what Linux shows in /proc")
@pytest.mark.parametrize("ending", ["close", "let go"])
def test_clients_made_and_ended_in_a_loop_leave_nothing(
    sink: Sink, journal_directory: Path, ending: str
) -> None:
    def make_and_end(number: int) -> None:
        client = Client(DATAFILE, event_url=sink.url, delivery=DeliverySettings(gzip=False))
        client.track("purchase", f"user-{number}", {}, {"n": number})
        if ending == "close":
            assert client.close(20) == 0
        else:
            assert client.flush(20)

    def settle() -> int:
        """End what is ending; how much memory is in use then."""
        gc.collect()
        for thread in own_threads():
            thread.join(20)
        sink.requests.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    for number in range(10):
        make_and_end(number)
    before, files = settle(), len(open_files())
    for number in range(100):
        make_and_end(number)
    assert numbers(sink) == list(range(100))
    after = settle()
    tracemalloc.stop()
    assert own_threads() == []
    assert [path for path in open_files() if ".journal" in path] == []
    deadline = time.monotonic() + 20
    while len(open_files()) > files and time.monotonic() < deadline:
        time.sleep(0.01)  # the sink closes its side of a connection in its own time
    assert len(open_files()) <= files
    assert list(journal_directory.iterdir()) == []
    # Where coverage is measured, each thread there ever was leaves some kilobytes.
    assert after - before < 100 * 10_000, "a client that is gone takes no more than a trace"


def test_a_hundred_clients_at_once_deliver_each_its_own(
    sink: Sink, journal_directory: Path
) -> None:
    clients = [Client(DATAFILE, event_url=sink.url) for _ in range(100)]
    for number in range(1_000):
        clients[number % 100].track("purchase", f"user-{number}", {}, {"n": number})
    assert all(client.flush(60) for client in clients)
    assert {client.delivery_stats().delivered for client in clients} == {10}
    assert [client.close(20) for client in clients] == [0] * 100
    assert sorted(numbers(sink)) == list(range(1_000))
    assert list(journal_directory.iterdir()) == []


def test_a_client_may_track_while_another_tells_of_its_own_event(sink: Sink) -> None:
    outer, inner = (Client(DATAFILE, event_url=sink.url) for _ in range(2))

    def track_too(event_key: str, user_id: str, _attributes: Any, tags: Any, *_: Any) -> None:
        inner.track(event_key, user_id, {}, {"n": tags["n"] + 1_000})

    outer.notifications.add_notification_listener(NotificationType.TRACK, track_too)
    for number in range(100):
        outer.track("purchase", "user", {}, {"n": number})
    assert outer.flush(20)
    assert inner.flush(20)
    outer.close()
    inner.close()
    assert sorted(numbers(sink)) == [*range(100), *range(1_000, 1_100)]


def test_a_process_that_ends_at_once_leaves_its_events_to_the_next(sink: Sink) -> None:
    program = """
import os, sys
from tallybook import Client
from tallybook.client import DeliverySettings
client = Client(sys.argv[1], event_url=sys.argv[2], delivery=DeliverySettings(flush_interval_s=9e6))
for n in range(500):
    client.track("purchase", "user", {}, {"n": n})
os._exit(0)
"""
    arguments = [sys.executable, "-c", program, DATAFILE.decode(), sink.url]
    subprocess.run(arguments, env={**os.environ, "PYTHONPATH": str(SOURCE)}, check=True, timeout=60)
    assert sink.requests == []
    with Client(DATAFILE, event_url=sink.url) as heir:
        heir.track("purchase", "user", {}, {"n": 500})
        while len(sink.events) < 501:
            assert sink.wait_for(len(sink.requests) + 1, 20)
    assert Counter(numbers(sink)) == Counter(range(501))
