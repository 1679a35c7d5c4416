"""Whatever becomes of a valid body, it is taken or refused with a path, and what is taken counts once."""

from __future__ import annotations

import http.client
import random
import resource
import threading
from array import array
from collections.abc import Iterator
from pathlib import Path

from faults.server_hostile import identities, mutated, valid_body
from faults.server_load import HEADERS, Tally
from faults.server_process import Victim
from faults.server_table import everything, record
from tallybook.attribution.kept import kept_conversions, kept_decisions
from tallybook.collect import Collector, drain_leftovers
from tallybook.engines.duckdb import DuckDB
from tallybook.errors import BatchError, StorageError
from tallybook.lake.tables import Lake
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.model.event import Arrival
from tallybook.wire.batch_reader import read_batch

SEED = 20_261_127
DRAIN_EVERY = 100_000
ROWS = {
    "conversions": "SELECT account_id, entity_id, uuid, occurred_at::VARCHAR FROM conversions",
    "decisions": "SELECT account_id, experiment_id, entity_id, uuid, occurred_at::VARCHAR FROM decisions",
}


def mutations(number: int, name: str) -> Iterator[bytes]:
    for place in range(number):
        chance = random.Random(f"{SEED}-{name}-{place}")
        yield mutated(valid_body(f"{name}-{place}", chance), chance)


class Door:
    """The server's door without its HTTP: what is let in must be in the lake later."""

    def __init__(self, log: WriteAheadLog, lake: Lake) -> None:
        self.collector = Collector(log, lake)
        self.accepted = 0
        self.refused = 0
        self.settled = 0
        self.paths: set[str] = set()
        self.events = array("q")  # a hash of each, in order of arrival
        self._told = threading.Semaphore(0)
        self._errors: list[StorageError] = []

    def knock(self, body: bytes) -> None:
        try:
            batch = read_batch(body)
        except BatchError as error:
            batch = None
            self.paths.add(error.path)
        try:
            self.collector.accept(body, Arrival(1), self._done)
        except BatchError as error:
            assert batch is None, body
            self.paths.add(error.path)
            self.refused += 1
        else:
            assert batch is not None, body
            self.accepted += 1
            self.events.extend(map(hash, identities(batch)))

    def settle(self) -> None:
        """Wait for all that was let in since the last time, and drain it."""
        for _ in range(self.accepted - self.settled):
            assert self._told.acquire(timeout=60)
        self.settled = self.accepted
        assert not self._errors
        self.collector.drain()

    def _done(self, error: StorageError | None) -> None:
        if error:
            self._errors.append(error)
        self._told.release()


def test_mutations_at_the_door(tmp_path: Path) -> None:
    number = 1_000_000 if everything() else 5_000
    lake = Lake(str(tmp_path / "lake"))
    with WriteAheadLog(tmp_path / "log") as log:
        door, peaks = Door(log, lake), []
        for place, body in enumerate(mutations(number, "m"), 1):
            door.knock(body)
            if place % DRAIN_EVERY == 0 or place == number:
                door.settle()
                peaks.append(peak_mib())
    with DuckDB(lake) as engine:
        counted = array("q", (hash(row) for text in ROWS.values() for row in engine.rows(text, {})))
    assert sorted(counted) == sorted(door.events)
    assert all(path.startswith("$") for path in door.paths), door.paths
    assert door.accepted > number / 10
    assert door.refused > number / 10
    # The first hundred thousand have shown what a drain takes; events stay as eight bytes each.
    grown = peaks[-1] - peaks[0]
    assert grown < 64 + 24 * len(door.events) / 2**20, peaks
    record(
        "mutations of valid bodies, in process",
        number,
        tally_of(door.events, counted),
        f"{door.accepted:,} bodies taken, {door.refused:,} refused with a path; "
        f"memory grew by {grown:.0f} MiB after the first {DRAIN_EVERY:,}",
    )


def tally_of(acknowledged: array[int], counted: array[int]) -> Tally:
    promised = set(acknowledged)
    surplus = len(counted) - len(acknowledged)  # some bodies had an event twice
    return Tally(len(promised), len(promised & set(counted)), surplus, 0)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_mutations_over_http(tmp_path: Path) -> None:
    number = 20_000 if everything() else 1_000
    server, acknowledged, statuses = Victim(tmp_path), [], dict.fromkeys((204, 400), 0)
    server.start()
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    for place, body in enumerate(mutations(number, "h")):
        connection.request("POST", "/v1/events", body, HEADERS)
        answer = connection.getresponse()
        shown = answer.read()
        assert answer.status in statuses, (body, shown)
        statuses[answer.status] += 1
        if answer.status == 204:
            acknowledged += identities(read_batch(body))
        if place == number // 4:
            before = server.peak_mib()
    after = server.peak_mib()
    connection.close()
    server.stop()
    lake = Lake(str(server.data / "lake"))
    assert drain_leftovers(server.data / "log", lake) is not None
    with DuckDB(lake) as engine:
        found = [row for text in ROWS.values() for row in engine.rows(text, {})]
        kept = [
            row
            for days in (kept_decisions(engine), kept_conversions(engine))
            for _, rows in days
            for row in rows
        ]
    assert set(found) == set(acknowledged)
    assert len(kept) == len(set(acknowledged))
    assert after - before < 100
    record(
        "mutations of valid bodies, over HTTP",
        number,
        Tally(len(set(acknowledged)), len(kept), 0, 0),
        f"{statuses[204]:,} bodies answered 204, {statuses[400]:,} answered 400",
    )
