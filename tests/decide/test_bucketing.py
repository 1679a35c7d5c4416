from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallybook.decide.bucketing import bucket, bucket_number, bucketing_id_of
from tallybook.model.decision import Visitor
from tallybook.model.project import TOTAL_TRAFFIC, Experiment, Group, Range, Variation
from tallybook.model.reason import ReasonKind, Trace

ON, OFF = Variation("1", "on"), Variation("2", "off")
ALL_ON = (Range("1", TOTAL_TRAFFIC),)
EXPERIMENT = Experiment(
    id="1886780721",
    key="checkout",
    status="Running",
    layer_id="3",
    variations=(ON, OFF),
    allocation=ALL_ON,
)


def kinds(trace: Trace) -> list[ReasonKind]:
    return [reason.kind for reason in trace.reasons]


@pytest.mark.parametrize(
    ("bucketing_id", "parent_id", "number"),
    [
        ("ppid1", "1886780721", 5254),
        ("ppid2", "1886780721", 4299),
        ("ppid2", "1886780722", 2434),
        ("ppid3", "1886780721", 5439),
        ("", "1", 6344),
        ("user_1", "19228", 5994),
        ("ünïcødé", "42", 1507),
        ("日本", "7", 4088),
    ],
)
def test_bucket_numbers_are_those_of_every_sdk(
    bucketing_id: str, parent_id: str, number: int
) -> None:
    assert bucket_number(bucketing_id, parent_id) == number


@given(st.text(), st.text())
def test_any_text_has_a_bucket_between_0_and_9999(bucketing_id: str, parent_id: str) -> None:
    assert 0 <= bucket_number(bucketing_id, parent_id) < TOTAL_TRAFFIC


def test_half_a_surrogate_pair_has_a_bucket_too() -> None:
    assert 0 <= bucket_number("\ud800", "1") < TOTAL_TRAFFIC


def test_visitors_spread_evenly_over_the_buckets() -> None:
    tenths = [0] * 10
    for n in range(10_000):
        tenths[bucket_number(f"visitor {n}", "42") * 10 // TOTAL_TRAFFIC] += 1

    # Chi-squared with 9 degrees of freedom exceeds 27.88 once in a thousand.
    assert sum((count - 1000) ** 2 / 1000 for count in tenths) < 27.88


@given(st.text(), st.integers(0, TOTAL_TRAFFIC), st.integers(0, TOTAL_TRAFFIC))
def test_raising_traffic_keeps_everyone_who_was_in(user_id: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    before = replace(EXPERIMENT, allocation=(Range("1", low),))
    after = replace(EXPERIMENT, allocation=(Range("1", high), Range("2", TOTAL_TRAFFIC)))

    if bucket(before, user_id, user_id, Trace()) is not None:
        assert bucket(after, user_id, user_id, Trace()) == ON


@pytest.mark.parametrize(
    ("end", "variation"), [(5254, None), (5255, ON)], ids=["at its end", "before its end"]
)
def test_a_range_ends_before_its_end(end: int, variation: Variation | None) -> None:
    experiment = replace(EXPERIMENT, allocation=(Range("1", end),))

    assert bucket(experiment, "ppid1", "ppid1", Trace()) == variation


def test_a_gap_is_an_empty_range() -> None:
    experiment = replace(EXPERIMENT, allocation=(Range("", 5300), Range("1", TOTAL_TRAFFIC)))
    trace = Trace()

    assert bucket(experiment, "ppid1", "ppid1", trace) is None
    assert kinds(trace) == [ReasonKind.BUCKET_ASSIGNED, ReasonKind.EMPTY_TRAFFIC_RANGE]


def test_an_unknown_variation_is_noted_as_an_error_and_gives_nothing() -> None:
    trace = Trace()

    assert bucket(replace(EXPERIMENT, allocation=(Range("9", 10_000),)), "u", "u", trace) is None
    assert kinds(trace) == [ReasonKind.BUCKET_ASSIGNED, ReasonKind.VARIATION_UNKNOWN]


def test_a_rule_with_a_blank_key_buckets_nobody() -> None:
    trace = Trace()

    assert bucket(replace(EXPERIMENT, key=" "), "u", "u", trace) is None
    assert kinds(trace) == [ReasonKind.RULE_WITHOUT_KEY]


@pytest.mark.parametrize(
    ("allocation", "variation", "kind"),
    [
        ((Range(EXPERIMENT.id, 10_000),), ON, ReasonKind.IN_EXPERIMENT_OF_GROUP),
        ((Range("another", 10_000),), None, ReasonKind.IN_OTHER_EXPERIMENT_OF_GROUP),
        ((Range("", 10_000),), None, ReasonKind.IN_NO_EXPERIMENT_OF_GROUP),
        ((), None, ReasonKind.IN_NO_EXPERIMENT_OF_GROUP),
    ],
)
def test_a_random_group_gives_each_visitor_to_one_of_its_experiments(
    allocation: tuple[Range, ...], variation: Variation | None, kind: ReasonKind
) -> None:
    trace = Trace()
    experiment = replace(EXPERIMENT, group=Group("5", "random", allocation))

    assert bucket(experiment, "u", "u", trace) == variation
    assert kinds(trace)[:2] == [ReasonKind.BUCKET_ASSIGNED, kind]


@pytest.mark.parametrize("policy", ["overlapping", "Random", ""])
def test_groups_of_another_policy_exclude_nobody(policy: str) -> None:
    experiment = replace(EXPERIMENT, group=Group("5", policy, ()))

    assert bucket(experiment, "u", "u", Trace()) == ON


@pytest.mark.parametrize(
    ("attributes", "bucketing_id"),
    [({}, "u"), ({"$opt_bucketing_id": None}, "u"), ({"$opt_bucketing_id": "shared"}, "shared")],
)
def test_the_reserved_attribute_buckets_where_it_is_given(
    attributes: dict[str, object], bucketing_id: str
) -> None:
    trace = Trace()

    assert bucketing_id_of(Visitor("u", attributes), trace) == bucketing_id
    assert trace.reasons == []


def test_an_empty_bucketing_id_is_a_bucketing_id() -> None:
    assert bucketing_id_of(Visitor("u", {"$opt_bucketing_id": ""}), Trace()) == ""


def test_a_bucketing_id_that_is_no_text_is_noted_and_the_user_id_used() -> None:
    trace = Trace()

    assert bucketing_id_of(Visitor("u", {"$opt_bucketing_id": 7}), trace) == "u"
    assert [reason.text for reason in trace.reasons] == [
        "The bucketing id has type int instead of str; the user id buckets."
    ]
