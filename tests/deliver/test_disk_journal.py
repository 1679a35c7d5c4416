"""What was tracked outlives its process: the next one, or one beside it, delivers it once."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks import Answer, Captured, Sink
from tallybook import Client
from tallybook.client import DeliverySettings
from tallybook.deliver.disk_journal import LOOK_S, DiskJournal
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.journal import Batch, Envelope, Item, Origin
from tallybook.deliver.journal_place import place_at
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.settings import Surroundings
from tallybook.testing import DatafileBuilder, InMemoryClient

SOURCE = Path(__file__).parents[2] / "src"
ENVELOPE = Envelope("http://here", b"[", b"]")
DATAFILE = DatafileBuilder(events=["purchase"]).flag("checkout", variations={"on": {}}).build()
LATER = {"flush_interval_s": 3_600.0, "batch_size": 10_000}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


def client(sink: Sink, directory: Path, **delivery: Any) -> Client:
    settings = DeliverySettings(**delivery)
    return Client(DATAFILE, event_url=f"{sink.url}/v1/events", journal=directory, delivery=settings)


def start(program: str, sink: Sink, directory: Path) -> subprocess.Popen[bytes]:
    """A program in a process of its own, which can ``connect`` and ``die``."""
    setup = f"""
        import os, signal, sys
        from tallybook import Client
        from tallybook.client import DeliverySettings
        def connect(**delivery):
            return Client(
                {DATAFILE!r}, event_url={sink.url + "/v1/events"!r}, journal={str(directory)!r},
                delivery=DeliverySettings(**delivery),
            )
        def die():
            os.kill(os.getpid(), signal.SIGKILL)
    """
    code = textwrap.dedent(setup) + textwrap.dedent(program)
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment)


def run(program: str, sink: Sink, directory: Path, *, ending: int = 0) -> None:
    """The same until it has ended, as expected."""
    assert start(program, sink, directory).wait(60) == ending


def numbers(sink: Sink) -> list[int]:
    return [event["tags"]["n"] for event in sink.events]


def uuids(sink: Sink) -> list[str]:
    return [event["uuid"] for event in sink.events]


def eventually(is_so: Callable[[], bool], within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_so()


def test_a_killed_process_loses_nothing(sink: Sink, directory: Path) -> None:
    run(
        """
        client = connect(flush_interval_s=3600.0, batch_size=10_000)
        users = [client.create_user_context(f"user-{n}", {}) for n in range(7)]
        for n in range(1_000):
            users[n % 7].track_event("purchase", {"n": n, "revenue": n})
        die()
        """,
        sink,
        directory,
        ending=-signal.SIGKILL,
    )
    assert sink.requests == []
    with client(sink, directory) as heir:
        assert eventually(lambda: len(sink.events) >= 1_000), heir.delivery_stats()
        assert heir.flush(20)
        assert heir.delivery_stats().adopted == 1_000
    assert numbers(sink) == list(range(1_000))
    assert [visitor["visitor_id"] for visitor in sink.visitors] == [
        f"user-{n % 7}" for n in range(1_000)
    ]
    assert [event["revenue"] for event in sink.events] == list(range(1_000))
    assert len(set(uuids(sink))) == 1_000
    assert list(directory.iterdir()) == []


def test_what_was_sent_and_not_answered_keeps_its_identity(directory: Path) -> None:
    with Sink(answers=[Answer(503)]) as sink:
        run(
            """
            import time
            client = connect(flush_interval_s=3600.0, batch_size=20, backoff_base_s=60.0)
            user = client.create_user_context("user", {})
            for n in range(20):
                user.track_event("purchase", {"n": n})
            while not client.delivery_stats().retried and time.sleep(0.01) is None:
                if os.path.exists("/proc/self") and client._outbox._courier._attempt:
                    die()
            """,
            sink,
            directory,
            ending=-signal.SIGKILL,
        )
        first = uuids(sink)
        assert len(first) == 20
        with client(sink, directory):
            assert eventually(lambda: len(sink.requests) == 2)
        assert uuids(sink)[20:] == first, "so the server counts each once"


def test_what_was_delivered_before_is_not_sent_again(sink: Sink, directory: Path) -> None:
    run(
        """
        client = connect(flush_interval_s=3600.0, batch_size=10)
        user = client.create_user_context("user", {})
        for n in range(20):
            user.track_event("purchase", {"n": n})
        assert client.flush(20)
        for n in range(20, 25):
            user.track_event("purchase", {"n": n})
        die()
        """,
        sink,
        directory,
        ending=-signal.SIGKILL,
    )
    with client(sink, directory):
        assert eventually(lambda: len(sink.events) == 25)
    assert numbers(sink) == list(range(25))


def test_decisions_are_as_safe(sink: Sink, directory: Path) -> None:
    run(
        """
        client = connect(flush_interval_s=3600.0)
        for n in range(3):
            client.create_user_context(f"user-{n}", {}).decide("checkout")
        die()
        """,
        sink,
        directory,
        ending=-signal.SIGKILL,
    )
    with client(sink, directory):
        assert eventually(lambda: len(sink.events) == 3)
    assert [visitor["visitor_id"] for visitor in sink.visitors] == ["user-0", "user-1", "user-2"]
    assert {event["key"] for event in sink.events} == {"campaign_activated"}


def test_closing_leaves_no_file_when_everything_is_delivered(sink: Sink, directory: Path) -> None:
    made = client(sink, directory, **LATER)
    made.track("purchase", "user", {}, {"n": 1})
    assert [path.suffix for path in directory.iterdir()] == [".journal"]
    assert made.close(20) == 0
    assert list(directory.iterdir()) == []
    made.track("purchase", "user", {}, {"n": 2})
    assert made.delivery_stats().refused == {"closed": 1}
    assert list(directory.iterdir()) == [], "what is refused is not kept"


def test_a_client_nobody_holds_leaves_no_file_either(sink: Sink, directory: Path) -> None:
    client(sink, directory).track("purchase", "user", {}, {"n": 1})
    assert eventually(lambda: numbers(sink) == [1] and list(directory.iterdir()) == [])


def test_what_is_undelivered_at_the_end_is_delivered_by_the_next(directory: Path) -> None:
    with Sink(otherwise=Answer(503)) as sink:
        made = client(sink, directory, backoff_base_s=0.01)
        for n in range(3):
            made.track("purchase", "user", {}, {"n": n})
        assert made.close(0.3) == 3
        sink.otherwise = Answer()
        refused = len(sink.requests)
        with client(sink, directory):
            assert eventually(lambda: len(sink.requests) > refused)
        assert [v["snapshots"][0]["events"][0]["tags"]["n"] for v in sink.visitors[-3:]] == [
            0,
            1,
            2,
        ]
        assert list(directory.iterdir()) == []


def test_a_living_process_delivers_for_one_that_died_beside_it(
    sink: Sink, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallybook.deliver.disk_journal.LOOK_S", 0.05)
    with client(sink, directory) as living:
        living.track("purchase", "living", {}, {"n": 0})
        assert eventually(lambda: numbers(sink) == [0])
        run(
            """
            client = connect(flush_interval_s=3600.0)
            client.track("purchase", "dead", {}, {"n": 1})
            die()
            """,
            sink,
            directory,
            ending=-signal.SIGKILL,
        )
        assert eventually(lambda: numbers(sink) == [0, 1])


def test_processes_share_a_directory_and_no_event(sink: Sink, directory: Path) -> None:
    program = """
        client = connect(flush_interval_s=0.01)
        for n in range(500):
            client.track("purchase", str(os.getpid()), {}, {"n": n})
        assert client.close(20) == 0
    """
    processes = [start(program, sink, directory) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert sorted(numbers(sink)) == sorted(list(range(500)) * 3)
    assert len(set(uuids(sink))) == 1_500
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_a_page_of_its_own(sink: Sink, directory: Path) -> None:
    run(
        """
        client = connect(flush_interval_s=3600.0, batch_size=10_000)
        for n in range(10):
            client.track("purchase", "parent", {}, {"n": n})
        child = os.fork()
        if child == 0:
            for n in range(10, 30):
                client.track("purchase", "child", {}, {"n": n})
            die()
        os.waitpid(child, 0)
        for n in range(30, 35):
            client.track("purchase", "parent", {}, {"n": n})
        die()
        """,
        sink,
        directory,
        ending=-signal.SIGKILL,
    )
    with client(sink, directory):
        assert eventually(lambda: len(sink.events) == 35)
    assert sorted(numbers(sink)) == list(range(35))
    assert len(set(uuids(sink))) == 35


def test_a_directory_that_cannot_be_is_said_once_and_memory_does(
    sink: Sink, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with client(sink, tmp_path / "file" / "journal") as made:
        for n in range(3):
            made.track("purchase", "user", {}, {"n": n})
        assert made.flush(20)
        assert made.delivery_stats().in_memory_only == 3
    assert numbers(sink) == [0, 1, 2]
    assert [r.levelname for r in caplog.records if "journal" in r.getMessage()] == ["WARNING"]


def test_a_full_disk_costs_the_safety_and_not_the_events(sink: Sink, directory: Path) -> None:
    run(
        """
        import resource
        client = connect(flush_interval_s=0.01)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, most))
        for n in range(100):
            client.track("purchase", "user", {}, {"n": n})
        assert client.flush(20)
        assert client.delivery_stats().in_memory_only == 100
        assert client.close(20) == 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        """,
        sink,
        directory,
    )
    assert numbers(sink) == list(range(100))
    assert list(directory.iterdir()) == []


def test_many_events_take_several_pages_and_leave_none(sink: Sink, directory: Path) -> None:
    with client(sink, directory, max_waiting_bytes=2**30) as made:
        for n in range(20_000):
            made.track("purchase", f"user-{n}", {}, {"n": n})
        assert made.flush(60)
        stats = made.delivery_stats()
        assert (stats.delivered, stats.in_memory_only) == (20_000, 0)
    assert numbers(sink) == list(range(20_000))
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("named", "options", "is_written"),
    [
        ("directory", {}, True),
        ("directory", {"journal": None}, False),
        ("off", {}, False),
        (" OFF ", {}, False),
        ("", {}, False),
    ],
)
def test_the_environment_names_the_directory_or_says_off_and_none_means_none(
    sink: Sink,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: str,
    options: dict[str, None],
    is_written: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("TALLYBOOK_JOURNAL", named)
    made = Client(DATAFILE, event_url=sink.url, delivery=DeliverySettings(**LATER), **options)
    monkeypatch.chdir("/")
    made.track("purchase", "user", {}, {"n": 1})
    assert [path.name for path in tmp_path.iterdir()] == (["directory"] if is_written else [])
    assert any(tmp_path.rglob("*.journal")) == is_written
    assert made.close(20) == 0


def test_by_default_the_journal_is_among_the_users_own_state(
    sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("TALLYBOOK_JOURNAL")
    made = Client(DATAFILE, event_url=sink.url, delivery=DeliverySettings(**LATER))
    assert list(tmp_path.iterdir()) == [], "nothing was kept yet"
    made.track("purchase", "user", {}, {"n": 1})
    (page,) = tmp_path.rglob("*.journal")
    assert page.parent == tmp_path / "state" / "tallybook" / "journal"
    assert made.close(20) == 0


def test_by_default_what_a_transport_of_ones_own_carries_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with InMemoryClient(events=["purchase"]) as made:
        made.track("purchase", "user")
        monkeypatch.delenv("TALLYBOOK_JOURNAL")
        made.track("purchase", "user")
    assert list(tmp_path.iterdir()) == []


def test_events_for_another_place_stay_for_whoever_sends_there(directory: Path) -> None:
    with Sink() as here, Sink() as there:
        for sink, n in ((here, 1), (there, 2)):
            run(
                f"""
                client = connect(flush_interval_s=3600.0)
                client.track("purchase", "user", {{}}, {{"n": {n}}})
                die()
                """,
                sink,
                directory,
                ending=-signal.SIGKILL,
            )
        with client(there, directory) as heir:
            assert eventually(lambda: len(there.events) == 1)
            assert heir.delivery_stats().adopted == 1
        assert (numbers(there), numbers(here)) == ([2], [])
        assert len(list(directory.iterdir())) == 1
        with client(here, directory):
            assert eventually(lambda: len(here.events) == 1)
    assert list(directory.iterdir()) == []


def test_whoever_gets_a_datafile_later_delivers_then_what_was_left(
    sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("TALLYBOOK_JOURNAL")
    run(
        """
        client = connect(flush_interval_s=3600.0)
        client.track("purchase", "user", {}, {"n": 1})
        die()
        """,
        sink,
        tmp_path / "tallybook" / "journal",
        ending=-signal.SIGKILL,
    )
    with Sink(otherwise=Answer(200, DATAFILE)) as datafiles:
        heir = Client(datafile_url=f"{datafiles.url}/it.json", event_url=f"{sink.url}/v1/events")
        with heir:
            assert eventually(lambda: numbers(sink) == [1]), "though nothing was tracked"


def test_what_the_server_refuses_for_good_is_kept_in_quarantine_with_its_reason(
    directory: Path,
) -> None:
    def answer(request: Captured) -> Answer:
        is_poison = b'"n":7' in request.text
        return Answer(400, b'{"detail": "seven is not welcome"}') if is_poison else Answer()

    with Sink(otherwise=answer) as sink, client(sink, directory, **LATER) as made:
        for n in range(20):
            made.track("purchase", "user", {}, {"n": n})
        assert not made.flush(20)
        stats = made.delivery_stats()
        assert (stats.delivered, stats.refused) == (19, {"rejected_by_server": 1})
        (line,) = (directory / "quarantine.jsonl").read_text().splitlines()
    kept = json.loads(line)
    assert kept["event"]["snapshots"][0]["events"][0]["tags"] == {"n": 7}
    assert kept["status"] == 400
    assert "seven is not welcome" in kept["reason"]
    assert kept["url"] == f"{sink.url}/v1/events"
    assert (directory / "quarantine.jsonl").stat().st_mode & 0o777 == 0o600


def test_where_the_directory_is_full_memory_has_to_do(
    sink: Sink, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with client(sink, directory, max_journal_bytes=300_000) as made:
        for n in range(10_000):
            made.track("purchase", "user", {}, {"n": n})
        stats = made.delivery_stats()
        assert stats.accepted == 10_000
        assert 0 < stats.in_memory_only < 10_000
        assert sum(page.stat().st_size for page in directory.iterdir()) <= 300_000
        assert made.flush(20)
    assert numbers(sink) == list(range(10_000))
    said = [r for r in caplog.records if "of the 300000 bytes it may" in r.getMessage()]
    assert [r.levelname for r in said] == ["WARNING"]


def test_it_is_said_when_the_journal_can_be_written_again(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tallybook")
    journal = journal_at(directory, max_journal_bytes=10)
    for now in (0.0, 1.0, 10.0):
        journal.now = now
        journal.put(1)
    journal.free()
    journal.put(2)  # not tried yet
    journal.now = 20.0
    journal.put(3)
    assert [(r.levelname, "again" in r.getMessage()) for r in caplog.records] == [
        ("WARNING", False),
        ("INFO", True),
    ]
    assert journal.counts()["in_memory_only"] == 4
    journal.release()


def test_pages_are_synced_once_an_interval_and_only_when_something_came(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    journal = journal_at(directory)
    journal.put(1)
    assert journal.tend_at(0.0) == LOOK_S
    assert len(synced) == 1
    journal.put(2)
    assert journal.tend_at(0.4) == pytest.approx(0.6)
    assert len(synced) == 1
    journal.tend_at(1.0)
    assert len(synced) == 2
    assert journal.tend_at(2.0) == pytest.approx(LOOK_S - 2.0), "nothing came"
    assert len(synced) == 2
    journal.release()


class Journal(DiskJournal):
    """A journal with a clock that is told the time, whose items are numbers."""

    def __init__(self, directory: Path, settings: DeliverySettings) -> None:
        self.now = 0.0
        self.queue: deque[Item] = deque()
        super().__init__(settings, directory, Surroundings(monotonic=lambda: self.now))
        self.leave_at(self.queue)
        self.origin = Origin(ENVELOPE)
        self.aim(ENVELOPE.url)

    def put(self, number: int) -> None:
        self.keep(Item(self.origin, str(number).encode()))

    def free(self) -> None:
        """Have room for anything."""
        self._settings = DeliverySettings()

    def tend_at(self, now: float) -> float | None:
        self.now = now
        return self.tend(nothing_to_write)

    def take_in(self) -> None:
        self.extend(list(self.queue))
        self.queue.clear()

    def deliver(self, most: int) -> list[int]:
        self.take_in()
        taken = self.take(most, 10**6)
        if taken is None:
            return []
        batch: Batch = taken.written(nothing_to_write)
        self.acknowledge(batch)
        return [int(text) for text in batch.items]

    def adopt(self) -> list[Item]:
        adopted: list[Item] = []
        while self.tend_at(self.now + LOOK_S) == 0.0:
            adopted += self.queue
            self.take_in()
        return adopted

    def close_as_killed(self) -> None:
        """Let go of the files without a word, as the end of a process does."""
        self.abandon()


def nothing_to_write(drafts: Sequence[Item]) -> list[bytes]:
    assert not drafts
    return []


def journal_at(directory: Path, **settings: Any) -> Journal:
    return Journal(directory, DeliverySettings(**settings))


STEPS = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 40)),
    st.tuples(st.just("deliver"), st.integers(1, 60)),
    st.tuples(st.just("crash"), st.just(0)),
    st.tuples(st.just("restart"), st.just(0)),
)


@given(st.lists(STEPS, max_size=30))
def test_whenever_it_is_killed_everything_kept_is_delivered_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    journal = journal_at(directory)
    kept, delivered, crashes = 0, [], 0
    for step, count in [*steps, ("crash", 0), ("deliver", 10_000)]:
        if step == "put":
            for _ in range(count):
                journal.put(kept)
                kept += 1
        elif step == "deliver":
            delivered += journal.deliver(count)
        else:
            crashes += step == "crash"
            if step == "crash":
                journal.close_as_killed()
            else:
                journal.release()
            journal = journal_at(directory)
            journal.adopt()
    assert delivered == list(range(kept)), "each once, in order"
    journal.release()
    assert list(directory.iterdir()) == []


def test_what_is_damaged_is_counted_and_said(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = journal_at(directory)
    for number in range(100, 110):
        journal.put(number)
    journal.close_as_killed()
    (page,) = directory.iterdir()
    text = page.read_bytes()
    assert text.count(b"105") == 1
    page.write_bytes(text.replace(b"105", b"999"))
    heir = journal_at(directory)
    adopted = [int(item.text) for item in heir.adopt()]
    assert adopted == [n for n in range(100, 110) if n != 105]
    assert heir.counts()["damaged_bytes"] > 0
    assert "are damaged" in caplog.text
    heir.release()


def test_only_as_much_is_adopted_as_there_is_room_for(directory: Path) -> None:
    journal = journal_at(directory)
    for number in range(5_000):
        journal.put(number)
    journal.close_as_killed()
    heir = journal_at(directory, max_waiting_events=3_000)
    seen: list[int] = []
    while delivered := (heir.adopt(), heir.deliver(500))[1]:
        assert heir.holdings().events <= 3_000
        seen += delivered
    assert seen == list(range(5_000))
    heir.release()


def test_a_batch_of_which_the_disk_has_a_part_is_settled_as_a_whole(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_at(directory)
    for number in range(10):
        journal.put(number)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tallybook.deliver.disk_journal.make_page", refuse)
    journal.keep(Item(journal.origin, b"1" * 300_000))  # more than the page has room for
    assert journal.counts()["in_memory_only"] == 1
    journal.take_in()
    taken = journal.take(11, 10**6)
    assert taken is not None
    assert len(taken.items) == 11
    journal.acknowledge(taken.written(nothing_to_write))
    journal.release()
    assert list(directory.iterdir()) == [], "what is delivered is not left to the next process"


def test_a_small_outbox_adopts_a_little_at_a_time(sink: Sink, directory: Path) -> None:
    run(
        """
        client = connect(flush_interval_s=3600.0, batch_size=10_000)
        for n in range(1_000):
            client.track("purchase", f"user-{n % 7}", {}, {"n": n})
        die()
        """,
        sink,
        directory,
        ending=-signal.SIGKILL,
    )
    with client(sink, directory, max_waiting_events=10, batch_size=3) as heir:
        assert eventually(lambda: heir.delivery_stats().adopted == 1_000)
        assert heir.flush(20)
        assert heir.delivery_stats().refused == {}
    assert numbers(sink) == list(range(1_000))


def test_what_was_refused_for_want_of_room_is_not_delivered_by_the_next_process(
    sink: Sink, directory: Path
) -> None:
    run(
        """
        client = connect(flush_interval_s=3600.0, batch_size=10_000, max_waiting_events=700)
        for n in range(1_000):
            client.track("purchase", f"user-{n % 7}", {}, {"n": n})
        assert client.delivery_stats().refused == {"queue_full": 300}
        die()
        """,
        sink,
        directory,
        ending=-signal.SIGKILL,
    )
    with client(sink, directory) as heir:
        assert eventually(lambda: len(sink.events) >= 700)
        assert heir.flush(20)
        stats = heir.delivery_stats()
        assert (stats.adopted, stats.damaged_bytes) == (700, 0)
    assert numbers(sink) == list(range(700))


def test_what_is_refused_for_room_does_not_make_the_journal_grow(
    sink: Sink, directory: Path
) -> None:
    made = client(sink, directory, max_waiting_events=200, **LATER)
    for n in range(20_000):
        made.track("purchase", "user", {}, {"n": n})
        if n % 100 == 99:
            made.delivery_stats()
    assert made.delivery_stats().refused == {"queue_full": 19_800}
    assert len(list(directory.iterdir())) == 1
    assert made.close(20) == 0
    assert numbers(sink) == list(range(200))
    assert list(directory.iterdir()) == [], "or the next process would deliver what was refused"


def test_there_is_room_again_once_something_is_delivered(sink: Sink, directory: Path) -> None:
    made = client(sink, directory, max_waiting_events=10, **LATER)
    for first in (0, 100, 200):
        for n in range(first, first + 12):
            made.track("purchase", "user", {}, {"n": n})
        made.flush(20)
    assert numbers(sink) == [*range(10), *range(100, 110), *range(200, 210)]
    assert made.delivery_stats().refused == {"queue_full": 6}
    assert made.delivery_stats().in_memory_only == 0
    assert made.close(20) == 0


def test_nothing_is_adopted_by_who_sends_nowhere_yet(directory: Path) -> None:
    journal = journal_at(directory)
    journal.put(1)
    journal.close_as_killed()
    outbox = Outbox(DeliverySettings(), KeepAliveHttp(10), place=place_at(directory))
    assert outbox.stats().adopted == 0
    outbox.aim("http://there")
    assert outbox.close(5) == 0
    assert outbox.stats().adopted == 0
    heir = Outbox(DeliverySettings(), KeepAliveHttp(10), place=place_at(directory))
    heir.aim(ENVELOPE.url)
    time.sleep(0.2)
    assert heir.stats().adopted == 0, "nobody can write it yet"
    heir.write_with(nothing_to_write)
    heir.aim(ENVELOPE.url)
    assert eventually(lambda: heir.stats().adopted == 1)
    assert heir.close(0) == 1
