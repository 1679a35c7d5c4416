"""The query and the readable reference give the same answer for every generated history."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import astuple, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from histories import Tables, attributes, histories, metrics, questions
from tallybook.attribution import ask, reference
from tallybook.model.event import Received
from tallybook.model.metric import Metric, Question
from tallybook.model.moments import Arm

unhurried = settings(deadline=None, max_examples=80)
briefly = settings(deadline=None, max_examples=20)


def finest(history: Sequence[Received], metric: Metric) -> float:
    """What the query may round away of a visitor: the last bit of the largest amount there is.

    Doubles are summed as whole numbers of one unit a visitor, so a small amount beside a large one
    keeps what a double as large as that keeps.
    """
    if metric.field in (None, "revenue"):
        return 0.0
    amounts = [
        abs(reference.amount(event, metric.field))
        for received in history
        for event in received.batch.conversions
        if event.key == metric.event_key
    ]
    return len(amounts) * max(amounts, default=0.0) * 2.0**-53


def assert_same_arm(measured: Arm, expected: Arm, unit: float) -> None:
    ours, theirs = measured.moments, expected.moments
    assert measured.samples == expected.samples
    assert ours.n == theirs.n
    if isinstance(expected.value, int):
        assert measured.value == expected.value
    close = {"rel": 1e-9, "abs": max(1e-300, ours.n * unit)}
    assert measured.value == pytest.approx(expected.value, **close)
    assert ours.mean == pytest.approx(theirs.mean, **close)
    off = ours.n * unit * (2 * math.sqrt(theirs.m2) + ours.n * unit)
    assert ours.m2 == pytest.approx(theirs.m2, rel=1e-9, abs=max(1e-300, off))
    assert ours.denominator_mean == pytest.approx(theirs.denominator_mean, rel=1e-9)
    assert ours.denominator_m2 == pytest.approx(theirs.denominator_m2, rel=1e-9, abs=1e-300)
    scale = (math.sqrt(theirs.m2) * 1e-9 + ours.n * unit) * math.sqrt(theirs.denominator_m2)
    assert ours.cross == pytest.approx(theirs.cross, rel=1e-9, abs=scale)


@unhurried
@given(histories, questions, metrics)
def test_every_arm_of_every_look_is_the_references(
    history: Sequence[Received], question: Question, metric: Metric
) -> None:
    measured = {m.segment: m.looks for m in ask.measure(Tables(history), question, metric)}
    expected = {m.segment: m.looks for m in reference.measure(history, question, metric)}
    assert measured.keys() == expected.keys()
    for segment, looks in measured.items():
        assert [look.at_ms for look in looks] == [look.at_ms for look in expected[segment]]
        for ours, theirs in zip(looks, expected[segment], strict=True):
            assert ours.arms.keys() == theirs.arms.keys()
            for variation, arm in ours.arms.items():
                assert_same_arm(arm, theirs.arms[variation], finest(history, metric))


@unhurried
@given(histories, questions)
def test_exposures_and_attributed_events_are_the_references(
    history: Sequence[Received], question: Question
) -> None:
    engine = Tables(history)
    exposed = {e.segment: e for e in ask.exposures(engine, question)}
    assert exposed == {e.segment: e for e in reference.exposures(history, question)}
    events = ask.attributed_events(engine, question)
    expected = reference.attributed_events(history, question)
    assert sorted(events, key=astuple) == sorted(expected, key=astuple)
    assert ask.attributed_event_keys(engine, question) == tuple(
        sorted({e.event_key for e in events})
    )


@briefly
@given(histories, questions, metrics, st.randoms())
def test_the_order_of_rows_changes_no_bit(
    history: Sequence[Received], question: Question, metric: Metric, order: random.Random
) -> None:
    shuffled = list(history)
    order.shuffle(shuffled)
    one, other = Tables(history), Tables(shuffled)
    assert ask.measure(one, question, metric) == ask.measure(other, question, metric)
    assert ask.exposures(one, question) == ask.exposures(other, question)
    assert ask.attributed_events(one, question) == ask.attributed_events(other, question)


def given_to(attributes: tuple, received: Received) -> tuple:
    kept = received.batch.conversions
    return tuple(structs.replace(conversion, attributes=attributes) for conversion in kept)


@briefly
@given(histories, questions, metrics, attributes)
def test_attributes_of_conversions_change_no_bit_of_the_whole(
    history: Sequence[Received], question: Question, metric: Metric, given_later: tuple
) -> None:
    question = replace(question, segment_by=())
    changed = [
        structs.replace(r, batch=structs.replace(r.batch, conversions=given_to(given_later, r)))
        for r in history
    ]
    one, other = Tables(history), Tables(changed)
    assert ask.measure(one, question, metric) == ask.measure(other, question, metric)


@briefly
@given(histories, questions, metrics)
def test_slices_by_exposure_add_up_to_the_whole(
    history: Sequence[Received], question: Question, metric: Metric
) -> None:
    question = replace(question, segment_rule=type(question.segment_rule).EXPOSURE)
    engine = Tables(history)
    (whole,) = ask.measure(engine, replace(question, segment_by=()), metric)
    slices = ask.measure(engine, question, metric)
    for variation, arm in whole.looks[-1].arms.items():
        parts = [s.looks[-1].arms[variation] for s in slices if variation in s.looks[-1].arms]
        assert sum(part.samples for part in parts) == arm.samples
        assert math.fsum(part.value for part in parts) == pytest.approx(arm.value, rel=1e-12)


@briefly
@given(histories, questions, metrics)
def test_a_query_written_out_gives_the_rows_of_the_query(
    history: Sequence[Received], question: Question, metric: Metric
) -> None:
    class Written(Tables):
        def rows(self, text: str, parameters: object) -> list:
            return super().rows(ask.query_text(question, metric), {})

    assert ask.measure(Written(history), question, metric) == ask.measure(
        Tables(history), question, metric
    )
