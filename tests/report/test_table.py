"""The form for people: aligned, plain, the baseline first, health at the end."""

from __future__ import annotations

from dataclasses import replace

from tallybook.model.estimate import Estimate, NoEstimate, SampleRatio
from tallybook.model.report import Comparison, EpochReport, Report, Slice
from tallybook.report import FORMATS
from tallybook.report.layout import aligned, p_value, percent


def table(report: Report) -> str:
    return FORMATS["table"](report)


def test_the_table_shows_everything_in_columns_with_the_baseline_first(report: Report) -> None:
    assert (
        table(report)
        == """\
checkout_test (9300)
2020-09-14T00:00:00.000Z to 2020-09-15T00:00:00.007Z
method sequential, intervals of the relative lift at 95 %
6,633 visitors

purchase_rate: unique purchase per visitor, increasing wins, primary
  variation           visitors  value    rate      lift        95 % interval       p  adjusted          verdict    still needed
  control (baseline)     3,304    163  4.93 %
  treatment              3,329    223  6.70 %  +35.78 %  -5.52 % to +77.08 %  0.1432    0.2000  not significant  2,289 visitors

revenue: sum of revenue in purchase per event, increasing wins, secondary
  variation           events       value       rate           lift  95 % interval  p  adjusted  verdict  still needed
  control (baseline)     326  15,151,022  46,475.53
  treatment                0           0          -  not available
  treatment has no lift: a variation has fewer than two visitors

health
  sample ratio       as intended (p = 0.8000; expected treatment 50.00 %, control 50.00 %)
  switched visitors  3
  duplicate events   1,234 (counted once)
  dead letters       2
"""
    )


def test_a_mismatch_is_loud_and_an_unknown_split_says_so(report: Report) -> None:
    broken = SampleRatio(1e-9, mismatch=True, expected={"control": 1.0}, epochs=1)
    loud = table(replace(report, health=replace(report.health, sample_ratio=broken)))
    assert "MISMATCH, do not trust the lifts (p = <0.0001; expected control 100.00 %)" in loud
    unknown = NoEstimate("no allocation known")
    said = table(replace(report, health=replace(report.health, sample_ratio=unknown)))
    assert "sample ratio       not available: no allocation known" in said


def test_several_epochs_are_listed_and_one_is_not(
    report: Report, epochs: tuple[EpochReport, ...]
) -> None:
    changed = table(replace(report, health=replace(report.health, allocation_epochs=epochs)))
    assert "from 2020-09-14T08:00:00.000Z" not in changed
    assert "    from 2020-09-14T00:00:00.000Z: control 50.00 %, treatment 50.00 %\n" in changed
    assert "    from 2020-09-14T07:53:20.000Z: control 90.00 %, treatment 10.00 %\n" in changed
    steady = table(replace(report, health=replace(report.health, allocation_epochs=epochs[:1])))
    assert "allocation changed" not in steady


def test_segments_follow_with_their_visitors(report: Report, segment: Slice) -> None:
    shown = table(replace(report, segments=(segment,)))
    assert "\nsegment plan = gold, age = 7, country = (none)\n9 visitors\n" in shown
    assert "significantly better" in shown


def test_without_metrics_the_visitors_of_each_variation_are_shown(report: Report) -> None:
    reached = replace(report, everyone=replace(report.everyone, metrics=()))
    assert "6,633 visitors\n  treatment  3,329\n  control    3,304\n\nhealth" in table(reached)


def test_an_experiment_known_by_id_alone_is_named_once(report: Report) -> None:
    assert table(replace(report, experiment_key="9300")).startswith("9300\n")


def test_numbers_that_are_not_known_are_not_shown_as_zero(report: Report) -> None:
    metric = report.everyone.metrics[0]
    arm = metric.results["treatment"]
    assert isinstance(arm.lift, Comparison)
    remaining = replace(arm.lift.lift, visitors_remaining=NoEstimate("no difference"))
    lift = replace(arm.lift, lift=remaining)
    unknown = replace(arm, lift=lift, value=NoEstimate("too large"))
    everyone = replace(report.everyone, metrics=(replace(metric, results={"treatment": unknown}),))
    line = table(replace(report, everyone=everyone)).splitlines()[7]
    assert line.endswith("not significant       unknown")
    assert "3,329      -" in line


def test_control_characters_in_names_do_not_reach_the_terminal(report: Report) -> None:
    assert "\x1b" not in table(replace(report, experiment_key="a\x1b[2Jb"))


def test_wide_and_combining_characters_keep_columns_straight() -> None:
    assert aligned([("日本", "1"), ("e\u0301", "22")]) == ["日本   1", "e\u0301     22"]


def test_small_numbers_keep_their_sign_and_size() -> None:
    assert percent(-0.00021, sign=True) == "-0.02 %"
    assert p_value(0.0) == "<0.0001"
    assert Estimate(0, 1, 0, 0, 0).p_value == 0
