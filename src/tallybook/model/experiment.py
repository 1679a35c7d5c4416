"""Noun: an experiment as the catalog knows it: its arms, metrics and how traffic was split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tallybook.model.metric import Metric


@dataclass(frozen=True, slots=True)
class AllocationEpoch:
    """A stretch of revisions during which traffic and split stayed the same.

    ``weights`` are basis points of all traffic by variation id (they add up to the rule's traffic).
    """

    from_ms: int
    revisions: tuple[str, ...]
    weights: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Arms:
    """The variations of an experiment, id → key, in the rule's order, and the baseline's id."""

    keys: Mapping[str, str]
    baseline_id: str


@dataclass(frozen=True, slots=True)
class RegisteredExperiment:
    """What results need to know about an experiment that was defined or imported.

    ``start_ms`` and ``end_ms`` are the rule's own schedule, ``None`` where it has none.
    """

    id: str
    key: str
    account_id: str
    project_key: str
    environment_key: str
    flag_key: str | None
    arms: Arms
    metrics: tuple[Metric, ...]
    epochs: tuple[AllocationEpoch, ...]
    status: str
    start_ms: int | None = None
    end_ms: int | None = None
