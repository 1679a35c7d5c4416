"""A customer event."""

from __future__ import annotations

from dataclasses import dataclass

OdpDataDict = dict[str, str | int | float | bool | None]


@dataclass
class OdpEvent:
    """What a user did: an action, what they are known by, and data about it."""

    type: str
    action: str
    identifiers: dict[str, str]
    data: OdpDataDict
