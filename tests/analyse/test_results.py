"""Results over a real lake: windows, arms, metrics, segments, health, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tallybook.analyse import Request, results, sql
from tallybook.errors import ConfigError, NotFoundError
from tallybook.model.estimate import NoEstimate, SampleRatio
from tallybook.model.event import DeadLetter
from tallybook.model.experiment import AllocationEpoch
from tallybook.model.metric import (
    Aggregator,
    Metric,
    SegmentRule,
    Tier,
    Window,
)
from tallybook.model.report import ArmReach, ArmResult, Comparison, Report
from tallybook.report import FORMATS

DAY = 86_400_000
START = 18_000 * DAY
NOW = START + 3 * DAY

RATE = Metric("purchase_rate", "purchase", Aggregator.UNIQUE)
REVENUE = Metric("revenue", "purchase", Aggregator.SUM, field="revenue")


def asked(**changes: Any) -> Request:
    return Request(**{"experiment": "checkout_test"} | changes)


def arm(report: Report, variation: str, metric: int = 0) -> ArmResult:
    return report.everyone.metrics[metric].results[variation]


def values(report: Report, metric: int = 0) -> dict[str, object]:
    return {key: a.value for key, a in report.everyone.metrics[metric].results.items()}


def test_an_experiment_of_the_catalog_is_answered_by_key_with_its_metrics(
    world: Any, catalog: Any
) -> None:
    world.add(*world.crowd("11", 40, 8), *world.crowd("12", 38, 20))
    found = results(world.engine, catalog(RATE, REVENUE), asked(), NOW)
    assert (found.experiment_key, found.experiment_id) == ("checkout_test", "9")
    assert found.window == Window(START, NOW)
    assert found.everyone.reach == {
        "control": ArmReach("11", 40),
        "treatment": ArmReach("12", 38),
        "bold": ArmReach("13", 0),
    }
    assert values(found) == {"control": 8, "treatment": 20, "bold": 0}
    assert values(found, 1) == {"control": 2000, "treatment": 5000, "bold": 0}
    assert [m.tier for m in found.everyone.metrics] == [Tier.PRIMARY, Tier.SECONDARY]
    lift = arm(found, "treatment").lift
    assert isinstance(lift, Comparison)
    assert lift.lift.relative.effect == pytest.approx((20 / 38) / (8 / 40) - 1)
    assert arm(found, "control").lift is None
    assert arm(found, "control").variance == 0.2 * 0.8
    assert isinstance(arm(found, "bold").lift, NoEstimate)


def test_an_import_is_answered_by_id_with_its_smallest_variation_as_baseline(world: Any) -> None:
    world.add(*world.crowd("100", 4, 1), *world.crowd("20", 5, 2), revision=None)
    found = results(world.engine, None, asked(experiment="9"), NOW)
    assert found.experiment_key == "9"
    assert list(found.everyone.reach) == ["20", "100"]
    assert arm(found, "20").is_baseline
    keys = [m.metric.key for m in found.everyone.metrics]
    assert keys == ["purchase:unique", "purchase:count"]
    assert found.health.sample_ratio == NoEstimate("no allocation known")
    assert found.health.allocation_epochs is None


def test_the_catalog_is_asked_first_and_the_lake_next(world: Any, catalog: Any) -> None:
    world.add(*world.crowd("20", 3, 0, experiment_id="77"))
    found = results(world.engine, catalog(RATE), asked(experiment="77"), NOW)
    assert found.experiment_key == "77"
    with pytest.raises(NotFoundError) as unknown:
        results(world.engine, catalog(RATE), asked(experiment="nope"), NOW)
    assert str(unknown.value) == (
        "no experiment has the key or id `nope`; there are: none; "
        "nor is it an id the lake has decisions of (77)"
    )


def test_an_empty_lake_says_that_it_has_none(world: Any) -> None:
    with pytest.raises(NotFoundError, match=r"there is no catalog; .* decisions of \(none\)"):
        results(world.engine, None, asked(), NOW)


def test_an_experiment_nobody_has_seen_yet_is_zeros_with_reasons(world: Any, catalog: Any) -> None:
    found = results(world.engine, catalog(RATE, start_ms=START), asked(), NOW)
    assert found.window == Window(START, NOW)
    assert found.everyone.total_count == 0
    assert values(found) == {"control": 0, "treatment": 0, "bold": 0}
    assert isinstance(arm(found, "treatment").lift, NoEstimate)
    assert found.health.sample_ratio == NoEstimate("no visitors yet")
    never_started = results(world.engine, catalog(RATE), asked(), NOW)
    assert never_started.window == Window(NOW, NOW)
    json.loads(FORMATS["json"](found))


def test_the_window_ends_with_the_experiment_the_asker_or_the_moment_asked_of(
    world: Any, catalog: Any
) -> None:
    world.add(
        *(world.shown(f"v{day}", "11", START + day * DAY) for day in range(4)),
        *(world.shown(f"w{day}", "12", START + day * DAY) for day in range(4)),
    )

    def window(known: Any, **changes: Any) -> Window:
        return results(world.engine, known, asked(**changes), NOW).window

    ended = catalog(RATE, end_ms=START + 2 * DAY)
    assert window(ended) == Window(START, START + 2 * DAY)
    assert window(ended, to_ms=START + DAY) == Window(START, START + DAY)
    assert window(ended, as_of_ms=START + 5) == Window(START, START + 5)
    assert window(catalog(RATE), from_ms=START + 1) == Window(START + 1, NOW)
    assert window(catalog(RATE), as_of_ms=START - 5) == Window(START - 5, START - 5)
    traffic = [AllocationEpoch(START, ("1",), {"11": 5000, "12": 5000})]
    paused = AllocationEpoch(START + DAY, ("2",), {"11": 0, "12": 0})
    assert window(catalog(RATE, epochs=(*traffic, paused))) == Window(START, START + DAY)
    within = results(world.engine, catalog(RATE), asked(to_ms=START + DAY), NOW)
    assert within.everyone.reach["control"].count == 1


def test_an_arm_that_the_catalog_does_not_know_goes_by_its_id(world: Any, catalog: Any) -> None:
    world.add(*world.crowd("11", 3, 1), *world.crowd("99", 2, 1))
    found = results(world.engine, catalog(RATE), asked(), NOW)
    assert list(found.everyone.reach) == ["control", "treatment", "bold", "99"]
    assert found.everyone.reach["99"] == ArmReach("99", 2)


@pytest.mark.parametrize("name", ["treatment", "12"])
def test_the_baseline_may_be_chosen_by_key_or_id(world: Any, catalog: Any, name: str) -> None:
    world.add(*world.crowd("11", 40, 8), *world.crowd("12", 38, 20))
    found = results(world.engine, catalog(RATE), asked(baseline=name), NOW)
    assert arm(found, "treatment").is_baseline
    lift = arm(found, "control").lift
    assert isinstance(lift, Comparison)
    assert lift.lift.relative.effect < 0


def test_metrics_are_those_asked_for_once_each_in_the_order_asked(world: Any, catalog: Any) -> None:
    world.add(*world.crowd("11", 4, 1), *world.crowd("12", 4, 2))
    texts = ("purchase:sum:revenue", "purchase_rate", "other", "purchase:sum:revenue")
    found = results(world.engine, catalog(RATE), asked(metrics=texts), NOW)
    keys = [m.metric.key for m in found.everyone.metrics]
    assert keys == ["purchase:sum:revenue", "purchase_rate", "other"]
    assert values(found) == {"control": 250, "treatment": 500, "bold": 0}


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"metrics": ("nope",)}, NotFoundError, "--metric 'nope': no metric is called so"),
        ({"metrics": ("a:b",)}, ConfigError, "--metric 'a:b': expected a metric's key, or EVENT"),
        ({"baseline": "blue"}, ConfigError, "--baseline 'blue': no variation of checkout_test"),
        ({"method": "bayesian"}, ConfigError, "method 'bayesian': this version does not compute"),
        ({"method": "x"}, ConfigError, "method 'x': no such method; expected one of sequential"),
        ({"expected_split": {"blue": 1.0}}, ConfigError, "--expected-split 'blue': no variation"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_flags_name(
    world: Any, catalog: Any, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as refused:
        results(world.engine, catalog(RATE), asked(**changes), NOW)
    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)


def test_a_metric_by_key_needs_a_catalog(world: Any) -> None:
    world.add(*world.crowd("11", 4, 1))
    with pytest.raises(NotFoundError, match=r"of 9: none\); expected a metric's key, or EVENT:"):
        results(world.engine, None, asked(experiment="9", metrics=("purchase_rate",)), NOW)


def test_slices_have_their_own_visitors_and_add_up_to_the_total(world: Any, catalog: Any) -> None:
    for plan, visitors in (("gold", 7), ("free", 5), (None, 3)):
        world.add(
            *world.crowd("11", visitors, 2, plan=plan), *world.crowd("12", visitors, 3, plan=plan)
        )
    found = results(world.engine, catalog(RATE), asked(segments=("plan",)), NOW)
    assert found.segments is not None
    assert {part.segment: part.total_count for part in found.segments} == {
        (("plan", "gold"),): 14,
        (("plan", "free"),): 10,
        (("plan", None),): 6,
    }
    bought = [part.metrics[0].results["treatment"].value for part in found.segments]
    assert sum(bought) == arm(found, "treatment").value == 9  # type: ignore[arg-type]
    document = json.loads(FORMATS["json"](found))
    assert [part["segment"] for part in document["segments"]].count({"plan": None}) == 1


def test_slices_of_true_and_of_one_are_two(world: Any, catalog: Any) -> None:
    world.add(*world.crowd("11", 3, 1, plan=True), *world.crowd("11", 5, 4, plan=1))
    found = results(world.engine, catalog(RATE), asked(segments=("plan",)), NOW)
    assert found.segments is not None
    bought = {
        repr(part.segment[0][1]): part.metrics[0].results["control"].value
        for part in found.segments
    }
    assert bought == {"True": 1, "1": 4}


def test_the_other_segment_rule_counts_conversions_that_carry_the_value(
    world: Any, catalog: Any
) -> None:
    shown = world.shown("a", "11", plan="free")
    world.add(shown, world.shown("b", "12"), world.did("a", "purchase", plan="gold"))
    asking = asked(segments=("plan",), segment_rule=SegmentRule.OPTIMIZELY)
    found = results(world.engine, catalog(RATE), asking, NOW)
    assert found.segments is not None
    bought = {part.segment: part.metrics[0].results["control"].value for part in found.segments}
    assert bought[("plan", "gold"),] == 1
    assert bought[("plan", "free"),] == 0


def test_health_counts_what_was_odd(world: Any, catalog: Any) -> None:
    twice = world.did("a", "purchase")
    refused = DeadLetter("$.visitors[0]", "expected a string", "{}")
    world.add(world.shown("a", "11"), world.shown("a", "12", START + 9), twice, dead=[refused])
    world.add(twice, dead=[refused], arrived=START + 5)
    world.add(dead=[refused], account="2")
    health = results(world.engine, catalog(RATE), asked(), NOW).health
    assert (health.switched_visitors, health.duplicate_events) == (1, 1)
    assert health.dead_letters == 2
    everywhere = results(world.engine, None, asked(experiment="9"), NOW).health
    assert everywhere.dead_letters == 3


def test_the_sample_ratio_is_held_against_the_catalogs_epochs(world: Any, catalog: Any) -> None:
    epochs = (
        AllocationEpoch(START, ("1",), {"11": 5000, "12": 5000}),
        AllocationEpoch(START + DAY, ("2",), {"11": 9000, "12": 1000}),
    )
    world.add(*world.crowd("11", 50, 0), *world.crowd("12", 50, 0))
    late = START + DAY + 7
    world.add(
        *(world.shown(f"late{i}", "11" if i % 10 else "12", late) for i in range(100)),
        revision="2",
    )
    health = results(world.engine, catalog(RATE, epochs=epochs), asked(), NOW).health
    assert isinstance(health.sample_ratio, SampleRatio)
    assert not health.sample_ratio.mismatch
    assert health.sample_ratio.epochs == 2
    assert health.sample_ratio.expected == {"control": 0.7, "treatment": 0.3, "bold": 0.0}
    assert health.allocation_epochs is not None
    assert [epoch.from_ms for epoch in health.allocation_epochs] == [START, START + DAY]


def test_looks_are_days_so_that_early_evidence_is_kept(world: Any, catalog: Any) -> None:
    world.add(*world.crowd("11", 300, 30), *world.crowd("12", 300, 150))
    first = results(world.engine, catalog(RATE), asked(), START + DAY)
    world.add(
        *(world.shown(f"x{i}", "11", START + DAY) for i in range(300)),
        *(world.shown(f"y{i}", "12", START + DAY) for i in range(300)),
        *(world.did(f"x{i}", "purchase", START + DAY) for i in range(120)),
    )
    then = results(world.engine, catalog(RATE), asked(), NOW)
    before, after = arm(first, "treatment").lift, arm(then, "treatment").lift
    assert isinstance(before, Comparison)
    assert isinstance(after, Comparison)
    assert after.lift.relative.p_value == before.lift.relative.p_value < 0.02
    fixed = results(world.engine, catalog(RATE), asked(method="fixed"), NOW)
    alone = arm(fixed, "treatment").lift
    assert isinstance(alone, Comparison)
    assert alone.lift.relative.effect == after.lift.relative.effect == 0
    assert alone.lift.relative.p_value == 1


def test_an_arm_of_revenue_in_which_nobody_bought_has_no_lift(world: Any, catalog: Any) -> None:
    world.add(*world.crowd("11", 330, 16), *world.crowd("12", 332, 0))
    texts = ("purchase:count", "purchase:sum:revenue")
    found = results(world.engine, catalog(), asked(metrics=texts), NOW)
    for metric in (0, 1):
        assert arm(found, "treatment", metric).lift == NoEstimate(
            "every value of the variation is zero: its lift has no interval"
        )
    swapped = results(world.engine, catalog(), asked(metrics=texts, baseline="treatment"), NOW)
    for metric in (0, 1):
        assert arm(swapped, "control", metric).lift == NoEstimate(
            "the baseline's mean is zero, so a relative lift has no meaning"
        )


def test_the_same_question_gets_the_same_bytes(world: Any, catalog: Any) -> None:
    world.add(*world.crowd("11", 40, 8), *world.crowd("12", 38, 20))
    once, again = (
        FORMATS["json"](results(world.engine, catalog(RATE, REVENUE), asked(), NOW))
        for _ in range(2)
    )
    assert once == again


def test_the_query_behind_each_metric_can_be_read_and_run(world: Any, catalog: Any) -> None:
    world.add(*world.crowd("11", 40, 8), *world.crowd("12", 38, 20))
    request = asked(metrics=("purchase_rate", "a\nb:count"), segments=("plan",))
    text = sql(world.engine, catalog(RATE), request, NOW)
    assert text.startswith("-- purchase_rate\n")
    first, second = text.split(";\n\n-- a b:count\n")
    variations = {row[2] for row in world.engine.rows(first, {})}
    assert variations == {"11", "12"}
    assert world.engine.rows(second.removesuffix(";\n"), {})
