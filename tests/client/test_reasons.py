"""Every kind of reason comes about through a client, and is documented."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from shop import datafile, flag, rule
from tallybook import (
    Client,
    DatafileError,
    DecideOption,
    Decision,
    DecisionContext,
    ForcedDecision,
    UserContext,
)
from tallybook.client.service_settings import CmabSettings
from tallybook.deliver.answer import Reply
from tallybook.model.reason import Reason, ReasonKind
from tallybook.testing import Letterbox

DOCUMENTED = Path(__file__).parents[2] / "docs" / "reference" / "reasons.md"
K = ReasonKind
REASONS = [kind for kind in ReasonKind if Reason(kind).is_reason]
# What no client of the native face comes upon, and why.
OUT_OF_REACH: Mapping[ReasonKind, str] = {
    K.ROLLOUT_UNKNOWN: "a datafile whose flag names an unknown rollout is refused",
    K.CMAB_REMARK: "only a prediction service of one's own, in the drop-in, has remarks",
}
GOLD_ONLY = {"audienceConditions": ["a1"]}
NOBODY = {"trafficAllocation": [{"entityId": "101", "endOfRange": 0}]}


class Service(Letterbox):
    """A prediction service that has one answer to everything."""

    def __init__(self, status: int = HTTPStatus.OK, variation_id: str = "101") -> None:
        super().__init__()
        body = {"predictions": [{"variation_id": variation_id}]}
        self._reply = Reply(status, text=json.dumps(body), body=json.dumps(body).encode())

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return self._reply if "predict" in url else super().post(url, body, headers)


def decided(
    changes: Mapping[str, Any] | None = None,
    *,
    key: str = "tested",
    options: tuple[str, ...] = (),
    before: Callable[[UserContext, Client], object] = lambda *_: None,
    attributes: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Decision:
    """What a client with such a datafile decides for one user."""
    settings = {"http": Letterbox(), **settings}
    client = Client(json.dumps(datafile(**(changes or {}))), **settings)
    user = client.create_user_context("user", attributes)
    before(user, client)
    decision = user.decide(key, [DecideOption.INCLUDE_REASONS, *options])
    client.close(5)
    return decision


def unready() -> Decision:
    client = Client(sdk_key="key", http=Letterbox())
    decision = client.create_user_context("user").decide("tested")
    client.close(0)
    return decision


def with_rule(**changes: Any) -> dict[str, Any]:
    """The datafile in which the rule of `tested` is changed so."""
    first, *others = datafile()["experiments"]
    return {"experiments": [{**first, **changes}, *others]}


def forced(place: DecisionContext, variation: str) -> Callable[[UserContext, Client], object]:
    return lambda user, _: user.set_forced_decision(place, ForcedDecision(variation))


def grouped(*allocation: tuple[str, int]) -> dict[str, Any]:
    """The datafile in which the rule of `tested` is in a group that allots its traffic so."""
    first, second = datafile()["experiments"]
    ranges = [{"entityId": entity, "endOfRange": end} for entity, end in allocation]
    group = {"id": "g", "policy": "random", "trafficAllocation": ranges, "experiments": [first]}
    return {"experiments": [second], "groups": [group]}


def held(**changes: Any) -> dict[str, Any]:
    """A holdout of everybody, but for the changes."""
    return {
        "id": "900",
        "key": "holdout",
        "status": "Running",
        "audienceIds": [],
        "variations": [{"id": "901", "key": "off", "featureEnabled": False}],
        "trafficAllocation": [{"entityId": "901", "endOfRange": 10_000}],
        **changes,
    }


def predicted(
    *, traffic: int = 10_000, service: Service | None = None, waits: bool = True, **how: Any
) -> Decision:
    """What a contextual bandit decides."""
    bandit = {"type": "cmab", "cmab": {"attributeIds": ["601"], "trafficAllocation": traffic}}
    cmab = CmabSettings(endpoint="http://predict.invalid/{}", waits=waits)
    return decided(with_rule(**bandit), http=service or Service(), cmab=cmab, **how)


def once(user: UserContext, _: Client) -> None:
    user.decide("tested")


def once_otherwise(user: UserContext, _: Client) -> None:
    user.decide("tested")
    user.set_attribute("plan", "gold")


class Profiles:
    """Says that every user had the one variation of `tested`."""

    def lookup(self, user_id: str) -> dict[str, Any]:
        return {"user_id": user_id, "experiment_bucket_map": {"100": {"variation_id": "101"}}}

    def save(self, user_profile: dict[str, Any]) -> None:
        """Forget it."""


FLAG, RULE = DecisionContext("tested"), DecisionContext("tested", "test")
NO_RULES = {"rollouts": [{"id": "r3", "experiments": []}, datafile()["rollouts"][1]]}

SCENARIOS: Mapping[ReasonKind, Callable[[], Decision]] = {
    K.NOT_READY: unready,
    K.FLAG_UNKNOWN: lambda: decided(key="unknown"),
    K.FORCED_FOR_FLAG: lambda: decided(before=forced(FLAG, "test_on")),
    K.FORCED_FOR_RULE: lambda: decided(before=forced(RULE, "test_on")),
    K.FORCED_FOR_FLAG_UNKNOWN: lambda: decided(before=forced(FLAG, "unknown")),
    K.FORCED_FOR_RULE_UNKNOWN: lambda: decided(before=forced(RULE, "unknown")),
    K.NOT_RUNNING: lambda: decided(with_rule(status="Paused")),
    K.ALLOWLISTED: lambda: decided(with_rule(forcedVariations={"user": "test_on"})),
    K.AUDIENCE_CHECKING: decided,
    K.AUDIENCE_CHECKED: decided,
    K.CONDITIONS_NOT_MET: lambda: decided(with_rule(**GOLD_ONLY)),
    K.FORCED_VARIATION: lambda: decided(
        before=lambda _, client: client.set_forced_variation("test", "user", "test_on")
    ),
    K.STORED_VARIATION: lambda: decided(user_profile_service=Profiles()),
    K.HELD_IN_VARIATION: lambda: decided({"holdouts": [held()]}),
    K.NOT_HELD: lambda: decided({"holdouts": [held(trafficAllocation=[])]}),
    K.HOLDOUT_CONDITIONS_NOT_MET: lambda: decided({"holdouts": [held(**GOLD_ONLY)]}),
    K.HELD_FROM_FLAG: lambda: decided({"holdouts": [held()]}),
    K.HELD_FROM_RULE: lambda: decided({"localHoldouts": [held(includedRules=["100"])]}),
    K.HOLDOUT_SPARES_DELIVERIES: lambda: decided(
        {"holdouts": [held(excludeTargetedDeliveries=True)]}
    ),
    K.DELIVERIES_NEXT: lambda: decided({"holdouts": [held(excludeTargetedDeliveries=True)]}),
    K.BUCKETING_ID_NOT_TEXT: lambda: decided(attributes={"$opt_bucketing_id": 7}),
    K.IN_NO_EXPERIMENT_OF_GROUP: lambda: decided(grouped(("", 10_000))),
    K.IN_OTHER_EXPERIMENT_OF_GROUP: lambda: decided(grouped(("200", 10_000))),
    K.IN_EXPERIMENT_OF_GROUP: lambda: decided(grouped(("100", 10_000))),
    K.EMPTY_TRAFFIC_RANGE: lambda: decided(
        with_rule(trafficAllocation=[{"entityId": "", "endOfRange": 10_000}])
    ),
    K.IN_VARIATION: decided,
    K.IN_NO_VARIATION: lambda: decided(with_rule(**NOBODY)),
    K.ROLLOUT_WITHOUT_RULES: lambda: decided(NO_RULES, key="delivered"),
    K.RULE_CONDITIONS_MET: lambda: decided(key="delivered"),
    K.RULE_CONDITIONS_NOT_MET: lambda: decided(key="for_gold"),
    K.RULE_BUCKETED: lambda: decided(key="delivered"),
    K.RULE_NOT_BUCKETED: lambda: decided(
        {
            "rollouts": [
                {"id": "r6", "experiments": [rule(6, "few", traffic=0), rule(7, "rest")]},
            ],
            "featureFlags": [flag("delivered", rollout="r6")],
        },
        key="delivered",
    ),
    K.CMAB_NOT_ALLOCATED: lambda: predicted(traffic=0),
    K.CMAB_CACHE_IGNORED: lambda: predicted(options=("IGNORE_CMAB_CACHE",)),
    K.CMAB_CACHE_RESET: lambda: predicted(options=("RESET_CMAB_CACHE",)),
    K.CMAB_CACHE_INVALIDATED: lambda: predicted(options=("INVALIDATE_USER_CMAB_CACHE",)),
    K.CMAB_CACHE_HIT: lambda: predicted(before=once),
    K.CMAB_CACHE_MISMATCH: lambda: predicted(before=once_otherwise),
    K.CMAB_CACHE_MISS: predicted,
    K.CMAB_PREDICTED: predicted,
    K.CMAB_PENDING: lambda: predicted(waits=False),
    K.CMAB_FAILED: lambda: predicted(service=Service(HTTPStatus.BAD_REQUEST)),
}


def test_every_reason_has_a_scenario_or_a_cause_why_there_is_none() -> None:
    assert sorted(SCENARIOS.keys() | OUT_OF_REACH.keys()) == sorted(REASONS)
    assert not SCENARIOS.keys() & OUT_OF_REACH.keys()


@pytest.mark.parametrize("kind", SCENARIOS)
def test_a_reason_comes_about(kind: ReasonKind) -> None:
    decision = SCENARIOS[kind]()
    assert kind in decision.reason_kinds
    assert all(step.is_reason for step in decision.steps)
    assert decision.reasons == [step.text for step in decision.steps]
    assert not any(re.search(r"\{\w+\}", sentence) for sentence in decision.reasons)


def test_an_unknown_rollout_refuses_the_datafile() -> None:
    with pytest.raises(DatafileError, match=r"\$\.featureFlags\[0\]\.rolloutId"):
        decided({"featureFlags": [flag("delivered", rollout="unknown")]})


def test_every_reason_is_documented() -> None:
    told, logged = DOCUMENTED.read_text(encoding="utf-8").split("## Told in the log only")
    assert re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE) == REASONS
    others = [kind for kind in ReasonKind if kind not in REASONS]
    assert re.findall(r"^\| `(\w+)` \|", logged, re.MULTILINE) == others
