"""A store that is killed while it is compacted or a visitor deleted, beside a drain that goes on."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

import store_work
from reliability import write_table
from servers import tallybook
from store_work import KEEP_DAYS, NOW_MS, VISITOR
from stores import commit_each, converted, decided, holding, rows
from tallybook.collect import Collector, drain_leftovers
from tallybook.errors import StorageError
from tallybook.keep.place import Place, place
from tallybook.lake.tables import Lake
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.model.event import Arrival, Received

DAY = 86_400_000
TODAY = NOW_MS // DAY * DAY
WORKS = ("compact", "drop copies", "forget", "retention")
PROGRAM = Path(store_work.__file__)
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
SEED = 20_261_124
FAST, SLOW = 2, 20  # moments for each kind of work
VISITORS = (VISITOR, "bob", "cy", f"{VISITOR}-not")


def sent_before(dice: random.Random) -> list[Received]:
    """Events of some days and visitors, a third of them sent again."""
    events = [
        (made, f"before-{n}", dice.choice(VISITORS), TODAY - dice.randrange(6) * DAY - n)
        for n in range(14)
        for made in (converted, decided)
    ]
    again = dice.sample(events, len(events) // 3)
    return [
        made(uuid, visitor, at_ms, late_ms=dice.randrange(9))
        for made, uuid, visitor, at_ms in [*events, *again]
    ]


@dataclass
class Acknowledged:
    """The model: how often each conversion that was acknowledged has been sent, and whose it is."""

    sent: Counter[str] = field(default_factory=Counter)
    visitor: dict[str, str] = field(default_factory=dict)
    at_ms: dict[str, int] = field(default_factory=dict)

    def add(self, uuid: str, visitor: str, at_ms: int) -> None:
        self.sent[uuid] += 1
        self.visitor[uuid] = visitor
        self.at_ms[uuid] = at_ms

    def kept(self, work: str) -> dict[str, int]:
        """What must be counted after a kind of work, with all its copies."""
        gone = {
            "forget": lambda uuid: self.visitor[uuid] == VISITOR,
            "retention": lambda uuid: self.at_ms[uuid] < TODAY - KEEP_DAYS * DAY,
        }.get(work, lambda _: False)
        return {uuid: count for uuid, count in self.sent.items() if not gone(uuid)}


class Intake:
    """A collector that takes events and drains them, on a thread, until it is left."""

    def __init__(self, data: Path, known: Acknowledged) -> None:
        self._known = known
        self._log = WriteAheadLog(data / "log")
        self._collector = Collector(self._log, Lake(str(data / "lake")))
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.failures: list[StorageError] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join()
        self._collector.close()

    def _run(self) -> None:
        number = 0
        while not self._leaving.wait(0.01):
            number += 1
            self._accept(f"during-{number}", VISITORS[number % len(VISITORS)], TODAY)
            self._accept(f"during-{number // 2}", VISITORS[number // 2 % len(VISITORS)], TODAY)
            try:
                self._collector.drain()
            except StorageError as error:  # the lake is busy; the log keeps it for the next time
                self.failures.append(error)

    def _accept(self, uuid: str, visitor: str, at_ms: int) -> None:
        event = {"entity_id": "10", "key": "buy", "uuid": uuid, "timestamp": at_ms}
        visitors = [{"visitor_id": visitor, "snapshots": [{"events": [event]}]}]
        body = json.dumps({"account_id": "1", "visitors": visitors}).encode()
        safe = threading.Event()
        self._collector.accept(body, Arrival(NOW_MS), lambda fault: fault or safe.set())
        assert safe.wait(60)
        self._known.add(uuid, visitor, at_ms)


@dataclass
class Tally:
    """What came of several kills during one kind of work."""

    work: str
    moments: int = 0
    killed: int = 0
    acknowledged: int = 0
    counted: int = 0
    twice: int = 0
    left: int = 0

    @property
    def row(self) -> Sequence[object]:
        left = self.left if self.work in ("forget", "retention") else "–"
        fault = f"killed during {self.work}, {self.killed} of them before its end"
        return fault, self.moments, self.acknowledged, self.counted, self.twice, left


def begun(data: Path, work: str, step: int = 0) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(data), work, str(step)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n", process.communicate()
    return process


@dataclass
class Undisturbed:
    """How many steps a piece of work took, which were beside commits, and how many seconds."""

    steps: int
    of_commits: list[int]
    seconds: float


def finish(data: Path, work: str) -> Undisturbed:
    """Do the work without a fault."""
    process = begun(data, work)
    start = time.monotonic()
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    steps, *of_commits = map(int, output.split())
    return Undisturbed(steps, of_commits, time.monotonic() - start)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Acknowledged]:
    data = tmp_path_factory.mktemp("prepared")
    known = Acknowledged()
    sent = sent_before(random.Random(SEED))
    for received in sent:
        for event in received.batch.conversions:
            known.add(event.uuid, event.visitor_id, event.at_ms)
    commit_each(Lake(str(data / "lake")), sent, app_id="before")
    return data, known


@pytest.fixture(params=WORKS)
def work(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def moments(
    dice: random.Random, undisturbed: Undisturbed, count: int
) -> Iterator[tuple[int, float]]:
    """Steps to be killed at: one beside a commit, a time instead of one, any one, and so on."""
    for number in range(count):
        if number % 3 == 0:
            yield dice.choice(undisturbed.of_commits), 0
        elif number % 3 == 1:
            yield 0, dice.uniform(0, undisturbed.seconds)
        else:
            yield dice.randint(1, undisturbed.steps), 0


def kill(data: Path, work: str, step: int, after_s: float) -> bool:
    """Do the work and kill it; return whether that came before its end."""
    process = begun(data, work, step)
    if not step:
        time.sleep(after_s)  # the moment itself is what is drawn
        process.kill()
    process.communicate(timeout=120)
    return process.returncode == -signal.SIGKILL


def check(lake: Lake, known: Acknowledged, tally: Tally) -> None:
    """Compare what the lake counts with the model."""
    kept = known.kept(tally.work)
    found = "SELECT uuid, SUM(COALESCE(copies, 1)), COUNT(DISTINCT (entity_id, occurred_at)) FROM conversions GROUP BY uuid"
    counted = {
        str(uuid): (int(str(sends)), int(str(events))) for uuid, sends, events in rows(lake, found)
    }
    tally.acknowledged += len(kept)
    tally.counted += len(kept.keys() & counted.keys())
    tally.twice += sum(events > 1 for _, events in counted.values())
    tally.left += len(counted.keys() - kept.keys())
    assert counted.keys() == kept.keys()
    assert {uuid: sends for uuid, (sends, _) in counted.items()} == kept


def try_out(prepared: tuple[Path, Acknowledged], work: str, count: int, room: Path) -> Tally:
    source, before = prepared
    dice = random.Random(f"{SEED}{work}")
    shutil.copytree(source, room / "whole")
    undisturbed = finish(room / "whole", work)
    tally = Tally(work)
    for number, (step, after_s) in enumerate(moments(dice, undisturbed, count)):
        data = room / f"{number}"
        shutil.copytree(source, data)
        known = Acknowledged(Counter(before.sent), dict(before.visitor), dict(before.at_ms))
        with Intake(data, known):
            tally.killed += kill(data, work, step, after_s)
        with Intake(data, known):
            finish(data, work)
        lake = Lake(str(data / "lake"))
        drain_leftovers(data / "log", lake)
        tally.moments += 1
        check(lake, known, tally)
        if work == "forget":
            assert not [p for p in holding(data, f'"{VISITOR}"') if p.parent.name == "log"]
        shutil.rmtree(data)
    assert tally.killed >= count // 4, "most of the kills came too late to try anything"
    return tally


def test_a_kill_during_upkeep_loses_and_doubles_nothing(
    prepared: tuple[Path, Acknowledged], work: str, tmp_path: Path
) -> None:
    tally = try_out(prepared, work, FAST, tmp_path)
    assert (tally.counted, tally.twice, tally.left) == (tally.acknowledged, 0, 0)


@pytest.mark.slow
def test_kills_at_many_moments_lose_and_double_nothing(
    prepared: tuple[Path, Acknowledged], tmp_path: Path
) -> None:
    tallies = [try_out(prepared, work, SLOW, tmp_path / work) for work in WORKS]
    heads = ("fault", "moments tried", "acknowledged", "counted", "twice", "forgotten left")
    write_table("store", heads, [tally.row for tally in tallies])


def damaged(kept: Place, name: str, change: Callable[[bytes], bytes]) -> Path:
    """Change one file of a table as a disk might."""
    path = Path(min(Lake(kept.lake_uri).files(name)))
    path.write_bytes(change(path.read_bytes()))
    return path


def flipped(data: bytes) -> bytes:
    place = random.Random(SEED).randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


EXAMINED = ("doctor", "--format", "json")
DAMAGES = {"half-written": lambda data: data[: len(data) // 2], "a flipped byte": flipped}


@pytest.mark.parametrize(
    ("kind", "name"), [("half-written", "decisions"), ("a flipped byte", "conversions")]
)
def test_a_damaged_file_is_named_by_results_and_doctor(
    tmp_path: Path, kind: str, name: str
) -> None:
    kept = place(tmp_path, {})
    lake = Lake(kept.lake_uri)
    commit_each(lake, [decided(f"d{n}", f"v{n}") for n in range(5)])
    commit_each(lake, [converted(f"c{n}", f"v{n}") for n in range(5)], app_id="more")
    healthy = tallybook("results", "E", data=tmp_path)
    assert healthy.returncode == 0, healthy.stderr
    path = damaged(kept, name, DAMAGES[kind])
    for command in (("results", "E"), ("export", tmp_path / "export"), EXAMINED):
        done = tallybook(*command, data=tmp_path)
        assert done.returncode == 1, command
        assert path.name in done.stdout + done.stderr, command
        assert "Traceback" not in done.stderr, command
    before = sorted(path.parent.iterdir())
    done = tallybook("compact", data=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.parent.iterdir()) == before, "damage is copied to a new file"


@pytest.mark.slow
def test_no_flipped_byte_anywhere_changes_a_result(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    commit_each(lake, [converted(f"c{n}", f"v{n}") for n in range(3)])
    path = Path(lake.files("conversions")[0])
    whole = path.read_bytes()
    for offset in range(0, len(whole), 7):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 16]) + whole[offset + 1 :])
        with pytest.raises(StorageError, match=path.name):
            rows(Lake(lake.uri), "SELECT * FROM conversions")
