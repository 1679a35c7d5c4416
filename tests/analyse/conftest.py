"""A real lake in a directory, filled with a few lines of history, and a catalog of nouns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tallybook.engines.duckdb import DuckDB
from tallybook.errors import NotFoundError
from tallybook.lake.tables import Lake
from tallybook.model.event import (
    Arrival,
    Batch,
    ConversionEvent,
    DeadLetter,
    DecisionEvent,
    Received,
    Sender,
    VisitorAttribute,
)
from tallybook.model.experiment import AllocationEpoch, Arms, RegisteredExperiment
from tallybook.model.metric import Metric

DAY = 86_400_000
START = 18_000 * DAY  # a UTC midnight


@dataclass
class World:
    """A lake to which events are added one call at a time."""

    lake: Lake
    commits: int = 0
    uuids: int = 0

    @property
    def engine(self) -> DuckDB:
        return DuckDB(self.lake)

    def add(
        self,
        *events: DecisionEvent | ConversionEvent,
        account: str = "1",
        revision: str | None = "1",
        dead: Iterable[DeadLetter] = (),
        arrived: int = START,
    ) -> None:
        batch = Batch(
            sender=Sender(account, "2", revision, "test", "1"),
            decisions=tuple(e for e in events if isinstance(e, DecisionEvent)),
            conversions=tuple(e for e in events if isinstance(e, ConversionEvent)),
            dead_letters=tuple(dead),
        )
        self.commits += 1
        self.lake.commit([Received(Arrival(arrived), batch)], app_id="test", number=self.commits)

    def shown(self, visitor: str, variation: str | None, at_ms: int = START, **more: Any) -> Any:
        self.uuids += 1
        plan = more.pop("plan", None)
        given = {"uuid": f"d{self.uuids}", "experiment_id": "9", "campaign_id": "8"} | more
        return DecisionEvent(
            at_ms=at_ms,
            visitor_id=visitor,
            entity_id="8",
            variation_id=variation,
            attributes=_plan(plan),
            **given,
        )

    def did(self, visitor: str, key: str, at_ms: int = START + 1, **more: Any) -> Any:
        self.uuids += 1
        plan = more.pop("plan", None)
        given = {"uuid": f"c{self.uuids}"} | more
        return ConversionEvent(
            at_ms=at_ms,
            visitor_id=visitor,
            entity_id="7",
            key=key,
            attributes=_plan(plan),
            **given,
        )

    def crowd(self, variation: str, visitors: int, buyers: int, **more: Any) -> list[Any]:
        """So many visitors of a variation, of whom so many buy once for 250 cents."""
        names = [f"{variation}-{number}-{more.get('plan')}" for number in range(visitors)]
        shown = [self.shown(name, variation, **more) for name in names]
        return shown + [self.did(name, "purchase", revenue=250) for name in names[:buyers]]


def _plan(plan: object) -> tuple[VisitorAttribute, ...]:
    return () if plan is None else (VisitorAttribute("5", "plan", plan),)  # type: ignore[arg-type]


@dataclass
class KnownExperiments:
    """The catalog as results see it."""

    experiments: Mapping[str, RegisteredExperiment] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    def find_experiment(
        self, key_or_id: str, *, project: str | None = None, environment: str | None = None
    ) -> RegisteredExperiment:
        for known in self.experiments.values():
            if key_or_id in (known.key, known.id):
                return known
        raise NotFoundError(f"no experiment has the key or id `{key_or_id}`; there are: none")

    def find_metric(self, key: str, project: str | None = None) -> Metric | None:
        return self.metrics.get(key)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Lake(str(tmp_path / "lake")))


@pytest.fixture
def catalog() -> Callable[..., KnownExperiments]:
    """A catalog that knows experiment 9 of account 1: control (11), treatment (12), bold (13)."""

    def build(*metrics: Metric, **changes: Any) -> KnownExperiments:
        known: dict[str, Any] = {
            "id": "9",
            "key": "checkout_test",
            "account_id": "1",
            "project_key": "shop",
            "environment_key": "production",
            "flag_key": "checkout",
            "arms": Arms({"11": "control", "12": "treatment", "13": "bold"}, "11"),
            "metrics": metrics,
            "epochs": (AllocationEpoch(START, ("1",), {"11": 4000, "12": 4000, "13": 2000}),),
            "status": "running",
        }
        return KnownExperiments({"9": RegisteredExperiment(**(known | changes))}, {"other": _OTHER})

    return build


_OTHER = Metric("other", "signup", "count")  # type: ignore[arg-type]
