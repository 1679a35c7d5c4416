"""A server of several workers: whichever process is killed, acknowledged is counted, once."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from deltalake import DeltaTable

from servers import Server
from tallybook.collect import drain_leftovers
from tallybook.lake.tables import Lake
from tallybook.log.directory import holds_payloads, log_paths

SEED = 20_261_124


def body(uuid: str) -> bytes:
    event = {"entity_id": "7", "uuid": uuid, "timestamp": 1_700_000_000_000, "key": "buy"}
    visitor = {"visitor_id": "ann", "snapshots": [{"events": [event]}]}
    return json.dumps({"account_id": "1", "visitors": [visitor]}).encode()


def in_lake(data: Path) -> Counter[str]:
    """How often each conversion's uuid is in the lake."""
    path = data / "lake" / "conversions"
    if not DeltaTable.is_deltatable(str(path)):
        return Counter()
    table = DeltaTable(str(path)).to_pyarrow_table(columns=["uuid"])
    return Counter(table.column("uuid").to_pylist())


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it never happened")


def children(pid: int) -> list[int]:
    """Processes that a process has started, whichever of its threads did."""
    try:
        of_threads = [(t / "children").read_text() for t in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # it has just ended
        return []
    return [int(child) for text in of_threads for child in text.split()]


def workers(server: Server) -> list[int]:
    """The processes of a server that take requests."""
    return [p for p in children(server.process.pid) if "worker_process" in command(p)]


def drains(server: Server) -> list[int]:
    """The processes of a server's workers that drain."""
    found = [p for worker in workers(server) for p in children(worker)]
    return [p for p in found if "tallybook.server.draining" in command(p)]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


class Load:
    """Clients that post one event after the other, and start anew when they are cut off."""

    def __init__(self, server: Server, prefix: str, clients: int = 4) -> None:
        self.acknowledged: list[str] = []
        self._enough = threading.Event()
        self._host = server.url.removeprefix("http://")
        self._prefix = prefix
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for_more(self, number: int = 50) -> None:
        before = len(self.acknowledged)
        until(lambda: len(self.acknowledged) >= before + number, 60)

    def _run(self, client: int) -> None:
        numbers = (f"{self._prefix}-{client}-{n}" for n in range(10**9))
        while not self._enough.is_set():
            connection = http.client.HTTPConnection(self._host, timeout=30)
            try:
                self._post(connection, numbers)
            except (OSError, http.client.HTTPException):
                self._enough.wait(0.02)
            finally:
                connection.close()

    def _post(self, connection: http.client.HTTPConnection, uuids: Iterator[str]) -> None:
        while not self._enough.is_set():
            uuid = next(uuids)
            connection.request("POST", "/v1/events", body(uuid))
            answer = connection.getresponse()
            answer.read()
            if answer.status == 204:
                self.acknowledged.append(uuid)


def assert_each_counts_once(data: Path, load: Load) -> None:
    kept = in_lake(data)
    assert set(load.acknowledged) <= set(kept)
    assert set(kept.values()) == {1}


def kill_one(pids: list[int], chance: random.Random) -> None:
    os.kill(chance.choice(pids), signal.SIGKILL)


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_workers_and_drains_that_are_killed_lose_and_double_nothing(
    tmp_path: Path, kills: int
) -> None:
    chance = random.Random(SEED)
    with Server(tmp_path, "--workers", "2") as server, Load(server, "u") as load:
        load.wait_for_more()
        for _ in range(kills):
            until(lambda: len(workers(server)) == 2 and len(drains(server)) > 0)
            kill_one(chance.choice([workers(server), drains(server)]), chance)
            load.wait_for_more()
    # A worker that was told to stop before it had started leaves its log to whoever comes next.
    assert drain_leftovers(tmp_path / "log", Lake(str(tmp_path / "lake"))) is not None
    assert_each_counts_once(tmp_path, load)


def test_workers_end_with_their_parent_and_the_next_server_goes_on(tmp_path: Path) -> None:
    server = Server(tmp_path, "--workers", "3")
    server.start()
    with Load(server, "u") as load:
        load.wait_for_more()
        orphans = workers(server)
        assert len(orphans) == 3
        os.kill(server.process.pid, signal.SIGSTOP)  # else it would start another one
        os.kill(orphans[-1], signal.SIGKILL)  # leaves something in its log
        server.kill()
        until(lambda: not any("worker_process" in command(pid) for pid in orphans))
    with Server(tmp_path):  # with fewer workers than there are logs
        until(lambda: not any(map(holds_payloads, log_paths(tmp_path / "log"))))
        assert_each_counts_once(tmp_path, load)


def test_results_beside_workers_and_after_them_have_all_logs(tmp_path: Path) -> None:
    server = Server(tmp_path, "--workers", "2")
    server.start()
    lake = Lake(str(tmp_path / "lake"))
    with Load(server, "u") as load:
        load.wait_for_more()
        assert drain_leftovers(tmp_path / "log", lake) is None  # they do so themselves
        orphans = workers(server)
        os.kill(server.process.pid, signal.SIGSTOP)
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        server.kill()
    until(lambda: drain_leftovers(tmp_path / "log", lake) is not None)
    assert_each_counts_once(tmp_path, load)
