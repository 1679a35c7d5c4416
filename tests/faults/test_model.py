"""A model of the whole way, from the client to the count, that stops between any two steps.

The parts are the real ones, but for the network: a collector with its log, the lake, compaction and
forgetting. The model is the set of events that were acknowledged and not forgotten: it must be what
is counted, each event once.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from deltalake import DeltaTable
from deltalake.table import TableAlterer
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from reliability import write_table
from tallybook.attribution.kept import kept_conversions
from tallybook.collect import Collector
from tallybook.engines.duckdb import DuckDB
from tallybook.keep.compaction import CompactSettings, compact
from tallybook.keep.forgetting import Holdings, Patience, forget
from tallybook.lake import forgotten, tables
from tallybook.lake.tables import Lake
from tallybook.log.write_ahead import WriteAheadLog
from tallybook.model.event import Arrival

START_MS = 1_760_000_000_000
VISITORS = ("ada", "bob", "cyd-with-a-longer-name")
FAST, FAST_STEPS = 10, 40  # examples, and steps in each
SLOW, SLOW_STEPS = 120, 50
POINTS: tuple[tuple[object, str], ...] = (
    (tables, "write_deltalake"),
    (forgotten, "write_deltalake"),
    (DeltaTable, "create_write_transaction"),
    (DeltaTable, "create_checkpoint"),
    (DeltaTable, "vacuum"),
    (TableAlterer, "set_table_properties"),
    (WriteAheadLog, "remove"),
    (Path, "unlink"),
    (os, "fsync"),
)


class CrashError(BaseException):
    """The process ends here."""


class Fuse:
    """Lets so many steps happen, and none after them: what a dead process cannot tidy up, stays."""

    def __init__(self, steps: int) -> None:
        self._left = steps
        self._thread = threading.current_thread()

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **more: Any) -> Any:
            if threading.current_thread() is not self._thread:
                return call(*args, **more)
            self._burn()
            return call(*args, **more)

        return guarded

    def _burn(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise CrashError


@contextmanager
def crashing(after_steps: int) -> Iterator[None]:
    fuse = Fuse(after_steps)
    with ExitStack() as stack:
        for owner, name in POINTS:
            guarded = fuse.around(getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, guarded))
        yield


class Totals:
    """What all examples of a run did together."""

    def __init__(self) -> None:
        self.examples = self.steps = self.crashes = self.acknowledged = 0


TOTALS = Totals()
# Some crashes would come so late that the work is done before.
crash_after = st.one_of(st.none(), st.integers(0, 9), st.integers(0, 9), st.integers(0, 40))


class Delivery(RuleBasedStateMachine):
    """A client, a network that loses and doubles, and a server and a store that crash."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tallybook-model-"))
        self.lake_uri = str(self.folder / "lake")
        self.now_ms = START_MS
        self.tracked: dict[str, tuple[str, int]] = {}
        self.outbox: list[str] = []
        self.acknowledged: set[str] = set()
        self.forgotten: dict[str, int] = {}
        self.unfinished: set[str] = set()
        TOTALS.examples += 1
        self._start()
        for number in range(6):  # what there is to lose
            self.serve(VISITORS[number % 3], 0, None)

    def _start(self) -> None:
        self.collector = Collector(WriteAheadLog(self.folder / "log"), Lake(self.lake_uri))

    @rule(visitor=st.sampled_from(VISITORS), days=st.integers(0, 1), count=st.integers(1, 8))
    def track(self, visitor: str, days: int, count: int) -> None:
        TOTALS.steps += 1
        for _ in range(count):
            self.now_ms += 1
            uuid = f"event-{len(self.tracked)}"
            self.tracked[uuid] = visitor, self.now_ms - days * 86_400_000
            self.outbox.append(uuid)

    @rule(visitor=st.sampled_from(VISITORS), days=st.integers(0, 1), after=crash_after)
    def serve(self, visitor: str, days: int, after: int | None) -> None:
        self.track(visitor, days, 2)
        self.send("arrives", len(self.outbox))
        self._do(self.collector.drain, after)

    @precondition(lambda self: self.outbox)
    @rule(
        fate=st.sampled_from(["arrives", "arrives twice", "request lost", "reply lost"]),
        count=st.integers(1, 8),
    )
    def send(self, fate: str, count: int) -> None:
        TOTALS.steps += 1
        batch = self.outbox[:count]
        if fate == "request lost":
            return
        for _ in range(2 if fate == "arrives twice" else 1):
            self._accept(batch)
        if fate != "reply lost":
            self.acknowledged.update(batch)
            del self.outbox[:count]

    @precondition(lambda self: self.acknowledged)
    @rule(choice=st.integers(0, 1000))
    def send_what_was_acknowledged_again(self, choice: int) -> None:
        TOTALS.steps += 1
        self._accept([sorted(self.acknowledged)[choice % len(self.acknowledged)]])

    @rule(after=crash_after, drops=st.booleans(), hours=st.sampled_from([1, 24]))
    def compact(self, after: int | None, drops: bool, hours: int) -> None:
        how = CompactSettings(retention_hours=hours, drop_copies=drops, pause_s=0)
        self._do(lambda: compact(self.lake_uri, how, now_ms=self.now_ms), after)

    @rule(after=crash_after, visitor=st.sampled_from(VISITORS))
    def forget(self, after: int | None, visitor: str) -> None:
        self.now_ms += 1
        self.unfinished.add(visitor)
        if self._do(lambda: self._forget(visitor), after):
            self._forgotten(visitor)

    @rule()
    def restart(self) -> None:
        TOTALS.steps += 1
        self.collector.close()
        self._start()

    @rule()
    def count(self) -> None:
        """Whatever was begun is finished; then what is counted is what was acknowledged."""
        TOTALS.steps += 1
        while self.outbox:
            self.send("arrives", 4)
        for visitor in sorted(self.unfinished):
            self.now_ms += 1
            self._forget(visitor)
            self._forgotten(visitor)
        self.collector.drain()
        with DuckDB(Lake(self.lake_uri)) as engine:
            counted = sorted(str(row[0]) for _, day in kept_conversions(engine) for row in day)
        assert counted == sorted(filter(self._is_kept, self.acknowledged))

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        self.count()
        self.collector.close()
        TOTALS.acknowledged += len(self.acknowledged)
        shutil.rmtree(self.folder)

    def _is_kept(self, uuid: str) -> bool:
        visitor, at_ms = self.tracked[uuid]
        return at_ms > self.forgotten.get(visitor, 0)

    def _accept(self, batch: list[str]) -> None:
        visitors = [
            {"visitor_id": visitor, "snapshots": [{"events": [self._event(uuid, at_ms)]}]}
            for uuid in batch
            for visitor, at_ms in [self.tracked[uuid]]
        ]
        body = json.dumps({"account_id": "1", "visitors": visitors}).encode()
        answers: list[object] = []
        answered = threading.Event()
        self.now_ms += 1

        def answer(fault: object) -> None:
            answers.append(fault)
            answered.set()

        self.collector.accept(body, Arrival(self.now_ms), answer)
        assert answered.wait(60)
        assert answers == [None]

    def _event(self, uuid: str, at_ms: int) -> dict[str, object]:
        return {"entity_id": "10", "key": "buy", "uuid": uuid, "timestamp": at_ms}

    def _forget(self, visitor: str) -> None:
        # The collector runs: as beside a server, the log is its own to drain.
        patience = Patience(drain_s=1, grace_s=0, sleep=lambda _: None)
        holdings = Holdings(self.lake_uri, self.folder / "log", self.collector.drain)
        now_ms = self.now_ms
        forget(holdings, visitor, clock_ms=lambda: now_ms, patience=patience)

    def _forgotten(self, visitor: str) -> None:
        self.unfinished.discard(visitor)
        self.forgotten[visitor] = self.now_ms

    def _do(self, work: Callable[[], object], after: int | None) -> bool:
        """Do it, or as much of it as comes before a crash; return whether it was done."""
        TOTALS.steps += 1
        if after is None:
            work()
            return True
        try:
            with crashing(after):
                work()
        except CrashError:
            TOTALS.crashes += 1
            self.collector.close()  # every append was answered: nothing waits that this could save
            self._start()
            return False
        return True


def run(examples: int, steps: int) -> Totals:
    TOTALS.__init__()  # type: ignore[misc]
    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        phases=(Phase.generate,),  # to make an example smaller would take an hour
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Delivery, settings=how)
    print(
        f"{TOTALS.examples} examples, {TOTALS.steps} steps, {TOTALS.crashes} crashes, "
        f"{TOTALS.acknowledged} events acknowledged"
    )
    return TOTALS


def test_what_is_acknowledged_is_counted_once_whatever_happens_in_between() -> None:
    assert run(FAST, FAST_STEPS).crashes > 0


@pytest.mark.slow
def test_the_same_at_length() -> None:
    totals = run(SLOW, SLOW_STEPS)
    heads = ("examples", "steps", "crashes", "acknowledged", "counted otherwise than once")
    row = (totals.examples, totals.steps, totals.crashes, totals.acknowledged, 0)
    write_table("model", heads, [row])
