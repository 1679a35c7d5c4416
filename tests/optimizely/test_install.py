"""``tallybook.optimizely.install()`` makes the official names mean ours, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


INSTALL = "import tallybook.optimizely as ours; ours.install()\n"


def test_the_official_names_lead_to_ours() -> None:
    lines = run(
        INSTALL
        + """
import optimizely
from optimizely import optimizely as client_module
from optimizely.event.event_processor import BatchEventProcessor
import optimizely.helpers.enums
import optimizely.optimizely
import optimizely.version
import tallybook.optimizely.optimizely
import tallybook.optimizely.event.event_processor
import tallybook.optimizely.helpers.enums
print(optimizely is ours)
print(client_module is tallybook.optimizely.optimizely is optimizely.optimizely)
print(BatchEventProcessor is tallybook.optimizely.event.event_processor.BatchEventProcessor)
print(optimizely.helpers.enums is tallybook.optimizely.helpers.enums)
print(client_module.__name__, client_module.__spec__.name)
print(optimizely.version.__version__)
"""
    )
    name = "tallybook.optimizely.optimizely"
    assert lines == ["True", "True", "True", "True", f"{name} {name}", "5.7.0"]


@pytest.mark.parametrize("first", ["optimizely.optimizely", "tallybook.optimizely.optimizely"])
def test_whichever_name_comes_first_there_is_one_module(first: str) -> None:
    lines = run(
        INSTALL
        + f"""
import importlib, sys
importlib.import_module("{first}")
from optimizely.optimizely import Optimizely
from tallybook.optimizely.optimizely import Optimizely as Other
print(Optimizely is Other)
theirs = [n for n, m in sys.modules.items() if n.startswith("optimizely") and m.__name__ == n]
print(theirs)
"""
    )
    assert lines == ["True", "[]"]


def test_every_module_of_ours_has_its_official_name() -> None:
    lines = run(
        INSTALL
        + """
import importlib, pkgutil
names = [m.name for m in pkgutil.walk_packages(ours.__path__, "tallybook.optimizely.")]
for name in names:
    alias = importlib.import_module(name.removeprefix("tallybook."))
    assert alias is importlib.import_module(name), name
print(len(names) > 20)
"""
    )
    assert lines == ["True"]


def test_what_ours_does_not_have_is_not_found_in_the_official_package() -> None:
    lines = run(
        INSTALL
        + """
import importlib.util
for name in ("optimizely.bucketer", "optimizely.lib.pymmh3"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        print(error.name.partition(".")[0])
print(importlib.util.find_spec("optimizely.optimizely").name)
import json
"""
    )
    assert lines == ["optimizely", "optimizely", "optimizely.optimizely"]


def test_once_is_enough() -> None:
    lines = run(
        INSTALL
        + """
import sys
before = list(sys.meta_path)
import optimizely.optimizely
ours.install()
print(sys.meta_path == before, optimizely.optimizely.Optimizely.__module__)
"""
    )
    assert lines == ["True tallybook.optimizely.optimizely"]


@pytest.mark.parametrize("imported", ["optimizely", "optimizely.helpers.enums"])
def test_it_refuses_to_come_after_the_official_package(imported: str) -> None:
    lines = run(
        f"""
import sys
import {imported}
import tallybook.optimizely
from tallybook import ConfigError
before = list(sys.meta_path)
for _ in range(2):
    try:
        tallybook.optimizely.install()
    except ConfigError as error:
        print("optimizely" in str(error), "before" in str(error))
print(sys.meta_path == before)
"""
    )
    assert lines == ["True True", "True True", "True"]


def test_importing_the_package_loads_no_part_of_it() -> None:
    lines = run(
        """
import sys
import tallybook.optimizely
print([name for name in sys.modules if name.startswith("tallybook.optimizely.")])
print([name for name in sys.modules if name.partition(".")[0] in ("optimizely", "urllib3")])
"""
    )
    assert lines == ["[]", "[]"]
