"""A trace that keeps less costs less, and is the only thing that differs."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls import rules_of
from datafiles import DatafileMaker
from tallybook.decide.rules import decide_experiment, decide_flag, decide_flags
from tallybook.decide.variables import variable_values
from tallybook.model.decision import Verdict, Visitor
from tallybook.model.memory import NO_MEMORY, Memory, Profile
from tallybook.model.prediction import Prediction
from tallybook.model.project import Experiment, Flag, Project
from tallybook.model.reason import DEBUG, ERROR, INFO, WARNING, Reason, ReasonKind, Trace
from tallybook.wire.datafile import read_datafile

NOTHING = ERROR + 10
QUIETER = (INFO, WARNING, ERROR, NOTHING)
HIT = Reason(ReasonKind.CMAB_CACHE_HIT, {"user": "u", "rule": "r"})


class Case:
    """A random project, visitor and memory; the same seed, the same case."""

    def __init__(self, seed: int) -> None:
        random = Random(seed)
        maker = DatafileMaker(random)
        datafile = maker.datafile()
        rules = rules_of(datafile)
        for experiment in datafile["experiments"]:
            if random.random() < 0.3:
                experiment["cmab"] = {"attributeIds": [], "trafficAllocation": 8_000}
        self.project = read_datafile(json.dumps(datafile))
        guest = maker.guest(datafile)
        segments = None if guest.segments is None else frozenset(guest.segments)
        self.visitor = Visitor(guest.user_id, guest.attributes, guest.forced, segments)
        self._forced = self._some(random, rules) if random.random() < 0.3 else {}
        self._stored = self._some(random, rules) if random.random() < 0.5 else None
        ids = [v["id"] for rule in rules for v in rule["variations"]]
        self._predicted = {rule["id"]: random.choice([*ids, "gone", None]) for rule in rules}

    @staticmethod
    def _some(random: Random, rules: list[dict[str, Any]]) -> dict[str, str]:
        some = [rule for rule in rules if random.random() < 0.3]
        return {r["id"]: random.choice([r["variations"][0]["id"], "gone"]) for r in some}

    def memory(self) -> Memory:
        if not self._forced and self._stored is None:
            return NO_MEMORY
        profile = None if self._stored is None else Profile(stored=self._stored)
        return Memory(self._forced, profile, self._predict)

    def _predict(self, experiment: Experiment, _: Visitor) -> Prediction:
        variation_id = self._predicted[experiment.id]
        return Prediction(variation_id, "uuid", (HIT,), cause="" if variation_id else "no answer")


def decided(case: Case, flag: Flag, level: int) -> tuple[object, list[Reason]]:
    """What came of a flag, and every step that was kept."""
    memory, trace = case.memory(), Trace(level)
    verdict = decide_flag(case.project, flag, case.visitor, trace, memory)
    return outcome(flag, verdict, trace, memory), trace.reasons


def outcome(flag: Flag, verdict: Verdict, trace: Trace, memory: Memory) -> object:
    values = repr(variable_values(flag, verdict.variation, trace))  # NaN is not equal to itself
    return verdict, values, memory.profile and memory.profile.recorded


@given(st.integers(0, 10**6), st.sampled_from(QUIETER))
def test_a_quieter_trace_keeps_the_loud_steps_of_the_same_decision(seed: int, level: int) -> None:
    case = Case(seed)
    for flag in case.project.flags:
        (verdict, *rest), steps = decided(case, flag, DEBUG)
        again, kept = decided(case, flag, level)
        assert again == (verdict, *rest)
        kept_from = DEBUG if verdict.is_error else level  # an error shows its reasons unasked
        assert kept == [step for step in steps if step.level >= kept_from]


@given(st.integers(0, 10**6), st.sampled_from((DEBUG, *QUIETER)))
def test_flags_decided_together_are_decided_as_each_alone(seed: int, level: int) -> None:
    case = Case(seed)
    flags = case.project.flags * 2  # so that every audience was asked before
    if case.memory().profile is None:
        together = decide_flags(case.project, flags, case.visitor, case.memory(), at_least=level)
        for flag, verdict, trace in together:
            result = outcome(flag, verdict, trace, case.memory())
            assert (result, trace.reasons) == decided(case, flag, level)


@given(st.integers(0, 10**6))
def test_an_experiment_is_decided_alike_whoever_reads_the_steps(seed: int) -> None:
    case = Case(seed)
    for experiment in case.project.experiments:
        traces = [Trace(), Trace(WARNING)]
        variations = [
            decide_experiment(case.project, experiment, case.visitor, trace, case.memory())
            for trace in traces
        ]
        assert variations[0] == variations[1]
        assert traces[0].at_least(WARNING) == traces[1].reasons


@pytest.mark.parametrize("level", [WARNING, ERROR])
def test_warnings_are_kept_each_time_an_audience_is_asked(level: int) -> None:
    project = _project_with_an_odd_audience()
    visitor = Visitor("user", {"plan": 7})
    flag = project.flags[0]
    traces = [trace for _, _, trace in decide_flags(project, (flag, flag), visitor, at_least=level)]
    kinds = [[step.kind for step in trace.reasons] for trace in traces]
    expected = [ReasonKind.ATTRIBUTE_TYPE_UNEXPECTED] if level == WARNING else []
    assert kinds == [expected, expected]


def _project_with_an_odd_audience() -> Project:
    leaf = {"type": "custom_attribute", "name": "plan", "match": "exact", "value": "gold"}
    rule = {
        "id": "1",
        "key": "rule",
        "status": "Running",
        "layerId": "2",
        "variations": [{"id": "3", "key": "on", "featureEnabled": True}],
        "trafficAllocation": [{"entityId": "3", "endOfRange": 10_000}],
        "audienceIds": ["4"],
        "forcedVariations": {},
    }
    flag = {"id": "5", "key": "flag", "experimentIds": ["1"], "rolloutId": "", "variables": []}
    return read_datafile(
        json.dumps(
            {
                "version": "4",
                "projectId": "1",
                "accountId": "2",
                "revision": "3",
                "attributes": [],
                "events": [],
                "audiences": [],
                "typedAudiences": [{"id": "4", "name": "gold", "conditions": ["or", leaf]}],
                "groups": [],
                "rollouts": [],
                "experiments": [rule],
                "featureFlags": [flag],
            }
        )
    )
