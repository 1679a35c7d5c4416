"""What the lake's tables hold, column by column; ``docs/reference/lake.md`` says the meaning.

Ids and uuids are strings and times are bigint milliseconds, so that Parquet readers of the last ten
years understand the files. ``date`` is the partition column and the last of the fixed ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import pyarrow as pa

DECISIONS: Final = "decisions"
CONVERSIONS: Final = "conversions"
DEAD_LETTERS: Final = "dead_letters"

PARTITION: Final = "date"
COPIES: Final = "copies"
PROMOTED_PREFIX: Final = "attribute_"

_TEXT: Final = pa.string()
_WHOLE: Final = pa.int64()
_TRUTH: Final = pa.bool_()

_EVENT: Final = {
    "uuid": _TEXT,
    "occurred_at": _WHOLE,
    "arrived_at": _WHOLE,
    "visitor_id": _TEXT,
    "session_id": _TEXT,
    "account_id": _TEXT,
    "project_id": _TEXT,
    "entity_id": _TEXT,
}
_ORIGIN: Final = {
    "attributes": _TEXT,
    "attribute_ids": _TEXT,
    "user_ip": _TEXT,
    "user_agent": _TEXT,
    "referer": _TEXT,
    "revision": _TEXT,
    "client_name": _TEXT,
    "client_version": _TEXT,
    COPIES: _WHOLE,
    PARTITION: pa.date32(),
}
SCHEMAS: Final[dict[str, pa.Schema]] = {
    DECISIONS: pa.schema(
        {
            **_EVENT,
            "campaign_id": _TEXT,
            "experiment_id": _TEXT,
            "variation_id": _TEXT,
            "is_holdback": _TRUTH,
            "flag_key": _TEXT,
            "rule_key": _TEXT,
            "rule_type": _TEXT,
            "variation_key": _TEXT,
            "enabled": _TRUTH,
            "cmab_uuid": _TEXT,
            **_ORIGIN,
        }
    ),
    CONVERSIONS: pa.schema(
        {
            **_EVENT,
            "event_key": _TEXT,
            "event_type": _TEXT,
            "revenue": _WHOLE,
            "value": pa.float64(),
            "quantity": _WHOLE,
            "tags": _TEXT,
            "properties": _TEXT,
            **_ORIGIN,
        }
    ),
    DEAD_LETTERS: pa.schema(
        {
            "arrived_at": _WHOLE,
            "path": _TEXT,
            "reason": _TEXT,
            "body": _TEXT,
            "account_id": _TEXT,
            "client_name": _TEXT,
            "client_version": _TEXT,
            PARTITION: pa.date32(),
        }
    ),
}
TABLES: Final = tuple(SCHEMAS)
# Columns whose smallest and largest values stand in the table's log: none that tells of a person,
# for a log is kept longer than the rows.
SUMMARISED: Final = {
    DECISIONS: ("occurred_at", "arrived_at", "experiment_id"),
    CONVERSIONS: ("occurred_at", "arrived_at", "event_key"),
    DEAD_LETTERS: ("arrived_at",),
}
SQL_TYPES: Final = {_TEXT: "varchar", _WHOLE: "bigint", _TRUTH: "boolean"} | {
    pa.float64(): "double",
    pa.date32(): "date",
}

_FIXED: Final = {name for schema in SCHEMAS.values() for name in schema.names}
# Delta refuses blanks and ,;{}()= in column names, and readers differ about what else is a name.
_NAME: Final = re.compile(r"[A-Za-z0-9_\-.$]{1,100}")


def promoted_column(key: str) -> str:
    """Name of the column that holds the attribute ``key`` by itself."""
    return PROMOTED_PREFIX + key


def promotable(keys: Iterable[str], existing: Iterable[str]) -> tuple[str, ...]:
    """Return the attributes that can have a column; the others stay in ``attributes`` alone.

    Column names are told apart without regard to case by most readers, so of two attributes that
    differ in case only the first has a column: the ``existing`` one, or else the one named first.
    """
    names = {name.lower(): name for name in existing}
    names |= dict.fromkeys(_FIXED, "")  # ``attribute_ids`` is no attribute called ids
    kept = []
    for key in dict.fromkeys(keys):
        name = promoted_column(key)
        if _NAME.fullmatch(key) and names.setdefault(name.lower(), name) == name:
            kept.append(key)
    return tuple(kept)
