"""Whether the result can be trusted: the split of traffic, over all epochs, and what was odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tallybook.analyse.request import Request
from tallybook.analyse.subject import Subject
from tallybook.model.estimate import NoEstimate, SampleRatio
from tallybook.model.experiment import AllocationEpoch
from tallybook.model.metric import Window
from tallybook.model.moments import Reach
from tallybook.model.report import EpochReport
from tallybook.stats.sample_ratio import MISMATCH_LEVEL, Split, sample_ratio_p

TOTAL_TRAFFIC = 10_000  # basis points

Counts = Counter[tuple[int, str]]  # (place of the epoch, variation id) → visitors


@dataclass(frozen=True, slots=True)
class _Allocation:
    """The intended weights by variation id, epoch by epoch, and how to tell a visitor's epoch."""

    weights: Sequence[Mapping[str, float]]
    epochs: tuple[AllocationEpoch, ...] = ()

    def of_revision(self, revision: str | None) -> int | None:
        """Place of the epoch that published ``revision``; ``None`` where that is not known."""
        for place, epoch in enumerate(self.epochs):
            if revision in epoch.revisions:
                return place
        return None if self.epochs else 0

    def at(self, at_ms: int) -> int:
        """Place of the epoch in force just before ``at_ms``."""
        begun = [place for place, epoch in enumerate(self.epochs) if epoch.from_ms < at_ms]
        return max(begun, default=0)


def sample_ratio(
    subject: Subject, request: Request, looks: Sequence[Reach]
) -> SampleRatio | NoEstimate:
    """Return whether visitors were split as intended, with expected shares by variation key.

    A visitor counts in the epoch of the revision that exposed them first; where that revision is
    unknown, in the epoch in force at the end of the look (a UTC day) in which they came.

    Raises:
        ConfigError: ``--expected-split`` names a variation that is not there.
    """
    allocation = _allocation(subject, request)
    if allocation is None:
        return NoEstimate("no allocation known")
    counted = _by_epoch(allocation, looks)
    if not counted or not counted[-1].total():
        return NoEstimate("no visitors yet")
    splits = [_splits(subject, allocation, counts) for counts in counted]
    if not any(_divides(split) for split in splits[-1]):
        return NoEstimate("no allocation gave traffic to more than one variation")
    p_value = sample_ratio_p(splits)
    return SampleRatio(
        p_value=p_value,
        mismatch=p_value <= MISMATCH_LEVEL,
        expected=_expected(subject, splits[-1]),
        epochs=len(splits[-1]),
    )


def epochs_in(subject: Subject, window: Window) -> tuple[EpochReport, ...] | None:
    """Return the allocation epochs that reach into the window; ``None`` where none are known."""
    if not subject.epochs:
        return None
    ends = [*(epoch.from_ms for epoch in subject.epochs[1:]), None]
    return tuple(
        _epoch(subject, epoch)
        for epoch, end_ms in zip(subject.epochs, ends, strict=True)
        if epoch.from_ms < window.to_ms and (end_ms is None or end_ms > window.from_ms)
    )


def _epoch(subject: Subject, epoch: AllocationEpoch) -> EpochReport:
    shares = {
        key: epoch.weights.get(identity, 0) / TOTAL_TRAFFIC
        for identity, key in subject.arms.items()
    }
    return EpochReport(epoch.from_ms, epoch.revisions, shares)


def _allocation(subject: Subject, request: Request) -> _Allocation | None:
    if request.expected_split is not None:
        split = request.expected_split.items()
        named = {subject.variation_id("--expected-split", key): w for key, w in split}
        return _Allocation([named])
    if not subject.epochs:
        return None
    return _Allocation([epoch.weights for epoch in subject.epochs], subject.epochs)


def _by_epoch(allocation: _Allocation, looks: Sequence[Reach]) -> list[Counts]:
    """Cumulative visitors by epoch and variation, look by look."""
    counted: list[Counts] = []
    of_time: Counts = Counter()  # those whose revision tells nothing
    before: Counter[str] = Counter()
    for look in looks:
        of_revision: Counts = Counter()
        untold: Counter[str] = Counter()
        for (revision, variation), visitors in look.by_revision.items():
            place = allocation.of_revision(revision)
            if place is None:
                untold[variation] += visitors
            else:
                of_revision[place, variation] += visitors
        for variation, visitors in untold.items():
            of_time[allocation.at(look.at_ms), variation] += visitors - before[variation]
        before = untold
        counted.append(of_revision + of_time)
    return counted


def _splits(subject: Subject, allocation: _Allocation, counts: Counts) -> list[Split]:
    return [
        Split(
            counts=tuple(counts[place, variation] for variation in subject.arms),
            expected=tuple(
                float(allocation.weights[place].get(variation, 0)) for variation in subject.arms
            ),
        )
        for place in sorted({place for place, _ in counts})
    ]


def _divides(split: Split) -> bool:
    return sum(weight > 0 for weight in split.expected) > 1


def _expected(subject: Subject, splits: Sequence[Split]) -> dict[str, float]:
    """Shares of all visitors that the epochs together intended, by variation key."""
    intended = dict.fromkeys(subject.arms.values(), 0.0)
    for split in splits:
        total = sum(split.expected)
        for key, weight in zip(subject.arms.values(), split.expected, strict=True):
            intended[key] += sum(split.counts) * weight / total if total else 0.0
    visitors = sum(intended.values())
    return {key: share / visitors for key, share in intended.items()}
