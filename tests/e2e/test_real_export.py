"""A real raw export, imported and measured: the numbers its owners published."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from servers import counted, document, reached, succeed, tallybook

EXPERIMENT = "18786493712"
CONTROL, MESSAGE_1, MESSAGE_2 = "18802093142", "18818611832", "18817551468"


@pytest.fixture(scope="module")
def imported(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("labs")
    printed = succeed("import", "events", shared_data / "optimizely-labs", data=data)
    assert "10,000 decisions" in printed
    assert "38,648 conversions" in printed
    return data


def test_an_imported_export_gives_the_published_visitors_and_conversions(imported: Path) -> None:
    result = document(EXPERIMENT, data=imported)
    assert reached(result) == {CONTROL: 3304, MESSAGE_1: 3367, MESSAGE_2: 3329}
    assert counted(result, "purchase:unique") == {CONTROL: 163, MESSAGE_1: 169, MESSAGE_2: 223}
    assert counted(result, "purchase:count") == {CONTROL: 326, MESSAGE_1: 338, MESSAGE_2: 446}
    assert counted(result, "add_to_cart:count") == {CONTROL: 326, MESSAGE_1: 338, MESSAGE_2: 446}
    views = counted(result, "detail_page_view:count")
    assert views == {CONTROL: 1799, MESSAGE_1: 2414, MESSAGE_2: 2900}


def test_the_estimate_is_the_one_computed_by_hand_from_the_published_counts(imported: Path) -> None:
    fixed = document(EXPERIMENT, "--method", "fixed", data=imported)
    sequential = document(EXPERIMENT, data=imported)

    def lift(result: dict) -> dict:
        metric = next(m for m in result["metrics"] if m["key"] == "purchase:unique")
        return metric["results"][MESSAGE_2]["lift"]

    assert lift(fixed)["relative"] == pytest.approx(0.357824, abs=1e-6)
    assert lift(fixed)["confidence_interval"] == pytest.approx([0.091430, 0.624218], abs=1e-6)
    assert lift(fixed)["p_value"] == pytest.approx(0.008480, abs=1e-6)
    assert lift(sequential)["confidence_interval"] == pytest.approx([-0.055199, 0.770847], abs=1e-6)
    assert lift(sequential)["p_value"] == pytest.approx(0.143187, abs=1e-6)


@pytest.mark.parametrize("rule", ["exposure", "optimizely"])
def test_visitors_by_browser_are_as_published(imported: Path, rule: str) -> None:
    result = document(EXPERIMENT, "--segment", "browser", "--segment-rule", rule, data=imported)
    by_browser = {s["segment"]["browser"]: reached(s) for s in result["segments"]}
    assert by_browser["chrome"] == {CONTROL: 1651, MESSAGE_1: 1723, MESSAGE_2: 1695}
    assert by_browser["firefox"] == {CONTROL: 1094, MESSAGE_1: 1085, MESSAGE_2: 1121}
    assert by_browser["safari"] == {CONTROL: 559, MESSAGE_1: 559, MESSAGE_2: 513}


def test_importing_twice_counts_once(imported: Path, shared_data: Path) -> None:
    before = document(EXPERIMENT, "--to", "2020-12-31", data=imported)
    succeed("import", "events", shared_data / "optimizely-labs", data=imported)
    assert document(EXPERIMENT, "--to", "2020-12-31", data=imported) == before


def test_an_exported_and_reimported_lake_gives_the_same_document(
    imported: Path, tmp_path: Path
) -> None:
    succeed("export", tmp_path / "export", data=imported)
    succeed("import", "events", tmp_path / "export", data=tmp_path / "again")
    asked = ("--to", "2020-12-31", "--segment", "browser")
    assert document(EXPERIMENT, *asked, data=tmp_path / "again") == document(
        EXPERIMENT, *asked, data=imported
    )


def test_no_allocation_is_assumed_and_an_expected_split_is_taken(imported: Path) -> None:
    unknown = document(EXPERIMENT, data=imported)["health"]["sample_ratio"]
    assert unknown == {"not_available": "no allocation known"}
    split = f"{CONTROL}=1,{MESSAGE_1}=1,{MESSAGE_2}=1"
    known = document(EXPERIMENT, "--expected-split", split, data=imported)["health"]["sample_ratio"]
    assert known["mismatch"] is False
    assert known["expected"][CONTROL] == pytest.approx(1 / 3)


def test_csv_table_and_json_say_the_same(imported: Path) -> None:
    rows = list(
        csv.DictReader(
            io.StringIO(succeed("results", EXPERIMENT, "--format", "csv", data=imported))
        )
    )
    result = document(EXPERIMENT, data=imported)
    assert len(rows) == sum(len(metric["results"]) for metric in result["metrics"])
    table = succeed("results", EXPERIMENT, data=imported)
    assert "3,304" in table
    assert "223" in table


def test_why_and_sql_answer_for_an_import(imported: Path) -> None:
    told = succeed("why", "user_0", EXPERIMENT, data=imported)
    assert CONTROL in told
    text = succeed("sql", EXPERIMENT, "--metric", "purchase:count", data=imported)
    assert EXPERIMENT in text
    assert "SELECT" in text.upper()


def test_what_is_not_there_is_said_in_one_line(imported: Path) -> None:
    nothing = tallybook("results", "no_such_experiment", data=imported)
    assert nothing.returncode == 2
    assert "no_such_experiment" in nothing.stderr
    assert EXPERIMENT in nothing.stderr
    assert nothing.stderr.count("\n") == 1
    assert json.loads(succeed("results", EXPERIMENT, "--format", "json", data=imported))
