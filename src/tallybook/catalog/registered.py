"""Experiments as results need them: rows of every revision put together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.orm import Session

from tallybook.catalog.tables import (
    AllocationRow,
    EnvironmentRow,
    ExperimentRow,
    MetricRow,
    ProjectRow,
    PublicationRow,
)
from tallybook.model.experiment import AllocationEpoch, Arms, RegisteredExperiment
from tallybook.model.metric import Aggregator, Metric, Scope, WinningDirection

_Place = tuple[str, str, str]  # project key, environment key, experiment id
_Published = tuple[int, int, str]  # number, time in ms, revision


def registered(session: Session, rows: Sequence[ExperimentRow]) -> list[RegisteredExperiment]:
    """What results need to know about the experiments of ``rows``, in their order."""
    epochs = _epochs(session, {row.experiment_id for row in rows})
    projects = {p.key: p for p in session.scalars(select(ProjectRow))}
    metrics = {
        key: {m.key: metric(m) for m in group}
        for key, group in groupby(
            session.scalars(select(MetricRow).order_by(MetricRow.project_key)),
            key=lambda m: m.project_key,
        )
    }
    return [
        RegisteredExperiment(
            id=row.experiment_id,
            key=row.key,
            account_id=projects[row.project_key].account_id,
            project_key=row.project_key,
            environment_key=row.environment_key,
            flag_key=row.flag_key,
            arms=Arms(dict(json.loads(row.arms)), row.baseline_id),
            metrics=_measured(json.loads(row.metrics), metrics.get(row.project_key, {})),
            epochs=epochs.get((row.project_key, row.environment_key, row.experiment_id), ()),
            status=row.status if row.present else "removed",
            start_ms=row.start_ms,
            end_ms=row.end_ms,
        )
        for row in rows
    ]


def _measured(keys: Iterable[str], metrics: Mapping[str, Metric]) -> tuple[Metric, ...]:
    # A removed experiment may name metrics that are no longer defined.
    return tuple(metrics[key] for key in keys if key in metrics)


def metric(row: MetricRow) -> Metric:
    """The metric a row holds."""
    return Metric(
        key=row.key,
        event_key=row.event_key,
        aggregator=Aggregator(row.aggregator),
        field=row.field,
        scope=Scope(row.scope),
        winning_direction=WinningDirection(row.winning_direction),
    )


def _epochs(session: Session, ids: set[str]) -> dict[_Place, tuple[AllocationEpoch, ...]]:
    # By columns: a whole publication carries its definition, once for every row of the answer.
    query = (
        select(
            PublicationRow.project_key,
            AllocationRow,
            PublicationRow.at_ms,
            PublicationRow.revision,
        )
        .join(PublicationRow, PublicationRow.number == AllocationRow.publication)
        .where(AllocationRow.experiment_id.in_(ids))
        .order_by(PublicationRow.number)
    )
    history: dict[_Place, dict[_Published, dict[str, int]]] = {}
    for project, allocation, at_ms, revision in session.execute(query):
        place = (project, allocation.environment_key, allocation.experiment_id)
        published = (allocation.publication, at_ms, revision)
        weights = history.setdefault(place, {}).setdefault(published, {})
        weights[allocation.variation_id] = allocation.basis_points
    return {place: _merged(revisions) for place, revisions in history.items()}


def _merged(history: Mapping[_Published, dict[str, int]]) -> tuple[AllocationEpoch, ...]:
    epochs: list[AllocationEpoch] = []
    for (_, at_ms, revision), weights in history.items():
        if epochs and epochs[-1].weights == weights:
            last = epochs.pop()
            revisions = tuple(dict.fromkeys((*last.revisions, revision)))
            epochs.append(AllocationEpoch(last.from_ms, revisions, weights))
        else:
            epochs.append(AllocationEpoch(at_ms, (revision,), weights))
    return tuple(epochs)


def primary_first(session: Session) -> list[ExperimentRow]:
    """Every experiment, by project, then environment from the primary one on, then key."""
    query = (
        select(ExperimentRow)
        .join(
            EnvironmentRow,
            (EnvironmentRow.project_key == ExperimentRow.project_key)
            & (EnvironmentRow.key == ExperimentRow.environment_key),
        )
        .order_by(ExperimentRow.project_key, EnvironmentRow.position, ExperimentRow.key)
    )
    return list(session.scalars(query))
