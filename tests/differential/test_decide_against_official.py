"""Random datafiles and visitors: the official SDK and this one decide, explain and log the same."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from optimizely.event.event_processor import ForwardingEventProcessor
from optimizely.optimizely import Optimizely
from optimizely.optimizely_user_context import OptimizelyUserContext

from datafiles import MATCHES, NUMBERS, ODD_ATTRIBUTES, ODD_VALUES, VERSIONS, DatafileMaker, Guest
from tallybook.decide.rules import decide_flag
from tallybook.decide.variables import variable_values
from tallybook.model.decision import Visitor
from tallybook.model.project import Project
from tallybook.model.reason import ReasonKind, Trace
from tallybook.wire.datafile import read_datafile, write_datafile

GUESTS_PER_DATAFILE = 5

# A few words that tell the official SDK's reasons apart.
FRAGMENTS = {
    "Invalid variation is mapped to flag": ReasonKind.FORCED_FOR_FLAG_UNKNOWN,
    "is mapped to flag": ReasonKind.FORCED_FOR_FLAG,
    "is not running": ReasonKind.NOT_RUNNING,
    "is forced in variation": ReasonKind.ALLOWLISTED,
    "Evaluating audiences": ReasonKind.AUDIENCE_CHECKING,
    "collectively evaluated": ReasonKind.AUDIENCE_CHECKED,
    "does not meet the conditions for holdout": ReasonKind.HOLDOUT_CONDITIONS_NOT_MET,
    "is not bucketed into any variation for holdout": ReasonKind.NOT_HELD,
    "is bucketed into local holdout": ReasonKind.HELD_FROM_RULE,
    "is bucketed into holdout": ReasonKind.HELD_FROM_FLAG,
    "is bucketed into variation": ReasonKind.HELD_IN_VARIATION,
    "excludes targeted deliveries": ReasonKind.HOLDOUT_SPARES_DELIVERIES,
    "has excludeTargetedDeliveries": ReasonKind.DELIVERIES_NEXT,
    "is mapped to experiment": ReasonKind.FORCED_VARIATION,
    "Returning previously activated": ReasonKind.STORED_VARIATION,
    "does not meet audience conditions": ReasonKind.RULE_CONDITIONS_NOT_MET,
    "meets audience conditions": ReasonKind.RULE_CONDITIONS_MET,
    "does not meet conditions to be": ReasonKind.CONDITIONS_NOT_MET,
    "is not a string": ReasonKind.BUCKETING_ID_NOT_TEXT,
    "empty traffic range": ReasonKind.EMPTY_TRAFFIC_RANGE,
    "is in no variation": ReasonKind.IN_NO_VARIATION,
    "is in variation": ReasonKind.IN_VARIATION,
    "has no experiments": ReasonKind.ROLLOUT_WITHOUT_RULES,
    "not bucketed into a targeting rule": ReasonKind.RULE_NOT_BUCKETED,
    "bucketed into a targeting rule": ReasonKind.RULE_BUCKETED,
    "is in no experiment": ReasonKind.IN_NO_EXPERIMENT_OF_GROUP,
    "is not in experiment": ReasonKind.IN_OTHER_EXPERIMENT_OF_GROUP,
    "is in experiment": ReasonKind.IN_EXPERIMENT_OF_GROUP,
}
# What the official SDK logs for steps that are not part of deciding one flag here.
OTHER_LOGS = ("forced variation map", "ODP identify", "is enabled for user")
# Reasons that come before an experiment's own, and are repeated with them.
EARLY = {
    ReasonKind.FORCED_FOR_FLAG_UNKNOWN,
    ReasonKind.FORCED_FOR_RULE_UNKNOWN,
    ReasonKind.NOT_HELD,
    ReasonKind.HOLDOUT_CONDITIONS_NOT_MET,
    ReasonKind.HOLDOUT_SPARES_DELIVERIES,
}


class _Nowhere:
    @staticmethod
    def dispatch_event(event: object) -> None:
        """Send nothing."""


class _Levels(logging.Handler):
    """Keeps the levels of what the official SDK logs."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not any(other in record.getMessage() for other in OTHER_LOGS):
            self.levels.append(record.levelno)


class Official:
    """The official SDK with one datafile."""

    def __init__(self, datafile: str) -> None:
        self.log = _Levels()
        logger = logging.getLogger("official")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.handlers = [self.log]
        processor = ForwardingEventProcessor(_Nowhere)
        self.client = Optimizely(datafile, logger=logger, event_processor=processor)
        config = self.client.config_manager.get_config()
        assert config is not None, "the official SDK refused the datafile"

    def decide(self, flag_key: str, guest: Guest) -> dict[str, Any] | None:
        """What the official SDK decides; ``None`` where it raises."""
        attributes: Any = guest.attributes
        user: Any = self.client.create_user_context(guest.user_id, attributes)
        user.set_qualified_segments(guest.segments)
        for (forced_flag, rule), variation in guest.forced.items():
            user.set_forced_decision(
                OptimizelyUserContext.OptimizelyDecisionContext(forced_flag, rule),
                OptimizelyUserContext.OptimizelyForcedDecision(variation),
            )
        self.log.levels.clear()
        try:
            decision = user.decide(flag_key, ["INCLUDE_REASONS", "DISABLE_DECISION_EVENT"])
        except (IndexError, TypeError, ValueError):
            return None
        return {
            "variation": decision.variation_key,
            "rule": decision.rule_key,
            "enabled": decision.enabled,
            "variables": decision.variables,
            "reasons": [_kind(text) for text in decision.reasons],
            "log levels": list(self.log.levels),
        }


def _kind(text: str) -> ReasonKind:
    kind = next(kind for fragment, kind in FRAGMENTS.items() if fragment in text)
    for_rule = ", rule (" in text
    if for_rule and kind is ReasonKind.FORCED_FOR_FLAG:
        return ReasonKind.FORCED_FOR_RULE
    if for_rule and kind is ReasonKind.FORCED_FOR_FLAG_UNKNOWN:
        return ReasonKind.FORCED_FOR_RULE_UNKNOWN
    return kind


def our_decision(project: Project, flag_key: str, guest: Guest) -> dict[str, Any]:
    segments = None if guest.segments is None else frozenset(guest.segments)
    visitor = Visitor(guest.user_id, guest.attributes, guest.forced, segments)
    flag, trace = project.flag_by_key[flag_key], Trace()
    verdict = decide_flag(project, flag, visitor, trace)
    variables = variable_values(flag, verdict.variation, trace)
    assert all(reason.text for reason in trace.reasons)
    return {
        "variation": verdict.variation and verdict.variation.key,
        "rule": verdict.rule and verdict.rule.key,
        "enabled": verdict.variation is not None and verdict.variation.enabled,
        "variables": variables,
        "reasons": [reason.kind for reason in trace.reasons if reason.is_reason],
        "log levels": [reason.level for reason in trace.reasons],
    }


def assert_alike(ours: dict[str, Any], theirs: dict[str, Any], *, repeats: bool) -> None:
    # The official SDK repeats earlier reasons with every further experiment rule; we do not.
    if repeats or EARLY & set(ours["reasons"]):
        ours, theirs = ({**d, "reasons": list(dict.fromkeys(d["reasons"]))} for d in (ours, theirs))
    # As text, since NaN is not equal to itself.
    assert {k: repr(v) for k, v in ours.items()} == {k: repr(v) for k, v in theirs.items()}


@pytest.mark.parametrize("seed", range(150))
def test_both_decide_explain_and_log_alike_where_the_official_one_answers(seed: int) -> None:
    maker = DatafileMaker(Random(seed))
    datafile = maker.datafile()
    text = json.dumps(datafile)
    official, project = Official(text), read_datafile(text)
    for _ in range(GUESTS_PER_DATAFILE):
        guest = maker.guest(datafile)
        for flag in datafile["featureFlags"]:
            ours = our_decision(project, flag["key"], guest)  # answers where the other one raises
            theirs = official.decide(flag["key"], guest)
            if theirs is not None:
                assert_alike(ours, theirs, repeats=len(flag["experimentIds"]) > 1)


@pytest.mark.parametrize("seed", range(150, 180))
def test_the_official_sdk_decides_alike_from_a_datafile_we_wrote(seed: int) -> None:
    maker = DatafileMaker(Random(seed))
    datafile = maker.datafile()
    project = read_datafile(json.dumps(datafile))
    official = Official(write_datafile(project).decode())
    guest = maker.guest(datafile)
    for flag in datafile["featureFlags"]:
        theirs = official.decide(flag["key"], guest)
        if theirs is not None:
            ours = our_decision(project, flag["key"], guest)
            assert_alike(ours, theirs, repeats=len(flag["experimentIds"]) > 1)


def test_the_official_sdk_decides_the_conformance_cases_as_written() -> None:
    path = Path(__file__).parents[1] / "conformance/decisions.json"
    decisions = json.loads(path.read_text("utf-8"))
    official = Official(json.dumps(decisions["datafile"]))
    for case in decisions["cases"]:
        forced = {(flag, rule): variation for flag, rule, variation in case.get("forced", [])}
        guest = Guest(case["user"], case.get("attributes", {}), forced)
        decision = official.decide(case["flag"], guest)
        assert decision is not None, case["name"]
        got = {**decision, "reasons": set(decision["reasons"])}
        want = {**case["expect"], "reasons": set(case["expect"]["reasons"])}
        assert {key: got.get(key, want[key]) for key in want} == want, case["name"]


@pytest.mark.parametrize("match", [*MATCHES, None])
def test_both_answer_every_pair_of_values_alike(match: str | None) -> None:
    cases = list(_pairs(match or "exact"))
    wanted = {json.dumps(expected): expected for expected, _ in cases}
    text = json.dumps(_datafile_of_conditions(match, wanted))
    official, project = Official(text), read_datafile(text)
    for expected, actual in cases:
        guest = Guest("user", {"a": actual}, segments=["loyal"])
        for operator in ("or", "not"):  # unknown is what neither lets in
            flag_key = f"{operator} {json.dumps(expected)}"
            theirs = official.decide(flag_key, guest)
            ours = our_decision(project, flag_key, guest)
            if theirs is not None:
                assert_alike(ours, theirs, repeats=False)


def _pairs(match: str) -> Iterator[tuple[Any, Any]]:
    if match.startswith("semver"):
        return product((*VERSIONS, None, 2, True), (*VERSIONS, 2.0, None, True, ["2.0"]))
    if match in ("gt", "ge", "lt", "le"):
        return product((*NUMBERS, True, "18", None), (*NUMBERS, *ODD_ATTRIBUTES))
    if match == "qualified":
        return product(("loyal", "new", "", 7, None, True), ("x", None))
    return product((*NUMBERS, *ODD_VALUES), (*NUMBERS, *ODD_ATTRIBUTES))


def _datafile_of_conditions(match: str | None, wanted: dict[str, Any]) -> dict[str, Any]:
    keys = {
        f"{operator} {name}": (operator, value)
        for operator, (name, value) in product(("or", "not"), wanted.items())
    }
    condition = {"name": "a", "type": "custom_attribute", "match": match}
    return {
        "version": "4",
        "projectId": "1",
        "accountId": "2",
        "revision": "3",
        "attributes": [],
        "events": [],
        "audiences": [],
        "groups": [],
        "experiments": [],
        "typedAudiences": [
            {"id": key, "name": key, "conditions": [operator, {**condition, "value": value}]}
            for key, (operator, value) in keys.items()
        ],
        "rollouts": [{"id": key, "experiments": [_rule_for(key)]} for key in keys],
        "featureFlags": [
            {"id": key, "key": key, "experimentIds": [], "rolloutId": key, "variables": []}
            for key in keys
        ],
    }


def _rule_for(audience_id: str) -> dict[str, Any]:
    return {
        "id": audience_id,
        "key": audience_id,
        "status": "Running",
        "layerId": "1",
        "variations": [{"id": "1", "key": "on", "featureEnabled": True}],
        "trafficAllocation": [{"entityId": "1", "endOfRange": 10_000}],
        "audienceIds": [audience_id],
        "forcedVariations": {},
    }
