"""What measuring processes inherit, and what a result has to say of where it was made."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, files, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from venv import EnvBuilder

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tallybook.deliver.journal_place import VARIABLE

_UNWANTED: Final = ("_proxy", "pythondontwritebytecode", "pythonprofileimporttime")
_PACKAGES: Final = ("optimizely-sdk", "tallybook", "msgspec", "mmh3", "urllib3", "requests")


def clean() -> dict[str, str]:
    """This process's environment without what would send local requests elsewhere, or slow it.

    And without a journal, which the SDKs it is compared with do not have; where one is measured, it
    is given a directory.
    """
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith(_UNWANTED)}
    return {**kept, VARIABLE: "off"}


def described() -> Mapping[str, str]:
    """The machine and the packages, by what they are; no names of hosts, no paths."""
    return {
        "machine": f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: version(name) for name in _PACKAGES},
    }


def dependencies(distribution: str) -> set[str]:
    """All that comes with a distribution, directly or not, without extras."""
    found: set[str] = set()
    to_ask = [distribution]
    while to_ask:
        for text in _requirements(to_ask.pop()):
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            if name not in found and _applies(requirement):
                found.add(name)
                to_ask.append(name)
    return found


def alone(distribution: str, folder: Path) -> Path:
    """The interpreter of a new virtual environment: a distribution, what comes with it, no more.

    Packages are links to those that are installed here.
    """
    EnvBuilder(symlinks=True).create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in (distribution, *dependencies(distribution)):
        for source in _installed(name):
            (packages / source.name).symlink_to(source)
    return folder / "bin" / "python"


def _installed(distribution: str) -> set[Path]:
    """The packages, modules and metadata of a distribution."""
    listed = {
        Path(str(file.locate())).parents[len(file.parts) - 2]
        if len(file.parts) > 1
        else file.locate()
        for file in files(distribution) or ()
        if file.parts[0] not in ("..", "__pycache__")
    }
    source = find_spec(distribution)  # of one that is installed editably
    if source and source.submodule_search_locations:
        listed.add(Path(source.submodule_search_locations[0]))
    return {Path(str(path)) for path in listed if not str(path).endswith(".pth")}


def _requirements(distribution: str) -> list[str]:
    try:
        return requires(distribution) or []
    except PackageNotFoundError:
        return []


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})
