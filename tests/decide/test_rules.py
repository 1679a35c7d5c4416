from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafiles import DatafileMaker
from tallybook.decide.rules import decide_experiment, decide_flag
from tallybook.decide.variables import variable_values
from tallybook.model.decision import DecisionSource, Visitor
from tallybook.model.project import Flag, Project
from tallybook.model.reason import ReasonKind, Trace
from tallybook.wire.datafile import read_datafile

DECISIONS = json.loads(
    (Path(__file__).parents[1] / "conformance/decisions.json").read_text("utf-8")
)
PROJECT = read_datafile(json.dumps(DECISIONS["datafile"]))


@pytest.mark.parametrize("case", DECISIONS["cases"], ids=lambda case: case["name"])
def test_flags_are_decided_as_written_in_the_conformance_cases(case: dict[str, Any]) -> None:
    forced = {(flag, rule): variation for flag, rule, variation in case.get("forced", [])}
    visitor = Visitor(case["user"], case.get("attributes", {}), forced)
    flag, trace = PROJECT.flag_by_key[case["flag"]], Trace()

    verdict = decide_flag(PROJECT, flag, visitor, trace)

    assert {
        "variation": verdict.variation and verdict.variation.key,
        "rule": verdict.rule and verdict.rule.key,
        "source": verdict.source,
        "enabled": verdict.variation is not None and verdict.variation.enabled,
        "variables": variable_values(flag, verdict.variation, trace),
        "reasons": [reason.kind for reason in trace.reasons if reason.is_reason],
    } == case["expect"]


def test_an_experiment_is_decided_without_what_was_forced_for_its_flag() -> None:
    experiment = PROJECT.experiment_by_key["gold_only"]
    visitor = Visitor("u1", {"plan": "gold"}, {("tested", "gold_only"): "off"})
    variation = decide_experiment(PROJECT, experiment, visitor, Trace())

    assert variation is not None
    assert variation.key == "on"


def test_of_experiments_with_one_key_the_allowlist_uses_the_last_ones_variations() -> None:
    datafile = json.loads(json.dumps(DECISIONS["datafile"]))
    *_, last = datafile["experiments"]
    last.update(key="gapped", type=None)
    last["variations"] = [{"id": "1", "key": "off", "featureEnabled": True}]
    project = read_datafile(json.dumps(datafile))

    verdict = decide_flag(project, project.flag_by_key["gapped"], Visitor("alice"), Trace())

    assert verdict.rule is project.flag_by_key["gapped"].experiments[0]
    assert verdict.variation is not None
    assert verdict.variation.id == "1"


def test_a_flag_that_names_a_rollout_it_does_not_have_says_so() -> None:
    flag, trace = Flag("1", "checkout", (), "60", None, ()), Trace()
    verdict = decide_flag(PROJECT, flag, Visitor("u"), trace)

    assert (verdict.rule, verdict.variation) == (None, None)
    assert verdict.source is DecisionSource.ROLLOUT
    assert [reason.kind for reason in trace.reasons if reason.is_reason] == [
        ReasonKind.ROLLOUT_UNKNOWN
    ]


@given(st.integers(0, 10**6))
def test_deciding_never_raises_and_says_the_same_twice(seed: int) -> None:
    maker = DatafileMaker(Random(seed))
    datafile = maker.datafile()
    project = read_datafile(json.dumps(datafile))
    guest = maker.guest(datafile)
    visitor = Visitor(guest.user_id, guest.attributes, guest.forced)

    for flag in project.flags:
        assert _decide(project, flag, visitor) == _decide(project, flag, visitor)


def _decide(project: Project, flag: Flag, visitor: Visitor) -> tuple[object, list[str]]:
    trace = Trace()
    verdict = decide_flag(project, flag, visitor, trace)
    values = repr(variable_values(flag, verdict.variation, trace))
    return (verdict, values), [reason.text for reason in trace.reasons]
