"""The writing end of the catalog: what a publication needs to know, and its recording.

A transaction excludes every other writer's from its first look to its commit, so ids and revision
numbers that it found free stay free.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from tallybook.catalog.publication import (
    EnvironmentAccess,
    EnvironmentRevision,
    IdPath,
    LatestPublication,
    ProjectIdentity,
    Publication,
    PublishedExperiment,
)
from tallybook.catalog.tables import (
    AccountRow,
    AllocationRow,
    DatafileRow,
    EnvironmentRow,
    EventKeyRow,
    ExperimentRow,
    IdRow,
    MetricRow,
    ProjectRow,
    PublicationRow,
)
from tallybook.catalog.tokens import Tokens


class CatalogTransaction:
    """Reads and one recording, all or nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.tokens = Tokens(session)

    def account_id(self) -> str | None:
        """This installation's own account id, once it has one."""
        return self._session.scalar(select(AccountRow.account_id))

    def next_id(self, first: int) -> int:
        """The next id to generate; ``first`` when none was."""
        return self._session.scalar(select(AccountRow.next_id)) or first

    def keep_account(self, account_id: str, next_id: int) -> None:
        """Remember the account and up to where ids were generated."""
        row = self._session.get(AccountRow, account_id)
        if row is None:
            self._session.add(AccountRow(account_id=account_id, next_id=next_id))
        else:
            row.next_id = next_id

    def taken_ids(self) -> set[str]:
        """Every id that any object of any project has."""
        return set(self._session.scalars(select(IdRow.id).distinct()))

    def ids(self, project: str) -> dict[IdPath, str]:
        """The registry of one project."""
        rows = self._session.scalars(select(IdRow).where(IdRow.project_key == project))
        return {(row.kind, tuple(json.loads(row.path))): row.id for row in rows}

    def project(self, key: str) -> ProjectIdentity | None:
        """The project called ``key``."""
        row = self._session.get(ProjectRow, key)
        return None if row is None else ProjectIdentity(row.key, row.project_id, row.account_id)

    def project_of_id(self, project_id: str) -> ProjectIdentity | None:
        """The project whose datafiles carry ``project_id``."""
        query = select(ProjectRow.key).where(ProjectRow.project_id == project_id)
        key = self._session.scalar(query.order_by(ProjectRow.key))
        return None if key is None else self.project(key)

    def environments(self, project: str) -> dict[str, EnvironmentAccess]:
        """How each environment is reached, the primary one first."""
        query = select(EnvironmentRow).where(
            EnvironmentRow.project_key == project, EnvironmentRow.present
        )
        rows = self._session.scalars(query.order_by(EnvironmentRow.position))
        return {
            r.key: EnvironmentAccess(r.key, r.sdk_key, r.token_hash, r.event_token) for r in rows
        }

    def sdk_key_owner(self, sdk_key: str) -> tuple[str, str] | None:
        """Project and environment that have ``sdk_key``."""
        query = select(EnvironmentRow).where(EnvironmentRow.sdk_key == sdk_key)
        row = self._session.scalar(query)
        return None if row is None else (row.project_key, row.key)

    def latest(self, project: str) -> LatestPublication | None:
        """The newest revision of a project."""
        query = select(PublicationRow).where(PublicationRow.project_key == project)
        row = self._session.scalar(query.order_by(PublicationRow.number.desc()).limit(1))
        return None if row is None else LatestPublication(row.revision, row.definition)

    def last_definition(self, project: str) -> str | None:
        """The definition applied last, also when something was imported since."""
        query = select(PublicationRow.definition).where(
            PublicationRow.project_key == project, PublicationRow.definition.is_not(None)
        )
        return self._session.scalar(query.order_by(PublicationRow.number.desc()).limit(1))

    def revisions(self, project: str) -> set[str]:
        """Every revision a project ever had."""
        query = select(PublicationRow.revision).where(PublicationRow.project_key == project)
        return set(self._session.scalars(query))

    def served(self, project: str, environment: str, revision: str | None = None) -> bytes | None:
        """The newest datafile of an environment, or the newest one of ``revision``."""
        query = (
            select(DatafileRow.body)
            .join(PublicationRow, PublicationRow.number == DatafileRow.publication)
            .where(DatafileRow.project_key == project, DatafileRow.environment_key == environment)
            .order_by(DatafileRow.publication.desc())
            .limit(1)
        )
        if revision is not None:
            query = query.where(PublicationRow.revision == revision)
        return self._session.scalar(query)

    def experiment_owners(self, ids: Collection[str]) -> list[tuple[str, str]]:
        """Experiment id and project of those of ``ids`` that were published before."""
        query = select(ExperimentRow.experiment_id, ExperimentRow.project_key)
        rows = self._session.execute(query.where(ExperimentRow.experiment_id.in_(ids)).distinct())
        return [(id_, project) for id_, project in rows]

    def record(self, publication: Publication) -> None:
        """Keep a publication; from the commit on it is what is served."""
        self._keep_identity(publication)
        number = self._number(publication)
        if publication.definition is not None:
            self._withdraw(publication)
            self._keep_metrics(publication)
        for position, revision in enumerate(publication.environments):
            self._keep_environment(publication, revision, position)
            self._keep_revision(number, publication.project.key, revision)

    def _keep_identity(self, publication: Publication) -> None:
        project = publication.project
        self._session.merge(
            ProjectRow(
                key=project.key, project_id=project.project_id, account_id=project.account_id
            )
        )
        self._session.flush()  # what follows refers to it
        self._session.add_all(
            IdRow(project_key=project.key, kind=kind, path=json.dumps(path), id=id_)
            for (kind, path), id_ in publication.ids.items()
        )

    def _number(self, publication: Publication) -> int:
        row = PublicationRow(
            project_key=publication.project.key,
            revision=publication.revision,
            at_ms=publication.at_ms,
            definition=publication.definition,
        )
        self._session.add(row)
        self._session.flush()
        return row.number

    def _withdraw(self, publication: Publication) -> None:
        # A definition says all there is: what it does not bring back below is gone. SDK keys are
        # freed first, so that environments may exchange theirs.
        key = publication.project.key
        kept = [e.access.key for e in publication.environments]
        freed = "withdrawn:" + EnvironmentRow.project_key + "/" + EnvironmentRow.key
        self._session.execute(
            update(EnvironmentRow)
            .where(EnvironmentRow.project_key == key)
            .values(present=False, sdk_key=freed)
        )
        gone = (EventKeyRow.project_key == key) & EventKeyRow.environment_key.not_in(kept)
        self._session.execute(delete(EventKeyRow).where(gone))
        self._session.execute(
            update(ExperimentRow).where(ExperimentRow.project_key == key).values(present=False)
        )

    def _keep_metrics(self, publication: Publication) -> None:
        key = publication.project.key
        self._session.execute(delete(MetricRow).where(MetricRow.project_key == key))
        self._session.add_all(
            MetricRow(
                project_key=key,
                key=metric.key,
                event_key=metric.event_key,
                aggregator=str(metric.aggregator),
                field=metric.field,
                scope=str(metric.scope),
                winning_direction=str(metric.winning_direction),
            )
            for metric in publication.metrics
        )

    def _keep_environment(
        self, publication: Publication, revision: EnvironmentRevision, position: int
    ) -> None:
        project, access = publication.project.key, revision.access
        row = self._session.get(EnvironmentRow, (project, access.key))
        if publication.definition is None:  # an import joins those that are there, behind them
            position = row.position if row else len(self.environments(project))
        if row is None:
            row = EnvironmentRow(project_key=project, key=access.key)
            self._session.add(row)
        row.position, row.present = position, True
        row.sdk_key, row.token_hash = access.sdk_key, access.token_hash
        row.event_token = access.event_token
        self._session.flush()

    def _keep_revision(self, number: int, project: str, revision: EnvironmentRevision) -> None:
        environment = revision.access.key
        here = {"project_key": project, "environment_key": environment}
        self._session.add(
            DatafileRow(
                publication=number,
                body=revision.body,
                etag=hashlib.sha256(revision.body).hexdigest()[:32],
                **here,
            )
        )
        self._session.execute(delete(EventKeyRow).filter_by(**here))
        self._session.add_all(EventKeyRow(key=key, **here) for key in revision.event_keys)
        self._session.execute(update(ExperimentRow).filter_by(**here).values(present=False))
        for experiment in revision.experiments:
            self._keep_experiment(experiment, here)
            self._session.add_all(
                AllocationRow(
                    publication=number,
                    environment_key=environment,
                    experiment_id=experiment.id,
                    variation_id=variation_id,
                    basis_points=basis_points,
                )
                for variation_id, basis_points in experiment.weights.items()
            )
        self._session.flush()

    def _keep_experiment(self, experiment: PublishedExperiment, here: Mapping[str, str]) -> None:
        place = (here["project_key"], here["environment_key"], experiment.id)
        row = self._session.get(ExperimentRow, place, populate_existing=True)
        if row is None:
            row = ExperimentRow(experiment_id=experiment.id, arms="[]", **here)
            self._session.add(row)
        # Visitors of an arm that was taken out are still in the lake, so it keeps its place here.
        former = {id_: key for id_, key in json.loads(row.arms) if id_ not in experiment.arms}
        row.arms = json.dumps(list((dict(experiment.arms) | former).items()))
        row.key, row.flag_key = experiment.key, experiment.flag_key
        row.present, row.status = True, experiment.status
        row.baseline_id, row.metrics = experiment.baseline_id, json.dumps(experiment.metrics)
        row.start_ms, row.end_ms = experiment.start_ms, experiment.end_ms
