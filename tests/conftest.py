"""What every folder of tests needs: shared data, and a CI in which nothing may be skipped."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


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
