"""The database behind the catalog: how it is reached, and its faults in one line each.

SQLite is opened in WAL mode, where readers and one writer do not wait for each other. Transactions
are begun explicitly: the driver's own way begins them late, which lets two writers both start as
readers and one of them fail; a writer takes the lock first, the other waits (``_PATIENCE_S``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from tallybook.errors import ConfigError, StorageError

_PATIENCE_S: Final = 30
_LOCK: Final = 0x7A11B00C  # this catalog's own number among PostgreSQL's advisory locks
_EXCLUSIVE: Final = "tallybook_exclusive"


def connect(url_or_path: str) -> tuple[Engine, str]:
    """An engine for a URL or a SQLite file, and the name by which errors speak of it.

    Raises:
        ConfigError: The URL is no database URL, or its driver is not installed.
    """
    is_url = "://" in url_or_path
    url = _parsed(url_or_path) if is_url else URL.create("sqlite", database=url_or_path)
    try:
        if url.get_backend_name() == "sqlite":
            _make_directory(Path(url.database or ""))
            engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _PATIENCE_S})
            _speak_to_sqlite(engine)
        else:
            engine = create_engine(url, hide_parameters=True, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigError(f"catalog {_name(url)}: its driver is not installed ({error})") from None
    return engine, _name(url)


def _make_directory(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # it tells of visitors
    except OSError as error:
        raise StorageError(f"catalog {path}: its directory cannot be made: {error}") from None


def _parsed(written: str) -> URL:
    try:
        url = make_url(written)
    except ArgumentError:
        raise ConfigError(
            "catalog: found something that is no database URL; expected a path or "
            "postgresql://user@host/name"
        ) from None
    # A bare scheme means the driver of our `server` extra's PostgreSQL companion.
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _name(url: URL) -> str:
    in_file = url.get_backend_name() == "sqlite"
    return str(url.database) if in_file else url.render_as_string(hide_password=True)


def _speak_to_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        connection.execute("PRAGMA foreign_keys=ON")
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        exclusive = connection.get_execution_options().get(_EXCLUSIVE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if exclusive else "BEGIN")


@contextmanager
def exclusive(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other writer's overlaps, committed at the end."""
    with engine.connect().execution_options(**{_EXCLUSIVE: True}) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        yield connection


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Turn the database's errors inside the block into a :class:`StorageError`."""
    try:
        yield
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        raise StorageError(f"catalog {name}: {reason}") from error
    except SQLAlchemyError as error:
        raise StorageError(f"catalog {name}: {' '.join(str(error).split())}") from error
