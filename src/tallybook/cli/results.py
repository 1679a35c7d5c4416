"""Commands that answer: ``results``, ``why`` and ``sql``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from tallybook import analyse
from tallybook.analyse.wording import moment, split
from tallybook.cli.options import DataOption
from tallybook.cli.stores import open_stores
from tallybook.model.metric import SegmentRule
from tallybook.report import FORMATS


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to measure, over which events and visitors, and how.

    Parameters
    ----------
    project:
        Project key, where several have an experiment of that key.
    environment:
        Environment key; default: the project's first.
    metric:
        A metric's key, or EVENT:AGGREGATOR[:FIELD] such as purchase:sum:revenue (repeatable).
    segment:
        Slice by this attribute (repeatable: combinations).
    segment_rule:
        exposure: the value at first exposure; optimizely: any decision or conversion with it.
    from_:
        Start, included: a date (00:00 UTC) or a moment; default: the first decision.
    to:
        End, excluded; default: when the experiment ended, else now.
    as_of:
        Answer as it would have been at this moment.
    baseline:
        Variation to compare with; default: the rule's first.
    confidence:
        Confidence level of intervals, a proportion.
    method:
        How to estimate.
    expected_split:
        Intended split, such as control=1,treatment=1, where the catalog knows none.
    """

    project: str | None = None
    environment: str | None = None
    metric: list[str] | None = None
    segment: list[str] | None = None
    segment_rule: Literal["exposure", "optimizely"] = "exposure"
    from_: Annotated[str | None, Parameter(name="--from")] = None
    to: str | None = None
    as_of: str | None = None
    baseline: str | None = None
    confidence: float = 0.95
    method: str = "sequential"
    expected_split: str | None = None


def results(
    experiment: str,
    asked: Asked | None = None,
    *,
    format: Literal["table", "json", "csv"] = "table",  # noqa: A002 - the flag's name
    data: DataOption = None,
) -> None:
    """Show an experiment's results.

    Example: tallybook results checkout_test --segment plan

    Parameters
    ----------
    experiment:
        The experiment's key, or its id where only an import knows it.
    asked:
        What to measure and how.
    format:
        A table for people, or the result document.
    data:
        Data directory.
    """
    request = _request(experiment, asked or Asked())
    with open_stores(data) as stores:
        report = analyse.results(stores.engine, stores.catalog, request, now_ms=_now_ms())
    print(FORMATS[format](report), end="")


def sql(experiment: str, asked: Asked | None = None, *, data: DataOption = None) -> None:
    """Show the query behind an experiment's results.

    Example: tallybook sql checkout_test

    Parameters
    ----------
    experiment:
        The experiment's key, or its id where only an import knows it.
    asked:
        What to measure and how.
    data:
        Data directory.
    """
    request = _request(experiment, asked or Asked())
    with open_stores(data) as stores:
        print(analyse.sql(stores.engine, stores.catalog, request, now_ms=_now_ms()))


def why(visitor: str, experiment: str | None = None, *, data: DataOption = None) -> None:
    """Show what a visitor was shown and did, what counted, and why the rest did not.

    Example: tallybook why user123 checkout_test

    Parameters
    ----------
    visitor:
        The visitor's id.
    experiment:
        One experiment's key or id; default: all the visitor was in.
    data:
        Data directory.
    """
    with open_stores(data) as stores:
        explanation = analyse.why(stores.engine, stores.catalog, visitor, experiment)
    print(explanation.text)


def _request(experiment: str, asked: Asked) -> analyse.Request:
    return analyse.Request(
        experiment=experiment,
        project=asked.project,
        environment=asked.environment,
        metrics=tuple(asked.metric or ()),
        segments=tuple(asked.segment or ()),
        segment_rule=SegmentRule(asked.segment_rule),
        from_ms=moment("--from", asked.from_),
        to_ms=moment("--to", asked.to),
        as_of_ms=moment("--as-of", asked.as_of),
        baseline=asked.baseline,
        confidence_level=asked.confidence,
        method=asked.method,
        expected_split=split("--expected-split", asked.expected_split),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
