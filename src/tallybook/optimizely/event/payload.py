"""A visitor's attribute, as an event carries it."""

from __future__ import annotations

from typing import Any


class VisitorAttribute:
    """One attribute; ``value`` is text, a number or a boolean."""

    def __init__(self, entity_id: str, key: str, attribute_type: str, value: Any) -> None:
        self.entity_id = entity_id
        self.key = key
        self.type = attribute_type
        self.value = value
