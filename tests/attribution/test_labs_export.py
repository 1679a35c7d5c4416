"""A real export with its owner's own attribution: nothing may differ."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tallybook.attribution import ask
from tallybook.engines.duckdb import DuckDB
from tallybook.keep.events_import import import_events
from tallybook.lake.tables import Lake
from tallybook.model.metric import Aggregator, Metric, Question, Scope, SegmentRule, Window

EXPERIMENT = "18786493712"
ARMS = ("18802093142", "18818611832", "18817551468")  # control, message_1, message_2
SEPTEMBER_2020 = Window(1_598_918_400_000, 1_601_510_400_000)
QUESTION = Question(EXPERIMENT, SEPTEMBER_2020)


@pytest.fixture(scope="module")
def export(shared_data: Path) -> Path:
    return shared_data / "optimizely-labs"


@pytest.fixture(scope="module")
def engine(export: Path, tmp_path_factory: pytest.TempPathFactory) -> DuckDB:
    lake = Lake(str(tmp_path_factory.mktemp("labs") / "lake"))
    summary = import_events(export, lake)
    assert (summary.decisions, summary.conversions) == (10_000, 38_648)
    return DuckDB(lake)


def measured(engine: DuckDB, metric: Metric, question: Question = QUESTION) -> list[float]:
    (found,) = ask.measure(engine, question, metric)
    return [found.looks[-1].arms[arm].value for arm in ARMS]


def test_visitors_are_as_published(engine: DuckDB) -> None:
    (exposed,) = ask.exposures(engine, QUESTION)
    assert [exposed.looks[-1].visitors[arm] for arm in ARMS] == [3304, 3367, 3329]
    assert (exposed.switched_visitors, exposed.duplicate_events) == (0, 0)


@pytest.mark.parametrize(
    ("event", "aggregator", "published"),
    [
        ("purchase", Aggregator.UNIQUE, [163, 169, 223]),
        ("purchase", Aggregator.COUNT, [326, 338, 446]),
        ("add_to_cart", Aggregator.COUNT, [326, 338, 446]),
        ("detail_page_view", Aggregator.COUNT, [1799, 2414, 2900]),
        ("homepage_view", Aggregator.COUNT, [3304, 3367, 3329]),
    ],
)
def test_conversions_are_as_published(
    engine: DuckDB, event: str, aggregator: Aggregator, published: list[int]
) -> None:
    assert measured(engine, Metric("m", event, aggregator)) == published


def test_moments_of_revenue_are_those_of_the_raw_sums(engine: DuckDB) -> None:
    revenue = Metric("m", "purchase", Aggregator.SUM, "revenue")
    (found,) = ask.measure(engine, QUESTION, revenue)
    raw = [
        (3304, 15_151_022, 1_424_426_181_868),
        (3367, 15_634_986, 1_462_996_374_084),
        (3329, 20_790_662, 1_960_518_504_028),
    ]
    for arm, (n, total, squares) in zip(ARMS, raw, strict=True):
        result = found.looks[-1].arms[arm]
        assert (result.value, result.samples) == (total, n)
        assert result.moments.mean == total / n
        assert result.moments.m2 == pytest.approx((n * squares - total**2) / n, rel=1e-15)


def test_a_tag_of_text_adds_up_like_the_cents(engine: DuckDB) -> None:
    price = Metric("m", "purchase", Aggregator.SUM, "price", Scope.EVENT)
    cents = Metric("m", "purchase", Aggregator.SUM, "revenue", Scope.EVENT)
    assert [100 * v for v in measured(engine, price)] == pytest.approx(measured(engine, cents))


@pytest.mark.parametrize("rule", list(SegmentRule))
def test_visitors_by_browser_are_as_published(engine: DuckDB, rule: SegmentRule) -> None:
    question = Question(EXPERIMENT, SEPTEMBER_2020, ("browser",), rule)
    found = {
        dict(exposed.segment)["browser"]: [exposed.looks[-1].visitors[arm] for arm in ARMS]
        for exposed in ask.exposures(engine, question)
    }
    assert found == {
        "chrome": [1651, 1723, 1695],
        "firefox": [1094, 1085, 1121],
        "safari": [559, 559, 513],
    }


def test_no_event_is_attributed_otherwise_than_by_the_exports_owner(
    engine: DuckDB, export: Path
) -> None:
    theirs, total = set(), 0
    for path in (export / "type=events").rglob("*.parquet"):
        rows = pq.ParquetFile(path).read(["uuid", "entity_id", "timestamp", "experiments"])
        total += rows.num_rows
        for row in rows.to_pylist():
            for given in row["experiments"]:
                if given["experiment_id"] == EXPERIMENT:
                    at_ms = round(row["timestamp"].timestamp() * 1000)
                    theirs.add((row["uuid"], row["entity_id"], at_ms, given["variation_id"]))
    ours = {
        (event.uuid, event.entity_id, event.occurred_at, event.variation_id)
        for event in ask.attributed_events(engine, QUESTION)
    }
    assert total == 38_648
    assert len(theirs) == 19_333
    assert ours == theirs
