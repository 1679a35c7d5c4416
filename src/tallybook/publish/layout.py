"""Which buckets belong to which variation, and what that makes of all traffic.

Each variation owns a slot of the 10,000 buckets as wide as its weight, in the split's order. Of its
slot it is served the first ``weight * traffic / 10000`` buckets; the rest is a gap. Slots do not
move when traffic does, and a larger share contains the smaller, so raising traffic leaves everyone
who was in where they were.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from tallybook.model.project import RUNNING, TOTAL_TRAFFIC, Experiment, Range

_GAP = ""


def slots(shares: Iterable[tuple[str, int]], traffic: int = TOTAL_TRAFFIC) -> tuple[Range, ...]:
    """Ranges of entity id and weight pairs, both weights and ``traffic`` in basis points."""
    ranges: list[Range] = []
    start = 0
    for entity_id, weight in shares:
        served = weight * traffic // TOTAL_TRAFFIC if entity_id else 0
        if served:
            ranges.append(Range(entity_id, start + served))
        if served < weight:
            ranges.append(Range(_GAP, start + weight))
        start += weight
    return tuple(ranges)


def served_weights(experiment: Experiment) -> dict[str, int]:
    """Basis points of all traffic by variation id, read from the buckets.

    All are 0 for what does not run. Empty for a bandit that asks a prediction service: no datafile
    knows its split.
    """
    if experiment.cmab is not None:
        return {}
    weights = {variation.id: 0 for variation in experiment.variations}
    if experiment.status != RUNNING:
        return weights
    ends = [0]
    for allocated in experiment.allocation:
        # A bucket belongs to the first range that ends above it.
        ends.append(min(max(ends[-1], allocated.end_of_range), TOTAL_TRAFFIC))
    for allocated, (start, end) in zip(experiment.allocation, pairwise(ends), strict=True):
        if allocated.entity_id in weights:
            weights[allocated.entity_id] += end - start
    return weights
