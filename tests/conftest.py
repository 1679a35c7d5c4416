"""What every folder of tests needs: shared data, and a CI in which nothing may be skipped."""

from __future__ import annotations

import os
from collections.abc import Generator
from itertools import count
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parents[1]
_NUMBERS = count()

# How long an example takes is the machine's business.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where ``TALLYBOOK_REQUIRE_ALL`` is set, a test that would be skipped has failed."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _require(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a file that skips itself as a whole."""
    report = yield
    _require(report)
    return report


def _require(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.getenv("TALLYBOOK_REQUIRE_ALL"):
        report.outcome = "failed"
        report.longrepr = f"skipped where everything is required: {report.longrepr}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real experiments' data, which a plain checkout does not hold."""
    data = Path(os.getenv("TALLYBOOK_SHARED", ROOT.parent / "shared")) / "data"
    if not data.is_dir():
        pytest.skip(f"no real experiments' data at {data}; set TALLYBOOK_SHARED to run this")
    return data


@pytest.fixture(autouse=True)
def journal_directory(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Where clients keep their journals: a place of each test's own, made when it is needed."""
    directory = tmp_path_factory.getbasetemp() / f"journal-{next(_NUMBERS)}"
    monkeypatch.setenv("TALLYBOOK_JOURNAL", str(directory))
    return directory
