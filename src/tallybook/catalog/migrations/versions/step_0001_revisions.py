"""Make the first tables: revisions kept whole, and a registry of ids."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the first tables."""
    _identity()
    _revisions()
    _experiments()
    _vocabulary()


def _text(name: str, *, key: bool = False, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), primary_key=key, nullable=nullable)


def _integer(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _project() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["project_key"], ["projects.key"])


def _environment() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["project_key", "environment_key"], ["environments.project_key", "environments.key"]
    )


def _publication() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["publication"], ["publications.number"])


def _publication_number() -> sa.Column[int]:
    return sa.Column("publication", sa.BigInteger(), primary_key=True, nullable=False)


def _identity() -> None:
    op.create_table("account", _text("account_id", key=True), _integer("next_id"))
    op.create_table("projects", _text("key", key=True), _text("project_id"), _text("account_id"))
    op.create_table(
        "environments",
        _text("project_key", key=True),
        _text("key", key=True),
        _integer("position"),
        _flag("present"),
        _text("sdk_key"),
        _text("token_hash", nullable=True),
        _project(),
        sa.UniqueConstraint("sdk_key"),
    )
    op.create_table(
        "ids",
        _text("project_key", key=True),
        _text("kind", key=True),
        _text("path", key=True),
        _text("id"),
        _project(),
    )
    op.create_index("ix_ids_id", "ids", ["id"])


def _revisions() -> None:
    op.create_table(
        "publications",
        sa.Column("number", _ROW_NUMBER, primary_key=True, autoincrement=True),
        _text("project_key"),
        _text("revision"),
        _integer("at_ms"),
        _text("definition", nullable=True),
        _project(),
    )
    op.create_index("ix_publications_project_key", "publications", ["project_key"])
    op.create_table(
        "datafiles",
        _publication_number(),
        _text("environment_key", key=True),
        _text("project_key"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _text("etag"),
        _publication(),
        _environment(),
    )
    op.create_index(
        "ix_datafiles_environment", "datafiles", ["project_key", "environment_key", "publication"]
    )


def _experiments() -> None:
    op.create_table(
        "experiments",
        _text("project_key", key=True),
        _text("environment_key", key=True),
        _text("experiment_id", key=True),
        _text("key"),
        _text("flag_key", nullable=True),
        _flag("present"),
        _text("status"),
        _text("arms"),
        _text("baseline_id"),
        _text("metrics"),
        _integer("start_ms", nullable=True),
        _integer("end_ms", nullable=True),
        _environment(),
    )
    op.create_index("ix_experiments_key", "experiments", ["key"])
    op.create_index("ix_experiments_id", "experiments", ["experiment_id"])
    op.create_table(
        "allocations",
        _publication_number(),
        _text("environment_key", key=True),
        _text("experiment_id", key=True),
        _text("variation_id", key=True),
        _integer("basis_points"),
        _publication(),
    )
    op.create_index(
        "ix_allocations_experiment",
        "allocations",
        ["experiment_id", "environment_key", "publication"],
    )


def _vocabulary() -> None:
    op.create_table(
        "metrics",
        _text("project_key", key=True),
        _text("key", key=True),
        _text("event_key"),
        _text("aggregator"),
        _text("field", nullable=True),
        _text("scope"),
        _text("winning_direction"),
        _project(),
    )
    op.create_table(
        "event_keys",
        _text("project_key", key=True),
        _text("environment_key", key=True),
        _text("key", key=True),
        _environment(),
    )
