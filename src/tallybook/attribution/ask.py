"""Questions an engine is asked about an experiment, and the answers as values.

Looks are cumulative and stand at the end of each UTC day on which something changed, and at the
window's end, which is always the last one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol

from tallybook.attribution import texts
from tallybook.attribution.metrics import METRICS, Recipe
from tallybook.attribution.segments import read_segment
from tallybook.attribution.sums import Sums, arm, read_sums
from tallybook.attribution.texts import Text
from tallybook.model.history import (
    AttributedEvent,
    SeenConversion,
    SeenDecision,
    VisitorHistory,
)
from tallybook.model.metric import Metric, Question
from tallybook.model.moments import Exposures, Look, Measurement, Reach

EVERYONE = "[]"

Row = tuple[Any, ...]  # what a driver gives: columns as the query names them


class Engine(Protocol):
    """Runs a query over the views ``decisions`` and ``conversions``."""

    def rows(self, text: str, parameters: Mapping[str, object]) -> list[tuple[object, ...]]:
        """Return the rows of a query; ``$name`` in the text is a parameter."""
        ...


def exposures(engine: Engine, question: Question) -> tuple[Exposures, ...]:
    """Return who took part, one answer a segment; without ``segment_by`` exactly one.

    ``duplicate_events`` counts further copies among the decisions for this experiment and among all
    conversions in the window, of the segment's visitors. The looks are days with new visitors.
    """
    reached = _by_segment(question, _rows(engine, texts.reach(question)))
    odd = {EVERYONE: (0, 0)} | {
        segment: (int(switched), int(duplicates))
        for segment, switched, duplicates in _rows(engine, texts.oddities(question))
    }
    return tuple(
        Exposures(
            segment=read_segment(question.segment_by, text),
            looks=tuple(_reaches(rows, question.window.to_ms)),
            switched_visitors=odd[text][0],
            duplicate_events=odd[text][1],
        )
        for text, rows in reached.items()
    )


def measure(engine: Engine, question: Question, metric: Metric) -> tuple[Measurement, ...]:
    """Return a metric of every variation, one answer a segment; without ``segment_by`` exactly one.

    The looks are days with new visitors or with events of the metric. Sums are exact and rounded
    once: neither the order of rows nor their spread over files changes a bit.

    Raises:
        ConfigError: The metric is incomplete.
    """
    recipe = METRICS[metric.aggregator](metric)
    found = _by_segment(question, _rows(engine, texts.moments(question, metric)))
    return tuple(
        Measurement(
            segment=read_segment(question.segment_by, text),
            looks=tuple(_measured(rows, question.window.to_ms, recipe)),
        )
        for text, rows in found.items()
    )


def attributed_event_keys(engine: Engine, question: Question) -> tuple[str, ...]:
    """Return the keys of all attributed conversions, sorted."""
    return tuple(key for (key,) in _rows(engine, texts.attributed(question, "event_keys")))


def attributed_events(engine: Engine, question: Question) -> tuple[AttributedEvent, ...]:
    """Return every conversion that counts for the experiment, by time, uuid and entity id."""
    return tuple(
        AttributedEvent(*row) for row in _rows(engine, texts.attributed(question, "events"))
    )


def observed_span(engine: Engine, experiment_id: str) -> tuple[int, int] | None:
    """Return the times of the first and the last decision, in ms; ``None`` when there is none."""
    ((first, last),) = _rows(engine, texts.plain("span", experiment_id=experiment_id))
    return None if first is None else (first, last)


def known_experiments(engine: Engine) -> tuple[str, ...]:
    """Return the ids of all experiments with decisions, sorted as text."""
    return tuple(identity for (identity,) in _rows(engine, texts.plain("experiments")))


def variations_seen(engine: Engine, experiment_id: str) -> tuple[str, ...]:
    """Return the ids of all variations that were shown, sorted as text."""
    text = texts.plain("variations", experiment_id=experiment_id)
    return tuple(identity for (identity,) in _rows(engine, text))


def visitor_history(engine: Engine, visitor_id: str) -> VisitorHistory:
    """Return what one visitor was shown and did, by time, with copies that count nowhere marked."""
    decisions = _rows(engine, texts.plain("visitor_decisions", visitor_id=visitor_id))
    conversions = _rows(engine, texts.plain("visitor_conversions", visitor_id=visitor_id))
    return VisitorHistory(
        visitor_id=visitor_id,
        decisions=tuple(SeenDecision(*row) for row in decisions),
        conversions=tuple(SeenConversion(*row) for row in conversions),
    )


def query_text(question: Question, metric: Metric, dialect: str = "duckdb") -> str:
    """Return the query behind :func:`measure`, parameters written out, for people to run.

    Args:
        question: What is asked.
        metric: What is measured.
        dialect: Any that ``sqlglot`` writes: ``spark``, ``trino``, ``snowflake`` and so on.

    Raises:
        ConfigError: The metric is incomplete.
    """
    text = texts.moments(question, metric).literal
    if dialect == "duckdb":
        return text
    import sqlglot  # noqa: PLC0415  # 0.1 s that only other dialects need

    return sqlglot.transpile(text, read="duckdb", write=dialect, pretty=True)[0]


def _rows(engine: Engine, text: Text) -> list[Row]:
    return engine.rows(text.sql, text.parameters)


def _by_segment(question: Question, rows: Iterable[Row]) -> Mapping[str, list[Row]]:
    """Rows without their first column, by it; one empty list where everyone is nobody."""
    found: dict[str, list[Row]] = {} if question.segment_by else {EVERYONE: []}
    for segment, *rest in rows:
        found.setdefault(segment, []).append(tuple(rest))
    return found


def _reaches(rows: Sequence[Row], to_ms: int) -> Iterator[Reach]:
    visitors: Counter[str] = Counter()
    by_revision: Counter[tuple[str | None, str]] = Counter()
    for at_ms, today in _days(rows, to_ms):
        for _, variation, revision, count in today:
            visitors[variation] += count
            by_revision[revision, variation] += count
        yield Reach(at_ms, dict(visitors), dict(by_revision))


def _measured(rows: Sequence[Row], to_ms: int, recipe: Recipe) -> Iterator[Look]:
    sums: defaultdict[str, Sums] = defaultdict(Sums)
    for at_ms, today in _days(rows, to_ms):
        for _, variation, scale, *columns in today:
            sums[variation] += read_sums(scale, columns)
        yield Look(at_ms, {variation: arm(found, recipe) for variation, found in sums.items()})


def _days(rows: Sequence[Row], to_ms: int) -> Sequence[tuple[int, Sequence[Row]]]:
    """Rows by their first column, the end of a day; the last day ends with the window."""
    days = [(at_ms, list(today)) for at_ms, today in groupby(rows, key=itemgetter(0))]
    return days if days and days[-1][0] == to_ms else [*days, (to_ms, [])]
