"""What services import stays light: no server dependency comes with it, not even by a detour."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
HEAVY = (
    *("sqlalchemy", "alembic", "deltalake", "duckdb", "litestar", "uvicorn", "numpy", "scipy"),
    *("pyarrow", "sqlglot", "yaml", "rich", "cyclopts", "structlog", "prometheus_client"),
)


@pytest.mark.parametrize("module", ["tallybook", "tallybook.testing", "tallybook.openfeature"])
def test_an_import_brings_no_server_dependency(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & set(HEAVY) == set()
    assert "tallybook" in loaded


def test_a_service_does_not_pay_for_what_tests_and_senders_need() -> None:
    code = "import sys, tallybook; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    unwanted = {"urllib3", "asyncio", "tallybook.testing", "tallybook.openfeature", "openfeature"}
    assert unwanted & set(done.stdout.split()) == set()
