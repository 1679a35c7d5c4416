"""Unique: whether a visitor did it at all."""

from __future__ import annotations

from tallybook.attribution.metrics.base import Recipe
from tallybook.model.metric import Metric


def unique(_metric: Metric) -> Recipe:
    """Return 1 for a visitor with at least one event, else 0."""
    return Recipe(numerator="LEAST(occurrences, 1)")
