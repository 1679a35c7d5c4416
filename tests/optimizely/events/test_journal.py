"""The drop-in's events outlive their process too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sinks import Answer, Sink
from tallybook.optimizely.event.event_processor import BatchEventProcessor
from tallybook.optimizely.helpers.sdk_settings import OptimizelySdkSettings
from tallybook.optimizely.optimizely import Optimizely
from tallybook.testing import DatafileBuilder

SOURCE = Path(__file__).parents[3] / "src"
DATAFILE = DatafileBuilder(events=["purchase"]).build().decode()
KILLED = """
import os, signal, sys
from tallybook.optimizely.helpers.sdk_settings import OptimizelySdkSettings
from tallybook.optimizely.optimizely import Optimizely
datafile, url = sys.argv[1:]
client = Optimizely(
    datafile,
    settings=OptimizelySdkSettings(event_url=url),
    event_processor_options={"batch_size": 1000, "flush_interval": 3600},
)
for n in range(100):
    client.track("purchase", f"user-{n % 3}", {}, {"n": n})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


def numbers(sink: Sink) -> list[int]:
    return [event["tags"]["n"] for event in sink.events]


def test_a_killed_process_leaves_its_events_to_the_next(
    sink: Sink, journal_directory: Path
) -> None:
    url = f"{sink.url}/v1/events"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, DATAFILE, url],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert sink.requests == []
    assert any(journal_directory.iterdir())
    heir = Optimizely(DATAFILE, settings=OptimizelySdkSettings(event_url=url))
    heir.track("purchase", "user", {}, {"n": 100})
    while len(sink.events) < 101:
        assert sink.wait_for(len(sink.requests) + 1, 20), "all of it comes"
    heir.close()
    assert sorted(numbers(sink)) == list(range(101))
    assert list(journal_directory.iterdir()) == []


class Deaf:
    """A dispatcher of somebody's own, which takes nothing."""

    @staticmethod
    def dispatch_event(_event: Any) -> None:
        raise RuntimeError("nobody there")


@pytest.mark.parametrize(("is_named", "is_written"), [(True, True), (False, False)])
def test_what_a_dispatcher_of_ones_own_carries_is_written_where_a_place_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_named: bool, is_written: bool
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if is_named:
        monkeypatch.setenv("TALLYBOOK_JOURNAL", str(tmp_path))
    else:
        monkeypatch.delenv("TALLYBOOK_JOURNAL")
    processor = BatchEventProcessor(Deaf(), timeout_interval=0.01)
    client = Optimizely(DATAFILE, event_processor=processor)
    client.track("purchase", "user", {}, {"n": 1})
    assert any(tmp_path.rglob("*.journal")) == is_written
    client.close()


def test_a_processor_that_was_stopped_and_started_again_writes_on(
    sink: Sink, journal_directory: Path
) -> None:
    sink.otherwise = Answer(503)
    settings = OptimizelySdkSettings(event_url=f"{sink.url}/v1/events")
    processor = BatchEventProcessor(flush_interval=3600, timeout_interval=0.01)
    client = Optimizely(DATAFILE, event_processor=processor, settings=settings)
    client.track("purchase", "user", {}, {"n": 1})
    processor.stop()
    processor.start()
    client.track("purchase", "user", {}, {"n": 2})
    assert len(list(journal_directory.glob("*.journal"))) == 2
    sink.otherwise = Answer()
    processor.timeout_interval = timedelta(seconds=20)
    processor.stop()
    assert 2 in numbers(sink)
