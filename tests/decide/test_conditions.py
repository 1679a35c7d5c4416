from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.decide.conditions import Asked, evaluate, is_in_audience
from tallybook.decide.matchers import MATCHERS
from tallybook.model.condition import (
    And,
    AudienceRef,
    Comparison,
    Condition,
    Malformed,
    Not,
    Or,
)
from tallybook.model.decision import Visitor
from tallybook.model.project import Audience, Experiment, Project
from tallybook.model.reason import WARNING, ReasonKind, Trace

CASES = json.loads((Path(__file__).parents[1] / "conformance/conditions.json").read_text("utf-8"))[
    "cases"
]
PROJECT = Project("1", "2", "3")
TRUE = Comparison("plan", None, "custom_attribute", "exists")
FALSE = Comparison("nowhere", None, "custom_attribute", "exists")
UNKNOWN = Comparison("nowhere", "x", "custom_attribute", "exact")
LEAVES = {True: TRUE, False: FALSE, None: UNKNOWN}
ANSWERS = st.sampled_from([True, False, None])
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(st.text(), children),
    max_leaves=3,
)


def ask(
    condition: Condition, attributes: dict[str, Any] | None = None, project: Project = PROJECT
) -> tuple[bool | None, list[ReasonKind]]:
    trace = Trace()
    visitor = Visitor("u", {"plan": "gold"} if attributes is None else attributes)
    answer = evaluate(condition, Asked(project, visitor, trace))
    assert all(reason.text for reason in trace.reasons)
    return answer, [reason.kind for reason in trace.reasons]


@pytest.mark.parametrize("case", CASES, ids=json.dumps)
def test_a_condition_answers_as_written_in_the_conformance_cases(case: dict[str, Any]) -> None:
    condition = Comparison("a", case["expected"], "custom_attribute", case["match"])
    attributes = {"a": case["actual"]} if "actual" in case else {}
    segments = frozenset(case["segments"]) if "segments" in case else None
    asked = Asked(PROJECT, Visitor("u", attributes, segments=segments), Trace())

    assert evaluate(condition, asked) is case["answer"]


def test_every_match_has_a_conformance_case_for_each_of_its_answers() -> None:
    answers = {(case["match"], case["answer"]) for case in CASES}

    assert {match for match, _ in answers} >= set(MATCHERS)
    for match in MATCHERS:
        known = [answer for of, answer in answers if of == match and answer is not None]
        assert known, f"{match} is never known"


@given(
    st.sampled_from([*MATCHERS, None, "regex"]), ODD, st.dictionaries(st.just("a"), ODD, max_size=1)
)
def test_no_value_makes_a_condition_raise(
    match: str | None, expected: object, attributes: dict[str, object]
) -> None:
    answer, _ = ask(Comparison("a", expected, "custom_attribute", match), attributes)

    assert answer in (True, False, None)


@given(st.lists(ANSWERS))
def test_and_is_false_before_unknown_before_true(answers: list[bool | None]) -> None:
    expected = False if False in answers else None if None in answers else True

    assert ask(And(tuple(LEAVES[answer] for answer in answers)))[0] is expected


@given(st.lists(ANSWERS))
def test_or_is_true_before_unknown_before_false(answers: list[bool | None]) -> None:
    expected = True if True in answers else None if None in answers else False

    assert ask(Or(tuple(LEAVES[answer] for answer in answers)))[0] is expected


def test_not_turns_round_what_is_known() -> None:
    assert ask(Not(TRUE))[0] is False
    assert ask(Not(FALSE))[0] is True
    assert ask(Not(UNKNOWN))[0] is None
    assert ask(Not(None))[0] is None


def test_operands_after_the_deciding_one_are_not_looked_at() -> None:
    assert ask(Or((TRUE, UNKNOWN))) == (True, [])
    assert ask(And((FALSE, UNKNOWN))) == (False, [])


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        (Malformed([]), ReasonKind.CONDITION_MALFORMED),
        (Comparison("plan", "gold", None, "exact"), ReasonKind.CONDITION_TYPE_UNKNOWN),
        (Comparison("plan", "gold", "browser", "exact"), ReasonKind.CONDITION_TYPE_UNKNOWN),
        (Comparison("plan", "gold", "custom_attribute", "regex"), ReasonKind.MATCH_UNKNOWN),
        (UNKNOWN, ReasonKind.ATTRIBUTE_ABSENT),
        (Comparison(None, "gold", "custom_attribute", "exact"), ReasonKind.ATTRIBUTE_ABSENT),
        (Comparison("null", "x", "custom_attribute", "exact"), ReasonKind.ATTRIBUTE_NULL),
        (
            Comparison("plan", None, "custom_attribute", "exact"),
            ReasonKind.CONDITION_VALUE_UNUSABLE,
        ),
        (
            Comparison("plan", 1, "third_party_dimension", "gt"),
            ReasonKind.ATTRIBUTE_TYPE_UNEXPECTED,
        ),
        (Comparison("huge", 1, "custom_attribute", "gt"), ReasonKind.ATTRIBUTE_OUT_OF_RANGE),
        (Comparison("plan", "1.0", "custom_attribute", "semver_eq"), ReasonKind.VERSION_INVALID),
    ],
)
def test_what_cannot_be_known_is_noted_with_its_cause(
    condition: Condition, kind: ReasonKind
) -> None:
    attributes = {"plan": "gold", "null": None, "huge": 10**400}

    assert ask(condition, attributes) == (None, [kind])


def test_an_audience_is_found_by_its_id() -> None:
    project = Project("1", "2", "3", audiences=(Audience("20", "gold", ["or"], TRUE),))

    assert ask(AudienceRef("20"), project=project) == (
        True,
        [ReasonKind.AUDIENCE_STARTED, ReasonKind.AUDIENCE_ANSWERED],
    )
    assert ask(AudienceRef("21"), project=project) == (None, [ReasonKind.AUDIENCE_UNKNOWN])


def test_an_audience_without_a_tree_is_unknown() -> None:
    project = Project("1", "2", "3", audiences=(Audience("20", "bare", None, None),))

    assert ask(AudienceRef("20"), project=project)[0] is None


@pytest.mark.parametrize("suffix", ["", "+" + "x" * 200], ids=["short", "too long to be kept"])
def test_a_version_condition_answers_every_visitor_by_their_own_version(suffix: str) -> None:
    project = project_of(Comparison("v", "2.0", "custom_attribute", "semver_ge"))
    users = ["1.9" + suffix, "2.0.1" + suffix, "1.9" + suffix, "x" + suffix, "2.1" + suffix]

    for _ in range(2):
        answers = [ask(AudienceRef("20"), {"v": user}, project)[0] for user in users]
        assert answers == [False, True, False, None, True]


def test_an_audience_answers_by_the_project_it_is_asked_in() -> None:
    audiences = [project_of(TRUE), project_of(FALSE), PROJECT, project_of(TRUE)]
    rule = Experiment("1", "r", "Running", "2", (), (), ["20"], AudienceRef("20"))
    visitor = Visitor("u", {"plan": "gold"})

    answers = [is_in_audience(rule, Asked(p, visitor, Trace(WARNING))) for p in audiences]
    assert answers == [True, False, False, True]


def project_of(tree: Condition) -> Project:
    return Project("1", "2", "3", audiences=(Audience("20", "some", ["or"], tree),))
