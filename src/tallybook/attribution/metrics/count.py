"""Count: how often a visitor did it."""

from __future__ import annotations

from tallybook.attribution.metrics.base import Recipe
from tallybook.model.metric import Metric


def count(_metric: Metric) -> Recipe:
    """Return the number of a visitor's events."""
    return Recipe(numerator="occurrences")
