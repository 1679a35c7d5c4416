"""The schema of an Optimizely raw export, and where its files lie.

``type=decisions/date=<arrival>/experiment=<id>/`` and ``type=events/date=<arrival>/event=<key>/``.
"""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import quote

import pyarrow as pa

MOMENT: Final = pa.timestamp("ms", tz="UTC")
ATTRIBUTES: Final = pa.list_(
    pa.struct([(name, pa.string()) for name in ("id", "name", "type", "value")])
)
EXPERIMENTS: Final = pa.list_(
    pa.struct(
        [
            *((name, pa.string()) for name in ("campaign_id", "experiment_id", "variation_id")),
            ("is_holdback", pa.bool_()),
        ]
    )
)
TAGS: Final = pa.map_(pa.string(), pa.string())

_HEAD: Final = {
    "uuid": pa.string(),
    "timestamp": MOMENT,
    "process_timestamp": MOMENT,
    "visitor_id": pa.string(),
    "session_id": pa.string(),
    "account_id": pa.string(),
}
_REQUEST: Final = {
    "user_ip": pa.string(),
    "user_agent": pa.string(),
    "referer": pa.string(),
}
_CLIENT: Final = {
    "revision": pa.string(),
    "client_engine": pa.string(),
    "client_version": pa.string(),
}
DECISIONS: Final = pa.schema(
    {
        **_HEAD,
        "campaign_id": pa.string(),
        "experiment_id": pa.string(),
        "variation_id": pa.string(),
        "attributes": ATTRIBUTES,
        **_REQUEST,
        "is_holdback": pa.bool_(),
        **_CLIENT,
    }
)
EVENTS: Final = pa.schema(
    {
        **_HEAD,
        "experiments": EXPERIMENTS,
        "entity_id": pa.string(),
        "attributes": ATTRIBUTES,
        **_REQUEST,
        "event_type": pa.string(),
        "event_name": pa.string(),
        "revenue": pa.int64(),
        "value": pa.float64(),
        "quantity": pa.int64(),
        "tags": TAGS,
        **_CLIENT,
    }
)

DECISIONS_FOLDER: Final = "type=decisions"
EVENTS_FOLDER: Final = "type=events"
SUCCESS: Final = "_SUCCESS"
_NOTHING: Final = "__HIVE_DEFAULT_PARTITION__"
_LONGEST: Final = 200  # file systems end at 255 bytes a name


def partition_name(column: str, value: str) -> str:
    """Return the folder of a partition; the column in the file says what a name cannot.

    Example:
        >>> partition_name("event", "a/b"), partition_name("event", "")
        ('event=a%2Fb', 'event=__HIVE_DEFAULT_PARTITION__')
    """
    name = quote(value, safe=" ") or _NOTHING
    if len(name) > _LONGEST:
        digest = hashlib.sha256(value.encode()).hexdigest()[:16]
        name = f"{name[: _LONGEST - len(digest)]}{digest}"
    return f"{column}={name}"
