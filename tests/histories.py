"""Generated histories: small worlds in which people, moments and ids collide on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
from hypothesis import strategies as st

from tallybook.lake.rows import conversion_rows, decision_rows
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
from tallybook.model.time import DAY_MS

DAY_0 = 20_000 * DAY_MS
FIELDS = ("load time", "a.b", 'q"uote', "back\\slash", "*", "$", "straße")

times = st.sampled_from([DAY_0 + d * DAY_MS + t for d in range(3) for t in (0, 5, 6, DAY_MS - 1)])
visitors = st.sampled_from(["ada", "bob", "cy"])
uuids = st.sampled_from(["u1", "u2", "u3", "u4"])
senders = st.builds(
    Sender,
    account_id=st.sampled_from(["1", "1", "1", "2"]),
    project_id=st.sampled_from(["p", "q"]),
    revision=st.sampled_from(["7", "8", None]),
    client_name=st.just("python-sdk"),
    client_version=st.just("1"),
)
arrivals = st.builds(Arrival, at_ms=st.sampled_from([DAY_0 + 1, DAY_0 + 2, DAY_0 + 3]))
plans = st.sampled_from(["gold", "free", ',"plan":"silver"', '}"', "\\", True, 3, 3.0, 3.5, -0.0])
countries = st.sampled_from(["de", 'q"uo,te', "été", "\x1f"])
odd_numbers = st.sampled_from(
    [0, 1, -7, 2**40, 2**70, 1.25, 0.1, 0.2, 1e-7, 1e9 + 0.3, 5e-324, True, None, [1], {"a": 1}]
)
odd_texts = st.sampled_from(
    ["12.5", "1e3", "+5", ".5", "5.", "-.5E-2", "1e400", "", " 7", "7 ", "1_000", "nan", "inf"]
    + ["0x10", "١", "1,5", "--1", "true"]
)


@st.composite
def attributes(draw: st.DrawFn) -> tuple[VisitorAttribute, ...]:
    plan, country = draw(st.none() | plans), draw(st.none() | countries)
    given_values = (("901", 'coun"try', country), ("900", "plan", plan), ("902", "plan2", "other"))
    return tuple(VisitorAttribute(i, k, v) for i, k, v in given_values if v is not None)


decisions = st.builds(
    DecisionEvent,
    uuid=uuids,
    at_ms=times,
    visitor_id=visitors,
    entity_id=st.sampled_from(["layer", "layer", "other"]),
    campaign_id=st.just("layer"),
    experiment_id=st.sampled_from(["x", "x", "x", "y", ""]),
    variation_id=st.sampled_from(["1", "2", "1", "2", None]),
    attributes=attributes(),
    is_holdback=st.sampled_from([False, False, False, True]),
)
tags = st.none() | st.dictionaries(st.sampled_from(FIELDS), odd_numbers | odd_texts, max_size=3)
conversions = st.builds(
    ConversionEvent,
    uuid=uuids,
    at_ms=times,
    visitor_id=visitors,
    entity_id=st.sampled_from(["10", "11"]),
    key=st.sampled_from(["buy", "buy", "look at"]),
    attributes=attributes(),
    revenue=st.sampled_from([None, 0, 4200, -100, 2**63 - 1, -(2**63)]),
    value=st.sampled_from([None, 0.1, 0.2, -3.5, 1e9 + 0.3]),
    tags=tags,
)
events = st.lists(decisions, min_size=3, max_size=12), st.lists(conversions, max_size=14)


@st.composite
def histories(draw: st.DrawFn) -> Sequence[Received]:
    """Every event in a batch of its own, several of them copies of others, some changed."""
    happened = [*draw(events[0]), *draw(events[1])]
    again = draw(st.lists(st.sampled_from(happened), max_size=4))
    return [received(event, draw(senders), draw(arrivals)) for event in [*happened, *again]]


def received(
    event: DecisionEvent | ConversionEvent, sender: Sender, arrival: Arrival
) -> Received:
    if isinstance(event, DecisionEvent):
        return Received(arrival, Batch(sender, (event,), ()))
    return Received(arrival, Batch(sender, (), (event,)))


metrics = st.one_of(
    st.builds(
        Metric,
        key=st.just("m"),
        event_key=st.sampled_from(["buy", "buy", "look at", "never"]),
        aggregator=st.sampled_from([Aggregator.UNIQUE, Aggregator.COUNT]),
    ),
    st.builds(
        Metric,
        key=st.just("m"),
        event_key=st.just("buy"),
        aggregator=st.just(Aggregator.SUM),
        field=st.sampled_from(["revenue", "value", *FIELDS]),
        scope=st.sampled_from(list(Scope)),
    ),
)
windows = st.sampled_from(
    [
        Window(DAY_0, DAY_0 + 3 * DAY_MS),
        Window(DAY_0, DAY_0 + 9 * DAY_MS + 7),
        Window(DAY_0 + 5, DAY_0 + DAY_MS + 6),
        Window(DAY_0 + DAY_MS, DAY_0 + 2 * DAY_MS),
    ]
)
questions = st.builds(
    Question,
    experiment_id=st.just("x"),
    window=windows,
    segment_by=st.sampled_from([(), ("plan",), ("plan", 'coun"try'), ("absent",)]),
    segment_rule=st.sampled_from(list(SegmentRule)),
    account_id=st.sampled_from([None, "1", "2"]),
)


class Tables:
    """An engine over rows as the lake builds them, without the files."""

    def __init__(self, history: Sequence[Received]) -> None:
        self._database = duckdb.connect()
        for name, rows in (
            ("decisions", decision_rows(history)),
            ("conversions", conversion_rows(history)),
        ):
            self._database.register(name, rows)

    def rows(self, text: str, parameters: Mapping[str, object]) -> list[tuple[object, ...]]:
        return self._database.execute(text, dict(parameters)).fetchall()
