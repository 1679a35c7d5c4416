"""The table says what was measured: medians, ratios the right way round, goals as they are set."""

from __future__ import annotations

from datetime import UTC, datetime
from math import nan

import pytest
from benchmarks.contenders import DROP_IN, NATIVE, OFFICIAL
from benchmarks.measures import PROBES, ROWS, Effort
from benchmarks.rounds import Measured

from benchmarks import report


def told(probe: str, **figures: dict[str, list[float]]) -> dict[str, Measured]:
    """One probe's rounds: by figure and contender, a number a round."""
    names = {name for by_name in figures.values() for name in by_name}
    rounds = {
        name: [
            {figure: by_name[name][number] for figure, by_name in figures.items()}
            for number in range(len(next(iter(figures.values()))[name]))
        ]
        for name in names
    }
    return {probe: Measured(Effort(3, 5_000), rounds)}


def row(measured: dict[str, Measured], title: str) -> dict[str, str]:
    """A line of the table by heading; the drop-in's ratio and goal have a star."""
    lines = [line.strip("| ").split("|") for line in report.table(measured).splitlines()]
    cells = [[cell.strip() for cell in line] for line in lines]
    headings = [*cells[0][:-2], "ratio*", "reached*"]
    found = next(line for line in cells if line[0].startswith(title))
    return dict(zip(headings, found, strict=True))


def decided(*ours_us: float, official_us: float = 40.0) -> dict[str, str]:
    by_name = {OFFICIAL: [official_us] * len(ours_us), NATIVE: list(ours_us)}
    return row(told("decide", decide_us=by_name, decide_and_send_us=by_name), "`decide`, no")


def test_a_row_holds_medians_and_the_ratios_of_single_rounds() -> None:
    cells = decided(4.0, 5.0, 8.0)
    assert cells["official"] == "40 µs"
    assert cells["Tallybook"] == "5 µs"
    assert cells["ratio"] == "8.0 ×"
    assert cells["rounds' ratios"] == "5.0 to 10.0"
    assert (cells["must"], cells["aim"]) == ("8 ×", "12 ×")
    assert (cells["drop-in"], cells["ratio*"], cells["reached*"]) == ("–", "–", "–")


@pytest.mark.parametrize(("ours_us", "reached"), [(5.1, "no"), (5.0, "must"), (3.3, "aim")])
def test_a_goal_is_reached_from_its_ratio_on(ours_us: float, reached: str) -> None:
    assert decided(ours_us)["reached"] == reached


def test_more_events_a_second_are_better() -> None:
    by_name = {OFFICIAL: [5_000.0], NATIVE: [65_000.0]}
    measured = told("delivery", cpu_us=by_name, events_per_s=by_name)
    cells = row(measured, "delivered events per second")
    assert (cells["Tallybook"], cells["ratio"], cells["reached"]) == ("65,000 /s", "13.0 ×", "must")
    assert row(measured, "CPU per tracked event")["ratio"] == "0.1 ×"


@pytest.mark.parametrize(("ours_ms", "reached"), [(40.5, "no"), (40.0, "must"), (32.0, "aim")])
def test_starting_has_a_goal_in_milliseconds(ours_ms: float, reached: str) -> None:
    by_name = {OFFICIAL: [1_000.0], NATIVE: [ours_ms]}
    cells = row(told("start", import_ms=by_name, first_decision_ms=by_name), "import")
    assert (cells["must"], cells["aim"], cells["reached"]) == ("≤ 40 ms", "≤ 32 ms", reached)


def test_a_drop_in_has_its_own_ratio_and_goal() -> None:
    by_name = {OFFICIAL: [40.0], NATIVE: [2.0], DROP_IN: [5.0]}
    cells = row(told("decide", decide_us=by_name, decide_and_send_us=by_name), "`decide`, no")
    assert (cells["ratio"], cells["reached"]) == ("20.0 ×", "aim")
    assert (cells["drop-in"], cells["ratio*"], cells["reached*"]) == ("5 µs", "8.0 ×", "must")


def test_what_is_not_known_or_says_nothing_is_a_dash() -> None:
    unknown = row(told("small_client", small_mb={OFFICIAL: [nan], NATIVE: [nan]}), "memory")
    assert (unknown["official"], unknown["Tallybook"], unknown["ratio"]) == ("–", "–", "–")
    less_than_nothing = decided(-1.0)
    assert (less_than_nothing["ratio"], less_than_nothing["reached"]) == ("–", "–")


def test_every_row_shows_a_probe_and_every_probe_is_shown() -> None:
    assert {shown.probe for shown in ROWS} == set(PROBES)


def test_the_page_says_when_and_on_what_and_how_to_do_it_again() -> None:
    by_name = {OFFICIAL: [12.0], NATIVE: [3.0]}
    measured = told("dependencies", dependencies=by_name)
    page = report.document(measured, "make bench", datetime(2031, 5, 4, tzinfo=UTC))
    for piece in (
        "make bench",
        "2031-05-04",
        "optimizely-sdk: 5.7.0",
        "CPUs",
        "Python: ",
    ):
        assert piece in page
    assert report.table(measured) in page
