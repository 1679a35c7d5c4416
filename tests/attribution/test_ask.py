"""What attribution promises, case by case."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
import sqlglot

from histories import Tables
from tallybook.attribution import ask, texts
from tallybook.errors import ConfigError
from tallybook.model.event import (
    Arrival,
    Batch,
    ConversionEvent,
    DecisionEvent,
    Received,
    Sender,
    VisitorAttribute,
)
from tallybook.model.metric import Aggregator, Metric, Question, Scope, SegmentRule, Window
from tallybook.model.moments import Arm, Moments
from tallybook.model.time import DAY_MS

DAY_0 = 20_000 * DAY_MS
EVERYONE = Question("x", Window(DAY_0, DAY_0 + 10 * DAY_MS))
COUNT = Metric("count", "buy", Aggregator.COUNT)
UNIQUE = Metric("unique", "buy", Aggregator.UNIQUE)


def summed(field: str | None, scope: Scope = Scope.VISITOR) -> Metric:
    return Metric("sum", "buy", Aggregator.SUM, field, scope)


def by_plan(rule: SegmentRule = SegmentRule.EXPOSURE) -> Question:
    return replace(EVERYONE, segment_by=("plan",), segment_rule=rule)


class History:
    """Events of one account, each with a uuid of its own unless one is given."""

    def __init__(self) -> None:
        self.received: list[Received] = []

    def shown(self, visitor: str, variation: str | None, after: int = 0, **more: object) -> None:
        self._add(
            DecisionEvent,
            visitor_id=visitor,
            variation_id=variation,
            after=after,
            **{"entity_id": "L", "campaign_id": "L", "experiment_id": "x"} | more,
        )

    def did(self, visitor: str, after: int = 1, **more: object) -> None:
        key = {"entity_id": "10", "key": "buy"}
        self._add(ConversionEvent, visitor_id=visitor, after=after, **key | more)

    @property
    def engine(self) -> Tables:
        return Tables(self.received)

    def _add(self, kind: type, after: int, **more: object) -> None:
        account, revision = str(more.pop("account", "1")), more.pop("revision", "7")
        arrived = more.pop("arrived", None)
        plan = more.pop("plan", None)
        carried = () if plan is None else (VisitorAttribute("900", "plan", plan),)  # type: ignore[arg-type]
        uuid = more.pop("uuid", f"u{len(self.received)}")
        event = kind(uuid=uuid, at_ms=DAY_0 + after, attributes=carried, **more)
        sender = Sender(account, None, revision, None, None)  # type: ignore[arg-type]
        decisions, conversions = ((event,), ()) if kind is DecisionEvent else ((), (event,))
        arrival = Arrival(DAY_0 + after if arrived is None else DAY_0 + int(str(arrived)))
        self.received.append(Received(arrival, Batch(sender, decisions, conversions)))


@pytest.fixture
def history() -> History:
    return History()


def arms(history: History, metric: Metric = COUNT, question: Question = EVERYONE) -> dict:
    (measured,) = ask.measure(history.engine, question, metric)
    return dict(measured.looks[-1].arms)


def values(history: History, metric: Metric = COUNT, question: Question = EVERYONE) -> dict:
    return {name: (a.value, a.samples) for name, a in arms(history, metric, question).items()}


def sliced(history: History, question: Question, metric: Metric = COUNT) -> dict:
    return {
        dict(m.segment)["plan"]: {v: (a.value, a.samples) for v, a in m.looks[-1].arms.items()}
        for m in ask.measure(history.engine, question, metric)
    }


def test_a_conversion_counts_from_the_millisecond_of_the_exposure_on(history: History) -> None:
    history.shown("ada", "1", after=5)
    for after in (4, 5, 6):
        history.did("ada", after)
    assert values(history) == {"1": (2, 1)}


def test_the_window_takes_its_beginning_and_leaves_its_end(history: History) -> None:
    history.shown("ada", "1", after=5)
    for after in (5, 9, 10):
        history.did("ada", after)
    for from_ms, to_ms, counted in ((5, 10, 2), (5, 11, 3), (6, 11, None)):
        question = replace(EVERYONE, window=Window(DAY_0 + from_ms, DAY_0 + to_ms))
        expected = {} if counted is None else {"1": (counted, 1)}
        assert values(history, question=question) == expected


def test_the_first_variation_keeps_the_visitor_and_the_switch_is_counted(history: History) -> None:
    history.shown("ada", "2", after=2)
    history.shown("ada", "1", after=1)
    history.shown("bob", "2")
    history.shown("bob", "2", after=8)
    history.did("ada", after=3)
    assert values(history) == {"1": (1, 1), "2": (0, 1)}
    (exposed,) = ask.exposures(history.engine, EVERYONE)
    assert exposed.switched_visitors == 1


def test_holdbacks_and_decisions_without_a_variation_expose_nobody(history: History) -> None:
    history.shown("ada", "1", is_holdback=True)
    history.shown("bob", None)
    history.shown("cy", "1", experiment_id="")
    history.did("ada")
    (exposed,) = ask.exposures(history.engine, EVERYONE)
    assert exposed.looks[-1].visitors == {}
    (measured,) = ask.measure(history.engine, EVERYONE, COUNT)
    assert [(look.at_ms, look.arms) for look in measured.looks] == [(EVERYONE.window.to_ms, {})]


def test_conversions_count_across_projects_and_not_across_accounts(history: History) -> None:
    history.shown("ada", "1", account="1")
    history.did("ada", account="1")
    history.did("ada", account="2")
    assert values(history) == {"1": (1, 1)}
    assert values(history, question=replace(EVERYONE, account_id="1")) == {"1": (1, 1)}
    assert values(history, question=replace(EVERYONE, account_id="2")) == {}


def test_of_copies_that_differ_the_earliest_to_arrive_counts(history: History) -> None:
    history.shown("ada", "2", uuid="d", arrived=9)
    history.shown("ada", "1", uuid="d", arrived=8)
    history.did("ada", uuid="c", arrived=9, revenue=1)
    history.did("ada", uuid="c", arrived=8, revenue=500)
    history.did("ada", uuid="c", arrived=8, revenue=7)
    assert values(history, summed("revenue")) == {"1": (7, 1)}
    (exposed,) = ask.exposures(history.engine, EVERYONE)
    assert exposed.duplicate_events == 3
    assert exposed.switched_visitors == 0


def test_a_copy_under_another_key_is_a_copy(history: History) -> None:
    history.shown("ada", "1")
    history.did("ada", uuid="c", arrived=8, key="renamed")
    history.did("ada", uuid="c", arrived=9, key="buy")
    assert values(history) == {"1": (0, 1)}


def test_the_aggregators_give_value_and_samples_as_the_table_says(history: History) -> None:
    for visitor, variation in (("ada", "1"), ("bob", "1"), ("cy", "2")):
        history.shown(visitor, variation)
    history.did("ada", revenue=300, value=0.5, tags={"load_time": "1.25"})
    history.did("ada", revenue=None, tags={"load_time": True})
    history.did("bob", key="other", revenue=9)
    assert values(history, UNIQUE) == {"1": (1, 2), "2": (0, 1)}
    assert values(history, COUNT) == {"1": (2, 2), "2": (0, 1)}
    assert values(history, summed("revenue")) == {"1": (300, 2), "2": (0, 1)}
    assert values(history, summed("revenue", Scope.EVENT)) == {"1": (300, 2), "2": (0, 0)}
    assert values(history, summed("value")) == {"1": (0.5, 2), "2": (0.0, 1)}
    assert values(history, summed("load_time", Scope.EVENT)) == {"1": (1.25, 2), "2": (0.0, 0)}


def test_moments_are_those_of_visitors_with_those_who_did_nothing(history: History) -> None:
    for visitor in ("ada", "bob", "cy", "dan"):
        history.shown(visitor, "1")
    history.did("ada", revenue=100)
    history.did("ada", revenue=100)
    history.did("bob", revenue=40)
    assert arms(history, summed("revenue"))["1"] == Arm(240, 4, Moments(4, 60.0, 27_200.0))
    per_event = arms(history, summed("revenue", Scope.EVENT))["1"]
    assert per_event.moments == Moments(4, 60.0, 27_200.0, 0.75, 2.75, 260.0)


def test_a_large_mean_does_not_drown_a_small_variance(history: History) -> None:
    for number in range(4):
        history.shown(f"v{number}", "1")
        history.did(f"v{number}", after=3 * DAY_MS, value=1e15 + number / 8)
    assert arms(history, summed("value"))["1"].moments.m2 == 5 / 64


def test_a_day_of_mistake_leaves_no_trace_in_later_looks(history: History) -> None:
    history.shown("ada", "1")
    history.shown("bob", "1")
    history.did("ada", after=1, value=0.1)
    history.did("bob", after=2, value=1e14)
    history.did("bob", after=DAY_MS, value=-1e14)
    (measured,) = ask.measure(history.engine, EVERYONE, summed("value"))
    assert measured.looks[-1].arms["1"].moments == Moments(2, 0.05, pytest.approx(0.005, rel=1e-15))


def test_one_absurd_value_spoils_neither_other_visitors_nor_the_other_arm(
    history: History,
) -> None:
    for visitor, variation in (("ada", "1"), ("bob", "2")):
        history.shown(visitor, variation)
        history.did(visitor, tags={"load_time": 2.5})
    history.shown("mallory", "1")
    history.did("mallory", tags={"load_time": 1.7e308})
    found = arms(history, summed("load_time"))
    assert found["2"] == Arm(2.5, 1, Moments(1, 2.5, 0.0))
    assert found["1"].value == 1.7e308
    assert found["1"].moments.m2 == math.inf


@pytest.mark.parametrize(
    "name",
    [
        "load time",
        "a.b",
        'q"uote',
        "back\\slash",
        "*",
        "$",
        "straße",
        "a/b*~",
        "\x01",
        "x[0]",
        "it's",
    ],
)
def test_a_tag_of_any_name_adds_up_and_its_namesakes_inside_do_not(
    history: History, name: str
) -> None:
    history.shown("ada", "1")
    for value in (1.5, "2", {name: 100}, [100]):
        history.did("ada", tags={name: value, "other": {name: 100}, "last": 100})
    assert values(history, summed(name, Scope.EVENT)) == {"1": (3.5, 4)}
    text = ask.query_text(EVERYONE, summed(name))
    assert history.engine.rows(text, {})


def test_what_exceeds_a_double_is_infinite_and_64_bits_of_cents_are_exact(
    history: History,
) -> None:
    history.shown("ada", "1")
    for _ in range(3):
        history.did("ada", value=-1.7e308, revenue=2**63 - 1)
    assert values(history, summed("value")) == {"1": (-math.inf, 1)}
    assert values(history, summed("revenue")) == {"1": (3 * (2**63 - 1), 1)}


def test_numbers_that_imports_can_hold_and_json_cannot_are_absent(history: History) -> None:
    history.shown("ada", "1")
    for value in (math.nan, math.inf, -math.inf, 1.5):
        history.did("ada", value=value)
    assert values(history, summed("value")) == {"1": (1.5, 1)}


def test_looks_stand_at_the_ends_of_days_with_news_and_at_the_windows_end(
    history: History,
) -> None:
    history.shown("ada", "1", after=0)
    history.did("ada", after=DAY_MS - 1)
    history.did("ada", after=3 * DAY_MS)
    history.shown("bob", "1", after=5 * DAY_MS, revision="8")
    engine, end = history.engine, EVERYONE.window.to_ms
    (measured,) = ask.measure(engine, EVERYONE, COUNT)
    assert [
        ((look.at_ms - DAY_0) / DAY_MS, look.arms["1"].value, look.arms["1"].samples)
        for look in measured.looks
    ] == [(1, 1, 1), (4, 2, 1), (6, 2, 2), (10, 2, 2)]
    (exposed,) = ask.exposures(engine, EVERYONE)
    assert [look.at_ms for look in exposed.looks] == [DAY_0 + DAY_MS, DAY_0 + 6 * DAY_MS, end]
    assert exposed.looks[-1].by_revision == {("7", "1"): 1, ("8", "1"): 1}
    cut = replace(EVERYONE, window=Window(DAY_0, DAY_0 + 3 * DAY_MS + 1))
    (measured,) = ask.measure(engine, cut, COUNT)
    assert [look.at_ms for look in measured.looks] == [DAY_0 + DAY_MS, cut.window.to_ms]


def test_a_visitors_segment_is_that_of_the_first_exposure(history: History) -> None:
    history.shown("ada", "1", plan="gold")
    history.shown("ada", "1", after=2, plan="free")
    history.shown("bob", "1")
    history.did("ada", after=3, plan="free")
    history.did("bob", after=3, plan="gold")
    assert sliced(history, by_plan()) == {"gold": {"1": (1, 1)}, None: {"1": (1, 1)}}


def test_by_the_other_rule_every_row_that_carries_a_value_counts_for_it(history: History) -> None:
    history.shown("ada", "1", plan="gold")
    history.did("ada", after=3, plan="free")
    history.shown("bob", "2", plan="gold")
    history.did("bob", after=3)
    assert sliced(history, by_plan(SegmentRule.OPTIMIZELY)) == {
        "gold": {"1": (0, 1), "2": (0, 1)},
        "free": {"1": (1, 1)},
        None: {"2": (1, 1)},
    }


def test_by_the_other_rule_a_visitor_counts_from_the_first_row_with_the_value(
    history: History,
) -> None:
    history.shown("ada", "1", plan="gold")
    history.did("ada", after=2 * DAY_MS, plan="free", key="other")
    looks = {
        dict(m.segment)["plan"]: [(look.at_ms - DAY_0) // DAY_MS for look in m.looks]
        for m in ask.measure(history.engine, by_plan(SegmentRule.OPTIMIZELY), COUNT)
    }
    assert looks == {"gold": [1, 10], "free": [3, 10]}


def test_segments_keep_the_type_of_their_values(history: History) -> None:
    for number, plan in enumerate(["3", 3, 3.0, 3.5, True, "true", 'a"b\\', ""]):
        history.shown(f"v{number}", "1", plan=plan)
    found = [e.segment[0][1] for e in ask.exposures(history.engine, by_plan())]
    assert sorted(map(json.dumps, found)) == sorted(
        map(json.dumps, ["3", 3, 3.5, True, "true", 'a"b\\', ""])
    )


def test_several_attributes_give_their_combinations(history: History) -> None:
    history.shown("ada", "1", plan="gold")
    question = replace(EVERYONE, segment_by=("plan", "country"))
    (exposed,) = ask.exposures(history.engine, question)
    assert exposed.segment == (("plan", "gold"), ("country", None))


def test_slices_of_nobody_are_none(history: History) -> None:
    assert ask.exposures(history.engine, by_plan()) == ()
    assert ask.measure(history.engine, by_plan(), COUNT) == ()


def test_what_the_lake_has_seen_of_experiments(history: History) -> None:
    assert ask.observed_span(history.engine, "x") is None
    history.shown("ada", "2", after=5)
    history.shown("ada", "1", after=3)
    history.shown("bob", "3", is_holdback=True, after=1)
    history.shown("cy", "4", experiment_id="y")
    history.shown("cy", None, experiment_id="")
    assert ask.observed_span(history.engine, "x") == (DAY_0 + 3, DAY_0 + 5)
    assert ask.variations_seen(history.engine, "x") == ("1", "2")
    assert ask.known_experiments(history.engine) == ("x", "y")


def test_a_visitors_history_marks_copies_and_knows_other_visitors_originals(
    history: History,
) -> None:
    history.shown("ada", "1", uuid="d", after=3)
    history.shown("ada", "1", uuid="d", after=3, arrived=9)
    history.did("bob", uuid="c", arrived=2)
    history.did("ada", uuid="c", arrived=4, revenue=5, tags={"a": 1})
    history.did("ada", after=8, key="look")
    found = ask.visitor_history(history.engine, "ada")
    assert [(d.occurred_at - DAY_0, d.variation_id, d.is_copy) for d in found.decisions] == [
        (3, "1", False),
        (3, "1", True),
    ]
    assert [(c.event_key, c.revenue, c.tags, c.is_copy) for c in found.conversions] == [
        ("buy", 5, '{"a":1}', True),
        ("look", None, None, False),
    ]
    assert ask.visitor_history(history.engine, "nobody").decisions == ()


def test_a_sum_of_nothing_is_refused(history: History) -> None:
    with pytest.raises(ConfigError, match="metric sum: a sum needs a field"):
        ask.measure(history.engine, EVERYONE, summed(None))


def every_text() -> Iterable[str]:
    for rule in SegmentRule:
        question = replace(by_plan(rule), account_id="it's")
        for metric in (UNIQUE, COUNT, summed("revenue"), summed("value"), summed("load_time")):
            yield texts.moments(question, metric).literal
        yield texts.reach(question).literal
        yield texts.oddities(question).literal
        yield texts.attributed(question, "events").literal
    for name in ("visitor_decisions", "visitor_conversions"):
        yield texts.plain(name, visitor_id="a'b").literal


@pytest.mark.parametrize("dialect", ["spark", "databricks", "trino", "snowflake", "bigquery"])
def test_every_text_can_be_written_in_other_dialects(dialect: str) -> None:
    for text in every_text():
        (translated,) = sqlglot.transpile(text, read="duckdb", write=dialect)
        assert sqlglot.parse_one(translated, read=dialect)


def test_spark_reads_the_query_as_it_is_printed_for_it() -> None:
    text = ask.query_text(by_plan(), summed("load_time"), dialect="spark")
    assert sqlglot.parse_one(text, read="spark")
    assert "GET_JSON_OBJECT" in text
    assert "$" not in text.replace("'$.", "").replace(")?$'", "")
