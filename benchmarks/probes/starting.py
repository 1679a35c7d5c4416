"""What starting a service costs: a process that does it, by the clock, less one that does not.

Each SDK is in a virtual environment with its own dependencies only: packages import what they find
beside them, and what this project is developed with is not what a service has.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.contenders import DROP_IN, NATIVE, OFFICIAL
from benchmarks.datafiles import SMALL, datafile
from benchmarks.environment import alone, clean, dependencies
from benchmarks.task import Figures, Task
from benchmarks.visitors import visitors

_IMPORTS: Final[Mapping[str, str]] = {
    OFFICIAL: "from optimizely.optimizely import Optimizely as Client",
    NATIVE: "from tallybook import Client",
    DROP_IN: "from tallybook.optimizely.optimizely import Optimizely as Client",
}
_FIRST_DECISION: Final = """
import sys
with open(sys.argv[1]) as file:
    client = Client(file.read())
user = client.create_user_context({user_id!r}, {attributes!r})
assert user.decide("flag_0", ["DISABLE_DECISION_EVENT"]).variation_key is not None
"""
_NOTHING: Final = "pass"
_DISTRIBUTIONS: Final[Mapping[str, str]] = {OFFICIAL: "optimizely-sdk", NATIVE: "tallybook"}


def start(task: Task) -> Figures:
    """``size`` times: import alone, and import, client and first decision, each beside nothing."""
    someone = visitors(1)[0]
    first_decision = _FIRST_DECISION.format(user_id=someone.user_id, attributes=someone.attributes)
    imported = _IMPORTS[task.contender_name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "datafile.json"
        path.write_text(datafile(SMALL))
        python = alone(_distribution(task), Path(folder) / "venv")
        return {
            "import_ms": _median_ms(python, imported, path, task.size),
            "first_decision_ms": _median_ms(python, imported + first_decision, path, task.size),
        }


def depend(task: Task) -> Figures:
    """How many packages come along, the drop-in face's being those of its distribution."""
    return {"dependencies": len(dependencies(_distribution(task)))}


def _distribution(task: Task) -> str:
    return _DISTRIBUTIONS.get(task.contender_name, _DISTRIBUTIONS[NATIVE])


def _median_ms(python: Path, code: str, path: Path, times: int) -> float:
    _run_ms(python, code, path)  # compiles what nobody has imported before
    return statistics.median(
        _run_ms(python, code, path) - _run_ms(python, _NOTHING, path) for _ in range(times)
    )


def _run_ms(python: Path, code: str, path: Path) -> float:
    environment = {name: value for name, value in clean().items() if name != "PYTHONPATH"}
    began = time.perf_counter_ns()
    subprocess.run([python, "-c", code, path], env=environment, check=True)  # noqa: S603 - code of this module
    return (time.perf_counter_ns() - began) / 1e6
