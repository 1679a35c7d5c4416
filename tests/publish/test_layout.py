"""Which bucket is whose, and that nobody moves when traffic does."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.model.project import Cmab, Experiment, Range, Variation
from tallybook.publish.layout import served_weights, slots

BUCKETS = range(10_000)


@st.composite
def splits(draw: st.DrawFn) -> list[tuple[str, int]]:
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), max_size=5)))
    weights = [end - start for start, end in zip([0, *cuts], [*cuts, 10_000], strict=True)]
    return [(str(i), weight) for i, weight in enumerate(weights)]


def owner(bucket: int, allocation: tuple[Range, ...]) -> str:
    """The rule every SDK follows: the first range that ends above the bucket."""
    return next((r.entity_id for r in allocation if bucket < r.end_of_range), "")


def experiment(allocation: tuple[Range, ...], *ids: str, cmab: Cmab | None = None) -> Experiment:
    variations = tuple(Variation(id_, f"key-{id_}") for id_ in ids)
    return Experiment("1", "test", "Running", "2", variations, allocation, cmab=cmab)


@given(splits(), st.integers(0, 10_000), st.integers(0, 10_000))
def test_raising_traffic_leaves_everyone_who_was_in_where_they_were(split, one, other):
    low, high = sorted((one, other))
    before, after = slots(split, low), slots(split, high)
    edges = {r.end_of_range for r in (*before, *after)}  # between edges nothing changes
    for bucket in sorted({0} | edges | {edge - 1 for edge in edges}):
        if owner(bucket, before):
            assert owner(bucket, before) == owner(bucket, after)


@settings(max_examples=25)
@given(splits(), st.integers(0, 10_000))
def test_each_variation_is_served_its_share_of_the_traffic(split, traffic):
    ids = [id_ for id_, _ in split]
    allocation = slots(split, traffic)
    counted = dict.fromkeys(ids, 0)
    for bucket in BUCKETS:
        if owner(bucket, allocation):
            counted[owner(bucket, allocation)] += 1
    assert counted == {id_: weight * traffic // 10_000 for id_, weight in split}
    assert served_weights(experiment(allocation, *ids)) == counted
    ends = [r.end_of_range for r in allocation]
    assert ends == sorted(set(ends))


def test_full_traffic_has_no_gaps():
    assert slots([("a", 5000), ("b", 5000)]) == (Range("a", 5000), Range("b", 10_000))


def test_half_traffic_leaves_the_second_half_of_every_slot_empty():
    assert slots([("a", 5000), ("b", 5000)], 5000) == (
        Range("a", 2500),
        Range("", 5000),
        Range("b", 7500),
        Range("", 10_000),
    )


@settings(max_examples=25)
@given(st.lists(st.builds(Range, st.sampled_from(["a", "b", "", "x"]), st.integers(0, 12_000))))
def test_weights_are_read_from_any_ranges_as_an_sdk_reads_them(ranges):
    counted = {"a": 0, "b": 0}
    for bucket in BUCKETS:
        name = owner(bucket, tuple(ranges))
        if name in counted:
            counted[name] += 1
    assert served_weights(experiment(tuple(ranges), "a", "b")) == counted


def test_the_split_of_a_contextual_bandit_is_unknown():
    bandit = experiment((Range("$", 10_000),), "a", "b", cmab=Cmab((), 10_000))
    assert served_weights(bandit) == {}
