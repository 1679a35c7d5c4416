"""The real export of a finished experiment: counts as published, lifts as derived."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tallybook.analyse import Request, results
from tallybook.model.estimate import NoEstimate
from tallybook.model.event import ConversionEvent, DecisionEvent, VisitorAttribute
from tallybook.model.report import Comparison, Report

SHARED = Path(os.environ.get("TALLYBOOK_SHARED", Path(__file__).parents[2].parent / "shared"))
EXPORT = SHARED / "data" / "optimizely-labs"
CONTROL, MESSAGE_1, MESSAGE_2 = "18802093142", "18818611832", "18817551468"
LONG_AFTER = 1_700_000_000_000

pytestmark = pytest.mark.skipif(
    not EXPORT.is_dir(), reason="no export of the published experiment (set TALLYBOOK_SHARED)"
)


def rows(kind: str) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted(EXPORT.glob(f"type={kind}/**/*.parquet"))
        for row in pq.ParquetFile(path).read().to_pylist()
    ]


def attributes(row: dict[str, Any]) -> tuple[VisitorAttribute, ...]:
    named = [a for a in row["attributes"] if a["type"] == "custom"]
    return tuple(VisitorAttribute(a["id"], a["name"], a["value"]) for a in named)


def milliseconds(row: dict[str, Any]) -> int:
    at: datetime = row["timestamp"]
    return round(at.timestamp() * 1000)


@pytest.fixture
def lake(world: Any) -> Any:
    decisions = [
        DecisionEvent(
            uuid=row["uuid"],
            at_ms=milliseconds(row),
            visitor_id=row["visitor_id"],
            entity_id=row["campaign_id"],
            campaign_id=row["campaign_id"],
            experiment_id=row["experiment_id"],
            variation_id=row["variation_id"],
            attributes=attributes(row),
        )
        for row in rows("decisions")
    ]
    conversions = [
        ConversionEvent(
            uuid=row["uuid"],
            at_ms=milliseconds(row),
            visitor_id=row["visitor_id"],
            entity_id=row["entity_id"],
            key=row["event_name"],
            revenue=row["revenue"] or None,
        )
        for row in rows("events")
    ]
    world.add(*decisions, *conversions)
    return world


def lift(report: Report, variation: str, metric: int = 0) -> Comparison:
    found = report.everyone.metrics[metric].results[variation].lift
    assert isinstance(found, Comparison)
    return found


def test_the_published_experiment_comes_out_as_published(lake: Any) -> None:
    metrics = ("purchase:unique", "purchase:count", "detail_page_view:count")
    asked = Request(experiment="18786493712", metrics=metrics)
    found = results(lake.engine, None, asked, LONG_AFTER)
    reach = {key: arm.count for key, arm in found.everyone.reach.items()}
    assert reach == {CONTROL: 3304, MESSAGE_1: 3367, MESSAGE_2: 3329}
    counted = [
        [m.results[key].value for key in (CONTROL, MESSAGE_1, MESSAGE_2)]
        for m in found.everyone.metrics
    ]
    assert counted == [[163, 169, 223], [326, 338, 446], [1799, 2414, 2900]]
    assert found.health.sample_ratio == NoEstimate("no allocation known")
    relative = lift(found, MESSAGE_2).lift.relative
    assert relative.effect == pytest.approx(0.357824, abs=1e-6)
    assert relative.standard_error == pytest.approx(0.135892, abs=1e-6)
    assert (relative.low, relative.high) == pytest.approx((-0.055199, 0.770847), abs=1e-6)
    assert relative.p_value == pytest.approx(0.143187, abs=1e-6)
    assert lift(found, MESSAGE_2).adjusted_p_value == pytest.approx(2 * 0.143187, abs=2e-6)
    assert lift(found, MESSAGE_2).status == "equal"


def test_the_fixed_horizon_of_the_published_experiment(lake: Any) -> None:
    asked = Request(experiment="18786493712", metrics=("purchase:unique",), method="fixed")
    found = results(lake.engine, None, asked, LONG_AFTER)
    relative = lift(found, MESSAGE_2).lift.relative
    assert (relative.low, relative.high) == pytest.approx((0.091430, 0.624218), abs=1e-6)
    assert relative.p_value == pytest.approx(0.008480, abs=1e-6)
    assert lift(found, MESSAGE_1).lift.relative.p_value == pytest.approx(0.872963, abs=1e-6)
    assert lift(found, MESSAGE_2).status == "better"
    assert lift(found, MESSAGE_1).status == "equal"


def test_visitors_by_browser_are_as_published(lake: Any) -> None:
    asked = Request(experiment="18786493712", metrics=("purchase:unique",), segments=("browser",))
    found = results(lake.engine, None, asked, LONG_AFTER)
    assert found.segments is not None
    by_browser = {
        part.segment[0][1]: [part.reach[key].count for key in (CONTROL, MESSAGE_1, MESSAGE_2)]
        for part in found.segments
    }
    assert by_browser == {
        "chrome": [1651, 1723, 1695],
        "firefox": [1094, 1085, 1121],
        "safari": [559, 559, 513],
    }
    bought = [part.metrics[0].results[MESSAGE_2].value for part in found.segments]
    assert sum(bought) == 223  # type: ignore[arg-type]
