"""The catalog's tables, typed; ``migrations/`` makes them."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite numbers rows by itself only in a column that is exactly INTEGER.
_ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")


class Row(DeclarativeBase):
    """What all tables share: times and ids may exceed 32 bits."""

    type_annotation_map: ClassVar = {int: BigInteger, bytes: LargeBinary}


class AccountRow(Row):
    """The one account of this installation, and the next id nobody has."""

    __tablename__ = "account"

    account_id: Mapped[str] = mapped_column(primary_key=True)
    next_id: Mapped[int]


class ProjectRow(Row):
    """A project and the ids its datafiles carry."""

    __tablename__ = "projects"

    key: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    account_id: Mapped[str]


class EnvironmentRow(Row):
    """Where a project is served, the primary place at 0; removed ones are not ``present``."""

    __tablename__ = "environments"

    project_key: Mapped[str] = mapped_column(ForeignKey("projects.key"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    present: Mapped[bool]
    sdk_key: Mapped[str] = mapped_column(unique=True)
    token_hash: Mapped[str | None]
    event_token: Mapped[bool] = mapped_column(server_default=false())


class IdRow(Row):
    """The registry: which id an object has, by its kind and the keys that lead to it (JSON)."""

    __tablename__ = "ids"
    __table_args__ = (Index("ix_ids_id", "id"),)

    project_key: Mapped[str] = mapped_column(ForeignKey("projects.key"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str]


class PublicationRow(Row):
    """One revision of a project; ``definition`` is ``NULL`` for an imported datafile."""

    __tablename__ = "publications"
    __table_args__ = (Index("ix_publications_project_key", "project_key"),)

    number: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True, autoincrement=True)
    project_key: Mapped[str] = mapped_column(ForeignKey("projects.key"))
    revision: Mapped[str]
    at_ms: Mapped[int]
    definition: Mapped[str | None]


class DatafileRow(Row):
    """The datafile of one environment in one publication."""

    __tablename__ = "datafiles"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_key", "environment_key"], ["environments.project_key", "environments.key"]
        ),
        Index("ix_datafiles_environment", "project_key", "environment_key", "publication"),
    )

    publication: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("publications.number"), primary_key=True
    )
    environment_key: Mapped[str] = mapped_column(primary_key=True)
    project_key: Mapped[str]
    body: Mapped[bytes]
    etag: Mapped[str]


class ExperimentRow(Row):
    """An experiment as last published; ``arms`` (pairs) and ``metrics`` (keys) are JSON lists."""

    __tablename__ = "experiments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_key", "environment_key"], ["environments.project_key", "environments.key"]
        ),
        Index("ix_experiments_key", "key"),
        Index("ix_experiments_id", "experiment_id"),
    )

    project_key: Mapped[str] = mapped_column(primary_key=True)
    environment_key: Mapped[str] = mapped_column(primary_key=True)
    experiment_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
    flag_key: Mapped[str | None]
    present: Mapped[bool]
    status: Mapped[str]
    arms: Mapped[str]
    baseline_id: Mapped[str]
    metrics: Mapped[str]
    start_ms: Mapped[int | None]
    end_ms: Mapped[int | None]


class AllocationRow(Row):
    """Basis points of all traffic that a variation was served in one publication."""

    __tablename__ = "allocations"
    __table_args__ = (
        Index("ix_allocations_experiment", "experiment_id", "environment_key", "publication"),
    )

    publication: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("publications.number"), primary_key=True
    )
    environment_key: Mapped[str] = mapped_column(primary_key=True)
    experiment_id: Mapped[str] = mapped_column(primary_key=True)
    variation_id: Mapped[str] = mapped_column(primary_key=True)
    basis_points: Mapped[int]


class MetricRow(Row):
    """A metric of a project, as last defined."""

    __tablename__ = "metrics"

    project_key: Mapped[str] = mapped_column(ForeignKey("projects.key"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    event_key: Mapped[str]
    aggregator: Mapped[str]
    field: Mapped[str | None]
    scope: Mapped[str]
    winning_direction: Mapped[str]


class EventKeyRow(Row):
    """An event key that an environment's current datafile knows."""

    __tablename__ = "event_keys"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_key", "environment_key"], ["environments.project_key", "environments.key"]
        ),
    )

    project_key: Mapped[str] = mapped_column(primary_key=True)
    environment_key: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)


class TokenRow(Row):
    """A token, of which only a hash is kept; one for events belongs to an environment."""

    __tablename__ = "tokens"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_key", "environment_key"], ["environments.project_key", "environments.key"]
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    scope: Mapped[str]
    hash: Mapped[str]
    project_key: Mapped[str | None]
    environment_key: Mapped[str | None]
    created_ms: Mapped[int]
    used_ms: Mapped[int | None]
    revoked_ms: Mapped[int | None]
