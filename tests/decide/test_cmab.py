"""Contextual bandits, as a prediction service answers, and as the official SDK decides them."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest
from optimizely.cmab.cmab_service import CmabDecision
from optimizely.event.event_processor import ForwardingEventProcessor
from optimizely.optimizely import Optimizely

from tallybook.decide.rules import decide_experiment, decide_flag
from tallybook.model.decision import DecisionSource, Verdict, Visitor
from tallybook.model.memory import Memory, Predict, Profile
from tallybook.model.prediction import Prediction
from tallybook.model.project import Experiment, Project
from tallybook.model.reason import ERROR, WARNING, Reason, ReasonKind, Trace
from tallybook.wire.datafile import read_datafile

ON, OFF = "1", "2"
REMARK = Reason(ReasonKind.CMAB_REMARK, {"remark": "as they said"})
ALL, NONE = (
    {"attributeIds": [], "trafficAllocation": 10_000},
    {"attributeIds": [], "trafficAllocation": 0},
)
# What the official SDK's reasons say, as fragments long enough to tell them apart.
FRAGMENTS = {
    "Evaluating audiences for": ReasonKind.AUDIENCE_CHECKING,
    "collectively evaluated to": ReasonKind.AUDIENCE_CHECKED,
    "as they said": ReasonKind.CMAB_REMARK,
    "due to traffic allocation": ReasonKind.CMAB_NOT_ALLOCATED,
    "Failed to fetch CMAB": ReasonKind.CMAB_FAILED,
    "is not running": ReasonKind.NOT_RUNNING,
    "is forced in variation": ReasonKind.ALLOWLISTED,
    "Returning previously activated": ReasonKind.STORED_VARIATION,
    "does not meet conditions to be": ReasonKind.CONDITIONS_NOT_MET,
    "is not a string": ReasonKind.BUCKETING_ID_NOT_TEXT,
    "is in no variation": ReasonKind.IN_NO_VARIATION,
    "is in variation": ReasonKind.IN_VARIATION,
    "is in no experiment": ReasonKind.IN_NO_EXPERIMENT_OF_GROUP,
    "is in experiment": ReasonKind.IN_EXPERIMENT_OF_GROUP,
    "meets audience conditions": ReasonKind.RULE_CONDITIONS_MET,
    "bucketed into a targeting rule": ReasonKind.RULE_BUCKETED,
    "invalid variation": ReasonKind.FORCED_FOR_RULE_UNKNOWN,
}
UNLOGGED = {ReasonKind.CMAB_REMARK}  # the service of these tests does not log
# What the official SDK logs for steps that are not part of deciding one flag here.
OTHER_LOGS = (
    "forced variation map",
    "ODP",
    "is enabled for user",
    "User profile",
    "Found a stored",
)


@dataclass
class Scene:
    """A bandit's rule before a rule for everyone, a visitor, and what is known and predicted."""

    rule: dict[str, Any] = field(default_factory=dict)
    everyone: dict[str, Any] = field(default_factory=dict)
    predicted: str | None = ON
    attributes: dict[str, object] = field(default_factory=dict)
    stored: dict[str, str] | None = None
    in_group: int | None = None  # the share of a group, in basis points
    user: str = "visitor"

    def datafile(self) -> dict[str, Any]:
        rule = {**rule_of("100", "bandit", [(ON, "on"), (OFF, "off")]), "cmab": ALL, **self.rule}
        group = {
            "id": "g",
            "policy": "random",
            "trafficAllocation": [{"entityId": "100", "endOfRange": self.in_group}],
            "experiments": [rule],
        }
        everyone = rule_of("300", "everyone", [("31", "rolled")])
        everyone["trafficAllocation"] = [{"entityId": "31", "endOfRange": 10_000}]
        everyone |= self.everyone
        leaf = {"type": "custom_attribute", "name": "plan", "match": "exact", "value": "gold"}
        return {
            "version": "4",
            "projectId": "1",
            "accountId": "2",
            "revision": "3",
            "attributes": [{"id": "7", "key": "plan"}],
            "events": [],
            "audiences": [],
            "typedAudiences": [{"id": "a1", "name": "gold", "conditions": ["or", leaf]}],
            "experiments": [] if self.in_group is not None else [rule],
            "groups": [] if self.in_group is None else [group],
            "rollouts": [{"id": "r", "experiments": [everyone]}],
            "featureFlags": [
                {
                    "id": "f",
                    "key": "flag",
                    "experimentIds": ["100"],
                    "rolloutId": "r",
                    "variables": [],
                }
            ],
        }

    @property
    def project(self) -> Project:
        return read_datafile(json.dumps(self.datafile()))

    def memory(self) -> Memory:
        profile = None if self.stored is None else Profile(stored=self.stored)
        return Memory(profile=profile, predict=service(self.predicted))

    def decide(self, trace: Trace | None = None, memory: Memory | None = None) -> Verdict:
        project, visitor = self.project, Visitor(self.user, self.attributes)
        flag = project.flag_by_key["flag"]
        return decide_flag(project, flag, visitor, trace or Trace(), memory or self.memory())


def rule_of(identity: str, key: str, variations: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": identity,
        "key": key,
        "status": "Running",
        "layerId": "L",
        "variations": [{"id": i, "key": k, "featureEnabled": k != "off"} for i, k in variations],
        "trafficAllocation": [],
        "audienceIds": [],
        "forcedVariations": {},
    }


def service(variation_id: str | None) -> Predict:
    def predict(experiment: Experiment, visitor: Visitor) -> Prediction:
        assert (experiment.id, visitor.user_id) == ("100", "visitor")
        if variation_id is None:
            return Prediction(None, cause="the service did not answer")
        return Prediction(variation_id, "a uuid", (REMARK,))

    return predict


def kinds(trace: Trace) -> list[ReasonKind]:
    return [reason.kind for reason in trace.reasons]


SCENES = {
    "predicted": Scene(),
    "predicted, and off": Scene(predicted=OFF),
    "outside the traffic": Scene({"cmab": NONE}),
    "failed": Scene(predicted=None),
    "an unknown variation": Scene(predicted="gone"),
    "in its group": Scene(in_group=10_000),
    "in no experiment of its group": Scene(in_group=0),
    "in the audience": Scene({"audienceIds": ["a1"]}, attributes={"plan": "gold"}),
    "not in the audience": Scene({"audienceIds": ["a1"]}, attributes={"plan": "free"}),
    "a bucketing id that is no text": Scene(attributes={"$opt_bucketing_id": 7}),
    "allowlisted": Scene({"forcedVariations": {"visitor": "off"}}),
    "stored": Scene(stored={"100": OFF}),
    "not running": Scene({"status": "Paused"}),
    "a bandit in a rollout": Scene({"status": "Paused"}, everyone={"cmab": ALL}),
    "a blank key": Scene({"key": " "}),
}


class Official:
    """The official SDK, with a prediction service and profiles in memory."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.saved: list[Any] = []
        self.levels: list[int] = []
        self.errors: list[str] = []
        self.sent: list[Any] = []
        logger = logging.Logger("official")  # noqa: LOG001 - one of this test's own
        logger.addHandler(self.handler())
        self.client = Optimizely(
            json.dumps(scene.datafile()),
            event_processor=ForwardingEventProcessor(self),
            logger=logger,
            error_handler=self,
            user_profile_service=self if scene.stored is not None else None,
            cmab_service=self,
        )

    def handler(self) -> logging.Handler:
        handler = logging.Handler()
        handler.emit = lambda record: (  # type: ignore[method-assign]
            None
            if any(other in record.getMessage() for other in OTHER_LOGS)
            else self.levels.append(record.levelno)
        )
        return handler

    def dispatch_event(self, event: Any) -> None:
        self.sent += event.params["visitors"][0]["snapshots"][0]["decisions"]

    def handle_error(self, error: Exception) -> None:
        self.errors.append(type(error).__name__)

    def lookup(self, user_id: str) -> Any:
        buckets = {rule: {"variation_id": v} for rule, v in (self.scene.stored or {}).items()}
        return {"user_id": user_id, "experiment_bucket_map": buckets}

    def save(self, profile: Any) -> None:
        self.saved.append(profile)

    def get_decision(self, *_: Any) -> Any:
        if self.scene.predicted is None:
            raise RuntimeError("the service did not answer")
        decision = CmabDecision(variation_id=self.scene.predicted, cmab_uuid="a uuid")
        return decision, ["as they said"]

    def decide(self) -> Any:
        attributes: Any = self.scene.attributes
        user: Any = self.client.create_user_context(self.scene.user, attributes)
        self.levels.clear()
        return user.decide("flag", ["INCLUDE_REASONS"])


def kind_of(text: str) -> ReasonKind:
    return next(kind for fragment, kind in FRAGMENTS.items() if fragment in text)


@pytest.mark.parametrize("name", SCENES)
def test_the_official_sdk_decides_explains_and_logs_a_bandit_alike(name: str) -> None:
    scene = SCENES[name]
    official, trace, memory = Official(scene), Trace(), scene.memory()
    theirs, ours = official.decide(), scene.decide(trace, memory)

    assert (theirs.variation_key, theirs.rule_key) == place(ours)
    assert [kind_of(text) for text in theirs.reasons] == [
        r.kind for r in trace.reasons if r.is_reason
    ]
    assert official.levels == [r.level for r in trace.reasons if r.kind not in UNLOGGED]
    assert not official.saved
    assert not (memory.profile and memory.profile.recorded)
    unknown = ReasonKind.CMAB_VARIATION_UNKNOWN in kinds(trace)
    assert official.errors == (["InvalidVariationException"] if unknown else [])
    uuids = [decision["metadata"].get("cmab_uuid") for decision in official.sent]
    assert uuids == (
        [ours.cmab_uuid] if ours.source is DecisionSource.FEATURE_TEST and not ours.is_error else []
    )


def place(verdict: Verdict) -> tuple[str | None, str | None]:
    if verdict.is_error:
        return None, None
    return verdict.variation and verdict.variation.key, verdict.rule and verdict.rule.key


def test_what_is_predicted_decides_and_carries_the_name_of_the_prediction() -> None:
    verdict = Scene(predicted=OFF).decide()

    assert place(verdict) == ("off", "bandit")
    assert verdict.source is DecisionSource.FEATURE_TEST
    assert (verdict.cmab_uuid, verdict.is_error) == ("a uuid", False)


def test_a_failed_prediction_is_an_error_that_no_other_rule_makes_good() -> None:
    trace = Trace()
    verdict = Scene(predicted=None).decide(trace)

    assert verdict.is_error
    assert verdict.rule is not None
    assert verdict.rule.key == "bandit"
    assert (verdict.variation, verdict.cmab_uuid) == (None, None)
    assert trace.reasons[-1].text == (
        'No variation of experiment "bandit" was predicted: the service did not answer.'
    )


def test_without_a_prediction_service_there_is_the_same_error() -> None:
    trace = Trace()
    verdict = Scene().decide(trace, Memory())

    assert verdict.is_error
    assert trace.reasons[-1].level == ERROR
    assert trace.reasons[-1].text.endswith("was predicted: there is no prediction service.")


def test_an_error_has_all_of_its_steps_and_asks_once_also_where_the_trace_is_quiet() -> None:
    asked: list[str] = []

    def predict(experiment: Experiment, _: Visitor) -> Prediction:
        asked.append(experiment.key)
        return Prediction(None, cause="once is enough")

    full, quiet = Trace(), Trace(WARNING)
    verdicts = [Scene().decide(trace, Memory(predict=predict)) for trace in (full, quiet)]

    assert verdicts[0] == verdicts[1]
    assert quiet.reasons == full.reasons
    assert asked == ["bandit", "bandit"]  # once a decision


def test_an_unknown_variation_is_noted_as_an_error_and_falls_through() -> None:
    trace = Trace(WARNING)
    verdict = Scene(predicted="gone").decide(trace)

    assert place(verdict) == ("rolled", "everyone")
    assert (verdict.cmab_uuid, verdict.is_error) == (None, False)
    assert [(reason.kind, reason.level) for reason in trace.reasons] == [
        (ReasonKind.CMAB_VARIATION_UNKNOWN, ERROR)
    ]


def test_what_is_predicted_is_never_recorded() -> None:
    memory = Memory(profile=Profile(), predict=service(ON))
    Scene().decide(memory=memory)

    assert memory.profile is not None
    assert memory.profile.recorded == {}


@pytest.mark.parametrize(
    "scene", [SCENES["allowlisted"], SCENES["stored"], SCENES["outside the traffic"]]
)
def test_nothing_is_predicted_for_whom_it_is_settled_already(scene: Scene) -> None:
    def predict(*_: object) -> Prediction:
        raise AssertionError("asked")

    memory = Memory(profile=scene.memory().profile, predict=predict)
    assert scene.decide(memory=memory).cmab_uuid is None


def test_what_was_forced_on_the_client_goes_before_the_prediction() -> None:
    verdict = Scene().decide(memory=Memory({"100": OFF}, predict=service(ON)))

    assert place(verdict) == ("off", "bandit")
    assert verdict.cmab_uuid is None


def test_what_was_forced_for_the_rule_goes_before_the_prediction() -> None:
    project = Scene().project
    visitor = Visitor("visitor", forced={("flag", "bandit"): "off"})
    flag = project.flag_by_key["flag"]
    verdict = decide_flag(project, flag, visitor, Trace(), Memory(predict=service(ON)))

    assert place(verdict) == ("off", "bandit")
    assert verdict.cmab_uuid is None


def test_a_local_holdout_goes_before_the_prediction() -> None:
    document = Scene().datafile()
    holdout = rule_of("h", "holdout", [("91", "held")]) | {"includedRules": ["100"]}
    holdout["trafficAllocation"] = [{"entityId": "91", "endOfRange": 10_000}]
    project = read_datafile(json.dumps(document | {"localHoldouts": [holdout]}))
    flag = project.flag_by_key["flag"]
    verdict = decide_flag(project, flag, Visitor("visitor"), Trace(), Memory(predict=service(ON)))

    assert place(verdict) == ("held", "holdout")


def test_an_experiment_asked_for_by_itself_is_predicted_and_a_failure_is_no_variation() -> None:
    project, visitor = Scene().project, Visitor("visitor")
    bandit = project.experiment_by_key["bandit"]
    answers = [
        decide_experiment(project, bandit, visitor, Trace(), Memory(predict=service(variation_id)))
        for variation_id in (ON, None)
    ]

    assert [variation and variation.key for variation in answers] == ["on", None]
