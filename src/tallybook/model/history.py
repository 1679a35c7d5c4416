"""Noun: what one visitor was shown and did, and what of it counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AttributedEvent:
    """A conversion that counts for an experiment, at ``occurred_at`` ms since the epoch."""

    uuid: str
    entity_id: str
    occurred_at: int
    event_key: str
    visitor_id: str
    variation_id: str


@dataclass(frozen=True, slots=True)
class SeenDecision:
    """A decision row of one visitor; ``is_copy`` marks a duplicate that counts for nothing."""

    occurred_at: int
    arrived_at: int
    uuid: str
    account_id: str
    experiment_id: str
    variation_id: str | None
    flag_key: str | None
    rule_key: str | None
    variation_key: str | None
    revision: str | None
    is_holdback: bool
    is_copy: bool


@dataclass(frozen=True, slots=True)
class SeenConversion:
    """A conversion row of one visitor; ``is_copy`` marks a duplicate that counts for nothing."""

    occurred_at: int
    arrived_at: int
    uuid: str
    account_id: str
    event_key: str
    entity_id: str
    revenue: int | None
    value: float | None
    tags: str | None
    is_copy: bool


@dataclass(frozen=True, slots=True)
class VisitorHistory:
    """Everything kept of one visitor, in order of event time."""

    visitor_id: str
    decisions: tuple[SeenDecision, ...]
    conversions: tuple[SeenConversion, ...]
