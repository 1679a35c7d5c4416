"""Noun: what a project says of the customer data platform it integrates, and what one may ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final

from msgspec import Struct

from tallybook.model.condition import And, Comparison, Condition, Not, Or
from tallybook.model.project import Project

KEY: Final = "odp"  # of the integration
FULLSTACK: Final = "fullstack"  # the type of a customer event that names none
QUALIFIED: Final = "qualified"  # the match that asks for a segment


class SegmentOption(StrEnum):
    """What a caller may ask of fetching a visitor's segments."""

    IGNORE_CACHE = "IGNORE_CACHE"
    RESET_CACHE = "RESET_CACHE"


class CustomerDataSource(Struct, frozen=True):
    """Where a project's customer data are, as far as the datafile says, and which of them count.

    ``segments`` are those that audiences ask for, each once.
    """

    host: str | None = None
    api_key: str | None = None
    segments: tuple[str, ...] = ()


def customer_data_of(project: Project) -> CustomerDataSource:
    """What the datafile says of the platform; without an integration, of segments alone."""
    segments = tuple(dict.fromkeys(_segments(audience.tree for audience in project.audiences)))
    for integration in project.integrations:
        if integration.key == KEY:
            return CustomerDataSource(integration.host, integration.public_key, segments)
    return CustomerDataSource(segments=segments)


def _segments(conditions: Iterable[Condition | None]) -> Iterator[str]:
    for condition in conditions:
        if isinstance(condition, And | Or):
            yield from _segments(condition.operands)
        elif isinstance(condition, Not):
            yield from _segments((condition.operand,))
        elif isinstance(condition, Comparison):
            is_named = isinstance(condition.value, str)  # no segment has another name
            if is_named and condition.match == QUALIFIED:
                yield str(condition.value)
