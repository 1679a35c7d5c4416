"""The explanation of one visitor, as text."""

from __future__ import annotations

from dataclasses import replace

from tallybook.model.explanation import Because, Explanation, Judged, Participation
from tallybook.report.explanation import to_text

T = 1_600_041_600_000

EXPLAINED = Explanation(
    visitor_id="user123",
    participations=(
        Participation(
            experiment_key="checkout_test",
            experiment_id="9300",
            from_ms=T,
            to_ms=None,
            variation="treatment",
            decisions=(
                Judged(T, "treatment", Because.FIRST_EXPOSURE),
                Judged(T + 60_000, "control", Because.SWITCHED),
            ),
            conversions=(
                Judged(T - 1, "purchase", Because.BEFORE_EXPOSURE),
                Judged(T, "purchase", Because.COUNTED, ("purchase_rate", "revenue")),
            ),
        ),
    ),
    without_rule=0,
    conversions=2,
)


def test_everything_is_listed_with_its_reason() -> None:
    assert (
        to_text(EXPLAINED)
        == """\
visitor user123

experiment checkout_test (9300): treatment
  window 2020-09-14T00:00:00.000Z to (open)
  was shown
    2020-09-14T00:00:00.000Z  treatment  counts  first exposure: the visitor belongs to this variation
    2020-09-14T00:01:00.000Z  control    no      another variation than the first: the visitor stays with the first
  did
    2020-09-13T23:59:59.999Z  purchase  no      before the first exposure
    2020-09-14T00:00:00.000Z  purchase  counts  at or after the first exposure: purchase_rate, revenue"""
    )


def test_a_visitor_who_did_nothing_is_told_so() -> None:
    idle = replace(EXPLAINED.participations[0], conversions=(), variation=None)
    said = to_text(replace(EXPLAINED, participations=(idle,)))
    assert "experiment checkout_test (9300): not exposed\n" in said
    assert said.endswith("\n  did nothing")


def test_a_visitor_in_no_experiment_is_told_so() -> None:
    said = to_text(Explanation("user\x1b123", (), without_rule=3, conversions=7))
    assert said == (
        "visitor user\\x1b123\n"
        "in no experiment; 7 conversions kept\n"
        "\n3 decisions without a rule: in no experiment"
    )


def test_an_experiment_known_by_id_alone_is_named_once() -> None:
    imported = replace(EXPLAINED.participations[0], experiment_key="9300")
    assert "experiment 9300: treatment\n" in to_text(replace(EXPLAINED, participations=(imported,)))
