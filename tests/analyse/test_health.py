"""The sample ratio over looks, revisions and epochs, as the catalog or the asker knows the split."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tallybook.analyse.health import epochs_in, sample_ratio
from tallybook.analyse.request import Request
from tallybook.analyse.subject import Subject
from tallybook.errors import ConfigError
from tallybook.model.estimate import NoEstimate, SampleRatio
from tallybook.model.experiment import AllocationEpoch
from tallybook.model.metric import Window
from tallybook.model.moments import Reach
from tallybook.model.report import EpochReport
from tallybook.stats.sample_ratio import Split, sample_ratio_p

ASKED = Request(experiment="checkout_test")
HALVES = AllocationEpoch(0, ("1", "2"), {"11": 5000, "12": 5000})
MOSTLY_CONTROL = AllocationEpoch(1000, ("3",), {"11": 4500, "12": 500})


def subject(*epochs: AllocationEpoch) -> Subject:
    return Subject(
        id="9",
        key="checkout_test",
        account_id="1",
        project_key="shop",
        arms={"11": "control", "12": "treatment"},
        baseline_id="11",
        epochs=epochs,
    )


def look(at_ms: int, by_revision: Mapping[tuple[str | None, str], int]) -> Reach:
    visitors: dict[str, int] = {}
    for (_, variation), count in by_revision.items():
        visitors[variation] = visitors.get(variation, 0) + count
    return Reach(at_ms, visitors, by_revision)


def found(
    *looks: Reach, epochs: tuple[AllocationEpoch, ...], asked: Request = ASKED
) -> SampleRatio:
    ratio = sample_ratio(subject(*epochs), asked, looks)
    assert isinstance(ratio, SampleRatio)
    return ratio


def test_an_allocation_that_nobody_knows_is_not_assumed_to_be_equal() -> None:
    looks = [look(10, {("1", "11"): 500, ("1", "12"): 900})]
    assert sample_ratio(subject(), ASKED, looks) == NoEstimate("no allocation known")


def test_without_visitors_there_is_nothing_to_test() -> None:
    assert sample_ratio(subject(HALVES), ASKED, []) == NoEstimate("no visitors yet")
    empty = [look(10, {})]
    assert sample_ratio(subject(HALVES), ASKED, empty) == NoEstimate("no visitors yet")


def test_one_variation_alone_cannot_be_split_wrongly() -> None:
    alone = AllocationEpoch(0, ("1",), {"11": 10_000, "12": 0})
    ratio = sample_ratio(subject(alone), ASKED, [look(10, {("1", "11"): 5})])
    assert isinstance(ratio, NoEstimate)


def test_a_split_as_intended_is_no_mismatch() -> None:
    ratio = found(look(10, {("1", "11"): 510, ("2", "12"): 490}), epochs=(HALVES,))
    assert ratio == SampleRatio(1.0, False, {"control": 0.5, "treatment": 0.5}, 1)


def test_a_split_far_from_intended_is_a_mismatch() -> None:
    ratio = found(look(10, {("1", "11"): 6000, ("1", "12"): 4000}), epochs=(HALVES,))
    assert ratio.mismatch
    assert 0 < ratio.p_value < 1e-20


def test_a_mismatch_once_seen_stays() -> None:
    skewed = look(10, {("1", "11"): 5300, ("1", "12"): 4700})
    evened = look(20, {("1", "11"): 9700, ("1", "12"): 9300})
    both = found(skewed, evened, epochs=(HALVES,))
    assert both.p_value == found(skewed, epochs=(HALVES,)).p_value
    assert both.p_value < found(evened, epochs=(HALVES,)).p_value


def test_each_epoch_is_held_against_its_own_allocation_by_revision() -> None:
    counts: dict[tuple[str | None, str], int] = {
        ("2", "11"): 500,
        ("2", "12"): 500,
        ("3", "11"): 900,
        ("3", "12"): 100,
    }
    ratio = found(look(10, counts), epochs=(HALVES, MOSTLY_CONTROL))
    assert not ratio.mismatch
    assert ratio.epochs == 2
    assert ratio.expected == {"control": 0.7, "treatment": 0.3}
    pooled = found(look(10, counts), epochs=(HALVES,))
    assert pooled.mismatch


def test_visitors_of_unknown_revisions_belong_to_the_epoch_of_their_day() -> None:
    first = look(500, {(None, "11"): 500, (None, "12"): 500})
    second = look(2000, {(None, "11"): 1400, ("9", "12"): 100, (None, "12"): 500})
    ratio = found(first, second, epochs=(HALVES, MOSTLY_CONTROL))
    splits = [Split((500, 500), (0.5, 0.5)), Split((900, 100), (0.9, 0.1))]
    assert ratio.p_value == pytest.approx(sample_ratio_p([splits[:1], splits]))
    assert not ratio.mismatch
    assert ratio.epochs == 2


def test_an_epoch_that_reached_nobody_does_not_count() -> None:
    ratio = found(look(10, {("1", "11"): 5, ("1", "12"): 5}), epochs=(HALVES, MOSTLY_CONTROL))
    assert ratio.epochs == 1


def test_visitors_who_were_all_forced_there_cannot_be_split_wrongly() -> None:
    paused = AllocationEpoch(1000, ("3",), {"11": 0, "12": 0})
    looks = [look(10, {("3", "11"): 3, ("3", "12"): 1})]
    assert isinstance(sample_ratio(subject(HALVES, paused), ASKED, looks), NoEstimate)


def test_an_epoch_without_traffic_intends_nothing() -> None:
    paused = AllocationEpoch(1000, ("3",), {"11": 0, "12": 0})
    counts: dict[tuple[str | None, str], int] = {("1", "11"): 50, ("1", "12"): 50, ("3", "12"): 1}
    ratio = found(look(10, counts), epochs=(HALVES, paused))
    assert ratio.expected == {"control": 0.5, "treatment": 0.5}


def test_the_asker_may_state_the_split_by_key_or_id_on_any_scale() -> None:
    asked = Request(experiment="x", expected_split={"control": 3, "12": 1})
    ratio = found(look(10, {(None, "11"): 750, ("8", "12"): 250}), epochs=(HALVES,), asked=asked)
    assert ratio.expected == {"control": 0.75, "treatment": 0.25}
    assert not ratio.mismatch


def test_a_stated_split_of_another_experiment_is_refused() -> None:
    asked = Request(experiment="x", expected_split={"blue": 1.0})
    with pytest.raises(
        ConfigError, match=r"--expected-split 'blue': no variation of checkout_test"
    ):
        sample_ratio(subject(), asked, [])


def test_epochs_that_reach_into_the_window_are_listed_as_shares_of_all_traffic() -> None:
    both = subject(HALVES, MOSTLY_CONTROL)
    first = EpochReport(0, ("1", "2"), {"control": 0.5, "treatment": 0.5})
    second = EpochReport(1000, ("3",), {"control": 0.45, "treatment": 0.05})
    assert epochs_in(both, Window(0, 5000)) == (first, second)
    assert epochs_in(both, Window(1000, 5000)) == (second,)
    assert epochs_in(both, Window(0, 1000)) == (first,)
    assert epochs_in(subject(), Window(0, 5000)) is None
