"""Make the table of tokens, and let environments ask for one with events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the column."""
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("project_key", sa.String(), nullable=True),
        sa.Column("environment_key", sa.String(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_key", "environment_key"], ["environments.project_key", "environments.key"]
        ),
    )
    op.add_column(
        "environments",
        sa.Column("event_token", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
