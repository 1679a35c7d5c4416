"""Verb: a query text and its parameters → rows, wherever the lake's files can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tallybook.engines.base import Engine, LakeFiles
from tallybook.engines.duckdb import DuckDB

__all__ = ["ENGINES", "Engine", "LakeFiles"]

ENGINES: Final[Mapping[str, Callable[[LakeFiles], Engine]]] = {"duckdb": DuckDB}
