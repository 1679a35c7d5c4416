"""Noun: an audience condition as a tree of and, or, not over leaves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """One leaf of an audience: the attribute ``name`` compared with ``value`` by ``match``."""

    name: str | None
    value: object
    type: str | None
    match: str | None


@dataclass(frozen=True, slots=True)
class AudienceRef:
    """One leaf of a rule's expression: an audience by id."""

    audience_id: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A place in a tree that holds no condition, as it was written; its answer is unknown."""

    value: object


@dataclass(frozen=True, slots=True)
class And:
    """True when all operands are; false as soon as one is false."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True as soon as one operand is; false when all are false."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of its operand; unknown stays unknown. Without an operand it is unknown."""

    operand: Condition | None


Condition = Comparison | AudienceRef | Malformed | And | Or | Not
