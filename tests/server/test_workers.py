"""``--workers``: one parent, several processes that take requests at one port."""

from __future__ import annotations

import os
import re
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from deltalake import DeltaTable

from servers import Server, tallybook
from tallybook.server.board import Board

BODY = (
    '{"account_id":"1","visitors":[{"visitor_id":"ann","snapshots":'
    '[{"events":[{"entity_id":"7","uuid":"%s","timestamp":1,"key":"buy"}]}]}]}'
)
WORKERS = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data"), "--workers", str(WORKERS)) as server:
        yield server


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it never happened")


def post(server: Server, uuid: str) -> httpx.Response:
    # A connection of its own each, so that any worker may be the one.
    return httpx.post(server.url + "/v1/events", content=BODY % uuid, timeout=30)


def figures(server: Server) -> dict[str, float]:
    text = httpx.get(server.url + "/metrics", timeout=30).text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def pids(server: Server) -> list[int]:
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(p) for p in children if b"worker_process" in Path(f"/proc/{p}/cmdline").read_bytes()
    ]


def test_any_worker_tells_the_figures_of_all(server: Server) -> None:
    def answered() -> float:
        found = figures(server)
        return sum(
            found.get(f'tallybook_event_requests_total{{status="204",worker="{w + 1}"}}', 0)
            for w in range(WORKERS)
        )

    before = answered()
    for number in range(20):
        assert post(server, f"u-{number}").status_code == 204
    until(lambda: answered() == before + 20)
    found = figures(server)
    assert found["tallybook_workers"] == WORKERS
    assert [found[f'tallybook_ready{{worker="{w + 1}"}}'] for w in range(WORKERS)] == [1, 1]


def test_one_worker_that_cannot_write_makes_all_of_them_not_ready(server: Server) -> None:
    def statuses() -> set[int]:
        return {httpx.get(server.url + "/health/ready").status_code for _ in range(10)}

    assert statuses() == {200}
    (worker, _) = pids(server)
    limits = resource.prlimit(worker, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    until(lambda: 503 in {post(server, "a").status_code for _ in range(10)})
    until(lambda: statuses() == {503})
    resource.prlimit(worker, resource.RLIMIT_FSIZE, limits)
    until(lambda: statuses() == {200})


def test_a_worker_that_died_is_replaced_and_nothing_is_lost_at_the_end(tmp_path: Path) -> None:
    server = Server(tmp_path, "--workers", str(WORKERS))
    server.start()
    before = pids(server)
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(set(pids(server)) - set(before)) == 1)
    until(lambda: figures(server)["tallybook_workers"] == WORKERS)
    uuids = [f"u-{number}" for number in range(30)]
    assert {post(server, uuid).status_code for uuid in uuids} == {204}
    server.process.send_signal(signal.SIGTERM)
    _, said = server.process.communicate(timeout=60)
    assert server.process.returncode == 0, said
    assert re.findall(r'event="([^"]*)"', said) == ["worker ended; starting another"]
    table = DeltaTable(str(tmp_path / "lake" / "conversions")).to_pyarrow_table()
    assert sorted(table.column("uuid").to_pylist()) == sorted(uuids)


@pytest.mark.parametrize("second", [("--workers", "2"), ()])
def test_a_second_server_on_the_same_directory_is_refused(
    server: Server, second: tuple[str, ...]
) -> None:
    refused = tallybook("serve", "--port", "0", *second, data=server.data)
    assert refused.returncode == 2
    assert re.fullmatch(r"tallybook: .*/log: locked by process \d+; .*\n", refused.stderr)
    assert post(server, "a").status_code == 204


def test_a_worker_whose_log_is_held_ends_the_start_in_one_line(tmp_path: Path) -> None:
    with Server(tmp_path / "other", "--workers", "2"):
        (tmp_path / "mine" / "log").mkdir(parents=True)
        (tmp_path / "mine" / "log" / "worker-2").symlink_to(tmp_path / "other" / "log" / "worker-2")
        refused = tallybook("serve", "--port", "0", "--workers", "2", data=tmp_path / "mine")
    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if "shown this once" not in line]
    assert re.fullmatch(r"tallybook: .*/worker-2: locked by process \d+; .*", line)
    assert "listening" not in refused.stdout


@pytest.mark.parametrize("number", ["0", "-1", "many", "65"])
def test_a_number_of_workers_that_makes_no_sense_is_refused(tmp_path: Path, number: str) -> None:
    refused = tallybook("serve", f"--workers={number}", data=tmp_path)
    assert refused.returncode == 2
    assert "workers" in refused.stderr


def test_a_board_shows_each_workers_note_and_none_that_is_half_written() -> None:
    descriptor = Board.make(3)
    one, other = Board(descriptor, 3), Board(descriptor, 3)
    assert list(one.notes()) == []
    one.write(1, b"long ago")
    one.write(3, b"three")
    other.write(1, b"now")
    assert list(one.notes()) == list(other.notes()) == [(1, b"now"), (3, b"three")]
    one._memory[8:11] = b"new"  # killed before it wrote the checksum
    assert list(other.notes()) == [(3, b"three")]
    one.clear(3)
    assert list(other.notes()) == []
    with pytest.raises(ValueError, match=r"note of 20000 bytes, room for \d+"):
        one.write(2, bytes(20_000))
    one.close()
    other.close()
    os.close(descriptor)
