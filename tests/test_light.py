"""What services import stays light: no server dependency comes with it, not even by a detour."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shop import datafile

SOURCE = Path(__file__).resolve().parents[1] / "src"
HEAVY = (
    *("sqlalchemy", "alembic", "deltalake", "duckdb", "litestar", "uvicorn", "numpy", "scipy"),
    *("pyarrow", "sqlglot", "yaml", "rich", "cyclopts", "structlog", "prometheus_client"),
)


# What takes long to import: for making classes, for waiting, and for sending.
SLOW = (
    *("dataclasses", "inspect", "ast", "asyncio", "pathlib", "tempfile", "random"),
    *("urllib3", "urllib", "http", "email", "socket", "selectors", "ssl", "ipaddress"),
    *("base64", "zlib", "json", "openfeature"),
)
# msgspec imports it where it is installed, and it imports inspect.
WITHOUT = "import sys; sys.modules['typing_extensions'] = None"
DECIDE = """
client = Client({datafile!r})
client.create_user_context("user123").decide("checkout", ["DISABLE_DECISION_EVENT"])
"""


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "tallybook",
        "tallybook.testing",
        "tallybook.openfeature",
        "tallybook.optimizely.optimizely_factory",
    ],
)
def test_an_import_brings_no_server_dependency(module: str) -> None:
    loaded = {name.partition(".")[0] for name in loaded_by(f"import {module}")}
    assert loaded & set(HEAVY) == set()
    assert "tallybook" in loaded


def test_a_service_does_not_pay_for_what_tests_and_senders_need() -> None:
    loaded = loaded_by(f"{WITHOUT}\nimport tallybook")
    others = {"tallybook.testing", "tallybook.openfeature", "tallybook.optimizely"}
    assert loaded & {*SLOW, *others} == set()
    assert "tallybook" in loaded


@pytest.mark.parametrize(
    "import_client",
    [
        "from tallybook import Client",
        "from tallybook.optimizely.optimizely import Optimizely as Client",
    ],
)
def test_a_service_decides_before_anything_slow_is_imported(import_client: str) -> None:
    decide = DECIDE.format(datafile=json.dumps(datafile()))
    loaded = loaded_by(f"{WITHOUT}\n{import_client}{decide}")
    assert loaded & set(SLOW) == set()
    assert "tallybook.decide.rules" in loaded
