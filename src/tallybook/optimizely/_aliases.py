"""Makes modules of this package answer to their official names."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

from tallybook.errors import ConfigError

_OFFICIAL: Final = "optimizely"
_OURS: Final = "tallybook.optimizely"


def install() -> None:
    """What :func:`tallybook.optimizely.install` does.

    Raises:
        ConfigError: The official package, or something else of that name, is imported already.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    theirs = sorted(name for name in sys.modules if name.partition(".")[0] == _OFFICIAL)
    if theirs:
        raise ConfigError(
            f"tallybook.optimizely.install() has to come before any import of {_OFFICIAL}: "
            f"{theirs[0]} is imported already"
        )
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds modules of ours under the official names, and no others of theirs."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        top, dot, below = fullname.partition(".")
        if top != _OFFICIAL:
            return None
        ours = f"{_OURS}{dot}{below}"
        spec = importlib.util.find_spec(ours)
        if spec is None:
            return None
        is_package = spec.submodule_search_locations is not None
        return ModuleSpec(fullname, _Alias(ours), is_package=is_package)


class _Alias(Loader):
    """Loads a module by importing the one it is another name of."""

    def __init__(self, ours: str) -> None:
        self._ours = ours

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:  # noqa: ARG002
        return None

    def exec_module(self, module: ModuleType) -> None:
        # The import system takes from here what is to be the module.
        sys.modules[module.__name__] = importlib.import_module(self._ours)
