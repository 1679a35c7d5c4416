"""Sum: what a visitor's events add up to, in cents, in ``value`` or in a numeric tag.

Cents are whole numbers already. A double is 53 bits times a power of two, so a visitor's amounts
become whole numbers by one power of two for all of them, which gives the largest 54 to 62 bits.
What of a smaller amount lies below the last of these bits is rounded away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tallybook.attribution.metrics.base import Recipe
from tallybook.errors import ConfigError
from tallybook.model.metric import Metric, Scope

REVENUE: Final = "revenue"
VALUE: Final = "value"

# What is a number in a tag, be it a JSON number or text: no blanks, no words, no hexadecimal.
NUMBER_PATTERN: Final = "^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?$"

# The powers of two go in steps of eight, so that visitors fall into few groups of equal scale, and
# end at 2^1000, since 2^1024 is no double.
_SCALE: Final = (
    "CAST(LEAST(1000, COALESCE(62 - 8 * CEIL(LN(NULLIF("
    "MAX(ABS(amount)) OVER (PARTITION BY account_id, visitor_id, segment), 0)) / LN(2) / 8), 0))"
    " AS INTEGER)"
)
_UNITS: Final = "CAST(CAST(ROUND(amount * POWER(2, scale)) AS BIGINT) AS DECIMAL(38, 0))"


@dataclass(frozen=True, slots=True)
class _Field:
    """Where an amount stands."""

    amount: str
    is_whole: bool = False
    parameters: Mapping[str, object] = field(default_factory=dict)


_COLUMNS: Final = {
    REVENUE: _Field("CAST(revenue AS DECIMAL(38, 0))", is_whole=True),
    VALUE: _Field("value"),
}


def sum_of(metric: Metric) -> Recipe:
    """Return the sum of a field over a visitor's events, by visitor or by occurrence.

    Raises:
        ConfigError: The metric names no field.
    """
    if not metric.field:
        raise ConfigError(f"metric {metric.key}: a sum needs a field: revenue, value or a tag")
    source = _COLUMNS.get(metric.field) or _tag(metric.field)
    return Recipe(
        amount=source.amount,
        scale="0" if source.is_whole else _SCALE,
        units="amount" if source.is_whole else _UNITS,
        numerator="units",
        denominator="occurrences" if metric.scope is Scope.EVENT else None,
        is_whole=source.is_whole,
        parameters=source.parameters,
    )


def _tag(name: str) -> _Field:
    return _Field(
        "TRY_CAST(REGEXP_EXTRACT("
        "JSON_EXTRACT_STRING(tags, $field_path), $number_pattern, 0) AS DOUBLE)",
        parameters={
            "field_path": _path(name),
            "number_pattern": NUMBER_PATTERN,
        },
    )


def _path(name: str) -> str:
    """JSON path to a member, as every engine reads it; to odd names a pointer, as DuckDB does."""
    if "*" in name or not name.isprintable():
        return "/" + name.replace("~", "~0").replace("/", "~1")
    return f"$.{json.dumps(name, ensure_ascii=False)}"
