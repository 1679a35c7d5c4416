"""Verb: report → what people and programs read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tallybook.model.report import Report
from tallybook.report.document import to_json
from tallybook.report.sheet import to_csv
from tallybook.report.table import to_table

FORMATS: Final[Mapping[str, Callable[[Report], str]]] = {
    "table": to_table,
    "json": to_json,
    "csv": to_csv,
}
