"""Generated histories: small worlds in which people, moments and ids collide on purpose.

They are rolled from a seed that Hypothesis draws: choices of its own come out too alike for many
visitors to be exposed, convert and meet each other's copies in one example.
"""

from __future__ import annotations

import random
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
FIELDS = ("load time", 'q"uo.te')
PLANS = ["gold", "free", ',"plan":"silver"', '}"', "\\", True, 3, 3.0, 3.5, -0.0, None, None]
COUNTRIES = ["de", 'q"uo,te', "été", "\x1f", None]
NUMBERS = [0, 1, -7, 2**40, 1.25, 0.1, 0.2, 1e-7, 1e9 + 0.3, 5e-324, 2**70, True, None, [1]]
NESTED = {"load time": 100, 'q"uo.te': 100}
TEXTS = ["12.5", "1e3", "+5", ".5", "5.", "-.5E-2", "1e400", "", " 7", "7 ", "1_000", "nan", "inf"]
ODD_TEXTS = ["0x10", "١", "1,5", "--1", "true"]
CENTS = [None, 0, 4200, -100, 2**63 - 1, -(2**63)]


def _moment(dice: random.Random, days: int) -> int:
    early = dice.random() ** 3
    return DAY_0 + int(early * days) * DAY_MS + dice.choice([0, 5, 5, 6, 6, DAY_MS - 1])


def _attributes(dice: random.Random) -> tuple[VisitorAttribute, ...]:
    given = (
        ("901", 'coun"try', dice.choice(COUNTRIES)),
        ("900", "plan", dice.choice(PLANS)),
        ("902", "plan2", "other"),
    )
    return tuple(VisitorAttribute(i, k, v) for i, k, v in given if v is not None)


def _tags(dice: random.Random) -> dict[str, object] | None:
    odd = [*NUMBERS, *TEXTS, *ODD_TEXTS, NESTED]
    fields = dice.sample(FIELDS, dice.randint(0, len(FIELDS)))
    return dice.choice([None, *[{name: dice.choice(odd) for name in fields}] * 4])


def _decision(dice: random.Random) -> DecisionEvent:
    return DecisionEvent(
        uuid=f"u{dice.randrange(9)}",
        at_ms=_moment(dice, 2),
        visitor_id=dice.choice(["ada", "bob", "cy"]),
        entity_id=dice.choice(["layer", "layer", "other"]),
        campaign_id="layer",
        experiment_id=dice.choice(["x"] * 10 + ["y", ""]),
        variation_id=dice.choice(["1", "2"] * 5 + [None]),
        attributes=_attributes(dice),
        is_holdback=dice.random() < 1 / 8,
    )


def _conversion(dice: random.Random) -> ConversionEvent:
    return ConversionEvent(
        uuid=f"u{dice.randrange(6)}",
        at_ms=_moment(dice, 4),
        visitor_id=dice.choice(["ada", "bob", "cy"]),
        entity_id=dice.choice(["10", "11"]),
        key=dice.choice(["buy"] * 4 + ["look at"]),
        attributes=_attributes(dice),
        revenue=dice.choice(CENTS),
        value=dice.choice([None, 0.1, 0.2, -3.5, 1e9 + 0.3]),
        tags=_tags(dice),
    )


def _received(dice: random.Random, event: DecisionEvent | ConversionEvent) -> Received:
    account, revision = dice.choice(["1"] * 7 + ["2"]), dice.choice(["7", "8", None])
    sender = Sender(account, dice.choice(["p", "q"]), revision, "python-sdk", "1")
    arrival = Arrival(DAY_0 + dice.randint(1, 3))
    if isinstance(event, DecisionEvent):
        return Received(arrival, Batch(sender, (event,), ()))
    return Received(arrival, Batch(sender, (), (event,)))


def _history(dice: random.Random) -> Sequence[Received]:
    """Every event in a batch of its own, several of them copies of others, some changed."""
    happened: list[DecisionEvent | ConversionEvent] = [
        *(_decision(dice) for _ in range(dice.choice([0, 4, 6, 9, 12]))),
        *(_conversion(dice) for _ in range(dice.choice([1, 8, 12, 16, 20]))),
    ]
    again = dice.choices(happened, k=dice.randint(0, 4)) if happened else []
    return [_received(dice, event) for event in [*happened, *again]]


def _question(dice: random.Random) -> Question:
    windows = [
        *[Window(DAY_0, DAY_0 + 4 * DAY_MS)] * 9,
        Window(DAY_0, DAY_0 + 9 * DAY_MS + 7),
        Window(DAY_0 + 5, DAY_0 + DAY_MS + 6),
        Window(DAY_0 + DAY_MS, DAY_0 + 2 * DAY_MS),
    ]
    return Question(
        experiment_id="x",
        window=dice.choice(windows),
        segment_by=dice.choice([(), ("plan",), ("plan", 'coun"try'), ("absent",)]),
        segment_rule=dice.choice(list(SegmentRule)),
        account_id=dice.choice([None] * 4 + ["1"] * 4 + ["2"]),
    )


def _metric(dice: random.Random) -> Metric:
    key = dice.choice(["buy"] * 9 + ["look at", "look at", "never"])
    aggregator = dice.choice([*Aggregator, Aggregator.SUM, Aggregator.SUM])
    if aggregator is not Aggregator.SUM:
        return Metric("m", key, aggregator)
    field = dice.choice(["revenue", "value", *FIELDS])
    return Metric("m", key, aggregator, field, dice.choice(list(Scope)))


seeds = st.randoms(use_true_random=True)
attributes = seeds.map(_attributes)
histories = seeds.map(_history)
questions = seeds.map(_question)
metrics = seeds.map(_metric)


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
