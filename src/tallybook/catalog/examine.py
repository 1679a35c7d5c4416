"""A look at a catalog that changes nothing, not even its tables' form."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url

from tallybook.catalog.database import one_line_errors
from tallybook.catalog.schema import NEWEST, step_of
from tallybook.errors import StorageError


def examine(url: str) -> str | None:
    """The step of the catalog's tables; ``None`` when there is no catalog yet.

    Args:
        url: A database URL, as ``open_catalog`` takes it.

    Raises:
        StorageError: The database is damaged, does not answer, or was written by a newer version.
    """
    place = make_url(url)
    if place.get_backend_name() != "sqlite":
        return _step(create_engine(url), place.render_as_string(hide_password=True))
    path = Path(place.database or "")
    if not path.exists():
        return None
    _check_pages(path)
    return _step(create_engine("sqlite://", creator=lambda: _opened(path)), str(path))


def _check_pages(path: Path) -> None:
    try:
        with closing(_opened(path)) as database:
            found = [text for (text,) in database.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        raise StorageError(f"catalog {path}: {error}") from error
    if found != ["ok"]:
        raise StorageError(f"catalog {path}: damaged: {'; '.join(found)}")


def _opened(path: Path) -> sqlite3.Connection:
    # Without a log beside it nobody has it open, and SQLite need not make one to read it.
    is_open = path.with_name(f"{path.name}-wal").exists()
    query = "mode=ro" if is_open else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{query}", uri=True, timeout=5)


def _step(engine: Engine, name: str) -> str | None:
    try:
        with one_line_errors(name), engine.connect() as connection:
            step = step_of(connection)
    finally:
        engine.dispose()
    if step is not None and step > NEWEST:
        raise StorageError(
            f"catalog {name}: its tables are of step {step}, this version knows {NEWEST}"
        )
    return step
