"""Run the steps over the connection the catalog hands in."""

from __future__ import annotations

from alembic import context

from tallybook.catalog.tables import Row


def run() -> None:
    """Run the steps Alembic was asked for."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=Row.metadata, transactional_ddl=True)
    context.run_migrations()


if __name__ == "env_py":  # the name under which Alembic loads this file; whoever imports it, looks
    run()
