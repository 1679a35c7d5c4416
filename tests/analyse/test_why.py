"""One visitor's history, judged: everything that can happen, with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from tallybook.analyse import why
from tallybook.errors import NotFoundError
from tallybook.model.explanation import Because
from tallybook.model.metric import Aggregator, Metric

DAY = 86_400_000
START = 18_000 * DAY

RATE = Metric("purchase_rate", "purchase", Aggregator.UNIQUE)
REVENUE = Metric("revenue", "purchase", Aggregator.SUM, field="revenue")


def reasons(world: Any, catalog: Any, experiment: str | None = None) -> tuple[Any, Any]:
    (found,) = why(world.engine, catalog, "a", experiment).explanation.participations
    decisions = [(judged.what, judged.because) for judged in found.decisions]
    return decisions, [(judged.what, judged.because) for judged in found.conversions]


def test_every_event_of_a_visitor_has_its_reason(world: Any, catalog: Any) -> None:
    twice = world.did("a", "purchase", START + 20)
    world.add(
        world.shown("a", None, START - 2),
        world.shown("a", "11", START - 1, is_holdback=True),
        world.did("a", "purchase", START - 1),
        world.shown("a", "12", START),
        world.did("a", "purchase", START),
        twice,
        world.did("a", "page_view", START + 30),
        world.shown("a", "12", START + 40),
        world.shown("a", "11", START + 50),
        world.did("a", "purchase", START + DAY),
        world.shown("a", "11", START + DAY),
    )
    world.add(twice, arrived=START + 60)
    world.add(
        world.shown("a", "11", START + 70), world.did("a", "purchase", START + 70), account="2"
    )
    known = catalog(RATE, REVENUE, end_ms=START + DAY)
    decisions, conversions = reasons(world, known, "checkout_test")
    assert decisions == [
        ("(none)", Because.NO_VARIATION),
        ("control", Because.HOLDBACK),
        ("treatment", Because.FIRST_EXPOSURE),
        ("treatment", Because.SEEN_AGAIN),
        ("control", Because.SWITCHED),
        ("control", Because.OTHER_ACCOUNT),
        ("control", Because.OUTSIDE_WINDOW),
    ]
    assert conversions == [
        ("purchase", Because.BEFORE_EXPOSURE),
        ("purchase", Because.COUNTED),
        ("purchase", Because.COUNTED),
        ("purchase", Because.DUPLICATE),
        ("page_view", Because.NO_METRIC),
        ("purchase", Because.OTHER_ACCOUNT),
        ("purchase", Because.OUTSIDE_WINDOW),
    ]


def test_a_conversion_names_the_metrics_it_counts_in(world: Any, catalog: Any) -> None:
    world.add(world.shown("a", "12"), world.did("a", "purchase"))
    answer = why(world.engine, catalog(RATE, REVENUE), "a")
    (found,) = answer.explanation.participations
    assert found.variation == "treatment"
    assert found.conversions[0].metrics == ("purchase_rate", "revenue")
    assert "checkout_test (9): treatment" in answer.text
    assert "purchase  counts  at or after the first exposure: purchase_rate, revenue" in answer.text


def test_a_visitor_of_an_import_is_explained_by_ids_in_each_account(world: Any) -> None:
    world.add(world.shown("a", "12"), world.did("a", "purchase"))
    world.add(world.shown("a", "11", START + 5), world.did("a", "purchase", START + 9), account="2")
    first, second = why(world.engine, None, "a").explanation.participations
    assert (first.variation, second.variation) == ("12", "11")
    assert first.conversions[0].metrics == ("purchase:unique", "purchase:count")
    assert [j.because for j in second.conversions] == [Because.OTHER_ACCOUNT, Because.COUNTED]


def test_a_visitor_who_was_never_exposed_is_told_so(world: Any, catalog: Any) -> None:
    world.add(world.shown("b", "11"), world.did("a", "purchase"))
    decisions, conversions = reasons(world, catalog(RATE), "checkout_test")
    assert decisions == []
    assert conversions == [("purchase", Because.NEVER_EXPOSED)]
    assert why(world.engine, catalog(RATE), "a").explanation.participations == ()
    imported = why(world.engine, None, "a", "9").explanation.participations
    assert imported[0].conversions[0].because is Because.NEVER_EXPOSED


def test_an_experiment_without_decisions_explains_too(world: Any, catalog: Any) -> None:
    world.add(world.did("a", "purchase"))
    (found,) = why(world.engine, catalog(RATE), "a", "9").explanation.participations
    assert (found.from_ms, found.to_ms, found.variation) == (None, None, None)


def test_decisions_without_a_rule_belong_to_no_experiment(world: Any, catalog: Any) -> None:
    world.add(world.shown("a", None, experiment_id="", campaign_id=""), world.did("a", "x"))
    found = why(world.engine, catalog(RATE), "a").explanation
    assert (found.participations, found.without_rule, found.conversions) == ((), 1, 1)


def test_an_unknown_visitor_or_experiment_is_named(world: Any, catalog: Any) -> None:
    with pytest.raises(NotFoundError, match="visitor 'nobody': nothing is kept of this visitor"):
        why(world.engine, catalog(RATE), "nobody")
    world.add(world.did("a", "purchase"))
    with pytest.raises(NotFoundError, match="`nope`"):
        why(world.engine, catalog(RATE), "a", "nope")
