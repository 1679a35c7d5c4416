from __future__ import annotations

import json
from typing import Any

from shop import datafile
from tallybook.decide.rules import decide_experiment, decide_flag
from tallybook.decide.variables import variable_values
from tallybook.model.decision import DecisionSource, Verdict, Visitor
from tallybook.model.memory import Memory, Profile
from tallybook.model.project import Holdout, Project
from tallybook.model.reason import ReasonKind, Trace
from tallybook.wire.datafile import read_datafile, write_datafile


def holdout(number: int, **changes: Any) -> dict[str, Any]:
    """A holdout that holds everyone."""
    return {
        "id": f"h{number}",
        "key": f"holdout_{number}",
        "status": "Running",
        "audienceIds": [],
        "variations": [{"id": f"90{number}", "key": "held", "featureEnabled": False}],
        "trafficAllocation": [{"entityId": f"90{number}", "endOfRange": 10_000}],
    } | changes


def project(**changes: Any) -> Project:
    return read_datafile(json.dumps(datafile(**changes)))


def decide(
    where: Project, flag: str, memory: Memory | None = None
) -> tuple[Verdict, list[ReasonKind]]:
    trace = Trace()
    verdict = decide_flag(
        where, where.flag_by_key[flag], Visitor("user"), trace, memory or Memory()
    )
    return verdict, [reason.kind for reason in trace.reasons if reason.is_reason]


def place(verdict: Verdict) -> tuple[str | None, str | None, str]:
    rule, variation = verdict.rule, verdict.variation
    return rule and rule.key, variation and variation.key, verdict.source.value


def test_a_global_holdout_holds_everyone_it_buckets_back_from_every_flag() -> None:
    where = project(holdouts=[holdout(1)])
    for flag in ("tested", "delivered", "for_gold"):
        assert place(decide(where, flag)[0]) == ("holdout_1", "held", "holdout")


def test_only_running_holdouts_hold() -> None:
    where = project(holdouts=[holdout(1, status="Concluded")])
    assert place(decide(where, "tested")[0]) == ("test", "test_on", "feature-test")
    assert not any(kind.name.startswith("HELD") for kind in decide(where, "tested")[1])


def test_the_first_holdout_that_buckets_the_visitor_holds() -> None:
    missed = holdout(1, trafficAllocation=[])
    not_for_us = holdout(2, audienceIds=["a1"])
    verdict, kinds = decide(
        project(holdouts=[missed, not_for_us, holdout(3), holdout(4)]), "tested"
    )
    assert place(verdict) == ("holdout_3", "held", "holdout")
    assert [k for k in kinds if "audience" not in k] == [
        ReasonKind.EMPTY_TRAFFIC_RANGE,
        ReasonKind.NOT_HELD,
        ReasonKind.HOLDOUT_CONDITIONS_NOT_MET,
        ReasonKind.HELD_IN_VARIATION,
        ReasonKind.HELD_FROM_FLAG,
    ]


def test_a_local_holdout_holds_back_from_its_rules_only() -> None:
    where = project(localHoldouts=[holdout(1, includedRules=["100", "300"])])
    assert place(decide(where, "tested")[0]) == ("holdout_1", "held", "holdout")
    assert place(decide(where, "delivered")[0]) == ("holdout_1", "held", "holdout")
    assert place(decide(where, "switched_off")[0])[0] == "off_test"


def test_a_targeting_rule_may_be_held_back_as_well() -> None:
    where = project(localHoldouts=[holdout(1, includedRules=["400"])])
    assert place(decide(where, "for_gold")[0])[0] == "holdout_1"


def test_a_holdout_that_spares_deliveries_lets_them_decide_and_is_remembered_beside() -> None:
    where = project(holdouts=[holdout(1, excludeTargetedDeliveries=True), holdout(2)])
    delivered, _ = decide(where, "delivered")
    assert place(delivered) == ("delivery", "delivery_on", "rollout")
    assert delivered.spared_by is not None
    assert place(delivered.spared_by) == ("holdout_1", "held", "holdout")
    tested, kinds = decide(where, "tested")
    assert place(tested) == (None, None, "rollout")
    assert kinds[-2:] == [ReasonKind.HOLDOUT_SPARES_DELIVERIES, ReasonKind.DELIVERIES_NEXT]


def test_a_spared_experiment_rule_of_a_targeted_delivery_decides() -> None:
    document = datafile(holdouts=[holdout(1, excludeTargetedDeliveries=True)])
    document["experiments"][0]["type"] = "td"
    verdict, _ = decide(read_datafile(json.dumps(document)), "tested")
    assert place(verdict) == ("test", "test_on", "feature-test")
    assert verdict.spared_by is not None


def test_a_held_variation_that_is_on_leaves_variables_unknown() -> None:
    on = [{"id": "901", "key": "held", "featureEnabled": True}]
    where = project(holdouts=[holdout(1, variations=on)])
    verdict, trace = decide(where, "tested")[0], Trace()
    values = variable_values(where.flag_by_key["tested"], verdict.variation, trace)
    assert values == {"colour": None, "size": None}
    assert ReasonKind.VARIABLES_UNKNOWN in [reason.kind for reason in trace.reasons]


def test_holdouts_and_integrations_survive_being_written() -> None:
    where = project(
        holdouts=[holdout(1, includedRules=["100"], excludeTargetedDeliveries=True)],
        localHoldouts=[holdout(2, includedRules=["100"]), holdout(3)],
        integrations=[{"key": "odp", "host": "https://odp", "publicKey": "k"}, {"key": "other"}],
    )
    assert [(h.rule.key, h.rule_ids, h.spares_deliveries) for h in where.holdouts] == [
        ("holdout_1", None, True),
        ("holdout_2", ("100",), False),
    ]
    assert [i.host for i in where.integrations] == ["https://odp", None]
    assert len(where.remarks) == 2
    again = read_datafile(write_datafile(where))
    assert [h.rule.key for h in again.holdouts] == ["holdout_1", "holdout_2"]
    assert again.integrations == where.integrations
    assert isinstance(again.holdouts[0], Holdout)


def test_what_was_forced_goes_before_the_allowlist_and_what_is_stored() -> None:
    where = project()
    profile = Profile(stored={"100": "101"})
    verdict, kinds = decide(where, "tested", Memory({"100": "101"}, profile))
    assert place(verdict)[1] == "test_on"
    assert kinds == [ReasonKind.FORCED_VARIATION]
    assert profile.recorded == {}


def test_a_stored_variation_is_kept_whatever_the_audience_says() -> None:
    where = project()
    trace = Trace()
    gold_only = where.experiment_by_key["gold_only"]
    memory = Memory(profile=Profile(stored={"400": "401"}))
    variation = decide_experiment(where, gold_only, Visitor("user"), trace, memory)
    assert variation is not None
    assert [reason.kind for reason in trace.reasons] == [ReasonKind.STORED_VARIATION]


def test_whoever_is_bucketed_is_recorded_once_and_kept_within_the_call() -> None:
    profile = Profile(stored={"100": "gone", "7": "8"})
    _, kinds = decide(project(), "tested", Memory(profile=profile))
    assert ReasonKind.IN_VARIATION in kinds
    assert profile.recorded == {"100": "101"}
    _, kinds = decide(project(), "tested", Memory(profile=profile))
    assert kinds == [ReasonKind.STORED_VARIATION]


def test_a_forced_variation_that_is_gone_from_the_datafile_does_not_decide() -> None:
    trace = Trace()
    where = project()
    decide_flag(where, where.flag_by_key["tested"], Visitor("u"), trace, Memory({"100": "gone"}))
    kinds = [reason.kind for reason in trace.reasons]
    assert kinds[0] is ReasonKind.FORCED_VARIATION_UNKNOWN
    assert ReasonKind.IN_VARIATION in kinds


def test_rollouts_neither_know_nor_record_a_profile() -> None:
    profile = Profile(stored={"300": "gone"})
    verdict, _ = decide(project(), "delivered", Memory({"300": "gone"}, profile))
    assert verdict.source is DecisionSource.ROLLOUT
    assert profile.recorded == {}
