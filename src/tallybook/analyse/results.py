"""Sentence of the results: lake → attribution → moments → estimate → report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tallybook.analyse.health import epochs_in, sample_ratio
from tallybook.analyse.request import Request
from tallybook.analyse.slices import Measured, slice_of
from tallybook.analyse.subject import Catalog, Subject, find_metrics, find_subject, find_window
from tallybook.attribution import ask
from tallybook.model.metric import Aggregator, Metric, Question
from tallybook.model.moments import Exposures, Measurement, Segment, SegmentValue
from tallybook.model.report import Health, Report, Slice
from tallybook.stats.methods import method_named

# Dead letters have no event time, so it is their arrival that lies in the window.
DEAD_LETTERS = """
SELECT COUNT(*) FROM dead_letters
WHERE ($account_id IS NULL OR account_id IS NULL OR account_id = $account_id)
  AND arrived_at >= $from_ms AND arrived_at < $to_ms
"""
NO_EXPOSURES = Exposures(segment=(), looks=(), switched_visitors=0, duplicate_events=0)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A request made definite: of whom, over which events, by which metrics."""

    subject: Subject
    request: Request
    question: Question
    metrics: tuple[Metric, ...]


def results(engine: ask.Engine, catalog: Catalog | None, request: Request, now_ms: int) -> Report:
    """Return what the experiment has shown.

    Args:
        engine: Runs the queries over the lake.
        catalog: Knows experiments and metrics; ``None`` for a lake alone.
        request: What is asked.
        now_ms: Milliseconds since the epoch; ends the window of an experiment that still runs.

    Raises:
        NotFoundError: The experiment or a metric is unknown; the message says what exists.
        ConfigError: A setting of the request is unusable; the message names its flag.
    """
    plan = _plan(engine, catalog, request, now_ms)
    exposed = ask.exposures(engine, plan.question)
    everyone = exposed[0] if exposed else NO_EXPOSURES
    return Report(
        experiment_key=plan.subject.key,
        experiment_id=plan.subject.id,
        window=plan.question.window,
        method=request.method,
        confidence_level=request.confidence_level,
        everyone=_slices(engine, plan, [everyone])[0],
        health=_health(engine, plan, everyone),
        segments=_segments(engine, plan),
    )


def sql(engine: ask.Engine, catalog: Catalog | None, request: Request, now_ms: int) -> str:
    """Return the query text behind the results, one query a metric, each under the metric's key.

    Args:
        engine: Tells the window and the events where the definition does not.
        catalog: As for :func:`results`.
        request: As for :func:`results`.
        now_ms: As for :func:`results`.

    Raises:
        NotFoundError: As for :func:`results`.
        ConfigError: As for :func:`results`.
    """
    plan = _plan(engine, catalog, request, now_ms)
    question = replace(plan.question, segment_by=request.segments)
    # A metric's key is somebody's text: no line break in it may end the comment.
    texts = (
        f"-- {' '.join(metric.key.split())}\n{ask.query_text(question, metric).strip()};\n"
        for metric in plan.metrics
    )
    return "\n".join(texts)


def _plan(engine: ask.Engine, catalog: Catalog | None, request: Request, now_ms: int) -> _Plan:
    method_named(request.method)  # refused before anything is read
    subject = find_subject(engine, catalog, request)
    question = Question(
        experiment_id=subject.id,
        window=find_window(engine, subject, request, now_ms),
        segment_rule=request.segment_rule,
        account_id=subject.account_id,
    )
    metrics = find_metrics(subject, catalog, request) or _undefined_metrics(engine, question)
    return _Plan(subject, request, question, metrics)


def _undefined_metrics(engine: ask.Engine, question: Question) -> tuple[Metric, ...]:
    """Unique and count of every attributed event: what an import without metrics can be asked."""
    return tuple(
        Metric(key=f"{event_key}:{aggregator}", event_key=event_key, aggregator=aggregator)
        for event_key in ask.attributed_event_keys(engine, question)
        for aggregator in (Aggregator.UNIQUE, Aggregator.COUNT)
    )


def _segments(engine: ask.Engine, plan: _Plan) -> tuple[Slice, ...] | None:
    if not plan.request.segments:
        return None
    sliced = replace(plan.question, segment_by=plan.request.segments)
    plan = replace(plan, question=sliced)
    return tuple(_slices(engine, plan, ask.exposures(engine, sliced)))


def _slices(engine: ask.Engine, plan: _Plan, exposed: Sequence[Exposures]) -> list[Slice]:
    measured = [ask.measure(engine, plan.question, metric) for metric in plan.metrics]
    by_segment = [{_identity(m.segment): m for m in measurements} for measurements in measured]
    return [
        slice_of(
            plan.subject,
            plan.request,
            segment=part.segment,
            reach=part.looks[-1] if part.looks else None,
            measured=[
                Measured(metric, found.get(_identity(part.segment), Measurement(part.segment, ())))
                for metric, found in zip(plan.metrics, by_segment, strict=True)
            ],
        )
        for part in exposed
    ]


def _identity(segment: Segment) -> tuple[tuple[str, type, SegmentValue], ...]:
    """A segment told apart by its values' types too: to Python, true and 1 are equal."""
    return tuple((name, type(value), value) for name, value in segment)


def _dead_letters(engine: ask.Engine, question: Question) -> int:
    """Items of the account, or of nobody known, that were refused on arrival in the window."""
    window = question.window
    asked = {
        "account_id": question.account_id,
        "from_ms": window.from_ms,
        "to_ms": window.to_ms,
    }
    ((found,),) = engine.rows(DEAD_LETTERS, asked)
    return int(str(found))


def _health(engine: ask.Engine, plan: _Plan, everyone: Exposures) -> Health:
    return Health(
        sample_ratio=sample_ratio(plan.subject, plan.request, everyone.looks),
        switched_visitors=everyone.switched_visitors,
        duplicate_events=everyone.duplicate_events,
        dead_letters=_dead_letters(engine, plan.question),
        allocation_epochs=epochs_in(plan.subject, plan.question.window),
    )
