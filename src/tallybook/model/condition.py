"""Noun: an audience condition as a tree of and, or, not over leaves."""

from __future__ import annotations

from msgspec import Struct


class _Node(Struct, frozen=True, gc=False):
    """What all parts share: made from JSON, they hold no circle to collect."""


class Comparison(_Node, frozen=True):
    """One leaf of an audience: the attribute ``name`` compared with ``value`` by ``match``."""

    name: str | None
    value: object
    type: str | None
    match: str | None


class AudienceRef(_Node, frozen=True):
    """One leaf of a rule's expression: an audience by id."""

    audience_id: str


class Malformed(_Node, frozen=True):
    """A place in a tree that holds no condition, as it was written; its answer is unknown."""

    value: object


class And(_Node, frozen=True):
    """True when all operands are; false as soon as one is false."""

    operands: tuple[Condition, ...]


class Or(_Node, frozen=True):
    """True as soon as one operand is; false when all are false."""

    operands: tuple[Condition, ...]


class Not(_Node, frozen=True):
    """The opposite of its operand; unknown stays unknown. Without an operand it is unknown."""

    operand: Condition | None


Condition = Comparison | AudienceRef | Malformed | And | Or | Not
