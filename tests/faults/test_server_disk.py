"""A server whose disk is full takes nothing, loses nothing, and goes on when there is room."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from faults.server_load import Load, Tally, open_shop
from faults.server_process import Victim, until
from faults.server_table import record

SEED = 20_261_125
UNLIMITED = resource.RLIM_INFINITY


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    path.mkdir()
    mounting = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path)
    try:
        mounted = subprocess.run(mounting, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("only who may mount can make a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


def refuses(server: Victim, load: Load) -> None:
    """Wait until the server says that it keeps nothing, and hear it say so."""
    before = load.answers[503]
    until(lambda: load.answers[503] > before)
    state = httpx.get(server.url + "/health/ready", timeout=60)
    assert state.status_code == 503, state.text
    assert "cannot write the log" in state.json()["log"]
    assert server.status("/health/live") == 200


def recovers(server: Victim, load: Load) -> None:
    """Wait until it takes events and brings them into the lake, without being told anything."""
    until(lambda: server.status("/health/ready") == 200)
    before = load.answers[204]
    until(lambda: load.answers[204] > before + 50)
    until(lambda: httpx.get(server.url + "/health/ready", timeout=60).json()["drain"] is None)


def settled(server: Victim, load: Load) -> Tally:
    load.settle(server.url)
    server.stop()
    tally = load.tally(server.data)
    assert tally.is_whole, tally
    assert set(load.answers) == {204, 503}
    assert load.retry_after == {"5"}
    return tally


def test_where_no_file_may_grow_it_refuses_and_recovers(tmp_path: Path) -> None:
    server, load = Victim(tmp_path), Load(open_shop(tmp_path), SEED)
    server.start()
    with load.on(server.url):
        until(lambda: load.answers[204] > 100)
        for _ in range(2):
            server.limit(resource.RLIMIT_FSIZE, 0)
            refuses(server, load)
            server.limit(resource.RLIMIT_FSIZE, UNLIMITED)
            recovers(server, load)
    tally = settled(server, load)
    record("no file may grow", 2, tally, note(load))


def test_a_full_disk_refuses_and_recovers_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data", "4m"):
        server, load = Victim(tmp_path), Load(open_shop(tmp_path), SEED)
        ballast = server.data / "ballast"
        server.start()
        with load.on(server.url):
            until(lambda: load.answers[204] > 100)
            for _ in range(2):
                fill(ballast)
                refuses(server, load)
                ballast.unlink()
                recovers(server, load)
        tally = settled(server, load)
    record("disk full", 2, tally, note(load))


@pytest.mark.slow
def test_told_to_end_on_a_full_disk_it_leaves_what_it_acknowledged_to_the_next(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "data", "4m"):
        server, load = Victim(tmp_path), Load(open_shop(tmp_path), SEED)
        ballast = server.data / "ballast"
        server.start()
        with load.on(server.url):
            until(lambda: load.answers[204] > 100)
            fill(ballast)
            refuses(server, load)
            server.stop()
        ballast.unlink()
        server.start()
        tally = settled(server, load)
    record("SIGTERM on a full disk", 1, tally, "exit 0; the next start drains")


def fill(ballast: Path) -> None:
    """Leave no byte on the disk."""
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break


def note(load: Load) -> str:
    return f"{load.answers[503]:,} bodies answered 503 with Retry-After, and sent again"
