"""The catalog as the rest of the house reads it: datafiles to serve, experiments to analyse."""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from tallybook.catalog import tokens
from tallybook.catalog.access import Access
from tallybook.catalog.database import connect, exclusive, one_line_errors
from tallybook.catalog.publication import PublishedDatafile
from tallybook.catalog.registered import metric, primary_first, registered
from tallybook.catalog.schema import migrate
from tallybook.catalog.tables import (
    DatafileRow,
    EnvironmentRow,
    EventKeyRow,
    ExperimentRow,
    IdRow,
    MetricRow,
    PublicationRow,
)
from tallybook.catalog.transaction import CatalogTransaction
from tallybook.errors import ConfigError, NotFoundError
from tallybook.model.experiment import RegisteredExperiment
from tallybook.model.metric import Metric


def open_catalog(url_or_path: str) -> Catalog:
    """The catalog in a SQLite file, made if it is not there, or behind a database URL.

    Raises:
        StorageError: The file is no catalog, or the database does not answer.
        ConfigError: The URL or its driver is unusable.
    """
    engine, name = connect(url_or_path)
    try:
        with one_line_errors(name):
            migrate(engine, name)
    except BaseException:
        engine.dispose()
        raise
    return Catalog(engine, name)


def token_hash(token: str) -> str:
    """What is kept of an access token. It is long and random, so one round of SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


class Catalog:
    """What was defined and published. Safe to use from several threads; close it when done."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[CatalogTransaction]:
        """Exclude other writers while the block looks and records; an error undoes all of it."""
        with (
            one_line_errors(self._name),
            exclusive(self._engine) as connection,
            Session(connection) as session,
        ):
            yield CatalogTransaction(session)
            session.flush()

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with one_line_errors(self._name), Session(self._engine) as session:
            yield session

    def datafile(self, sdk_key: str) -> PublishedDatafile | None:
        """The newest datafile of the environment with ``sdk_key``; ``None`` if there is none."""
        query = (
            select(
                DatafileRow.body,
                PublicationRow.revision,
                PublicationRow.at_ms,
                DatafileRow.etag,
                EnvironmentRow.token_hash,
            )
            .join(PublicationRow, PublicationRow.number == DatafileRow.publication)
            .join(
                EnvironmentRow,
                (EnvironmentRow.project_key == DatafileRow.project_key)
                & (EnvironmentRow.key == DatafileRow.environment_key),
            )
            .where(EnvironmentRow.sdk_key == sdk_key, EnvironmentRow.present)
            .order_by(DatafileRow.publication.desc())
            .limit(1)
        )
        with self._reading() as session:
            found = session.execute(query).first()
        if found is None:
            return None
        body, revision, at_ms, etag, token = found
        return PublishedDatafile(body, revision, at_ms, etag, token is not None)

    def latest_publication(self) -> int:
        """The number of the newest publication of any project, 0 before the first."""
        with self._reading() as session:
            return session.scalar(select(func.max(PublicationRow.number))) or 0

    def token_matches(self, sdk_key: str, token: str) -> bool:
        """True when ``token`` is the access token of the environment with ``sdk_key``."""
        query = select(EnvironmentRow.token_hash).where(
            EnvironmentRow.sdk_key == sdk_key, EnvironmentRow.present
        )
        with self._reading() as session:
            kept = session.scalar(query)
        return kept is not None and hmac.compare_digest(kept, token_hash(token))

    def access(self) -> Access:
        """The tokens that hold, and which accounts ask for one with their events."""
        with self._reading() as session:
            return tokens.access(session)

    def note_use(self, used_ms: Mapping[str, int]) -> None:
        """Keep when tokens were last used, by id, in milliseconds since the epoch."""
        with self.transaction() as transaction:
            transaction.tokens.note_use(used_ms)

    def attribute_keys(self) -> tuple[str, ...]:
        """Every attribute ever defined or imported, in any project, sorted."""
        with self._reading() as session:
            paths = session.scalars(select(IdRow.path).where(IdRow.kind == "attribute")).all()
        return tuple(sorted({json.loads(path)[0] for path in paths}))

    def event_keys(self) -> tuple[str, ...]:
        """Every event that a current datafile of any environment knows, sorted."""
        with self._reading() as session:
            return tuple(sorted(session.scalars(select(EventKeyRow.key).distinct())))

    def experiments(self) -> tuple[RegisteredExperiment, ...]:
        """Every experiment of every project and environment, the removed ones too."""
        with self._reading() as session:
            return tuple(registered(session, primary_first(session)))

    def find_experiment(
        self, key_or_id: str, *, project: str | None = None, environment: str | None = None
    ) -> RegisteredExperiment:
        """The one experiment with this key or id.

        Without ``environment`` it is the one in the project's primary environment, or the only one
        there is elsewhere.

        Raises:
            NotFoundError: Nothing has this key or id.
            ConfigError: Several projects or environments have it; the message lists them.
        """
        with self._reading() as session:
            rows = [
                row
                for row in primary_first(session)
                if project in (None, row.project_key) and environment in (None, row.environment_key)
            ]
            named = [row for row in rows if key_or_id in (row.key, row.experiment_id)]
            if not named:
                raise NotFoundError(_unknown(key_or_id, project, environment, rows))
            if environment is None:
                named = self._in_primary(session, named)
            # An experiment that was moved to another flag leaves a removed one of the same key.
            present = [row for row in named if row.present] or named
            if len(present) > 1:
                raise ConfigError(_ambiguous(key_or_id, present))
            return registered(session, present)[0]

    @staticmethod
    def _in_primary(session: Session, rows: Sequence[ExperimentRow]) -> list[ExperimentRow]:
        query = select(EnvironmentRow.project_key, EnvironmentRow.key).where(
            EnvironmentRow.position == 0, EnvironmentRow.present
        )
        primary = set(session.execute(query))
        within = [r for r in rows if (r.project_key, r.environment_key) in primary]
        covered = {r.project_key for r in within}
        return [r for r in rows if r in within or r.project_key not in covered]

    def find_metric(self, key: str, project: str | None = None) -> Metric | None:
        """The metric called ``key``; ``None`` if no project defines it.

        Raises:
            ConfigError: Projects define it differently and none was named.
        """
        query = select(MetricRow).where(MetricRow.key == key).order_by(MetricRow.project_key)
        with self._reading() as session:
            rows = [r for r in session.scalars(query) if project in (None, r.project_key)]
            found = {r.project_key: metric(r) for r in rows}
        if len(set(found.values())) > 1:
            raise ConfigError(
                f"metric `{key}` is defined differently in {', '.join(found)}; name one with "
                "--project"
            )
        return next(iter(found.values()), None)


def _unknown(
    key: str, project: str | None, environment: str | None, rows: Sequence[ExperimentRow]
) -> str:
    place = "/".join(name for name in (project, environment) if name)
    where = f" in {place}" if place else ""
    known = list(dict.fromkeys(row.key for row in rows))
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"no experiment has the key or id `{key}`{where}; did you mean `{close[0]}`?"
    listed = f"; there are: {', '.join(known[:10])}" if known else "; none is defined yet"
    return f"no experiment has the key or id `{key}`{where}{listed}"


def _ambiguous(key: str, rows: Sequence[ExperimentRow]) -> str:
    choices = ", ".join(
        f"--project {r.project_key} --environment {r.environment_key} ({r.experiment_id})"
        for r in rows
    )
    return f"several experiments have the key or id `{key}`; choose one of: {choices}"
