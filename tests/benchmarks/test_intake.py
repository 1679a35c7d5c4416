"""The intake's benchmark sends what the server keeps, and its section leaves the others alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from benchmarks.intake import page
from benchmarks.intake.bodies import EVENTS_A_BODY, bodies, numbered
from benchmarks.intake.measures import ROWS, Effort
from benchmarks.intake.running import fill_log, running
from benchmarks.sections import INTAKE, kept, put

from tallybook.log.write_ahead import WriteAheadLog
from tallybook.wire.batch_reader import read_batch

EFFORT = Effort(seconds=1, recovered_events=1_000)


def test_every_body_is_well_formed_and_every_event_another_one() -> None:
    uuids = []
    for template in bodies(20):
        for number in (1, 2):
            batch = read_batch(numbered(template, number))
            assert batch.dead_letters == ()
            assert len(batch.decisions) + len(batch.conversions) == EVENTS_A_BODY
            uuids += [event.uuid for event in (*batch.decisions, *batch.conversions)]
    assert len(set(uuids)) == 20 * 2 * EVENTS_A_BODY


def test_a_filled_log_holds_so_many_events(tmp_path: Path) -> None:
    fill_log(tmp_path / "log", 500)
    with WriteAheadLog(tmp_path / "log") as log:
        payloads = [p for number in log.sealed() for p in log.read(number).payloads]
    assert len(payloads) == 500 / EVENTS_A_BODY


def test_what_a_load_was_told_is_kept_is_drained(tmp_path: Path) -> None:
    with running(tmp_path, 0.1) as server:
        loads = [server.load(4, 0.2), server.load(4, 0.2, 1_000)]
        server.await_drained(sum(load["events"] for load in loads))
    assert all(load["events"] > 0 for load in loads)
    assert loads[1]["events"] <= 0.2 * 1_000 + EVENTS_A_BODY


def test_the_section_tells_medians_and_goals() -> None:
    rounds = [{row.figure: value for row in ROWS} for value in (10.0, 30.0, 90_000.0)]
    text = page.section(rounds, EFFORT, "a command", datetime(2026, 1, 2, tzinfo=UTC))
    assert "2026-01-02" in text
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]
    found = {cells[0]: cells[1:] for cells in lines if len(cells) == 5}
    assert found["taken, fsynced, drain paused"] == [
        *("30.0 events/s", "10.0 to 90,000", "≥ 80,000", "no")
    ]
    assert found["recovery of 1,000 logged events"][-2:] == ["≤ 60.0", "yes"]


def test_a_section_replaces_itself_and_nothing_else() -> None:
    one = page.section(
        [dict.fromkeys((r.figure for r in ROWS), 1.0)], EFFORT, "one", datetime.now(UTC)
    )
    other = one.replace("    one", "    other")
    whole = put("# Results\n\nmore\n", INTAKE, one)
    assert whole == f"# Results\n\nmore\n\n{one}"
    assert put(whole, INTAKE, other) == f"# Results\n\nmore\n\n{other}"
    assert kept(whole, INTAKE) == one
    assert kept("# Results\n", INTAKE) == ""
    assert put("", INTAKE, one) == one
