"""Sentence of one visitor: what was shown and done → what counted in which experiment, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tallybook.analyse.request import Request
from tallybook.analyse.subject import Catalog, Subject, find_subject
from tallybook.attribution import ask
from tallybook.errors import NotFoundError
from tallybook.model.explanation import Because, Explanation, Judged, Participation
from tallybook.model.history import SeenConversion, SeenDecision, VisitorHistory
from tallybook.model.metric import Aggregator
from tallybook.report.explanation import to_text


@dataclass(frozen=True, slots=True)
class Why:
    """The answer to why something counted, as a value and as text."""

    explanation: Explanation

    @property
    def text(self) -> str:
        """The explanation as plain text for people."""
        return to_text(self.explanation)


@dataclass(frozen=True, slots=True)
class _Case:
    """One visitor in one experiment; ``exposure`` is what attributes their conversions."""

    subject: Subject
    account_id: str | None
    exposure: SeenDecision | None


def why(
    engine: ask.Engine, catalog: Catalog | None, visitor_id: str, experiment: str | None = None
) -> Why:
    """Return what a visitor was shown and did, and for each of it why it counted or did not.

    Args:
        engine: Runs the queries over the lake.
        catalog: Knows experiments and metrics; ``None`` for a lake alone.
        visitor_id: Whom it is about.
        experiment: A key or id; by default every experiment that decided for the visitor.

    Raises:
        NotFoundError: The experiment is unknown, or nothing is kept of the visitor.
    """
    history = ask.visitor_history(engine, visitor_id)
    if not history.decisions and not history.conversions:
        raise NotFoundError(f"visitor {visitor_id!r}: nothing is kept of this visitor")
    names = [experiment] if experiment is not None else _experiments(history)
    subjects = [find_subject(engine, catalog, Request(experiment=name)) for name in names]
    return Why(
        Explanation(
            visitor_id=visitor_id,
            participations=tuple(p for s in subjects for p in _participations(engine, s, history)),
            without_rule=sum(not d.experiment_id and not d.is_copy for d in history.decisions),
            conversions=sum(not conversion.is_copy for conversion in history.conversions),
        )
    )


def _experiments(history: VisitorHistory) -> Sequence[str]:
    return list(dict.fromkeys(d.experiment_id for d in history.decisions if _is_exposing(d)))


def _is_exposing(decision: SeenDecision) -> bool:
    return bool(decision.experiment_id) and decision.variation_id is not None


def _participations(
    engine: ask.Engine, subject: Subject, history: VisitorHistory
) -> Iterator[Participation]:
    """One participation; of an experiment without a known account, one in each account."""
    decisions = [d for d in history.decisions if d.experiment_id == subject.id]
    span = ask.observed_span(engine, subject.id)
    accounts = [subject.account_id]
    if subject.account_id is None:
        accounts = list(dict.fromkeys(d.account_id for d in decisions)) or accounts
    for account_id in accounts:
        unexposed = _Case(subject, account_id, None)
        exposing = (d for d in decisions if _judge_decision(unexposed, d) is Because.FIRST_EXPOSURE)
        case = _Case(subject, account_id, next(exposing, None))
        yield Participation(
            experiment_key=subject.key,
            experiment_id=subject.id,
            from_ms=span[0] if span is not None else None,
            to_ms=subject.end_ms,
            variation=_variation(subject, case.exposure) if case.exposure is not None else None,
            decisions=tuple(
                Judged(d.occurred_at, _variation(subject, d), _judge_decision(case, d))
                for d in decisions
            ),
            conversions=tuple(_judged_conversion(case, c) for c in history.conversions),
        )


def _judge_decision(case: _Case, decision: SeenDecision) -> Because:
    not_counted = _not_counted(case, decision)
    if not_counted is not None:
        return not_counted
    if decision.is_holdback:
        return Because.HOLDBACK
    if decision.variation_id is None:
        return Because.NO_VARIATION
    if case.exposure is None or decision is case.exposure:
        return Because.FIRST_EXPOSURE
    stayed = decision.variation_id == case.exposure.variation_id
    return Because.SEEN_AGAIN if stayed else Because.SWITCHED


def _judged_conversion(case: _Case, conversion: SeenConversion) -> Judged:
    because = _judge_conversion(case, conversion)
    metrics = _metrics(case.subject, conversion.event_key) if because is Because.COUNTED else ()
    if because is Because.COUNTED and not metrics:
        because = Because.NO_METRIC
    return Judged(conversion.occurred_at, conversion.event_key, because, metrics)


def _judge_conversion(case: _Case, conversion: SeenConversion) -> Because:
    not_counted = _not_counted(case, conversion)
    if not_counted is not None:
        return not_counted
    if case.exposure is None:
        return Because.NEVER_EXPOSED
    is_before = conversion.occurred_at < case.exposure.occurred_at
    return Because.BEFORE_EXPOSURE if is_before else Because.COUNTED


def _not_counted(case: _Case, event: SeenDecision | SeenConversion) -> Because | None:
    if case.account_id is not None and event.account_id != case.account_id:
        return Because.OTHER_ACCOUNT
    if event.is_copy:
        return Because.DUPLICATE
    end_ms = case.subject.end_ms
    return Because.OUTSIDE_WINDOW if end_ms is not None and event.occurred_at >= end_ms else None


def _metrics(subject: Subject, event_key: str) -> tuple[str, ...]:
    if not subject.metrics:  # as in results: unique and count of every attributed event
        return tuple(f"{event_key}:{a}" for a in (Aggregator.UNIQUE, Aggregator.COUNT))
    return tuple(metric.key for metric in subject.metrics if metric.event_key == event_key)


def _variation(subject: Subject, decision: SeenDecision) -> str:
    if decision.variation_id is None:
        return "(none)"
    return subject.arms.get(decision.variation_id, decision.variation_id)
