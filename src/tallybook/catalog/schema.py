"""Bring a database to the newest form of the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text

from tallybook.catalog.database import exclusive
from tallybook.errors import StorageError

NEWEST: Final = "0002"  # the last of migrations/versions, known without loading Alembic
_SCRIPTS: Final = Path(__file__).parent / "migrations"


def migrate(engine: Engine, name: str) -> None:
    """Run the steps the database has not seen; of several that try at once, one does.

    Raises:
        StorageError: The database was written by a newer version.
    """
    with engine.connect() as connection:
        if step_of(connection) == NEWEST:
            return
    with exclusive(engine) as connection:
        step = step_of(connection)  # another may have been quicker
        if step == NEWEST:
            return
        if step is not None and step > NEWEST:
            raise StorageError(
                f"catalog {name}: its tables are of step {step}, this version knows {NEWEST}; "
                "use the newer version that wrote it"
            )
        _upgrade(connection)


def step_of(connection: Connection) -> str | None:
    """The last step that the tables have seen; ``None`` when there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    step = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if step is None else str(step)


def _upgrade(connection: Connection) -> None:
    # Alembic is loaded only when there is something to do; it would slow every start.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
