"""Attribution in plain Python: slow, small and readable. Every engine is held equal to it.

It works on what was received, straight from the definitions, and shares no text with the query.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from tallybook.attribution.reference_rows import (
    Converted,
    Decided,
    Person,
    Row,
    canonical,
    copies_by_person,
    once,
    person,
)
from tallybook.model.event import ConversionEvent, DecisionEvent, Received
from tallybook.model.history import AttributedEvent
from tallybook.model.metric import Aggregator, Metric, Question, Scope, SegmentRule
from tallybook.model.moments import Arm, Exposures, Look, Measurement, Moments, Reach, Segment
from tallybook.model.time import DAY_MS

NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a segment since ``joined_at``, under the first exposure."""

    exposure: Decided
    joined_at: int

    @property
    def variation_id(self) -> str:
        """Whose result the person counts in."""
        return str(self.exposure.event.variation_id)


class World:
    """What was received, as far as a question asks about it."""

    def __init__(self, received: Iterable[Received], question: Question) -> None:
        self.question = question
        batches = list(received)
        self.decided = self._asked(
            [Decided(d, r.batch.sender, r.arrival) for r in batches for d in r.batch.decisions]
        )
        self.decided = [
            row for row in self.decided if row.event.experiment_id == question.experiment_id
        ]
        self.converted = self._asked(
            [Converted(c, r.batch.sender, r.arrival) for r in batches for c in r.batch.conversions]
        )
        self.shown = sorted(
            (row for row in once(self.decided) if _shows(row.event)),
            key=lambda r: (r.event.at_ms, r.arrival.at_ms, r.event.uuid, r.event.entity_id),
        )
        self.first: dict[Person, Decided] = {}
        for row in self.shown:
            self.first.setdefault(person(row), row)
        self.attributed = [row for row in once(self.converted) if self._counts(row)]

    def _asked(self, rows: list[Row]) -> list[Row]:
        account, window = self.question.account_id, self.question.window
        return [
            row
            for row in rows
            if account in (None, row.sender.account_id)
            and window.from_ms <= row.event.at_ms < window.to_ms
        ]

    def _counts(self, row: Converted) -> bool:
        exposure = self.first.get(person(row))
        return exposure is not None and row.event.at_ms >= exposure.event.at_ms

    def segment(self, row: Decided | Converted) -> Segment:
        """The values of the attributes asked for that a row carries."""
        carried = {a.key: canonical(a.value) for a in row.event.attributes}
        return tuple((name, carried.get(name)) for name in self.question.segment_by)

    def members(self) -> Mapping[Segment, Mapping[Person, Member]]:
        """Who is in which segment."""
        carrying: list[Decided | Converted] = list(self.first.values())
        if self.question.segment_rule is SegmentRule.OPTIMIZELY:
            carrying = [*self.shown, *self.attributed]
        found: dict[Segment, dict[Person, Member]] = defaultdict(dict)
        if not self.question.segment_by:
            found[()] = {}
        for row in sorted(carrying, key=lambda r: r.event.at_ms):
            exposure = self.first[person(row)]
            found[self.segment(row)].setdefault(person(row), Member(exposure, row.event.at_ms))
        return found

    def counted(self, segment: Segment, metric: Metric) -> Mapping[Person, list[ConversionEvent]]:
        """A metric's events in a segment, by person."""
        found: dict[Person, list[ConversionEvent]] = defaultdict(list)
        for row in self.attributed:
            carries = self.segment(row) == segment
            if row.event.key == metric.event_key and (
                carries or self.question.segment_rule is SegmentRule.EXPOSURE
            ):
                found[person(row)].append(row.event)
        return found

    def looks(self, times: Iterable[int]) -> Sequence[int]:
        """The ends of the days that the times lie in, and the end of the window."""
        to_ms = self.question.window.to_ms
        return sorted({min((t // DAY_MS + 1) * DAY_MS, to_ms) for t in times} | {to_ms})


def exposures(received: Iterable[Received], question: Question) -> Sequence[Exposures]:
    """Return who took part, as :func:`tallybook.attribution.ask.exposures` does."""
    world = World(received, question)
    seen: dict[Person, set[str | None]] = defaultdict(set)
    for row in world.shown:
        seen[person(row)].add(row.event.variation_id)
    copies = copies_by_person(world.decided) + copies_by_person(world.converted)
    return [
        Exposures(
            segment=segment,
            looks=tuple(
                _reach(at_ms, [m for m in members.values() if m.joined_at < at_ms])
                for at_ms in world.looks(m.joined_at for m in members.values())
            ),
            switched_visitors=sum(len(seen[somebody]) > 1 for somebody in members),
            duplicate_events=sum(copies[somebody] for somebody in members),
        )
        for segment, members in world.members().items()
    ]


def measure(
    received: Iterable[Received], question: Question, metric: Metric
) -> Sequence[Measurement]:
    """Return a metric's results, as :func:`tallybook.attribution.ask.measure` does."""
    world = World(received, question)
    answers = []
    for segment, members in world.members().items():
        events = world.counted(segment, metric)
        joined = [m.joined_at for m in members.values()]
        occurred = [event.at_ms for somebody in members for event in events.get(somebody, ())]
        looks = tuple(
            Look(at_ms, _arms(members, events, metric, at_ms))
            for at_ms in world.looks([*joined, *occurred])
        )
        answers.append(Measurement(segment, looks))
    return answers


def attributed_events(
    received: Iterable[Received], question: Question
) -> Sequence[AttributedEvent]:
    """Return the conversions that count, in no particular order."""
    world = World(received, question)
    return [
        AttributedEvent(
            uuid=row.event.uuid,
            entity_id=row.event.entity_id,
            occurred_at=row.event.at_ms,
            event_key=row.event.key,
            visitor_id=row.event.visitor_id,
            variation_id=str(world.first[person(row)].event.variation_id),
        )
        for row in world.attributed
    ]


def _shows(decision: DecisionEvent) -> bool:
    return decision.variation_id is not None and not decision.is_holdback


def _reach(at_ms: int, members: Sequence[Member]) -> Reach:
    return Reach(
        at_ms,
        visitors=dict(Counter(m.variation_id for m in members)),
        by_revision=dict(Counter((m.exposure.sender.revision, m.variation_id) for m in members)),
    )


def _arms(
    members: Mapping[Person, Member],
    events: Mapping[Person, Sequence[ConversionEvent]],
    metric: Metric,
    at_ms: int,
) -> Mapping[str, Arm]:
    values: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for somebody, member in members.items():
        if member.joined_at < at_ms:
            own = [event for event in events.get(somebody, ()) if event.at_ms < at_ms]
            values[member.variation_id].append(
                (NUMERATORS[metric.aggregator](own, metric), len(own))
            )
    return {variation: _arm(pairs, metric.scope) for variation, pairs in values.items()}


def _total(events: Sequence[ConversionEvent], metric: Metric) -> float:
    amounts = [amount(event, str(metric.field)) for event in events]
    return sum(amounts) if metric.field == "revenue" else math.fsum(amounts)


NUMERATORS: Final[Mapping[Aggregator, Callable[[Sequence[ConversionEvent], Metric], float]]] = {
    Aggregator.UNIQUE: lambda events, _: min(len(events), 1),
    Aggregator.COUNT: lambda events, _: len(events),
    Aggregator.SUM: _total,
}


def amount(event: ConversionEvent, field: str) -> float:
    """Return the field of one event; what is absent or no finite number adds nothing."""
    if field == "revenue":
        return event.revenue or 0
    given = event.value if field == "value" else (event.tags or {}).get(field)
    if isinstance(given, bool) or not NUMBER.fullmatch(str(given)):
        return 0.0
    number = float(str(given))
    return number if math.isfinite(number) else 0.0


def _arm(pairs: Sequence[tuple[float, int]], scope: Scope) -> Arm:
    """Return the totals and the moments about the means, computed exactly and rounded once."""
    n = len(pairs)
    is_whole = all(isinstance(x, int) for x, _ in pairs)
    numerators, denominators = [Fraction(x) for x, _ in pairs], [d for _, d in pairs]
    value = sum(numerators, Fraction())
    mean, per_visitor = value / n, Fraction(sum(denominators), n)
    moments = Moments(n, float(mean), float(sum((x - mean) ** 2 for x in numerators)))
    total = int(value) if is_whole else float(value)
    if scope is Scope.VISITOR:
        return Arm(total, n, moments)
    together = zip(numerators, denominators, strict=True)
    ratio = replace(
        moments,
        denominator_mean=float(per_visitor),
        denominator_m2=float(sum((d - per_visitor) ** 2 for d in denominators)),
        cross=float(sum((x - mean) * (d - per_visitor) for x, d in together)),
    )
    return Arm(total, sum(denominators), ratio)
