"""How a visitor's events become a number: one module an aggregator, and the registry of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tallybook.attribution.metrics.base import Recipe
from tallybook.attribution.metrics.count import count
from tallybook.attribution.metrics.sum import sum_of
from tallybook.attribution.metrics.unique import unique
from tallybook.model.metric import Aggregator, Metric

__all__ = ["METRICS", "Recipe"]

METRICS: Final[Mapping[Aggregator, Callable[[Metric], Recipe]]] = {
    Aggregator.UNIQUE: unique,
    Aggregator.COUNT: count,
    Aggregator.SUM: sum_of,
}
