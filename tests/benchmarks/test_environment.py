"""Where starting is measured there is one SDK, with what it depends on and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from benchmarks.environment import alone, clean


@pytest.mark.parametrize(
    ("distribution", "there", "not_there"),
    [
        ("tallybook", ["tallybook.client", "msgspec", "mmh3", "urllib3"], ["optimizely", "pytest"]),
        ("optimizely-sdk", ["optimizely.optimizely", "requests"], ["tallybook", "msgspec"]),
    ],
)
def test_an_sdk_is_alone_with_its_dependencies(
    distribution: str, there: list[str], not_there: list[str], tmp_path: Path
) -> None:
    python = alone(distribution, tmp_path / "venv")
    code = f"""
from importlib.util import find_spec
import {", ".join(there)}
assert [name for name in {not_there} if find_spec(name)] == []
"""
    environment = {name: value for name, value in clean().items() if name != "PYTHONPATH"}
    subprocess.run([python, "-c", code], env=environment, cwd=tmp_path, check=True)
