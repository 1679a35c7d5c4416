"""The snippets run on the official package and on ours, whose prefix alone is another, and print alike."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SNIPPETS = ROOT / "examples" / "snippets"
NAMES = sorted(path.stem for path in SNIPPETS.glob("*.py"))
TOPICS = {
    *("create_client", "user_context", "decide", "decide_all", "forced_decision", "track"),
    *("variables", "notification_listener", "polling_manager", "batch_processor"),
    *("user_profile_service", "optimizely_config"),
}
IMPORT = re.compile(r"^(from|import) optimizely\b", re.MULTILINE)
INSTALLED = """
import runpy, sys
import tallybook.optimizely
tallybook.optimizely.install()
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def printed(*command: str) -> list[str]:
    """What a program prints; it must not fail, warn or log."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@cache
def official(name: str) -> list[str]:
    return printed(str(SNIPPETS / f"{name}.py"))


def test_there_is_a_snippet_for_every_topic() -> None:
    assert set(NAMES) == TOPICS


@pytest.mark.parametrize("name", NAMES)
def test_a_snippet_shows_something(name: str) -> None:
    lines = official(name)
    assert len(lines) >= 5
    assert len(set(lines)) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_a_snippet_prints_the_same_with_another_prefix(name: str, tmp_path: Path) -> None:
    source = (SNIPPETS / f"{name}.py").read_text("utf-8")
    changed, imports = IMPORT.subn(r"\1 tallybook.optimizely", source)
    assert imports >= 1
    (tmp_path / "snippet.py").write_text(changed, "utf-8")
    (tmp_path / "datafile.json").write_bytes((SNIPPETS / "datafile.json").read_bytes())
    assert printed(str(tmp_path / "snippet.py")) == official(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_snippet_prints_the_same_unchanged_where_ours_is_installed(name: str) -> None:
    assert printed("-c", INSTALLED, str(SNIPPETS / f"{name}.py")) == official(name)
