"""What an engine is, and what it needs to know of a lake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Engine(Protocol):
    """Runs queries over the views ``decisions``, ``conversions`` and ``dead_letters``."""

    def rows(self, text: str, parameters: Mapping[str, object]) -> list[tuple[object, ...]]:
        """Return the rows of a query; ``$name`` in the text is a parameter."""
        ...


class LakeFiles(Protocol):
    """Where a lake's tables are."""

    def files(self, table: str) -> list[str]:
        """Parquet files of a table at this moment, partitioned in the Hive manner by ``date``."""
        ...

    def columns(self, table: str) -> Mapping[str, str]:
        """Columns of a table with their SQL types, whether or not any file has them."""
        ...
