"""The command measures everything and prints the table, here with next to no work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.measures import ROWS, Effort
from benchmarks.rounds import ProbeError, measure

RESULTS = Path("benchmarks") / "RESULTS.md"


def bench(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_measure_runs_and_the_table_is_printed_and_kept(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    printed = bench("--rounds", 1, "--scale", 0.01, "--results", page)
    headings, _, *lines = printed.splitlines()
    assert headings.startswith("| measure")
    assert len(lines) == len(ROWS)
    for line, row in zip(lines, ROWS, strict=True):
        title, official, ours, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        assert title == row.title.format(size=100)
        assert official.lstrip("-")[0].isdigit(), line
        assert ours.lstrip("-")[0].isdigit(), line
    kept = page.read_text("utf-8")
    assert printed in kept
    assert "make bench BENCH_ARGS='--rounds=1 --scale=0.01'\n" in kept


def test_a_limited_run_leaves_the_kept_results_alone() -> None:
    before = RESULTS.read_bytes() if RESULTS.exists() else None
    printed = bench("--rounds", 1, "--only", "dependencies")
    assert "dependencies, transitive" in printed
    assert (RESULTS.read_bytes() if RESULTS.exists() else None) == before


def test_rounds_are_interleaved_and_another_contender_begins_each() -> None:
    said: list[str] = []
    measured = measure("dependencies", ["official", "native"], Effort(3, 1), "", said.append)
    assert said == [
        "dependencies: round 1 of 3, official",
        "dependencies: round 1 of 3, native",
        "dependencies: round 2 of 3, native",
        "dependencies: round 2 of 3, official",
        "dependencies: round 3 of 3, official",
        "dependencies: round 3 of 3, native",
    ]
    assert {name: len(told) for name, told in measured.rounds.items()} == {
        "official": 3,
        "native": 3,
    }
    assert measured.median("native", "dependencies") == 4
    assert measured.median("drop-in", "dependencies") is None


def test_a_probe_that_fails_ends_the_run_and_says_why() -> None:
    with pytest.raises(ProbeError, match=r"(?s)decide of nobody failed.*KeyError: 'nobody'"):
        measure("decide", ["nobody"], Effort(1, 1), "", lambda _: None)
