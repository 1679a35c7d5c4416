"""A server killed anywhere loses nothing that it acknowledged, and counts it once."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.server_load import PURCHASES, Load, Tally, in_results, open_shop
from faults.server_process import Ambush, Victim, until
from faults.server_table import record
from servers import tallybook
from tallybook.log.directory import holds_payloads

SEED = 20_261_124
KILLS_A_PLACE = 20
LEFT_TO_THE_LONG_RUN = (
    "killed before the lake's commit",
    "killed before the commit is synced",
    "killed after the segment is removed",
    "killed at any moment",
)
Attack = Callable[[Victim, Load, random.Random], None]


def in_ambush(call: str, moment: str, most: int = 1, delay_s: float = 0) -> Attack:
    """Die at one of the first ``most`` calls, ``within`` it at most ``delay_s`` after its start."""

    def attack(server: Victim, load: Load, chance: random.Random) -> None:
        nth = chance.randint(1, most)
        server.spawn(Ambush(call, nth, moment, chance.uniform(0, delay_s)))
        if server.becomes_ready():  # what an earlier life left may lead it into the ambush before
            with load.on(server.url):
                server.await_death()
        server.await_death()

    return attack


def in_a_request(server: Victim, load: Load, chance: random.Random) -> None:
    """Die while one client is in the middle of its body, and others are busy."""
    server.start()
    half = load.shop.body(f"half-{chance.random()}")
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: {len(half.data)}\r\n\r\n"
    sent = chance.randrange(len(half.data))
    with load.on(server.url), socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(head.encode() + half.data[:sent])
        enough = load.answers.total() + chance.randint(1, 60)
        until(lambda: load.answers.total() >= enough)
        server.kill()
    load.unanswered.append(half)


def at_any_moment(server: Victim, load: Load, chance: random.Random) -> None:
    """Die after a random time: one in five before it listens, the others under load."""
    if chance.random() < 0.2:
        server.spawn()
        time.sleep(chance.uniform(0, 1.2))
        server.kill()
        return
    server.start()
    with load.on(server.url):
        time.sleep(chance.uniform(0, 2.5))
        server.kill()


ATTACKS: dict[str, Attack] = {
    "killed in a request": in_a_request,
    "killed in a write to the log": in_ambush("pwrite", "within", 300),
    "killed before the fsync": in_ambush("fdatasync", "before", 300),
    "killed between fsync and reply": in_ambush("fdatasync", "after", 300),
    "killed before the lake's commit": in_ambush("commit", "before", 4),
    "killed in the lake's commit": in_ambush("commit", "within", 4, 0.03),
    "killed before the commit is synced": in_ambush("fsync", "before", 12),
    "killed before the segment is removed": in_ambush("remove", "before", 2),
    "killed after the segment is removed": in_ambush("remove", "after", 2),
    "killed at any moment": at_any_moment,
}


def survive(path: Path, attacks: list[Attack], seed: int) -> tuple[Victim, Load]:
    """Live through the attacks one after the other, then settle and end well."""
    server, load, chance = Victim(path), Load(open_shop(path), seed), random.Random(seed)
    for attack in attacks:
        attack(server, load, chance)
    server.start()
    load.settle(server.url)
    server.stop()
    return server, load


def whole(server: Victim, load: Load) -> Tally:
    """Hold the books against the lake and against the results, and look for what none may read."""
    tally = load.tally(server.data)
    assert tally.is_whole, tally
    bodies = (tally.acknowledged + tally.unsure) // (1 + PURCHASES)
    assert in_results(server.data) == (bodies, bodies * PURCHASES)
    return tally


def test_six_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    places = [name for name in ATTACKS if name not in LEFT_TO_THE_LONG_RUN]
    server, load = survive(tmp_path, [ATTACKS[name] for name in places], SEED)
    assert len(places) == 6
    whole(server, load)


@pytest.mark.slow
@pytest.mark.parametrize("place", ATTACKS)
def test_kills_lose_and_double_nothing(tmp_path: Path, place: str) -> None:
    server, load = survive(tmp_path, [ATTACKS[place]] * KILLS_A_PLACE, SEED)
    tally = whole(server, load)
    record(place, KILLS_A_PLACE, tally, f"{tally.unsure:,} more were never answered, but are there")


@pytest.mark.slow
def test_told_to_end_under_load_it_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    server, load = Victim(tmp_path), Load(open_shop(tmp_path), SEED)
    lives = 10
    for _ in range(lives):
        server.start()
        with load.on(server.url):
            enough = load.answers.total() + 100
            until(lambda: load.answers.total() >= enough)  # noqa: B023 - called at once
            server.stop()
        log = Path(server.data, "log")
        assert not holds_payloads(log), "it drains before it ends"
    record("SIGTERM under load", lives, whole(server, load), "exit 0, the log drained")


@pytest.mark.slow
def test_a_second_server_on_a_directory_ends_with_one_line(tmp_path: Path) -> None:
    server, load = Victim(tmp_path), Load(open_shop(tmp_path), SEED)
    tries = 10
    server.start()
    with load.on(server.url):
        until(lambda: load.answers[204] > 50)
        for _ in range(tries):
            done = tallybook("serve", "--port", 0, data=server.data)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.count("\n") == 1
            assert f"locked by process {server.process.pid}" in done.stderr
        server.kill()
    server.start()  # a lock dies with who held it
    load.settle(server.url)
    server.stop()
    note = "the second one exits 2 with one line; after a kill the next one starts"
    record("two servers on one directory", tries, whole(server, load), note)
